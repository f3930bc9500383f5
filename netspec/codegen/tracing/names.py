"""Gives the layers of a trace the names that another library has for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from netspec.codegen.tracing.nodes import (
    Call,
    CannotTrace,
    ForNode,
    IfNode,
    InstanceCall,
    LayerPath,
    LineNode,
    OpCall,
    Sym,
    TraceNode,
    calls_in,
)
from netspec.ir.names import NameMap, free_name
from netspec.symbolic.expr import NumberLiteral
from netspec.symbolic.terms import folded


def rename_calls(nodes: Sequence[TraceNode], names: NameMap) -> None:
    """Give the calls of a template the names that differ from those of its text."""
    firsts = {new.partition(".")[0] for new in names.here.values()}
    for c in calls_in(nodes):
        if c.kept is not None:
            c.kept = _renamed(c.kept, names)
        elif c.name is not None:
            old = c.name.fixed
            c.name = _renamed(c.name, names)
            if isinstance(c, OpCall) and old is not None:
                c.bare = names.is_bare(old)
            if old is not None and old not in names.here and old in firsts and not has_tensors(c):
                c.name = LayerPath(free_name(old, firsts))
    check_names(nodes, set(), set())


def _renamed(path: LayerPath, names: NameMap) -> LayerPath:
    """The name of a layer with weights. Raises CannotTrace."""
    old = path.fixed
    if old is None:
        return _of_loop(path, names)
    return LayerPath(names.here[old]) if old in names.here else path


def _of_loop(path: LayerPath, names: NameMap) -> LayerPath:
    """The name of a loop's layers, whose numbers all differ by as much. Raises CannotTrace."""
    mine = re.compile(re.escape(path.base) + r"(\d+)" + re.escape(path.suffix))
    found = [(m, new) for old, new in names.here.items() if (m := mine.fullmatch(old))]
    if not found and not any(name.startswith(path.base) for name in (*names.here, *names.below)):
        return path
    forms = set()
    for m, new in found:
        parts = re.fullmatch(r"(\D*)(\d+)(\D*)", new)
        if parts is not None:
            forms.add((parts[1], int(parts[2]) - int(m[1]), parts[3]))
    below = any(mine.fullmatch(name) for name in names.below)
    if len(forms) != 1 or len(path.indices) != 1 or below or "." in "".join(map(str, *forms)):
        raise CannotTrace("layers of a loop have other names, whose number arguments give")
    ((base, more, suffix),) = forms
    (index,) = path.indices
    number = Sym(index.value, folded("+", index.term, NumberLiteral(Fraction(more))))
    return LayerPath(base, (number,), suffix)


def check_names(nodes: Sequence[TraceNode], taken: set[str], outer: set[str]) -> None:
    """Raise CannotTrace where two layers have one name, or one's is the beginning of another's.

    `taken` are names of layers, `outer` what they begin with; those of the nodes are added.
    """
    for node in nodes:
        if isinstance(node, IfNode):
            bodies = [(body, set(taken), set(outer)) for body in node.bodies]
            for body in bodies:
                check_names(*body)
                taken |= body[1]
                outer |= body[2]
        elif isinstance(node, ForNode):
            check_names(node.body, taken, outer)
        elif isinstance(node, LineNode):
            for name in (c.name.fixed for c in node.calls if c.name is not None and has_tensors(c)):
                if name is None:
                    continue
                parts = name.split(".")
                begins = {".".join(parts[:n]) for n in range(1, len(parts))}
                if name in taken or name in outer or begins & taken:
                    raise CannotTrace(f"two layers would be called {name}")
                taken.add(name)
                outer |= begins


def has_tensors(c: Call) -> bool:
    """Whether a layer has weights of its own, or an instance one that has."""
    if c.kept is not None:
        return False
    if isinstance(c, OpCall):
        return bool(c.bound.tensors([v.shape for v in c.inputs]))
    inner = c.traces if isinstance(c, InstanceCall) else ()
    return any(has_tensors(x) for t in inner for x in calls_in(t.nodes))
