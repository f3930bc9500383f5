"""What the names of a template stand for: values, items of loops, constants; what rules ask."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain, count
from typing import Any

from netspec.codegen.identifiers import Identifiers, class_name
from netspec.codegen.tracing.expressions import TermEvaluator
from netspec.codegen.tracing.made_ops import MadeArgument
from netspec.codegen.tracing.nodes import (
    SIZES,
    Call,
    CannotTrace,
    ChannelsNode,
    CheckNode,
    Extent,
    InstanceSize,
    ItemExtent,
    LayerPath,
    LetNode,
    Sym,
    TraceNode,
    TraceValue,
    require_positive,
)
from netspec.codegen.tracing.numbers import AnyDim, ChannelCount
from netspec.codegen.tracing.template_parts import op_parameters
from netspec.ir.names import NameMap
from netspec.ir.op_value import OpValue
from netspec.ir.template import (
    Template,
    TemplateInput,
    calls_in,
)
from netspec.ir.template import walk as walk_statements
from netspec.lazy_dataclasses import dataclass, field, replace
from netspec.ops import IndexShape, like
from netspec.symbolic.conditions import Compared
from netspec.symbolic.expr import (
    ONE,
    ZERO,
    Channels,
    NumberLiteral,
    Parameter,
    counted,
    expr_of,
    summed,
)
from netspec.symbolic.facts import bounds, facts, lowest, reduced
from netspec.symbolic.terms import (
    Length,
    Local,
    exchanged,
    folded,
    leaves,
)
from netspec.syntax import ast


@dataclass(frozen=True)
class Items:
    """What iterations made under one name: `value` stands for each, `at` are its indices.

    These are terms of `variables`, those of the loops.
    """

    value: TraceValue
    variables: tuple[Local, ...]
    at: tuple[Any, ...]

    def iteration(self, key: Sequence[Any]) -> dict[Any, Any] | None:
        """What the variables are where the indices are these; None where that is not known."""
        found: dict[Any, Any] = {}
        for asked, index in zip(key, self.at, strict=True):
            if set(self.variables).isdisjoint(leaves(index)):
                continue
            rest: dict[Any, Fraction] = {**counted(index)}
            factors = {v: rest.pop(v) for v in self.variables if v in rest}
            if len(factors) != 1:
                return None
            ((v, factor),) = factors.items()
            ends = (asked, summed(rest)) if factor > 0 else (summed(rest), asked)
            found[v] = folded("//", folded("-", *ends), NumberLiteral(abs(factor)))
        known = {v: found[v] for v in self.variables if v in found}  # in the order of the loops
        return known if len(known) == len(self.variables) else None


@dataclass
class State:
    """What is known at a place of the text. Branches and iterations begin with a copy.

    Values are known by their names; `families` are those of names whose indices arguments decide,
    by these. `results` are the parts of values that have several. `known` are conditions that hold.
    """

    values: dict[str, TraceValue] = field(default_factory=dict)
    families: dict[str, dict[Any, TraceValue]] = field(default_factory=dict)
    results: dict[TraceValue, dict[str, TraceValue]] = field(default_factory=dict)
    current: TraceValue | None = None
    outputs: list[tuple[str, TraceValue]] | None = None
    counts: dict[str, Any] = field(default_factory=dict)
    """How many layers of each keyword have no name of their own, None where none can say."""
    collected: dict[str, Items] = field(default_factory=dict)
    """What the iterations of loops made, by the name without indices."""
    ambiguous: set[TraceValue] = field(default_factory=set)
    """Values of loops of which another loop makes more."""
    known: list[Compared] = field(default_factory=list)

    def copy(self) -> State:
        """The same, to be changed on its own."""
        parts: dict[str, Any] = {n: v.copy() for n, v in vars(self).items() if hasattr(v, "copy")}
        families = {base: found.copy() for base, found in self.families.items()}
        return replace(self, **parts | {"families": families, "outputs": self.outputs})


class ValueTracer:
    """Knows the values and constants in sight at a place of one template."""

    def __init__(
        self,
        template: Template,
        arguments: Mapping[str, Any],
        shapes: Sequence[tuple[int, ...]],
        inner: Any,
        names: NameMap | None = None,
        fixed: frozenset[str] = frozenset(),
        taken: Iterable[str] = (),
        made: Mapping[str, MadeArgument] | None = None,
    ) -> None:
        self.names = names
        self.fixed = fixed
        self.made = made or {}
        """Parameters whose ops are arguments of the class."""
        self.ops = ops_among(template, arguments, self.made)
        """Parameters that are constants."""
        self.template = template
        self.given = arguments
        self.shapes = list(shapes)
        self.inner = inner
        self.taken = {*taken, *_names_of_classes(template)}
        """What no local variable may be called."""
        self.terms = TermEvaluator(self.reference, self.need, template.callees)
        self.evaluate = self.terms.evaluate
        self.now = State()
        self.inputs: list[TraceValue] = []
        self.nodes: list[TraceNode] = []
        self.locals: set[str] = set()
        self.loops: list[Local] = []
        self.versions = 0
        self.depth = 0
        """How many branches what is traced stands in."""
        self.alone: Any = None
        """The condition under which a net gives its first output alone."""
        self.iterations = 0
        """How many iterations of loops are written in a row."""
        self.numbers: dict[Any, Local] = {}
        """The variables of numbers, by the nodes that they stand among and their terms."""
        self.constants: dict[Any, Any] = {}
        """What each `let` stands for."""
        self.items_at: dict[Any, Any] = {}
        """What variables of loops over lists are, by the index of the iteration."""
        self.elements: dict[Any, TraceValue] = {}
        self.like_items: list[TraceValue] = []
        """The values that are among the items of a loop, too."""
        self.lets: dict[Any, Any] = {}
        self.lines: set[TraceValue] = set()
        """The values that lines of the text make and name."""
        self.made_by: dict[TraceValue | None, Any] = {}
        """The `TracedLine` of each line that has a name, by its value."""
        self.first_of: dict[Call, Call] = {}
        """What each call is once more."""
        self.last_items: dict[TraceValue, tuple[Any, TraceValue]] = {}
        """The last index of a loop's value, and what the loop hands on of it."""
        self.holders: dict[Local, Extent] = {}
        self.counted: set[Local] = set()
        """Variables that count layers without a name, of which iterations have unlike many."""

    def need(self, condition: Compared, where: Sequence[Any] = ()) -> None:
        """Have arguments refused for which a rule does not hold.

        What depends on heights and widths is left to `netspec check`, and what the channels of
        several inputs have in common to the ops, so that no argument is for a check alone.
        """
        if any(isinstance(x, InstanceSize) or self.is_size(x) for x in leaves(condition)):
            return
        if len(self.inputs) > 1 and any(isinstance(x, Channels) for x in leaves(condition)):
            return
        known = [*self.now.known, *(f for c in where for f in facts(c))]
        needed = reduced(condition, known)
        plain = reduced(self.expanded(condition), list(map(self.expanded, known)))
        if needed is None or plain is None:
            return
        low, _ = bounds(needed.first, self.terms.ranges) or (None, None)
        if low is not None and reduced(Compared(low, needed.rest), known) is None:
            if needed.rest[0][0] in (">=", ">"):
                return
        if isinstance(plain.first, Parameter):
            needed = plain
        if not where:
            self.now.known.append(needed)
            if isinstance(needed.first, Parameter) and needed.rest == ((">=", ONE),):
                require_positive(self.nodes, [needed.first])
                return
            last = self.nodes[-1] if self.nodes else None
            if isinstance(last, LetNode) and needed == Compared(last.local, ((">=", ONE),)):  # type: ignore[arg-type]
                last.positive = True
                return
            if self.is_raised(needed):
                return
        self.nodes.append(CheckNode(needed, None, tuple(where)))

    def is_raised(self, needed: Compared) -> bool:
        """Whether a check above asks for less items of the same list, and is raised to this."""
        if not isinstance(needed.first, Length):
            return False
        for node in self.nodes:
            if isinstance(node, CheckNode) and node.message is None and not node.where:
                first, ((sign, _), *_) = node.condition.first, node.condition.rest
                if (first, sign) == (needed.first, ">=") == (first, needed.rest[0][0]):
                    node.condition = needed
                    return True
        return False

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

    def reference(self, e: ast.Expression) -> TraceValue | None:
        """The value that an expression names, None where it names none."""
        match e:
            case ast.Variable():
                return self.now.values.get(e.name) or self.item(e.name)
            case ast.Attribute():
                base = self.reference(e.base)
                return None if base is None else self.now.results.get(base, {}).get(e.name.text)
            case ast.Index():
                path = self.indexed(e)
                if path is None:
                    return None
                if path.fixed is not None:
                    found = self.now.values.get(path.fixed) or self.item(path.fixed, path.base)
                    if found is not None:
                        return found
                path = self.by_loops(path)
                family = self.now.families.get(path.base, {})
                found = family.get(path.key)
                items = self.now.collected.get(path.base) or self.of_this_loop(family)
                if found is None and items is not None and len(items.at) == len(path.indices):
                    outside = self.outside(path, items)
                    return self.element(items, [s.term for s in path.indices], outside)
                return found
        return None

    def of_this_loop(self, family: Mapping[Any, TraceValue]) -> Items | None:
        """What the iterations before this one made under the names of a family."""
        for key, value in family.items():
            at = key if isinstance(key, tuple) else (key,)
            own = [v for v in self.loops if any(v in leaves(t) for t in at)]
            if own and value in self.lines and len(own) == len(at):
                return Items(value, tuple(own), at)
        return None

    def indexed(self, e: ast.Expression) -> LayerPath | None:
        """The name that `c[i]` is; None for what is no name."""
        indices: list[ast.Expression] = []
        while isinstance(e, ast.Index):
            indices.insert(0, e.index)
            e = e.base
        return LayerPath(e.name, self.indices(indices)) if isinstance(e, ast.Variable) else None

    def by_loops(self, path: LayerPath) -> LayerPath:
        """A name with indices in terms of loop variables, not of constants of the text."""
        indices = tuple(Sym(s.value, self.expanded(s.term)) for s in path.indices)
        return LayerPath(path.base, indices, path.suffix)

    def indices(self, found: Sequence[ast.Expression]) -> tuple[Sym, ...]:
        """What stands in the square brackets of a name."""
        return tuple(map(self.evaluate, found))

    def item(self, name: str, base: str = "") -> TraceValue | None:
        """What one iteration of a loop made, by its name behind the loop (`pool5`).

        With a `base`, the item of that name where there is one: `v22[1]` rather than `v2[21]`.
        """
        found = {
            own: (items, keys)
            for own, items in self.now.collected.items()
            if (keys := index_in(name, own, len(items.at))) is not None
        }
        if len(found) > 1 and base not in found:
            raise CannotTrace(f"{name}, which may be an item of {' or of '.join(found)}")
        if not found:
            return None
        items, keys = found.get(base) or next(iter(found.values()))
        return self.element(items, [NumberLiteral(Fraction(k)) for k in keys])

    def outside(self, path: LayerPath, items: Items) -> list[TraceValue]:
        """The values from outside of the loop that an index may be that of."""
        known: list[tuple[tuple[Any, ...], TraceValue]] = []
        for name, value in self.now.values.items() if path.fixed is None else ():
            keys = index_in(name, path.base, len(path.indices))
            if keys is not None and not any(map(self.is_below, keys, path.indices)):
                known.append((tuple(NumberLiteral(Fraction(k)) for k in keys), value))
        for index, value in self.now.families.get(path.base, {}).items():
            at = index if isinstance(index, tuple) else (index,)
            if not any(x in self.loops for t in at for x in leaves(t)):
                known.append((at, value))
        found = []
        for key, value in known:
            if self.is_last(items, items.iteration(key)):
                continue  # a name of the loop's own
            like = (items.value, key)
            alike = len(value.shape) == len(items.value.shape)
            alike = alike and not isinstance(value.shape, IndexShape)
            if not alike or value not in self.lines or value.item_like not in (None, like):
                raise CannotTrace(f"an item of {path.base}, some of which a loop makes")
            if value.item_like is None:
                value.item_like = like
                self.like_items.append(value)
                items.value.others.append(value)
            found.append(value)
        return found

    def set_counts(self) -> None:
        """Have variables that count layers set to what there are by now."""
        for keyword, number in self.now.counts.items():
            own = [x for x in leaves(number) if x in self.counted] if number is not None else []
            if own and number != own[0]:
                self.nodes.append(ChannelsNode(own[0], number))
                self.now.counts[keyword] = own[0]

    def is_last(self, items: Items, iteration: Mapping[Any, Any] | None) -> bool:
        """Whether an item is that of the last iteration."""
        last, _ = self.last_items.get(items.value, (None, None))
        return iteration is not None and [*iteration.values()] == [last]

    def is_item_of(self, items: Items, others: Items) -> bool:
        """Have what other iterations made be among the items of a name, if sizes go on alike."""
        value, of = others.value, items.value
        at = items.iteration(others.at)
        if at is None or len(value.shape) != len(of.shape) or isinstance(of.shape, IndexShape):
            return False
        if self.by_index(value.channels) != exchanged(self.by_index(of.channels), at):
            return False
        if of.static != value.static and of.static is not None:
            terms = [exchanged(self.by_index(t), at) for t in of.static]
            held = any(x in self.holders for t in terms for x in leaves(t))
            if not held and terms != [*map(self.by_index, value.static or ())]:
                return False
        value.item_like = (of, others.at)
        of.others.append(value)
        self.like_items.append(value)
        return True

    def is_below(self, number: int, index: Sym) -> bool:
        """Whether an index is always above a number."""
        low, _ = bounds(index.term, self.terms.ranges) or (index.term, None)
        least = None if low is None else lowest(low, self.now.known)
        return least is not None and number < least

    def element(
        self, items: Items, key: Sequence[Any], outside: Sequence[TraceValue] = ()
    ) -> TraceValue:
        """What stands at these terms of indices, which may be one of the values `outside`."""
        value = items.value
        if value in self.now.ambiguous:
            raise CannotTrace(f"an item of {value.name}, which several loops make")
        return self._element(items, value, tuple(key), items.iteration(key), outside)

    def _element(
        self,
        items: Items,
        value: TraceValue,
        key: tuple[Any, ...],
        known: Mapping[Any, Any] | None,
        outside: Sequence[TraceValue],
    ) -> TraceValue:
        if (value, key) in self.elements:
            return self.elements[value, key]
        last, behind = self.last_items.get(value, (None, value))
        is_last = self.is_last(items, known)
        if is_last and isinstance(last, NumberLiteral):
            element = behind
        else:
            element = TraceValue(value.name, value.shape)
            element.item_of = (value, key)
        self.elements[value, key] = element
        if value in self.now.results and not outside:
            self.now.results[element] = {
                n: element if v is value else self._element(items, v, key, known, ())
                for n, v in self.now.results[value].items()
            }
        if element is behind:
            return element

        def sizes_of(v: TraceValue) -> list[Any]:
            return [v.channels, *(v.static or (None,) * (len(v.shape) - 1))]

        def of_item(axis: int) -> Any:
            """The channels, height or width of the item; None where they are not known."""
            term = sizes_of(value)[axis]
            if term is None:
                return None
            term = self.by_index(term)
            for v in outside:
                at = items.iteration(v.item_like[1]) if v.item_like is not None else None
                if at is None or exchanged(term, at) != self.expanded(sizes_of(v)[axis]):
                    return None
            if known is None and not set(items.variables).isdisjoint(leaves(term)):
                raise CannotTrace(f"an item of {value.name}, whose iteration is not known")
            term = exchanged(term, known or {})
            if any(isinstance(x, InstanceSize) or x in self.holders for x in leaves(term)):
                # It changes from item to item; the last one's is known behind the loop.
                _, end = self.last_items.get(items.value, (None, value))
                alike = sizes_of(value)[axis] == sizes_of(items.value)[axis]
                return sizes_of(end)[axis] if is_last and alike else None
            return term

        channels, *sizes = map(of_item, range(len(value.shape)))
        self.shaped(element, value.shape, Extent(element, 0) if channels is None else channels)
        element.static = None if None in sizes else tuple(sizes)
        if isinstance(value.shape, IndexShape):
            plane = tuple(
                AnyDim(int(d), ItemExtent(value, key, k + 1))
                for k, d in enumerate(value.shape.plane)
            )
            element.shape = IndexShape.of(element.shape, plane)  # type: ignore[arg-type]
        return element

    def by_index(self, term: Any) -> Any:
        """A term without constants of the text, in terms of the indices of loops."""
        term = exchanged(self.expanded(self.expanded(term)), self.items_at)
        return exchanged(term, self.terms.lists)

    def define(self, name: ast.LayerName, value: TraceValue, anew: bool = True) -> None:
        """Give a value a name, a further one unless it is made `anew`."""
        path = self.path(name)
        fixed = path.fixed
        if anew:
            value.name = fixed if fixed is not None else name.base.text
            self.lines.add(value)
        if fixed is not None:
            self.now.values[fixed] = value
        else:
            self.now.families.setdefault(path.base, {})[self.by_loops(path).key] = value

    def path(self, name: ast.LayerName) -> LayerPath:
        return LayerPath(name.base.text, self.indices(name.indices))

    def numbered(self, keyword: str) -> LayerPath | None:
        """The name of the next layer without one of its own; None where nothing can say it."""
        count = self.now.counts.get(keyword, ZERO)
        if count is None:
            return None
        number = self.now.counts[keyword] = folded("+", count, ONE)
        if isinstance(number, NumberLiteral):
            return LayerPath(f"{keyword}_{number.value}")
        return LayerPath(f"{keyword}_", (Sym(ONE.value, number),))

    def shaped(self, value: TraceValue, shape: tuple[int, ...], channels: Any) -> TraceValue:
        """Give a value the channels of a term, and heights and widths of its own."""
        dims: list[AnyDim] = [ChannelCount(int(shape[0]), channels)]
        for k, d in enumerate(shape[1:]):
            e = expr_of(d)
            dims.append(AnyDim(int(d), e if isinstance(e, NumberLiteral) else Extent(value, k + 1)))
        value.shape = like(shape, tuple(dims))
        return value


