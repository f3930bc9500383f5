"""The rules by the kinds of their operations."""

from __future__ import annotations

from collections.abc import Callable

from netspec.importers.tensors.program import Operation
from netspec.importers.tensors.translation import ProgramTranslation

Rule = Callable[[ProgramTranslation, Operation], None]
RULES: dict[str, Rule] = {}


def rule(*kinds: str) -> Callable[[Rule], Rule]:
    """Register a function as the rule of operations of these kinds."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(kinds, function))
        return function

    return register
