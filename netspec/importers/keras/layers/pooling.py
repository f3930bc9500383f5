"""Poolings: windows, and those over the whole map."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from netspec.importers.keras.layers.convolution import window_pads, window_sizes
from netspec.importers.keras.translate import KerasValue, RuleCall


def _pool(kind: str, call: RuleCall) -> KerasValue:
    """`same` pads count for no average, and are less than every number for a maximum."""
    x, layer = call.map(), call.layer
    kernel = layer.pair("pool_size", 2)
    stride = layer.pair("strides", list(kernel))
    size = (x.shape[2], x.shape[3])
    pad = window_pads(call, size, kernel, stride)
    shape = (*x.shape[:2], *window_sizes(size, kernel, stride, pad))
    more = (
        {"ceil": False, "dilation": (1, 1)}
        if kind == "maxpool"
        else {"ceil": False, "count_include_pad": False}
    )
    made = call.emit(kind, [x], shape, kernel=kernel, stride=stride, pad=pad, **more)
    return call.of_map(made)


def _global(kind: str, call: RuleCall) -> KerasValue:
    x = call.map()
    keeps = call.layer.flag("keepdims", False)
    shape = (*x.shape[:2], 1, 1) if keeps else x.shape[:2]
    made = call.emit(kind, [x], shape, axes=(2, 3), keepdims=keeps)
    return call.of_map(made) if keeps else KerasValue(shape, made, None)


def _adaptive(kind: str, call: RuleCall) -> KerasValue:
    x, size = call.map(), call.layer.pair("output_size")
    return call.of_map(call.emit(kind, [x], (*x.shape[:2], *size), size=size))


POOLINGS: dict[str, Callable[[RuleCall], KerasValue]] = {
    "MaxPooling2D": partial(_pool, "maxpool"),
    "MaxPool2D": partial(_pool, "maxpool"),
    "AveragePooling2D": partial(_pool, "avgpool"),
    "AvgPool2D": partial(_pool, "avgpool"),
    "GlobalAveragePooling2D": partial(_global, "mean"),
    "GlobalAvgPool2D": partial(_global, "mean"),
    "GlobalMaxPooling2D": partial(_global, "max"),
    "GlobalMaxPool2D": partial(_global, "max"),
    "AdaptiveAveragePooling2D": partial(_adaptive, "adaptive_avgpool"),
    "AdaptiveMaxPooling2D": partial(_adaptive, "adaptive_maxpool"),
}
