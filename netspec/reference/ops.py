"""The reference of an op, derived from its declaration.

What the declaration states is taken as it stands; shapes and counts are found by running its rules
on the op's example with a symbol for every number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netspec.diagnostics.source import Source
from netspec.lazy_dataclasses import dataclass
from netspec.ops import Op, Shape, ShapeError, attributes, like
from netspec.ops.attribute_types import (
    Integer,
    Padding,
    Pair,
    Size,
)
from netspec.symbolic.expr import (
    Dim,
    Expr,
    NumberLiteral,
    Parameter,
    evaluate,
    expr_of,
    expression_source,
    operators,
)
from netspec.syntax.ast import Call, Definition, LayerStatement

INPUT = "64x56x56"
"""The shape of the input x that examples run on."""


@dataclass(frozen=True)
class FieldEntry:
    """A field of an op: the kind of its values, its default as the language writes it.

    `default` is None where the field must be given, and empty where leaving it out is no value.
    """

    name: str
    kind: str
    default: str | None
    doc: str


@dataclass(frozen=True)
class TensorEntry:
    """A tensor: its shape in terms of the input and the fields, and the flag it takes, if any."""

    name: str
    shape: tuple[str, ...]
    learnable: bool
    flag: str | None


@dataclass(frozen=True)
class Example:
    """Lines of a spec, and the shapes and counts of the layer in them that uses the op."""

    text: str
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    params: int
    macs: int


@dataclass(frozen=True)
class Entry:
    """The reference of an op.

    `shape` is the shape of the first result, dimension by dimension, None where no formula holds
    for all values of the fields; `where` are the formulas of the names that occur in it. `macs` is
    None for an op that counts none.
    """

    keyword: str
    family: str
    summary: str
    details: tuple[str, ...]
    arity: tuple[int, int | None]
    index_inputs: tuple[int, ...]
    results: tuple[str, ...]
    fields: tuple[FieldEntry, ...]
    shape: tuple[str, ...] | None
    where: Mapping[str, str]
    tensors: tuple[TensorEntry, ...]
    macs: str | None
    example: Example

    @property
    def keeps_shape(self) -> bool:
        return self.shape is not None and self.shape == _DIMENSIONS[len(self.shape)]


def paragraphs(op: type[Op]) -> tuple[str, ...]:
    """The paragraphs of an op's documentation, each on one line."""
    doc = op.__doc__ or ""
    return tuple(" ".join(part.split()) for part in doc.split("\n\n") if part.strip())


def summary(op: type[Op]) -> str:
    """The first paragraph of an op's documentation."""
    return paragraphs(op)[0]


def entry(op: type[Op]) -> Entry:
    """The reference of an op."""
    example, layer, shapes = _run(op)
    symbolic = _Symbolic(layer, shapes)
    about, *details = paragraphs(op)
    shape, where = symbolic.shape()
    return Entry(
        keyword=op.keyword,
        family=op.family.name,
        summary=about,
        details=tuple(details),
        arity=op.arity,
        index_inputs=op.index_inputs,
        results=symbolic.results(),
        fields=tuple(
            FieldEntry(a.name, str(a.kind), _default(a.default, a.required), a.doc)
            for a in attributes(op)
        ),
        shape=shape,
        where=where,
        tensors=symbolic.tensors(),
        macs=None if op.macs is Op.macs else symbolic.macs(),
        example=example,
    )


def example_source(op: type[Op]) -> Source:
    """The op's example as a whole spec."""
    lines = op.example.strip().splitlines() or [op.keyword]
    if not lines[0].startswith("input"):
        lines.insert(0, f"input x: {INPUT}")
    body = "".join(f"  {line.rstrip()}\n" for line in lines)
    return Source(f"example of {op.keyword}", f"net example {{\n{body}}}\n")


def _run(op: type[Op]) -> tuple[Example, Op, list[Shape]]:
    """The example checked: its shapes and counts, its op as stated, and the shapes that flow in."""
    from netspec.diagnostics import Diagnostics
    from netspec.driver import check
    from netspec.syntax.parser import parse

    source = example_source(op)
    net = check(source, None, {}).sound()
    file = parse(source, Diagnostics())
    assert file is not None, "a text with a net has a tree"
    flat = next(f for f in reversed(net.layers) if type(f.op) is op)
    inputs = [v.shape for v in flat.inputs]
    outputs = tuple(v.shape for v in flat.outputs)
    text = op.example.strip() or op.keyword
    example = Example(text, tuple(inputs), outputs, flat.params, flat.macs)
    (definition,) = file.items
    assert isinstance(definition, Definition)
    chains = [s.chain for s in definition.body if isinstance(s, LayerStatement)]
    calls = [c for chain in chains for c in chain.calls if c.op.text == op.keyword]
    return example, _declared(op, calls[-1]), inputs


def _declared(op: type[Op], call: Call) -> Op:
    """The op as an example states it, before anything is settled by its inputs."""
    from netspec.semantic.evaluator import Evaluator
    from netspec.semantic.scope import Scope

    kinds = {a.name: a.kind for a in attributes(op)}
    values = {}
    for field in call.fields:
        name = field.name.text
        values[name] = Evaluator(Scope()).field(field.value, kinds[name], name)
    return op(**values)


