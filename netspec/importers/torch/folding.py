"""Operators of constants alone, such as the standardization of a weight, computed by NumPy.

Each takes arrays and plain arguments by the names of the operator's schema, and gives an array, or
a tuple of the operator's results. `shape` is that of the first result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Fold = Callable[[Any, Mapping[str, Any], tuple[int, ...]], Any]
"""NumPy, arguments, the shape of the result: the result."""


def _axes(a: Mapping[str, Any]) -> tuple[int, ...] | None:
    dim = a.get("dim")
    if dim is None or dim == []:
        return None
    return tuple(dim) if isinstance(dim, Sequence) else (int(dim),)


def _reduced(how: str) -> Fold:
    def fold(np: Any, a: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
        return getattr(np, how)(a["self"], axis=_axes(a), keepdims=bool(a.get("keepdim", False)))

    return fold


def _spread(np: Any, a: Mapping[str, Any]) -> Any:
    """The variance as torch.var gives it: divided by one less than the count, if not said."""
    correction = a.get("correction", 1 if a.get("unbiased", True) else 0)
    ddof = 1 if correction is None else correction
    return np.var(a["self"], axis=_axes(a), keepdims=bool(a.get("keepdim", False)), ddof=ddof)


def _mean(np: Any, a: Mapping[str, Any]) -> Any:
    return np.mean(a["self"], axis=_axes(a), keepdims=bool(a.get("keepdim", False)))


def _batch_norm(np: Any, a: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    """A batch norm with the statistics of its own input, by which weights are standardized."""
    x = a["input"].astype(np.float64)
    axes = tuple(i for i in range(x.ndim) if i != 1)
    wide = tuple(-1 if i == 1 else 1 for i in range(x.ndim))
    if a.get("training"):
        mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    else:
        mean, variance = a["running_mean"].reshape(wide), a["running_var"].reshape(wide)
    made = (x - mean) / np.sqrt(variance + a.get("eps", 1e-5))
    if a.get("weight") is not None:
        made = made * a["weight"].reshape(wide)
    if a.get("bias") is not None:
        made = made + a["bias"].reshape(wide)
    return made.astype(np.float32)


def _weight_norm(np: Any, a: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    v, g = a["v"], a["g"]
    axes = tuple(i for i in range(v.ndim) if i != a.get("dim", 0))
    norm = np.sqrt((v.astype(np.float64) ** 2).sum(axes, keepdims=True))
    return (v * (g / norm)).astype(np.float32), norm


def _vector_norm(np: Any, a: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    order = a.get("ord", a.get("p", 2))
    x = np.abs(a["self"].astype(np.float64))
    keep = bool(a.get("keepdim", False))
    return (x**order).sum(axis=_axes(a), keepdims=keep) ** (1 / order)


def _shaped(np: Any, a: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    return (a["self"] if "self" in a else a["input"]).reshape(shape)


def _same(np: Any, a: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    return a["self"] if "self" in a else a["input"]


def _sliced(np: Any, a: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    x = a["self"]
    dim = a.get("dim", 0)
    index = [slice(None)] * x.ndim
    index[dim] = slice(a.get("start"), a.get("end"), a.get("step", 1))
    return x[tuple(index)]


def _alpha(a: Mapping[str, Any]) -> Any:
    return a.get("alpha", 1)


_UNARY = {
    "neg": lambda np, x: -x,
    "abs": lambda np, x: np.abs(x),
    "sqrt": lambda np, x: np.sqrt(x),
    "rsqrt": lambda np, x: 1 / np.sqrt(x),
    "reciprocal": lambda np, x: 1 / x,
    "exp": lambda np, x: np.exp(x),
    "log": lambda np, x: np.log(x),
    "square": lambda np, x: x * x,
    "sigmoid": lambda np, x: 1 / (1 + np.exp(-x)),
    "tanh": lambda np, x: np.tanh(x),
    "relu": lambda np, x: np.maximum(x, 0),
    "softplus": lambda np, x: np.log1p(np.exp(x)),
    "t": lambda np, x: x.T,
}


def _unary(function: Callable[[Any, Any], Any]) -> Fold:
    return lambda np, a, shape: function(np, a["self"])


RESHAPES = (
    "view",
    "reshape",
    "_unsafe_view",
    "flatten",
    "unflatten",
    "unsqueeze",
    "squeeze",
    "view_as",
    "reshape_as",
)
"""Operators that give the same numbers in another shape."""

FOLDS: dict[str, Fold] = {
    **{name: _unary(function) for name, function in _UNARY.items()},
    **dict.fromkeys(RESHAPES, _shaped),
    **dict.fromkeys(
        ("clone", "contiguous", "detach", "alias", "lift_fresh_copy", "lift_fresh", "dropout"),
        _same,
    ),
    **dict.fromkeys(("to", "_to_copy", "type_as", "float", "double"), _same),
    **{f: _reduced(h) for f, h in {"mean": "mean", "sum": "sum", "amax": "max"}.items()},
    **{f: _reduced(h) for f, h in {"amin": "min", "prod": "prod"}.items()},
    "var": lambda np, a, shape: _spread(np, a),
    "std": lambda np, a, shape: np.sqrt(_spread(np, a)),
    "var_mean": lambda np, a, shape: (_spread(np, a), _mean(np, a)),
    "std_mean": lambda np, a, shape: (np.sqrt(_spread(np, a)), _mean(np, a)),
    "batch_norm": _batch_norm,
    "_weight_norm": _weight_norm,
    "_weight_norm_interface": _weight_norm,
    "linalg_vector_norm": _vector_norm,
    "norm": _vector_norm,
    "add": lambda np, a, shape: a["self"] + a["other"] * _alpha(a),
    "sub": lambda np, a, shape: a["self"] - a["other"] * _alpha(a),
    "rsub": lambda np, a, shape: a["other"] - a["self"] * _alpha(a),
    "mul": lambda np, a, shape: a["self"] * a["other"],
    "div": lambda np, a, shape: a["self"] / a["other"],
    "pow": lambda np, a, shape: np.power(a["self"], a["exponent"]),
    "maximum": lambda np, a, shape: np.maximum(a["self"], a["other"]),
    "minimum": lambda np, a, shape: np.minimum(a["self"], a["other"]),
    "clamp": lambda np, a, shape: np.clip(a["self"], a.get("min"), a.get("max")),
    "clamp_min": lambda np, a, shape: np.maximum(a["self"], a["min"]),
    "matmul": lambda np, a, shape: a["self"] @ a["other"],
    "permute": lambda np, a, shape: a["self"].transpose(a["dims"]),
    "transpose": lambda np, a, shape: a["self"].swapaxes(a["dim0"], a["dim1"]),
    "expand": lambda np, a, shape: np.broadcast_to(a["self"], shape),
    "expand_as": lambda np, a, shape: np.broadcast_to(a["self"], shape),
    "repeat": lambda np, a, shape: np.tile(a["self"], a["repeats"]),
    "flip": lambda np, a, shape: np.flip(a["self"], tuple(a["dims"])),
    "cat": lambda np, a, shape: np.concatenate(a["tensors"], a.get("dim", 0)),
    "stack": lambda np, a, shape: np.stack(a["tensors"], a.get("dim", 0)),
    "select": lambda np, a, shape: np.take(a["self"], a["index"], a["dim"]),
    "slice": _sliced,
    "full": lambda np, a, shape: np.full(shape, a["fill_value"]),
    "full_like": lambda np, a, shape: np.full(shape, a["fill_value"]),
    "new_full": lambda np, a, shape: np.full(shape, a["fill_value"]),
    "scalar_tensor": lambda np, a, shape: np.full(shape, a["s"]),
    **dict.fromkeys(("zeros", "zeros_like", "new_zeros"), lambda np, a, shape: np.zeros(shape)),
    **dict.fromkeys(("ones", "ones_like", "new_ones"), lambda np, a, shape: np.ones(shape)),
    "arange": lambda np, a, shape: (
        a.get("start", 0) + a.get("step", 1) * np.arange(shape[0] if shape else 0)
    ),
    "linspace": lambda np, a, shape: np.linspace(a["start"], a["end"], shape[0] if shape else 0),
}
"""By the operator's name without `aten.`."""
