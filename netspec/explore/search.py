"""The best points of a design space under conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from netspec.diagnostics import spec_error
from netspec.explore.objective import Formula
from netspec.explore.search_space import Point
from netspec.explore.sweep import FIGURES, Result
from netspec.semantic.evaluator import METRICS


class Goal(NamedTuple):
    """What is to be as small or as large as possible, and what must hold."""

    kind: Literal["minimize", "maximize"]
    value: Formula
    conditions: tuple[Formula, ...]

    def check(self, point: Point, trained: bool = False) -> None:
        """Raise SpecError where an expression can't be computed at a point, whatever its metrics.

        So errors show at once, not when everything is computed. `trained`: whether nets have
        accuracies.
        """
        metrics = dict.fromkeys((*METRICS, *FIGURES) if trained else METRICS, 1)
        self.value.value(metrics, point.settings)
        for condition in self.conditions:
            condition.holds(metrics, point.settings)

    def may_meet(self, result: Result) -> bool:
        """Whether a net that is not trained yet meets the conditions that ask for no accuracy."""
        early = (c for c in self.conditions if not c.uses(FIGURES))
        return all(c.holds(metrics_of(result), result["settings"]) for c in early)

    def best(self, results: Sequence[Result]) -> list[Result]:
        """The results that meet all conditions, the best first. Raises SpecError without any."""
        valid = [(r, metrics_of(r)) for r in results if "error" not in r]
        # Nets that meet no condition on their size were not trained, and have no accuracy.
        conditions = sorted(self.conditions, key=lambda c: c.uses(FIGURES))
        found = [
            (self.value.value(metrics, r["settings"]), r)
            for r, metrics in valid
            if all(c.holds(metrics, r["settings"]) for c in conditions)
        ]
        if not found:
            what = " and ".join(c.text for c in self.conditions) or "the spec"
            message = f"none of {len(results):,} combinations meets {what}"
            help_ = tuple(_nearest([metrics for _, metrics in valid], self.conditions))
            raise spec_error("bad-option", message, help=help_)
        found.sort(key=lambda pair: pair[0], reverse=self.kind == "maximize")
        return [r for _, r in found]


def metrics_of(result: Result) -> dict[str, Any]:
    """The metrics of a net, and what is known of its training."""
    return {key: result[key] for key in (*METRICS, *FIGURES) if key in result}


def goal(minimize: str | None, maximize: str | None, where: Sequence[str]) -> Goal:
    """The goal of expressions in text, one of the first two given. Raises SpecError."""
    conditions = tuple(Formula("--where", text) for text in where)
    if minimize is not None:
        return Goal("minimize", Formula("--minimize", minimize), conditions)
    return Goal("maximize", Formula("--maximize", maximize or ""), conditions)


def _nearest(valid: Sequence[Mapping[str, Any]], conditions: Sequence[Formula]) -> list[str]:
    """The ranges of the metrics that are in the conditions."""
    words = " ".join(c.text for c in conditions)
    return [
        f"{key} go from {min(known):,} to {max(known):,}"
        for key in (*METRICS, *FIGURES)
        if key in words and (known := [m[key] for m in valid if key in m])
    ]
