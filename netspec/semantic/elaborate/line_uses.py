"""Lines that are used again: their layers once more, on other inputs, with the same weights.

    tower: conv(a) { filters: 8  kernel: 3 } -> relu
    other: tower(b)                                    other: conv, with the weights of tower
                                                       other_relu: relu

What is used again is the whole line, with what stands in its round brackets. Its inputs are the
values that it takes from elsewhere, each once, in the order of the text.
"""

from __future__ import annotations

from collections.abc import Sequence

from netspec.diagnostics import Diagnostic, Label
from netspec.ir import Instance, Layer, Node, Value
from netspec.ir.nodes import is_alike, tensor_shapes
from netspec.lazy_dataclasses import replace
from netspec.ops import ShapeError, text
from netspec.semantic.elaborate.block_builder import BlockBuilder
from netspec.semantic.elaborate.call_inputs import CallNames, Operand, check_arity
from netspec.semantic.elaborate.module_calls import instance_of
from netspec.semantic.elaborate.op_calls import layer_of
from netspec.semantic.scope import (
    POISON,
    EvaluationError,
    LayerReference,
    Poison,
    all_sound,
    evaluation_error,
)
from netspec.syntax.ast import Call


def called_line(b: BlockBuilder, call: Call) -> LayerReference:
    """The line that a call uses again. Raises EvaluationError where it names none."""
    evaluator = b.evaluator()
    try:
        line = evaluator.reference(call.callee.value)
    except EvaluationError as error:
        if error.diagnostic is None or error.diagnostic.code != "unknown-name":
            raise
        message = f"there is no line {call.callee.span.text} here"
        raise EvaluationError(replace(error.diagnostic, message=message)) from None
    b.static |= evaluator.used
    if not line.nodes:
        message = f"{line.name} is an input, and no line with layers to use again"
        help_ = f"a value goes into round brackets: `relu({line.name})`"
        raise evaluation_error("unknown-op", message, call.callee.span, help_)
    if call.fields:
        raise EvaluationError(
            Diagnostic(
                "unknown-field",
                f"{line.name} is used again as it is, and takes no fields",
                call.fields[0].span,
                others=(Label(line.span, "its fields stand here"),),
                help=(f"leave them out: `{call.span.text.partition('{')[0].rstrip()}`",),
            )
        )
    return line


def check_bare_use(call: Call, line: LayerReference, bare: bool) -> None:
    """Raise EvaluationError for a name alone that may mean the line's value.

    `bare` says that it is all of its statement.
    """
    if call.arguments is not None or (not bare and any(map(tensor_shapes, line.nodes))):
        return
    name = call.callee.span.text
    value = f"for its value, write `identity({name})`"
    if bare:
        message = f"{name} alone may be the line's value, or the line once more"
        help_ = f"to use it again, write `{name}(...)`; {value}"
    else:
        message = f"{name} has no weights that a further use could share"
        help_ = f"to use it again, name its input: `{name}(...)`; {value}"
    error = Diagnostic(
        "unknown-op",
        message,
        call.callee.span,
        others=(Label(line.span, f"{line.name} is made here"),),
        help=(help_,),
    )
    raise EvaluationError(error)


def line_nodes(
    b: BlockBuilder,
    call: Call,
    line: LayerReference,
    names: CallNames,
    at_end: bool,
    operands: Sequence[Operand | Poison],
) -> list[Node] | Poison:
    """The nodes that a further use of a line makes; poison, and the errors, where it makes none.

    `at_end` says that no links follow in its own line.

    Raises EvaluationError for a value that is too large.
    """
    taken = inputs_of(line)
    if not check_arity(b, call, len(operands), len(taken), len(taken)):
        return POISON
    given = all_sound(operands)
    if isinstance(given, Poison):
        b.failed = True
        return POISON
    values = {v: o.value for v, o in zip(taken, given, strict=True)}
    made: list[Node] = []
    for node in line.nodes:
        b.context.budget.step(call.span)
        own = _names(b, call, line, names, at_end, node)
        inputs = tuple(values[v] for v in node.inputs)
        copy = _copy(b, call, node, own, inputs)
        if isinstance(copy, Poison):
            return POISON
        if copy is None or tensor_shapes(copy) != tensor_shapes(node):
            others = {o.value: v for v, o in zip(taken, given, strict=True)}
            b.report(_misfit(call, line, node, copy, others))
            return POISON
        values.update(zip(node.outputs, copy.outputs, strict=True))
        made.append(copy)
    return made


