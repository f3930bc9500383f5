"""Which parameters of a net its emitted classes decide by themselves, with any value.

A parameter may reach an `if` of a module, as `width` does through `x.channels != filters`. It is
safe as an argument where the module's class has that `if` too, with both branches and the same
result channels from either; or where the condition comes to the same whatever the value is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from netspec.ir import Block, Choice, Instance, Net
from netspec.symbolic.conditions import (
    Combined,
    Compared,
    Condition,
    ConstantTerm,
    ListTerm,
    Term,
    known_symbols,
)
from netspec.symbolic.expr import (
    Apply,
    Channels,
    Expr,
    NumberLiteral,
    Parameter,
    Symbol,
    apply,
    expr_of,
    literal,
    operators,
    symbols,
)

MOST_OPERATORS = 40
"""Conditions on larger expressions are taken to depend on all of their symbols."""

_Env = Mapping[Symbol, Expr]


def undecided(net: Net, forks: Callable[[Instance], frozenset[object]]) -> set[Symbol]:
    """The parameters of the net that must keep their values.

    `forks` gives the spans of the `if`s that the class of an instance decides.
    """
    found: set[Symbol] = {Parameter(p.name) for p in net.parameters if p.always_static}
    seen: set[tuple[Block, tuple[tuple[Symbol, Expr], ...]]] = set()

    def visit(block: Block, env: _Env) -> None:
        for node in block.nodes:
            if not isinstance(node, Instance):
                continue
            inner = _inside(node, env)
            key = (node.block, tuple(inner.items()))
            if key in seen:
                continue
            seen.add(key)
            decided = forks(node)
            for choice in node.block.all_choices():
                if choice.span not in decided:
                    found.update(_asked(choice, inner))
            visit(node.block, inner)

    visit(net.body, {})
    return found


def decided(blocks: Sequence[Block]) -> frozenset[object]:
    """The `if`s of which these blocks, which share a class, have more than one branch.

    None of them where the channels of the results depend on the branch.
    """
    taken: dict[object, set[int]] = {}
    for block in blocks:
        for choice in block.all_choices():
            taken.setdefault(choice.span, set()).add(choice.taken)
    results = {
        tuple(_under(expr_of(v.shape[0]), _equalities(block)) for v in block.outputs)
        for block in blocks
    }
    if len(results) > 1:
        return frozenset()
    return frozenset(span for span, branches in taken.items() if len(branches) > 1)


def _inside(node: Instance, env: _Env) -> dict[Symbol, Expr]:
    """The symbols of an instance's block in terms of the net's parameters."""
    inner: dict[Symbol, Expr] = {}
    for argument in node.arguments:
        if isinstance(argument.value, int | float) and not isinstance(argument.value, bool):
            expr = argument.expr or literal(argument.value)
            inner[Parameter(argument.name)] = _substituted(expr, env)
    for within, outside in zip(node.block.inputs, node.inputs, strict=True):
        inner[Channels(within.name)] = _substituted(expr_of(outside.shape[0]), env)
    return inner


def _substituted(e: Expr, env: _Env) -> Expr:
    if isinstance(e, Apply):
        return Apply(e.operator, tuple(_substituted(x, env) for x in e.operands))
    return e if isinstance(e, NumberLiteral) else env.get(e, e)


def _asked(choice: Choice, env: _Env) -> set[Symbol]:
    """The parameters of the net that a choice may go another way for."""
    found: set[Symbol] = set()
    for condition in choice.conditions[: choice.taken + 1]:
        if condition is None or _settled(condition, env) is not None:
            continue
        for symbol in known_symbols(condition):
            found.update(symbols(env.get(symbol, literal(0))))
    return found


def _settled(condition: Condition, env: _Env) -> bool | None:
    """What a condition comes to for all values of the net's parameters; None if not for all."""
    match condition:
        case Combined("not", (operand,)):
            truth = _settled(operand, env)
            return None if truth is None else not truth
        case Combined(operator, operands):
            stop = operator == "or"
            truths = [_settled(o, env) for o in operands]
            if stop in truths:
                return stop
            return None if None in truths else not stop
        case Compared(first, ((operator, second),)) if operator in ("==", "!="):
            a, b = _plain(first, env), _plain(second, env)
            if a is None or b is None:
                return None
            if a == b:
                return operator == "=="
            if isinstance(a, NumberLiteral) and isinstance(b, NumberLiteral):
                return operator == "!="
    return None


def _plain(term: Term, env: _Env) -> Expr | None:
    if isinstance(term, ConstantTerm | ListTerm) or operators(term) > MOST_OPERATORS:
        return None
    if any(s not in env for s in symbols(term)):
        return None
    expr = _substituted(term, env)
    return expr if operators(expr) <= MOST_OPERATORS else None


# --- what holds in a branch ----------------------------------------------------------------------


def _equalities(block: Block) -> dict[Symbol, Expr]:
    """What input channels are equal to in the branches that a block took."""
    found: dict[Symbol, Expr] = {}
    for choice in block.all_choices():
        for i, condition in enumerate(choice.conditions[: choice.taken + 1]):
            if condition is not None:
                for a, b in _equal(condition, i == choice.taken):
                    found |= {x: y for x, y in ((a, b), (b, a)) if isinstance(x, Channels)}
    return found


def _equal(condition: Condition, truth: bool) -> Iterator[tuple[Expr, Expr]]:
    match condition:
        case Combined("not", (operand,)):
            yield from _equal(operand, not truth)
        case Combined(operator, operands) if operator == ("and" if truth else "or"):
            for operand in operands:
                yield from _equal(operand, truth)
        case Compared(first, ((operator, second),)) if operator == ("==" if truth else "!="):
            if not isinstance(first, ConstantTerm | ListTerm) and not isinstance(
                second, ConstantTerm | ListTerm
            ):
                yield first, second


def _under(e: Expr, known: Mapping[Symbol, Expr]) -> Expr:
    if isinstance(e, Apply):
        operands = [_under(x, known) for x in e.operands]
        return apply(e.operator, *operands) or Apply(e.operator, tuple(operands))
    return e if isinstance(e, NumberLiteral) else known.get(e, e)
