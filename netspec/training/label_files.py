"""`labels.csv` beside pictures: which labels each has.

Its first column is `file`, the path of a picture from the folder of the csv. Behind it is a column
`label` or `labels` with names, several with `;` between them, or a column of 0 and 1 for each.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path, PurePosixPath

import numpy as np

from netspec.diagnostics import SpecError, spec_error
from netspec.lazy_dataclasses import dataclass
from netspec.training.sampler import Array
from netspec.util.inputs import read_input

NAME = "labels.csv"
MAX_BYTES = 2**28
"""Longest file of labels that is read."""
MAX_CELLS = 2**31
"""Most pictures times labels."""
BETWEEN = ";"
"""What stands between several labels of a picture."""


@dataclass(frozen=True)
class LabelFile:
    """Pictures in the order of the file; `marks` (N, labels) says which labels each has."""

    files: tuple[Path, ...]
    names: tuple[str, ...]
    marks: Array


def in_order(names: Iterable[str]) -> list[str]:
    """Names in order, numbers in them counted: 2 before 10."""

    def key(name: str) -> list[tuple[bool, int, str]]:
        parts = re.split(r"([0-9]+)", name)
        return [(p.isdigit(), int(p) if p.isdigit() else 0, p) for p in parts]

    return sorted(names, key=key)


def read_labels(folder: Path, known: Sequence[str] = ()) -> LabelFile:
    """What `labels.csv` in a folder says, in the order of the labels that are known.

    Raises SpecError (bad-data).
    """
    path = folder / NAME
    rows = _rows(path)
    head = [cell.strip() for cell in rows[0][1]] if rows else []
    if not head or head[0] != "file" or len(head) < 2:
        help_ = ("its first line is `file,labels`, or `file` and the name of each label",)
        raise spec_error("bad-data", f"{path} does not begin with a column file", help=help_)
    listed = head[1:] in (["label"], ["labels"])
    found: dict[str, set[str]] = {}
    for line, cells in rows[1:]:
        if len(cells) != len(head):
            raise _wrong(path, line, f"it has {len(cells)} cells, and the first line {len(head)}")
        file = _checked(path, line, cells[0].strip())
        if file in found:
            raise _wrong(path, line, f"{file} is there twice")
        if listed:
            own = {name.strip() for name in cells[1].split(BETWEEN)} - {""}
        else:
            own = set()
            for name, cell in zip(head[1:], cells[1:], strict=True):
                if cell.strip() not in ("0", "1"):
                    raise _wrong(path, line, f"{name} is {cell!r}, and not 0 or 1")
                if cell.strip() == "1":
                    own.add(name)
        found[file] = own
    if not found:
        raise spec_error("bad-data", f"{path} names no pictures")
    names = set().union(*found.values()) if listed else set(head[1:])
    for name in in_order(names):
        if not name or not name.isprintable():
            raise spec_error("bad-data", f"{path} has a label that is no text: {name!r}")
    if not listed and len(names) < len(head) - 1:
        raise spec_error("bad-data", f"{path} has two columns of one name")
    if known and (unknown := in_order(names - set(known))):
        raise spec_error("bad-data", f"{path} has a label {unknown[0]}, which others do not have")
    order = list(known) if known else in_order(names) if listed else head[1:]
    if len(order) * len(found) > MAX_CELLS:
        raise spec_error("bad-data", f"{path} has too many labels: {len(order):,}")
    places = {name: i for i, name in enumerate(order)}
    marks = np.zeros((len(found), len(order)), np.uint8)
    for row, own in zip(marks, found.values(), strict=True):
        row[[places[name] for name in own]] = 1
    return LabelFile(tuple(folder / file for file in found), tuple(order), marks)


def one_each(folder: Path, labels: LabelFile) -> Array:
    """The label of each picture. Raises SpecError where one has none, or several."""
    counts = labels.marks.sum(1, dtype=np.int64)
    if (counts != 1).any():
        number = int((counts != 1).argmax())
        count = "no label" if counts[number] == 0 else f"{counts[number]} labels"
        message = f"{labels.files[number]} has {count} in {folder / NAME}, and the loss wants one"
        raise spec_error("bad-data", message, help=("`--train loss=bce` takes any number",))
    found: Array = labels.marks.argmax(1).astype(np.int64)
    return found


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """The lines that are not empty, with their numbers."""
    try:
        content = read_input(path, MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise OSError(f"it has more than {MAX_BYTES:,} bytes")
        reader = csv.reader(StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        return [(reader.line_num, cells) for cells in reader if cells]
    except (OSError, ValueError, csv.Error) as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeError) else str(error)
        reason = getattr(error, "strerror", None) or reason
        raise spec_error("bad-data", f"{path} can't be read: {reason}") from None


def _checked(path: Path, line: int, file: str) -> str:
    """The path of a picture below the folder of the labels. Raises SpecError for another."""
    parts = PurePosixPath(file)
    if not file or parts.is_absolute() or ".." in parts.parts or "\\" in file or ":" in file:
        raise _wrong(path, line, f"{file!r} is no path of a picture below {path.parent}")
    if not file.isprintable():
        raise _wrong(path, line, f"{file!r} has characters that are no text")
    return str(parts)


def _wrong(path: Path, line: int, reason: str) -> SpecError:
    return spec_error("bad-data", f"{path}, line {line:,}: {reason}")
