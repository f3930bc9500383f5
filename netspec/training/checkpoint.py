"""The files of a run: checkpoints, weights, metrics."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from netspec.diagnostics import spec_error
from netspec.training.retraining import tensors_of
from netspec.util.atomic_write import unwritable, write_text
from netspec.weights import write

FORMAT = 2


def write_weights(
    path: Path, model: torch.nn.Module, names: Iterable[str], metadata: Mapping[str, str]
) -> None:
    """Write the tensors of a net, by its names, and what they are. Raises SpecError."""
    found = tensors_of(model, names)
    write(path, {name: tensor.float().cpu().numpy() for name, tensor in found.items()}, metadata)


def write_checkpoint(path: Path, state: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Write a checkpoint, whole or not at all; it replaces the previous one when it is on the disk.

    `run` says what run it is of, in plain data. Raises SpecError.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        with open(beside, "wb") as file:
            torch.save({"format": FORMAT, "run": dict(run), "state": dict(state)}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except (OSError, RuntimeError) as error:
        beside.unlink(missing_ok=True)
        raise unwritable(path, error if isinstance(error, OSError) else OSError(error)) from None


def read_checkpoint(path: Path, run: Mapping[str, Any]) -> dict[str, Any]:
    """The state that a checkpoint holds, only tensors and plain data unpickled.

    Raises SpecError (bad-checkpoint) for one that is not valid, or of another run.
    """
    help_ = ("`--restart` begins anew; another `--out FOLDER` keeps both",)
    try:
        data = torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
        state, found = data["state"], data["run"]
        valid = data["format"] == FORMAT and isinstance(state, dict) and isinstance(found, dict)
    except OSError as error:
        message = f"{path} can't be read: {error.strerror or error}"
        raise spec_error("bad-checkpoint", message) from None
    except Exception:
        valid = False
    if not valid:
        message = f"{path} is no sound checkpoint"
        raise spec_error("bad-checkpoint", message, help=help_)
    notes = tuple(
        f"{name} was {found.get(name)}, and is {run.get(name)}"
        for name in dict.fromkeys((*found, *run))
        if found.get(name) != run.get(name)
    )
    if notes:
        message = f"{path} is a checkpoint of another run"
        raise spec_error("bad-checkpoint", message, notes=notes, help=help_)
    return dict(state)


class Metrics:
    """Lines of JSON, one a measurement; `rows` are those so far."""

    def __init__(self, path: Path, until: int) -> None:
        """Keep what an earlier part of the run wrote up to iteration `until`, and continue it.

        Raises SpecError.
        """
        self.path = path
        self.rows: list[dict[str, Any]] = []
        if until:
            self.rows = [row for row in _rows(path) if row["iteration"] <= until]
        write_text(path, "".join(f"{json.dumps(row)}\n" for row in self.rows))

    def add(self, row: dict[str, Any]) -> None:
        """Append a line to the file. Raises SpecError."""
        self.rows.append(row)
        try:
            with open(self.path, "a", encoding="utf-8", newline="\n") as file:
                file.write(f"{json.dumps(row)}\n")
        except OSError as error:
            raise unwritable(self.path, error) from None

    def csv(self) -> str:
        """The measurements so far as a table, with a column for each number or word of them."""
        plain = [
            {k: v for k, v in r.items() if isinstance(v, int | float | str)} for r in self.rows
        ]
        names = list(dict.fromkeys(name for row in plain for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(plain)
        return text.getvalue()


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    """The whole lines of a file of metrics; a kill may have cut the last one off."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("iteration"), int):
            yield row
