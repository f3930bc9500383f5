"""The runs in a folder and below, with their best figures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from netspec.diagnostics import SpecError, spec_error
from netspec.diagnostics.render import printable
from netspec.report import number_format
from netspec.report.columns import Column
from netspec.report.table import Grid
from netspec.runs.folder import Folder
from netspec.weights.trained import story

MOST_RUNS = 10_000
"""Most runs that are listed."""


class Run(NamedTuple):
    """A run by what its files of weights say; what they do not say is None or empty.

    `best` is the figure called `figure` of the best weights on held-out data, `loss` theirs.
    """

    path: Path
    net: str
    settings: Mapping[str, str]
    iteration: int | None
    iterations: int | None
    figure: str
    best: float | None
    loss: float | None
    best_iteration: int | None
    changed: datetime
    problem: str = ""

    def data(self) -> dict[str, Any]:
        """All of it as plain data."""
        found = {
            "run": str(self.path),
            "net": self.net,
            "settings": dict(self.settings),
            "iteration": self.iteration,
            "iterations": self.iterations,
            "figure": self.figure,
            "best": self.best,
            "loss": self.loss,
            "best_iteration": self.best_iteration,
            "changed": self.changed.isoformat(timespec="seconds"),
        }
        return found | ({"problem": self.problem} if self.problem else {})


def runs(path: Path) -> list[Run]:
    """The runs in a folder and below, hidden folders left out, in the order of their paths.

    Raises SpecError (bad-option) where there is no such folder.
    """
    if not path.is_dir():
        raise spec_error("bad-option", f"there is no folder {path}")
    found = []
    for run in _folders(path):
        found.append(read_run(run))
        if len(found) == MOST_RUNS:
            break
    return found


def _folders(path: Path) -> Iterator[Path]:
    for folder, inner, files in os.walk(path):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        of_run = Folder(Path(folder))
        if of_run.metrics.name in files or of_run.last.name in files:
            inner.clear()
            yield of_run.path


def read_run(path: Path) -> Run:
    """What the files of a run say; a file that can't be read is its `problem`."""
    folder, problem = Folder(path), ""
    said: list[dict[str, Any]] = []
    for file in (folder.last, folder.best):
        try:
            said.append(story(file) if file.exists() else {})
        except SpecError as error:
            said.append({})
            problem = error.diagnostics[0].message
    last, best = said
    figure = _text(best.get("figure")) or _text(last.get("figure")) or "accuracy"
    settings = last.get("settings", best.get("settings"))
    plain = isinstance(settings, dict) and all(isinstance(v, str) for v in settings.values())
    newest = max(
        (f.stat().st_mtime for f in (folder.metrics, folder.last) if f.exists()), default=0.0
    )
    return Run(
        path,
        _text(last.get("net")) or _text(best.get("net")),
        settings if isinstance(settings, dict) and plain else {},
        _count(last.get("iteration")),
        _count(last.get("iterations")),
        figure,
        _number(best.get(figure)),
        _number(best.get("loss")),
        _count(best.get("iteration")),
        datetime.fromtimestamp(newest, UTC),
        problem,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 60 else None


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and isfinite(value) else None


def grid(found: Sequence[Run]) -> Grid:
    """Runs as a table, a row each."""
    columns = (
        Column("run", "run", "", left=True),
        Column("net", "net", "", left=True),
        Column("settings", "settings", "", left=True),
        Column("iteration", "iterations", "", left=True),
        Column("figure", "figure", "", left=True),
        Column("best", "best", "", show=lambda v: f"{v:.2%}", zero=True),
        Column("loss", "loss", "", show=lambda v: f"{v:.4g}", zero=True),
        Column("best_iteration", "at iteration", "", show=number_format.count),
        Column("changed", "changed", "", left=True),
    )
    rows = []
    for run in found:
        settings = " ".join(f"{k}={v}" for k, v in run.settings.items())
        done = "" if run.iteration is None else f"{run.iteration:,}"
        of = f" of {run.iterations:,}" if done and run.iterations is not None else ""
        texts = [printable(t) for t in (str(run.path), run.net, settings)]
        when = f"{run.changed.astimezone():%Y-%m-%d %H:%M}"
        figure = printable(run.figure) if run.best is not None else ""
        rows.append((*texts, f"{done}{of}", figure, run.best, run.loss, run.best_iteration, when))
    notes = [printable(run.problem) for run in found if run.problem]
    title = f"{len(found):,} run{'s' * (len(found) != 1)}"
    return Grid("", title, columns, tuple(rows), notes=tuple(notes), chosen=True, pinned=1)
