"""A module that is a chain with loops in it: a class made of `nn.Sequential`.

    for i in 1..layers { dense[i]: dense_layer { growth: growth } }

    for i in range(layers):
        self.add_module(f"dense{i + 1}", DenseLayer(in_channels + i * growth, growth=growth))

What differs from iteration to iteration is found from the first two and holds only if, for every
use of the module and every iteration, the numbers and names come to those of the blocks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from netspec.codegen.identifiers import is_plain
from netspec.codegen.python_source import (
    FunctionCall,
    Keyword,
    Source,
    Verbatim,
    statement,
)
from netspec.ir import Argument, Block, Instance, Layer, Loop, Node
from netspec.lazy_dataclasses import dataclass, replace
from netspec.symbolic.expr import Apply, Dim, Expr, NumberLiteral, Real, apply, expr_of, literal
from netspec_torch.emitters import EMITTERS
from netspec_torch.reserved import MODULE_ATTRIBUTES
from netspec_torch.variants import combined, restated
from netspec_torch.writer import ITERATION, NumberWriter

MANY_ITERATIONS = 4
"""From so many iterations on, a loop is written as one even where repeated lines would do."""

_OF_SEQUENTIAL = {"append", "extend", "insert", "pop"}

_BEGUN = "super().__init__"

Construct = Callable[[Instance, NumberWriter], FunctionCall]


class _NoSequence(Exception):
    """The blocks can't be written so."""


@dataclass(frozen=True)
class _Part:
    """A node, or the iterations of a loop; `count` is how many, None for a node by itself."""

    iterations: tuple[tuple[Node, ...], ...]
    count: Expr | None


def has_long_loop(block: Block) -> bool:
    return any(len(loop.iterations) > MANY_ITERATIONS for loop in block.loops)


def sequence(
    blocks: Sequence[Block], writers: Sequence[NumberWriter], construct: Construct
) -> list[str] | None:
    """The constructor's lines behind `super().__init__()`; None where there is no such class."""
    if any(b.choices or not _is_chain(b) for b in blocks) or not any(b.loops for b in blocks):
        return None
    try:
        parts = [list(_parts(b)) for b in blocks]
        if len({tuple(p.count is None for p in ps) for ps in parts}) > 1:
            return None
        lines: list[str] = []
        for row in zip(*parts, strict=True):
            lines += _lines(row, writers, construct)
        return lines
    except _NoSequence:
        return None


def numbered(
    blocks: Sequence[Block], writers: Sequence[NumberWriter], construct: Construct
) -> list[str] | None:
    """The constructor of a chain whose weights are called by their places in it; None of others.

    The line calls `super().__init__` itself.
    """
    if any(b.choices or not _is_chain(b) for b in blocks):
        return None
    if len({len(b.nodes) for b in blocks}) > 1:
        return None
    for block in blocks:
        for place, node in enumerate(block.nodes):
            weights = node.tensors if isinstance(node, Layer) else node.block.layer_count
            if weights and node.name != str(place):
                return None
    try:
        rows = [[_Part((b.nodes,), None) for b in blocks]]
        modules = _modules(rows[0], blocks[0].nodes, writers, construct)
    except _NoSequence:
        return None
    return statement("", FunctionCall(_BEGUN, tuple(modules)), 8) if modules else None


def begins(init: Sequence[str]) -> bool:
    """Whether a constructor calls that of its base class itself."""
    return bool(init) and init[0].lstrip().startswith(_BEGUN)


def _is_chain(block: Block) -> bool:
    """Whether each node takes just what the one before it yields."""
    if len(block.inputs) != 1 or len(block.outputs) != 1:
        return False
    value = block.inputs[0]
    for node in block.nodes:
        several = isinstance(node, Instance) and len(node.outputs) > 1
        if node.inputs != (value,) or several:
            return False
        value = node.outputs[0]
    return block.outputs == (value,)


def _parts(block: Block) -> Iterator[_Part]:
    place = 0

    def alone(until: int) -> Iterator[_Part]:
        return (_Part(((node,),), None) for node in block.nodes[place:until])

    for loop in block.loops:
        yield from alone(loop.iterations[0])
        yield _Part(_iterations(block, loop), loop.count)
        place = loop.iterations[-1]
    yield from alone(len(block.nodes))


def _iterations(block: Block, loop: Loop) -> tuple[tuple[Node, ...], ...]:
    starts, ends = loop.iterations[:-1], loop.iterations[1:]
    return tuple(block.nodes[s:e] for s, e in zip(starts, ends, strict=True))


def _lines(
    row: Sequence[_Part], writers: Sequence[NumberWriter], construct: Construct
) -> list[str]:
    longest = max(row, key=lambda part: len(part.iterations)).iterations
    if not longest:
        return []
    if len({len(iteration) for part in row for iteration in part.iterations}) > 1:
        raise _NoSequence
    if row[0].count is None:
        name = _same(part.iterations[0][0].name for part in row)
        if not is_plain(name) or name in MODULE_ATTRIBUTES or name in _OF_SEQUENTIAL:
            raise _NoSequence
        (module,) = _modules(row, longest[0], writers, construct)
        return statement(f"self.{name} = ", module, 8)
    count = _same(
        w.number(len(part.iterations), part.count) for part, w in zip(row, writers, strict=True)
    )
    iteration = writers[0].arguments[ITERATION]
    lines = [f"        for {iteration} in range({count}):"]
    for k, module in enumerate(_repeated(row, longest, writers, construct)):
        names = [[iteration_[k].name for iteration_ in part.iterations] for part in row]
        call = FunctionCall("self.add_module", (Verbatim(_numbered(names, iteration)), module))
        lines += statement("", call, 12)
    return lines


_Turns = Sequence[tuple[Node, ...]]


