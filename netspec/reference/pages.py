"""How the reference of ops looks: text, a Markdown page, JSON-ready data."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from netspec.ops import Family, Op, text
from netspec.reference.ops import (
    Entry,
    Example,
    FieldEntry,
    TensorEntry,
    entry,
)
from netspec.reference.ops import summary as summary_of
from netspec.semantic.input_block import INPUT_FIELDS

WIDTH = 88


def overview(ops: Collection[type[Op]]) -> str:
    """Ops by family, a line each."""
    width = max(len(op.keyword) for op in ops)
    parts = []
    for family, members in by_family(ops).items():
        rows = [(op.keyword.ljust(width), summary_of(op)) for op in members]
        parts.append(f"{family.name}: {family.about}\n{_aligned(rows)}")
    return "\n\n".join(parts) + "\n"


def by_family(ops: Iterable[type[Op]]) -> dict[Family, list[type[Op]]]:
    """Ops in their families, both in order of declaration."""
    members: dict[Family, list[type[Op]]] = {}
    for op in ops:
        members.setdefault(op.family, []).append(op)
    return members


# --- what both forms say -------------------------------------------------------------------------


def inputs_of(e: Entry) -> str:
    least, most = e.arity
    count = (
        str(least)
        if least == most
        else f"{least} or more"
        if most is None
        else f"{least} to {most}"
    )
    indices = "".join(f", {chr(97 + i)} being indices of a pooling" for i in e.index_inputs)
    return count + indices


def usage(e: Entry) -> str:
    """How a layer with the op is written."""
    least, most = e.arity
    arguments = ", ".join(chr(97 + i) for i in range(least)) + (", ..." if most is None else "")
    inputs = f"({arguments})" if e.arity != (1, 1) else ""
    required = [f"{f.name}: ..." for f in e.fields if f.default is None]
    fields = f" {{ {'  '.join(required)} }}" if required else ""
    return f"{e.keyword}{inputs}{fields}"


def shape_lines(e: Entry) -> list[str]:
    """The shape of the result; nothing where only the text tells it."""
    if e.shape is None:
        return []
    if e.keeps_shape:
        return ["as the input"]
    return [" x ".join(map(_factor, e.shape)), *(f"{n} = {f}" for n, f in e.where.items())]


def shape_title(e: Entry, code: str = "") -> str:
    """What the formula of a shape is headed with: it may be that of one choice of fields only."""
    formulas = " ".join((*(e.shape or ()), *e.where.values()))
    optional = (f.name for f in e.fields if f.default == "")
    used = [f"{code}{name}{code}" for name in optional if re.search(rf"\b{name}(_|\b)", formulas)]
    return "Shape of the result" + (f" with {' and '.join(used)}" if used else "")


def _factor(formula: str) -> str:
    return f"({formula})" if " " in formula else formula


def _tensor_shape(tensor: TensorEntry) -> str:
    return " x ".join(map(_factor, tensor.shape))


def _tensor_note(tensor: TensorEntry, code: str = "") -> str:
    notes = [f"with {code}{tensor.flag}: true{code}"] if tensor.flag else []
    notes += [] if tensor.learnable else ["a statistic, no parameter"]
    return ", ".join(notes)


def outcome(example: Example) -> str:
    """The shapes and counts of an example: `64x56x56 -> 128x56x56, 73,856 parameters`."""
    into = ", ".join(map(text, example.inputs))
    found = [f"{into} -> {text(example.outputs[0])}"]
    found += [f"{example.params:,} parameters"] if example.params else []
    found += [f"{example.macs:,} MACs"] if example.macs else []
    return ", ".join(found)


# --- text ----------------------------------------------------------------------------------------


def page_text(op: type[Op]) -> str:
    """The reference of one op, for a terminal."""
    e = entry(op)
    parts = [usage(e)]
    parts += [textwrap.fill(p, WIDTH) for p in (e.summary, *e.details)]
    parts.append(f"Inputs: {inputs_of(e)}. Results: {', '.join(e.results)}. Family: {e.family}.")
    if e.fields:
        parts.append("Fields\n" + _aligned(_field_rows(e.fields)))
    if lines := shape_lines(e):
        parts.append(f"{shape_title(e)}\n{_indented(lines)}")
    if e.tensors:
        rows = [(t.name, _tensor_shape(t), _tensor_note(t)) for t in e.tensors]
        parts.append("Tensors\n" + _aligned(rows))
    if e.macs is not None:
        parts.append("MACs\n" + _indented([e.macs]))
    parts.append("Example\n" + _indented([*e.example.text.splitlines(), outcome(e.example)]))
    return "\n\n".join(parts) + "\n"


def _field_rows(fields: Iterable[FieldEntry]) -> list[tuple[str, str, str]]:
    rows = []
    for f in fields:
        default = "required" if f.default is None else f.default and f"default {f.default}"
        rows.append((f.name, default or "optional", f"{f.doc}: {f.kind.replace('`', '')}"))
    return rows


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns; the last one is broken into lines that stay in it."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    lines = []
    for *cells, last in rows:
        head = "".join(f"{c:<{w}}  " for c, w in zip(cells, widths, strict=True))
        wrapped = textwrap.wrap(last, max(WIDTH - len(head) - 2, 30)) or [""]
        lines.append(f"  {head}{wrapped[0]}".rstrip())
        lines += [" " * (len(head) + 2) + line for line in wrapped[1:]]
    return "\n".join(lines)


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(f"  {line}" for line in lines)


# --- Markdown ------------------------------------------------------------------------------------


def page(ops: Collection[type[Op]]) -> str:
    """The whole reference page of some ops."""
    parts = [
        "# Ops",
        "Every op with its fields, shapes and costs. This page is written by `netspec ops --format "
        "markdown` from the declarations in `netspec/ops`; `netspec ops conv` shows one op.",
        "Sizes are named as in the language: `channels`, `height` and `width` (or `features` of a "
        "plain vector) are those of the input, of several inputs `a.channels` and `b.channels`. "
        "Of a pair, `_h` and `_w` are its two numbers; of pads, `_top`, `_bottom`, `_left` and "
        "`_right`. `//` divides and rounds down. Examples run on `input x: 64x56x56`, unless they "
        "state an input. MACs are counted for batch 1; an op without a line of them counts none.",
        _contents(ops),
    ]
    for family, members in by_family(ops).items():
        parts += [f"## {family.about.rstrip('.')}"]
        parts += [page_markdown(op) for op in members]
    parts += ["## Fields of an input", _INPUT_FIELDS, _input_fields()]
    return "\n\n".join(parts) + "\n"


_INPUT_FIELDS = (
    "How a picture becomes the input of a net: `input data: 3x224x224 { mean: [104, 117, 123] }`. "
    "The input is (picture * scale - mean) / std."
)


def _contents(ops: Iterable[type[Op]]) -> str:
    lines = [
        f"- {family.name}: " + ", ".join(f"[{op.keyword}](#{op.keyword})" for op in members)
        for family, members in by_family(ops).items()
    ]
    return "\n".join(lines)


def page_markdown(op: type[Op]) -> str:
    """The reference of one op as a section of a page."""
    e = entry(op)
    parts = [f"### {e.keyword}", f"`{usage(e)}`", e.summary, *e.details]
    facts = [f"Inputs: {inputs_of(e)}. Results: {', '.join(f'`{r}`' for r in e.results)}."]
    if e.fields:
        facts.append(_table(("field", "default", "values", "meaning"), map(_field_row, e.fields)))
    if lines := shape_lines(e):
        first, *where = lines
        whole = first if e.keeps_shape else f"`{first}`"
        title = shape_title(e, "`")
        facts.append(f"{title}: {whole}" + (", where" if where else ""))
        facts += ["\n".join(f"    {line}" for line in where)] if where else []
    if e.tensors:
        rows = [(f"`{t.name}`", f"`{_tensor_shape(t)}`", _tensor_note(t, "`")) for t in e.tensors]
        facts.append(_table(("tensor", "shape", ""), rows))
    if e.macs is not None:
        facts.append(f"MACs: `{e.macs}`")
    facts += [f"```net\n{e.example.text}\n```", outcome(e.example)]
    return "\n\n".join([*parts, *facts])


def _field_row(f: FieldEntry) -> tuple[str, ...]:
    default = "required" if f.default is None else f"`{f.default}`" if f.default else "optional"
    return (f"`{f.name}`", default, f.kind, f.doc)


def _input_fields() -> str:
    rows = [(f"`{name}`", str(f.kind), f.doc) for name, f in INPUT_FIELDS.items()]
    return _table(("field", "values", "meaning (default)"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in lines)


# --- JSON ----------------------------------------------------------------------------------------


def data(op: type[Op]) -> dict[str, Any]:
    """The reference of one op as JSON-ready data; `shape` is null where only the text tells it."""
    return asdict(entry(op))
