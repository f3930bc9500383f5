"""The traces of a net and of the modules that it uses: of templates, or of single blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netspec.codegen.tracing import referee
from netspec.codegen.tracing.expressions import completed
from netspec.codegen.tracing.made_ops import (
    CannotMakeOp,
    MadeArgument,
    MakerOf,
    is_module,
    made_arguments,
)
from netspec.codegen.tracing.nodes import (
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
    calls_in,
)
from netspec.codegen.tracing.numbers import AnyDim, constant, lifted, literal
from netspec.codegen.tracing.tracer import Tracer
from netspec.codegen.tracing.values import ops_among
from netspec.ir import Block, Instance, Layer, Net, Value
from netspec.ir.names import NameMap
from netspec.ir.op_value import OpValue
from netspec.ir.template import Template
from netspec.ops import REQUIRED, IndexShape, Op, attributes, like
from netspec.symbolic.expr import (
    Channels,
    Parameter,
    SizeOf,
    expr_of,
    follows_sizes,
    needs_fractions,
)
from netspec.symbolic.terms import leaves, substitute


class Traces:
    """The traces of nets and of the modules that they use.

    A module whose template can't be traced, or written (`refuse`), gets a trace for each of its
    blocks instead, with their numbers; and so does whatever uses its template. Of a net whose
    layers have other names, the parameters that decide which layers it has are tried as constants
    before.
    """

    def __init__(
        self,
        taken: Sequence[str] = (),
        maker_of: MakerOf = lambda op: None,
        several: bool = False,
    ) -> None:
        self.several = several
        """Whether they are of several nets."""
        self.taken = taken
        """Names of the file that no local variable may have."""
        self.maker_of = maker_of
        self.unmade: dict[Template, set[str]] = {}
        """Parameters whose ops can't be arguments of the class."""
        self.by_template: dict[Any, Trace] = {}
        self.by_block: dict[Block, Trace] = {}
        self.failed: dict[Any, str] = {}
        """Why there is no trace, by its key: template, names, constants, kinds of arguments."""

    def refuse(self, trace: Trace, why: str) -> None:
        """Do without a trace of a template from now on."""
        if trace.made:
            self.unmade.setdefault(trace.template, set()).update(trace.made)
        else:
            self.failed[trace.key] = why
        self.by_template.clear()
        self.by_block.clear()

    def of_net(self, net: Net) -> Trace:
        """The trace of a net."""
        body = net.body
        if body.template is not None:
            arguments = {p.name: p.value for p in net.parameters}
            shapes = [v.shape for v in body.inputs]
            deciding = frozenset(p.name for p in net.parameters if p.static)
            # Of a variant alone, nothing but its own modules is in the file.
            own = frozenset(n for n in net.varied if is_module(arguments[n]) and not self.several)
            for fixed in dict.fromkeys((own, own | deciding) if body.names else (own,)):
                try:
                    trace = self.of(body.template, arguments, shapes, body.names, fixed)
                    self.check(trace, net)
                except CannotTrace:
                    continue
                # A class of a variant need not take what makes the variant.
                if fixed:
                    trace.restricted = self._why(body) if fixed - net.varied else ""
                elif trace.ops.keys() <= net.varied:
                    trace.restricted = ""
                return trace
        return self._block(body, {p.name: p.value for p in net.parameters})

    def check(self, trace: Trace, net: Net) -> None:
        """Raise CannotTrace for a trace that does not come to its net."""
        try:
            referee.check(trace, net)
        except CannotTrace as error:
            self.failed[trace.key] = str(error)
            raise

    def of(
        self,
        template: Template,
        arguments: Mapping[str, Any],
        shapes: Sequence[tuple[int, ...]],
        names: NameMap | None = None,
        fixed: frozenset[str] = frozenset(),
    ) -> Trace:
        """The trace of a template, with the parameters in `fixed` as constants."""
        unmade = self.unmade.get(template, ())
        made = made_arguments(template, arguments, self.maker_of, (*unmade, *fixed))
        ops = ops_among(template, arguments, made)
        kinds = tuple((n, m.kind) for n, m in made.items())
        key = (
            *(template, names, fixed, tuple(ops.items()), kinds),
            tuple(len(s) for s in shapes),
            tuple(type(v) is tuple for v in arguments.values()),
        )
        if key in self.failed:
            raise CannotTrace(f"{template.name}: {self.failed[key]}")
        if key not in self.by_template:
            try:
                taken = self.taken
                tracer = Tracer(template, arguments, shapes, self, names, fixed, taken, made)
                self.by_template[key] = trace = tracer.run()
            except CannotMakeOp as error:
                self.unmade.setdefault(template, set()).add(error.parameter)
                return self.of(template, arguments, shapes, names, fixed)
            except CannotTrace as error:
                self.failed[key] = str(error)
                raise
            except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
                # Nobody has checked the values of a branch that no use takes.
                why = f"{type(error).__name__} in a branch that no use takes"
                self.failed[key] = why
                raise CannotTrace(why) from None
            trace.key, trace.ops = key, ops
            if ops:
                trace.restricted = " and ".join(
                    f"{n} is {'none' if v is None else v}" for n, v in ops.items()
                )
            if names is not None and names.is_single:
                trace.restricted = "a use of it has names of its own"
                trace.is_single = True
        trace = self.by_template[key]
        for name, maker in trace.made.items():
            try:
                self.take(trace, maker, arguments[name])
            except CannotTrace:
                self.unmade.setdefault(template, set()).add(name)
                return self.of(template, arguments, shapes, names, fixed)
        return trace

    def take(self, trace: Trace, maker: MadeArgument, value: OpValue | None) -> None:
        """Let the argument of a trace be this op or module, too. Raises CannotTrace."""
        if maker.kind != "module":
            maker.source(value)
            return
        if value is None or not is_module(value):
            raise CannotMakeOp(maker.parameter)
        module, own = value.callee, Parameter(maker.parameter)
        if value in maker.taken:
            return
        found = [maker.classes[module]] if module in maker.classes else []
        fields = {n: constant(v) for n, v in value.fields}
        for c in (c for c in calls_in(trace.nodes) if isinstance(c, InstanceCall)):
            if c.maker is maker:
                given = {n: s.value for n, s in completed(module, fields | c.arguments).items()}
                found.append(self.of(module, given, [v.shape for v in c.inputs]))
                if not _alike(found[-1], c.trace):
                    raise CannotMakeOp(maker.parameter)
            handed_on = [n for n, s in c.arguments.items() if own in leaves(s.term)]
            for inner, name in ((t, n) for t in c.traces for n in handed_on):
                if name not in inner.made:
                    raise CannotMakeOp(maker.parameter)
                self.take(inner, inner.made[name], value)
                found += [t for m, t in inner.made[name].classes.items() if m is module]
        if any(t is not found[0] for t in found):
            raise CannotMakeOp(maker.parameter)
        maker.taken.add(value)
        if found:
            maker.classes[module] = found[0]

    def _why(self, block: Block) -> str:
        """Why the template of a block has no trace."""
        wanted = (block.template, block.names)
        return next((why for key, why in self.failed.items() if key[:2] == wanted), "")

    def _block(self, block: Block, arguments: Mapping[str, Any]) -> Trace:
        """The trace of one block: its nodes in a row, with their numbers."""
        if block not in self.by_block:
            self.by_block[block] = self._straight(block, arguments)
        return self.by_block[block]

    def _straight(self, block: Block, arguments: Mapping[str, Any]) -> Trace:
        values: dict[Value, TraceValue] = {}

        def known(leaf: Any) -> Any:
            match leaf:
                case SizeOf(value, axis):
                    return Extent(values[value], axis)
                case Channels(name):
                    return literal(next(v.shape[0] for v in block.inputs if v.name == name))
                case Parameter(name):
                    return literal(arguments[name])

        def term(number: int | float) -> Any:
            """A number as it is, but where it follows a value's height or width."""
            # `forward` has no exact fractions.
            follows = follows_sizes(number) and not needs_fractions(expr_of(number))
            return substitute(expr_of(number), known) if follows else literal(number)

        def in_terms(op: Op) -> Op:
            numbers = {a.name: lifted(getattr(op, a.name), term) for a in attributes(type(op))}
            return op.with_attributes(**numbers)

        def value_of(v: Value, name: str = "", flows: bool = True) -> TraceValue:
            made = values[v] = TraceValue(name, v.shape, flows)
            dims = [AnyDim(int(d), literal(d)) for d in v.shape[:1]]
            for k, d in enumerate(v.shape[1:], 1):
                dims.append(AnyDim(int(d), literal(d) if int(d) == 1 else Extent(made, k)))
            made.shape = like(v.shape, tuple(dims))
            made.static = tuple(map(literal, v.shape[1:]))
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
                call: Call = OpCall(path, stated, op, {}, given, outputs, bare=node.bare)
            else:
                call = self._instance(node, path, given, outputs)
            call.kept = None if node.shares is None else LayerPath(node.shares)
            nodes.append(LineNode([call], outputs[0]))
        results = [values[v] for v in block.outputs]
        template = block.template or Template(block.kind, block.module, block.doc, (), ())
        trace = Trace(template, inputs, nodes, results, list(block.output_names), {}, block=block)
        trace.restricted = self._why(block)
        return trace

    def _instance(
        self,
        node: Instance,
        path: LayerPath,
        given: tuple[TraceValue, ...],
        outputs: tuple[TraceValue, ...],
    ) -> InstanceCall:
        block = node.block
        if block.template is not None:
            values = {a.name: a.value for a in node.arguments}
            shapes = [v.shape for v in node.inputs]
            try:
                trace = self.of(block.template, values, shapes, block.names)
            except CannotTrace:
                pass
            else:
                arguments = {
                    a.name: constant(a.value)
                    for a in node.arguments
                    if a.default is REQUIRED or a.default != a.value
                }
                return InstanceCall(path, block.template, trace, arguments, given, outputs)
        trace = self._block(block, {a.name: a.value for a in node.arguments})
        return InstanceCall(path, trace.template, trace, {}, given, outputs)


def _alike(a: Trace, b: Trace) -> bool:
    """Whether modules take and give as many values, of the same ranks and names."""
    ranks = [[[len(v.shape) for v in vs] for vs in (t.inputs, t.outputs)] for t in (a, b)]
    return ranks[0] == ranks[1] and a.output_names == b.output_names
