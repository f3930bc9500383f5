"""A prototxt as the text of a spec, which is checked to be the same network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from netspec.caffe.read import Converted, read, reading_of
from netspec.diagnostics import Diagnostics
from netspec.elaborate import elaborate
from netspec.formatting import format_text
from netspec.ir import Net
from netspec.passes import PIPELINE
from netspec.program import Program, load, program_of
from netspec.resolve import resolve
from netspec.room import room_to_work
from netspec.source import Source, Span
from netspec.syntax import Comparison, Definition, If, Number, Require, Statement, Variable
from netspec.unparse import unparse


@dataclass(frozen=True)
class Result:
    """The text of a spec, the name of its net, and what the prototxt says that it does not."""

    text: str
    name: str
    remarks: tuple[str, ...]


def convert(source: Source, settings: Mapping[str, Any], diagnostics: Diagnostics) -> Result | None:
    """The spec of a prototxt; None, and diagnostics, where it can't be expressed.

    `settings` are constants of the language: how to read the file (`reading_of`), and parameters
    of the net.
    """
    with room_to_work():
        reading, left = reading_of(settings, diagnostics)
        converted = read(source, reading, diagnostics)
        if converted is None:
            return None
        net = _net(program_of(converted.file, None, diagnostics), left, diagnostics)
        if net is None or diagnostics.failed:
            return None
        remarks = tuple(remarks_on(converted))
        items = [_with_figures(item, net) for item in converted.file.items]  # type: ignore[arg-type]
        text = format_text(unparse(items, remarks))
        _compare(text, net, left)
        return Result(text, net.name, remarks)


def _net(program: Program | None, settings: Mapping[str, Any], found: Diagnostics) -> Net | None:
    if program is None:
        return None
    resolve(program, found)
    if program.net is None or found.failed:
        return None
    net = elaborate(program, settings, found)
    if net is not None:
        for apply in PIPELINE:
            net = apply(net)
    return net


def remarks_on(converted: Converted) -> list[str]:
    """What the spec leaves out, in sentences."""
    remarks = []
    if converted.dropped:
        named = [f"{layer.name} ({layer.type})" for layer in converted.dropped[:8]]
        more = len(converted.dropped) - len(named)
        listed = ", ".join(named) + (f" and {more} more" if more else "")
        remarks.append(f"Left out, since it serves training and measuring: {listed}.")
    for mean in converted.means:
        remarks.append(f"Caffe subtracts the mean picture {mean} from the input.")
    return remarks


def _with_figures(item: Definition, net: Net) -> Definition:
    """The net with promises of its parameters and multiplications."""
    if item.kind != "net":
        return item
    span = item.span
    promises: tuple[Statement, ...] = tuple(
        Require("expect", _equal(name, count, span), None, None, span)
        for name, count in (("params", net.params), ("macs", net.macs))
        if count
    )
    classes = next((p for p in net.parameters if p.name == "classes"), None)
    if classes is not None and promises:
        condition = _equal("classes", int(classes.value), span)
        promises = (If(((condition, promises),), (), span),)
    return replace(item, body=item.body + promises)


def _equal(name: str, count: int, span: Span) -> Comparison:
    return Comparison(Variable(name, span), (("==", Number(Fraction(count), span)),), span)


def _compare(text: str, net: Net, settings: Mapping[str, Any]) -> None:
    """See to it that the text says the network that was read."""
    found = Diagnostics()
    again = _net(load(Source("converted.net", text), None, found), settings, found)
    if again is None or _essence(again) != _essence(net):
        reasons = "; ".join(d.message for d in found)
        raise RuntimeError(f"the converted spec of {net.name} is another network. {reasons}")


def _essence(net: Net) -> object:
    layers = [
        (
            layer.path,
            repr(layer.op),
            [tuple(v.shape) for v in layer.inputs],
            [tuple(v.shape) for v in layer.outputs],
        )
        for layer in net.layers
    ]
    tensors = {name: tuple(tensor.shape) for name, tensor in net.tensors.items()}
    return layers, tensors, [tuple(v.shape) for v in net.flat_outputs], net.preprocessing


__all__ = ["Result", "convert", "remarks_on"]
