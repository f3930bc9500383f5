"""Chains of calls: what flows in, what each call is named, and the node that it makes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netspec.diagnostics import Diagnostic
from netspec.diagnostics.source import Span
from netspec.ir import Layer, Node
from netspec.ops import OPS, find_op
from netspec.semantic.elaborate.block_builder import BlockBuilder
from netspec.semantic.elaborate.call_inputs import CallNames, Operand
from netspec.semantic.elaborate.line_uses import (
    called_line,
    check_bare_use,
    line_nodes,
    warn_of_own_weights,
)
from netspec.semantic.elaborate.module_calls import module_instance
from netspec.semantic.elaborate.op_calls import op_layer
from netspec.semantic.scope import POISON, EvaluationError, LayerReference, Poison, all_sound
from netspec.syntax.ast import Call, Chain, Choice, Reference, Variable


def run_chain(
    b: BlockBuilder,
    chain: Chain,
    name: str | None,
    name_span: Span | None,
    inside: bool = False,
) -> LayerReference | Poison:
    """What a chain of calls makes; poison, and the errors, where one of them fails.

    `name` and `name_span` are those of its line; `inside`: it is an input or output, and no
    statement. Raises EvaluationError.
    """
    operands: Sequence[Operand | Poison] = []
    nodes: list[Node] = []
    head: Node | None = None
    node: Node | Poison = POISON
    sound = True
    chosen = all_sound([b.attempt(_chosen, b, link) for link in chain.links])
    if isinstance(chosen, Poison):
        return POISON
    last = max(i for i, call in enumerate(chosen) if call is not None)
    for i, (link, call) in enumerate(zip(chain.links, chosen, strict=True)):
        if name is not None and isinstance(link, Choice):
            keywords = {c.op.text for c in link.calls} - {call.op.text if call else ""}
            for keyword in keywords:
                b.pass_over_name(f"{name}_{keyword}")
        if call is None:
            continue
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
        bare = name is None and len(chain.links) == 1 and not inside
        made = _nodes(b, call, (name, i == 0, i == last), operands, bare)
        if isinstance(made, Poison) or not sound:
            sound = False
            operands = [POISON]
            continue
        added, bearing = made
        if i == 0:
            head = bearing
            nodes += [n for o in operands if isinstance(o, Operand) for n in o.nodes]
        nodes += added
        node = added[-1]
        operands = [Operand(node.outputs[0], call.callee.span, given=False)]
    if not sound or isinstance(node, Poison):
        return POISON
    results = {n: v for n, v in zip(_result_names(node), node.outputs, strict=False) if n}
    span = name_span or chain.span
    return LayerReference(name or node.name, results, node.outputs[0], tuple(nodes), span, head)


def _chosen(b: BlockBuilder, link: Call | Choice) -> Call | None:
    """The call that a link comes to; None where it is left out. Raises EvaluationError."""
    if isinstance(link, Call):
        return link
    evaluator = b.evaluator()
    met = (call for call, condition in link.cases if evaluator.truth(condition))
    call = next(met, link.otherwise)
    b.static |= evaluator.used
    return call


def operand(b: BlockBuilder, argument: Chain | Reference) -> Operand | Poison:
    """The value of an argument or output; poison, and the error, where it fails.

    Raises EvaluationError.
    """
    if isinstance(argument, Chain):
        line = run_chain(b, argument, None, None, inside=True)
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


def _names(
    b: BlockBuilder, call: Call, called: str, name: str | None, first: bool, last: bool
) -> CallNames:
    """The names for a call in a line `name`; those that the spec does not give are made up."""
    if name is None:
        node = b.automatic_name(called, call.span, numbered=True)
        return CallNames(node, None, node)
    node = name
    if not first:
        node = b.automatic_name(f"{name}_{called}", call.span, numbered=False)
    return CallNames(node, name, name if last else node)


def _nodes(
    b: BlockBuilder,
    call: Call,
    place: tuple[str | None, bool, bool],
    operands: Sequence[Operand | Poison],
    bare: bool,
) -> tuple[Sequence[Node], Node] | Poison:
    """The nodes of a call, in order, and the one that bears its name.

    `place` is the name of its line, and whether it is the first and the last call there. `bare`:
    it is all of its statement.
    """
    keyword = call.op.text
    module = b.module.find(keyword) if not call.indices else None
    op = find_op(keyword) if module is None and not call.indices else None
    if op is None and module is None and b.module.lines.has(call.callee):
        line = b.attempt(called_line, b, call)
        if isinstance(line, Poison):
            return POISON
        check_bare_use(call, line, bare)
        found = line_nodes(b, call, line, _names(b, call, line.name, *place), operands)
        return POISON if isinstance(found, Poison) else (found, found[line.nodes.index(line.head)])
    names = _names(b, call, keyword, *place)
    node: Node | Poison = POISON
    if op is not None:
        node = op_layer(b, call, op, names, operands)
    elif module is None or module is b.module:
        b.failed = True  # netspec.semantic.resolve has reported it
    else:
        node = module_instance(b, call, module, names, operands)
    if isinstance(node, Poison):
        return POISON
    warn_of_own_weights(b, call, node)
    return [node], node


def _result_names(node: Node) -> Iterable[str]:
    """The names of a node's results; none where it has but one, which needs no name."""
    if isinstance(node, Layer):
        return node.op.result_names if node.op.result_names != ("value",) else ()
    return node.block.output_names
