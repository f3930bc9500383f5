"""Convolutions, and Dense, which is one of a single place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netspec.importers.keras.layers.activation import activated
from netspec.importers.keras.translate import KerasValue, RuleCall
from netspec.importers.tensors.program import ProgramConstant, ProgramTensor


def same_pads(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """What TensorFlow's `same` adds in front and behind: the odd one behind."""
    reach = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def window_pads(
    call: RuleCall,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> tuple[int, int, int, int]:
    """The pads of a window (top, left, bottom, right)."""
    if call.layer.word("padding", "valid", "valid", "same") == "valid":
        return (0, 0, 0, 0)
    top, bottom = same_pads(size[0], kernel[0], stride[0], dilation[0])
    left, right = same_pads(size[1], kernel[1], stride[1], dilation[1])
    return top, left, bottom, right


def window_sizes(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int, int, int],
    dilation: tuple[int, int] = (1, 1),
) -> tuple[int, int]:
    """Height and width of what a window makes."""
    first, second = (
        (size[i] + pad[i] + pad[i + 2] - (kernel[i] - 1) * dilation[i] - 1) // stride[i] + 1
        for i in (0, 1)
    )
    return first, second


def _rows(numbers: Any) -> Any:
    """A kernel of rows x columns x channels x filters as PyTorch has it."""
    return numbers.transpose(3, 2, 0, 1)


def turned_kernel(kernel: ProgramConstant) -> ProgramConstant:
    """A kernel of rows x columns x channels x filters as filters x channels x rows x columns."""
    rows, columns, channels, filters = kernel.shape
    return kernel.changed((filters, channels, rows, columns), _rows, "kernel")


def depthwise_kernel(kernel: ProgramConstant) -> ProgramConstant:
    """A kernel of rows x columns x channels x multiplier, the filters of a channel in a row."""
    rows, columns, channels, many = kernel.shape
    shape = (channels * many, 1, rows, columns)

    def change(numbers: Any) -> Any:
        return numbers.transpose(2, 3, 0, 1).reshape(shape)

    return kernel.changed(shape, change, "depthwise")


def _bias(call: RuleCall, index: int, count: int) -> ProgramConstant | None:
    return call.weight(index, "bias", count) if call.layer.flag("use_bias", True) else None


def _conv(
    call: RuleCall,
    x: ProgramTensor,
    weight: ProgramConstant,
    bias: ProgramConstant | None,
    groups: int,
    step: str = "",
) -> ProgramTensor:
    layer = call.layer
    kernel = (weight.shape[2], weight.shape[3])
    stride, dilation = layer.pair("strides"), layer.pair("dilation_rate")
    size = (x.shape[2], x.shape[3])
    pad = window_pads(call, size, kernel, stride, dilation)
    sizes = window_sizes(size, kernel, stride, pad, dilation)
    tensors = [x, call.tensor(weight), call.tensor(bias, "bias")]
    shape = (x.shape[0], weight.shape[0], *sizes)
    fields: dict[str, Any] = {"stride": stride, "pad": pad, "dilation": dilation, "groups": groups}
    if layer.config.get("padding") == "same":
        fields["same"] = True
    return call.emit("conv", tensors, shape, step, **fields)


