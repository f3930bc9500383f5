"""Several operations that are one of the vocabulary, such as a sigmoid and its product."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import isclose, sqrt
from typing import Any

from netspec.importers.tensors.numbers import scalar_of
from netspec.importers.tensors.program import (
    Operation,
    ProgramConstant,
    ProgramTensor,
    TensorProgram,
)
from netspec.lazy_dataclasses import replace

VIEWS = ("reshape", "transpose", "expand", "identity")
"""Operations that are not what a module is there for."""
DEEPEST = 6
"""How many operations a product or a line is followed through."""


def with_patterns(program: TensorProgram) -> TensorProgram:
    """The program with operations that are one of the vocabulary as that one.

    Operations that no output needs are left out.
    """
    search = _Search(program)
    found = []
    for operation in program.operations:
        for made in search.replaced(operation):
            found.append(made)
            for tensor in made.outputs:
                search.makers[tensor] = made
    return replace(program, operations=needed(found, program.outputs))


def needed(operations: Sequence[Operation], outputs: Iterable[ProgramTensor]) -> list[Operation]:
    """The operations that these outputs depend on."""
    taken, found = set(outputs), []
    for operation in reversed(operations):
        if not taken.isdisjoint(operation.outputs):
            taken.update(t for t in operation.inputs if t is not None)
            found.append(operation)
    return found[::-1]


class _Search:
    """What is known of the operations gone through so far."""

    def __init__(self, program: TensorProgram) -> None:
        self.makers: dict[ProgramTensor, Operation] = {}
        self.uses = Counter(t for o in program.operations for t in o.inputs if t is not None)
        self.uses.update(program.outputs)
        self.covered: dict[ProgramTensor, list[str]] = {}
        """The names of the operations that one was put in place of, by its result."""
        self.inside: Counter[str] = Counter()
        """How many operations there are in each module and those inside of it, but for views."""
        for operation in program.operations:
            if operation.kind not in VIEWS:
                self.inside.update(_around(operation.name))

    def replaced(self, operation: Operation) -> list[Operation]:
        """The operation, or the one that it ends, or two of those."""
        for pattern in PATTERNS.get(operation.kind, ()):
            found = pattern(self, operation)
            if found is not None:
                return [found]
        return _affine(self, operation) or [operation]

    # --- questions -------------------------------------------------------------------------------

    def made_by(self, tensor: ProgramTensor | None, *kinds: str) -> Operation | None:
        """The operation that makes a tensor, if it is of one of these kinds."""
        made = self.makers.get(tensor) if tensor is not None else None
        return made if made is not None and made.kind in kinds else None

    def factors(
        self, tensor: ProgramTensor | None, depth: int = DEEPEST
    ) -> tuple[float, list[ProgramTensor]]:
        """A tensor as a product of a number and tensors."""
        number = _number(tensor)
        if number is not None:
            return number, []
        made = self.made_by(tensor, "mul", "div")
        if made is not None and depth:
            x, y = made.inputs
            if made.kind == "mul":
                (c, xs), (d, ys) = self.factors(x, depth - 1), self.factors(y, depth - 1)
                return c * d, xs + ys
            by = _number(y)
            if by:
                c, xs = self.factors(x, depth - 1)
                return c / by, xs
        return 1.0, [tensor] if tensor is not None else []

    def line(
        self, tensor: ProgramTensor | None, depth: int = DEEPEST
    ) -> tuple[float, float, ProgramTensor | None]:
        """A tensor as a number times another, and a number added."""
        made = self.made_by(tensor, "add", "sub", "mul", "div")
        if made is None or not depth:
            return 1.0, 0.0, tensor
        x, y = made.inputs
        first, second = _number(x), _number(y)
        if second is not None and first is None:
            scale, shift, inner = self.line(x, depth - 1)
            if made.kind == "add":
                return scale, shift + second, inner
            if made.kind == "sub":
                return scale, shift - second, inner
            if made.kind == "mul":
                return scale * second, shift * second, inner
            if second:
                return scale / second, shift / second, inner
        elif first is not None and second is None:
            scale, shift, inner = self.line(y, depth - 1)
            if made.kind == "add":
                return scale, shift + first, inner
            if made.kind == "sub":
                return -scale, first - shift, inner
            if made.kind == "mul":
                return scale * first, shift * first, inner
        return 1.0, 0.0, tensor

    def clamped(self, tensor: ProgramTensor | None, low: float, high: float) -> Operation | None:
        """The operation that bounds a tensor by these numbers."""
        made = self.made_by(tensor, "clamp", "hardtanh", "relu6")
        if made is None:
            return None
        bounds = (0, 6) if made.kind == "relu6" else None
        if bounds is None:
            usual = (-1, 1) if made.kind == "hardtanh" else (None, None)
            bounds = (made.attributes.get("min", usual[0]), made.attributes.get("max", usual[1]))
        return made if bounds == (low, high) else None

    def square_of(self, tensor: ProgramTensor | None) -> ProgramTensor | None:
        """What a tensor is the square of."""
        made = self.made_by(tensor, "mul", "pow")
        if made is None:
            return None
        x, y = made.inputs
        is_square = x is y if made.kind == "mul" else _number(y) == 2
        return x if is_square else None

    def root_of(self, tensor: ProgramTensor | None) -> ProgramTensor | None:
        """What a tensor is the square root of."""
        made = self.made_by(tensor, "sqrt", "pow")
        if made is None or (made.kind == "pow" and _number(made.inputs[1]) != 0.5):
            return None
        return made.inputs[0]

    def divided(self, o: Operation) -> tuple[ProgramTensor | None, ProgramTensor | None]:
        """What a quotient of two tensors, or a product with a reciprocal, divides by what."""
        x, y = o.inputs
        if o.kind == "div":
            return x, y
        for one, other in ((x, y), (y, x)):
            made = self.made_by(other, "reciprocal", "div")
            if made is not None and made.kind == "reciprocal":
                return one, made.inputs[0]
            if made is not None and _number(made.inputs[0]) == 1:
                return one, made.inputs[1]
        return None, None

    def centred(self, tensor: ProgramTensor | None) -> tuple[ProgramTensor, tuple[int, ...]] | None:
        """A tensor whose mean over axes is taken off, and these axes."""
        made = self.made_by(tensor, "sub")
        mean = self.made_by(made.inputs[1], "mean") if made is not None else None
        if made is None or mean is None or mean.inputs[0] is not made.inputs[0]:
            return None
        x = made.inputs[0]
        return (x, tuple(mean.attributes["axes"])) if x is not None and _keeps(mean) else None

    # --- results ---------------------------------------------------------------------------------

    def one(
        self, last: Operation, kind: str, inputs: Sequence[ProgramTensor | None], **how: Any
    ) -> Operation:
        """The operation in place of a pattern that ends with `last`."""
        covered = self._covered(last, inputs)
        self.covered[last.outputs[0]] = covered
        return Operation(
            kind, list(inputs), last.outputs, self._name(covered, kind), last.span, how
        )

    def _covered(self, last: Operation, inputs: Sequence[ProgramTensor | None]) -> list[str]:
        """The names of the program's operations between these inputs and the last one."""
        seen, waiting, found = set(inputs), [last], []
        while waiting:
            operation = waiting.pop()
            if operation.kind not in VIEWS:
                found += self.covered.get(operation.outputs[0], [operation.name])
            for tensor in operation.inputs:
                if tensor not in seen and tensor in self.makers:
                    waiting.append(self.makers[tensor])
                seen.add(tensor)
        return found

    def _name(self, covered: Sequence[str], kind: str) -> str:
        """The module that has just these operations, else the one around them and the op."""
        shared: list[str] = []
        for parts in zip(*(name.split(".") for name in covered), strict=False):
            if len({*parts}) > 1:
                break
            shared.append(parts[0])
        path = ".".join(shared)
        if path and self.inside[path] == len(covered):
            return path
        return f"{path}.{kind}" if path else kind


