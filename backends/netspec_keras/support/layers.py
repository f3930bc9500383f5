"""Layers that Keras lacks, how filters that interpolate begin, and a model that loads weights."""

from __future__ import annotations

from pathlib import Path
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
        self.gamma_initializer = gamma_initializer if scale else None
        self.beta_initializer = beta_initializer if center else None

    def build(self, input_shape: tuple[int, ...]) -> None:
        shape, self.gamma, self.beta = input_shape[-1:], 1.0, 0.0
        if self.gamma_initializer is not None:
            self.gamma = self.add_weight(shape, self.gamma_initializer, name="gamma")
        if self.beta_initializer is not None:
            self.beta = self.add_weight(shape, self.beta_initializer, name="beta")

    def call(self, x: Tensor) -> Tensor:
        return x * self.gamma + self.beta


class LearnedArray(layers.Layer):
    """A learned tensor, the same for each sample of x."""

    def __init__(self, *shape: int, value_initializer: Any = "zeros", trainable: bool = True):
        super().__init__(trainable=trainable)
        self.value = self.add_weight(shape, value_initializer, name="value")

    def call(self, x: Tensor) -> Tensor:
        return ops.broadcast_to(self.value, (ops.shape(x)[0], *self.value.shape))


class ConvTranspose2D(layers.Layer):
    """A transposed convolution cut off by pads: ((top, bottom), (left, right)).

    The kernel is (height, width, filters / groups, channels).
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = 1,
        pads: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
        output_padding: int | tuple[int, int] = 0,
        dilation_rate: int | tuple[int, int] = 1,
        groups: int = 1,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        trainable: bool = True,
    ) -> None:
        super().__init__(trainable=trainable)
        self.filters, self.groups, self.pads, self.use_bias = filters, groups, pads, use_bias
        given = (kernel_size, strides, output_padding, dilation_rate)
        self.windows = [(n, n) if isinstance(n, int) else n for n in given]
        self.initializers = kernel_initializer, bias_initializer

    def build(self, input_shape: tuple[int, ...]) -> None:
        shape = (*self.windows[0], self.filters // self.groups, input_shape[-1])
        self.kernel = self.add_weight(shape, self.initializers[0], name="kernel")
        if self.use_bias:
            self.bias = self.add_weight((self.filters,), self.initializers[1], name="bias")

    def call(self, x: Tensor) -> Tensor:
        # Zeros between the elements, and an ordinary convolution with the kernel turned round.
        (rows, columns), (down, across), more, dilation = self.windows
        _, height, width, channels = x.shape
        x = ops.reshape(x, (-1, height, 1, width, 1, channels))
        x = ops.pad(x, ((0, 0), (0, 0), (0, down - 1), (0, 0), (0, across - 1), (0, 0)))
        x = ops.reshape(x, (-1, height * down, width * across, channels))
        spans = dilation[0] * (rows - 1), dilation[1] * (columns - 1)
        x = ops.pad(x, ((0, 0), *((n, n + m) for n, m in zip(spans, more, strict=True)), (0, 0)))
        parts = (rows, columns, -1, self.groups, channels // self.groups)
        kernel = ops.transpose(ops.reshape(ops.flip(self.kernel, (0, 1)), parts), (0, 1, 4, 3, 2))
        kernel = ops.reshape(kernel, (rows, columns, channels // self.groups, self.filters))
        x = ops.conv(x, kernel, dilation_rate=dilation, data_format="channels_last")
        (top, bottom), (left, right) = self.pads
        last = (height - 1) * down + spans[0] + more[0], (width - 1) * across + spans[1] + more[1]
        x = x[:, top : last[0] + 1 - bottom, left : last[1] + 1 - right]
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


class Network(keras.Model):
    """A model that loads weights."""

    def named_weights(self) -> dict[str, Any]:
        """The weights by the attributes that lead to them: `fire2.squeeze.kernel`."""
        found: dict[str, Any] = {}
        pending: list[tuple[str, Any]] = [("", self)]
        for path, layer in pending:
            kept = {**vars(layer), **vars(layer).get("_modules", {})}
            inner = {name: x for name, x in kept.items() if isinstance(x, layers.Layer)}
            pending += [(f"{path}{name}.", x) for name, x in inner.items()]
            found |= {} if inner else {path + w.name: w for w in layer.weights}
        return found

    def load(self, path: str | Path, strict: bool = True) -> list[str]:
        """Load a .npz or .safetensors file that `netspec weights convert --names keras` wrote.

        RuntimeError, before anything is changed, where a shape differs, and where a name is only
        in the file or only in the model. `strict=False` passes over such names and returns them.
        """
        if Path(path).suffix == ".safetensors":
            from safetensors.numpy import load_file

            file = load_file(path)
        else:
            file = dict(np.load(path))
        own = self.named_weights()
        single = [*(n for n in own if n not in file), *(n for n in file if n not in own)]
        wrong = [f"{n} is only in the {'model' if n in own else 'file'}" for n in single if strict]
        for name, weight in own.items():
            if name in file and tuple(weight.shape) != file[name].shape:
                shapes = file[name].shape, tuple(weight.shape)
                wrong.append("{} is {} in the file and {} in the model".format(name, *shapes))
        if wrong:
            raise RuntimeError(f"weights of {path} do not fit: {'; '.join(wrong)}")
        for name in own.keys() & file.keys():
            own[name].assign(file[name])
        return single
