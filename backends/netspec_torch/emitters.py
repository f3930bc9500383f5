"""How each op is written in PyTorch: its constructor, if it has one, and its call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from netspec.backend import Unsupported
from netspec.ir import Layer
from netspec.layout import Call, Infix, Source, Text, call, tuple_of
from netspec.ops import (
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Op,
    Relu,
    Softmax,
)
from netspec.ops.kinds import Pads
from netspec_torch.writer import Writer

Forward = Callable[[str, list[Source]], Source]


@dataclass(frozen=True)
class Use:
    """What an emitter says of a layer.

    `module` is the constructor, None for a layer without state. `forward` builds the call from the
    module's own name (`self.conv1`) and the sources of the inputs.
    """

    module: Call | None
    forward: Forward


Emitter = Callable[[Layer, Writer, bool], Use]
"""Of the layer, a writer for its numbers, and whether more than its first result is used."""

EMITTERS: dict[type[Op], Emitter] = {}
WRAPS: set[type[Op]] = set()
"""Ops that read well around the expression of their input."""


def emits(op: type[Op], wraps: bool = False) -> Callable[[Callable[..., Use]], Callable[..., Use]]:
    """Decorator: the emitter of an op."""

    def register(emitter: Callable[..., Use]) -> Callable[..., Use]:
        def with_op(layer: Layer, w: Writer, several: bool) -> Use:
            return emitter(layer.op, layer, w, several)

        EMITTERS[op] = with_op
        if wraps:
            WRAPS.add(op)
        return emitter

    return register


def _apply(name: str, inputs: list[Source]) -> Source:
    return call(name, *inputs)


def _padded(pads: Pads, value: str = "") -> Forward:
    """A call on the input with explicit padding."""
    return lambda name, inputs: call(name, _pad(inputs[0], pads, value))


def _pad(x: Source, pads: Pads, value: str = "") -> Source:
    """The input with padding; torch counts from the last dimension."""
    top, bottom, left, right = pads
    keywords: dict[str, Source | str] = {"value": value} if value else {}
    return call("F.pad", x, f"({left}, {right}, {top}, {bottom})", **keywords)


def _symmetric(pads: Pads) -> bool:
    return pads[0] == pads[1] and pads[2] == pads[3]


# --- layers with weights -------------------------------------------------------------------------


@emits(Conv)
def conv(op: Conv, layer: Layer, w: Writer, _: bool) -> Use:
    in_channels = layer.inputs[0].shape[0]
    keywords: dict[str, str] = {"kernel_size": w.pair(op.kernel)}
    if op.stride != (1, 1):
        keywords["stride"] = w.pair(op.stride)
    pads = op.pads
    forward: Forward = _apply
    if any(pads):
        if _symmetric(pads):
            keywords["padding"] = w.pair((pads[0], pads[2]))
        else:
            forward = _padded(pads)
    if op.dilation != (1, 1):
        keywords["dilation"] = w.pair(op.dilation)
    if op.group_count != 1:
        keywords["groups"] = w.number(op.group_count)
    if not op.bias:
        keywords["bias"] = "False"
    module = call("nn.Conv2d", w.number(in_channels), w.number(op.filters), **keywords)
    return Use(module, forward)


@emits(Linear)
def linear(op: Linear, layer: Layer, w: Writer, _: bool) -> Use:
    keywords = {} if op.bias else {"bias": "False"}
    features = layer.inputs[0].shape[0]
    return Use(call("nn.Linear", w.number(features), w.number(op.units), **keywords), _apply)


@emits(BatchNorm, wraps=True)
def batchnorm(op: BatchNorm, layer: Layer, w: Writer, _: bool) -> Use:
    shape = layer.inputs[0].shape
    keywords = {}
    if op.eps != 1e-5:
        keywords["eps"] = w.number(op.eps)
    if op.momentum != 0.1:
        keywords["momentum"] = w.number(op.momentum)
    if not op.affine:
        keywords["affine"] = "False"
    head = "nn.BatchNorm2d" if len(shape) == 3 else "nn.BatchNorm1d"
    return Use(call(head, w.number(shape[0]), **keywords), _apply)


# --- poolings ------------------------------------------------------------------------------------


def _torch_pads(op: Any) -> bool:
    """Whether torch's own padding does: equal on both sides, at most half of the window."""
    pads = op.pads
    halves = [k // 2 for k in op.kernel]
    return _symmetric(pads) and pads[0] <= halves[0] and pads[2] <= halves[1]


def _exact_pads(op: Any, layer: Layer) -> Pads:
    """Padding after which rounding down gives the windows that the op has, ceil or not."""
    _, height, width = layer.inputs[0].shape
    pads: list[int] = []
    for i, size in enumerate((height, width)):
        before = op.pads[2 * i]
        count = layer.outputs[0].shape[1 + i]
        spans = op.dilation[i] * (op.kernel[i] - 1) + 1
        pads += [before, (count - 1) * op.stride[i] + spans - size - before]
    return pads[0], pads[1], pads[2], pads[3]


def _window(op: Any, w: Writer) -> dict[str, str]:
    keywords = {"kernel_size": w.pair(op.kernel)}
    if op.stride != op.kernel:
        keywords["stride"] = w.pair(op.stride)
    return keywords


@emits(MaxPool)
def maxpool(op: MaxPool, layer: Layer, w: Writer, several: bool) -> Use:
    keywords = _window(op, w)
    forward: Forward = _apply
    own_pads = _torch_pads(op)
    if own_pads and any(op.pads):
        keywords["padding"] = w.pair((op.pads[0], op.pads[2]))
    if op.dilation != (1, 1):
        keywords["dilation"] = w.pair(op.dilation)
    if own_pads and op.rounding == "ceil":
        keywords["ceil_mode"] = "True"
    if not own_pads:
        forward = _padded(_exact_pads(op, layer), 'float("-inf")')
        if several:
            raise Unsupported("indices of a pooling whose pads differ or exceed half of the kernel")
    if several:
        keywords["return_indices"] = "True"
    return Use(call("nn.MaxPool2d", **keywords), forward)


@emits(AvgPool)
def avgpool(op: AvgPool, layer: Layer, w: Writer, _: bool) -> Use:
    keywords = _window(op, w)
    if _torch_pads(op):
        if any(op.pads):
            keywords["padding"] = w.pair((op.pads[0], op.pads[2]))
        if op.rounding == "ceil":
            keywords["ceil_mode"] = "True"
        if any(op.pads) and not op.count_include_pad:
            keywords["count_include_pad"] = "False"
        return Use(call("nn.AvgPool2d", **keywords), _apply)
    if op.count_include_pad and op.rounding == "floor":
        return Use(call("nn.AvgPool2d", **keywords), _padded(op.pads))
    exact = _exact_pads(op, layer)

    def forward(name: str, inputs: list[Source]) -> Source:
        # The share of a window that counts is the mean of ones there and zeros elsewhere.
        ones: Source = call("torch.ones_like", inputs[0])
        rest = exact
        if op.count_include_pad:
            ones = _pad(ones, op.pads, "1.0")
            rest = tuple(e - p for e, p in zip(exact, op.pads, strict=True))  # type: ignore[assignment]
        parts = (_pad(inputs[0], exact), _pad(ones, rest))
        return Infix("/", tuple(call(name, part) for part in parts))

    return Use(call("nn.AvgPool2d", **keywords), forward)


@emits(GlobalAvgPool)
def global_avgpool(op: GlobalAvgPool, layer: Layer, w: Writer, _: bool) -> Use:
    return Use(None, lambda _, inputs: _method(inputs[0], "mean", "dim=(2, 3)"))


# --- without state -------------------------------------------------------------------------------


def _method(value: Source, name: str, *args: str) -> Source:
    return Call(f"{value.flat()}.{name}", tuple(Text(a) for a in args))


@emits(Relu, wraps=True)
def relu(op: Relu, layer: Layer, w: Writer, _: bool) -> Use:
    return Use(None, lambda _, inputs: call("F.relu", *inputs))


@emits(Softmax)
def softmax(op: Softmax, layer: Layer, w: Writer, _: bool) -> Use:
    return Use(None, lambda _, inputs: _method(inputs[0], "softmax", "dim=1"))


@emits(Dropout)
def dropout(op: Dropout, layer: Layer, w: Writer, _: bool) -> Use:
    return Use(call("nn.Dropout", p=w.number(op.ratio)), _apply)


@emits(Concat)
def concat(op: Concat, layer: Layer, w: Writer, _: bool) -> Use:
    return Use(None, lambda _, inputs: call("torch.cat", tuple_of(inputs), dim="1"))


@emits(Add)
def add(op: Add, layer: Layer, w: Writer, _: bool) -> Use:
    return Use(None, lambda _, inputs: Infix("+", tuple(inputs)))


@emits(Flatten)
def flatten(op: Flatten, layer: Layer, w: Writer, _: bool) -> Use:
    return Use(None, lambda _, inputs: _method(inputs[0], "flatten", "1"))
