"""Functions that a model calls between its layers: those of keras.ops, and TensorFlow's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from netspec.importers.keras.config import shown
from netspec.importers.keras.layers.activation import gelu, softmax
from netspec.importers.keras.layers.merging import concatenated
from netspec.importers.keras.layers.rearranging import cut, padded, permuted, reshaped, resized
from netspec.importers.keras.translate import KerasValue, RuleCall
from netspec.importers.tensors.program import ProgramTensor


def argument(call: RuleCall, place: int, *names: str, default: Any = None) -> Any:
    """An argument by its place or one of its names, from the call or from the config."""
    if place < len(call.args):
        return call.args[place]
    for where in (call.kwargs, call.layer.config):
        for name in names:
            if where.get(name) is not None:
                return where[name]
    return default


def _value(call: RuleCall) -> KerasValue:
    x = argument(call, 0, "x", "inputs", "input", "images", "a", "data")
    if not isinstance(x, KerasValue):
        raise call.error("its input is no tensor of the model", "wrong-type")
    return x


def _two(kind: str, call: RuleCall) -> KerasValue:
    x = call.operand(argument(call, 0, "x1", "x", "a"))
    y = call.operand(argument(call, 1, "x2", "y", "b"))
    if not isinstance(x, KerasValue) and not isinstance(y, KerasValue):
        raise call.error("its inputs are no tensors of the model", "wrong-type")
    return call.elementwise(kind, x, y)


def _plain(kind: str, call: RuleCall) -> KerasValue:
    return call.unary(kind, _value(call))


def _reduce(kind: str, call: RuleCall) -> KerasValue:
    x = _value(call)
    said = argument(call, 1, "axis")
    if said is None:
        raise call.error("a function of the whole batch can't be expressed")
    axes = sorted({call.axis(x, a) for a in (said if isinstance(said, list) else [said])})
    keeps = argument(call, 2, "keepdims", "keep_dims", default=False) is True
    shape = tuple(1 if i in axes else d for i, d in enumerate(x.shape) if keeps or i not in axes)
    # With channels left in front, the rest is in the order of the language.
    if x.turned is not None and (keeps or axes == [1, 2]):
        tensor = x.turned
        at = tuple(sorted((0, 3, 1, 2).index(a) for a in axes))
        made = tuple(shape[i] for i in (0, 3, 1, 2)) if keeps else shape
        result = call.emit(kind, [tensor], made, axes=at, keepdims=keeps)
        return KerasValue(shape, None, result) if keeps else KerasValue(shape, result, None)
    result = call.emit(kind, [call.own(x)], shape, axes=tuple(axes), keepdims=keeps)
    return KerasValue(shape, result, None)


def _square(call: RuleCall) -> KerasValue:
    return call.elementwise("pow", _value(call), call.constant(2.0))


def _power(call: RuleCall) -> KerasValue:
    return _two("pow", call)


def _relu(call: RuleCall) -> KerasValue:
    """Keras's function, or TensorFlow's; the layer's own fields are for the former."""
    return call.unary("relu", _value(call))


def _leaky_relu(call: RuleCall) -> KerasValue:
    slope = argument(call, 1, "negative_slope", "alpha", default=0.2)
    if type(slope) not in (int, float):
        raise call.error("its slope is no number", "wrong-type")
    return call.unary("leaky_relu", _value(call), slope=float(slope))


def _gelu(call: RuleCall) -> KerasValue:
    default = call.layer.kind == "Gelu"  # of keras.ops; TensorFlow's is exact
    return gelu(call, _value(call), argument(call, 1, "approximate", default=default) is True)


def _softmax(kind: str, call: RuleCall) -> KerasValue:
    return softmax(call, _value(call), argument(call, 1, "axis", default=-1), kind)


