"""Edits of a text as a person would make them: a field of a call, an import."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from netspec.diagnostics import Diagnostics
from netspec.diagnostics.fixes import Edit
from netspec.diagnostics.source import Source, Span
from netspec.syntax.ast import Call
from netspec.syntax.parser import parse
from netspec.syntax.visitor import walk
from netspec.util.recursion import deep_recursion
from netspec.util.resources import folder


def set_fields(op: Span, **fields: str) -> tuple[Edit, ...]:
    """What gives the call of an op, whose name stands at `op`, these values of fields.

    Nothing where no call of an op stands there, or in a file that comes with netspec.
    """
    call = _calls(op.source).get(op.start)
    if call is None:
        return ()
    edits = []
    given = {f.name.text: f.value.span for f in call.fields}
    new = [f"{name}: {value}" for name, value in fields.items() if name not in given]
    edits += [Edit(given[name], value) for name, value in fields.items() if name in given]
    if new:
        text = "  ".join(new)
        end = call.span.end
        if call.fields:
            end = call.fields[-1].span.end
            text = f"  {text}"
        elif call.span.text.endswith("}"):
            end = call.span.start + call.span.text.rindex("{") + 1
            text = f" {text} "
        else:
            text = f" {{ {text} }}"
        edits.append(Edit(Span(op.source, end, end), text))
    return tuple(edits)


def other_field(op: Span, name: str, field: str) -> tuple[Edit, ...]:
    """What puts `field`, a field with its value, in place of the field of this name."""
    call = _calls(op.source).get(op.start)
    given = [f.span for f in call.fields if f.name.text == name] if call is not None else []
    return tuple(Edit(span, field) for span in given[:1])


def add_import(source: Source, written: str) -> Edit:
    """What imports a module at the top of a text, behind the imports that stand there."""
    imports = [*re.finditer(r"^import\b[^\n]*\n", source.text, re.MULTILINE)]
    # A comment that belongs to no definition stays the first thing.
    head = re.match(r"(?:#(?!#)[^\n]*\n)*\n*", source.text)
    start = imports[-1].end() if imports else head.end() if head else 0
    gap = "" if imports else "\n"
    return Edit(Span(source, start, start), f"import {written}\n{gap}")


@lru_cache(maxsize=1)  # several diagnostics of one text follow each other
def _calls(source: Source) -> dict[int, Call]:
    """The calls of a text by where their ops stand; none where it has syntax errors."""
    if Path(source.name).is_absolute() and Path(source.name).is_relative_to(folder("specs")):
        return {}
    with deep_recursion():
        tree = parse(source, Diagnostics())
        nodes = walk(tree) if tree is not None else ()
        return {node.op.span.start: node for node in nodes if isinstance(node, Call)}
