"""A tree as the text of a spec, which is checked to be the same network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source, Span
from netspec.importers.spec_tree.expressions import constant_node
from netspec.importers.spec_tree.shared_init import inits_of, shared_init, without_init
from netspec.importers.structure.graph import FieldValue
from netspec.ir import Net
from netspec.lazy_dataclasses import replace
from netspec.ops import Init
from netspec.semantic.elaborate import elaborate
from netspec.semantic.imports import Program, load, program_of
from netspec.semantic.resolve import resolve
from netspec.symbolic.expr import Num
from netspec.syntax.ast import (
    Comparison,
    ContractStatement,
    Definition,
    Field,
    File,
    If,
    Input,
    Name,
    Number,
    Statement,
    Train,
    Variable,
)
from netspec.syntax.formatter import format_text
from netspec.syntax.unparse import unparse


def net_of_tree(file: File, settings: Mapping[str, Any], diagnostics: Diagnostics) -> Net | None:
    """The net of a tree, checked; None, and diagnostics, where it has errors."""
    return _net(program_of(file, None, diagnostics), settings, diagnostics)


def spec_text(
    file: File,
    net: Net,
    settings: Mapping[str, Any],
    training: Mapping[str, FieldValue],
    notes: Sequence[str],
) -> str:
    """The text of a tree, with contracts for the counts of its `net`, and its training if any.

    `settings` are new defaults of the net's parameters, `notes` become comments. Raises
    RuntimeError where the text is another network, which is a defect of netspec.
    """
    definitions = [item for item in file.items if isinstance(item, Definition)]
    if training:
        definitions, training = shared_init(definitions, training)
    elif any(inits_of(definitions)):
        # They would stand in every layer, for a training that the spec does not describe.
        definitions = without_init(definitions)
    items = [_completed(item, net, settings, training) for item in definitions]
    text = format_text(unparse(items, notes))
    _compare(text, net, bool(training))
    return text


def _net(program: Program | None, settings: Mapping[str, Any], found: Diagnostics) -> Net | None:
    if program is None:
        return None
    resolve(program, found)
    if not program.nets or found.failed:
        return None
    return elaborate(program.nets[0], settings, found)


def _completed(
    item: Definition, net: Net, settings: Mapping[str, Any], training: Mapping[str, FieldValue]
) -> Definition:
    """The net with contracts of its parameters and multiplications, and how it is trained."""
    if item.kind != "net":
        return item
    span = item.span
    params = tuple(
        replace(p, default=Number(Fraction(settings[p.name.text].value), span))
        if isinstance(settings.get(p.name.text), Num)
        else p
        for p in item.params
    )
    body = item.body
    if training:
        after = max(i for i, s in enumerate(body) if isinstance(s, Input)) + 1
        fields = tuple(
            Field(Name(n, span), constant_node(s.value, span), span) for n, s in training.items()
        )
        body = (*body[:after], Train(span, fields, span), *body[after:])
    contracts: tuple[Statement, ...] = tuple(
        ContractStatement("expect", _equal(name, count, span), None, None, span)
        for name, count in (("params", net.params), ("macs", net.macs))
        if count
    )
    classes = next((p for p in net.parameters if p.name == "classes"), None)
    if classes is not None and contracts:
        condition = _equal("classes", int(classes.value), span)
        contracts = (If(((condition, contracts),), (), span),)
    return replace(item, params=params, body=body + contracts)


def _equal(name: str, count: int, span: Span) -> Comparison:
    return Comparison(Variable(name, span), (("==", Number(Fraction(count), span)),), span)


def _compare(text: str, net: Net, trained: bool) -> None:
    """Check that the text is the same network, with the same initial weights if it is trained."""
    found = Diagnostics()
    again = _net(load(Source("converted.net", text), None, found), {}, found)
    same = again is not None and _essence(again) == _essence(net)
    if same and trained and again is not None:
        # What a layer does not say may have become what most of them say.
        now, before = _inits(again), {n: i for n, i in _stated(net).items() if i is not None}
        same = before.items() <= now.items()
    if not same:
        reasons = "; ".join(d.message for d in found)
        raise RuntimeError(f"the converted spec of {net.name} is another network. {reasons}")


def _essence(net: Net) -> object:
    layers = [
        (
            layer.path,
            repr(layer.op.with_attributes(init=None) if "init" in vars(layer.op) else layer.op),
            [tuple(v.shape) for v in layer.inputs],
            [tuple(v.shape) for v in layer.outputs],
        )
        for layer in net.layers
    ]
    tensors = {name: tuple(tensor.shape) for name, tensor in net.tensors.items()}
    return layers, tensors, [tuple(v.shape) for v in net.flat_outputs], net.preprocessing


def _stated(net: Net) -> dict[str, Init | None]:
    return {layer.path: getattr(layer.op, "init", None) for layer in net.layers}


def _inits(net: Net) -> dict[str, Init]:
    return {layer.path: net.init_of(layer.op) for layer in net.layers}
