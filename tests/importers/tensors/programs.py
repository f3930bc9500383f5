"""Programs over tensors for tests: drawn at random, computed by PyTorch, and made into nets."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import netspec
from netspec.api import LoadedNet
from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source, Span
from netspec.importers import model_files
from netspec.importers.spec_tree.spec_text import net_of_tree
from netspec.importers.tensors.imported import imported
from netspec.importers.tensors.program import (
    Operation,
    ProgramConstant,
    ProgramTensor,
    TensorProgram,
)

BATCH = 3
SOURCE = Source("program", "program\n")


def interpreted(program: TensorProgram, x: Tensor) -> list[Tensor]:
    """What PyTorch computes of a program, for its one input."""
    found: dict[ProgramTensor, Tensor] = {program.inputs[0]: x}

    def value(tensor: ProgramTensor | None) -> Any:
        if tensor is None or tensor in found:
            return found[tensor] if tensor is not None else None
        assert tensor.constant is not None
        return torch.from_numpy(np.asarray(tensor.constant.load()))

    for o in program.operations:
        results = KINDS[o.kind]([value(t) for t in o.inputs], o.attributes)
        results = results if isinstance(results, tuple | list) else [results]
        for tensor, result in zip(o.outputs, results, strict=True):
            assert tuple(result.shape) == tensor.shape, o
            found[tensor] = result
    return [found[t] for t in program.outputs]


def _conv(i: list[Any], a: Any) -> Tensor:
    top, left, bottom, right = a.get("pad", (0, 0, 0, 0))
    x = F.pad(i[0], (left, right, top, bottom))
    bias = i[2] if len(i) > 2 else None
    return F.conv2d(x, i[1], bias, a.get("stride", 1), 0, a.get("dilation", 1), a.get("groups", 1))


def _index(x: Tensor, a: Any) -> Tensor:
    parts = [slice(None)] * x.ndim
    parts[a["axis"]] = slice(a["start"], a["end"], a.get("step", 1))
    return x[tuple(parts)]


def _reduced(function: Callable[..., Tensor]) -> Callable[[list[Any], Any], Tensor]:
    return lambda i, a: function(i[0], dim=tuple(a["axes"]), keepdim=a["keepdims"])


KINDS: dict[str, Callable[[list[Any], Any], Any]] = {
    "conv": _conv,
    "linear": lambda i, a: F.linear(*i),
    "matmul": lambda i, a: i[0] @ i[1],
    "batchnorm": lambda i, a: F.batch_norm(i[0], i[3], i[4], i[1], i[2], False, 0.1, a["eps"]),
    "layernorm": lambda i, a: F.layer_norm(i[0], i[1].shape, i[1], i[2], a["eps"]),
    "groupnorm": lambda i, a: F.group_norm(i[0], a["groups"], i[1], i[2], a["eps"]),
    "prelu": lambda i, a: torch.where(
        i[0] > 0, i[0], i[0] * i[1].reshape(1, -1, *[1] * (i[0].ndim - 2))
    ),
    "maxpool": lambda i, a: F.max_pool2d(
        i[0], a["kernel"], a["stride"], a["pad"][:2], 1, a["ceil"]
    ),
    "avgpool": lambda i, a: F.avg_pool2d(
        i[0], a["kernel"], a["stride"], a["pad"][:2], a["ceil"], a["count_include_pad"]
    ),
    "adaptive_avgpool": lambda i, a: F.adaptive_avg_pool2d(i[0], a["size"]),
    "mean": _reduced(torch.mean),
    "sum": _reduced(torch.sum),
    "max": _reduced(torch.amax),
    "add": lambda i, a: i[0] + i[1],
    "sub": lambda i, a: i[0] - i[1],
    "mul": lambda i, a: i[0] * i[1],
    "div": lambda i, a: i[0] / i[1],
    "concat": lambda i, a: torch.cat(i, a["axis"]),
    "split": lambda i, a: torch.split(i[0], a["sizes"], a["axis"]),
    "slice": lambda i, a: _index(i[0], a),
    "reshape": lambda i, a: i[0].reshape(a["shape"]),
    "transpose": lambda i, a: i[0].permute(a["order"]),
    "pad": lambda i, a: F.pad(
        i[0],
        [n for p in zip(a["before"][::-1], a["after"][::-1], strict=True) for n in p],
        value=a["value"],
    ),
    "resize": lambda i, a: F.interpolate(i[0], size=a["size"], mode=a["mode"]),
    "softmax": lambda i, a: torch.softmax(i[0], a["axis"]),
    "flip": lambda i, a: torch.flip(i[0], [a["axis"]]),
    "relu": lambda i, a: torch.relu(i[0]),
    "sigmoid": lambda i, a: torch.sigmoid(i[0]),
    "silu": lambda i, a: F.silu(i[0]),
    "hardswish": lambda i, a: F.hardswish(i[0]),
    "gelu": lambda i, a: F.gelu(i[0]),
    "identity": lambda i, a: i[0],
}


class RandomProgram:
    """A program that is drawn, operation by operation; `tensors` are those so far."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.operations: list[Operation] = []
        shape = (BATCH, self.random.choice([4, 6, 8]), *self.random.choice([(6, 6), (8, 5)]))
        self.input = ProgramTensor("x", shape)
        self.tensors = [self.input]

    def constant(self, *shape: int) -> ProgramTensor:
        numbers = self.numbers.normal(0, 0.4, shape).astype(np.float32)
        key = f"w{len(self.operations)}.{self.numbers.integers(2**60)}"
        return ProgramTensor(key, shape, ProgramConstant(shape, lambda: numbers, key, Path("p")))

    def add(self, kind: str, *inputs: ProgramTensor | None, **attributes: Any) -> ProgramTensor:
        """An operation; PyTorch says what shapes its results have."""
        given = [
            None if t is None else torch.zeros(t.shape) if t.constant is None else t.constant.load()
            for t in inputs
        ]
        tensors = [torch.from_numpy(g) if isinstance(g, np.ndarray) else g for g in given]
        results = KINDS[kind](tensors, attributes)
        results = results if isinstance(results, tuple | list) else [results]
        number = len(self.operations)
        made = [ProgramTensor(f"t{number}_{k}", tuple(r.shape)) for k, r in enumerate(results)]
        name = f"part{number}.{kind}"
        self.operations.append(
            Operation(kind, list(inputs), made, name, Span(SOURCE, 0, 7), attributes)
        )
        self.tensors += made
        return made[0]

    def step(self) -> None:
        """One more operation, or a few that belong together, on one of the last tensors."""
        pick = self.random
        x = pick.choice(self.tensors[-3:])
        rank = len(x.shape)
        last, axis = rank - 1, pick.randrange(1, rank)
        steps: list[Callable[[], object]] = [
            lambda: self.add(pick.choice(["relu", "sigmoid", "silu", "hardswish", "gelu"]), x),
            lambda: self.add(
                "linear",
                x,
                self.constant(n := pick.choice([4, 6]), x.shape[last]),
                self.constant(n) if pick.random() < 0.7 else None,
            ),
            lambda: self.add("matmul", x, self.constant(x.shape[last], 4)),
            lambda: self.add(
                "layernorm",
                x,
                self.constant(x.shape[last]),
                self.constant(x.shape[last]),
                axes=[last],
                eps=1e-5,
            ),
            lambda: self.add("add", x, self.constant(*x.shape[last:])),
            lambda: self.add(pick.choice(["mul", "add", "div", "sub"]), x, self.constant()),
            lambda: self.add("sub", self.constant(), x),
            lambda: self.add("reshape", x, shape=(x.shape[0], *self._other_shape(x.shape[1:]))),
            lambda: self.add("transpose", x, order=[0, *pick.sample(range(1, rank), rank - 1)]),
            lambda: (
                self.add("mean", x, axes=[axis], keepdims=pick.random() < 0.5) if rank > 2 else None
            ),
            lambda: self.add("concat", x, self.add("relu", x), axis=axis),
            lambda: self.add(
                "slice", x, axis=axis, start=0, end=max(1, x.shape[axis] // 2), step=1
            ),
            lambda: self.add("add", x, self._same(x)),
        ]
        if rank == 4:
            channels, height, width = x.shape[1:]
            steps += 3 * [
                lambda: self.add(
                    "conv",
                    x,
                    self.constant(n := pick.choice([4, 8]), channels, 3, 3),
                    self.constant(n),
                    pad=(1, 1, 1, 1),
                    stride=(pick.choice([1, 2]),) * 2,
                ),
                lambda: self.add(
                    "conv", x, self.constant(channels, 1, 1, 1), None, groups=channels
                ),
                lambda: self.add("transpose", x, order=pick.choice([[0, 2, 3, 1], [0, 3, 1, 2]])),
                lambda: self.add(
                    "batchnorm",
                    x,
                    *(self.constant(channels) for _ in range(3)),
                    self._positive(channels),
                    eps=1e-3,
                ),
                lambda: self._gate(x),
                lambda: self._shuffle(x),
                lambda: (
                    self.add(
                        "maxpool",
                        x,
                        kernel=(2, 2),
                        stride=(2, 2),
                        pad=(0, 0, 0, 0),
                        ceil=pick.random() < 0.5,
                    )
                    if min(height, width) > 1
                    else None
                ),
                lambda: self.add("mean", x, axes=[2, 3], keepdims=pick.random() < 0.5),
                lambda: self.add(
                    "add", x, self.constant(1, pick.choice([1, channels]), height, width)
                ),
                lambda: self.add("mul", x, self.constant(channels, 1, 1)),
                lambda: self.add("prelu", x, self.constant(channels)),
                lambda: self.add(
                    "pad", x, before=[0, pick.choice([0, 1]), 1, 0], after=[0, 0, 0, 2], value=0.0
                ),
                lambda: (
                    self.add("split", x, axis=1, sizes=[channels - 1, 1]) if channels > 1 else None
                ),
                lambda: self.add("softmax", x, axis=1),
                lambda: self.add("reshape", x, shape=(x.shape[0], channels * height * width)),
                lambda: self.add(
                    "transpose",
                    self.add("reshape", x, shape=(x.shape[0], channels, height * width)),
                    order=[0, 2, 1],
                ),
            ]
        pick.choice(steps)()

    def _positive(self, count: int) -> ProgramTensor:
        constant = self.constant(count)
        assert constant.constant is not None
        constant.constant = constant.constant.changed((count,), lambda n: abs(n) + 0.5, "positive")
        return constant

    def _same(self, x: ProgramTensor) -> ProgramTensor:
        return next((t for t in self.tensors if t.shape == x.shape and t is not x), x)

    def _gate(self, x: ProgramTensor) -> ProgramTensor:
        mean = self.add("mean", x, axes=[2, 3], keepdims=True)
        return self.add("mul", *self.random.sample([x, self.add("sigmoid", mean)], 2))

    def _shuffle(self, x: ProgramTensor) -> ProgramTensor:
        batch, channels, height, width = x.shape
        if channels % 2:
            return x
        apart = self.add("reshape", x, shape=(batch, 2, channels // 2, height, width))
        turned = self.add("transpose", apart, order=[0, 2, 1, 3, 4])
        return self.add("reshape", turned, shape=(batch, channels, height, width))

    def _other_shape(self, shape: tuple[int, ...]) -> list[int]:
        total = int(np.prod(shape))
        found = []
        for _ in range(self.random.randint(0, 2)):
            divisors = [d for d in range(1, total + 1) if total % d == 0]
            found.append(self.random.choice(divisors))
            total //= found[-1]
        return [*found, total]

    def program(self) -> TensorProgram:
        """The program so far, whose result is its last tensor."""
        outputs = [self.tensors[-1]]
        return TensorProgram("drawn", SOURCE, BATCH, [self.input], self.operations, outputs)


def net_of(program: TensorProgram) -> tuple[LoadedNet | None, dict[str, Any], Diagnostics]:
    """The net of a program, with its weights; None where it can't be expressed."""
    found = Diagnostics()
    tree = imported(program, found)
    net = None if tree is None else net_of_tree(tree.file, {}, found)
    if tree is None or net is None:
        return None, {}, found
    weights = {n: o.read() for n, o in model_files.origins(tree, net).items()}
    return LoadedNet(net), weights, found


def computed(net: LoadedNet, weights: dict[str, Any], x: np.ndarray[Any, Any]) -> Any:
    """What the NumPy model of a net computes of an input with its batch."""
    return netspec.build(net, backend="numpy", weights=weights)(x)
