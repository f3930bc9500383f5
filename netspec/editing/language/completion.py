"""What may be written at a place of a text, and the fields of the call around it.

Works on the words in front of the place, so that it does where the text is not yet whole; names in
sight are those of the last text without syntax errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

from netspec.diagnostics.fixes import Edit
from netspec.diagnostics.source import Source
from netspec.editing.language.analysis import Analysis
from netspec.editing.language.hover import signature
from netspec.editing.language.names import Symbol
from netspec.ops import OPS, Op, attributes, op_names
from netspec.reference.editor_words import (
    CALLABLE,
    CONSTANTS,
    CONTRACTS,
    CONTROL,
    DECLARATIONS,
    MEASURED,
    SIZES,
)
from netspec.reference.ops import summary
from netspec.report import number_format
from netspec.semantic.detect_block import DETECT_FIELDS
from netspec.semantic.imports import ModuleDefinition
from netspec.semantic.input_block import INPUT_FIELDS
from netspec.semantic.train_block import TRAIN_FIELDS
from netspec.syntax.ast import Definition
from netspec.syntax.edits import add_import
from netspec.util.resources import folder

MAX_READ = 20_000
"""How many characters in front of a place are looked at."""
_WORDS = re.compile(r'#[^\n]*|"(?:[^"\\\n]|\\.)*"?|->|\w+|\S')
_CLOSING = {")": "(", "]": "[", "}": "{"}
_BLOCKS: dict[str, Mapping[str, Any]] = {
    "train": TRAIN_FIELDS,
    "detect": DETECT_FIELDS,
    "input": INPUT_FIELDS,
}
"""The fields of what is no call."""


class Completion(NamedTuple):
    """A text that may be written, what it is, and what else it needs: an import."""

    label: str
    kind: Literal["op", "module", "keyword", "field", "value", "constant", "layer", "function"]
    detail: str = ""
    insert: str = ""
    also: tuple[Edit, ...] = ()


class Context(NamedTuple):
    """The words in front of a place: those of the innermost open bracket, and its owner.

    `owner` are the words in front of that bracket, `definition` is the name of the net or module
    that the place is in.
    """

    inside: tuple[str, ...]
    bracket: str
    owner: tuple[str, ...]
    definition: str


def context_at(text: str, offset: int) -> Context:
    """What is around a place."""
    start = max(0, offset - MAX_READ)
    words = [w for w in _WORDS.findall(text, start, offset) if not w.startswith("#")]
    stack: list[tuple[str, int]] = []
    definition = ""
    for i, word in enumerate(words):
        if word in "([{":
            stack.append((word, i))
        elif word in _CLOSING and stack and stack[-1][0] == _CLOSING[word]:
            stack.pop()
        if i and words[i - 1] in ("net", "module") and not stack:
            definition = word
    bracket, at = stack[-1] if stack else ("", -1)
    before = words[:at] if at >= 0 else []
    return Context(tuple(words[at + 1 :]), bracket, tuple(before[-60:]), definition)


def _called(owner: Sequence[str]) -> str:
    """The op or module whose braces open behind these words; empty for those of a block."""
    words = list(owner)
    while words and words[-1] in (")", "]"):
        depth = 0
        while words:
            word = words.pop()
            depth += (word in _CLOSING) - (word in "([{")
            if not depth:
                break
    plain, listed = words[-4:], words[-3:]  # `input x: 3x8x8 {`, `input x: [3, n, n] {`
    if (plain[:1] == ["input"] and plain[2:3] == [":"]) or listed[::2] == ["input", ":"]:
        return "input"
    if not words or not words[-1].isidentifier():
        return ""
    name = words[-1]
    before = words[-2] if len(words) > 1 else ""
    return "" if before in ("net", "module", "for", "in", "if", "variant", "..") else name


def module_of(analysis: Analysis, name: str) -> ModuleDefinition | None:
    """A module that the definitions of a text can see."""
    return analysis.scope.find(name, len(analysis.scope))


def completions(analysis: Analysis, text: str, offset: int) -> list[Completion]:
    """What may be written at a place; `analysis` is that of the last text without syntax errors."""
    prefix = re.search(r"\w*\Z", text[:offset])
    context = context_at(text, prefix.start() if prefix else offset)
    if _in_words(text, offset):
        return []
    line = text[text.rfind("\n", 0, offset) + 1 : offset]
    if re.match(r"\s*import\s+\w*\Z", line):
        return [Completion(name, "module") for name in bundled_modules()]
    last = context.inside[-1] if context.inside else ""
    called = _called(context.owner) if context.bracket == "{" else ""
    if last == ".":
        return list(_parts(analysis, context))
    if context.bracket == "":
        return [Completion(w, "keyword") for w in ("net", "module", "import", "default")]
    if called:
        return list(_in_fields(analysis, context, called))
    if context.bracket == "(":
        return [*_values(analysis, context), *_constants(analysis, context), *_ops()]
    if context.bracket == "[" or last in ("=", "+", "-", "*", "/", "(", "<", ">", "if", "in"):
        return list(_constants(analysis, context))
    source = Source(analysis.source.name, text)
    found = [*_ops(), *_modules(analysis, source)]
    if last not in (":", "->"):
        words = (*DECLARATIONS, *CONTRACTS, *CONTROL, "train", "detect", "default")
        found += [Completion(w, "keyword") for w in words]
        if last in ("output", "expect", "prefer", ","):
            found = [*_values(analysis, context), *(Completion(m, "function") for m in MEASURED)]
    return found


def _in_words(text: str, offset: int) -> bool:
    """Whether a place is in a comment or a string."""
    line = text[text.rfind("\n", 0, offset) + 1 : offset]
    rest = re.sub(r'"(?:[^"\\]|\\.)*"', "", line)
    return "#" in rest or '"' in rest


def bundled_modules() -> list[str]:
    """The modules that come with netspec."""
    return sorted(p.stem for p in (folder("specs") / "modules").glob("*.net"))


def _ops() -> Iterator[Completion]:
    for name in op_names():
        op = OPS.get(name)
        yield Completion(name, "op", summary(op) if op is not None else "")


def _modules(analysis: Analysis, source: Source) -> Iterator[Completion]:
    """Modules in sight; those that an import would bring, with that import."""
    seen: set[str] = set()
    for module in analysis.scope.modules():
        d = module.definition
        seen.add(d.name.text)
        yield Completion(d.name.text, "module", signature(d))
    for name in bundled_modules():
        if name not in seen:
            yield Completion(name, "module", "imports it", also=(add_import(source, name),))
    for path in _beside(Path(analysis.source.name)):
        if path.stem not in seen and _defines(path):
            edit = add_import(source, f'"{path.name}"')
            yield Completion(path.stem, "module", f"imports {path.name}", also=(edit,))


def _beside(path: Path) -> list[Path]:
    try:
        return [p for p in sorted(path.parent.glob("*.net"))[:100] if p.name != path.name]
    except OSError:
        return []


def _defines(path: Path) -> bool:
    """Whether a file defines a module of its own name."""
    try:
        with path.open(encoding="utf-8") as file:
            head = file.read(2**16)
    except (OSError, ValueError):
        return False
    return re.search(rf"^\s*module\s+{re.escape(path.stem)}\b", head, re.MULTILINE) is not None


def fields_of(analysis: Analysis, called: str) -> list[tuple[str, str, bool]]:
    """The fields that a call may have: name, what it takes, whether it must be given."""
    op = OPS.get(called)
    if op is not None:
        return [(a.name, f"{a.kind}", a.required) for a in attributes(op)]
    module = module_of(analysis, called)
    if module is None:
        return []
    return [
        (p.name.text, f"= {p.default.span.text}" if p.default else "", p.default is None)
        for p in module.definition.params
    ]


def _in_fields(analysis: Analysis, context: Context, called: str) -> Iterator[Completion]:
    inside = context.inside
    if (inside and inside[-1] == ":") or (
        len(inside) > 1 and inside[-2] == ":" and inside[-1] in "+-*/"
    ):
        name = inside[-2] if inside[-1] == ":" else ""
        yield from (Completion(w, "value") for w in _words_of(called, name))
        yield from _constants(analysis, context)
        return
    given = {word for word, colon in pairwise(inside) if colon == ":"}
    if called in _BLOCKS:
        for name in _BLOCKS[called]:
            if name not in given:
                yield Completion(name, "field", insert=f"{name}: ")
        return
    for name, kind, required in fields_of(analysis, called):
        if name not in given:
            detail = f"{kind}, required" if required and kind else "required" if required else kind
            yield Completion(name, "field", detail, f"{name}: ")


def _words_of(called: str, field: str) -> Iterable[str]:
    """The words that a field takes."""
    op: type[Op] | None = OPS.get(called)
    if op is not None:
        kinds = [a.kind for a in attributes(op) if a.name == field]
    else:
        known = _BLOCKS.get(called, {})
        kinds = [known[field].kind] if field in known else []
    words = [w for kind in kinds for w in kind.words]
    return words or (["true", "false"] if any(str(k) == "true or false" for k in kinds) else [])


def _definition(analysis: Analysis, name: str) -> Definition | None:
    items = analysis.file.items if analysis.file is not None else ()
    return next((d for d in items if isinstance(d, Definition) and d.name.text == name), None)


def _symbols(analysis: Analysis, context: Context) -> Iterator[Symbol]:
    """What the definition around a place names, each once."""
    own = _definition(analysis, context.definition)
    seen: set[str] = set()
    for occurrence in analysis.names if own is not None else ():
        symbol = occurrence.symbol
        if symbol.within is own and symbol.name not in seen and symbol.place == occurrence.span:
            seen.add(symbol.name)
            yield symbol


def _values(analysis: Analysis, context: Context) -> Iterator[Completion]:
    for symbol in _symbols(analysis, context):
        if symbol.kind in ("input", "layer") and symbol.place is not None:
            found = analysis.metrics.get(symbol.place.line)
            shape = number_format.shape(found.shapes[-1]) if found and found.shapes else ""
            insert = f"{symbol.name}[" if symbol.indexed else ""
            yield Completion(symbol.name, "layer", shape, insert)


def _constants(analysis: Analysis, context: Context) -> Iterator[Completion]:
    for symbol in _symbols(analysis, context):
        if symbol.kind in ("parameter", "constant") and symbol.place is not None:
            values = analysis.values.get(symbol.place.start, [])
            yield Completion(symbol.name, "constant", ", ".join(values[:3]))
    for symbol in _symbols(analysis, context):
        if symbol.kind in ("input", "layer") and not symbol.indexed:
            yield Completion(symbol.name, "layer", insert=f"{symbol.name}.")
    yield from (Completion(f, "function") for f in CALLABLE)
    yield from (Completion(c, "value") for c in CONSTANTS)


def _parts(analysis: Analysis, context: Context) -> Iterator[Completion]:
    """What stands behind a dot: sizes, results, and in contracts the lines of an instance."""
    yield from (Completion(s, "value") for s in SIZES)
    name = context.inside[-2] if len(context.inside) > 1 else ""
    symbol = next((s for s in _symbols(analysis, context) if s.name == name), None)
    if symbol is None or symbol.place is None:
        return
    line = analysis.source.line(symbol.place.line)
    for word in re.findall(r"\w+", line.partition(":")[2]):
        op = OPS.get(word)
        if op is not None and len(op.results) > 1:
            yield from (Completion(r, "value", f"of {word}") for r in op.results)
        module = module_of(analysis, word) if op is None else None
        if module is not None:
            yield from (Completion(n, "layer", f"of {word}") for n in module.lines.plain)


class Signature(NamedTuple):
    """The call around a place: its fields as a text, where each is in it, and the one at hand."""

    label: str
    doc: str
    fields: tuple[tuple[int, int], ...]
    active: int | None


def signature_at(analysis: Analysis, text: str, offset: int) -> Signature | None:
    """The op or module in whose braces a place is, with its fields."""
    context = context_at(text, offset)
    called = _called(context.owner) if context.bracket == "{" else ""
    fields = fields_of(analysis, called)
    if not fields:
        return None
    label, places = f"{called} {{ ", []
    for i, (name, _, required) in enumerate(fields):
        label += "  " * bool(i)
        places.append((len(label), len(label) + len(name)))
        label += name + ("" if required else "?")
    names = [word for word, colon in pairwise(context.inside) if colon == ":"]
    at = next((i for i, f in enumerate(fields) if names and f[0] == names[-1]), None)
    op = OPS.get(called)
    module = module_of(analysis, called) if op is None else None
    doc = summary(op) if op is not None else module.definition.doc if module is not None else ""
    return Signature(f"{label} }}", doc, tuple(places), at)
