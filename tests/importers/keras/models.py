"""Small models, each of several layers that have something in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

MODELS: dict[str, Callable[[], Any]] = {}


def model(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Add a model: a function of its input, by default of 9x8 with 3 channels."""
    MODELS[build.__name__] = lambda: _model(build)
    return build


def _model(build: Callable[[Any], Any], shape: tuple[int, ...] = (9, 8, 3)) -> Any:
    keras.utils.clear_session()
    given = keras.Input(shape)
    return keras.Model(given, build(given), name=build.__name__)


@model
def convolutions(x: Any) -> Any:
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Conv2D(4, (2, 3), padding="same", groups=2, use_bias=False, dilation_rate=2)(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="silu")(x)
    x = layers.SeparableConv2D(5, 3, padding="same", depth_multiplier=2)(x)
    return layers.Conv2D(3, 4, strides=3, padding="same")(x)


@model
def transposed(x: Any) -> Any:
    made = [
        layers.Conv2DTranspose(2, 3, strides=2, padding="same")(x),
        layers.Conv2DTranspose(2, 2, strides=3, padding="valid", use_bias=False)(x),
        layers.Conv2DTranspose(3, 4, strides=2, padding="same", activation="tanh")(x),
        layers.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=1)(x),
        layers.Conv2DTranspose(2, 2, strides=3, padding="same")(x),
    ]
    return made


@model
def gates(x: Any) -> Any:
    """A vector spreads over the map, as Keras has it."""
    gate = layers.Dense(3, activation="sigmoid")(layers.GlobalAveragePooling2D()(x))
    return layers.Average()([layers.Multiply()([x, gate]), layers.Add()([gate, x])])


@model
def poolings(x: Any) -> Any:
    return [
        layers.MaxPooling2D(3, strides=2, padding="same")(x),
        layers.AveragePooling2D(3, strides=(2, 1), padding="same")(x),
        layers.AveragePooling2D((2, 3))(x),
        layers.GlobalAveragePooling2D()(x),
        layers.Conv2D(2, 1)(layers.GlobalMaxPooling2D(keepdims=True)(x)),
        layers.MaxPooling2D((4, 2), strides=1)(layers.ZeroPadding2D(((1, 2), (0, 1)))(x)),
    ]


@model
def normalizations(x: Any) -> Any:
    x = layers.Conv2D(4, 1)(x)
    for fields in ({}, {"scale": False, "momentum": 0.9}, {"center": False}):
        x = layers.BatchNormalization(**fields)(x)
    x = layers.LayerNormalization(epsilon=1e-5)(x)
    x = layers.GroupNormalization(2)(x)
    x = layers.GroupNormalization(-1)(x)
    x = layers.Rescaling(0.5, offset=-1.0)(x)
    x = layers.Normalization()(x)
    x = layers.Normalization(mean=[1.0, 2.0, 3.0, 0.5], variance=[1.0, 2.0, 0.5, 1.5])(x)
    return layers.UnitNormalization()(x)


