"""Convolutions and poolings."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from netspec.importers.onnx.call import NodeCall, Refused, rule
from netspec.importers.onnx.values import NodeValue

Pair = tuple[int, int]
PLACES = "places"
"""The type of a pooling's second result, which are no numbers to compute with."""


class OnnxWindow(NamedTuple):
    """A window over height and width; `pad` is (top, left, bottom, right)."""

    kernel: Pair
    stride: Pair
    pad: tuple[int, int, int, int]
    dilation: Pair

    @property
    def extents(self) -> Pair:
        """How many rows and columns it spans."""
        (k, m), (d, e) = self.kernel, self.dilation
        return (k - 1) * d + 1, (m - 1) * e + 1


def _pair(c: NodeCall, name: str, default: Pair) -> Pair:
    found = c.get(name, list(default))
    if len(found) != 2 or not all(isinstance(n, int) and 0 < n < 2**31 for n in found):
        raise Refused(f"has {name} that are not two numbers above 0", "wrong-type")
    return found[0], found[1]


def _is_map(c: NodeCall, x: NodeValue) -> None:
    if len(x.shape) != 4:
        dims = len(x.shape) - 2
        raise Refused(f"is over {dims} dimensions, and the language has height and width")


def _window(c: NodeCall, x: NodeValue, kernel: Pair) -> OnnxWindow:
    """The window of a convolution or pooling. Raises Refused."""
    stride, dilation = _pair(c, "strides", (1, 1)), _pair(c, "dilations", (1, 1))
    window = OnnxWindow(kernel, stride, (0, 0, 0, 0), dilation)
    auto = c.get("auto_pad", "NOTSET")
    if auto in ("NOTSET", ""):
        pads = c.get("pads", [0, 0, 0, 0])
        if len(pads) != 4 or not all(isinstance(n, int) and 0 <= n < 2**31 for n in pads):
            raise Refused("has pads that are not four numbers of at least 0", "wrong-type")
        return window._replace(pad=(pads[0], pads[1], pads[2], pads[3]))
    if auto == "VALID":
        return window
    sides = []
    for length, by, extent in zip(x.shape[2:], stride, window.extents, strict=True):
        total = max((ceil(length / by) - 1) * by + extent - length, 0)
        small, large = total // 2, total - total // 2
        sides.append((small, large) if auto == "SAME_UPPER" else (large, small))
    (top, bottom), (left, right) = sides
    return window._replace(pad=(top, left, bottom, right))


