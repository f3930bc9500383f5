"""What all blocks of one elaboration share, and the limits that bound it."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.budget import Budget, TooMuch
from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.ir import Block, Value
from netspec.resolve import MAX_FAULTS
from netspec.source import Span

MAX_LAYERS = 100_000
"""Most layers of a net, those of all its instances counted."""
MAX_DEPTH = 50
"""Most modules that may be inside each other."""


class Run:
    """What all blocks of one elaboration share."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        self.diagnostics = diagnostics
        self.blocks: dict[object, Block | None] = {}
        self.budget = Budget()
        self.warnings: list[Diagnostic] = []

    def report(self, diagnostic: Diagnostic) -> None:
        """Raises TooMuch where this was one fault too many."""
        self.diagnostics.add(diagnostic)
        if len(self.diagnostics) >= MAX_FAULTS:
            raise TooMuch


@dataclass(frozen=True)
class Operand:
    value: Value
    span: Span
    given: bool
    """Whether it stands in round brackets, and did not just flow in."""


CallNames = tuple[str, str | None, str]
"""Of a call: its node's name, the name of its line if it has one, and its value's name."""
