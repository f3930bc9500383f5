"""Chains of calls: what flows in, what each call is named, and the node that it makes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netspec.diagnostics import Diagnostic
from netspec.diagnostics.source import Span
from netspec.ir import Layer, Node
from netspec.ops import OPS, find_op
from netspec.semantic.elaborate.block_builder import BlockBuilder
from netspec.semantic.elaborate.call_inputs import CallNames, Operand
from netspec.semantic.elaborate.module_calls import module_instance
from netspec.semantic.elaborate.op_calls import op_layer
from netspec.semantic.scope import POISON, EvaluationError, LayerReference, Poison
from netspec.syntax.ast import Call, Chain, Reference, Variable


def run_chain(
    b: BlockBuilder, chain: Chain, name: str | None, name_span: Span | None
) -> LayerReference | Poison:
    """What a chain of calls makes; poison, and the errors, where one of them fails.

    `name` and `name_span` are those of its line. Raises EvaluationError.
    """
    operands: Sequence[Operand | Poison] = []
    nodes: list[Node] = []
    head: Node | None = None
    node: Node | Poison = POISON
    sound = True
    for i, call in enumerate(chain.calls):
        if call.arguments is not None:
            operands = [operand(b, a) for a in call.arguments]
        elif i == 0:
            operands = [_flowing(b, call)]
        if i and call.arguments is not None:
            message = (
                f"{call.op.text} takes what flows in from the chain, and no inputs in brackets"
            )
            apart = f"name what comes before, and write `{call.op.text}(...)` on a line of its own"
            help_ = (apart if call.arguments else "leave out the `()`",)
            b.report(Diagnostic("wrong-arity", message, call.op.span, help=help_))
            sound = False
        names = _names(b, call, name, first=i == 0, last=i == len(chain.calls) - 1)
        node = _node(b, call, names, operands)
        if isinstance(node, Poison) or not sound:
            sound = False
            operands = [POISON]
            continue
        if i == 0:
            head = node
            nodes += [n for o in operands if isinstance(o, Operand) for n in o.nodes]
        nodes.append(node)
        operands = [Operand(node.outputs[0], call.op.span, given=False)]
    if not sound or isinstance(node, Poison):
        return POISON
    results = {n: v for n, v in zip(_result_names(node), node.outputs, strict=False) if n}
    span = name_span or chain.span
    return LayerReference(name or node.name, results, node.outputs[0], tuple(nodes), span, head)


def operand(b: BlockBuilder, argument: Chain | Reference) -> Operand | Poison:
    """The value of an argument or output; poison, and the error, where it fails.

    Raises EvaluationError.
    """
    if isinstance(argument, Chain):
        line = run_chain(b, argument, None, None)
        if isinstance(line, Poison):
            return POISON
        return Operand(line.value, argument.span, True, line.nodes)
    evaluator = b.evaluator()
    try:
        line = evaluator.reference(argument)
    except EvaluationError as error:
        b.fail(_with_call(b, error, argument))
        return POISON
    b.static |= evaluator.used
    return Operand(line.value, argument.span, given=True)


def _with_call(b: BlockBuilder, error: EvaluationError, argument: Reference) -> EvaluationError:
    """For the name of an op or module where a value is needed: how to apply it."""
    d = error.diagnostic
    if d is None or not isinstance(argument, Variable):
        return error
    if argument.name not in OPS and not b.module.find(argument.name):
        return error
    message = f"there is no value {argument.name} here"
    help_ = (f"to apply {argument.name} here, write `{argument.name}(...)`",)
    return EvaluationError(Diagnostic(d.code, message, d.span, help=help_))


def _flowing(b: BlockBuilder, call: Call) -> Operand | Poison:
    """The value of the line before."""
    if isinstance(b.current, Poison):
        b.failed = True
        return POISON
    if b.current is None:
        message = f"nothing flows into {call.op.text} yet"
        help_ = ("begin with `input`, or name the inputs in round brackets",)
        b.report(Diagnostic("missing-value", message, call.op.span, help=help_))
        return POISON
    return Operand(b.current, call.op.span, given=False)


def _names(b: BlockBuilder, call: Call, name: str | None, first: bool, last: bool) -> CallNames:
    """The names for a call in a line `name`; those that the spec does not give are made up."""
    if name is None:
        node = b.automatic_name(call.op.text, call.span, numbered=True)
        return CallNames(node, None, node)
    node = name
    if not first:
        node = b.automatic_name(f"{name}_{call.op.text}", call.span, numbered=False)
    return CallNames(node, name, name if last else node)


def _node(
    b: BlockBuilder, call: Call, names: CallNames, operands: Sequence[Operand | Poison]
) -> Node | Poison:
    keyword = call.op.text
    module = b.module.find(keyword)
    op = find_op(keyword) if module is None else None
    if op is not None:
        return op_layer(b, call, op, names, operands)
    if module is None or module is b.module:
        b.failed = True  # netspec.semantic.resolve has reported it
        return POISON
    return module_instance(b, call, module, names, operands)


def _result_names(node: Node) -> Iterable[str]:
    """The names of a node's results; none where it has but one, which needs no name."""
    if isinstance(node, Layer):
        return node.op.result_names if node.op.result_names != ("value",) else ()
    return node.block.output_names