def _around(name: str) -> list[str]:
    """A path, and those of the modules around it."""
    parts = name.split(".")
    return [".".join(parts[:k]) for k in range(1, len(parts) + 1)]


def _number(tensor: ProgramTensor | None) -> float | None:
    """The one number that a tensor is; None where it is computed, or several."""
    if tensor is None or tensor.constant is None:
        return None
    found = scalar_of(tensor.constant)
    return None if found is None else float(found)


def _near(number: float, other: float) -> bool:
    """Whether two numbers are one but for rounding, that of float16 perhaps."""
    return isclose(number, other, rel_tol=1e-3)


def _keeps(reduction: Operation) -> bool:
    return bool(reduction.attributes.get("keepdims", False))


# --- activations ---------------------------------------------------------------------------------


def _gated(search: _Search, o: Operation) -> Operation | None:
    """x times a function of x: silu, hardswish, mish, gelu; hardsigmoid, which has no x."""
    factor, tensors = _own_factors(search, o)
    if len(tensors) == 1:
        six = search.clamped(tensors[0], 0, 6)
        scale, shift, x = search.line(six.inputs[0]) if six is not None else (0.0, 0.0, None)
        if x is not None and _near(factor, 1 / 6) and _near(scale, 1) and _near(shift, 3):
            return search.one(o, "hardsigmoid", [x])
    if len(tensors) != 2:
        return None
    for x, gate in (tensors, tensors[::-1]):
        kind = _gate(search, x, gate, factor)
        if kind is not None:
            return search.one(o, kind, [x])
    return None


