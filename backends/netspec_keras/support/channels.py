"""Layers that Keras lacks, and how filters that interpolate begin."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

Tensor = Any


class ScaleAndShift(layers.Layer):
    """A learned factor per channel, and a learned shift; or one of them."""

    def __init__(
        self,
        center: bool = True,
        scale: bool = True,
        gamma_initializer: Any = "ones",
        beta_initializer: Any = "zeros",
        trainable: bool = True,
    ) -> None:
        super().__init__(trainable=trainable)
        self.center, self.scale = center, scale
        self.gamma_initializer = keras.initializers.get(gamma_initializer)
        self.beta_initializer = keras.initializers.get(beta_initializer)

    def build(self, input_shape: tuple[int, ...]) -> None:
        shape = input_shape[-1:]
        if self.scale:
            self.gamma = self.add_weight(shape, self.gamma_initializer, name="gamma")
        if self.center:
            self.beta = self.add_weight(shape, self.beta_initializer, name="beta")

    def call(self, x: Tensor) -> Tensor:
        x = x * self.gamma if self.scale else x
        return x + self.beta if self.center else x


class LearnedArray(layers.Layer):
    """A learned tensor, the same for each sample of x."""

    def __init__(
        self, *shape: int, value_initializer: Any = "zeros", trainable: bool = True
    ) -> None:
        super().__init__(trainable=trainable)
        self.shape = shape
        self.value_initializer = keras.initializers.get(value_initializer)

    def build(self, input_shape: tuple[int, ...]) -> None:
        self.value = self.add_weight(self.shape, self.value_initializer, name="value")

    def call(self, x: Tensor) -> Tensor:
        return ops.broadcast_to(self.value, (ops.shape(x)[0], *self.shape))


class ConvTranspose2D(layers.Layer):
    """A transposed convolution whose result is cut off by any pads (top, bottom, left, right).

    The kernel is (height, width, filters / groups, channels).
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, ...],
        strides: int | tuple[int, ...] = 1,
        pads: tuple[int, ...] = (0, 0, 0, 0),
        output_padding: int | tuple[int, ...] = 0,
        dilation_rate: int | tuple[int, ...] = 1,
        groups: int = 1,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        trainable: bool = True,
    ) -> None:
        super().__init__(trainable=trainable)
        self.filters, self.groups, self.use_bias = filters, groups, use_bias
        given = (kernel_size, strides, output_padding, dilation_rate)
        pairs = [(n, n) if isinstance(n, int) else n for n in given]
        self.kernel_size, self.strides, self.output_padding, self.dilation_rate = pairs
        self.pads = pads
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: tuple[int, ...]) -> None:
        shape = (*self.kernel_size, self.filters // self.groups, input_shape[-1])
        self.kernel = self.add_weight(shape, self.kernel_initializer, name="kernel")
        if self.use_bias:
            self.bias = self.add_weight((self.filters,), self.bias_initializer, name="bias")

    def call(self, x: Tensor) -> Tensor:
        # Zeros between the elements, and an ordinary convolution with the kernel turned round.
        height, width, channels = x.shape[1:]
        down, across = self.strides
        x = ops.reshape(x, (-1, height, 1, width, 1, channels))
        x = ops.pad(x, ((0, 0), (0, 0), (0, down - 1), (0, 0), (0, across - 1), (0, 0)))
        x = ops.reshape(x, (-1, height * down, width * across, channels))
        for axis in (0, 1):
            span = self.dilation_rate[axis] * (self.kernel_size[axis] - 1)
            before, after = (span - n for n in self.pads[2 * axis : 2 * axis + 2])
            after += self.output_padding[axis] - self.strides[axis] + 1
            kept: list[slice] = [slice(None)] * 4
            kept[axis + 1] = slice(max(-before, 0), x.shape[axis + 1] - max(-after, 0))
            sides = [(0, 0)] * 4
            sides[axis + 1] = (max(before, 0), max(after, 0))
            x = ops.pad(x[tuple(kept)], sides)
        kernel = ops.flip(self.kernel, (0, 1))
        rows, columns, per_group, _ = kernel.shape
        parts = (rows, columns, per_group, self.groups, channels // self.groups)
        kernel = ops.transpose(ops.reshape(kernel, parts), (0, 1, 4, 3, 2))
        kernel = ops.reshape(kernel, (rows, columns, channels // self.groups, self.filters))
        x = ops.conv(x, kernel, dilation_rate=self.dilation_rate, data_format="channels_last")
        return x + self.bias if self.use_bias else x


def bilinear(shape: tuple[int, ...], dtype: Any = None) -> Tensor:
    """Filters with the weights of a bilinear interpolation."""
    sides = []
    for size in shape[:2]:
        half = (size + 1) // 2
        middle = (2 * half - 1 - half % 2) / (2 * half)
        sides.append(1 - np.abs(np.arange(size) / half - middle))
    filters = np.broadcast_to(np.outer(sides[0], sides[1])[..., None, None], shape)
    return ops.cast(filters, dtype or "float32")


def named_weights(layer: Any, path: str = "") -> dict[str, Any]:
    """The weights of a layer by the attributes that lead to them: `fire2.squeeze.kernel`."""
    kept = {**vars(layer), **vars(layer).get("_modules", {})}
    inner = {name: x for name, x in kept.items() if isinstance(x, layers.Layer)}
    found = {} if inner else {path + w.name: w for w in layer.weights}
    for name, x in inner.items():
        found |= named_weights(x, f"{path}{name}.")
    return found
