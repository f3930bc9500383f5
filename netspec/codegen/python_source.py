"""Python source, broken over lines as `ruff format` does it.

Source is a small tree: a `FunctionCall` and an `Infix` are broken where they don't fit on a line,
`Verbatim` text only at its operators. `flat()` gives all on one line, `statement` as lines. Only an
`Infix` that is broken inside a call differs from ruff's: it is put in brackets.

    statement("x = ", call("f", "a", call("g", "b")), indent=4)    ["    x = f(a, g(b))"]
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Sequence
from itertools import groupby
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.lazy_dataclasses import dataclass

if TYPE_CHECKING:
    import jinja2

WIDTH = 100
"""Longest line of emitted code."""
WIDOW = 12
"""Length that the last line of a paragraph should have at least."""


@dataclass(frozen=True)
class Verbatim:
    """Source that is broken at arithmetic operators alone."""

    text: str

    def flat(self) -> str:
        return self.text


@dataclass(frozen=True)
class FunctionCall:
    """`head(args)tail`, or with other `brackets`; without a head a tuple or list."""

    head: str
    args: tuple[Source, ...]
    brackets: str = "()"
    tail: str = ""

    def flat(self) -> str:
        inner = ", ".join(a.flat() for a in self.args)
        if self.brackets == "()" and not self.head and len(self.args) == 1:
            inner += ","  # a tuple of one
        return f"{self.head}{self.brackets[0]}{inner}{self.brackets[1]}{self.tail}"


@dataclass(frozen=True)
class Infix:
    """Operands joined by one operator."""

    operator: str
    operands: tuple[Source, ...]

    def flat(self) -> str:
        return f" {self.operator} ".join(o.flat() for o in self.operands)


@dataclass(frozen=True)
class Keyword:
    """`name=value`."""

    name: str
    value: Source

    def flat(self) -> str:
        return f"{self.name}={self.value.flat()}"


@dataclass(frozen=True)
class Lambda:
    """`lambda parameters: body`."""

    parameters: tuple[str, ...]
    body: Source

    @property
    def head(self) -> str:
        return f"lambda {', '.join(self.parameters)}: "

    def flat(self) -> str:
        return self.head + self.body.flat()


@dataclass(frozen=True)
class Alternatives:
    """`a if test else b`, in the parts that have lines of their own."""

    parts: tuple[str, ...]

    def flat(self) -> str:
        return " ".join(self.parts)


Source = Verbatim | FunctionCall | Infix | Keyword | Lambda | Alternatives


def call(head: str, /, *args: Source | str, **keywords: Source | str) -> FunctionCall:
    """A call with positional and keyword arguments; strings are source as it stands."""
    sources: list[Source] = [_source(a) for a in args]
    sources += [Keyword(k, _source(v)) for k, v in keywords.items()]
    return FunctionCall(head, tuple(sources))


def tuple_of(items: Sequence[Source | str]) -> FunctionCall:
    """A tuple of source."""
    return FunctionCall("", tuple(_source(i) for i in items))


def list_of(items: Sequence[Source | str]) -> FunctionCall:
    """A list of source."""
    return FunctionCall("", tuple(_source(i) for i in items), brackets="[]")


def _source(s: Source | str) -> Source:
    return Verbatim(s) if isinstance(s, str) else s


def statement(prefix: str, source: Source | str, indent: int, comment: str = "") -> list[str]:
    """The lines of `prefix source`, with a comment behind it if all of that fits on one line."""
    lines = _layout(prefix, _source(source), "", indent)
    if comment and len(lines) == 1 and len(lines[0]) + len(comment) + 4 <= WIDTH:
        lines[0] += f"  # {comment}"
    return lines


def _layout(prefix: str, source: Source, suffix: str, indent: int) -> list[str]:
    margin = " " * indent
    flat = f"{margin}{prefix}{source.flat()}{suffix}"
    if len(flat) <= WIDTH:
        return [flat]
    if isinstance(source, Keyword):
        return _layout(f"{prefix}{source.name}=", source.value, suffix, indent)
    if isinstance(source, Lambda):
        return _layout(prefix + source.head, source.body, suffix, indent)
    if isinstance(source, FunctionCall) and source.args:
        opening = f"{margin}{prefix}{source.head}{source.brackets[0]}"
        closing = f"{margin}{source.brackets[1]}{source.tail}{suffix}"
        if len(opening) > WIDTH and prefix.endswith(" = "):
            inner_lines = _layout("", source, "", indent + 4)
            if all(len(line) <= WIDTH for line in inner_lines):
                return [f"{margin}{prefix}(", *inner_lines, f"{margin}){suffix}"]
        return [opening, *_inside(source.args, indent + 4, bool(source.head)), closing]
    if isinstance(source, Alternatives):
        return [
            f"{margin}{prefix}(",
            *(f"{margin}    {p}" for p in source.parts),
            f"{margin}){suffix}",
        ]
    if isinstance(source, Infix):
        inner = f"{margin}    {source.flat()}"
        if len(inner) <= WIDTH:
            return [f"{margin}{prefix}(", inner, f"{margin}){suffix}"]
        lines = [f"{margin}{prefix}("]
        for i, operand in enumerate(source.operands):
            lines += _layout(f"{source.operator} " if i else "", operand, "", indent + 4)
        return [*lines, f"{margin}){suffix}"]
    parts = _operands(source.flat())
    if prefix.endswith("= ") or prefix == "return ":
        inner = f"{margin}    {source.flat()}"
        if len(inner) <= WIDTH:
            return [f"{margin}{prefix}(", inner, f"{margin}){suffix}"]
        if len(parts) > 1:
            return [
                f"{margin}{prefix}(",
                *(f"{margin}    {p}" for p in parts),
                f"{margin}){suffix}",
            ]
    parts = [f"{prefix}{parts[0]}", *parts[1:]]
    return [f"{margin}{p}" for p in parts[:-1]] + [f"{margin}{parts[-1]}{suffix}"]


_OTHERS = (",", ":", "=", ":=", "<", ">", "<=", ">=", "==", "!=", "**", "|", "&", "@")


def _operands(text: str) -> list[str]:
    """The operands of an expression's loosest operators, each but the first with its operator.

    The expression alone, where it has others than arithmetic ones.
    """
    places: dict[str, list[int]] = {"+-": [], "*/%": []}
    depth, before = 0, ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        word = token.string
        if depth == 0 and (word in _OTHERS or iskeyword(word)):
            return [text]
        depth += word in ("(", "[", "{")
        depth -= word in (")", "]", "}")
        for kind, found in places.items():
            if depth == 0 and word[:1] in (*kind,) and before not in ("", *"+-*/%("):
                found.append(token.start[1])
        before = word
    found = places["+-"] or places["*/%"]
    ends = [*found, len(text)]
    return [text[a:b].strip() for a, b in zip([0, *found], ends, strict=True)]


def _inside(args: Iterable[Source], indent: int, one_line: bool) -> list[str]:
    """The lines between brackets: all arguments on one line, or else each on its own."""
    args = tuple(args)
    together = " " * indent + ", ".join(a.flat() for a in args)
    if len(together) <= WIDTH and one_line:
        return [together]
    if len(args) == 1 and one_line:
        return _layout("", args[0], "", indent)
    lines: list[str] = []
    for arg in args:
        lines += _layout("", arg, ",", indent)
    return lines


def function_head(name: str, args: Sequence[str], result: str, indent: int) -> list[str]:
    """The head of a function: on one line, else its parameters on one, else one on each."""
    margin = " " * indent
    line = f"{margin}def {name}({', '.join(args)}) -> {result}:"
    if len(line) <= WIDTH:
        return [line]
    together = f"{margin}    {', '.join(args)}"
    if len(together) <= WIDTH:
        inner = [together]
    else:
        inner = [line for a in args for line in _parameter(a, f"{margin}    ")]
    return [f"{margin}def {name}(", *inner, f"{margin}) -> {result}:"]


def _parameter(text: str, margin: str) -> list[str]:
    """The lines of one parameter; a tuple that is its default has an item on each, if need be."""
    head, equals, items = text.partition(" = (")
    if len(f"{margin}{text},") <= WIDTH or not equals:
        return [f"{margin}{text},"]
    from ast import Tuple, get_source_segment, parse

    source = f"({items}"
    found = parse(source, mode="eval").body
    assert isinstance(found, Tuple), "brackets that are no tuple"
    parts = (get_source_segment(source, item) for item in found.elts)
    return [f"{margin}{head} = (", *(f"{margin}    {part}," for part in parts), f"{margin}),"]


def docstring(text: str, indent: int) -> list[str]:
    """The lines of a docstring with this text, which may hold quotes and backslashes.

    A paragraph with a line that is too long is rewrapped; indented lines are kept.
    """
    margin = " " * indent
    text = _escaped(text).strip()
    if re.search(r'(?<!\\)(\\\\)*"\Z', text):  # a quote with no backslash of its own
        text = text[:-1] + '\\"'
    if text.startswith('"'):
        text = f" {text}"
    if "\n" not in text and len(margin + text) + 6 <= WIDTH:
        return [f'{margin}"""{text}"""']
    lines: list[str] = []
    for paragraph in _paragraphs(f'"""{text}'.split("\n"), WIDTH - indent):
        lines += _filled(paragraph, WIDTH - indent) or [""]
    if len(lines) == 1:
        # Formatters leave the closing quotes of a single line where they are, too far right.
        lines = _filled(lines[0], len(lines[0]) - 1)
    if len(lines) == 1:
        return [f'{margin}{lines[0]}"""']
    return [(margin + line).rstrip() for line in (*lines, '"""')]