def inputs_of(line: LayerReference) -> list[Value]:
    """The values that a line takes from elsewhere, each once, in the order of the text."""
    makers = {v: node for node in line.nodes for v in node.outputs}
    found: dict[Value, None] = {}
    pending = list(reversed(line.nodes[-1].inputs))
    while pending:
        value = pending.pop()
        if value not in found:
            found[value] = None
            pending += reversed(makers[value].inputs if value in makers else ())
    return [v for v in found if v not in makers]


def _names(
    b: BlockBuilder, call: Call, line: LayerReference, names: CallNames, at_end: bool, node: Node
) -> CallNames:
    """The names of a node's copy: `other` for `tower`, `other_relu` for `tower_relu`.

    `other_tower_relu` where further links follow, which are called `other_relu` if they are one.
    """
    last = node is line.nodes[-1]
    if node is line.head:
        return names if last else names._replace(value=names.node)
    chained = node.line == line.name
    word = _word(node)
    if chained and line.head is not None and node.name.startswith(f"{line.head.name}_"):
        word = node.name.removeprefix(f"{line.head.name}_")
    if not at_end and names.node == names.line:
        word = f"{call.op.text}_{word}"
    name = b.automatic_name(f"{names.node}_{word}", call.span, numbered=False)
    return CallNames(name, names.line if chained else None, names.value if last else name)


def _copy(
    b: BlockBuilder, call: Call, node: Node, names: CallNames, inputs: tuple[Value, ...]
) -> Node | Poison | None:
    """A node once more, on other inputs; None where its op does not take these."""
    shares = node.shares or node.name if tensor_shapes(node) else None
    span = call.callee.span
    if isinstance(node, Instance):
        module, arguments = b.modules[node]
        return instance_of(b, module, arguments, node.arguments, names, inputs, span, shares)
    try:
        return layer_of(b, node.stated or node.op, names, inputs, span, shares)
    except ShapeError:
        return None


def _misfit(
    call: Call,
    line: LayerReference,
    node: Node,
    copy: Node | None,
    given: dict[Value, Value],
) -> Diagnostic:
    """The error of a line that can't take other inputs with the weights that it has.

    `given` are these, each with the one that the line was made for.
    """
    for value, first in given.items():
        channels, others = int(value.shape[0]), int(first.shape[0])
        if channels != others or len(value.shape) != len(first.shape):
            what = "channel" if len(first.shape) > 1 else "feature"
            wanted, has = f"{others} {what}{'s' * (others != 1)}", f"{channels}"
            if len(value.shape) != len(first.shape):
                wanted, has = text(first.shape), text(value.shape)
            message = f"{line.name} takes {wanted}, {value.name} has {has}"
            break
    else:
        sizes = " and ".join(f"{v.name} is {text(v.shape)}" for v in given)
        before = " and ".join(text(v.shape) for v in given.values())
        message = f"{line.name} is made for {before}, but {sizes}"
        if copy is not None:
            old, new = tensor_shapes(node), tensor_shapes(copy)
            name = next(n for n in old if old[n] != new.get(n))
            sides = f"{text(old[name])}, and would have to be {text(new.get(name, ()))}"
            message += f": {node.name}.{name} is {sides}"
    return Diagnostic(
        "shape-mismatch",
        message,
        call.callee.span,
        others=(Label(line.span, f"{line.name} is made here"),),
        help=(f"another {_word(node)} has weights of its own: name it, and give it its fields",),
    )


def warn_of_own_weights(b: BlockBuilder, call: Call, node: Node) -> None:
    """Warn of an op or module that is called by a name which a line with equal fields bears too."""
    line = b.names.find(call.op.text)
    if call.arguments is None or not isinstance(line, LayerReference):
        return
    head = line.head
    same = head is not None and head.inputs != node.inputs and bool(tensor_shapes(node))
    if not same or not is_alike(node, head):
        return
    kind = "op" if isinstance(node, Layer) else "module"
    b.note(
        Diagnostic(
            "weights-not-shared",
            f"{call.op.text} is the {kind} here, with weights of its own",
            call.op.span,
            others=(Label(line.span, f"the line {line.name} has others"),),
            help=("to use the line again, give it another name, and call it by that",),
        )
    )


def _word(node: Node) -> str:
    return node.op.keyword if isinstance(node, Layer) else node.block.module
