"""A cfg of Darknet as sections with options: `[convolutional]`, `filters=32`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.diagnostics.source import Source, Span
from netspec.lazy_dataclasses import dataclass, field

MAX_SECTIONS = 5_000
"""Most sections of a file."""
MAX_NUMBER = 2**31
_NUMBER = re.compile(r"[+-]?(\d{1,30}\.?\d{0,30}|\.\d{1,30})([eE][+-]?\d{1,2})?")


class CfgError(Exception):
    """A section can't be read; `diagnostic` says why."""

    def __init__(self, code: str, message: str, span: Span, *help: str) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(code, message, span, help=help)


@dataclass(frozen=True)
class Option:
    """A value as it is written, and its place."""

    text: str
    span: Span


@dataclass(frozen=True)
class CfgSection:
    """`[name]` with the options below it. `read` are those that were asked for."""

    name: str
    span: Span
    options: dict[str, Option]
    read: set[str] = field(default_factory=set)

    def place(self, name: str) -> Span:
        """Where an option stands, or the section where it lacks it."""
        return self.options[name].span if name in self.options else self.span

    def _given(self, name: str) -> Option | None:
        self.read.add(name)
        return self.options.get(name)

    def integer(self, name: str, default: int | None = None, least: int = 0) -> int:
        """A whole number. Raises CfgError."""
        option = self._given(name)
        if option is None:
            if default is None:
                raise CfgError("missing-field", f"[{self.name}] needs {name}", self.span)
            return default
        number = self.number(name, 0)
        if number != int(number) or not least <= number < MAX_NUMBER:
            message = f"{name} takes a whole number from {least}, not {option.text}"
            raise CfgError("wrong-type", message, option.span)
        return int(number)

    def number(self, name: str, default: float) -> float:
        """A number. Raises CfgError."""
        option = self._given(name)
        if option is None:
            return default
        if not re.fullmatch(
            r"[+-]?(\d{1,30}\.?\d{0,30}|\.\d{1,30})([eE][+-]?\d{1,2})?", option.text
        ):
            raise CfgError("wrong-type", f"{name} takes a number, not {option.text}", option.span)
        return float(option.text)

    def integers(self, name: str) -> list[int]:
        """Whole numbers with commas between them. Raises CfgError."""
        option = self._given(name)
        words = option.text.split(",") if option is not None else []
        if not all(re.fullmatch(r"\s*[+-]?\d{1,9}\s*", word) for word in words):
            raise CfgError("wrong-type", f"{name} takes whole numbers", self.place(name))
        return [int(word) for word in words]

    def word(self, name: str, default: str) -> str:
        """A word."""
        option = self._given(name)
        return option.text if option is not None else default


def sections_of(source: Source, diagnostics: Diagnostics) -> list[CfgSection]:
    """The sections of a cfg, `[net]` the first; what is no section and no option is reported."""
    found: list[CfgSection] = []
    for text, start in _lines(source.text):
        span = Span(source, start, start + len(text))
        if text.startswith("["):
            name = text[1:].partition("]")[0].strip()
            if len(found) >= MAX_SECTIONS:
                message = f"{source.name} has more than {MAX_SECTIONS:,} sections"
                diagnostics.add(Diagnostic("too-large", message, span))
                break
            found.append(CfgSection(name, span, {}))
            continue
        key, equal, value = text.partition("=")
        if not equal or not found:
            message = "expected `[section]` or `option=value`"
            diagnostics.add(Diagnostic("syntax", message, span))
            continue
        # Of an option that is given twice, Darknet takes the first.
        found[-1].options.setdefault(key.strip(), Option(value.strip(), span))
    return found


def _lines(text: str) -> Iterator[tuple[str, int]]:
    """The lines with something in them, and where they begin."""
    start = 0
    for line in text.split("\n"):
        kept = re.sub(r"[#;].*", "", line).rstrip()
        begins = len(kept) - len(kept.lstrip())
        if kept.strip():
            yield kept.strip(), start + begins
        start += len(line) + 1