_BLANK = "\u00a0"
"""Stands for a blank at which no line may be broken."""
_SHAPE = re.compile(r"\((?:N|\d+)(?:, \d+)+\)")


def _filled(paragraph: str, width: int) -> list[str]:
    """A paragraph as lines; shapes are not broken, and a short last line is avoided."""
    from textwrap import wrap

    text = _SHAPE.sub(lambda m: m.group().replace(" ", _BLANK), paragraph)
    lines = wrap(text, width, break_long_words=False, break_on_hyphens=False)
    if len(lines) > 1 and len(lines[-1]) < WIDOW:
        for narrower in range(width - 1, width - 2 * WIDOW, -1):
            other = wrap(text, narrower, break_long_words=False, break_on_hyphens=False)
            if len(other) > len(lines):
                break
            if len(other[-1]) >= WIDOW:
                lines = other
                break
    return [line.replace(_BLANK, " ") for line in lines]


def _paragraphs(lines: Sequence[str], width: int) -> list[str]:
    """The lines, but each paragraph of plain text that is too wide as one line."""
    result: list[str] = []
    for filled, group in groupby(lines, key=lambda line: bool(line.strip())):
        paragraph = list(group)
        # Indented lines, such as examples, are kept as they are.
        plain = filled and not any(line[0].isspace() for line in paragraph)
        if plain and any(len(line) > width for line in paragraph):
            paragraph = [" ".join(paragraph)]
        result += paragraph
    return result


def _escaped(text: str) -> str:
    """Text with quotes and backslashes escaped, and blanks for what can't be printed."""
    text = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


def templates(folder: Path) -> jinja2.Environment:
    """The templates in a folder, set up for source code: nothing is escaped.

    A name that a template uses and is not given is an error.
    """
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