def ops_among(
    template: Template, arguments: Mapping[str, Any], made: Collection[str]
) -> dict[str, Any]:
    """The arguments that are ops or modules, or `none` where one could be called.

    Those in `made` are left out.
    """
    held = op_parameters(template)
    return {
        n: v
        for n, v in ((p.name, arguments.get(p.name)) for p in template.parameters)
        if n not in made and (isinstance(v, OpValue) or (v is None and n in held))
    }


def index_in(name: str, base: str, count: int) -> list[int] | None:
    """The indices of a name of a loop's layer (`pool5`, `block1_2`), None if it is no such."""
    keys = name.removeprefix(base).split("_")
    fits = name.startswith(base) and len(keys) == count and all(k.isdecimal() for k in keys)
    return list(map(int, keys)) if fits else None


def _names_of_classes(template: Template) -> Iterator[str]:
    """The names that the class of a template has other things by: arguments and classes."""
    yield from ("self", "layer", "block", *(f"in_{size}" for size in SIZES))
    for p in template.parameters:
        yield from (p.name, f"{p.name}_", f"exact_{p.name}")
    for s in walk_statements(template.body):
        if isinstance(s, TemplateInput):
            yield from (f"{s.name}_{size}" for size in SIZES)
        for c in calls_in([s]):
            if isinstance(c.callee, Template):
                yield class_name(c.callee.name, c.callee.doc)
    for callee in template.callees.values():
        if isinstance(callee, Template):
            yield class_name(callee.name, callee.doc)
