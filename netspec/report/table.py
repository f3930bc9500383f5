"""The parameter and size table: as text, markdown, CSV, and data for JSON.

Text and markdown print sizes in MB of 10^6 bytes; CSV and JSON hold plain numbers.
"""

from __future__ import annotations

import io
from typing import Any

from netspec.cost import RULE, UNIT, activation_bytes, sizes
from netspec.ir import Net
from netspec.ops import Shape
from netspec.ops import text as shape_text
from netspec.report.rows import Row, rows

HEAD = ("layer", "op", "output", "params", "%", "MACs", "%")


def text(net: Net, depth: int | None = None) -> str:
    """For a terminal, in columns."""
    cells = [_cells(row, net) for row in rows(net, depth)]
    total = ("total", "", "", f"{net.params:,}", "", _millions(net.macs), "")
    table = [HEAD, *cells, total]
    widths = [max(len(r[i]) for r in table) for i in range(len(HEAD))]
    lines = [_title(net), ""]
    for row in table:
        parts = [
            f"{cell:<{w}}" if i < 3 else f"{cell:>{w}}"
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(parts).rstrip())
    lines += ["", *(f"{name:<11}  {value}" for name, value in _summary(net))]
    return "\n".join([*lines, "", UNIT, RULE]) + "\n"


def _title(net: Net) -> str:
    inputs = ", ".join(shape_text(v.shape) for v in net.body.inputs)
    outputs = ", ".join(shape_text(v.shape) for v in net.body.outputs)
    return f"{net.name}   {inputs} -> {outputs}"


def _summary(net: Net) -> list[tuple[str, str]]:
    listed = "   ".join(f"{_bytes(n)} {name}" for name, n in sizes(net).items())
    peak = f"{_bytes(activation_bytes(net))} alive at most, float32, batch 1"
    return [("size", listed), ("activations", peak)]


def _cells(row: Row, net: Net) -> tuple[str, ...]:
    """A row in the columns of HEAD; what is 0 stays empty."""
    return (
        row.name,
        row.op,
        shape_text(row.output),
        f"{row.params:,}" if row.params else "",
        _share(row.params, net.params),
        _millions(row.macs) if row.macs else "",
        _share(row.macs, net.macs),
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if part else ""


def _millions(n: int) -> str:
    """In millions, or exactly where that would round a small number away."""
    return f"{n / 1e6:,.1f} M" if n >= 100_000 else f"{n:,}"


def _bytes(n: int) -> str:
    """Bytes in MB of 10^6 bytes, or as they are where that would round a few away."""
    return f"{n / 1e6:,.2f} MB" if n >= 100_000 else f"{n:,} bytes"


def markdown(net: Net, depth: int | None = None) -> str:
    """A GitHub table with exact figures."""
    lines = [f"**{_title(net)}**", ""]
    lines.append("| layer | op | output | params | % | MACs | % |")
    lines.append("| --- | --- | --- | ---: | ---: | ---: | ---: |")
    for row in rows(net, depth):
        cells = (
            row.name,
            row.op.replace("|", "\\|"),
            shape_text(row.output),
            f"{row.params:,}",
            _share(row.params, net.params),
            f"{row.macs:,}",
            _share(row.macs, net.macs),
        )
        lines.append("| " + " | ".join(cells) + " |")
    lines.append(f"| **total** | | | **{net.params:,}** | | **{net.macs:,}** | |")
    lines.append("")
    lines += [f"{name}: {value}  " for name, value in _summary(net)]
    return "\n".join([*lines, "", f"{UNIT}  ", RULE]) + "\n"


def csv(net: Net, depth: int | None = None) -> str:
    """Comma-separated, with plain numbers; the last row is the total."""
    from csv import writer

    out = io.StringIO()
    table = writer(out, lineterminator="\n")
    table.writerow(("net", "layer", "op", "output", "params", "macs"))
    for row in rows(net, depth):
        output = shape_text(row.output)
        table.writerow((net.name, row.name, row.op, output, row.params, row.macs))
    table.writerow((net.name, "total", "", "", net.params, net.macs))
    return out.getvalue()


def data(net: Net) -> dict[str, Any]:
    """Every primitive layer and the totals, ready for JSON; sizes and activations in bytes.

    Numbers are plain ints, none that remembers how the spec came to it.
    """
    return {
        "net": net.name,
        "layers": [
            {
                "name": layer.path,
                "op": layer.op.keyword,
                "inputs": [_dims(v.shape) for v in layer.inputs],
                "output": _dims(layer.outputs[0].shape),
                "params": int(layer.params),
                "macs": int(layer.macs),
            }
            for layer in net.layers
        ],
        "total": {
            "params": int(net.params),
            "macs": int(net.macs),
            "size": sizes(net),
            "activations": activation_bytes(net),
        },
    }


def _dims(shape: Shape) -> list[int]:
    return [int(d) for d in shape]
