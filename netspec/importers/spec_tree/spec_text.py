"""A tree as the text of a spec, which is checked to be the same network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source, Span
from netspec.importers.spec_tree.expressions import constant_node
from netspec.importers.spec_tree.shared_fields import with_shared_fields
from netspec.importers.spec_tree.shared_training import (
    OfTraining,
    with_shared_training,
    without_training,
)
from netspec.importers.structure.graph import FieldValue
from netspec.ir import Net
from netspec.lazy_dataclasses import replace
from netspec.ops import Init, Learned, Op, Weighted, attributes
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
    NetBlock,
    Number,
    Statement,
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
    of_training: OfTraining | None,
) -> str:
    """The text of a tree, with contracts for the counts of its `net`, and its training if any.

    `settings` are new defaults of the net's parameters, `notes` become comments. Where a net has no
    training, fields that are of use in training only are left out, and those that `of_training`
    has beside them; none are where that is None. Raises RuntimeError where the text is another
    network, which is a defect of netspec.
    """
    definitions = [item for item in file.items if isinstance(item, Definition)]
    if training:
        definitions, training = with_shared_training(definitions, training)
    elif of_training is not None:
        # It would stand in every layer, for a training that the spec does not describe.
        definitions = without_training(definitions, of_training)
    items = [_completed(item, net, settings, training) for item in definitions]
    text = format_text(unparse(with_shared_fields(items), notes))
    _compare(text, net, bool(training), of_training or {})
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
        body = (*body[:after], NetBlock("train", span, fields, span), *body[after:])
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


def _compare(text: str, net: Net, trained: bool, of_training: OfTraining) -> None:
    """Check that the text is the same network, and begins and is trained alike if `trained`."""
    found = Diagnostics()
    left: OfTraining = {} if trained else of_training
    again = _net(load(Source("converted.net", text), None, found), {}, found)
    same = again is not None and _essence(again, left) == _essence(net, left)
    if same and trained and again is not None and again.training is not None:
        # What a layer does not say may have become what most of them say.
        now, before = _beginnings(again), _beginnings(net)
        same = all(now[n] == i for n, i in before.items() if i is not None)
        decays = again.training.weight_decay > 0
        same = same and _rates(again, decays) == _rates(net, decays)
    if not same:
        reasons = "; ".join(d.message for d in found)
        raise RuntimeError(f"the converted spec of {net.name} is another network. {reasons}")


def _essence(net: Net, left: OfTraining) -> object:
    layers = [
        (
            layer.path,
            repr(_bare(layer.op, left)),
            [tuple(v.shape) for v in layer.inputs],
            [tuple(v.shape) for v in layer.outputs],
        )
        for layer in net.layers
    ]
    tensors = {name: tuple(tensor.shape) for name, tensor in net.tensors.items()}
    return layers, tensors, [tuple(v.shape) for v in net.flat_outputs], net.preprocessing


def _bare(op: Op, of_training: OfTraining) -> Op:
    """An op without what is said of its training."""
    left = {
        a.name: a.default
        for a in attributes(type(op))
        if a.training or _is_of_training(op, a.name, of_training)
    }
    return op.with_attributes(**left) if left else op


def _is_of_training(op: Op, name: str, of_training: OfTraining) -> bool:
    value = of_training.get((op.keyword, name))
    return value is not None and getattr(op, name) == float(value)


def _beginnings(net: Net) -> dict[str, Init | None]:
    """How each learned tensor begins, as far as the spec says it; `train` blocks included."""
    found: dict[str, Init | None] = {}
    for layer in net.layers:
        op = layer.op
        if isinstance(op, Learned):
            own = net.init_of(op) if isinstance(op, Weighted) and net.training else op.init
            found[layer.path] = own
            found[f"{layer.path}.bias"] = getattr(op, "bias_init", None)
    return found


def _rates(net: Net, decays: bool) -> dict[str, tuple[float, float]]:
    """The factors of each tensor that is not frozen, those of the decay if there is one."""
    found = net.multipliers.items()
    return {n: (rate, decay if decays and rate else 0) for n, (rate, decay) in found}
