"""How good a classifier is, from its probabilities for labelled samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from netspec.lazy_dataclasses import dataclass
from netspec.report import number_format
from netspec.report.columns import Column
from netspec.report.table import Grid
from netspec.weights.array import Array

BINS = 15
"""Ranges of confidence for the calibration error (Guo et al. 2017, arXiv:1706.04599)."""
MOST_SHOWN = 20
"""Most classes whose confusion is shown as text."""
LEAST = 1e-30


@dataclass(frozen=True)
class Judgement:
    """Loss and shares of right answers; `confusion` has a row for each true class.

    `calibration_error` is the mean distance of confidence from the share of right answers, over
    BINS ranges of confidence (ECE). Precision is None for a class that is never answered, recall
    for one that no sample is of.
    """

    samples: int
    loss: float
    top1: float
    top5: float
    calibration_error: float
    names: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]

    def classes(self) -> list[dict[str, Any]]:
        """Name, number of samples, precision and recall of each class."""
        matrix = np.array(self.confusion)
        rows = []
        for i, name in enumerate(self.names):
            right, of, said = int(matrix[i, i]), int(matrix[i].sum()), int(matrix[:, i].sum())
            precision = right / said if said else None
            recall = right / of if of else None
            rows.append({"name": name, "count": of, "precision": precision, "recall": recall})
        return rows

    def data(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "samples": self.samples,
            "loss": self.loss,
            "top1": self.top1,
            "top5": self.top5,
            "calibration_error": self.calibration_error,
            "classes": self.classes(),
            "confusion": [list(row) for row in self.confusion],
        }

    def grid(self, title: str, summary: Mapping[str, str]) -> Grid:
        """The classes as a table, with the figures of all below."""
        return grid(title, self, summary)

    def csv(self) -> list[list[Any]]:
        """The confusion matrix."""
        rows = zip(self.names, self.confusion, strict=True)
        return [["truth", *self.names], *([name, *row] for name, row in rows)]

    def picture(self, title: str) -> str:
        """The confusion as an SVG."""
        return picture(title, self.names, self.confusion)

    def remarks(self) -> list[str]:
        """That one class is all that is answered, where it is."""
        only = self.only_answer()
        return [] if only is None else [f"{only} is all that is answered"]

    def only_answer(self) -> str | None:
        """The class that is all that is answered, where there are others."""
        said = np.array(self.confusion).sum(0)
        others = len([row for row in self.confusion if sum(row)]) > 1
        return self.names[int(said.argmax())] if others and (said > 0).sum() == 1 else None


def judged(probabilities: Array, labels: Array, names: Sequence[str] = ()) -> Judgement:
    """The judgement of probabilities of shape (N, classes) for N labels; classes may have names."""
    count, classes = probabilities.shape
    own = probabilities[np.arange(count), labels].astype(np.float64)
    answers = probabilities.argmax(1)
    right = answers == labels
    # Of equal probabilities the first counts, as for `argmax`.
    places = np.arange(classes)
    better = (probabilities > own[:, None]) | (
        (probabilities == own[:, None]) & (places < labels[:, None])
    )
    confidence = probabilities.max(1).astype(np.float64)
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    off = [abs(float((right - confidence)[bins == b].sum())) for b in range(BINS)]
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (labels, answers), 1)
    return Judgement(
        count,
        float(-np.log(np.maximum(own, LEAST)).mean()),
        float(right.mean()),
        float((better.sum(1) < 5).mean()),
        sum(off) / count,
        tuple(names) or tuple(map(str, range(classes))),
        tuple(tuple(map(int, row)) for row in matrix),
    )


def grid(title: str, found: Judgement, summary: Mapping[str, str]) -> Grid:
    """The classes as a table, with the figures of all below; the confusion where it is small."""
    columns = [
        Column("name", "class", "", left=True),
        Column("count", "samples", "", show=number_format.count),
        Column("precision", "precision", "", show=percent, zero=True),
        Column("recall", "recall", "", show=percent, zero=True),
    ]
    shown = [i for i, row in enumerate(found.confusion) if sum(row) or any(_column(found, i))]
    few = len(shown) <= MOST_SHOWN
    if few:
        columns += [Column(f"said{i}", found.names[i], "") for i in shown]
    rows = []
    for i in shown:
        row = found.classes()[i]
        cells = tuple(row[c.key] for c in columns[:4])
        rows.append((*cells, *(found.confusion[i][j] for j in shown)) if few else cells)
    figures = [
        ("loss", f"{found.loss:.4f}"),
        ("top-1", f"{found.top1:.2%} of {found.samples:,}"),
        ("top-5", f"{found.top5:.2%}"),
        ("calibration error", f"{found.calibration_error:.2%}"),
        *summary.items(),
    ]
    notes = ["the columns behind recall: how often each class was answered"] if few else []
    return Grid("", title, tuple(columns), tuple(rows), summary=tuple(figures), notes=tuple(notes))


def _column(found: Judgement, i: int) -> list[int]:
    return [row[i] for row in found.confusion]


def percent(share: float) -> str:
    """A share as tables write it."""
    return f"{share:.1%}"


def picture(title: str, names: Sequence[str], matrix: Sequence[Sequence[int]]) -> str:
    """A confusion as an SVG: rows are the truth, the darker the larger a share of their row."""
    from html import escape

    side = max(4, min(28, 900 // len(names)))
    left = top = 12 + 7 * min(20, max(map(len, names)))
    width = left + side * len(names) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{width + 20}" '
        f'font-family="system-ui, sans-serif" font-size="{min(12, side)}">',
        f'<rect width="{width}" height="{width + 20}" fill="#fff"/>',
        f'<text x="{left}" y="{width + 10}">{escape(title)}: rows are the truth</text>',
    ]
    for i, row in enumerate(matrix):
        of = sum(row)
        name = escape(names[i][:20])
        middle = top + side * i + side * 0.7
        parts.append(f'<text x="{left - 4}" y="{middle:.1f}" text-anchor="end">{name}</text>')
        x = left + side * i + side * 0.7
        turned = f'transform="rotate(-90 {x:.1f} {top - 4})"'
        parts.append(f'<text x="{x:.1f}" y="{top - 4}" {turned}>{name}</text>')
        for j, n in enumerate(row):
            color = "#0072b2" if i == j else "#d55e00"
            opacity = n / of if of else 0
            x, y = left + side * j, top + side * i
            title_ = f"<title>{name} as {escape(names[j][:20])}: {n}</title>"
            parts.append(
                f'<rect x="{x}" y="{y}" width="{side}" height="{side}" fill="{color}" '
                f'fill-opacity="{opacity:.3f}" stroke="#ddd">{title_}</rect>'
            )
            if n and side >= 18:
                parts.append(
                    f'<text x="{x + side / 2}" y="{y + side * 0.7:.1f}" text-anchor="middle" '
                    f'font-size="10">{n}</text>'
                )
    return "\n".join([*parts, "</svg>"]) + "\n"
