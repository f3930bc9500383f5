"""What settings from outside have to do with promises that do not hold.

A promise may hold for the defaults of the net's parameters and break under `--set classes=10`. To
tell, the net is elaborated once more with the defaults, and without each setting by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from netspec.diagnostics import Diagnostic
from netspec.elaborate.calls import key_of
from netspec.elaborate.occurrences import Report
from netspec.elaborate.run import Run
from netspec.ops.kinds import describe
from netspec.symbolic import Num
from netspec.syntax import Definition, Require

MAX_SINGLE = 4
"""Most settings that are tried one by one."""
MAX_QUOTED = 90
"""Longest promise that a line of help repeats."""
UNMET = ("unmet-expect", "unmet-prefer")


@dataclass(frozen=True)
class Trial:
    """What an elaboration made of the net's parameters and of the promises (see `Run`)."""

    values: Mapping[str, Any]
    verdicts: Mapping[int, Diagnostic | None]


def blame_settings(
    definition: Definition,
    settings: Mapping[str, Any],
    run: Run,
    elaborate: Callable[[Mapping[str, Any]], Trial],
) -> None:
    """Add to the reports of unmet promises which settings broke them."""
    reports = [r for r in run.reports() if r.diagnostic.code in UNMET]
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
        promise = run.promises[report.diagnostic.identity]
        if id(promise) in base.verdicts and given:
            now = _figures(run.verdicts, promise)
            deciding = [n for n in given if _figures(without[n].verdicts, promise) != now]
            _blame(report, promise, deciding or given, settings, base)


def _figures(verdicts: Mapping[int, Diagnostic | None], promise: Require) -> str | None:
    """What is said of a promise; None where it holds."""
    verdict = verdicts.get(id(promise))
    return verdict.label if verdict else None


def _blame(
    report: Report,
    promise: Require,
    names: Iterable[str],
    settings: Mapping[str, Any],
    base: Trial,
) -> None:
    d = report.diagnostic
    set_ = [
        f"{n} is set to {describe(settings[n])} (default {describe(base.values[n])})" for n in names
    ]
    what = " and ".join([", ".join(set_[:-1]), set_[-1]] if len(set_) > 1 else set_)
    verdict = base.verdicts[id(promise)]
    if verdict is None:
        help_: tuple[str, ...] = ()
        if not d.trail:
            guard = " and ".join(f"{n} == {_written(base.values[n])}" for n in names)
            text = " ".join(promise.span.text[: 4 * MAX_QUOTED].split())
            text = text if len(text) <= MAX_QUOTED else f"{promise.kind} ..."
            help_ = (f"to ask it of the default only, write `if {guard} {{ {text} }}`",)
        note = f"it holds with the default{'s' * (len(set_) > 1)}; {what}"
        # Where the default is right, no layer is at fault.
        report.diagnostic = replace(d, notes=(*d.notes, note), help=help_)
    elif verdict.code in UNMET and verdict.label != d.label:
        note = f"{what}; without that, {verdict.label}"
        report.diagnostic = replace(d, notes=(*d.notes, note))


def _written(value: Any) -> str:
    """A constant as the language writes it."""
    if isinstance(value, Num):
        whole = value.value.denominator == 1
        return str(value.value.numerator) if whole else describe(value).partition(" ")[0]
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_written, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else describe(value)
