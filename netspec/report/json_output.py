"""Tables as data for JSON: every primitive layer, and the totals.

Sizes and activations are in bytes. Numbers are plain, none remembers how the spec came to it.
"""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from typing import Any

from netspec.codegen.backend import planned_memory
from netspec.metrics.size import activation_bytes, sizes
from netspec.ops import Op, Shape, attributes
from netspec.report.columns import COLUMNS, NetView
from netspec.report.rows import Row, rows


def data(view: NetView) -> dict[str, Any]:
    """A net, its layers in order of execution, and its totals."""
    net = view.net
    total: dict[str, Any] = {
        "params": int(net.params),
        "macs": int(net.macs),
        "size": sizes(net),
        "activations": activation_bytes(net),
        "results": view.made(net.layers),
        "intensity": _rounded(view.intensity(net.layers)),
    }
    planned = planned_memory(net, "numpy")
    if planned is not None:
        total["memory"] = {**asdict(planned), "total": planned.total}
    if view.training is not None:
        total["training"] = view.memory.data()
    if view.convention is not None:
        total["count"] = view.count()
        total["convention"] = view.convention.name
    if view.compression is not None:
        total["kept"] = sum(p.kept for p in view.parts())
        total["compressed"] = view.compressed_size()
    if view.stored is not None:
        total["stored"] = view.stored_size()
    named = {"net": net.name, **({"variant": net.variant} if net.variant else {})}
    return {**named, "layers": [_layer(view, row) for row in rows(net)], "total": total}


def _layer(view: NetView, row: Row) -> dict[str, Any]:
    (layer,) = row.layers
    field = view.field(row)
    found: dict[str, Any] = {
        "name": layer.path,
        "op": layer.op.keyword,
        "inputs": [_dims(v.shape) for v in layer.inputs],
        "output": _dims(layer.outputs[0].shape),
        "params": int(layer.params),
        "macs": int(layer.macs),
        "attributes": settings(layer.op),
        "activations": COLUMNS["activations"].of(view, row),
        "results": view.made(row.layers),
        "intensity": _rounded(view.intensity(row.layers)),
        "field": None if field is None else "all" if field.size is None else list(field.size),
        "stride": None if field is None or field.stride is None else _values(field.stride),
    }
    if layer.shares is not None:
        found["shares"] = layer.shares
    if view.training is not None:
        found["saved"] = view.saved(row)
    if view.convention is not None:
        found["count"] = view.count(row)
    if view.compression is not None:
        (part,) = view.parts(row)
        found["kept"] = part.kept
        if part.weights:
            found["sparsity"], found["bits"] = float(part.sparsity), part.bits
        found["compressed"] = view.compressed_size(row)
    if view.stored is not None:
        found["stored"] = view.stored_size(row)
    return found


def settings(op: Op) -> dict[str, Any]:
    """The attributes of an op as plain values, those settled by its inputs included, those that
    nobody settled left out.
    """
    found = {
        a.name: json_value(getattr(op, a.name))
        for a in attributes(type(op))
        if not (a.training and getattr(op, a.name) == a.default)
    }
    return {name: value for name, value in found.items() if value is not None}


def json_value(value: Any) -> Any:
    """A constant of the language as a value that JSON has."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, tuple):
        return _values(value)
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else float(value)
    return (
        int(value)
        if isinstance(value, int)
        else float(value)
        if isinstance(value, float)
        else str(value)
    )


def _values(values: tuple[Any, ...]) -> list[Any]:
    return [json_value(v) for v in values]


def _dims(shape: Shape) -> list[int]:
    return [int(d) for d in shape]


def _rounded(number: float) -> float:
    return float(f"{number:.6g}")
