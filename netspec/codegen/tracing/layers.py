"""Traces the layers of a template.

Shape rules run on numbers that carry terms. Comparisons of these hold always, so that a branch
which no use takes is traced as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any

from netspec.codegen.tracing.expressions import completed, is_float
from netspec.codegen.tracing.made_ops import CannotMakeOp, MadeArgument, MadeOp, op_of
from netspec.codegen.tracing.names import has_tensors
from netspec.codegen.tracing.nodes import (
    Call,
    CannotTrace,
    Extent,
    InstanceCall,
    InstanceSize,
    LayerPath,
    LineNode,
    OpCall,
    Sym,
    Trace,
    TraceNode,
    TraceValue,
    calls_in,
)
from netspec.codegen.tracing.numbers import AnyDim, ChannelCount, constant, lifted, nums, requiring
from netspec.codegen.tracing.values import ValueTracer
from netspec.ir.op_value import OpValue
from netspec.ir.template import (
    Flowing,
    LayerLine,
    Link,
    NamedCallee,
    Operand,
    Template,
    TemplateCall,
    TemplateChoice,
)
from netspec.ops import IndexShape, Op, ShapeError, attributes, like
from netspec.ops.attribute_types import AttributeTypeError, Integer, Padding, Pair
from netspec.symbolic.conditions import Combined, Compared, ConstantTerm, ListTerm
from netspec.symbolic.expr import (
    ONE,
    Apply,
    Channels,
    NumberLiteral,
    Parameter,
    expr_of,
)
from netspec.symbolic.facts import whole
from netspec.symbolic.terms import (
    Choose,
    FloatParameter,
    Item,
    Local,
    is_whole,
    leaves,
    substitute,
)
from netspec.syntax import ast

MOST_CALLS = 12
"""Most calls of a chain that are written in one line."""


class LayerTracer(ValueTracer):
    """Traces the layers of one template: their names, inputs, attributes and results."""

    def settle_sizes(
        self, op: Op, inputs: Sequence[TraceValue], outputs: Sequence[TraceValue]
    ) -> None:
        """Heights and widths of results in terms of the inputs', by the op's own rule."""
        if any(v.static is None for v in inputs):
            if all(len(v.shape) == 1 for v in outputs):
                for v in outputs:
                    v.static = ()
            return
        shapes = []
        for v in inputs:
            assert v.static is not None
            dims = tuple(AnyDim(int(d), t) for d, t in zip(v.shape[1:], v.static, strict=True))
            shapes.append(like(v.shape, (v.shape[0], *dims)))
        try:
            with requiring(None):
                results = op.bind(shapes).outputs(shapes)
        except (ShapeError, ArithmeticError, TypeError):
            return
        for v, shape in zip(outputs, results, strict=True):
            v.static = tuple(expr_of(d) for d in shape[1:])

    def _word(self, e: ast.Expression, kind: Any) -> Any:
        if isinstance(e, ast.Variable) and e.name in kind.words:
            return e.name
        return nums(self.evaluate(e))

    def instance(
        self,
        c: TemplateCall,
        template: Template,
        path: LayerPath | None,
        inputs: tuple[TraceValue, ...],
        given: Mapping[str, Any],
        maker: MadeArgument | None = None,
    ) -> InstanceCall:
        arguments = {n: constant(v) for n, v in given.items()}
        arguments |= {n: self.evaluate(e) for n, e in c.fields}
        for n, sym in arguments.items():
            if isinstance(sym.value, OpValue) and not self.is_made(sym.term):
                raise CannotTrace(f"{n}, an op or module that arguments choose")
            if isinstance(sym.value, Fraction) and size(sym.term) > 5:
                arguments[n] = Sym(sym.value, self.named(n, sym, not is_whole(sym.term)))
        call = self.instance_of(c.keyword, template, arguments, path, inputs, maker=maker)
        for n, sym in arguments.items():
            self.check_made(n, sym.term, call.trace)
        return call

    def is_made(self, term: Any) -> bool:
        """Whether a term is an op, a parameter that makes one, or a choice of these."""
        match term:
            case Choose(_, then, otherwise):
                return self.is_made(then) and self.is_made(otherwise)
            case Parameter(name):
                return name in self.made
            case ConstantTerm(value):
                return value is None or isinstance(value, OpValue)
        return False

    def check_made(self, name: str, term: Any, trace: Trace) -> None:
        """Raise CannotTrace where a class does not take what a term may be as its argument."""
        inner = trace.made.get(name)
        match term:
            case Parameter(own) if own in self.made:
                if inner is None or inner.kind != self.made[own].kind:
                    raise CannotMakeOp(own)
            case Choose(_, then, otherwise) if self.is_made(term):
                if inner is None:
                    raise CannotTrace(f"{name}, an op or module that arguments choose")
                for each in (then, otherwise):
                    self.check_made(name, each, trace)
                    if isinstance(each, ConstantTerm):
                        self.inner.take(trace, inner, each.value)

    def instance_of(
        self,
        keyword: str,
        template: Template,
        arguments: dict[str, Sym],
        path: LayerPath | None,
        inputs: tuple[TraceValue, ...],
        first: InstanceCall | None = None,
        kept: LayerPath | None = None,
        maker: MadeArgument | None = None,
    ) -> InstanceCall:
        """The instance of a template; `first` is the one that it is once more, kept as `kept`.

        `maker` is the argument that makes it, if it is not always of this template.
        """
        of = (
            {} if maker is None else {n: constant(v) for n, v in self.given[maker.parameter].fields}
        )
        complete = completed(template, of | arguments)
        names = None
        if self.names is not None:
            if maker is not None:
                raise CannotMakeOp(maker.parameter)
            own_path = kept or path
            own_name = own_path.fixed if own_path is not None else None
            names = self.names.inside(own_name or "", template.name)
        values_ = {n: s.value for n, s in complete.items()}
        trace = self.inner.of(template, values_, [v.shape for v in inputs], names)
        for p in template.parameters:
            if isinstance(complete[p.name].value, Fraction):
                if not is_float(p, trace.sample[p.name]):
                    self.need(whole(complete[p.name].term))
        if first is not None and trace is not first.trace:
            raise CannotTrace(f"another class of {template.name} than that of its weights")
        if path is None and maker is None and not any(map(has_tensors, calls_in(trace.nodes))):
            path = self.any_name(keyword, [s.term for s in arguments.values()])
        call = InstanceCall(path, template, trace, arguments, inputs, (), kept, maker)
        known: dict[Any, Any] = {Parameter(n): s.term for n, s in complete.items()}
        known |= {FloatParameter(n): s.term for n, s in complete.items()}
        for own, actual in zip(trace.inputs, inputs, strict=True):
            known[Channels(own.name)] = actual.channels
        values = []
        for i, (name, out) in enumerate(zip(trace.output_names, trace.outputs, strict=True)):
            term = substitute(out.channels, known.get) if maker is None else None
            if term is None or size(term) > 1:
                own = InstanceSize(first or call, i)
                if term is not None:
                    self.constants[own] = term
                term = own
            value = TraceValue(name, out.shape, len(trace.outputs) == 1)
            self.shaped(value, out.shape, term)
            if isinstance(out.shape, IndexShape):
                value.shape = IndexShape.of(
                    value.shape, _plane_outside(out.shape, trace.inputs, inputs, value)
                )
            if out.static is not None and all(v.static is not None for v in inputs):
                sizes: dict[Any, Any] = {
                    Extent(own, k + 1): t
                    for own, actual in zip(trace.inputs, inputs, strict=True)
                    for k, t in enumerate(actual.static or ())
                }
                found = [substitute(t, (known | sizes).get) for t in out.static]
                found = found if maker is None else [None] * len(found)
                value.static = tuple(
                    InstanceSize(call, i, k) if t is None else t for k, t in enumerate(found, 1)
                )
                if first is not None and None in found:
                    value.static = None  # the class knows those of its first use
            values.append(value)
        call.outputs = tuple(values)
        self.now.results[values[0]] = {
            n: v for n, v in zip(trace.output_names, values, strict=True) if n
        }
        return call

    def operand(self, o: Operand, made: Mapping[int, TraceValue]) -> TraceValue:
        if isinstance(o, Flowing):
            if self.now.current is None:
                raise CannotTrace("branches make values of other ranks")
            return self.now.current
        if isinstance(o, TemplateCall | TemplateChoice):
            return made[id(o)]
        found = self.reference(o)
        if found is None:
            raise CannotTrace(f"{o.span.text} may not be there")
        return found

    def line(self, s: LayerLine) -> None:
        last = self.nodes[-1] if self.nodes else None
        calls, value = self.calls(s.links, s.name, {})
        own = self.nodes[self.nodes.index(last) + 1 if last in self.nodes else 0 :]
        if not calls and not own:
            # All that is called is `none`: another name for the value.
            if s.name is not None:
                self.define(s.name, value, anew=False)
            self.now.current = value
            return
        if s.name is not None:
            self.keep_line(value, [*own, *([LineNode(calls, value)] if calls else ())])
        if calls and all(c.inputs == b.outputs[:1] for b, c in pairwise(calls)):
            # A line of the class ends behind an activation.
            start = 0
            for i, c in enumerate(calls[:-1], 1):
                if i - start >= MOST_CALLS or (isinstance(c, OpCall) and c.bound.activation):
                    self.nodes.append(LineNode(calls[start:i], c.outputs[0]))
                    start = i
            calls = calls[start:]
        if calls:
            self.nodes.append(LineNode(calls, value))
        if s.name is not None:
            value.flows = False
            self.define(s.name, value)
        self.now.current = value

    def calls(
        self,
        links: Sequence[Link],
        name: ast.LayerName | None,
        made: dict[int, TraceValue],
    ) -> tuple[list[Call], TraceValue]:
        """The calls of a line behind its last choice, and its value; nodes have those before.

        `made` gets the value of each link.
        """
        result: list[Call] = []
        own = self.path(name) if name is not None else None
        # The calls of the line itself come after those in its round brackets.
        chain = _chain(links)

        def call(
            c: TemplateCall, in_chain: bool, inputs: tuple[TraceValue, ...]
        ) -> tuple[list[TraceNode], TraceValue]:
            if own is None or not in_chain:
                return self.call(c, self.numbered(c.keyword), inputs)
            suffix = "" if c.suffix is None else f"_{c.suffix}"
            return self.call(c, LayerPath(own.base, own.indices, suffix), inputs)

        for k in links:
            if isinstance(k, TemplateCall):
                inputs = tuple(self.operand(o, made) for o in k.inputs)
                if self.is_left_out(k):
                    made[id(k)] = inputs[0]
                    continue
                nodes, made[id(k)] = call(k, id(k) in chain, inputs)
                if all(isinstance(n, LineNode) for n in nodes):
                    result += calls_in(nodes)
                    continue
                if result:
                    self.nodes.append(LineNode(result, result[-1].outputs[0]))
                    result = []
                self.nodes += nodes
                continue
            before = made[id(k.before)]
            if result:
                self.nodes.append(LineNode(result, before))
                result = []

            def link(c: TemplateCall | None, k: TemplateChoice = k, x: TraceValue = before) -> None:
                if c is not None and not self.is_left_out(c):
                    nodes, self.now.current = call(c, id(k) in chain, (x,))
                    self.nodes += nodes

            outer, self.now.current = self.now.current, before
            cases = [(condition, partial(link, c)) for condition, c in k.cases]
            self.choose(cases, partial(link, k.otherwise))
            assert self.now.current is not None
            made[id(k)], self.now.current = self.now.current, outer
        return result, made[id(links[-1])]

    def choose(
        self,
        cases: Sequence[tuple[ast.Expression, Callable[[], None]]],
        otherwise: Callable[[], None],
    ) -> None:
        """Trace what is done in each case, and let the values meet behind it."""
        raise NotImplementedError

    def call(
        self, c: TemplateCall, path: LayerPath | None, inputs: tuple[TraceValue, ...]
    ) -> tuple[list[TraceNode], TraceValue]:
        """What a call makes, and its value: a layer or instance, or all of a line used again."""
        made: Call
        if isinstance(c.callee, NamedCallee) and c.callee.name in self.made:
            maker = self.made[c.callee.name]
            if maker.kind == "module":
                made = self.instance(c, self.given[maker.parameter].callee, path, inputs, {}, maker)
            else:
                made = self.made_op(maker, path, inputs)
            return [LineNode([made], made.outputs[0])], made.outputs[0]
        callee, given = self.callee(c)
        if isinstance(callee, ast.LayerName):
            return self.once_more(callee, path or self.any_name(c.keyword, ()), inputs)
        if isinstance(callee, Template):
            made = self.instance(c, callee, path, inputs, given)
        else:
            with requiring(self.need):
                made = self.op_call(c, callee, path, inputs, given)
        return [LineNode([made], made.outputs[0])], made.outputs[0]

    def once_more(
        self, name: ast.LayerName, path: LayerPath, inputs: tuple[TraceValue, ...]
    ) -> tuple[list[TraceNode], TraceValue]:
        """The nodes of a line again, on other inputs, and its value."""
        raise NotImplementedError

    def keep_line(self, value: TraceValue, nodes: Sequence[TraceNode]) -> None:
        """Know what a line is made of, by its value."""
        raise NotImplementedError

    def made_op(
        self, maker: MadeArgument, path: LayerPath | None, inputs: tuple[TraceValue, ...]
    ) -> OpCall:
        """The call of an op that an argument of the class makes."""
        name, sample = maker.parameter, op_of(self.given[maker.parameter])
        if sample is None or (maker.kind == "channels" and len(inputs[0].shape) != 3):
            raise CannotMakeOp(name)
        return self.layer(name, MadeOp(name, maker.kind, sample), {}, path, inputs)

    def held(self, c: TemplateCall) -> Sym | None:
        """What the constant of a call's name is, if that is an op, a module or `none`."""
        name = c.callee.name if isinstance(c.callee, NamedCallee) else ""
        if name in self.made:
            return None
        held = self.terms.scope.find(name) if name else None
        if held is None or not (held.value is None or isinstance(held.value, OpValue)):
            return None
        if not held.known:
            raise CannotTrace(f"{name}, an op or module that arguments choose")
        return held

    def is_left_out(self, c: TemplateCall) -> bool:
        """Whether what is called is `none`."""
        held = self.held(c)
        return held is not None and held.value is None

    def callee(
        self, c: TemplateCall
    ) -> tuple[type[Op] | Template | ast.LayerName, Mapping[str, Any]]:
        """What a call is one of, and the fields that come with that."""
        held = self.held(c)
        if held is not None:
            return held.value.callee, dict(held.value.fields)
        return (c.callee.otherwise if isinstance(c.callee, NamedCallee) else c.callee), {}

    def any_name(self, keyword: str, terms: Sequence[Any]) -> LayerPath:
        """A name for what has no weights, so that it does not matter what it is called.

        One for all iterations of loops, unless its attributes may differ.
        """
        self.versions += 1
        differs = any(isinstance(x, Local) for t in terms for x in leaves(t))
        loops = tuple(Sym(ONE.value, v) for v in self.loops if differs)
        return LayerPath(f"{keyword}_no{self.versions}" + "_" * bool(loops), loops)

    def op_call(
        self,
        c: TemplateCall,
        of: type[Op],
        path: LayerPath | None,
        inputs: tuple[TraceValue, ...],
        given: Mapping[str, Any],
    ) -> Call:
        declared = {a.name: a for a in attributes(of)}
        attrs = {n: lifted(declared[n].kind.convert(nums(constant(v)))) for n, v in given.items()}
        terms: dict[str, Any] = {}
        for n, e in c.fields:
            kind = declared[n].kind
            if isinstance(e, ast.Variable) and e.name in kind.words:
                attrs[n] = kind.convert(e.name)
                continue
            if isinstance(e, ast.Function) and e.name.text in kind.words:
                attrs[n] = kind.convert((e.name.text, *(self._word(a, kind) for a in e.arguments)))
                continue
            sym = self.evaluate(e)
            if sym.value is None and not sym.known:
                sym = Sym(Fraction(1), sym.term)  # the sample does not take this branch
            if isinstance(sym.value, Fraction) and is_long(sym.term):
                base = path.base.rstrip("_") if path is not None else c.keyword
                fraction = not isinstance(kind, Integer | Pair | Padding) and not is_whole(sym.term)
                if not fraction:
                    self.need(whole(sym.term))
                sym = Sym(sym.value, self.named(f"{base}_{n}", sym, fraction))
            if isinstance(sym.value, tuple):
                length = self.terms.length(sym)
                self.need(Compared(length.term, (("==", NumberLiteral(length.value)),)))
            try:
                attrs[n] = lifted(kind.convert(nums(sym)))
            except AttributeTypeError as error:
                try:  # the sample need not take this branch
                    attrs[n] = lifted(kind.convert(nums(sym, least=1)))
                except AttributeTypeError:
                    raise CannotTrace(f"{n} of {c.keyword}: {error.message}") from None
            if not isinstance(sym.value, Fraction | tuple) and not sym.known:
                terms[n] = sym.term
        try:
            op = of(**attrs)
        except ShapeError as error:
            raise CannotTrace(error.message) from None
        return self.layer(c.keyword, op, terms, path, inputs)

    def layer(
        self,
        keyword: str,
        op: Op,
        terms: Mapping[str, Any],
        path: LayerPath | None,
        inputs: tuple[TraceValue, ...],
        kept: LayerPath | None = None,
    ) -> OpCall:
        """The layer of an op for its inputs; one that the class has already is kept as `kept`."""
        shapes = [v.shape for v in inputs]
        try:
            bound = op.bind(shapes)
            outputs = bound.outputs(shapes)
        except ShapeError as error:
            raise CannotTrace(error.message) from None
        values: list[TraceValue] = []
        for shape, result in zip(outputs, bound.result_names, strict=True):
            value = TraceValue(result, shape, not values)
            dims: list[AnyDim] = [ChannelCount(int(shape[0]), expr_of(shape[0]))]
            for i, d in enumerate(shape[1:]):
                e_ = expr_of(d)
                keeps = isinstance(e_, NumberLiteral | Extent) and not (
                    isinstance(e_, NumberLiteral) and int(d) != 1
                )
                dims.append(AnyDim(int(d), e_ if keeps else Extent(value, i + 1)))
            value.shape = like(shape, tuple(dims))
            values.append(value)
        self.settle_sizes(op, inputs, values)
        if path is None and not bound.tensors(shapes):
            numbers = (n for n in vars(bound).values() if isinstance(n, int | float))
            path = self.any_name(keyword, [*map(expr_of, numbers), *terms.values()])
        call = OpCall(path, op, bound, terms, inputs, tuple(values), kept)
        if len(values) > 1:
            self.now.results[values[0]] = dict(zip(bound.result_names, values, strict=True))
        return call