def conv2d(call: RuleCall) -> KerasValue:
    x, layer = call.map(), call.layer
    filters, groups = layer.integer("filters"), layer.integer("groups", 1)
    channels = x.shape[1]
    if channels % groups or filters % groups:
        message = f"{groups} groups do not divide {channels} and {filters} channels"
        raise call.error(message, "groups-mismatch")
    kernel = call.weight(0, "kernel", *layer.pair("kernel_size"), channels // groups, filters)
    made = _conv(call, x, turned_kernel(kernel), _bias(call, 1, filters), groups)
    return activated(call, call.of_map(made))


def depthwise_conv2d(call: RuleCall) -> KerasValue:
    x, layer = call.map(), call.layer
    many, channels = layer.integer("depth_multiplier", 1), x.shape[1]
    names = "depthwise_kernel kernel"
    kernel = call.weight(0, names, *layer.pair("kernel_size"), channels, many)
    bias = _bias(call, 1, channels * many)
    made = _conv(call, x, depthwise_kernel(kernel), bias, channels)
    return activated(call, call.of_map(made))


def separable_conv2d(call: RuleCall) -> KerasValue:
    x, layer = call.map(), call.layer
    many, channels, filters = (
        layer.integer("depth_multiplier", 1),
        x.shape[1],
        layer.integer("filters"),
    )
    call.module("SeparableConv2D")
    kernel = call.weight(0, "depthwise_kernel", *layer.pair("kernel_size"), channels, many)
    x = _conv(call, x, depthwise_kernel(kernel), None, channels, "depthwise")
    kernel = call.weight(1, "pointwise_kernel", 1, 1, channels * many, filters)
    tensors = [
        *(x, call.tensor(turned_kernel(kernel))),
        call.tensor(_bias(call, 2, filters), "bias"),
    ]
    shape = (x.shape[0], filters, *x.shape[2:])
    none = {"stride": (1, 1), "pad": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}
    return activated(call, call.of_map(call.emit("conv", tensors, shape, "pointwise", **none)))


def conv2d_transpose(call: RuleCall) -> KerasValue:
    """Keras gives `same` input times stride rows, and pads so that TensorFlow's gradient does."""
    x, layer = call.map(), call.layer
    filters, channels = layer.integer("filters"), x.shape[1]
    kernel, stride = layer.pair("kernel_size"), layer.pair("strides")
    dilation = layer.pair("dilation_rate")
    if layer.integer("groups", 1) != 1:
        raise call.error("a Conv2DTranspose in groups can't be expressed")
    same = layer.word("padding", "valid", "valid", "same") == "same"
    more = None
    if layer.config.get("output_padding") is not None:
        more = layer.pair("output_padding", least=0)
    cuts, added, sizes = [], [], []
    for i in (0, 1):
        reach = (kernel[i] - 1) * dilation[i] + 1
        if not same:
            front, behind = 0, max(reach, stride[i]) - reach if more is None else more[i]
        else:
            total = stride[i] + reach - 2 if more is None else reach + reach % 2 - 2 + more[i]
            before = min(total // 2 + total % 2, reach - 1)
            front, behind = reach - 1 - before, total - before - (reach - 1)
        cuts.append((front, max(-behind, 0)))
        added.append(max(behind, 0))
        sizes.append((x.shape[2 + i] - 1) * stride[i] + reach - front + behind)
    names = "kernel"
    weight = turned_kernel(call.weight(0, names, *kernel, filters, channels))
    bias = _bias(call, 1, filters)
    made = call.emit(
        "conv_transpose",
        [x, call.tensor(weight), call.tensor(bias, "bias")],
        (x.shape[0], filters, *sizes),
        stride=stride,
        pad=(cuts[0][0], cuts[1][0], cuts[0][1], cuts[1][1]),
        output_pad=(added[0], added[1]),
        dilation=dilation,
        groups=1,
    )
    return activated(call, call.of_map(made))


def dense(call: RuleCall) -> KerasValue:
    """Over the last axis; of a map it is a convolution of single places."""
    x, units = call.x, call.layer.integer("units")
    inputs = x.shape[-1]
    kernel, bias = call.weight(0, "kernel", inputs, units), _bias(call, 1, units)
    if x.turned is not None:
        single = (units, inputs, 1, 1)

        def change(numbers: Any) -> Any:
            return numbers.T.reshape(single)

        weight = kernel.changed(single, change, "dense map")
        tensors = [x.turned, call.tensor(weight), call.tensor(bias, "bias")]
        none = {"stride": (1, 1), "pad": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}
        sizes = (x.turned.shape[0], units, *x.turned.shape[2:])
        made = call.emit("conv", tensors, sizes, **none)
        return activated(call, KerasValue((*x.shape[:-1], units), None, made))
    if len(x.shape) < 2:
        raise call.error("it needs a vector", "wrong-rank")
    weight = kernel.changed((units, inputs), lambda numbers: numbers.T, "dense")
    tensors = [call.own(x), call.tensor(weight), call.tensor(bias, "bias")]
    shape = (*x.shape[:-1], units)
    return activated(call, KerasValue(shape, call.emit("linear", tensors, shape), None))


CONVOLUTIONS: dict[str, Callable[[RuleCall], KerasValue]] = {
    "Conv2D": conv2d,
    "Convolution2D": conv2d,
    "DepthwiseConv2D": depthwise_conv2d,
    "SeparableConv2D": separable_conv2d,
    "SeparableConvolution2D": separable_conv2d,
    "Conv2DTranspose": conv2d_transpose,
    "Convolution2DTranspose": conv2d_transpose,
    "Dense": dense,
}
