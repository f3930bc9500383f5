"""The traces of a net and of the modules that it uses: of templates, or of single blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from netspec.codegen.template_expressions import is_float
from netspec.codegen.terms import (
    FloatParameter,
    Sym,
    substitute,
)
from netspec.codegen.trace_nodes import (
    AnyDim,
    Call,
    CannotTrace,
    Extent,
    InstanceCall,
    LayerPath,
    LineNode,
    OpCall,
    Trace,
    TraceNode,
    TraceValue,
    lifted,
)
from netspec.codegen.tracer import Tracer
from netspec.ir import Argument, Block, Instance, Layer, Net, Value
from netspec.ir.template import (
    Template,
    TemplateParameter,
)
from netspec.ops import REQUIRED, IndexShape, Op, attributes, like
from netspec.symbolic.conditions import ConstantTerm, ListTerm
from netspec.symbolic.expr import (
    Dim,
    NumberLiteral,
    Parameter,
    Real,
    SizeOf,
    expr_of,
    follows_sizes,
    needs_fractions,
    symbols,
)


class Traces:
    """The traces of nets and of the modules that they use.

    A module whose template can't be traced, or written (`refuse`), gets a trace for each of its
    blocks instead; and so does whatever uses its template.
    """

    def __init__(self) -> None:
        self.by_template: dict[Any, Trace | CannotTrace] = {}
        self.by_block: dict[Block, Trace] = {}
        self.refused: dict[Template, str] = {}

    def refuse(self, template: Template, why: str) -> None:
        """Do without a template from now on."""
        self.refused[template] = why
        self.by_template.clear()
        self.by_block.clear()

    def of_net(self, net: Net) -> Trace:
        """The trace of a net."""
        template = net.body.template
        if template is not None and template not in self.refused:
            arguments = {p.name: p.value for p in net.parameters}
            try:
                return self._run(template, arguments, [v.shape for v in net.body.inputs])
            except CannotTrace as error:
                self.refused[template] = str(error)
        free = {p.name: p.value for p in net.parameters if not p.static}
        if template is not None:
            free = {}  # numbers of a block need not say all that they depend on
        return self._block(net.body, free)

    def _run(
        self, template: Template, arguments: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]
    ) -> Trace:
        try:
            return Tracer(template, arguments, shapes, self._inner).run()
        except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
            # Nobody has checked the values of a branch that no use takes.
            raise CannotTrace(f"{type(error).__name__} in a branch that no use takes") from None

    def _inner(
        self, template: Template, arguments: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]
    ) -> Trace:
        if template in self.refused:
            raise CannotTrace(f"{template.name}: {self.refused[template]}")
        key = (
            template,
            tuple(len(s) for s in shapes),
            tuple(type(v) is tuple for v in arguments.values()),
        )
        if key not in self.by_template:
            try:
                self.by_template[key] = self._run(template, arguments, shapes)
            except CannotTrace as error:
                self.by_template[key] = error
        found = self.by_template[key]
        if isinstance(found, CannotTrace):
            raise CannotTrace(str(found))
        return found

    def _block(self, block: Block, free: Mapping[str, Any]) -> Trace:
        """The trace of one block: its nodes in a row. `free` are parameters with their values."""
        if block not in self.by_block:
            self.by_block[block] = self._straight(block, free)
        return self.by_block[block]

    def _straight(self, block: Block, free: Mapping[str, Any]) -> Trace:
        module = block.kind == "module"
        parameters = tuple(TemplateParameter(name, None) for name in free)
        fractions = {name for name, value in free.items() if isinstance(value, float)}
        if block.template is not None:
            fractions |= {
                p.name for p in block.template.parameters if is_float(p, free.get(p.name))
            }
        template = block.template or Template(block.kind, block.module, block.doc, parameters, ())
        values: dict[Value, TraceValue] = {}
        # What decides a height or width has its number, as these are numbers here.
        fixed = block.static | {
            s
            for n in block.nodes
            if isinstance(n, Layer)
            for shape in n.op.outputs([v.shape for v in n.inputs])
            for d in shape[1:]
            for s in symbols(expr_of(d))
        }

        def term(number: int | float) -> Any:
            found = substitute(expr_of(number), known)
            if follows_sizes(number) and needs_fractions(expr_of(number)):
                found = None  # forward has no exact fractions
            return (
                NumberLiteral(
                    Fraction(number) if isinstance(number, int) else Fraction(repr(float(number)))
                )
                if found is None
                else found
            )

        def known(leaf: Any) -> Any:
            if isinstance(leaf, Parameter):
                if leaf.name not in free or leaf in fixed:
                    return None
                return FloatParameter(leaf.name) if leaf.name in fractions else leaf
            if isinstance(leaf, SizeOf):
                return Extent(values[leaf.value], leaf.axis)
            return leaf if module else None

        def in_terms(op: Op) -> Op:
            numbers = {a.name: lifted(getattr(op, a.name), term) for a in attributes(type(op))}
            return op.with_attributes(**numbers)

        def argument_term(number: int | float) -> Any:
            """A term of the constructor, which knows no heights and widths of values."""
            return term(int(number) if follows_sizes(number) else number)

        def value_of(v: Value, name: str = "", flows: bool = True) -> TraceValue:
            made = TraceValue(name, v.shape, flows)
            dims = [AnyDim(int(v.shape[0]), term(v.shape[0]))]
            dims += [
                AnyDim(int(d), NumberLiteral(Fraction(1)) if int(d) == 1 else Extent(made, k + 1))
                for k, d in enumerate(v.shape[1:])
            ]
            made.shape = like(v.shape, tuple(dims))
            made.static = tuple(NumberLiteral(Fraction(int(d))) for d in v.shape[1:])
            values[v] = made
            return made

        inputs = [value_of(v, v.name, False) for v in block.inputs]
        nodes: list[TraceNode] = []
        for node in block.nodes:
            given = tuple(values[v] for v in node.inputs)
            path = LayerPath(node.name)
            named = node.line is not None and node.outputs[0].name == node.line
            outputs = tuple(
                value_of(v, node.outputs[0].name if named else "", not named) for v in node.outputs
            )
            if isinstance(node, Layer):
                op, stated = (in_terms(o) for o in (node.op, node.stated or node.op))
                for v in outputs:
                    if isinstance(v.shape, IndexShape):
                        plane = tuple(
                            AnyDim(int(d), Extent(given[0], k + 1))
                            for k, d in enumerate(v.shape.plane)
                        )
                        v.shape = IndexShape.of(v.shape, plane)  # type: ignore[arg-type]
                call: Call = OpCall(path, stated, op, {}, given, outputs)
            else:
                call = self._instance(node, path, given, outputs, argument_term)
            nodes.append(LineNode([call], outputs[0]))
        return Trace(
            template,
            inputs,
            nodes,
            [values[v] for v in block.outputs],
            list(block.output_names),
            dict(free),
            block=block,
        )

    def _instance(
        self,
        node: Instance,
        path: LayerPath,
        given: tuple[TraceValue, ...],
        outputs: tuple[TraceValue, ...],
        term: Any,
    ) -> InstanceCall:
        arguments: dict[str, Sym] = {}
        for a in node.arguments:
            value = a.value
            if isinstance(value, int | float) and not isinstance(value, bool):
                found = _argument(a, term)
                arguments[a.name] = Sym(Fraction(repr(value)), found)
            else:
                arguments[a.name] = _constant(value)
        block = node.block
        template = block.template
        trace: Trace | None = None
        if template is not None and template not in self.refused:
            try:
                trace = self._inner(
                    template,
                    {a.name: a.value for a in node.arguments},
                    [v.shape for v in node.inputs],
                )
                given_only = {
                    a.name: arguments[a.name]
                    for a in node.arguments
                    if a.default is REQUIRED or a.default != a.value
                }
                return InstanceCall(path, template, trace, given_only, given, outputs)
            except CannotTrace:
                pass
        trace = self._block(block, {a.name: a.value for a in node.arguments})
        return InstanceCall(path, trace.template, trace, arguments, given, outputs)


def _argument(a: Argument, term: Any) -> Any:
    value = Fraction(repr(a.value))
    if a.expr is None:
        return NumberLiteral(value)
    if value.denominator == 1:
        return term(Dim(int(value), a.expr))
    return term(Real(float(value), a.expr))


def _constant(value: Any) -> Sym:
    if isinstance(value, tuple):
        items = tuple(_constant(v) for v in value)
        return Sym(items, ListTerm(tuple(i.term for i in items)))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Sym(Fraction(repr(value)), NumberLiteral(Fraction(repr(value))))
    return Sym(value, ConstantTerm(value))