def _own_factors(search: _Search, o: Operation) -> tuple[float, list[ProgramTensor]]:
    """The factors of an operation that is not among the makers yet."""
    x, y = o.inputs
    c, xs = search.factors(x)
    if o.kind == "mul":
        d, ys = search.factors(y)
        return c * d, xs + ys
    by = _number(y)
    return (c / by, xs) if by else (0.0, [])


def _gate(search: _Search, x: ProgramTensor, gate: ProgramTensor, factor: float) -> str | None:
    """The activation that x times a gate times a number is."""
    made = search.makers.get(gate)
    if made is None:
        return None
    if _near(factor, 1) and made.inputs[0] is x and made.kind in ("sigmoid", "hardsigmoid"):
        return "silu" if made.kind == "sigmoid" else "hardswish"
    if _near(factor, 1) and made.kind == "tanh":
        inner = search.made_by(made.inputs[0], "softplus")
        if inner is not None and inner.inputs[0] is x:
            return "mish"
    if _near(factor, 1 / 6) and search.clamped(gate, 0, 6) is not None:
        scale, shift, inside = search.line(made.inputs[0])
        if inside is x and _near(scale, 1) and _near(shift, 3):
            return "hardswish"
    scale, shift, erf = search.line(gate)
    error = search.made_by(erf, "erf")
    if error is not None and _near(factor * scale, 0.5) and _near(factor * shift, 0.5):
        by, inside = _single(search.factors(error.inputs[0]))
        if inside is x and _near(by, 1 / sqrt(2)):
            return "gelu"
    return None


def _single(found: tuple[float, list[ProgramTensor]]) -> tuple[float, ProgramTensor | None]:
    factor, tensors = found
    return factor, tensors[0] if len(tensors) == 1 else None


def _hardsigmoid(search: _Search, o: Operation) -> Operation | None:
    """A line through 0.5 with a slope of 1/6, bounded by 0 and 1."""
    if (o.attributes.get("min"), o.attributes.get("max")) != (0, 1):
        return None
    scale, shift, x = search.line(o.inputs[0])
    if x is None or not (_near(scale, 1 / 6) and _near(shift, 0.5)):
        return None
    return search.one(o, "hardsigmoid", [x])


def _leaky(search: _Search, o: Operation) -> Operation | None:
    """The larger of x and a part of x."""
    for x, y in (o.inputs, o.inputs[::-1]):
        slope, inner = _single(search.factors(y))
        if x is not None and inner is x and y is not x and 0 <= slope < 1:
            return search.one(o, "leaky_relu", [x], slope=slope)
    return None


# --- normalizations ------------------------------------------------------------------------------


def _standardized(search: _Search, o: Operation) -> Operation | None:
    """x without its mean, divided by the root of its variance: a layer or instance norm."""
    numerator, denominator = search.divided(o)
    centre = search.centred(numerator)
    root = search.root_of(denominator)
    if centre is None or root is None:
        return None
    x, axes = centre
    scale, eps, variance = search.line(root)
    mean = search.made_by(variance, "mean")
    if mean is None or scale != 1 or not 0 < eps < 1 or not _keeps(mean):
        return None
    if search.centred(search.square_of(mean.inputs[0])) != centre:
        return None
    if tuple(mean.attributes["axes"]) != axes:
        return None
    rank = len(x.shape)
    if rank > 2 and axes == tuple(range(2, rank)):
        return search.one(o, "instancenorm", [x, None, None], eps=eps)
    return search.one(o, "layernorm", [x, None, None], axes=axes, eps=eps)


