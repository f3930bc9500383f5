"""Variants of one net in one file: a class with the text of all, and a short one for each.

    class ResNet(Network):
        def __init__(self, classes: int, blocks: tuple[int, ...]) -> None: ...

    class ResNet18(ResNet):
        def __init__(self, classes: int = 1000, blocks: tuple[int, ...] = (2, 2, 2, 2)) -> None:
            super().__init__(classes, blocks)

A net that can stand alone is itself the class with the text.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence

from netspec.codegen.python_source import call, function_head, statement
from netspec.codegen.writing.class_writer import ClassText
from netspec.lazy_dataclasses import dataclass, replace

_SHAPE = re.compile(r"  # \d+(x\d+)*\Z")


@dataclass(frozen=True)
class VariantFamily:
    """Classes of one text. `base` has it, and is one of the members where its net is one."""

    base: ClassText
    members: tuple[ClassText, ...]

    @property
    def doc(self) -> str:
        """What the comments of all nets end in."""
        docs = [m.trace.template.doc.split("\n\n") for m in self.members]
        same = 0
        while all(len(d) > same and d[-1 - same] == docs[0][-1 - same] for d in docs):
            same += 1
        return "\n\n".join(docs[0][len(docs[0]) - same :])


def variant_families(
    texts: Iterable[ClassText], nets: Mapping[str, tuple[str, Sequence[str]]]
) -> list[VariantFamily]:
    """The families of classes that differ in defaults alone.

    `nets` are, by class, the net that each is a variant of, and the lines that fill its weights.
    """
    found: dict[tuple[str, Hashable], list[ClassText]] = {}
    for text in texts:
        of, weights = nets.get(text.name, ("", ()))
        if of and text.forward and not text.trace.restricted:
            lines = (text.init, [_SHAPE.sub("", line) for line in text.forward], text.predict)
            arguments = tuple((a.name, a.type) for a in text.arguments)
            key = (arguments, *map(tuple, lines), tuple(weights), tuple(text.parameters))
            found.setdefault((of, (*key, text.result_type)), []).append(text)
    return [_family(of, members) for (of, _), members in found.items() if members[1:]]


def _family(of: str, members: Sequence[ClassText]) -> VariantFamily:
    forward = [
        first if all(line == first for line in others) else _SHAPE.sub("", first)
        for first, *others in zip(*(m.forward for m in members), strict=True)
    ]
    standing = next((m for m in members if m.trace.template.name == of), None)
    if standing is not None:
        standing.forward = forward
        return VariantFamily(standing, tuple(members))
    arguments = [
        replace(
            same[0], default=None, classes=tuple(dict.fromkeys(c for a in same for c in a.classes))
        )
        for same in zip(*(m.arguments for m in members), strict=True)
    ]
    base = replace(members[0], name="", arguments=arguments, forward=forward)
    return VariantFamily(base, tuple(members))


def variant_class(text: ClassText, base: str, doc: Sequence[str]) -> str:
    """The class of a variant, derived from that with the text of all."""
    head = ["self", *(a.source for a in text.arguments)]
    made = call("super().__init__", *(a.name for a in text.arguments))
    lines = [f"class {text.name}({base}):", *doc, ""]
    return "\n".join([*lines, *function_head("__init__", head, "None", 4), *statement("", made, 8)])
