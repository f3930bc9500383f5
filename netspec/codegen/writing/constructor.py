"""The constructor of a class: its layers, the numbers that they need, the checks of arguments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from netspec.codegen.python_source import FunctionCall, Source, Verbatim, call, list_of
from netspec.codegen.tracing.names import has_tensors
from netspec.codegen.tracing.nodes import (
    SIZES,
    Call,
    CannotTrace,
    ChainCall,
    ChannelsNode,
    CheckNode,
    Extent,
    ForNode,
    IfNode,
    InstanceCall,
    LetNode,
    LineNode,
    PositiveNode,
    TraceNode,
    calls_in,
    is_mixed,
    walk,
)
from netspec.codegen.writing.spelling import WrittenCall
from netspec.codegen.writing.statements import Line, Statement, if_statement
from netspec.codegen.writing.statements import walk as walk_statements
from netspec.codegen.writing.terms import Asked, Support, Terms, first_free, is_number
from netspec.lazy_dataclasses import replace
from netspec.symbolic.conditions import ListTerm, negated
from netspec.symbolic.expr import Apply

Emissions = Mapping[Call, tuple[WrittenCall, Asked]]
"""How the layers are written, each with what that needs."""
Tests = Mapping[IfNode, tuple[str, bool]]
"""An attribute that only one of an `if`'s two branches has, and whether that is the first."""


def constructor(
    nodes: Sequence[TraceNode],
    terms: Terms,
    emissions: Emissions,
    tests: Tests,
    holders: set[str] | None = None,
) -> list[Statement]:
    """The statements that make the layers of nodes, with all that these may need before them.

    Those for the whole class make `holders` of layers whose names have dots, too.
    """
    body: list[Statement] = []
    for node in nodes:
        if holders is not None:
            body += _holders(node, terms, emissions, holders)
        asked = terms.anew()
        match node:
            case LineNode():
                body += [s for c in node.calls for s in _layer(c, terms, emissions)]
            case LetNode():
                body += _let(node, terms)
            case ChannelsNode():
                body += changed(node, terms, terms.number)
            case CheckNode():
                body += terms.check(node)
            case PositiveNode():
                asked.reads |= {Support("check_positive"), *node.arguments}
                given = {name: name for name in (terms.arguments[a] for a in node.arguments)}
                body.append(Line(call("check_positive", **given), reads=asked.reads))
            case IfNode():
                conditions = [terms.print(c) for c, _ in node.cases]
                opposite = f"if {terms.print(negated(node.cases[0][0]))}:"
                inner = [constructor(b, terms, emissions, tests) for b in node.bodies]
                made = if_statement(conditions, inner)
                made.reads, made.opposite = asked.reads, opposite if len(inner) == 2 else ""
                if node in tests:
                    kind = terms.spelling.library.layer
                    made.declared = f"self.{tests[node][0]}: {kind} | None = None"
                body.append(made)
            case ForNode():
                inside = [
                    *constructor(node.body, terms, emissions, tests),
                    *(line for v in node.variables for line in terms.of_iterations(v)),
                ]
                asked = terms.anew()
                loop = terms.looped(node, inside, terms.print)
                loop.reads = asked.reads
                body.append(loop)
    return body


def _let(node: LetNode, terms: Terms) -> Iterator[Statement]:
    local, term = node.local, node.term
    asked = terms.anew()
    if (local.float_ and not node.positive) or not is_number(
        term
    ):  # else it is checked to be whole
        source = terms.printer.source(terms.resolved(term), 0, local.float_)
    else:
        source = terms.number(term)
    argument = terms.said_of(term) if node.positive else None
    if argument:
        asked.reads.add(Support("positive"))
        source = call("positive", source, f'"{argument}"')
    if isinstance(source, FunctionCall) and isinstance(term, ListTerm):
        source = list_of(source.args)
    if local in terms.lists:
        kind = "list[Any]" if isinstance(term, ListTerm) and is_mixed(term) else ""
        place = f"self.{terms.attribute(local)}"
        yield Line(source, (place,), annotation=kind, reads=asked.reads)
        return
    yield Line(source, (local.name,), optional=True, reads=asked.reads)
    if local in terms.kept:
        kept = call("float", local.name) if local.float_ else Verbatim(local.name)
        yield Line(kept, (f"self.{terms.attribute(local)}",), reads={local.name})


def changed(node: ChannelsNode, terms: Terms, show: Callable[[Any], Source]) -> Iterator[Statement]:
    """The statement that sets a variable, if it is needed."""
    name, asked = node.local.name, terms.asked
    if name in terms.same:
        name = terms.same[name]
        if node.local.name != next(n for n, same in terms.same.items() if same == name):
            return  # set by the other
    term: Any = node.term
    word = ""
    if isinstance(term, Apply) and term.operator in ("+", "-", "*", "//"):
        first, *more = term.operands
        if more and show(first).flat() == name:
            term, word = more[0], f"{term.operator}="
    source = show(term)
    if word or source.flat() != name:
        yield Line(source, (name,), word, optional=True, reads=asked.reads)


