"""The best points of a design space under conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from netspec.diagnostics import spec_error
from netspec.explore.objective import Formula
from netspec.explore.search_space import Point
from netspec.explore.sweep import Result
from netspec.semantic.evaluator import METRICS


class Goal(NamedTuple):
    """What is to be as small or as large as possible, and what must hold."""

    kind: Literal["minimize", "maximize"]
    value: Formula
    conditions: tuple[Formula, ...]

    def check(self, point: Point) -> None:
        """Raise SpecError where an expression can't be computed at a point, whatever its metrics.

        So errors show at once, not when everything is computed.
        """
        metrics = dict.fromkeys(METRICS, 1)
        self.value.value(metrics, point.settings)
        for condition in self.conditions:
            condition.holds(metrics, point.settings)

    def best(self, results: Sequence[Result]) -> list[Result]:
        """The results that meet all conditions, the best first. Raises SpecError without any."""
        valid = [(r, {key: r[key] for key in METRICS}) for r in results if "error" not in r]
        found = [
            (self.value.value(metrics, r["settings"]), r)
            for r, metrics in valid
            if all(c.holds(metrics, r["settings"]) for c in self.conditions)
        ]
        if not found:
            what = " and ".join(c.text for c in self.conditions) or "the spec"
            message = f"none of {len(results):,} combinations meets {what}"
            help_ = tuple(_nearest([metrics for _, metrics in valid], self.conditions))
            raise spec_error("bad-option", message, help=help_)
        found.sort(key=lambda pair: pair[0], reverse=self.kind == "maximize")
        return [r for _, r in found]


def goal(minimize: str | None, maximize: str | None, where: Sequence[str]) -> Goal:
    """The goal of expressions in text, one of the first two given. Raises SpecError."""
    conditions = tuple(Formula("--where", text) for text in where)
    if minimize is not None:
        return Goal("minimize", Formula("--minimize", minimize), conditions)
    return Goal("maximize", Formula("--maximize", maximize or ""), conditions)


def _nearest(valid: Sequence[Mapping[str, int]], conditions: Sequence[Formula]) -> list[str]:
    """The ranges of the metrics that are in the conditions."""
    words = " ".join(c.text for c in conditions)
    return [
        f"{key} go from {min(m[key] for m in valid):,} to {max(m[key] for m in valid):,}"
        for key in (METRICS if valid else ())
        if key in words
    ]
