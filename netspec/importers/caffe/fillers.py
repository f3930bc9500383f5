"""What Caffe calls a filler: how weights begin, as `init` of layers and of a `train` block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from netspec.diagnostics.source import Span
from netspec.importers.caffe.graph import Constant, FieldValue, bracketed
from netspec.importers.caffe.messages import MessageFields
from netspec.ops import KAIMING, Init
from netspec.syntax.ast import (
    Call,
    Definition,
    Expression,
    Field,
    Function,
    ListLiteral,
    Name,
    Number,
    Variable,
)
from netspec.syntax.ast import Constant as ConstantNode
from netspec.syntax.unparse import expression
from netspec.syntax.visitor import Node, rewrite, walk

_FANS = {"FAN_IN": "fan_in", "FAN_OUT": "fan_out"}


def init_of(p: MessageFields) -> tuple[str, Span] | None:
    """The distribution of a layer's `weight_filler`; None where there is none, or none like it.

    Caffe's xavier is of variance 1 / fan_in unless `variance_norm` says otherwise.
    """
    filler = p.message("weight_filler")
    fan = _FANS.get(filler.word("variance_norm"))
    init: str | None = None
    match filler.text("type"):
        case "xavier":
            init = f"xavier({fan})" if fan else "xavier"
        case "msra" if fan is not None:
            init = "kaiming" if fan == "fan_in" else f"kaiming({fan})"
        case "gaussian" if filler.number("std") > 0 and not filler.number("mean"):
            init = str(Init("normal", std=float(filler.number("std"))))
    return None if init is None else (init, filler.place("type"))


def constant_node(value: Constant, span: Span) -> Expression:
    """A constant as an expression; `normal(0.01)` is a word with what stands in its brackets."""
    if isinstance(value, bool):
        return ConstantNode(value, span)
    if isinstance(value, tuple):
        return ListLiteral(tuple(Number(v, span) for v in value), span)
    if isinstance(value, Fraction):
        return Number(value, span)
    called = bracketed(value)
    if called is None:
        return Variable(value, span)
    word, inner = called
    return Function(Name(word, span), (constant_node(inner, span),), span)


def shared_init(
    definitions: Sequence[Definition], training: Mapping[str, FieldValue]
) -> tuple[list[Definition], dict[str, FieldValue]]:
    """What most layers say of their weights, said once in the `train` block."""
    inits = list(inits_of(definitions))
    counts = Counter(expression(f.value) for f in inits)
    most = max(counts, key=lambda text: counts[text], default=None)
    if most is None or counts[most] < 2:
        return list(definitions), dict(training)
    place = next(f.span for f in inits if expression(f.value) == most)
    bare = without_init(definitions, most)
    if most == str(KAIMING):
        return bare, dict(training)
    return bare, {**training, "init": FieldValue(most, place)}


def inits_of(definitions: Iterable[Definition]) -> Iterator[Field]:
    """Every field `init` of a layer."""
    for node in walk(*definitions):
        if isinstance(node, Call):
            yield from (f for f in node.fields if f.name.text == "init")


def without_init(definitions: Iterable[Definition], init: str | None = None) -> list[Definition]:
    """The definitions without the fields `init`, those of this value or all."""

    def change(node: Node) -> Node:
        if not isinstance(node, Call):
            return node
        return replace(node, fields=tuple(f for f in node.fields if not leaves(f)))

    def leaves(f: Field) -> bool:
        return f.name.text == "init" and init in (None, expression(f.value))

    return [rewrite(d, change) for d in definitions]
