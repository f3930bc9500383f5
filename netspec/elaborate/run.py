"""What all blocks of one elaboration share, and the limits that bound it."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.ir import Block, Value
from netspec.source import Span

MAX_LAYERS = 100_000
"""Most layers of a net, those of all its instances counted."""
MAX_STEPS = 400_000
"""Most statements that are run in all."""
MAX_DEPTH = 50
"""Most modules that may be inside each other."""


class Run:
    """What all blocks of one elaboration share."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        self.diagnostics = diagnostics
        self.blocks: dict[object, Block | None] = {}
        self.steps = 0
        self.warnings: list[Diagnostic] = []

    def step(self, span: Span) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise TooMuch(
                Diagnostic(
                    "too-large", f"this spec takes more than {MAX_STEPS:,} statements to run", span
                )
            )


class TooMuch(Exception):
    """The budget is spent: the whole elaboration ends."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__()
        self.diagnostic = diagnostic


@dataclass(frozen=True)
class Operand:
    value: Value
    span: Span
    given: bool
    """Whether it stands in round brackets, and did not just flow in."""


CallNames = tuple[str, str | None, str]
"""Of a call: its node's name, the name of its line if it has one, and its value's name."""
