"""Fields that most layers of an op say alike, stated once in a `default`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from netspec.diagnostics.source import Source, Span
from netspec.importers.spec_tree.loops import comparable_value
from netspec.lazy_dataclasses import replace
from netspec.ops import OPS, attributes
from netspec.syntax.ast import Call, Constant, Default, Definition, Expression, Field, Name, Number
from netspec.syntax.visitor import Node, rewrite, walk

_FIELDS = ("bias", "eps", "momentum", "affine")
"""Fields that say how layers are made, not what a layer is."""
MIN_LAYERS = 4
"""How many layers a default is written for."""

_NOWHERE = Span(Source("defaults.net", ""), 0, 0)


def with_shared_fields(definitions: Sequence[Definition]) -> list[Default | Definition]:
    """The definitions, behind the first ones of which defaults stand that the others need not say.

    A layer that has none of a field says the op's own default then.
    """
    items = list(definitions)
    defaults: dict[int, dict[str, list[Field]]] = {}
    for op in OPS.values():
        declared = {a.name: a.default for a in attributes(op)}
        for field in _FIELDS:
            usual = _literal(declared.get(field))
            if usual is None:
                continue
            found = _shared(items, op.keyword, field)
            if found is None:
                continue
            place, shared = found
            for i in range(place, len(items)):
                items[i] = _without(items[i], op.keyword, shared, usual)
            defaults.setdefault(place, {}).setdefault(op.keyword, []).append(shared)
    result: list[Default | Definition] = []
    for i, item in enumerate(items):
        for keyword, fields in defaults.get(i, {}).items():
            span = fields[0].span
            result.append(Default(Name(keyword, span), tuple(fields), span, span))
        result.append(item)
    return result


def _calls(definition: Definition, op: str) -> list[Call]:
    return [n for n in walk(definition) if isinstance(n, Call) and n.op.text == op]


def _field(call: Call, name: str) -> Field | None:
    return next((f for f in call.fields if f.name.text == name), None)


def _shared(items: Sequence[Definition], op: str, name: str) -> tuple[int, Field] | None:
    """A field that most calls have alike, and the first definition that has it."""
    counts: Counter[object] = Counter()
    places: dict[object, tuple[int, Field]] = {}
    for i, item in enumerate(items):
        for call in _calls(item, op):
            f = _field(call, name)
            if f is not None and isinstance(f.value, Constant | Number):
                key = comparable_value(f.value)
                counts[key] += 1
                places.setdefault(key, (i, f))
    if not counts:
        return None
    (key, count), *_ = counts.most_common(1)
    place, shared = places[key]
    behind = sum(len(_calls(item, op)) for item in items[place:])
    return (place, shared) if count >= MIN_LAYERS and count > behind - count else None


def _without(item: Definition, op: str, shared: Field, usual: Expression) -> Definition:
    name = shared.name.text

    def change(node: Node) -> Node:
        if not isinstance(node, Call) or node.op.text != op:
            return node
        own = _field(node, name)
        if own is None:
            added = Field(Name(name, node.span), usual, node.span)
            return replace(node, fields=(*node.fields, added))
        if comparable_value(own.value) != comparable_value(shared.value):
            return node
        return replace(node, fields=tuple(f for f in node.fields if f is not own))

    return rewrite(item, change)


def _literal(value: object) -> Expression | None:
    """A default of an op's declaration as an expression; None for one that depends on others."""
    if isinstance(value, bool):
        return Constant(value, _NOWHERE)
    if isinstance(value, int | float):
        return Number(Fraction(repr(value)), _NOWHERE)
    return None
