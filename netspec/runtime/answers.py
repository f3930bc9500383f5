"""What a net says of a picture, whatever its task is: classes, a mask or boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from netspec.codegen.backend import Backend
from netspec.ir import Net
from netspec.lazy_dataclasses import dataclass
from netspec.runtime.boxes import Detector, box_classes
from netspec.runtime.classify import Classifier, Guess, class_count
from netspec.runtime.masks import Segmenter
from netspec.runtime.placement import makes_planes, plane_count


class Answer(Protocol):
    """What a net says of one picture. `columns` are those of `rows`."""

    @property
    def columns(self) -> Sequence[str]: ...

    def data(self) -> dict[str, Any]:
        """All of it as plain data."""
        ...

    def rows(self) -> list[tuple[Any, ...]]:
        """A row for each class or box."""
        ...

    def lines(self) -> list[str]:
        """The rows as text."""
        ...

    def draw(self, folder: Path, name: str) -> dict[str, str]:
        """Write pictures of it, and give their paths; none where there is nothing to draw.

        Raises SpecError.
        """
        ...


@dataclass(frozen=True)
class ClassAnswer:
    """The best guesses of a classifier."""

    columns = ("class", "score", "label")
    guesses: Sequence[Guess]

    def data(self) -> dict[str, Any]:
        found = [{"class": g.index, "score": g.score, "label": g.label} for g in self.guesses]
        return {"classes": found}

    def rows(self) -> list[tuple[Any, ...]]:
        return [(g.index, g.score, g.label or "") for g in self.guesses]

    def lines(self) -> list[str]:
        return [f"{g.score:8.4f}  {g.index:4}  {g.label or ''}" for g in self.guesses]

    def draw(self, folder: Path, name: str) -> dict[str, str]:
        return {}


def classes_told_apart(net: Net) -> int:
    """The number of classes of a net, whatever its task. Raises SpecError for one without any."""
    if net.detection is not None:
        return box_classes(net)
    return plane_count(net) if makes_planes(net) else class_count(net)


def reader(
    net: Net,
    backend: Backend,
    weights: Mapping[str, Any],
    labels: Sequence[str] | None = None,
    top: int = 5,
    least: float | None = None,
) -> tuple[Callable[[Path], Answer], str]:
    """What answers for a picture file, and what its drawings are called, empty for none.

    `top` is for classes, `least` the least score of a box.

    Raises SpecError for a net that has no such answers.
    """
    if net.detection is not None:
        return Detector(net, backend, weights, labels, least), "boxes"
    if makes_planes(net):
        return Segmenter(net, backend, weights, labels, top), "masks"
    classifier = Classifier(net, backend, weights, labels, top)
    return lambda path: ClassAnswer(classifier(path)), ""
