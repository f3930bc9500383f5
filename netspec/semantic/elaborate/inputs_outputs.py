"""The statements `input` and `output`, and what a block without `output` returns."""

from __future__ import annotations

from typing import Any, cast

from netspec.diagnostics import Diagnostic, Frame, Label
from netspec.diagnostics.source import Span
from netspec.ir import Value
from netspec.ops import Shape, like, text
from netspec.ops.base import MAX_ELEMENTS
from netspec.semantic.elaborate.block_builder import BlockBuilder, check_elements
from netspec.semantic.elaborate.chains import operand
from netspec.semantic.input_block import preprocessing
from netspec.semantic.scope import (
    POISON,
    EvaluationError,
    LayerReference,
    Poison,
    Poisoned,
    evaluation_error,
)
from netspec.semantic.shape_patterns import Pattern, matches, pattern_text, shape_pattern
from netspec.symbolic.expr import Channels, Dim
from netspec.syntax.ast import Chain, Input, Output, Reference, Variable

# --- inputs --------------------------------------------------------------------------------------


def run_input(b: BlockBuilder, statement: Input, actual: Shape | None) -> None:
    """Add an input; `actual` is the shape that a module gets, None where it gets none."""
    name, span = statement.name.text, statement.name.span
    free = b.declare_name(name, span)
    if b.definition.kind == "net":
        shape = b.attempt(_net_input, b, statement)
    else:
        shape = b.attempt(_module_input, b, statement, actual)
    if isinstance(shape, Poison):
        b.names.set(name, POISON)
        b.current = POISON
        b.inputs.append(Value(name, (1, 1, 1)))
        return
    value = Value(name, shape)
    b.inputs.append(value)
    b.places[value] = span
    b.current = value
    if free:
        b.names.set(name, LayerReference(name, {}, value, (), span))


def _net_input(b: BlockBuilder, statement: Input) -> Shape:
    """The shape of a net's input. Raises EvaluationError."""
    name = statement.name.text
    if statement.pattern is None:
        raise evaluation_error(
            "missing-shape",
            f"the input {name} of a net needs a shape",
            statement.name.span,
            f"write for example `input {name}: 3x224x224`",
        )
    evaluator = b.evaluator()
    pattern = shape_pattern(statement.pattern, evaluator)
    b.static |= evaluator.used
    place = statement.pattern.span
    if None in pattern:
        message = f"the input {name} of a net needs a full shape, without `?`"
        raise evaluation_error("missing-shape", message, place, _without_batch(pattern))
    shape = tuple(int(d or 0) for d in pattern)
    if len(shape) not in (1, 3) or not all(0 < d < MAX_ELEMENTS for d in shape):
        message = "an input is channels x height x width, or a plain vector, of positive sizes"
        fix = _without_batch(pattern) or _as_signal(pattern)
        raise evaluation_error("out-of-range", message, place, fix)
    evaluator = b.evaluator()
    b.preprocessing.append(preprocessing(statement.fields, shape, evaluator, b.fail))
    b.static |= evaluator.used
    check_elements(shape, place)
    return shape


def _without_batch(pattern: Pattern) -> str:
    """The fix for a shape that begins with the size of a batch."""
    if len(pattern) != 4 or pattern[0] not in (None, 1) or None in pattern[1:]:
        return ""
    return f"leave out the batch, which is implied everywhere: `{pattern_text(pattern[1:])}`"


def _as_signal(pattern: Pattern) -> str:
    """The fix for the channels and length of a signal."""
    if len(pattern) != 2 or None in pattern or not all(pattern):
        return ""
    channels, length = pattern
    written = pattern_text((channels, 1, length))
    return f"a signal, such as sound, has height 1: `{written}` (docs/signals.md)"


def _module_input(b: BlockBuilder, statement: Input, actual: Shape | None) -> Shape:
    """The shape of a module's input, its channels as a symbol. Raises EvaluationError."""
    if statement.fields:
        raise evaluation_error(
            "unknown-field",
            "only the input of a net has fields, which say how pictures are prepared",
            statement.fields[0].name.span,
        )
    if actual is None:
        raise Poisoned
    if statement.pattern is not None:
        pattern = shape_pattern(statement.pattern, b.evaluator())
        if not matches(actual, pattern):
            raise EvaluationError(
                Diagnostic(
                    "shape-mismatch",
                    f"{b.definition.name.text} needs an input {statement.name.text} of "
                    f"{pattern_text(pattern)}, but gets {text(actual)}",
                    statement.pattern.span,
                    label=f"{text(actual)} comes in",
                    others=_place_of_use(b.backtrace),
                )
            )
    channels = Dim(int(actual[0]), Channels(statement.name.text))
    return like(actual, (channels, *(int(d) for d in actual[1:])))


def _place_of_use(backtrace: tuple[Frame, ...]) -> tuple[Label, ...]:
    return (Label(backtrace[-1].span, "used here"),) if backtrace else ()


# --- outputs -------------------------------------------------------------------------------------


def run_output(b: BlockBuilder, statement: Output) -> None:
    """Set the outputs. Raises EvaluationError where that was done before."""
    if b.outputs is not None:
        raise evaluation_error(
            "duplicate-name",
            "the outputs are given already",
            statement.span,
            "name all of them in one `output a, b`",
        )
    outputs: list[tuple[str, Value]] = []
    named: dict[str, Span] = {}
    sound = True
    for result in statement.results:
        item, given = result.value, result.name
        found = operand(b, item)
        if isinstance(found, Poison):
            sound = False
            continue
        name = given.text if given else "" if isinstance(item, Chain) else _output_name(b, item)
        if name and name in named:
            b.report(
                Diagnostic(
                    "duplicate-name",
                    f"two outputs are called {name}",
                    (given or item).span,
                    others=(Label(named[name], "the first one"),),
                    help=(f"give it another name: `output other: {item.span.text}`",),
                )
            )
        named.setdefault(name, (given or item).span)
        outputs.append((name, found.value))
    if sound:
        b.outputs = outputs
    else:
        b.failed = True
        b.current = POISON


def _output_name(b: BlockBuilder, item: Reference) -> str:
    if isinstance(item, Variable):
        return item.name
    if hasattr(item, "name"):
        return str(cast(Any, item).name.text)
    return b.evaluator().indexed_name(item)


def finish_outputs(b: BlockBuilder) -> None:
    """Where no `output` was given, the last value is the output; an error where there is none."""
    if b.outputs is not None or b.failed:
        return
    if b.nodes and isinstance(b.current, Value):
        b.outputs = [("", b.current)]
        return
    d = b.definition
    message = f"{d.kind} {d.name.text} has no layers"
    b.report(Diagnostic("missing-value", message, d.name.span, help=(_first_layer(b),)))


def _first_layer(b: BlockBuilder) -> str:
    """What an empty body needs."""
    if not b.inputs:
        shape = ": 3x224x224" if b.definition.kind == "net" else ""
        return f"begin with `input x{shape}`, and put layers behind it"
    name = b.inputs[-1].name
    return f"put a layer behind the input; to pass it on as it is, write `output {name}`"
