"""What each layer of a net takes when it is compressed, as the paper's Table 1 has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from netspec.compression.tensors import CompressedTensors
from netspec.ir import Net
from netspec.metrics.size import UNIT
from netspec.report import number_format
from netspec.report.columns import Column
from netspec.report.table import Grid
from netspec.weights.nsz_file import CodedTensor

_PARTS = ("codebook", "codes", "floats")


def data(
    net: Net, made: CompressedTensors, file_bytes: int, sizes: Mapping[str, int]
) -> dict[str, Any]:
    """A file's figures: a row for each layer with tensors, and totals. Sizes are bytes.

    `sizes` are those of each tensor's data in the file.
    `before` is float32; `codes` and `codebook` are what the weights take, `floats` all else.
    """
    rows = []
    for layer in net.layers:
        names = [f"{layer.path}.{name}" for name in layer.tensors]
        names = [name for name in names if name in made.tensors]
        if names:
            rows.append({"layer": layer.path, **_row(made, sizes, names)})
    before = sum(row["before"] for row in rows)
    return {
        "net": net.name,
        "layers": rows,
        "total": {"before": before, "after": file_bytes, "ratio": round(before / file_bytes, 2)},
    }


def _row(made: CompressedTensors, sizes: Mapping[str, int], names: Sequence[str]) -> dict[str, Any]:
    tensors = [made.tensors[name] for name in names]
    weights = [t for t in tensors if len(t.shape) > 1]
    stored = [t.codes if isinstance(t, CodedTensor) else t for t in weights]
    numbers = sum(int(w.size) for w in stored)
    kept = sum(int(np.count_nonzero(w)) for w in stored)
    parts = dict.fromkeys(_PARTS, 0)
    bits = 0
    for name, tensor in zip(names, tensors, strict=True):
        half = name in made.halves
        if isinstance(tensor, CodedTensor):
            codebook = (len(tensor.codebook) - 1) * (2 if half else 4)
            bits = max(bits, (len(tensor.codebook) - 1).bit_length())
            parts["codebook"] += codebook
            parts["codes"] += sizes[name] - codebook
        else:
            parts["floats"] += sizes[name]
            if len(tensor.shape) > 1:
                bits = max(bits, 16 if half else 32)
    return {
        "weights": numbers,
        "kept": kept,
        "density": round(kept / numbers, 4) if numbers else None,
        "bits": bits or None,
        "before": 4 * sum(int(np.prod(t.shape)) for t in tensors),
        "after": sum(parts.values()),
        **parts,
    }


def grid(found: Mapping[str, Any]) -> Grid:
    """The figures as a table."""
    columns = (
        Column("layer", "layer", "", left=True),
        Column("weights", "weights", "", show=number_format.count),
        Column("density", "density", "", show=lambda v: f"{100 * v:.1f}%"),
        Column("bits", "bits", "", show=str),
        Column("before", "before", "", show=number_format.count),
        *(Column(part, part, "", show=number_format.count) for part in _PARTS),
        Column("after", "after", "", show=number_format.count),
        Column("share", "%", "", show=number_format.percent),
    )
    total = found["total"]
    rows = [
        tuple(
            row["after"] / row["before"] if c.key == "share" else row[c.key] or None
            for c in columns
        )
        for row in found["layers"]
    ]
    summary = [
        ("float32", number_format.megabytes(total["before"])),
        ("file", f"{total['after']:,} bytes, {total['ratio']:.1f}x smaller"),
    ]
    for name in ("before", "after"):
        score = found.get("accuracy", {}).get(name)
        if score is not None:
            text = f"{score['accuracy']:.2%} of {score['samples']:,}, loss {score['loss']:.4f}"
            summary.append((f"accuracy {name}", text))
    notes = ("before, codebook, codes, floats and after are bytes", UNIT)
    title = found["net"]
    return Grid(title, title, columns, tuple(rows), summary=tuple(summary), notes=notes)
