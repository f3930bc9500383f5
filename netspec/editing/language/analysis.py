"""A text as an editor has it: its tree, its nets, its names, and all that is wrong with it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.diagnostics.source import Source
from netspec.driver import check_nets
from netspec.editing.language.names import Occurrence, names_of
from netspec.ir import Block, Net
from netspec.ir.sizes import blocks
from netspec.lazy_dataclasses import dataclass
from netspec.report.annotate import LineMetrics, line_metrics
from netspec.semantic.imports import ModuleScope, Program
from netspec.semantic.scope import observed
from netspec.syntax.ast import File
from netspec.syntax.parser import parse
from netspec.syntax.protobuf_text.detect import may_be_prototxt
from netspec.util.recursion import deep_recursion

MAX_CHECKED = 300_000
"""Longest text, in characters, whose nets are made as one types; of longer ones only the syntax is
looked at."""
MAX_VALUES = 8
"""Most values of a constant that are kept: a loop's variable may have thousands."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """What is known of a text.

    `file` is None where it has syntax errors, `nets` are those without errors. `values` are the
    values that constants had, by where their names are given.
    """

    source: Source
    file: File | None
    program: Program | None
    nets: tuple[Net, ...]
    diagnostics: tuple[Diagnostic, ...]
    values: Mapping[int, list[str]]

    @property
    def is_prototxt(self) -> bool:
        """Whether it is a file of Caffe."""
        return self.file is None and may_be_prototxt(self.source)

    @cached_property
    def names(self) -> list[Occurrence]:
        """Every name, in the order of the text; none where it has syntax errors."""
        return names_of(self.file, self.program) if self.file is not None else []

    @cached_property
    def scope(self) -> ModuleScope:
        """The modules in sight; none where there is no program."""
        program = self.program
        known = [*program.nets, *program.modules] if program is not None else []
        return known[0].scope if known else ModuleScope()

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of the nets, each once."""
        return tuple(dict.fromkeys(b for net in self.nets for b in blocks(net.body)))

    @cached_property
    def metrics(self) -> Mapping[int, LineMetrics]:
        """The metrics of each line of the text, of the first net that it has a part in."""
        found: dict[int, LineMetrics] = {}
        for net in self.nets:
            for line, metrics in line_metrics(net, self.source).items():
                found.setdefault(line, metrics)
        return found

    def at(self, offset: int) -> Occurrence | None:
        """The name at an offset, or that ends there."""
        place = bisect_right(self.names, offset, key=lambda o: o.span.start) - 1
        for occurrence in self.names[max(place - 1, 0) : place + 1][::-1]:
            if occurrence.span.start <= offset <= occurrence.span.end:
                return occurrence
        return None


def analyse(path: Path, text: str, texts: Mapping[Path, str] = {}) -> Analysis:
    """What there is to know of the text of a file; `texts` are those of files that are not saved.

    Raises nothing: what is wrong is among the diagnostics.
    """
    source = Source(str(path), text)
    values: dict[int, list[str]] = {}

    def keep(place: Source, start: int, value: str) -> None:
        known = values.setdefault(start, []) if place is source else []
        if len(known) < MAX_VALUES and value not in known:
            known.append(value)

    with deep_recursion():
        found = Diagnostics()
        prototxt = may_be_prototxt(source)
        file = None if prototxt else parse(source, found)
        if len(text) > MAX_CHECKED:
            return Analysis(source, file, None, (), found.sorted(), values)
        with observed(keep):
            checked = check_nets(source, path.parent, {}, needs_net=False, texts=texts)
    program = checked.program if file is not None else None
    return Analysis(source, file, program, checked.nets, checked.diagnostics, values)