def _unit_length(search: _Search, o: Operation) -> Operation | None:
    """x, divided by the root of the sum of its squares."""
    x, denominator = search.divided(o)
    spread = search.made_by(denominator, "expand")
    bounded = spread.inputs[0] if spread is not None else denominator
    least = 0.0
    bound = search.made_by(bounded, "clamp", "maximum")
    if bound is not None:
        said = bound.attributes.get("min") if bound.kind == "clamp" else _number(bound.inputs[1])
        if said is None or bound.attributes.get("max") is not None or said > 1e-3:
            return None
        least, bounded = float(said), bound.inputs[0]
    root = search.root_of(bounded)
    scale, eps, sums = search.line(root)
    total = search.made_by(sums, "sum")
    if x is None or total is None or scale != 1 or not 0 <= eps < 1 or not _keeps(total):
        return None
    if search.square_of(total.inputs[0]) is not x:
        return None
    return search.one(o, "normalize", [x], axes=tuple(total.attributes["axes"]), eps=eps + least**2)


def _grouped(search: _Search, o: Operation) -> Operation | None:
    """An instance norm of groups of channels, laid out as one channel each."""
    norm = search.made_by(o.inputs[0], "instancenorm")
    inner = search.made_by(norm.inputs[0], "reshape") if norm is not None else None
    x = inner.inputs[0] if inner is not None else None
    if norm is None or inner is None or x is None or x.shape != o.outputs[0].shape:
        return None
    groups = inner.outputs[0].shape[1]
    if len(x.shape) < 3 or inner.outputs[0].shape[0] != x.shape[0] or x.shape[1] % groups:
        return None
    weight, bias = norm.inputs[1:]
    if not (_is_all(weight, 1) and _is_all(bias, 0)):
        return None
    eps = norm.attributes.get("eps", 1e-5)
    return search.one(o, "groupnorm", [x, None, None], groups=groups, eps=eps)


def _is_all(tensor: ProgramTensor | None, number: float) -> bool:
    """Whether a weight is this number throughout, or left out."""
    if tensor is None:
        return True
    constant = tensor.constant
    return (
        constant is not None and constant.size < 2**20 and bool((constant.load() == number).all())
    )


def _own_weights(search: _Search, o: Operation) -> Operation | None:
    """A factor or summand behind a norm that has none."""
    for x, y in (o.inputs, o.inputs[::-1]):
        norm = search.made_by(x, "layernorm", "groupnorm", "instancenorm")
        if norm is None or x is None or y is None or y.constant is None:
            continue
        weight, bias = norm.inputs[1:]
        taken = weight if o.kind == "mul" else bias
        if taken is not None or search.uses[x] > 1 or (o.kind == "mul" and bias is not None):
            continue
        axes = norm.attributes["axes"] if norm.kind == "layernorm" else (1,)
        shape = (1,) * (len(x.shape) - len(y.shape)) + y.shape
        if len(shape) != len(x.shape) or y.constant.size == 1:
            continue
        if any(n != (x.shape[i] if i in axes else 1) for i, n in enumerate(shape)):
            continue
        vector = _changed(y, (y.constant.size,), lambda a: a.reshape(-1), "vector")
        given = [vector, bias] if o.kind == "mul" else [weight, vector]
        return search.one(o, norm.kind, [norm.inputs[0], *given], **norm.attributes)
    return None


def _changed(
    tensor: ProgramTensor, shape: tuple[int, ...], change: Callable[[Any], Any], how: object
) -> ProgramTensor:
    """A constant tensor after a change of its numbers."""
    assert tensor.constant is not None, "asked only of constants"
    return ProgramTensor(tensor.name, shape, tensor.constant.changed(shape, change, how))


# --- spreading ---------------------------------------------------------------------------------


def _spread(search: _Search, o: Operation) -> Operation | None:
    """An operation of two tensors, one of which an expansion makes as large as the other."""
    inputs: list[ProgramTensor | None] = []
    for x, other in (o.inputs, o.inputs[::-1]):
        made = search.made_by(x, "expand")
        before = made.inputs[0] if made is not None else None
        fits = before is not None and other is not None and other.shape == o.outputs[0].shape
        inputs.append(before if fits and before is not None and before is not other else x)
    same = inputs == o.inputs or any(
        t is None or len(t.shape) != len(o.outputs[0].shape) for t in inputs
    )
    return None if same else replace(o, inputs=inputs)