def _default(value: Any, required: bool) -> str | None:
    if required:
        return None
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        if len(set(value)) == 1:
            return _default(value[0], False)
        return "[" + ", ".join(str(_default(v, False)) for v in value) + "]"
    if isinstance(value, str):
        return value.removeprefix("=")
    if isinstance(value, float):
        return f"{value:g}".replace("e-0", "e-")
    return str(value)


_DIMENSIONS = {1: ("features",), 3: ("channels", "height", "width")}
_SIDES = {2: ("height", "width"), 4: ("top", "bottom", "left", "right")}
_SHORT = {"height": "h", "width": "w"}


class _Symbolic:
    """An op with a symbol for every number of its fields, on inputs with symbols for sizes."""

    def __init__(self, op: Op, shapes: Sequence[Shape]) -> None:
        self.op = op
        self.values: dict[str, int] = {}
        self.shapes = [
            like(
                shape,
                tuple(
                    self._symbol(f"{chr(97 + i)}.{d}" if len(shapes) > 1 else d, size)
                    for d, size in zip(_DIMENSIONS[len(shape)], shape, strict=True)
                ),
            )
            for i, shape in enumerate(shapes)
        ]
        self.fields: dict[str, Any] = {}
        # Of a list of any length no formula with names can be made.
        self.lists = False
        for a in attributes(type(op)):
            value = getattr(op, a.name)
            if value is None or isinstance(value, bool | str | float):
                continue
            if isinstance(a.kind, Integer) or isinstance(value, int):
                self.fields[a.name] = self._symbol(a.name, value)
            elif isinstance(a.kind, Pair | Padding | Size):
                sides = a.kind.sides if isinstance(a.kind, Pair) else _SIDES[len(value)]
                names = [f"{a.name}_{_SHORT.get(side, side)}" for side in sides]
                self.fields[a.name] = tuple(map(self._symbol, names, value))
            else:
                self.lists = True
        self.symbolic = op.with_attributes(**self.fields).bind(self.shapes)

    def _symbol(self, name: str, value: int) -> int:
        self.values[name] = int(value)
        return Dim(int(value), Parameter(name))

    def shape(self) -> tuple[tuple[str, ...] | None, dict[str, str]]:
        """The first result's dimensions, and formulas for those that are long to write."""
        where: dict[str, str] = {}
        outputs = self._outputs()
        if outputs is None:
            return None, where
        found = []
        for name, size in zip(_DIMENSIONS[len(outputs[0])], outputs[0], strict=True):
            expr = expr_of(size)
            if operators(expr) > 2:
                where[f"out_{name}"] = _text(expr)
                found.append(f"out_{name}")
            else:
                found.append(_text(expr))
        return tuple(found), where

    def _outputs(self) -> tuple[Shape, ...] | None:
        """Symbolic results; None where a formula does not tell what other numbers would give."""
        outputs = self.symbolic.outputs(self.shapes)
        if self.lists or not self._holds(outputs):
            return None
        return outputs

    def _holds(self, outputs: Sequence[Shape]) -> bool:
        """Whether the formulas agree with the rule when numbers change, one at a time."""
        exprs = [[expr_of(d) for d in shape] for shape in outputs]
        if any(isinstance(e, NumberLiteral) for shape in exprs for e in shape):
            return False
        for changed in self.values:
            for step in (1, 2, 3, 5):
                values = {**self.values, changed: self.values[changed] + step}
                try:
                    real = self._with(values)
                except ShapeError:
                    continue
                found = [[_value(e, values) for e in shape] for shape in exprs]
                if found != [[int(d) for d in shape] for shape in real]:
                    return False
        return True

    def _with(self, values: Mapping[str, int]) -> tuple[Shape, ...]:
        def plain(number: int) -> int:
            return int(_value(expr_of(number), values) or 0)

        fields = {
            name: tuple(map(plain, v)) if isinstance(v, tuple) else plain(v)
            for name, v in self.fields.items()
        }
        shapes = [like(shape, tuple(map(plain, shape))) for shape in self.shapes]
        op = self.op.with_attributes(**fields)
        return op.bind(shapes).outputs(shapes)

    def results(self) -> tuple[str, ...]:
        """The names of the results, with an ellipsis where fields decide how many there are."""
        names = self.symbolic.result_names
        return names if names == self.op.results else (*names, "...")

    def tensors(self) -> tuple[TensorEntry, ...]:
        flags = {
            a.name: set(self.symbolic.with_attributes(**{a.name: False}).tensors(self.shapes))
            for a in attributes(type(self.op))
            if getattr(self.symbolic, a.name) is True
        }
        return tuple(
            TensorEntry(
                name,
                tuple(_text(expr_of(d)) for d in tensor.shape),
                tensor.learnable,
                next((flag for flag, left in flags.items() if name not in left), None),
            )
            for name, tensor in self.symbolic.tensors(self.shapes).items()
        )

    def macs(self) -> str:
        outputs = []
        for shape in self.symbolic.outputs(self.shapes):
            names = _DIMENSIONS[len(shape)]
            outputs.append(
                tuple(
                    d if operators(expr_of(d)) <= 2 else Dim(int(d), Parameter(f"out_{name}"))
                    for name, d in zip(names, shape, strict=True)
                )
            )
        return _text(expr_of(self.symbolic.macs(self.shapes, outputs)))


def _text(expr: Expr) -> str:
    return expression_source(expr, _name)


def _name(symbol: Any) -> str:
    return str(symbol.name)


def _value(expr: Expr, values: Mapping[str, int]) -> int | float | None:
    return evaluate(expr, lambda symbol: values[_name(symbol)])
