"""Calls of ops: fields to attributes, input shapes to output shapes, a layer of the IR."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from netspec.diagnostics import Diagnostic
from netspec.diagnostics.source import Span
from netspec.ir import Layer, Value
from netspec.ops import IndexShape, Op, ShapeError, attributes
from netspec.ops.attribute_types import AttributeType, AttributeTypeError, Flag
from netspec.semantic.elaborate.block_builder import BlockBuilder
from netspec.semantic.elaborate.call_inputs import CallNames, Operand, check_arity
from netspec.semantic.evaluator import as_help
from netspec.semantic.foreign_names import value_help
from netspec.semantic.scope import POISON, Poison, all_sound, evaluation_error
from netspec.semantic.shape_errors import shape_error
from netspec.syntax.ast import Call, Field, Variable


def op_layer(
    b: BlockBuilder,
    call: Call,
    op: type[Op],
    names: CallNames,
    operands: Sequence[Operand | Poison],
    given_fields: Mapping[str, Any],
) -> Layer | Poison:
    """The layer that a call of an op makes; poison, and the errors, where it makes none.

    `given_fields` are those that came with the op where it is a constant's value. Raises
    EvaluationError for a value that is too large.
    """
    attrs = _attributes(b, call, op, given_fields)
    if isinstance(attrs, Poison):
        b.failed = True
        return POISON
    if not check_arity(b, call, len(operands), *op.arity):
        return POISON
    given = all_sound(operands)
    if isinstance(given, Poison):
        b.failed = True
        return POISON
    try:
        stated = op(**attrs)
        inputs = tuple(o.value for o in given)
        own = call.span
        by_default = [f.span for f in call.fields if not own.start <= f.span.start < own.end]
        layer = layer_of(b, stated, names, inputs, call.op.span, defaults=tuple(by_default))
    except ShapeError as error:
        sides = [(o.value, o.span, o.given) for o in given]
        b.report(shape_error(error, call, sides, op, attrs, b.makers, b.places))
        return POISON
    for name, message, help_ in stated.doubts():
        place = next((f.value.span for f in call.fields if f.name.text == name), call.op.span)
        b.note(Diagnostic("doubtful-value", message, place, help=(help_,)))
    return layer


def layer_of(
    b: BlockBuilder,
    stated: Op,
    names: CallNames,
    inputs: tuple[Value, ...],
    span: Span,
    shares: str | None = None,
    defaults: tuple[Span, ...] = (),
) -> Layer:
    """The layer of an op for its inputs. Raises ShapeError, and EvaluationError if too large."""
    _check_indices(type(stated), inputs)
    shapes = [v.shape for v in inputs]
    bound = stated.bind(shapes)
    outputs = bound.outputs(shapes)
    several = len(outputs) > 1
    values = tuple(
        Value(
            f"{names.value}.{result}" if several and i else names.value,
            b.output_shape(shape, span),
        )
        for i, (shape, result) in enumerate(zip(outputs, bound.result_names, strict=True))
    )
    layer = Layer(names.node, names.line, bound, inputs, values, span, stated, shares, defaults)
    b.add(layer, 1, span)
    return layer


def _attributes(
    b: BlockBuilder, call: Call, op: type[Op], given: Mapping[str, Any]
) -> dict[str, Any] | Poison:
    """The attributes that a call's fields give; every field is looked at."""
    declared = {a.name: a for a in attributes(op)}
    found = {name: declared[name].kind.convert(value) for name, value in given.items()}
    sound = True
    for f in call.fields:
        a = declared.get(f.name.text)
        if a is None:
            sound = False  # netspec.semantic.resolve has reported it
            continue
        value = b.attempt(_attribute, b, f, a.kind, call.op.text)
        if isinstance(value, Poison):
            sound = False
        else:
            found[f.name.text] = value
    if not sound or any(a.required and a.name not in found for a in declared.values()):
        return POISON
    return found


def _attribute(b: BlockBuilder, f: Field, kind: AttributeType, keyword: str) -> Any:
    """A field's value as the attribute's kind. Raises EvaluationError."""
    evaluator = b.evaluator()
    if isinstance(kind, Flag) and isinstance(f.value, Variable):
        _check_truth_word(b, f, f.value, kind, keyword)
    foreign = partial(value_help, f.name.text, field=f.span)
    converted = evaluator.field(f.value, kind, f"{f.name.text} of {keyword}", foreign)
    b.mark_untraced(evaluator.used, converted)
    return converted


def _check_truth_word(b: BlockBuilder, f: Field, word: Variable, kind: Flag, keyword: str) -> None:
    """Raise EvaluationError for a word that means true or false in other languages: `bias: no`."""
    if word.name in ("True", "False"):
        return  # the evaluator has help for them
    if b.scope.find(word.name) is None and word.name not in b.names:
        try:
            kind.convert(word.name)
        except AttributeTypeError as error:
            if error.help:
                message = f"{f.name.text} of {keyword} takes {kind}, not `{word.name}`"
                help_ = as_help(error, word.span)
                raise evaluation_error("unknown-value", message, word.span, help_) from None


def _check_indices(op: type[Op], given: Iterable[Value]) -> None:
    """Indices of a pooling go where indices belong, and nothing else does. Raises ShapeError."""
    for i, value in enumerate(given):
        if i in op.index_inputs and not isinstance(value.shape, IndexShape):
            raise ShapeError(
                "wrong-indices",
                f"{op.keyword} needs the indices of a pooling here, but {value.name} holds values",
                i,
                "for example `pool1.indices`, of `pool1: maxpool { ... }`",
            )
        if i not in op.index_inputs and isinstance(value.shape, IndexShape):
            raise ShapeError(
                "wrong-indices",
                f"{op.keyword} needs values, but {value.name} holds the indices of a pooling",
                i,
            )