def _repeated(
    row: Sequence[_Part], longest: _Turns, writers: Sequence[NumberWriter], construct: Construct
) -> list[FunctionCall]:
    """The constructor calls of a iteration in terms of its number."""
    if len(longest) == 1:
        return _modules(row, longest[0], writers, construct)
    marks = [w.marked() for w in writers]
    try:
        models = tuple(_generic(a, b) for a, b in zip(*longest[:2], strict=True))
        return _modules(row, models, writers, construct)
    except _NoSequence:
        for writer, mark in zip(writers, marks, strict=True):
            writer.forget(mark)
    # Only the first iteration may differ: it takes what came before the loop.
    first = _modules(row, longest[0], writers, construct, iterations=range(1))
    others = _modules(row, longest[1], writers, construct, iterations=range(1, len(longest)))
    number = writers[0].arguments[ITERATION]
    return [_either(a, b, f"{number} == 0") for a, b in zip(first, others, strict=True)]


def _either(call: FunctionCall, other: FunctionCall, condition: str) -> FunctionCall:
    """A call whose arguments depend on a condition."""
    if call.head != other.head or len(call.args) != len(other.args):
        raise _NoSequence
    args: list[Source] = []
    for a, b in zip(call.args, other.args, strict=True):
        if a.flat() == b.flat():
            args.append(a)
        elif isinstance(a, Keyword) and isinstance(b, Keyword) and a.name == b.name:
            text = f"{a.value.flat()} if {condition} else {b.value.flat()}"
            args.append(Keyword(a.name, Verbatim(text)))
        elif isinstance(a, Verbatim) and isinstance(b, Verbatim):
            args.append(Verbatim(f"{a.flat()} if {condition} else {b.flat()}"))
        else:
            raise _NoSequence
    return FunctionCall(call.head, tuple(args))


def _modules(
    row: Sequence[_Part],
    models: Sequence[Node],
    writers: Sequence[NumberWriter],
    construct: Construct,
    iterations: range | None = None,
) -> list[FunctionCall]:
    """The constructor calls of these iterations, the same for every block; of all iterations,
    unless some are given."""
    written: list[dict[str, FunctionCall]] = [{} for _ in models]
    for part, writer in zip(row, writers, strict=True):
        for number, iteration in enumerate(part.iterations):
            if iterations is not None and number not in iterations:
                continue
            writer.iteration = number if part.count is not None else None
            fresh = False
            for k, (node, model) in enumerate(zip(iteration, models, strict=True)):
                if not _alike(node, model):
                    raise _NoSequence
                module, fresh = _module(restated(node, model), writer, construct, fresh)
                written[k][module.flat()] = module
        writer.iteration = None
    if any(len(w) != 1 for w in written):
        raise _NoSequence
    return [next(iter(w.values())) for w in written]


def _module(
    node: Node, writer: NumberWriter, construct: Construct, fresh: bool
) -> tuple[FunctionCall, bool]:
    """The constructor call of a node, and whether its result may be overwritten."""
    if isinstance(node, Instance):
        return construct(node, writer), False
    emission = EMITTERS[type(node.op)](node, writer, False)
    module = emission.in_sequence(overwrite=fresh)
    if module is None:
        raise _NoSequence
    return module, emission.fresh


def _alike(node: Node, other: Node) -> bool:
    if isinstance(node, Layer) and isinstance(other, Layer):
        return type(node.op) is type(other.op)
    if isinstance(node, Instance) and isinstance(other, Instance):
        return node.block.module == other.block.module
    return False


def _same(texts: Iterator[str]) -> str:
    found = set(texts)
    if len(found) != 1:
        raise _NoSequence
    return found.pop()


def _numbered(names: Sequence[Sequence[str]], iteration: str) -> str:
    """The names of a node by the iteration: `f"dense{i + 1}"`."""
    longest = max(names, key=len)
    for digits in re.finditer(r"\d+", longest[0]):
        before, after = longest[0][: digits.start()], longest[0][digits.end() :]
        first = int(digits.group())
        if all(n == f"{before}{first + i}{after}" for ns in names for i, n in enumerate(ns)):
            number = f"{iteration} + {first}" if first else iteration
            if not is_plain(f"{before}0{after}") or len(longest) < 2:
                break
            return f'f"{before}{{{number}}}{after}"'
    raise _NoSequence


# --- what differs from iteration to iteration ---


def _generic(first: Node, second: Node) -> Node:
    """The first iteration's node, its numbers by iteration, as the second lets guess."""
    if not _alike(first, second) or len(first.inputs) != len(second.inputs):
        raise _NoSequence
    return combined(first, second, _number, _argument)


def _argument(first: Argument, second: Argument) -> Argument:
    if not isinstance(first.value, int | float) or isinstance(first.value, bool):
        return first  # no row of numbers
    exprs = (a.expr or literal(a.value) for a in (first, second))
    return replace(first, expr=_expr(*exprs))


def _number(first: Any, second: Any) -> Any:
    if isinstance(first, bool) or not isinstance(first, int | float):
        return first
    expr = _expr(expr_of(first), expr_of(second))
    return Dim(first, expr) if isinstance(first, int) else Real(first, expr)


def _expr(first: Expr, second: Expr) -> Expr:
    """`a + i * d` for a and a + d."""
    if first == second:
        return first
    if isinstance(first, NumberLiteral) and isinstance(second, NumberLiteral):
        step: Expr | None = literal(second.value - first.value)
    else:
        step = apply("-", second, first)
    # in_channels in the first iteration and filters in all others is no row of numbers.
    if step is None or (isinstance(step, Apply) and step.operator == "-"):
        raise _NoSequence
    further = apply("*", ITERATION, step)
    expr = apply("+", first, further) if further is not None else None
    if expr is None:
        raise _NoSequence
    return expr
