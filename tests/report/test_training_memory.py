"""The memory of training against what PyTorch saves and allocates."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

import netspec
from netspec.cli.main import main
from netspec.codegen.backend import get, load_model
from netspec.ir import Net, Value
from netspec.metrics.training_memory import TrainingMemory, TrainingPlan, training_memory
from netspec.ops import IndexShape

from ..backends.nets import BODIES
from ..backends.random_nets import RandomNet
from ..helpers import checked, loaded, net_of

BATCH = 3
# The emitted class leaves these to the loss at a net's end.
OF_LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda x: F.softmax(x, 1),
    "log_softmax": lambda x: F.log_softmax(x, 1),
    "sigmoid": torch.sigmoid,
}
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "plain": lambda p: torch.optim.SGD(p, 1e-4, foreach=True),
    "sgd": lambda p: torch.optim.SGD(p, 1e-4, momentum=0.9, foreach=True),
    "nesterov": lambda p: torch.optim.SGD(p, 1e-4, 0.9, nesterov=True, foreach=True),
    "adam": lambda p: torch.optim.Adam(p, foreach=True),
    "adamw": lambda p: torch.optim.AdamW(p, foreach=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, foreach=True),
    "adadelta": lambda p: torch.optim.Adadelta(p, foreach=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, foreach=True),
    "rmsprop with momentum": lambda p: torch.optim.RMSprop(p, momentum=0.9, foreach=True),
    "nadam": lambda p: torch.optim.NAdam(p, foreach=True),
    "radam": lambda p: torch.optim.RAdam(p, foreach=True),
    "adamax": lambda p: torch.optim.Adamax(p, foreach=True),
}


def inputs(net: Net, batch: int) -> list[Tensor]:
    shapes = [(batch, *map(int, v.shape)) for v in net.body.inputs]
    indices = [isinstance(v.shape, IndexShape) for v in net.body.inputs]
    return [
        torch.randint(0, 4, shape) if index else torch.rand(shape)
        for shape, index in zip(shapes, indices, strict=True)
    ]


class Trained(nn.Module):
    """The net's model, each result behind the op that a loss stands for."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        backend: Any = get("torch")
        self.model: nn.Module = load_model(net, backend)
        makers = {v: f.op.keyword for f in net.layers for v in f.outputs}
        self.ends: list[Callable[[Tensor], Tensor]] = [
            OF_LOSSES.get(makers.get(v, ""), nn.Identity()) if logits else nn.Identity()
            for v, logits in zip(net.flat_outputs, backend.ends_in_logits, strict=True)
        ]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        made = self.model(*inputs)
        results = made if isinstance(made, tuple) else (made,)
        return tuple(end(x) for end, x in zip(self.ends, results, strict=True))


def saved(net: Net, batch: int) -> int:
    """Bytes of all memory that PyTorch saves in the forward pass, and of the inputs."""
    model, given = Trained(net), inputs(net, batch)
    own = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}
    found = {x.untyped_storage().data_ptr(): x.untyped_storage() for x in given}

    def pack(t: Tensor) -> Tensor:
        if t.untyped_storage().data_ptr() not in own:
            found[t.untyped_storage().data_ptr()] = t.untyped_storage()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        model(*given)
    return sum(storage.nbytes() for storage in found.values())


def on_a_cpu_alone(net: Net, batch: int) -> int:
    """Bytes that PyTorch saves on a CPU and not on a GPU, for which the figure is."""
    elements: dict[str, Callable[[Any, Value], int]] = {
        "dropout": lambda op, v: 0 if op.spatial else 3 * v.elements,  # a mask of floats
        "logsigmoid": lambda op, v: 4 * v.elements,
    }
    return batch * sum(
        elements[f.op.keyword](f.op, f.outputs[0]) for f in net.layers if f.op.keyword in elements
    )


