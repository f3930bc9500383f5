"""A template run once with symbols: what each of its layers is made of, for any arguments.

In:  a `Template`, values of its parameters and shapes of its inputs that some use has (the sample).
Out: a `Trace`: the statements with their expressions as terms, every call with its op and the
     channels of its inputs, and where values meet behind branches and loops.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from netspec.codegen.tracing.expressions import is_float
from netspec.codegen.tracing.loops import LoopTracer
from netspec.codegen.tracing.names import rename_calls
from netspec.codegen.tracing.nodes import (
    CannotTrace,
    CheckNode,
    Extent,
    LetNode,
    LineNode,
    Sym,
    Trace,
    TraceValue,
    prune,
)
from netspec.codegen.tracing.numbers import (
    AnyDim,
    ChannelCount,
    constant,
    sym_of,
)
from netspec.codegen.tracing.template_parts import expressions_in
from netspec.ir.template import (
    Binding,
    Branches,
    LayerLine,
    Repetition,
    Requirement,
    ShapeRequirement,
    TemplateInput,
    TemplateOutput,
    TemplateStatement,
)
from netspec.ops import IndexShape, like
from netspec.symbolic.conditions import Compared, ConstantTerm
from netspec.symbolic.expr import ONE, Apply, Channels, NumberLiteral, Parameter
from netspec.symbolic.facts import facts, reduced, whole
from netspec.symbolic.terms import (
    FloatParameter,
    is_whole,
    leaves,
)
from netspec.syntax import ast
from netspec.syntax.visitor import walk as walk_tree


class Tracer(LoopTracer):
    """Runs one template. `inner` gives the trace of a module for a use of it."""

    def run(self) -> Trace:
        self.later: list[Requirement | ShapeRequirement] = []
        for p in self.template.parameters:
            value = self.given[p.name]
            if p.name in self.fixed or p.name in self.ops:
                self.terms.scope.names[p.name] = constant(value)
                continue
            if p.name in self.made:
                self.terms.scope.names[p.name] = Sym(value, Parameter(p.name))
                continue
            leaf = FloatParameter(p.name) if is_float(p, value) else Parameter(p.name)
            self.terms.scope.names[p.name] = sym_of(value, leaf)
        self.statements(self.template.body)
        later, self.later = self.later, []
        for contract in later:
            self.require(contract)
        prune(self.nodes)
        if self.names is not None:
            rename_calls(self.nodes, self.names)
        if self.now.outputs is None:
            if self.now.current is None:
                raise CannotTrace("branches give other outputs")
            self.now.outputs = [("", self.now.current)]
        return Trace(
            self.template,
            self.inputs,
            self.nodes,
            [v for _, v in self.now.outputs],
            [n for n, _ in self.now.outputs],
            dict(self.given),
            self.holders,
            self.counted,
            alone=self.alone,
            made=self.made,
        )

    def statements(self, body: Sequence[TemplateStatement]) -> None:
        for s in body:
            match s:
                case TemplateInput():
                    self.input(s)
                case Binding():
                    self.let(s)
                case LayerLine():
                    self.line(s)
                case Branches():
                    self.branches(s)
                case Repetition():
                    self.loop(s)
                case TemplateOutput():
                    self.output(s)
                case Requirement() | ShapeRequirement():
                    self.require(s)

    def input(self, s: TemplateInput) -> None:
        shape = self.shapes[len(self.inputs)]
        value = TraceValue(s.name, shape)
        channels: Any = Channels(s.name)
        static: list[Any] = [Extent(value, i + 1) for i in range(len(shape) - 1)]
        if self.template.kind == "net" and s.pattern is not None:
            channels, *static = self.sizes_of(s.pattern)
            self.need(Compared(channels, ((">=", ONE),)))
        dims: list[AnyDim] = [ChannelCount(int(shape[0]), channels)]
        dims += [AnyDim(int(d), Extent(value, i + 1)) for i, d in enumerate(shape[1:])]
        value.shape = like(shape, tuple(dims))
        if isinstance(shape, IndexShape):
            rows, columns = (
                AnyDim(int(d), Extent(value, k)) for k, d in zip((3, 4), shape.plane, strict=True)
            )
            value.shape = IndexShape.of(value.shape, (rows, columns))
        value.static = tuple(static)
        if self.template.kind == "module" and s.pattern is not None:
            needed = self.sizes_of(s.pattern)[0]
            if needed is not None:
                self.need(Compared(channels, (("==", needed),)))
        self.inputs.append(value)
        self.now.values[s.name] = self.now.current = value

    def let(self, s: Binding) -> None:
        sym = self.evaluate(s.value)
        divided = self.is_divided(s.name, sym)
        if divided:
            self.need(whole(sym.term))
        if divided or not sym.known or isinstance(sym.value, tuple):
            fraction = isinstance(sym.value, Fraction) and not is_whole(sym.term)
            local = self.local(s.name, fraction and not divided)
            if isinstance(sym.value, tuple) and sym.known:
                # An item of a list of constants is known where its index is.
                self.terms.lists[local] = sym.term
            self.lets[local] = self.constants[local] = sym.term
            self.nodes.append(LetNode(local, sym.term))
            sym = Sym(sym.value, local)
        self.terms.scope.names[s.name] = sym

    def is_divided(self, name: str, sym: Sym) -> bool:
        """Whether a constant is a division that its uses want to come out even."""
        even = isinstance(sym.term, Apply) and sym.term.operator == "/"
        if not even or not all(map(is_whole, sym.term.operands)):
            return False
        inside = [
            e is not outer
            for outer in expressions_in(self.template.body)
            for e in walk_tree(outer)
            if isinstance(e, ast.Variable) and e.name == name
        ]
        return bool(inside) and not any(inside)

    def require(self, s: Requirement | ShapeRequirement) -> None:
        """Have arguments refused that a contract refuses; a later one where it can't be read."""
        try:
            term = self.required(s)
        except CannotTrace:
            self.later.append(s)
            return
        used = set(leaves(term))
        holds = [c for c in facts(term) if reduced(c, self.now.known) is not None]
        if used and holds and not any(map(self.is_size, used)):
            own = s.message if isinstance(s, Requirement) else None
            self.nodes.append(CheckNode(term, own or f"the spec expects {_text(s)}"))
            self.now.known += holds

    def required(self, s: Requirement | ShapeRequirement) -> Any:
        """What a contract asks of arguments and channels. Raises CannotTrace."""
        if isinstance(s, Requirement):
            return self.evaluate(s.condition).term
        value = self.reference(s.subject)
        if value is None:
            raise CannotTrace(f"{s.subject.span.text} is not known")
        channels, *sizes = self.sizes_of(s.pattern)
        if channels is None or any(n is not None for n in sizes):
            return ConstantTerm(True)  # also one of height and width, which `check` knows
        return Compared(value.channels, (("==", channels),))

    def sizes_of(self, pattern: ast.Pattern) -> list[Any]:
        """The terms of a shape; None for what it leaves open."""
        if isinstance(pattern, ast.ShapeLiteral):
            given = [None if d is None else NumberLiteral(Fraction(d)) for d in pattern.dims]
        else:
            items = pattern.items if isinstance(pattern, ast.ListLiteral) else (pattern,)
            open_ = (isinstance(e, ast.Wildcard) for e in items)
            given = [
                None if o else self.evaluate(e).term for o, e in zip(open_, items, strict=True)
            ]
        return given

    def output(self, s: TemplateOutput) -> None:
        made: dict[int, TraceValue] = {}
        calls, _ = self.calls(s.links, None, made) if s.links else ((), None)
        if calls:
            self.nodes.append(LineNode([*calls], calls[-1].outputs[0]))
        self.now.outputs = []
        for o, name in zip(s.values, s.names, strict=True):
            value = self.operand(o, made)
            if not name and isinstance(o, ast.Variable):
                name = o.name
            elif not name and isinstance(o, ast.Attribute):
                name = o.name.text
            elif not name and isinstance(o, ast.Index):
                path = self.indexed(o)
                name = (path and path.fixed) or ""
            self.now.outputs.append((name, value))


def _text(s: Requirement | ShapeRequirement) -> str:
    """A contract as the spec has it."""
    if isinstance(s, Requirement):
        return s.condition.span.text
    return f"{s.subject.span.text}: {s.pattern.span.text}"
