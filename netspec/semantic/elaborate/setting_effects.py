"""Which settings broke a contract or led to an error.

A contract may hold for the defaults of the net's parameters and break under `--set classes=10`, and
`--set classes=-3` is an error where classes is used. To tell, the net is elaborated once more with
the defaults, and without each setting by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from netspec.diagnostics import Diagnostic
from netspec.lazy_dataclasses import dataclass, replace
from netspec.ops.attribute_types import describe
from netspec.semantic.constants import key_of
from netspec.semantic.elaborate.context import ElaborationContext
from netspec.semantic.elaborate.repeated_errors import RepeatedDiagnostic
from netspec.symbolic.expr import Num
from netspec.syntax.ast import ContractStatement, Definition

MAX_SINGLE = 4
"""Most settings that are tried one by one."""
MAX_QUOTED = 90
"""Longest contract that a line of help repeats."""
UNMET = ("unmet-expect", "unmet-prefer")


@dataclass(frozen=True)
class Trial:
    """The result of an elaboration with other settings: values, verdicts, errors.

    `errors` are the identities of the errors that it had.
    """

    values: Mapping[str, Any]
    verdicts: Mapping[int, Diagnostic | None]
    errors: Container[object]


def note_setting_effects(
    definition: Definition,
    settings: Mapping[str, Any],
    context: ElaborationContext,
    elaborate: Callable[[Mapping[str, Any]], Trial],
) -> None:
    """Add to reports of unmet contracts and of errors a note on the settings that led to them."""
    reports = [r for r in context.reports() if _may_be_set(r.diagnostic)]
    known = [p.name.text for p in definition.params if p.default is not None]
    given = [n for n in known if n in settings]
    if not reports or not given:
        return
    base = elaborate({n: v for n, v in settings.items() if n not in given})
    given = [n for n in given if key_of(base.values.get(n)) != key_of(settings[n])]
    without = dict.fromkeys(given, base)
    if 1 < len(given) <= MAX_SINGLE:
        without = {n: elaborate({k: v for k, v in settings.items() if k != n}) for n in given}
    for report in reports:
        identity = report.diagnostic.identity
        if report.diagnostic.code not in UNMET:
            if given and identity not in base.errors:
                names = [n for n in given if identity not in without[n].errors] or given
                what = _set(names, settings, base)
                _note(report, f"it does not occur with the default{'s' * (len(names) > 1)}; {what}")
            continue
        contract = context.contracts[identity]
        if id(contract) in base.verdicts and given:
            now = _failure(context.verdicts, contract)
            deciding = [n for n in given if _failure(without[n].verdicts, contract) != now]
            _note_contract(report, contract, deciding or given, settings, base)


def _may_be_set(diagnostic: Diagnostic) -> bool:
    return diagnostic.code in UNMET or diagnostic.severity == "error"


def _set(names: Sequence[str], settings: Mapping[str, Any], base: Trial) -> str:
    """What the parameters are set to, and what they are without that."""
    parts = [
        f"{n} is set to {describe(settings[n])} (default {describe(base.values[n])})" for n in names
    ]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _note(report: RepeatedDiagnostic, text: str) -> None:
    report.diagnostic = replace(report.diagnostic, notes=(*report.diagnostic.notes, text))


def _failure(verdicts: Mapping[int, Diagnostic | None], contract: ContractStatement) -> str | None:
    """How a contract failed; None where it holds."""
    verdict = verdicts.get(id(contract))
    return verdict.label if verdict else None


def _note_contract(
    report: RepeatedDiagnostic,
    contract: ContractStatement,
    names: Sequence[str],
    settings: Mapping[str, Any],
    base: Trial,
) -> None:
    d = report.diagnostic
    what = _set(names, settings, base)
    verdict = base.verdicts[id(contract)]
    if verdict is None:
        help_: tuple[str, ...] = ()
        if not d.backtrace:
            guard = " and ".join(f"{n} == {_written(base.values[n])}" for n in names)
            text = " ".join(contract.span.text[: 4 * MAX_QUOTED].split())
            text = text if len(text) <= MAX_QUOTED else f"{contract.kind} ..."
            help_ = (f"to ask it of the default only, write `if {guard} {{ {text} }}`",)
        note = f"it holds with the default{'s' * (len(names) > 1)}; {what}"
        # Where the default is right, no layer is at error.
        report.diagnostic = replace(d, notes=(*d.notes, note), help=help_)
    elif verdict.code in UNMET and verdict.label != d.label:
        _note(report, f"{what}; without that, {verdict.label}")


def _written(value: Any) -> str:
    """A constant as the language writes it."""
    if isinstance(value, Num):
        whole = value.value.denominator == 1
        return str(value.value.numerator) if whole else describe(value).partition(" ")[0]
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_written, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else describe(value)