def _affine(search: _Search, o: Operation) -> list[Operation] | None:
    """Factors and summands of each channel, one after the other, as one of both.

    So frozen batch norms are written: mean taken off, factor, summand.
    """
    steps: list[tuple[str, ProgramConstant]] = []
    at: Operation | None = o
    x: ProgramTensor | None = None
    while at is not None and at.kind in ("add", "sub", "mul", "div") and len(steps) < DEEPEST:
        inner, by = at.inputs
        if inner is not None and inner.constant is not None and at.kind in ("add", "mul"):
            inner, by = by, inner
        if inner is None or by is None or by.constant is None or inner.constant is not None:
            break
        if inner.shape != at.outputs[0].shape or (at is not o and search.uses[x or inner] > 1):
            break
        before = search.makers.get(inner)
        layer = before
        while layer is not None and layer.kind in ("transpose", "reshape"):
            layer = search.makers.get(layer.inputs[0]) if layer.inputs[0] is not None else None
        if at.kind == "add" and layer is not None and layer.kind in _WITH_BIAS:
            break  # it is the bias of that
        steps.append((at.kind, by.constant))
        x, at = inner, before
    kinds = [kind for kind, _ in steps]
    wide = {c.shape for _, c in steps if c.size > 1}
    factors = [c for kind, c in steps if kind in ("mul", "div") and c.size > 1]
    if x is None or len(steps) < 2 or not factors or len(wide) != 1 or kinds == ["add", "mul"]:
        return None
    (shape,) = wide
    if sum(n > 1 for n in shape) != 1:
        return None
    key = tuple((kind, c.key) for kind, c in steps)
    scale, shift = (
        ProgramTensor(o.name, shape, replace(factors[0], shape=shape, load=load, key=(part, key)))
        for part, load in enumerate(_composed(steps[::-1], shape))
    )
    middle = ProgramTensor("", x.shape)
    return [
        Operation("mul", [x, scale], [middle], o.name, o.span),
        Operation("add", [middle, shift], o.outputs, o.name, o.span),
    ]


_WITH_BIAS = ("conv", "conv_transpose", "linear", "matmul")


def _composed(
    steps: Sequence[tuple[str, ProgramConstant]], shape: tuple[int, ...]
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """What loads the factor, and what the summand, of steps one after the other."""

    def both() -> tuple[Any, Any]:
        import numpy as np

        scale, shift = np.ones(shape), np.zeros(shape)
        for kind, constant in steps:
            number = np.asarray(constant.load(), np.float64)
            if kind in ("mul", "div"):
                by = number if kind == "mul" else 1 / number
                scale, shift = scale * by, shift * by
            else:
                shift = shift + (number if kind == "add" else -number)
        return scale.astype(np.float32), shift.astype(np.float32)

    return lambda: both()[0], lambda: both()[1]


# --- windows ---------------------------------------------------------------------------


def _padded_pool(search: _Search, o: Operation) -> Operation | None:
    """A pooling of a map that is padded with what no maximum takes."""
    pad = search.made_by(o.inputs[0], "pad")
    if pad is None or pad.attributes.get("mode", "constant") != "constant":
        return None
    before, after = pad.attributes["before"], pad.attributes["after"]
    if len(before) != 4 or any((*before[:2], *after[:2])) or min((*before, *after)) < 0:
        return None
    if pad.attributes.get("value", 0) > -1e30:
        return None
    own = o.attributes.get("pad", (0, 0, 0, 0))
    sides = tuple(a + b for a, b in zip(own, (*before[2:], *after[2:]), strict=True))
    gaps = o.attributes.get("dilation", (1, 1))
    extents = [(k - 1) * d + 1 for k, d in zip(o.attributes["kernel"], gaps, strict=True)]
    if any(n >= e for n, e in zip(sides, extents * 2, strict=True)):
        return None
    return replace(o, inputs=[pad.inputs[0]], attributes={**o.attributes, "pad": sides})


Pattern = Callable[[_Search, Operation], Operation | None]

PATTERNS: dict[str, tuple[Pattern, ...]] = {
    "mul": (_standardized, _unit_length, _own_weights, _gated, _spread),
    "div": (_standardized, _unit_length, _gated, _spread),
    "add": (_own_weights, _spread),
    "sub": (_spread,),
    "clamp": (_hardsigmoid,),
    "maximum": (_leaky, _spread),
    "minimum": (_spread,),
    "reshape": (_grouped,),
    "maxpool": (_padded_pool,),
}
"""Patterns by the kind of their last operation; the first that fits is taken."""