def _clip(call: RuleCall) -> KerasValue:
    least = argument(call, 1, "x_min", "clip_value_min")
    most = argument(call, 2, "x_max", "clip_value_max")
    if not all(type(n) in (int, float) for n in (least, most)):
        raise call.error("its limits are no numbers", "wrong-type")
    if (least, most) == (0, 6):
        return call.unary("relu6", _value(call))
    return call.unary("clamp", _value(call), min=float(least), max=float(most))


def _reshape(call: RuleCall) -> KerasValue:
    shape = argument(call, 1, "newshape", "shape")
    x = _value(call)
    if not isinstance(shape, list) or not shape or shape[0] not in (-1, None, x.shape[0]):
        raise call.error("a reshape that changes the batch can't be expressed")
    return reshaped(call, x, shape[1:])


def _transpose(call: RuleCall) -> KerasValue:
    order = argument(call, 1, "axes", "perm")
    x = _value(call)
    if not isinstance(order, list):
        raise call.error("a transpose of the batch can't be expressed")
    return permuted(call, x, [call.axis(x, a) for a in order])


def _squeeze(call: RuleCall) -> KerasValue:
    x = _value(call)
    said = argument(call, 1, "axis")
    axes = (
        [i for i, d in enumerate(x.shape) if i and d == 1]
        if said is None
        else [call.axis(x, a) for a in (said if isinstance(said, list) else [said])]
    )
    if any(x.shape[a] != 1 for a in axes) or 0 in axes:
        raise call.error("an axis that it takes away is larger than 1", "shape-mismatch")
    return reshaped(call, x, [d for i, d in enumerate(x.shape) if i and i not in axes])


def _expand_dims(call: RuleCall) -> KerasValue:
    x = _value(call)
    said = argument(call, 1, "axis")
    shape = list(x.shape)
    for axis in said if isinstance(said, list) else [said]:
        rank = len(shape) + 1
        if type(axis) is not int or not -rank <= axis < rank or axis % rank == 0:
            raise call.error("it adds no axis behind the batch", "out-of-range")
        shape.insert(axis % rank, 1)
    return reshaped(call, x, shape[1:])


def _concatenate(call: RuleCall) -> KerasValue:
    values = argument(call, 0, "xs", "values")
    axis = argument(call, 1, "axis", default=0)
    if not isinstance(values, list) or not all(isinstance(v, KerasValue) for v in values):
        raise call.error("its inputs are no tensors of the model", "wrong-type")
    return concatenated(call, values, axis)


