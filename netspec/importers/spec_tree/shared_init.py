"""The initial weights of layers, stated once in the `train` block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from netspec.importers.structure.graph import FieldValue
from netspec.lazy_dataclasses import replace
from netspec.syntax.ast import Call, Definition, Field
from netspec.syntax.unparse import expression
from netspec.syntax.visitor import Node, rewrite, walk


def shared_init(
    definitions: Sequence[Definition], training: Mapping[str, FieldValue]
) -> tuple[list[Definition], dict[str, FieldValue]]:
    """The definitions and the `train` block, with the most frequent `init` moved to the latter."""
    inits = list(inits_of(definitions))
    counts = Counter(expression(f.value) for f in inits)
    most = max(counts, key=lambda text: counts[text], default=None)
    if most is None or counts[most] < 2:
        return list(definitions), dict(training)
    place = next(f.span for f in inits if expression(f.value) == most)
    bare = without_init(definitions, most)
    return bare, {**training, "init": FieldValue(most, place)}


def inits_of(definitions: Iterable[Definition]) -> Iterator[Field]:
    """All fields `init` of layers."""
    for node in walk(*definitions):
        if isinstance(node, Call):
            yield from (f for f in node.fields if f.name.text == "init")


def without_init(definitions: Iterable[Definition], init: str | None = None) -> list[Definition]:
    """The definitions without the fields `init`: those of this value, or all."""

    def change(node: Node) -> Node:
        if not isinstance(node, Call):
            return node
        return replace(node, fields=tuple(f for f in node.fields if not leaves(f)))

    def leaves(f: Field) -> bool:
        return f.name.text == "init" and init in (None, expression(f.value))

    return [rewrite(d, change) for d in definitions]