@contextmanager
def allocated() -> Iterator[list[int]]:
    """The most bytes that PyTorch allocates on the CPU meanwhile, its kernels' own included."""
    most = [0]
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        yield most
    events = [e for e in found.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        most[0] = max(most[0], now)


def measured(net: Net, batch: int, optimizer: str) -> int:
    """The peak of one iteration, the second, in bytes."""
    model = Trained(net)
    made = OPTIMIZERS[optimizer](model.parameters())

    def iterate(given: list[Tensor]) -> None:
        made.zero_grad()
        loss = torch.stack([result.sum() for result in model(*given)]).sum()
        torch.autograd.backward(loss)
        made.step()

    iterate(inputs(net, 2))  # the optimizer makes its state
    made.zero_grad()
    given = inputs(net, batch)
    state = [v for s in made.state.values() for v in s.values() if isinstance(v, Tensor)]
    before = [*model.parameters(), *model.buffers(), *state, *given]
    with allocated() as most:
        iterate(given)
    return most[0] + sum(t.nbytes for t in before)


def of_training(
    net: Net, batch: int, optimizer: str = "sgd", momentum: float | None = None
) -> TrainingMemory:
    return training_memory(net, TrainingPlan(batch, optimizer, momentum))


ALL_OPS = {
    name: net_of(f"net small {{ input raw: {shape}\n data: shift(raw)\n {text} }}")
    for name, (text, shape) in BODIES.items()
}


@pytest.mark.parametrize("name", ALL_OPS)
def test_every_op_says_what_is_saved_of_it(name: str) -> None:
    net = ALL_OPS[name]
    found = saved(net, BATCH) - on_a_cpu_alone(net, BATCH)
    assert of_training(net, BATCH).activations == found


BODIES_OF_NETS = {
    "behind a branch": (
        "c: conv { filters: 3  kernel: 1 }\n if classes > 1 { add(c, data) } else { mul(c, data) }\n"
        "relu"
    ),
    "behind a loop": "for i in 1..2 { c[i]: conv { filters: 3  kernel: 1 } }\n relu",
    "in a loop": "for i in 1..2 { relu\n c[i]: conv { filters: 3  kernel: 1 } -> batchnorm }",
    "in lines of their own": "c: conv { filters: 4  kernel: 1 }\n b: batchnorm\n r: relu",
    "read twice": "c: conv { filters: 3  kernel: 1 }\n r: relu\n add(c, r)",
    "with conditions": (
        "c: conv { filters: 3  kernel: 1 } -> (batchnorm if classes > 1) -> relu\n"
        "d: conv { filters: 3  kernel: 1 } -> batchnorm -> (relu if classes > 1)"
    ),
    "padding that follows the size": "conv { filters: 4  kernel: 3  stride: 2  pad: same }",
    "a split": "s: split { parts: [1, 2] }\n a: conv(s.part1) { filters: 2  kernel: 1 }\n add(a, s.part2)",
    "a turned map": "permute { order: [2, 0, 1] } -> flatten -> linear { units: 3 }",
    "a part as a vector": "crop { size: 2 } -> flatten -> linear { units: 3 }",
    "what is not used": "a: silu\n b: silu(data)\n linear(flatten(b)) { units: 3 }",
}


@pytest.mark.parametrize("name", BODIES_OF_NETS)
def test_values_that_share_memory(name: str) -> None:
    text = BODIES_OF_NETS[name]
    net = net_of(f"net n(classes = 3) {{ input raw: 3x6x5\n data: shift(raw)\n {text} }}")
    assert of_training(net, BATCH).activations == saved(net, BATCH)


@pytest.mark.parametrize("seed", range(60))
def test_random_nets(seed: int) -> None:
    net, found = checked(RandomNet(seed).text)
    if net is None or any(d.code == "unused-layer" for d in found):
        return  # what nothing needs stays in the branches of a class, and is freed again
    assert of_training(net, 2).activations == saved(net, 2) - on_a_cpu_alone(net, 2)


def test_factors_of_what_has_a_gradient() -> None:
    net = net_of("net n { input a: 3x6x5\n b: conv { filters: 3  kernel: 1 }\n mul(a, b) }")
    assert of_training(net, BATCH).activations == saved(net, BATCH)


@pytest.mark.parametrize(
    "name",
    [
        "squeezenet1_1",
        "mobilenet_v3_small",
        "resnet18",
        pytest.param("densenet121", marks=pytest.mark.slow),
        pytest.param("convnext_tiny", marks=pytest.mark.slow),
        pytest.param("efficientnet_b0", marks=pytest.mark.slow),
        pytest.param("inception_v3", marks=pytest.mark.slow),
        pytest.param("shufflenet_v2", marks=pytest.mark.slow),
    ],
)
def test_activations_of_bundled_nets(name: str) -> None:
    net = loaded(name)
    found = saved(net, 2) - on_a_cpu_alone(net, 2)
    assert of_training(net, 2).activations == found


@pytest.mark.parametrize(
    ("name", "batch", "optimizer"),
    [
        ("squeezenet1_1", 2, "sgd"),
        pytest.param("resnet18", 2, "adam", marks=pytest.mark.slow),
        pytest.param("mobilenet_v2", 2, "adamw", marks=pytest.mark.slow),
        pytest.param("alexnet", 4, "adam", marks=pytest.mark.slow),
        pytest.param("googlenet_torchvision", 2, "rmsprop", marks=pytest.mark.slow),
        pytest.param("densenet121", 1, "nesterov", marks=pytest.mark.slow),
    ],
)
def test_peaks_of_bundled_nets(name: str, batch: int, optimizer: str) -> None:
    net = loaded(name)
    assert of_training(net, batch, optimizer).peak == pytest.approx(
        measured(net, batch, optimizer), rel=0.1
    )


@pytest.mark.slow
def test_the_peak_of_a_u_net() -> None:
    net = loaded("unet", base=16)
    assert of_training(net, 1).peak == pytest.approx(measured(net, 1, "sgd"), rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers(optimizer: str) -> None:
    # Weights alone, so that the step of the optimizer is the peak.
    net = net_of("net wide { input x: 64\n linear { units: 3000 } -> linear { units: 2000 } }")
    named = {"plain": ("sgd", 0.0), "rmsprop with momentum": ("rmsprop", 0.9)}
    name, momentum = named.get(optimizer, (optimizer, None))
    found = of_training(net, 2, name, momentum)
    model = Trained(net)
    made = OPTIMIZERS[optimizer](model.parameters())
    torch.autograd.backward(model(*inputs(net, 2))[0].sum())
    made.step()
    state = [v for s in made.state.values() for v in s.values() if isinstance(v, Tensor)]
    assert found.optimizer_state == sum(t.nbytes for t in state if t.ndim)
    assert found.gradients == sum(p.grad.nbytes for p in model.parameters() if p.grad is not None)
    assert found.peak == pytest.approx(measured(net, 2, optimizer), rel=0.02)


def test_frozen_layers_have_no_gradients() -> None:
    net = net_of(
        "net half { input x: 3x8x8\n a: conv { filters: 4  kernel: 3  frozen: true } -> relu\n"
        "b: conv { filters: 2  kernel: 3 } }"
    )
    found = of_training(net, 2, "adam")
    (b,) = (layer for layer in net.layers if layer.path == "b")
    assert (found.gradients, found.optimizer_state) == (4 * b.params, 8 * b.params)
    assert found.activations == saved(net, 2)


def test_layers_frozen_by_patterns_are_those_that_the_spec_freezes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = (
        "net half {{ input x: 3x8x8\n a: conv {{ filters: 4  kernel: 3 {0} }} -> batchnorm {{ {0} }}"
        " -> relu\n b: conv {{ filters: 2  kernel: 3 }} }}"
    )
    stated = netspec.Net(net_of(text.format("frozen: true"))).training_memory(3, "adam")
    (tmp_path / "half.net").write_text(text.format(""))
    plain = [str(tmp_path / "half.net"), "--training", "--batch", "3", "--optimizer", "adam"]
    frozen = ["--freeze", "a", "--freeze", "a_batch*"]
    assert main(["table", *plain, *frozen, "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)["total"]["training"]
    assert {name: shown[name] for name in stated} == stated
    given = netspec.load(tmp_path / "half.net").training_memory(3, "adam", freeze=["a*"])
    assert given == stated
    assert main(["table", *plain, "--freeze", "z*"]) == 1
    assert "no layer with weights matches z*" in capsys.readouterr().err
    assert main(["table", plain[0], "--freeze", "a"]) == 1
    assert "it goes with --training" in capsys.readouterr().err


def test_a_line_that_is_used_again() -> None:
    text = (
        "net siamese {{ input a: 3x16x16\n input b: 3x16x16\n"
        "tower: {0}(a) {1} -> batchnorm -> relu\n other: {2}(b) {3}\n sub(tower, other) }}"
    )
    conv = "{ filters: 4  kernel: 3 }"
    again = net_of(text.format("conv", conv, "tower", ""))
    twice = net_of(text.format("conv", conv, "conv", f"{conv} -> batchnorm -> relu"))
    found, other = of_training(again, 2, "adam"), of_training(twice, 2, "adam")
    assert found.activations == other.activations == saved(again, 2)
    assert 2 * found.gradients == other.gradients == 4 * twice.params


def test_a_plan_is_that_of_the_train_block() -> None:
    train = "train { optimizer: adam  learning_rate: 0.1  batch_size: 7  epochs: 1 }"
    text = f"net small {{ input x: 8\n linear {{ units: 2 }}\n {train} }}"
    net = netspec.Net(net_of(text))
    block = net.training_memory()
    assert (block["batch"], block["optimizer"]) == (7, "adam")
    assert block["optimizer_state"] == 2 * 4 * 18
    other = net.training_memory(batch=2, optimizer="sgd", momentum=0)
    assert (other["batch"], other["optimizer_state"]) == (2, 0)
    with pytest.raises(netspec.SpecError, match="no optimizer adma"):
        net.training_memory(optimizer="adma")
