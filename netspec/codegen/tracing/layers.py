"""Traces the layers of a template.

Shape rules run on numbers that carry terms. Comparisons of these hold always, so that a branch
which no use takes is traced as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain, count, pairwise
from typing import Any

from netspec.codegen.identifiers import Identifiers, class_name
from netspec.codegen.tracing.expressions import TermEvaluator, is_float
from netspec.codegen.tracing.names import has_tensors
from netspec.codegen.tracing.nodes import (
    SIZES,
    Call,
    CannotTrace,
    CheckNode,
    Extent,
    InstanceCall,
    InstanceSize,
    ItemExtent,
    LayerPath,
    LetNode,
    LineNode,
    OpCall,
    Sym,
    TraceNode,
    TraceValue,
    calls_in,
    require_positive,
)
from netspec.codegen.tracing.numbers import AnyDim, ChannelCount, lifted, nums, requiring
from netspec.ir.names import NameMap
from netspec.ir.template import (
    Flowing,
    LayerLine,
    Operand,
    Template,
    TemplateCall,
    TemplateInput,
    TemplateOutput,
)
from netspec.ir.template import walk as walk_statements
from netspec.ops import IndexShape, Op, ShapeError, attributes, like
from netspec.ops.attribute_types import AttributeTypeError, Integer, Padding, Pair
from netspec.symbolic.conditions import Combined, Compared, ListTerm
from netspec.symbolic.expr import ONE, ZERO, Apply, Channels, NumberLiteral, Parameter, expr_of
from netspec.symbolic.facts import bounds, facts, lowest, reduced, whole
from netspec.symbolic.terms import (
    Choose,
    FloatParameter,
    Item,
    Local,
    exchanged,
    folded,
    is_whole,
    leaves,
    substitute,
)
from netspec.syntax import ast

MOST_CALLS = 12
"""Most calls of a chain that are written in one line."""


class LayerTracer:
    """Traces the layers of one template: their names, inputs, attributes and results."""

    def __init__(
        self,
        template: Template,
        arguments: Mapping[str, Any],
        shapes: Sequence[tuple[int, ...]],
        inner: Any,
        names: NameMap | None = None,
        fixed: frozenset[str] = frozenset(),
        taken: Iterable[str] = (),
    ) -> None:
        self.names = names
        self.fixed = fixed
        """Parameters that are constants."""
        self.template = template
        self.given = arguments
        self.shapes = list(shapes)
        self.inner = inner
        self.taken = {*taken, *_names_of_classes(template)}
        """What no local variable may be called."""
        self.terms = TermEvaluator(self.reference, self.need)
        self.evaluate = self.terms.evaluate
        self.values: dict[str, TraceValue] = {}
        self.results: dict[TraceValue, dict[str, TraceValue]] = {}
        self.families: dict[str, dict[Any, TraceValue]] = {}
        self.current: TraceValue | None = None
        self.counts: dict[str, Any] = {}
        """How many layers of each keyword have no name of their own, None where none can say."""
        self.inputs: list[TraceValue] = []
        self.outputs: list[tuple[str, TraceValue]] | None = None
        self.nodes: list[TraceNode] = []
        self.locals: set[str] = set()
        self.loops: list[Local] = []
        self.versions = 0
        self.iterations = 0
        """How many iterations of loops are written in a row."""
        self.numbers: dict[Any, Local] = {}
        """The variables of numbers, by the nodes that they stand among and their terms."""
        self.constants: dict[Any, Any] = {}
        """What each `let` stands for."""
        self.elements: dict[Any, TraceValue] = {}
        self.lets: dict[Any, Any] = {}
        self.collected: dict[str, tuple[TraceValue, tuple[Local, ...]]] = {}
        self.ambiguous: set[TraceValue] = set()
        """Values of loops of which another loop makes more."""
        self.known: list[Compared] = []
        """What holds by the conditions of `if`s, and by what was checked."""
        self.last_items: dict[TraceValue, tuple[Any, TraceValue]] = {}
        """The last index of a loop's value, and what the loop hands on of it."""
        self.holders: dict[Local, Extent] = {}

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

    def need(self, condition: Compared, where: Sequence[Any] = ()) -> None:
        """Have arguments refused for which a rule does not hold.

        What depends on heights and widths is left to `netspec check`, and what the channels of
        several inputs have in common to the ops, so that no argument is for a check alone.
        """
        if any(isinstance(x, InstanceSize) or self.is_size(x) for x in leaves(condition)):
            return
        if len(self.inputs) > 1 and any(isinstance(x, Channels) for x in leaves(condition)):
            return
        known = [*self.known, *(f for c in where for f in facts(c))]
        needed = reduced(condition, known)
        plain = reduced(self.expanded(condition), list(map(self.expanded, known)))
        if needed is None or plain is None:
            return
        if isinstance(plain.first, Parameter):
            needed = plain
        if not where:
            self.known.append(needed)
            if isinstance(needed.first, Parameter) and needed.rest == ((">=", ONE),):
                require_positive(self.nodes, [needed.first])
                return
            last = self.nodes[-1] if self.nodes else None
            if isinstance(last, LetNode) and needed == Compared(last.local, ((">=", ONE),)):  # type: ignore[arg-type]
                last.positive = True
                return
        self.nodes.append(CheckNode(needed, None, tuple(where)))

    def expanded(self, term: Any) -> Any:
        """A term with what each constant of the text stands for."""
        return exchanged(term, self.constants)

    def is_size(self, leaf: Any) -> bool:
        """Whether a height or width decides about a leaf."""
        if isinstance(leaf, Local):
            held = self.holders.get(leaf)
            by_let = any(map(self.is_size, leaves(self.lets.get(leaf, ONE))))
            return by_let or (held is not None and held.axis > 0)
        return isinstance(leaf, Extent | ItemExtent)

    def _word(self, e: ast.Expression, kind: Any) -> Any:
        if isinstance(e, ast.Variable) and e.name in kind.words:
            return e.name
        return nums(self.evaluate(e))

    def named(self, name: str, sym: Sym, fraction: bool = False) -> Local:
        """A local variable of the constructor that has a number."""
        key = (id(self.nodes), sym.term, fraction)
        if key not in self.numbers:
            self.numbers[key] = local = self.local(name, fraction)
            self.nodes.append(LetNode(local, sym.term))
            self.constants[local] = sym.term
        return self.numbers[key]

    def local(self, name: str, fraction: bool = False) -> Local:
        """A name for a local variable that no other has."""
        base = Identifiers(self.taken).identifier(name)
        names = chain((base,), (f"{base}{n}" for n in count(2)))
        free = next(n for n in names if n not in self.locals and n not in self.taken)
        self.locals.add(free)
        return Local(free, fraction)

    def instance(
        self,
        c: TemplateCall,
        template: Template,
        path: LayerPath | None,
        inputs: tuple[TraceValue, ...],
    ) -> InstanceCall:
        arguments = {n: self.evaluate(e) for n, e in c.fields}
        for n, sym in arguments.items():
            if isinstance(sym.value, Fraction) and size(sym.term) > 5:
                arguments[n] = Sym(sym.value, self.named(n, sym, not is_whole(sym.term)))
        complete = dict(arguments)
        defaults = TermEvaluator(lambda e: None)
        for p in template.parameters:
            if p.name not in complete:
                assert p.default is not None
                complete[p.name] = defaults.evaluate(p.default)
            defaults.scope.names[p.name] = complete[p.name]
        names, fixed = None, frozenset[str]()
        if self.names is not None:
            names = self.names.inside(path.fixed or "" if path is not None else "", template.name)
            if names.paths:  # of this use only
                fixed = frozenset(n for n, s in complete.items() if s.known)
        values_ = {n: s.value for n, s in complete.items()}
        trace = self.inner(template, values_, [v.shape for v in inputs], names, fixed)
        for p in template.parameters:
            if isinstance(complete[p.name].value, Fraction):
                if not is_float(p, trace.sample[p.name]):
                    self.need(whole(complete[p.name].term))
        if path is None and not any(map(has_tensors, calls_in(trace.nodes))):
            self.versions += 1  # any name will do
            loops = tuple(Sym(ONE.value, v) for v in self.loops)
            path = LayerPath(f"{c.keyword}_no{self.versions}" + "_" * bool(loops), loops)
        call = InstanceCall(path, template, trace, arguments, inputs)
        known: dict[Any, Any] = {Parameter(n): s.term for n, s in complete.items()}
        known |= {FloatParameter(n): s.term for n, s in complete.items()}
        for own, actual in zip(trace.inputs, inputs, strict=True):
            known[Channels(own.name)] = actual.channels
        values = []
        for i, (name, out) in enumerate(zip(trace.output_names, trace.outputs, strict=True)):
            term = substitute(out.channels, lambda leaf: known.get(leaf))
            if term is None or size(term) > 1:
                own = InstanceSize(call, i)
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
                value.static = tuple(
                    InstanceSize(call, i, k) if t is None else t for k, t in enumerate(found, 1)
                )
            values.append(value)
        call.outputs = tuple(values)
        self.results[values[0]] = {
            n: v for n, v in zip(trace.output_names, values, strict=True) if n
        }
        return call

    def operand(self, o: Operand, made: Mapping[int, Call]) -> TraceValue:
        if isinstance(o, Flowing):
            assert self.current is not None
            return self.current
        if isinstance(o, TemplateCall):
            return made[id(o)].outputs[0]
        found = self.reference(o)
        if found is None:
            raise CannotTrace(f"{o.span.text} may not be there")
        return found

    def reference(self, e: ast.Expression) -> TraceValue | None:
        """The value that an expression names, None where it names none."""
        match e:
            case ast.Variable():
                return self.values.get(e.name) or self.item(e.name)
            case ast.Attribute():
                base = self.reference(e.base)
                return None if base is None else self.results.get(base, {}).get(e.name.text)
            case ast.Index():
                indices: list[ast.Expression] = []
                root: ast.Expression = e
                while isinstance(root, ast.Index):
                    indices.append(root.index)
                    root = root.base
                if not isinstance(root, ast.Variable):
                    return None
                path = LayerPath(root.name, tuple(self.evaluate(i) for i in reversed(indices)))
                if path.fixed is not None:
                    found = self.values.get(path.fixed) or self.item(path.fixed, root.name)
                    if found is not None:
                        return found
                found = self.families.get(root.name, {}).get(path.key)
                if found is None and root.name in self.collected:
                    value, variables = self.collected[root.name]
                    if len(variables) == len(path.indices):
                        self.refuse_outside(root.name, path)
                        return self.element(value, variables, [s.term for s in path.indices])
                return found
        return None

    def item(self, name: str, base: str = "") -> TraceValue | None:
        """What one iteration of a loop made, by its name behind the loop (`pool5`).

        With a `base`, the item of that name where there is one: `v22[1]` rather than `v2[21]`.
        """
        found = {
            own: (value, variables, keys)
            for own, (value, variables) in self.collected.items()
            if (keys := index_in(name, own, len(variables))) is not None
        }
        if len(found) > 1 and base not in found:
            raise CannotTrace(f"{name}, which may be an item of {' or of '.join(found)}")
        if not found:
            return None
        value, variables, keys = found.get(base) or next(iter(found.values()))
        return self.element(value, variables, [NumberLiteral(Fraction(k)) for k in keys])

    def refuse_outside(self, base: str, path: LayerPath) -> None:
        """Refuse an index that may be that of a layer which stands outside of the loop."""
        if path.fixed is not None:
            return
        for name in self.values:
            keys = index_in(name, base, len(path.indices))
            if keys is None:
                continue
            for key, index in zip(keys, path.indices, strict=True):
                low, _ = bounds(index.term, self.terms.ranges) or (index.term, None)
                least = None if low is None else lowest(low, self.known)
                if least is not None and key < least:
                    break
            else:
                raise CannotTrace(f"an item of {base}, some of which a loop makes")

    def element(
        self, value: TraceValue, variables: Sequence[Local], key: Sequence[Any]
    ) -> TraceValue:
        """What the iteration with these terms of loop variables made."""
        if value in self.ambiguous:
            raise CannotTrace(f"an item of {value.name}, which several loops make")
        return self._element(value, tuple(key), dict(zip(variables, key, strict=True)))

    def _element(
        self, value: TraceValue, key: tuple[Any, ...], known: Mapping[Any, Any]
    ) -> TraceValue:
        if (value, key) in self.elements:
            return self.elements[value, key]
        last, behind = self.last_items.get(value, (None, value))
        if key == (last,) and isinstance(last, NumberLiteral):
            return self._known_element(value, key, known, behind)
        element = TraceValue(value.name, value.shape)

        def of_item(axis: int) -> Any:
            """The channels, height or width of the item; None where they are not known."""
            own, others = (
                (v.channels, *(v.static or (None,) * (len(v.shape) - 1))) for v in (value, behind)
            )
            if own[axis] is None:
                return None
            term = self.inline(self.expanded(self.expanded(own[axis])))
            term = exchanged(term, known)
            if any(isinstance(x, InstanceSize) or x in self.holders for x in leaves(term)):
                # It changes from item to item; the last one's is known behind the loop.
                return others[axis] if key == (last,) else None
            return term

        channels, *sizes = map(of_item, range(len(value.shape)))
        self.shaped(element, value.shape, Extent(element, 0) if channels is None else channels)
        element.static = None if None in sizes else tuple(sizes)
        element.item_of = (value, key)
        if isinstance(value.shape, IndexShape):
            plane = tuple(
                AnyDim(int(d), ItemExtent(value, key, k + 1))
                for k, d in enumerate(value.shape.plane)
            )
            element.shape = IndexShape.of(element.shape, plane)  # type: ignore[arg-type]
        return self._known_element(value, key, known, element)

    def _known_element(
        self,
        value: TraceValue,
        key: tuple[Any, ...],
        known: Mapping[Any, Any],
        element: TraceValue,
    ) -> TraceValue:
        self.elements[value, key] = element
        if value in self.results:
            self.results[element] = {
                n: element if v is value else self._element(v, key, known)
                for n, v in self.results[value].items()
            }
        return element

    def inline(self, term: Any) -> Any:
        """A term with the lists that `let` gave names to."""
        return exchanged(term, self.terms.lists)

    def line(self, s: LayerLine) -> None:
        calls, value = self.calls(s.calls, s.name)
        if all(c.inputs == b.outputs[:1] for b, c in pairwise(calls)):
            # A line of the class ends behind an activation.
            start = 0
            for i, c in enumerate(calls[:-1], 1):
                if i - start >= MOST_CALLS or (isinstance(c, OpCall) and c.bound.activation):
                    self.nodes.append(LineNode(calls[start:i], c.outputs[0]))
                    start = i
            calls = calls[start:]
        self.nodes.append(LineNode(calls, value))
        if s.name is not None:
            value.flows = False
            self.define(s.name, value)
        self.current = value

    def define(self, name: ast.LayerName, value: TraceValue) -> None:
        path = self.path(name)
        fixed = path.fixed
        value.name = fixed if fixed is not None else name.base.text
        if fixed is not None:
            self.values[fixed] = value
        else:
            self.families.setdefault(name.base.text, {})[path.key] = value

    def path(self, name: ast.LayerName) -> LayerPath:
        return LayerPath(name.base.text, tuple(self.evaluate(i) for i in name.indices))

    def calls(
        self, calls: Sequence[TemplateCall], name: ast.LayerName | None
    ) -> tuple[list[Call], TraceValue]:
        made: dict[int, Call] = {}
        result: list[Call] = []
        own = self.path(name) if name is not None else None
        # The calls of the line itself come after those in its round brackets.
        chain = _chain(calls)
        suffixes: dict[str, int] = {}
        for c in calls:
            inputs = tuple(self.operand(o, made) for o in c.inputs)
            path: LayerPath | None
            if own is not None and id(c) in chain:
                if c.suffix is None:
                    path = own
                else:
                    n = suffixes[c.suffix] = suffixes.get(c.suffix, 0) + 1
                    path = LayerPath(
                        own.base, own.indices, f"_{c.suffix}" + (f"_{n}" if n > 1 else "")
                    )
            else:
                path = self.numbered(c.keyword)
            call = self.call(c, path, inputs)
            made[id(c)] = call
            result.append(call)
        return result, result[-1].outputs[0]

    def numbered(self, keyword: str) -> LayerPath | None:
        """The name of the next layer without one of its own; None where nothing can say it."""
        count = self.counts.get(keyword, ZERO)
        if count is None:
            return None
        number = self.counts[keyword] = folded("+", count, ONE)
        if isinstance(number, NumberLiteral):
            return LayerPath(f"{keyword}_{number.value}")
        return LayerPath(f"{keyword}_", (Sym(ONE.value, number),))

    def call(self, c: TemplateCall, path: LayerPath | None, inputs: tuple[TraceValue, ...]) -> Call:
        if isinstance(c.callee, Template):
            return self.instance(c, c.callee, path, inputs)
        with requiring(self.need):
            return self.op_call(c, c.callee, path, inputs)

    def op_call(
        self,
        c: TemplateCall,
        of: type[Op],
        path: LayerPath | None,
        inputs: tuple[TraceValue, ...],
    ) -> Call:
        declared = {a.name: a for a in attributes(of)}
        attrs: dict[str, Any] = {}
        terms: dict[str, Any] = {}
        for n, e in c.fields:
            kind = declared[n].kind
            if (
                isinstance(e, ast.Variable)
                and e.name in kind.words
                and self.terms.scope.find(e.name) is None
            ):
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
        shapes = [v.shape for v in inputs]
        try:
            op = of(**attrs)
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
        call = OpCall(path, op, bound, terms, inputs, tuple(values))
        if len(values) > 1:
            self.results[values[0]] = dict(zip(bound.result_names, values, strict=True))
        return call

    def shaped(self, value: TraceValue, shape: tuple[int, ...], channels: Any) -> TraceValue:
        """Give a value the channels of a term, and heights and widths of its own."""
        dims: list[AnyDim] = [ChannelCount(int(shape[0]), channels)]
        for k, d in enumerate(shape[1:]):
            e = expr_of(d)
            dims.append(AnyDim(int(d), e if isinstance(e, NumberLiteral) else Extent(value, k + 1)))
        value.shape = like(shape, tuple(dims))
        return value