def _plane_outside(
    shape: IndexShape,
    own: Sequence[TraceValue],
    actual: Sequence[TraceValue],
    value: TraceValue,
) -> tuple[int, int]:
    """The plane of a module's indices: that of an input, where it is, or one that has no name."""
    known: dict[Any, Any] = {
        Extent(inside, k): expr_of(outside.shape[k])
        for inside, outside in zip(own, actual, strict=True)
        for k in range(1, len(outside.shape))
    }
    rows, columns = (
        AnyDim(int(d), known.get(expr_of(d), Extent(value, axis)))
        for d, axis in zip(shape.plane, (3, 4), strict=True)
    )
    return rows, columns


def _chain(links: Sequence[Link]) -> set[int]:
    """The links of a line's own chain."""
    last: Operand = links[-1]
    found = {id(last)}
    while isinstance(last, TemplateChoice) or (
        isinstance(last, TemplateCall) and last.suffix is not None
    ):
        last = last.before if isinstance(last, TemplateChoice) else last.inputs[0]
        found.add(id(last))
    return found


def is_long(term: Any) -> bool:
    """Whether an attribute has a name in the constructor, for its length or its exactness."""
    rounds = isinstance(term, Apply) and term.operator in ("round", "floor", "ceil")
    return rounds or size(term) > 2


def size(term: Any) -> int:
    match term:
        case Apply(_, operands) | Combined(_, operands):
            return 1 + sum(map(size, operands))
        case Choose(a, b, c):
            return 2 + size(a) + size(b) + size(c)
        case Compared(first, rest):
            return 1 + size(first) + sum(size(t) for _, t in rest)
        case ListTerm(items):
            return sum(map(size, items))
        case Item(_, i):
            return 1 + size(i)
    return 0
