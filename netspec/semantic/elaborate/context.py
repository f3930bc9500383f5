"""What all blocks of one elaboration share: results, reports, and the limits that bound it."""

from __future__ import annotations

from typing import Any

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.ir import Block
from netspec.semantic.elaborate.repeated_errors import (
    Key,
    RepeatedDiagnostic,
    Uses,
    finished,
)
from netspec.semantic.limits import MAX_ERRORS, Budget, LimitExceeded
from netspec.semantic.scope import Names, Poison
from netspec.syntax.ast import ContractStatement

MAX_LAYERS = 100_000
"""Most layers of a net, those of all its instances counted."""
MAX_DEPTH = 50
"""Most modules that may be inside each other."""
MAX_EXPLAINED = 50
"""Most contracts about shapes of which it is looked for what would make them hold."""


class ElaborationContext:
    """What all blocks of one elaboration share."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        self.diagnostics = diagnostics
        self.blocks: dict[Key, Block | Poison] = {}
        """The blocks of modules, by module, arguments and input shapes."""
        self.running: set[Key] = set()
        """The keys of the blocks that are being made, one inside the other."""
        self.names: dict[Block, Names] = {}
        """The names inside each block."""
        self.uses = Uses()
        self.defaults: dict[int, dict[str, Any]] = {}
        """The defaults of each module's parameters, by the identity of the module."""
        self.budget = Budget()
        self.errors: dict[object, RepeatedDiagnostic] = {}
        self.warnings: dict[object, RepeatedDiagnostic] = {}
        self.verdicts: dict[int, Diagnostic | None] = {}
        """How each contract first failed, None where it did not; by the contract's identity."""
        self.contracts: dict[object, ContractStatement] = {}
        """The contracts that do not hold, by the identity of the diagnostic."""
        self._explained = 0

    def record_verdict(self, contract: ContractStatement, diagnostic: Diagnostic | None) -> None:
        """Keep the result of a contract in one run of its block."""
        self.verdicts[id(contract)] = self.verdicts.get(id(contract)) or diagnostic
        if diagnostic is not None:
            self.contracts[diagnostic.identity] = contract

    def is_new(self, diagnostic: Diagnostic) -> bool:
        """Whether nothing like it was reported, so that it is the one to be shown."""
        return not (diagnostic.identity in self.errors or diagnostic.identity in self.warnings)

    def reports(self) -> list[RepeatedDiagnostic]:
        return [*self.errors.values(), *self.warnings.values()]

    def may_explain(self) -> bool:
        """Whether there is time to look into one more error."""
        self._explained += 1
        return self._explained <= MAX_EXPLAINED

    def report(self, diagnostic: Diagnostic, key: Key) -> None:
        """Keep a diagnostic of the run `key`.

        Raises LimitExceeded where this was one error too many.
        """
        error = diagnostic.severity == "error"
        kept = self.errors if error else self.warnings
        report = kept.setdefault(diagnostic.identity, RepeatedDiagnostic(diagnostic, key))
        report.add(key, diagnostic.loops)
        if error and len(self.diagnostics) + len(self.errors) >= MAX_ERRORS:
            raise LimitExceeded

    def finish(self, complete: bool) -> None:
        """Hand on what was reported; `complete` if nothing was left out at the end."""
        uses = self.uses if complete else None
        for report in self.errors.values():
            self.diagnostics.add(finished(report, uses))
        for report in self.warnings.values():
            # What a wrong spec does not use may well be used once it is fixed.
            if report.diagnostic.code == "unmet-prefer" or not self.diagnostics.failed:
                self.diagnostics.add(finished(report, uses))