def _split(call: RuleCall) -> list[KerasValue]:
    x = _value(call)
    said, axis = (
        argument(call, 1, "indices_or_sections", "num_or_size_splits"),
        call.axis(x, argument(call, 2, "axis", default=0)),
    )
    size = x.shape[axis]
    if type(said) is int and 0 < said <= size and size % said == 0:
        ends = [size // said * (i + 1) for i in range(said)]
    elif isinstance(said, list) and all(type(v) is int for v in said):
        ends = [*said, size]
        if call.layer.kind == "TFOpLambda":  # sizes, where Keras says places
            ends = [sum(said[: i + 1]) for i in range(len(said))]
    else:
        raise call.error("its parts can't be read", "wrong-type")
    starts = [0, *ends[:-1]]
    if ends[-1] != size or any(a >= b for a, b in zip(starts, ends, strict=True)):
        raise call.error("its parts do not make up its input", "shape-mismatch")
    tensor, place, result = call.either(x)
    sizes = tuple(b - a for a, b in zip(starts, ends, strict=True))
    at = place(axis)
    parts = []
    for i, part in enumerate(sizes):
        shape = list(tensor.shape)
        shape[at] = part
        parts.append(ProgramTensor(f"{call.name}_{i}", tuple(shape)))
    call.emit_all("split", [tensor], parts, axis=at, sizes=sizes)
    return [result(part) for part in parts]


def _get_item(call: RuleCall) -> KerasValue:
    x = _value(call)
    key = argument(call, 1, "key", "slice_spec")
    keys = key if isinstance(key, list) else [key]
    if any(k == "..." or k is Ellipsis for k in keys):
        at = next(i for i, k in enumerate(keys) if k == "..." or k is Ellipsis)
        filled = [slice(None)] * (len(x.shape) - len(keys) + 1)
        keys = [*keys[:at], *filled, *keys[at + 1 :]]
    if len(keys) > len(x.shape):
        raise call.error("it has more indices than axes", "out-of-range")
    tensor, place, result = call.either(x)
    gone = []
    for axis, k in enumerate(keys):
        size = x.shape[axis]
        if isinstance(k, dict):  # of Keras 2: {"start": ..., "stop": ..., "step": ...}
            k = slice(*(k.get(n) for n in ("start", "stop", "step")))
        if type(k) is int and -size <= k < size and axis:
            gone.append(axis)
            k = slice(k % size, k % size + 1)
        if not isinstance(k, slice) or not all(
            e is None or type(e) is int for e in (k.start, k.stop, k.step)
        ):
            raise call.error("an index of it can't be read", "wrong-type")
        if axis == 0:
            if k != slice(None):
                raise call.error("a part of the batch can't be expressed")
            continue
        if k.step is not None and k.step < 1:
            raise call.error("a slice that runs back can't be expressed")
        start, end, step = k.indices(size)
        tensor = cut(call, tensor, place(axis), start, end, step)
    value = result(tensor)
    if gone:
        return reshaped(call, value, [d for i, d in enumerate(value.shape) if i and i not in gone])
    return value


def _pad(call: RuleCall) -> KerasValue:
    x = _value(call)
    widths = argument(call, 1, "pad_width", "paddings")
    mode = argument(call, 2, "mode", default="constant")
    number = argument(call, 3, "constant_values", default=0.0)
    if isinstance(widths, list) and all(type(w) is int for w in widths) and len(widths) == 2:
        widths = [widths] * len(x.shape)
    good = isinstance(widths, list) and len(widths) == len(x.shape)
    if not good or not all(
        isinstance(w, list) and len(w) == 2 and all(type(v) is int and 0 <= v < 1 << 40 for v in w)
        for w in widths
    ):
        raise call.error("its widths can't be read", "wrong-type")
    if str(mode).lower() != "constant" or type(number) not in (int, float) or widths[0] != [0, 0]:
        raise call.error("only pads of one number around a picture can be expressed")
    tensor, place, result = call.either(x)
    order = sorted(range(len(x.shape)), key=place)
    before, after = ([widths[i][side] for i in order] for side in (0, 1))
    return result(padded(call, tensor, before, after, float(number)))


def _resize(call: RuleCall) -> KerasValue:
    x = _value(call)
    size = argument(call, 1, "size")
    mode = argument(call, 2, "interpolation", "method", default="bilinear")
    good = isinstance(size, list) and len(size) == 2 and all(type(v) is int for v in size)
    if not good or mode not in ("nearest", "bilinear"):
        raise call.error("a resizing other than nearest or bilinear can't be expressed")
    return call.of_map(resized(call, call.map(x), (size[0], size[1]), mode, None))


def _identity(call: RuleCall) -> KerasValue:
    return call.unary("identity", _value(call))


def _flip(call: RuleCall) -> KerasValue:
    x = _value(call)
    tensor, place, result = call.either(x)
    axis = call.axis(x, argument(call, 1, "axis"))
    return result(call.emit("flip", [tensor], tensor.shape, axis=place(axis)))


Rule = Callable[[RuleCall], KerasValue | list[KerasValue]]

OPERATIONS: dict[str, Rule] = {
    "Add": partial(_two, "add"),
    "Subtract": partial(_two, "sub"),
    "Multiply": partial(_two, "mul"),
    "Divide": partial(_two, "div"),
    "TrueDivide": partial(_two, "div"),
    "Maximum": partial(_two, "maximum"),
    "Minimum": partial(_two, "minimum"),
    "Power": _power,
    "Square": _square,
    "Mean": partial(_reduce, "mean"),
    "Sum": partial(_reduce, "sum"),
    "Max": partial(_reduce, "max"),
    "Amax": partial(_reduce, "max"),
    "Min": partial(_reduce, "min"),
    "Amin": partial(_reduce, "min"),
    "Absolute": partial(_plain, "abs"),
    "Abs": partial(_plain, "abs"),
    "Negative": partial(_plain, "neg"),
    "Sqrt": partial(_plain, "sqrt"),
    "Exp": partial(_plain, "exp"),
    "Log": partial(_plain, "log"),
    "Reciprocal": partial(_plain, "reciprocal"),
    "Erf": partial(_plain, "erf"),
    "Floor": partial(_plain, "floor"),
    "Round": partial(_plain, "round"),
    "Identity": _identity,
    "Cast": _identity,
    "StopGradient": _identity,
    "Relu": _relu,
    "Relu6": partial(_plain, "relu6"),
    "Sigmoid": partial(_plain, "sigmoid"),
    "HardSigmoid": partial(_plain, "hardsigmoid"),
    "Silu": partial(_plain, "silu"),
    "HardSilu": partial(_plain, "hardswish"),
    "Tanh": partial(_plain, "tanh"),
    "Softplus": partial(_plain, "softplus"),
    "Softsign": partial(_plain, "softsign"),
    "LogSigmoid": partial(_plain, "logsigmoid"),
    "Selu": partial(_plain, "selu"),
    "LeakyRelu": _leaky_relu,
    "Gelu": _gelu,
    "Softmax": partial(_softmax, "softmax"),
    "LogSoftmax": partial(_softmax, "log_softmax"),
    "Clip": _clip,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "ExpandDims": _expand_dims,
    "Concatenate": _concatenate,
    "Split": _split,
    "GetItem": _get_item,
    "Pad": _pad,
    "Resize": _resize,
    "Flip": _flip,
}
"""Functions of keras.ops, by the classes of their calls."""

_TENSORFLOW = {
    "add": "Add",
    "subtract": "Subtract",
    "sub": "Subtract",
    "multiply": "Multiply",
    "mul": "Multiply",
    "divide": "Divide",
    "truediv": "Divide",
    "maximum": "Maximum",
    "minimum": "Minimum",
    "pow": "Power",
    "square": "Square",
    "reduce_mean": "Mean",
    "reduce_sum": "Sum",
    "reduce_max": "Max",
    "reduce_min": "Min",
    "abs": "Abs",
    "negative": "Negative",
    "sqrt": "Sqrt",
    "exp": "Exp",
    "log": "Log",
    "identity": "Identity",
    "cast": "Cast",
    "stop_gradient": "StopGradient",
    "relu": "Relu",
    "relu6": "Relu6",
    "sigmoid": "Sigmoid",
    "silu": "Silu",
    "swish": "Silu",
    "tanh": "Tanh",
    "softplus": "Softplus",
    "selu": "Selu",
    "leaky_relu": "LeakyRelu",
    "gelu": "Gelu",
    "softmax": "Softmax",
    "log_softmax": "LogSoftmax",
    "clip_by_value": "Clip",
    "reshape": "Reshape",
    "transpose": "Transpose",
    "squeeze": "Squeeze",
    "expand_dims": "ExpandDims",
    "concat": "Concatenate",
    "split": "Split",
    "getitem": "GetItem",
    "pad": "Pad",
    "resize": "Resize",
    "resize_v2": "Resize",
}
"""TensorFlow's functions in models of Keras 2, by the last part of their names."""


def function(call: RuleCall) -> KerasValue | list[KerasValue]:
    """A call of a function of TensorFlow."""
    name = call.layer.config.get("function")
    if call.layer.kind == "SlicingOpLambda" and not isinstance(name, str):
        name = "getitem"
    last = name.rpartition(".")[2].strip("_") if isinstance(name, str) else ""
    if last not in _TENSORFLOW:
        raise call.error(f"the function {shown(str(name))} can't be expressed")
    return OPERATIONS[_TENSORFLOW[last]](call)