def index_in(name: str, base: str, count: int) -> list[int] | None:
    """The indices of a name of a loop's layer (`pool5`, `block1_2`), None if it is no such."""
    keys = name.removeprefix(base).split("_")
    fits = name.startswith(base) and len(keys) == count and all(k.isdecimal() for k in keys)
    return list(map(int, keys)) if fits else None


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


def _names_of_classes(template: Template) -> Iterator[str]:
    """The names that the class of a template has other things by: arguments and classes."""
    yield from ("self", "layer", "block", *(f"in_{size}" for size in SIZES))
    for p in template.parameters:
        yield from (p.name, f"{p.name}_", f"exact_{p.name}")
    for s in walk_statements(template.body):
        if isinstance(s, TemplateInput):
            yield from (f"{s.name}_{size}" for size in SIZES)
        if isinstance(s, LayerLine | TemplateOutput):
            for c in s.calls:
                if isinstance(c.callee, Template):
                    yield class_name(c.callee.name, c.callee.doc)


def _chain(calls: Sequence[TemplateCall]) -> set[int]:
    """The calls of a line's own chain."""
    found = {id(calls[-1])}
    last = calls[-1]
    while last.suffix is not None and isinstance(last.inputs[0], TemplateCall):
        last = last.inputs[0]
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
