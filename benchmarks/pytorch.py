"""Measures emitted PyTorch models beside the same networks written the way torchvision does.

    python benchmarks/pytorch.py [--threads 2] [--batch 1 16] [--calls 20]

All have the same weights, and their results are compared first. Calls alternate, so that other load
on the machine affects all of them; a ratio is that of the medians. `forward` is without gradients;
`step` is forward, backward and an update by SGD.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netspec

Run = Callable[[], Any]


class Fire(nn.Module):
    """As in torchvision/models/squeezenet.py: activations are modules that work in place."""

    def __init__(self, inplanes: int, squeeze: int, expand1x1: int, expand3x3: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inplanes, squeeze, kernel_size=1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze, expand1x1, kernel_size=1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze, expand3x3, kernel_size=3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze_activation(self.squeeze(x))
        return torch.cat(
            [
                self.expand1x1_activation(self.expand1x1(x)),
                self.expand3x3_activation(self.expand3x3(x)),
            ],
            1,
        )


class SqueezeNet(nn.Module):
    """Versions 1.0 and 1.1, with the softmax that the specs end in."""

    def __init__(self, version: str) -> None:
        super().__init__()
        fires = [
            (16, 64, 64), (16, 64, 64), (32, 128, 128), (32, 128, 128),
            (48, 192, 192), (48, 192, 192), (64, 256, 256), (64, 256, 256),
        ]  # fmt: skip
        pools = {"squeezenet1_0": (2, 6), "squeezenet1_1": (1, 3)}[version]
        first = nn.Conv2d(3, 96, 7, 2) if version == "squeezenet1_0" else nn.Conv2d(3, 64, 3, 2)
        layers: list[nn.Module] = [first, nn.ReLU(inplace=True)]
        layers.append(nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True))
        channels = first.out_channels
        for i, (s, a, b) in enumerate(fires):
            layers.append(Fire(channels, s, a, b))
            channels = a + b
            if i in pools:
                layers.append(nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Dropout(p=0.5),
            nn.Conv2d(512, 1000, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d((1, 1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.classifier(self.features(x))
        return torch.flatten(x, 1).softmax(1)


def alternate(runs: dict[str, Run], calls: int) -> dict[str, float]:
    """The median time of each, in seconds, over so many rounds of one call each."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for i in range(calls + 2):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if i >= 2:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(t) for name, t in times.items()}


def forwards(models: dict[str, nn.Module], x: Tensor) -> dict[str, Run]:
    """Inference: the models as they are, and the recipe of docs/pytorch.md."""
    runs: dict[str, Run] = {}
    with torch.inference_mode():
        for name, model in models.items():
            runs[name] = lambda m=model: m(x)  # type: ignore[misc]
        channels_last_x = x.to(memory_format=torch.channels_last)
        last: Any = copy.deepcopy(models["netspec"])
        last = last.to(memory_format=torch.channels_last)  # which PyTorch's stubs don't know
        runs["netspec channels_last"] = lambda: last(channels_last_x)
        jit: Any = torch.jit
        frozen = jit.freeze(jit.trace(last, channels_last_x))
        runs["netspec channels_last, frozen"] = lambda: frozen(channels_last_x)
    return {n: torch.inference_mode()(r) for n, r in runs.items()}


def steps(models: dict[str, nn.Module], x: Tensor) -> dict[str, Run]:
    """Training: one step on random labels."""
    labels = torch.randint(0, 1000, (len(x),))
    runs: dict[str, Run] = {}
    for name, model in models.items():
        own = copy.deepcopy(model).train()
        optimizer = torch.optim.SGD(own.parameters(), lr=1e-4, momentum=0.9)

        def step(own: nn.Module = own, optimizer: Any = optimizer) -> None:
            optimizer.zero_grad(set_to_none=True)
            loss: Any = F.nll_loss(torch.log(own(x) + 1e-9), labels)
            loss.backward()
            optimizer.step()

        runs[name] = step
    return runs


def show(title: str, times: dict[str, float]) -> None:
    base = times["as torchvision"]
    print(title)
    for name, seconds in times.items():
        print(f"  {name:32} {1000 * seconds:9.2f} ms {seconds / base:7.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--calls", type=int, default=20)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(args.threads)
    for spec in ("squeezenet1_0", "squeezenet1_1"):
        ours: Any = netspec.build(netspec.load(spec), backend="torch")
        theirs = SqueezeNet(spec)
        theirs.load_state_dict(
            dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True))
        )
        models = {"as torchvision": theirs.eval(), "netspec": ours.eval()}
        for batch in args.batch:
            x = torch.randn(batch, 3, 224, 224)
            runs = forwards(models, x)
            wanted = runs["as torchvision"]()
            for name, run in runs.items():
                torch.testing.assert_close(run(), wanted, rtol=1e-3, atol=1e-5, msg=name)
            show(f"{spec}, batch {batch}, forward", alternate(runs, args.calls))
            calls = max(args.calls // (4 if batch > 1 else 1), 5)
            show(f"{spec}, batch {batch}, step", alternate(steps(models, x), calls))


if __name__ == "__main__":
    main()
