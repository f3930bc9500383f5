"""Nodes whose inputs are all known, computed: shapes and what programs calculate of them.

Results are bounded before they are made. `FOLDS` has a function for each operator that is computed,
of the attributes, the opset and the inputs as arrays (None where one is left out).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

MOST_ELEMENTS = 2**26
"""Most numbers of a result."""

Array = Any
Attributes = Mapping[str, Any]
Fold = Callable[[Attributes, int, Sequence[Array | None]], Array | list[Array]]


class FoldError(Exception):
    """A node that has no result, or too large a one; its text says why."""


def bounded(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape that a result may have. Raises FoldError."""
    shape = tuple(int(n) for n in shape)
    if any(n < 0 for n in shape) or len(shape) > 32:
        raise FoldError("has a result of no possible shape")
    if prod(shape) > MOST_ELEMENTS:
        raise FoldError(f"has a constant result of {prod(shape):,} numbers")
    return shape


def _elementwise(function: Callable[..., Array]) -> Fold:
    def fold(attributes: Attributes, opset: int, inputs: Sequence[Array | None]) -> Array:
        given = [x for x in inputs if x is not None]
        bounded(np.broadcast_shapes(*(x.shape for x in given)))
        return function(*given)

    return fold


def _divided(x: Array, y: Array) -> Array:
    if not np.issubdtype(x.dtype, np.integer):
        return x / y
    if not np.all(y):
        raise FoldError("divides by zero")
    return (np.sign(x) * np.sign(y) * (abs(x) // abs(y))).astype(x.dtype)


def _modulo(attributes: Attributes, opset: int, inputs: Sequence[Array | None]) -> Array:
    x, y = _both(inputs)
    bounded(np.broadcast_shapes(x.shape, y.shape))
    if not np.all(y):
        raise FoldError("divides by zero")
    return np.fmod(x, y) if attributes.get("fmod") else np.mod(x, y)


def _both(inputs: Sequence[Array | None]) -> tuple[Array, Array]:
    if len(inputs) < 2 or inputs[0] is None or inputs[1] is None:
        raise FoldError("lacks an input")
    return inputs[0], inputs[1]


def _first(inputs: Sequence[Array | None]) -> Array:
    if not inputs or inputs[0] is None:
        raise FoldError("lacks its input")
    return inputs[0]


def numbers(
    attributes: Attributes, inputs: Sequence[Array | None], name: str, at: int
) -> list[int] | None:
    """Integers that are an attribute in old opsets and an input in new ones; None for neither."""
    if name in attributes:
        return [int(n) for n in attributes[name]]
    given = inputs[at] if len(inputs) > at else None
    return None if given is None else [int(n) for n in np.ravel(given)]


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from 0. Raises FoldError."""
    if not -rank <= axis < rank:
        raise FoldError(f"names the axis {axis} of a tensor with {rank}")
    return axis % rank


def reshaped(shape: tuple[int, ...], wanted: Sequence[int], allowzero: bool) -> tuple[int, ...]:
    """The shape that a Reshape of `shape` gives. Raises FoldError."""
    found = [
        shape[i] if n == 0 and not allowzero and i < len(shape) else n for i, n in enumerate(wanted)
    ]
    if found.count(-1) == 1:
        rest, known = found.index(-1), prod(n for n in found if n != -1)
        if known and prod(shape) % known == 0:
            found[rest] = prod(shape) // known
    if any(n < 0 for n in found) or prod(found) != prod(shape):
        raise FoldError(f"gives {_text(shape)} the shape {_text(wanted)}")
    return tuple(found)


def squeezed(shape: tuple[int, ...], axes: list[int] | None) -> tuple[int, ...]:
    """The shape without axes of length 1. Raises FoldError."""
    if axes is None:
        return tuple(n for n in shape if n != 1)
    gone = {axis_of(a, len(shape)) for a in axes}
    if any(shape[a] != 1 for a in gone):
        raise FoldError(f"takes axes {axes} from {_text(shape)}, which are not 1")
    return tuple(n for i, n in enumerate(shape) if i not in gone)


def unsqueezed(shape: tuple[int, ...], axes: list[int]) -> tuple[int, ...]:
    """The shape with axes of length 1 put in. Raises FoldError."""
    rank = len(shape) + len(axes)
    new = {axis_of(a, rank) for a in axes}
    if len(new) != len(axes):
        raise FoldError("puts in an axis twice")
    rest = iter(shape)
    return tuple(1 if i in new else next(rest) for i in range(rank))


def sections(
    attributes: Attributes, opset: int, inputs: Sequence[Array | None], shape: tuple[int, ...]
) -> list[tuple[int, slice]]:
    """The axes that a Slice cuts, and what it takes of each. Raises FoldError."""
    if opset < 10:
        starts, ends = list(attributes.get("starts", ())), list(attributes.get("ends", ()))
        axes, steps = attributes.get("axes"), None
    else:
        given = [numbers({}, inputs, "", i) for i in (1, 2, 3, 4)]
        starts, ends, axes, steps = given[0] or [], given[1] or [], given[2], given[3]
    axes = list(range(len(starts))) if axes is None else list(axes)
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise FoldError("has starts, ends, axes and steps that do not go together")
    found = []
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        at = axis_of(axis, len(shape))
        length = shape[at]
        low, high = (0, length) if step > 0 else (-1, length - 1)
        first, last = (min(max(n + length if n < 0 else n, low), high) for n in (start, end))
        found.append((at, slice(first, None if last < 0 else last, step)))
    return found


def split_sizes(
    attributes: Attributes, inputs: Sequence[Array | None], length: int, count: int
) -> list[int]:
    """The lengths of the parts of a Split into `count`. Raises FoldError."""
    sizes = numbers(attributes, inputs, "split", 1)
    if sizes is None:
        parts = int(attributes.get("num_outputs", count))
        if not 0 < parts <= length:
            raise FoldError(f"splits {length} into {parts} parts")
        each = -(-length // parts)
        sizes = [each] * (parts - 1) + [length - each * (parts - 1)]
    if len(sizes) < count or sum(sizes) != length or min(sizes) < 0:
        raise FoldError(f"splits {length} into parts of {sizes[:10]}")
    return sizes


def tiled(shape: tuple[int, ...], repeats: Sequence[int]) -> tuple[int, ...]:
    """The shape of a Tile. Raises FoldError."""
    if len(repeats) != len(shape) or any(n < 0 for n in repeats):
        raise FoldError("has repeats that are not one an axis")
    return tuple(n * r for n, r in zip(shape, repeats, strict=True))


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, list(shape)[:10])) or "a single number"


def _reshape(attributes: Attributes, opset: int, inputs: Sequence[Array | None]) -> Array:
    x = _first(inputs)
    shape = numbers(attributes, inputs, "shape", 1) or []
    return x.reshape(reshaped(x.shape, shape, bool(attributes.get("allowzero"))))


def _flatten(attributes: Attributes, opset: int, inputs: Sequence[Array | None]) -> Array:
    x = _first(inputs)
    axis = attributes.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(prod(x.shape[:axis]), prod(x.shape[axis:]))


def _squeeze(attributes: Attributes, opset: int, inputs: Sequence[Array | None]) -> Array:
    x = _first(inputs)
    return x.reshape(squeezed(x.shape, numbers(attributes, inputs, "axes", 1)))


def _unsqueeze(attributes: Attributes, opset: int, inputs: Sequence[Array | None]) -> Array:
    x = _first(inputs)
    return x.reshape(unsqueezed(x.shape, numbers(attributes, inputs, "axes", 1) or []))


def _transpose(attributes: Attributes, opset: int, inputs: Sequence[Array | None]) -> Array:
    x = _first(inputs)
    order = attributes.get("perm", list(range(x.ndim))[::-1])
    if sorted(order) != list(range(x.ndim)):
        raise FoldError(f"orders {x.ndim} axes as {order[:10]}")
    return x.transpose(order)


def _concat(attributes: Attributes, opset: int, inputs: Sequence[Array | None]) -> Array:
    arrays = [x for x in inputs if x is not None]
    bounded((sum(x.size for x in arrays),))
    return np.concatenate(arrays, attributes.get("axis", 1))


def _gather(attributes: Attributes, opset: int, inputs: Sequence[Array | None]) -> Array:
    x, places = _both(inputs)
    axis = axis_of(attributes.get("axis", 0), x.ndim)
    bounded((*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))
    return np.take(x, places.astype(np.int64), axis)


def _slice(attributes: Attributes, opset: int, inputs: Sequence[Array | None]) -> Array:
    x = _first(inputs)
    taken = [slice(None)] * x.ndim
    for axis, part in sections(attributes, opset, inputs, x.shape):
        taken[axis] = part
    return x[tuple(taken)]


def _split(attributes: Attributes, opset: int, inputs: Sequence[Array | None]) -> list[Array]:
    x = _first(inputs)
    axis = axis_of(attributes.get("axis", 0), x.ndim)
    sizes = split_sizes(attributes, inputs, x.shape[axis], int(attributes["outputs"]))
    return list(np.split(x, np.cumsum(sizes)[:-1], axis))


def _expand(attributes: Attributes, opset: int, inputs: Sequence[Array | None]) -> Array:
    x, shape = _both(inputs)
    return np.broadcast_to(x, bounded(np.broadcast_shapes(x.shape, bounded(list(np.ravel(shape))))))


def _tile(attributes: Attributes, opset: int, inputs: Sequence[Array | None]) -> Array:
    x, repeats = _both(inputs)
    bounded(tiled(x.shape, [int(n) for n in np.ravel(repeats)]))
    return np.tile(x, np.ravel(repeats))


def _range(attributes: Attributes, opset: int, inputs: Sequence[Array | None]) -> Array:
    if len(inputs) != 3 or any(x is None or x.size != 1 for x in inputs):
        raise FoldError("lacks an input")
    start, limit, step = (np.ravel(x)[0] for x in inputs if x is not None)
    if step == 0 or not np.isfinite([start, limit, step]).all():
        raise FoldError("counts in steps of 0")
    bounded((max(int(np.ceil((float(limit) - float(start)) / float(step))), 0),))
    return np.arange(start, limit, step, dtype=start.dtype)


def _pad(attributes: Attributes, opset: int, inputs: Sequence[Array | None]) -> Array:
    x = _first(inputs)
    sides = numbers(attributes, inputs, "pads", 1) or []
    if attributes.get("mode", "constant") != "constant" or len(inputs) > 3:
        raise FoldError("pads a constant in a way that is not computed")
    if len(sides) != 2 * x.ndim or min(sides, default=0) < 0:
        raise FoldError("has pads that are not two an axis")
    pairs = list(zip(sides[: x.ndim], sides[x.ndim :], strict=True))
    bounded([n + sum(pair) for n, pair in zip(x.shape, pairs, strict=True)])
    given = inputs[2] if len(inputs) > 2 else None
    value = attributes.get("value", 0.0) if given is None else np.ravel(given)[0]
    return np.pad(x, pairs, constant_values=value)


def _reduce(function: Callable[..., Array]) -> Fold:
    def fold(attributes: Attributes, opset: int, inputs: Sequence[Array | None]) -> Array:
        x = _first(inputs)
        axes = numbers(attributes, inputs, "axes", 1)
        if not axes and attributes.get("noop_with_empty_axes"):
            return x
        axis = tuple(axis_of(a, x.ndim) for a in axes) if axes else None
        result = function(x, axis=axis, keepdims=bool(attributes.get("keepdims", 1)))
        return np.asarray(result, x.dtype)

    return fold


def _cast(attributes: Attributes, opset: int, inputs: Sequence[Array | None]) -> Array:
    kind = attributes["to"]
    with np.errstate(invalid="ignore"):
        return _first(inputs).astype("float32" if kind == "bfloat16" else kind)


def _matmul(attributes: Attributes, opset: int, inputs: Sequence[Array | None]) -> Array:
    x, y = _both(inputs)
    if max(x.ndim, y.ndim) > 2 or x.size * (y.shape[-1] if y.ndim else 1) > MOST_ELEMENTS:
        raise FoldError("multiplies constants that are too large")
    return x @ y


def _scatter(attributes: Attributes, opset: int, inputs: Sequence[Array | None]) -> Array:
    if len(inputs) != 3 or attributes.get("reduction", "none") != "none":
        raise FoldError("puts elements in a way that is not computed")
    x, places, updates = inputs
    if x is None or places is None or updates is None:
        raise FoldError("lacks an input")
    result = x.copy()
    result[tuple(np.moveaxis(places, -1, 0))] = updates
    return result


def _clip(x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    return np.clip(x, low, high)


def _least(*arrays: Array) -> Array:
    return np.minimum.reduce(np.broadcast_arrays(*arrays))


def _greatest(*arrays: Array) -> Array:
    return np.maximum.reduce(np.broadcast_arrays(*arrays))


FOLDS: dict[str, Fold] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Concat": _concat,
    "Gather": _gather,
    "Slice": _slice,
    "Split": _split,
    "Expand": _expand,
    "Tile": _tile,
    "Range": _range,
    "Pad": _pad,
    "Cast": _cast,
    "MatMul": _matmul,
    "ScatterND": _scatter,
    "Mod": _modulo,
    "Add": _elementwise(np.add),
    "Sub": _elementwise(np.subtract),
    "Mul": _elementwise(np.multiply),
    "Div": _elementwise(_divided),
    "Pow": _elementwise(lambda x, y: np.power(x, y).astype(x.dtype)),
    "Neg": _elementwise(np.negative),
    "Abs": _elementwise(np.abs),
    "Sqrt": _elementwise(np.sqrt),
    "Reciprocal": _elementwise(np.reciprocal),
    "Exp": _elementwise(np.exp),
    "Log": _elementwise(np.log),
    "Floor": _elementwise(np.floor),
    "Ceil": _elementwise(np.ceil),
    "Round": _elementwise(np.rint),
    "Sign": _elementwise(np.sign),
    "Tanh": _elementwise(np.tanh),
    "Sigmoid": _elementwise(lambda x: 1 / (1 + np.exp(-x))),
    "Relu": _elementwise(lambda x: np.maximum(x, 0)),
    "Clip": _elementwise(_clip),
    "Min": _elementwise(_least),
    "Max": _elementwise(_greatest),
    "Sum": _elementwise(lambda *arrays: sum(arrays[1:], arrays[0])),
    "Equal": _elementwise(np.equal),
    "Greater": _elementwise(np.greater),
    "Less": _elementwise(np.less),
    "GreaterOrEqual": _elementwise(np.greater_equal),
    "LessOrEqual": _elementwise(np.less_equal),
    "And": _elementwise(np.logical_and),
    "Or": _elementwise(np.logical_or),
    "Xor": _elementwise(np.logical_xor),
    "Not": _elementwise(np.logical_not),
    "Where": _elementwise(np.where),
    "ReduceSum": _reduce(np.sum),
    "ReduceMean": _reduce(np.mean),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "ReduceProd": _reduce(np.prod),
    "ReduceL2": _reduce(lambda x, **how: np.sqrt(np.sum(np.square(x), **how))),
    "ReduceSumSquare": _reduce(lambda x, **how: np.sum(np.square(x), **how)),
}


def folded(
    kind: str, attributes: Attributes, opset: int, inputs: Sequence[Array | None]
) -> list[Array]:
    """The results of a node of known inputs. Raises FoldError."""
    try:
        with np.errstate(all="ignore"):
            found = FOLDS[kind](attributes, opset, inputs)
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, MemoryError) as error:
        raise FoldError(f"can't be computed: {error}") from None
    return [np.asarray(x) for x in (found if isinstance(found, list) else [found])]
