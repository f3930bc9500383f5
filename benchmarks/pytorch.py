"""Measures emitted PyTorch models beside torchvision's, which must be installed.

    python benchmarks/pytorch.py [SPEC...] [--batch 2] [--size 96] [--calls 20] [--compiled]

Both have the same weights, and their results are compared first. Calls alternate, so that other
load on the machine affects both alike, and what is measured is the CPU time of one thread; a ratio
is the median of those of the pairs. `forward` is inference; `step` is forward, backward and an
update by SGD. `channels_last` and `frozen` are the recipe of docs/pytorch.md, beside torchvision's
model as it is.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

import netspec
from netspec.weights import NameMaps

SPECS = ("resnet50", "mobilenet_v2", "squeezenet1_0", "squeezenet1_1")


def models(spec: str) -> tuple[nn.Module, nn.Module]:
    """The emitted model and torchvision's, with the same weights."""
    net = netspec.load(spec)
    ours: Any = netspec.build(net, backend="torch")
    theirs: Any = getattr(torchvision.models, spec)(weights=None)
    names = NameMaps(net.ir, spec).fitting()["torchvision"]
    state = ours.state_dict()
    missing, unexpected = theirs.load_state_dict(
        {theirs_: state[name] for name, theirs_ in names.items()}, strict=False
    )
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)
    return ours, theirs


def training_step(model: nn.Module, x: Tensor, labels: Tensor) -> Callable[[], None]:
    """One update on the same batch."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss: Any = F.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()

    return step


def recipe(model: Any, x: Tensor) -> dict[str, Callable[[], Any]]:
    """The model as docs/pytorch.md makes it faster, in two steps."""
    last = copy.deepcopy(model).to(memory_format=torch.channels_last)
    x = x.to(memory_format=torch.channels_last)
    jit: Any = torch.jit
    frozen = jit.freeze(jit.trace(last, x))
    return {"channels_last": lambda: last(x), "channels_last, frozen": lambda: frozen(x)}


def compare(title: str, ours: Callable[[], Any], theirs: Callable[[], Any], calls: int) -> None:
    """Print the medians of both, and of the ratios of pairs, without the first two of each."""
    pairs: list[list[float]] = []
    for i in range(calls + 2):
        pair = [0.0, 0.0]
        # Each goes first every other time.
        for which in (0, 1) if i % 2 else (1, 0):
            start = time.process_time()
            (ours, theirs)[which]()
            pair[which] = time.process_time() - start
        pairs.append(pair)
    a, b = zip(*pairs[2:], strict=True)
    ratio = statistics.median(x / y for x, y in pairs[2:])
    medians = [1000 * statistics.median(times) for times in (a, b)]
    print(f"{title:32} {medians[0]:9.2f} ms {medians[1]:9.2f} ms {ratio:7.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("spec", nargs="*", default=SPECS)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--compiled", action="store_true", help="by torch.compile, too")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(f"{'':32} {'emitted':>12} {'torchvision':>12} {'ratio':>7}")
    x = torch.randn(args.batch, 3, args.size, args.size)
    labels = torch.randint(0, 1000, (args.batch,))
    for spec in args.spec:
        for how in ("eager", "compiled") if args.compiled else ("eager",):
            pair = models(spec)  # training changes them
            called: Any = [torch.compile(m) for m in pair] if how == "compiled" else pair
            with torch.inference_mode():
                results = [m.eval()(x) for m in called]
                near = partial(
                    torch.testing.assert_close,
                    expected=results[1],
                    rtol=1e-3,
                    atol=1e-3 * results[1].abs().max().item(),
                )
                near(results[0])
                a, b = (partial(m, x) for m in called)
                compare(f"{spec}, {how}, forward", a, b, args.calls)
                faster = recipe(pair[0], x) if how == "eager" else {}
                for name, run in faster.items():
                    near(run())
                    compare(f"{spec}, {name}", run, b, args.calls)
            ours, theirs = (training_step(m.train(), x, labels) for m in called)
            compare(f"{spec}, {how}, step", ours, theirs, args.calls)


if __name__ == "__main__":
    main()