def _slid(x: NodeValue, window: OnnxWindow, up: bool = False) -> Pair:
    """Height and width of what a window that slides over a map gives."""
    found = []
    ends = zip(window.pad[:2], window.pad[2:], strict=True)
    sizes = zip(x.shape[2:], window.stride, window.extents, ends, strict=True)
    for length, by, extent, (before, after) in sizes:
        room = length + before + after - extent
        count = (-(-room // by) if up else room // by) + 1
        if up and (count - 1) * by >= length + before:
            count -= 1  # a window that begins in the padding behind is left out
        found.append(count)
    return found[0], found[1]


def _weights(c: NodeCall) -> tuple[NodeValue, NodeValue | None]:
    return c.known(1, "weight"), c.known(2, "bias") if c.has(2) else None


@rule("Conv")
def conv(c: NodeCall) -> NodeValue:
    x, (weight, bias) = c.input(), _weights(c)
    _is_map(c, x)
    if len(weight.shape) != 4:
        raise Refused("has a weight that is not of four dimensions", "shape-mismatch")
    groups = c.get("group", 1)
    if groups < 1 or weight.shape[1] * groups != x.shape[1] or weight.shape[0] % groups:
        raise Refused("has a weight that does not fit its input", "shape-mismatch")
    kernel = (weight.shape[2], weight.shape[3])
    if _pair(c, "kernel_shape", kernel) != kernel:
        raise Refused("has a weight that does not fit its kernel", "shape-mismatch")
    window = _window(c, x, kernel)
    shape = (x.shape[0], weight.shape[0], *_slid(x, window))
    how = {"stride": window.stride, "pad": window.pad, "dilation": window.dilation}
    return c.emit("conv", x, weight, bias, shape=shape, groups=groups, **how)


@rule("ConvTranspose")
def conv_transpose(c: NodeCall) -> NodeValue:
    x, (weight, bias) = c.input(), _weights(c)
    _is_map(c, x)
    groups = c.get("group", 1)
    if len(weight.shape) != 4 or weight.shape[0] != x.shape[1] or groups < 1:
        raise Refused("has a weight that does not fit its input", "shape-mismatch")
    kernel = (weight.shape[2], weight.shape[3])
    auto = c.get("auto_pad", "NOTSET")
    stride, dilation = _pair(c, "strides", (1, 1)), _pair(c, "dilations", (1, 1))
    extra = c.get("output_padding", [0, 0])
    window = OnnxWindow(kernel, stride, (0, 0, 0, 0), dilation)
    if "output_shape" in c.attributes or auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = c.get("output_shape", [n * s for n, s in zip(x.shape[2:], stride, strict=True)])
        sides = []
        sizes = zip(wanted[-2:], x.shape[2:], stride, window.extents, extra, strict=True)
        for size, length, by, extent, more in sizes:
            total = by * (length - 1) + more + extent - size
            small, large = total // 2, total - total // 2
            sides.append((small, large) if auto == "SAME_UPPER" else (large, small))
        window = window._replace(pad=(sides[0][0], sides[1][0], sides[0][1], sides[1][1]))
    else:
        window = _window(c, x, kernel)
    if min(window.pad) < 0:
        raise Refused("pads by a number below 0")
    lengths = []
    ends = zip(window.pad[:2], window.pad[2:], strict=True)
    parts = zip(x.shape[2:], stride, window.extents, ends, extra, strict=True)
    for length, by, extent, pads, more in parts:
        lengths.append((length - 1) * by + extent - sum(pads) + more)
    return c.emit(
        "conv_transpose",
        x,
        weight,
        bias,
        shape=(x.shape[0], weight.shape[1] * groups, *lengths),
        stride=stride,
        pad=window.pad,
        output_pad=(int(extra[0]), int(extra[1])),
        dilation=dilation,
        groups=groups,
    )


@rule("MaxPool", "AveragePool")
def pool(c: NodeCall) -> list[NodeValue]:
    x = c.input()
    _is_map(c, x)
    if "kernel_shape" not in c.attributes:
        raise Refused("has no kernel_shape", "missing-field")
    window = _window(c, x, _pair(c, "kernel_shape", (1, 1)))
    up = bool(c.get("ceil_mode", 0))
    shape = (*x.shape[:2], *_slid(x, window, up))
    how = {"kernel": window.kernel, "stride": window.stride, "pad": window.pad, "ceil": up}
    if c.operator == "MaxPool":
        if c.get("storage_order", 0):
            raise Refused("counts places column by column, which can't be expressed")
        shapes = [shape, shape] if any(c.results[1:]) else [shape]
        found = c.emit_all("maxpool", x, shapes=shapes, dilation=window.dilation, **how)
        for places in found[1:]:
            places.kind = PLACES
        return found
    if window.dilation != (1, 1):
        raise Refused("is an average with gaps, which can't be expressed")
    counts = bool(c.get("count_include_pad", 0))
    return [c.emit("avgpool", x, shape=shape, count_include_pad=counts, **how)]


@rule("MaxUnpool")
def maxunpool(c: NodeCall) -> NodeValue:
    """Undoes a pooling; that its size is the pooled one's is held against what comes out."""
    x, places = c.input(0), c.input(1)
    _is_map(c, x)
    window = _window(c, x, _pair(c, "kernel_shape", (1, 1)))
    shape: tuple[int, ...]
    if c.has(2):
        shape = tuple(int(n) for n in c.array(2, "size").ravel())
    else:
        ends = [window.pad[i] + window.pad[i + 2] for i in (0, 1)]
        sizes = zip(x.shape[2:], window.stride, window.kernel, ends, strict=True)
        shape = (*x.shape[:2], *((n - 1) * s + k - p for n, s, k, p in sizes))
    return unpooled(c, x, places, shape)


def unpooled(c: NodeCall, x: NodeValue, places: NodeValue, shape: tuple[int, ...]) -> NodeValue:
    """A max pooling undone."""
    if places.kind != PLACES:
        raise Refused("puts elements to places that are those of no pooling")
    return c.emit("maxunpool", x, places, shape=shape)


@rule("GlobalAveragePool", "GlobalMaxPool")
def global_pool(c: NodeCall) -> NodeValue:
    x = c.input()
    axes = tuple(range(2, len(x.shape)))
    kind = "mean" if c.operator == "GlobalAveragePool" else "max"
    shape = (*x.shape[:2], *(1 for _ in axes))
    return c.emit(kind, x, shape=shape, axes=axes, keepdims=True)