@model
def vectors(x: Any) -> Any:
    """The columns of the first Dense are in the order of rows, columns and channels."""
    x = layers.Conv2D(5, 3, activation="relu")(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(7, activation=layers.LeakyReLU(negative_slope=0.2))(x)
    x = layers.BatchNormalization()(x)
    x = layers.LayerNormalization()(x)
    x = layers.PReLU()(x)
    return layers.Dense(4, activation="softmax")(x)


@model
def activations(x: Any) -> Any:
    names = "relu6 elu selu sigmoid tanh softplus softsign silu gelu hard_sigmoid hard_silu mish"
    x = layers.Conv2D(2, 1)(x)
    parts = [layers.Activation(name)(x) for name in [*names.split(), "leaky_relu", "softmax"]]
    parts += [
        layers.ReLU(max_value=2.0)(x),
        layers.ReLU(negative_slope=0.1)(x),
        layers.ReLU(max_value=1.5, negative_slope=0.1)(x),
        layers.ReLU(threshold=0.3)(x),
        layers.LeakyReLU(negative_slope=0.3)(x),
        layers.ELU(alpha=0.5)(x),
        layers.Softmax()(x),
        layers.PReLU(shared_axes=[1, 2])(x),
        ops.gelu(x, approximate=True),
    ]
    return layers.Concatenate()(parts)


@model
def merges(x: Any) -> Any:
    a, b = layers.Conv2D(4, 1)(x), layers.Conv2D(4, 1)(x)
    gate = layers.GlobalAveragePooling2D()(a)
    gate = layers.Reshape((1, 1, 4))(layers.Dense(4, activation="sigmoid")(gate))
    parts = [
        layers.Add()([a, b, a]),
        layers.Subtract()([a, b]),
        layers.Multiply()([a, gate]),
        layers.Average()([a, b, b]),
        layers.Maximum()([a, b]),
        layers.Minimum()([a, b]),
    ]
    return [layers.Concatenate(axis=-1)(parts), layers.Concatenate(axis=1)([a, b])]


@model
def rearranging(x: Any) -> Any:
    x = layers.Conv2D(4, 1)(x)
    return [
        layers.Cropping2D(((1, 2), (0, 3)))(x),
        layers.UpSampling2D((2, 3))(x),
        layers.UpSampling2D(2, interpolation="bilinear")(x),
        layers.Dense(3)(layers.Permute((3, 1, 2))(x)),
        layers.Dense(3)(layers.Reshape((12, 24))(x)),
        layers.Dense(3)(layers.Flatten()(layers.Permute((2, 3, 1))(x))),
    ]


@model
def functions(x: Any) -> Any:
    x = layers.Conv2D(4, 1)(x)
    x = ops.relu6(x + 3.0) * (1 / 6) * x
    mean = ops.mean(x, axis=[1, 2], keepdims=True)
    x = (x - mean) / 2.0 + ops.max(x, axis=(1, 2), keepdims=True)
    a, b = ops.split(x, 2, axis=-1)
    x = ops.concatenate([b, ops.sigmoid(a)], axis=-1)
    x = x[:, 1:, 2:7, :]
    x = ops.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0)))
    x = ops.clip(1.0 - x, -1.0, 0.5)
    return ops.reshape(x, (-1, 9 * 7 * 4))


@model
def shuffle(x: Any) -> Any:
    """A shuffle of channels, as ShuffleNets in Keras have it."""
    x = layers.Conv2D(6, 1)(x)
    x = layers.Reshape((9, 8, 2, 3))(x)
    x = layers.Permute((1, 2, 4, 3))(x)
    return layers.Conv2D(4, 3, groups=2)(layers.Reshape((9, 8, 6))(x))


@model
def nested(x: Any) -> Any:
    """Models in models, called twice; a layer that is called twice has its weights once."""
    inside = keras.Input((9, 8, 3))
    stem = layers.Conv2D(3, 3, padding="same", name="conv")(inside)
    stem = layers.BatchNormalization(name="norm")(stem)
    shared = layers.Conv2D(3, 1, name="again")
    encoder = keras.Model(inside, shared(layers.ReLU()(shared(stem))), name="encoder")
    head = keras.Sequential(
        [layers.Conv2D(2, 3, name="conv"), layers.Flatten(), layers.Dense(3)], name="head"
    )
    return head(encoder(encoder(x)))


def sequential() -> Any:
    keras.utils.clear_session()
    return keras.Sequential(
        [
            layers.Input((8, 8, 1), name="digits"),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ],
        name="digits_net",
    )


def channels_first() -> Any:
    keras.utils.clear_session()
    given = keras.Input((3, 8, 8))
    form = {"data_format": "channels_first"}
    x = layers.Conv2D(4, 3, padding="same", **form)(given)
    x = layers.BatchNormalization(axis=1)(x)
    x = layers.MaxPooling2D(2, **form)(layers.ReLU()(x))
    x = layers.Concatenate(axis=1)([x, layers.Activation("tanh")(x)])
    x = layers.Dense(3)(layers.Flatten(**form)(x))
    return keras.Model(given, x, name="first")


def two_inputs() -> Any:
    keras.utils.clear_session()
    picture, facts = keras.Input((6, 6, 2), name="picture"), keras.Input((5,), name="facts")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(picture))
    x = layers.Concatenate()([x, layers.Dense(3, activation="relu")(facts)])
    return keras.Model([picture, facts], [layers.Dense(2)(x), x], name="two")
