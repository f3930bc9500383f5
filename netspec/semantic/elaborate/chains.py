"""Chains of calls: what flows in, what each call is named, and the node that it makes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netspec.diagnostics import Diagnostic
from netspec.diagnostics.source import Span
from netspec.ir import Layer, Node
from netspec.ops import OPS, find_op
from netspec.semantic.elaborate.block_builder import BlockBuilder
from netspec.semantic.elaborate.call_inputs import (
    CallNames,
    Operand,
    check_arity,
    without_brackets,
)
from netspec.semantic.elaborate.held_ops import called, fields_fit, held_op, report_no_op
from netspec.semantic.elaborate.line_uses import (
    called_line,
    check_bare_use,
    line_nodes,
    warn_of_own_weights,
)
from netspec.semantic.elaborate.module_calls import module_instance
from netspec.semantic.elaborate.op_calls import op_layer
from netspec.semantic.imports import ModuleDefinition
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
    node: Node | None = None
    sound = True
    chosen = all_sound([b.attempt(_chosen, b, link) for link in chain.links])
    if isinstance(chosen, Poison):
        return POISON
    first = chain.calls[0]
    last = max((i for i, call in enumerate(chosen) if call is not None), default=-1)
    for i, (link, call) in enumerate(zip(chain.links, chosen, strict=True)):
        if name is not None and i and (isinstance(link, Choice) or call is None):
            calls = link.calls if isinstance(link, Choice) else (link,)
            for keyword in {c.op.text for c in calls} - {call.op.text if call else ""}:
                b.pass_over_name(f"{name}_{keyword}")
        if i == 0:
            given = first.arguments
            operands = [_flowing(b, first)] if given is None else [operand(b, a) for a in given]
        if call is None:
            sound &= i > 0 or check_arity(b, first, len(operands), 1, 1)
            continue
        if i and call.arguments is not None:
            message = (
                f"{call.op.text} takes what flows in from the chain, and no inputs in brackets"
            )
            apart = f"name what comes before, and write `{call.op.text}(...)` on a line of its own"
            help_ = (apart if call.arguments else without_brackets(call, "leave out the `()`"),)
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
    if not sound:
        return POISON
    span = name_span or chain.span
    if node is None:  # all links are left out
        (only,) = operands
        if isinstance(only, Poison):
            b.failed = True
            return POISON
        return LayerReference(name or only.value.name, {}, only.value, only.nodes, span)
    results = {n: v for n, v in zip(_result_names(node), node.outputs, strict=False) if n}
    return LayerReference(name or node.name, results, node.outputs[0], tuple(nodes), span, head)


def _chosen(b: BlockBuilder, link: Call | Choice) -> Call | None:
    """The call that a link comes to; None where it is left out. Raises EvaluationError."""
    if isinstance(link, Call):
        call: Call | None = link
    else:
        evaluator = b.evaluator()
        met = (call for call, condition in link.cases if evaluator.truth(condition))
        call = next(met, link.otherwise)
        b.static |= evaluator.used
    held = held_op(b, call) if call is not None else None
    return call if held is None or held.value is not None else None


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
    held = held_op(b, call)
    value = held.value if held is not None else None
    module = b.module.find(keyword) if not call.indices else None
    op = find_op(keyword) if module is None and not call.indices else None
    if value is not None:
        module, op = (
            (value.callee, None)
            if isinstance(value.callee, ModuleDefinition)
            else (None, value.callee)
        )
    if op is None and module is None and b.module.lines.has(call.callee):
        line = b.attempt(called_line, b, call)
        if isinstance(line, Poison):
            return POISON
        check_bare_use(call, line, bare)
        names = _names(b, call, line.name, *place)
        found = line_nodes(b, call, line, names, place[2], operands)
        return POISON if isinstance(found, Poison) else (found, found[line.nodes.index(line.head)])
    names = _names(b, call, keyword, *place)
    node: Node | Poison = POISON
    callee = op or module
    made = call if value is None else called(call, value)
    given = {} if value is None else dict(value.fields)
    is_held = not call.indices and keyword in b.module.op_holders
    # In a variant, a constant may hold no op that may hold one in the net itself.
    of_variant = b.module.variant is not None and not call.indices
    if callee is None and (is_held or (of_variant and b.scope.find(keyword) is not None)):
        report_no_op(b, call)
    elif callee is None or (module is b.module and value is None):
        b.failed = True  # netspec.semantic.resolve has reported it
    elif is_held and not fields_fit(b, made, callee, value):
        pass
    elif op is not None:
        node = op_layer(b, made, op, names, operands, given)
    elif module is not None:
        node = module_instance(b, made, module, names, operands, given)
    if isinstance(node, Poison):
        return POISON
    if value is None:
        warn_of_own_weights(b, call, node)
    return [node], node


def _result_names(node: Node) -> Iterable[str]:
    """The names of a node's results; none where it has but one, which needs no name."""
    if isinstance(node, Layer):
        return node.op.result_names if node.op.result_names != ("value",) else ()
    return node.block.output_names