def _holders(
    node: TraceNode, terms: Terms, emissions: Emissions, known: set[str]
) -> Iterator[Statement]:
    """What makes the modules that layers of a node are kept in; `known` are those made before."""
    for line in walk([node]):
        for c in line.calls if isinstance(line, LineNode) else ():
            name = c.name.fixed if c.name is not None and c.kept is None else None
            parts = (name or "").split(".") if emissions[c][0].constructor is not None else []
            for holder in (".".join(parts[:n]) for n in range(1, len(parts))):
                if holder not in known:
                    known.add(holder)
                    yield terms.assigned(holder, terms.spelling.holder())


def _chain(
    c: ChainCall, module: FunctionCall, terms: Terms, emissions: Emissions, before: list[Line]
) -> FunctionCall:
    """The module of a chain; `before` gets the lines of parts that are asked for their sizes."""
    args: list[Source] = []
    for part, arg in zip(c.calls, module.args, strict=True):
        if isinstance(part, ChainCall) and isinstance(arg, FunctionCall):
            arg = _chain(part, arg, terms, emissions, before)
        elif isinstance(part, InstanceCall) and part in terms.places:
            before.append(Line(arg, (terms.places[part],), reads=emissions[part][1].reads))
            arg = Verbatim(terms.places[part])
        args.append(arg)
    return replace(module, args=tuple(args))


def _layer(c: Call, terms: Terms, emissions: Emissions) -> Iterator[Statement]:
    emission, asked = emissions[c]
    module = emission.constructor
    if module is None or c.kept is not None:
        return
    if c.name is None:
        raise CannotTrace("a layer with weights that has no name of its own")
    if c.name.fixed is not None:
        if isinstance(c, ChainCall):
            before: list[Line] = []
            module = _chain(c, module, terms, emissions, before)
            yield from before
        elif isinstance(c, InstanceCall) and c in terms.places:
            yield Line(module, (terms.places[c],), reads=asked.reads)
            yield terms.assigned(c.name.fixed, Verbatim(terms.places[c]))
            return
        yield terms.assigned(c.name.fixed, module, asked.reads)
        return
    if has_tensors(c):
        yield from terms.twice(c.name)
    terms.asked = asked
    name = terms.path(c.name, terms.print)
    place = terms.places.get(c, "") if isinstance(c, InstanceCall) else ""
    if not place and len(name) + len(module.flat()) > 66:
        place = first_free(terms.places.values(), "layer", "")
    if place:
        yield Line(module, (place,), reads=asked.reads)
        yield Line(call(*terms.spelling.library.add, name, place))
        return
    yield Line(call(*terms.spelling.library.add, name, module), reads=asked.reads)


def annotate_layers(body: Sequence[Statement], layer: str) -> None:
    """Say the type of what holds layers of several classes, where it is set first."""
    lines = [s for s in [*walk_statements(body)][::-1] if isinstance(s, Line)]
    places = {t for line in lines for t in line.targets}
    for name in {t for t in places if t.startswith("self.") or t.rstrip("0123456789") == "layer"}:
        own = [line for line in lines if line.targets == (name,)]
        if len({s.head for line in own if isinstance(s := line.source, FunctionCall)}) > 1:
            own[0].annotation = layer


def out_sizes(terms: Terms, asked_for: Sequence[str]) -> Iterator[Line]:
    """The lines that keep channels, heights and widths of the results for other classes."""
    for size in asked_for:
        axis, asked = SIZES.index(size), terms.anew()
        sources = [
            "1"  # a vector
            if axis and v.static is not None and axis > len(v.static)
            else terms.whole(Extent(v, axis) if axis else v.channels)
            for v in terms.trace.outputs
        ]
        source = sources[0] if len(sources) == 1 else f"({', '.join(sources)})"
        yield Line(Verbatim(source), (f"self.out_{size}",), reads=asked.reads)


def tests_of_branches(nodes: Sequence[TraceNode], terms: Terms, emissions: Emissions) -> Tests:
    """The `if`s of two branches, not in loops, that an attribute tells apart."""
    paths = [c.name for c in calls_in(nodes) if c.name is not None]
    varying = tuple(p.base for p in paths if p.fixed is None)
    made = [c for c in calls_in(nodes) if emissions[c][0].constructor and c.kept is None]
    count = Counter(c.name.fixed for c in made if c.name is not None)
    repeated = {n for loop in walk(nodes) if isinstance(loop, ForNode) for n in walk(loop.body)}
    found: dict[IfNode, tuple[str, bool]] = {}
    for node in walk(nodes):
        if not isinstance(node, IfNode) or len(node.cases) != 1 or node in repeated:
            continue
        first, second = (
            [
                c.name.fixed
                for n in body
                if isinstance(n, LineNode)
                for c in n.calls
                if c in made and c.name and c.name.fixed
                if terms.spelling.reached(c.name.fixed) == f"self.{c.name.fixed}"
                if not c.name.fixed.startswith(varying)
            ]
            for body in node.bodies
        )
        own = [(a, True) for a in first if count[a] == 1]
        own += [(a, False) for a in second if count[a] == 1]
        if own:
            found[node] = own[0]
        elif node.again in found:
            found[node] = found[node.again]
    return found
