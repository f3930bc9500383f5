"""Terms as source of a class: in its constructor, and in `forward`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Set
from itertools import chain, count
from typing import Any

from netspec.codegen.identifiers import Identifiers
from netspec.codegen.python_source import Source, Verbatim, call
from netspec.codegen.tracing.nodes import (
    SIZES,
    CannotTrace,
    ChannelsNode,
    CheckNode,
    Extent,
    ForNode,
    IfNode,
    InstanceCall,
    InstanceSize,
    LayerPath,
    LetNode,
    LineNode,
    Trace,
    TraceNode,
    TraceValue,
    walk,
)
from netspec.codegen.writing.library import ClassStyle
from netspec.codegen.writing.statements import Compound, Line, Refusal, Statement
from netspec.codegen.writing.term_source import Printer, is_whole_or_text, numbers_in
from netspec.ir.op_value import OpValue
from netspec.lazy_dataclasses import dataclass, field, replace
from netspec.symbolic.conditions import Combined, Compared, ConstantTerm, ListTerm, negated
from netspec.symbolic.expr import (
    ONE,
    ZERO,
    Apply,
    Channels,
    Parameter,
    constant_source,
    expr_of,
    literal,
)
from netspec.symbolic.terms import (
    Choose,
    FloatParameter,
    Length,
    Local,
    exchanged,
    folded,
    is_literal,
    is_whole,
    leaves,
    substitute,
)

OUT_SIZES = frozenset(("out_channels", "out_height", "out_width"))
"""Attributes with which a class tells others the sizes of its results."""
RELATIONS = {
    ">=": "be at least",
    ">": "be above",
    "<": "be below",
    "<=": "be at most",
    "==": "equal",
    "!=": "not be",
}


@dataclass(frozen=True)
class Support:
    """A function of the backend, which a constructor calls."""

    name: str


@dataclass
class Asked:
    """What a piece of source needs of the constructor, and of the values in `forward`.

    It reads arguments, names of local variables and sizes of instances. `kept` are the terms that
    `forward` reads off the model, `sizes` the values whose height and width it asks for,
    `supports` functions of the backend that it calls.
    """

    reads: set[Any] = field(default_factory=set)
    supports: set[str] = field(default_factory=set)
    kept: list[Any] = field(default_factory=list)
    sizes: list[TraceValue] = field(default_factory=list)


class Terms:
    """Writes the terms of one class. `asked` is what those since the last `anew` need."""

    def __init__(self, trace: Trace, taken: Sequence[str], spelling: ClassStyle) -> None:
        self.trace = trace
        self.spelling = spelling
        self.reserved = spelling.reserved | OUT_SIZES
        self.asked = Asked()
        self.printer = Printer(self._in_constructor)
        self.forward_printer = Printer(self._in_forward)
        self.variable: Callable[[TraceValue], str] = lambda value: "x"
        """The variable of a value in `forward`."""
        self.arguments: dict[Any, str] = {}
        for v in trace.inputs:
            side = "in" if len(trace.inputs) == 1 else v.name
            for k, leaf in enumerate((Channels(v.name), Extent(v, 1), Extent(v, 2))):
                self.arguments[leaf] = f"{side}_{SIZES[k]}"
        names = Identifiers((*taken, "in_channels", "in_height", "in_width"))
        for p in trace.template.parameters:
            if isinstance(trace.sample.get(p.name), OpValue) and p.name not in trace.made:
                continue  # no argument can be
            name = names.identifier(p.name)
            self.arguments |= {Parameter(p.name): name, FloatParameter(p.name): name}
        self.lets: dict[Local, Any] = {}
        self.inner: set[Local] = set()
        """Those that are set anew in each iteration of a loop."""
        self.counters: dict[Local, Any] = {}
        """The variables of loops, each with the list that it is of, or the ends of its range."""
        self.of_lists: set[Local] = set()
        """The variables of loops over lists."""
        self.changes: dict[Local, list[Any]] = {}
        """The terms that loops and branches set variables to."""
        self._declare(trace.nodes, False)
        self.same = self._same_sizes(trace.nodes)
        """Names of heights and widths that are one variable, whose name this is."""
        self.lists = {
            x
            for node in walk(trace.nodes)
            for t in decisive(node)
            for x in leaves(self.at_run_time(t))
            if isinstance(self.lets.get(x), ListTerm)
        }
        """Lists that `forward` reads for sure; the constructor reads them off the model too."""
        self.attributes: dict[Any, str] = {}
        """The names of what the constructor may keep for `forward`, by its term."""
        self.kept: set[Any] = set()
        """What it does keep."""
        self.by_iteration: dict[Any, tuple[Local, ...]] = {}
        """The loops of what is kept of each iteration."""
        self.items: dict[tuple[TraceValue, str], str] = {}
        """The names of the dicts in which `forward` keeps values of each iteration, or sizes."""
        self.places: dict[InstanceCall, str] = {}
        """The variables of instances in loops that are asked for a size."""
        self.lines = {
            c: n.calls for n in walk(trace.nodes) if isinstance(n, LineNode) for c in n.calls
        }
        """The calls of the line of each call."""
        self.makers = {v: c for c in self.lines for v in c.outputs}
        paths = (c.attribute for c in self.lines)
        names_ = (path.fixed for path in paths if path is not None)
        self.layers = {name.partition(".")[0] for name in names_ if name is not None}
        """The attributes of layers that are the same for all arguments."""

    def _declare(self, nodes: Sequence[TraceNode], inside: bool) -> None:
        for node in nodes:
            match node:
                case LetNode():
                    self.lets[node.local] = node.term
                    self.inner |= {node.local} if inside else set()
                case ChannelsNode():
                    self.changes.setdefault(node.local, []).append(node.term)
                case IfNode() | ForNode():
                    loop = isinstance(node, ForNode)
                    if isinstance(node, ForNode):
                        self.counters |= node.sources
                        for v, of in node.sources.items() if node.last is None else ():
                            if v != node.index and not is_literal(self.lets.get(of, of)):
                                self.of_lists.add(v)
                    for body in node.bodies:
                        self._declare(body, inside or loop)

    def _same_sizes(self, nodes: Sequence[TraceNode]) -> dict[str, str]:
        """The heights and widths that loops and branches set to the same values."""
        inner = [b for n in walk(nodes) if isinstance(n, IfNode | ForNode) for b in n.bodies]
        set_to: dict[str, list[Any]] = {}
        for place, body in enumerate([nodes, *inner]):
            for n in body:
                if isinstance(n, ChannelsNode) and self.is_side(n.local):
                    name = n.local.name
                    own = {x: Local("") for x in leaves(n.term) if getattr(x, "name", "") == name}
                    term = exchanged(n.term, own)
                    set_to.setdefault(name, []).append((place, term))
        groups: dict[Any, list[str]] = {}
        for name, terms in set_to.items():
            groups.setdefault(tuple(terms), []).append(name)
        taken = {*set_to, *self.arguments.values(), *(x.name for x in self.lets)}
        same: dict[str, str] = {}
        for names in groups.values():
            if len(names) > 1:
                same |= dict.fromkeys(names, first_free({*taken, *same.values()}, "size", ""))
        return same

    def is_side(self, local: Local) -> bool:
        """Whether a variable that loops and branches change is a height or width."""
        return local not in self.trace.counted and not local.name.endswith("channels")

    @property
    def supports(self) -> set[str]:
        return self.asked.supports

    def anew(self) -> Asked:
        """What is asked from now on."""
        self.asked = Asked()
        return self.asked

    # --- the constructor ---

    def _in_constructor(self, leaf: Any, exact: bool) -> str:
        match leaf:
            case FloatParameter(name) if exact:
                self.asked.reads.add(f"exact_{name}")
                return f"exact_{name}"
            case Parameter() | FloatParameter() | Channels():
                self.asked.reads.add(leaf)
                return self.arguments[leaf]
            case Local(name) if leaf in self.lists:
                return f"self.{self.attribute(leaf)}"
            case Local(name):
                name = self.same.get(name, name)
                self.asked.reads.add(name)
                return f"float({name})" if leaf.float_ and not exact else name
            case InstanceSize(instance, index, axis):
                self.asked.reads.add(leaf)
                several = f"[{index}]" if len(instance.outputs) > 1 else ""
                return f"{self._place(instance)}.out_{SIZES[axis]}{several}"
            case Extent() if leaf in self.arguments and self.trace.template.kind == "module":
                self.asked.reads.add(leaf)
                return self.arguments[leaf]
            case Extent():
                raise CannotTrace("a tensor whose size depends on height and width")
        raise CannotTrace(f"{leaf} has no name")

    def _place(self, instance: InstanceCall) -> str:
        """How the constructor reaches an instance."""
        path = instance.attribute
        name = path.fixed if path is not None else None
        if name is not None and "." not in name and instance in self.lines:
            return self.spelling.reached(name)
        if instance not in self.places:
            taken = {*self.places.values(), *self.arguments.values(), *(x.name for x in self.lets)}
            name = "layer" if "block" in self.arguments.values() else "block"
            self.places[instance] = first_free(taken, name, "")
        return self.places[instance]

    def resolved(self, term: Any) -> Any:
        """A term with heights and widths in terms of the inputs'."""

        def known(leaf: Any) -> Any:
            if not isinstance(leaf, Extent):
                return leaf
            if not leaf.axis:
                raise CannotTrace("channels that change from iteration to iteration")
            if leaf.value.static is None:
                raise CannotTrace("a tensor whose size depends on height and width")
            found = leaf.value.static[leaf.axis - 1]
            return found if found == leaf else substitute(found, known)

        return substitute(term, known)

    def print(self, term: Any, outer: int = 0, exact: bool = False) -> str:
        """A term as source of the constructor."""
        return self.printer(self.resolved(term), outer, exact)

    def whole(self, term: Any) -> str:
        """A term as an int, as source of the constructor."""
        return self.number(term).flat()

    def number(self, term: Any) -> Source:
        """A term as an int, as source that can be broken over lines."""
        term = self.resolved(term)
        if is_whole(term):
            return self.printer.source(term)
        match term:
            case Apply("/", operands) if all(map(is_whole, operands)):
                return self.printer.source(Apply("//", operands))
            case Apply("+" | "-" as sign, (a, b)) if is_whole(a) or is_whole(b):
                return Verbatim(f"{self.whole(a)} {sign} {self.whole(b)}")
        return call("int", self.printer.source(term, 0, True))

    def features(self, value: TraceValue) -> str:
        """How many features a vector has by the constructor, as source of `forward`."""
        term = self.resolved(value.channels)
        if isinstance(term, InstanceSize) or is_literal(term):
            return self.whole(term)
        self.asked.kept.append(term)
        return f"self.{self.attribute(term, 'features')}"

    def said_of(self, term: Any) -> str | None:
        """The first argument, else the first variable that a term depends on."""
        pending, variable, seen = list(leaves(term)), None, set[Any]()
        while pending:
            leaf = pending.pop(0)
            if leaf in seen:
                continue
            seen.add(leaf)
            if isinstance(leaf, Parameter | FloatParameter | Channels):
                return self._in_constructor(leaf, False)
            if isinstance(leaf, Local):
                variable = variable or leaf
                sources = [
                    self.lets.get(leaf),
                    self.counters.get(leaf),
                    *self.changes.get(leaf, ()),
                ]
                pending[:0] = [x for t in sources if t is not None for x in leaves(t)]
        return None if variable is None else self._in_constructor(variable, False)

    def check(self, node: CheckNode) -> list[Refusal]:
        """What refuses arguments for which something does not hold."""
        asked, condition = self.anew(), node.condition
        said = self.said_of(condition)
        if said is None:
            return []
        if node.message is None:
            return [self._rule(condition, node.where)]
        message = node.message.replace("{", "{{").replace("}", "}}")  # words of the spec
        message = "f" + constant_source(f"{said} is {{{said}}}: {message}")
        return [Refusal(self.print(negated(condition)), message, asked.reads)]

    def _rule(self, condition: Compared, where: Sequence[Any]) -> Refusal:
        """What refuses arguments for which a comparison does not hold that a rule asks for."""
        number = condition.first
        (sign, other), *further = condition.rest
        what = f"{RELATIONS[sign]} {self.print(other)}"
        about: Any = ListTerm((number, other)) if sign == "==" else number
        refused: Any = negated(condition)
        exact = False
        if further:
            (high_sign, high), low, number = further[0], number, other
            what = f"be from {self.print(low)} to {'below ' * (high_sign == '<')}{self.print(high)}"
            about, refused = ListTerm((number, high)), Combined("not", (condition,))
        elif isinstance(number, Apply) and number.operator == "%":
            refused, exact = number, not all(map(is_whole, number.operands))  # true by itself
            number, divisor = number.operands
            what = f"be divisible by {self.print(divisor)}"
            if divisor == ONE:
                what = "be a whole number"
            elif divisor == literal(2):
                match number:
                    case Apply("-", (odd, one)) if one == ONE:
                        what, number = "be odd", odd
            about = ListTerm((divisor, number))
        asked = self.anew()
        said = self.said_of(about)
        name = number.name if isinstance(number, Local) else self.print(number)
        if isinstance(number, Length) and sign == ">=":
            name, what = self.print(number.sequence), f"have at least {self.print(other)} items"
        what = f"must {what}" if name == said else f"{name} must {what}"
        what = what.replace("{", "{{").replace("}", "}}")  # words of the spec
        refused = Combined("and", (*where, refused)) if where else refused
        test = self.print(refused, 0, exact)
        message = "f" + constant_source(f"{said} is {{{said}}}, but {what}")
        return Refusal(test, message, asked.reads)

    def twice(self, path: LayerPath) -> Iterator[Refusal]:
        """What refuses lists of which two items give layers one name."""
        asked = self.anew()
        of_lists = [s.term for s in path.indices if not self.of_lists.isdisjoint(leaves(s.term))]
        if of_lists:
            said, name = self.said_of(of_lists[0]), self.path(path, self.print)
            message = f"{said} is {{{said}}}, but {name[2:-1]} would be given twice"
            yield Refusal(f"hasattr(self, {name})", "f" + constant_source(message), asked.reads)

    def exact(self) -> list[Line]:
        """The lines that make exact fractions of arguments."""
        return [
            Line(
                call("Fraction", call("str", name)),
                (f"exact_{leaf.name}",),
                optional=True,
                reads={leaf},
            )
            for leaf, name in self.arguments.items()
            if isinstance(leaf, FloatParameter)
        ]

    def keep(self, terms: Iterable[Any]) -> list[Line]:
        """The lines that keep arguments, and what arguments decide, for `forward`."""
        return [self.keeping(term) for term in terms if term in self.kept]

    def keeping(self, term: Any, place: str = "") -> Line:
        """The line that keeps a term, in a place of its attribute."""
        asked = self.anew()
        source = self.number(term) if is_whole(term) else self.printer.source(term)
        return Line(source, (f"self.{self.attributes[term]}{place}",), reads=asked.reads)

    # --- forward ---

    def _in_forward(self, leaf: Any, exact: bool) -> str:
        match leaf:
            case Local() if leaf in self.counters or leaf in self.trace.counted:
                return leaf.name
            case Extent(value, axis) if axis <= 2:
                return self.spelling.library.side(self.later(value), axis)
            case Parameter() | FloatParameter() | Channels() | Local():
                if leaf in self.lets or leaf in self.arguments:
                    self.asked.kept.append(leaf)
                    return f"self.{self.attribute(leaf)}"
        raise CannotTrace(f"{leaf} is not known in forward")

    def later(self, value: TraceValue) -> str:
        """The variable of a value whose height and width are asked for."""
        value = self.at_hand(value)
        self.asked.sizes.append(value)
        return self.variable(value)

    def at_hand(self, value: TraceValue) -> TraceValue:
        """The value of the same line, if it has the same height and width."""
        made = self.makers.get(value)
        last = value if made is None else self.lines[made][-1].outputs[0]
        plane: list[Any] = [expr_of(d) for d in last.shape[1:]]
        return last if plane == [Extent(value, 1), Extent(value, 2)] else value

    def planes(self, node: TraceNode) -> list[TraceValue]:
        """The values of whose heights and widths it depends what becomes of a node."""
        found = (x for t in decisive(node) for x in leaves(self.at_run_time(t)))
        return [self.at_hand(x.value) for x in found if isinstance(x, Extent) and x.axis <= 2]

    def at_run_time(self, term: Any) -> Any:
        """A term as `forward` knows it: sizes that change are those of the tensors at hand."""

        def known(leaf: Any) -> Any:
            if leaf in self.inner:
                return substitute(self.lets[leaf], known)
            return self.trace.holders.get(leaf, leaf)

        return substitute(term, known)

    def in_forward(self, term: Any, name: str = "") -> str:
        """A term as source of `forward`; `name` is for an attribute that keeps it."""
        term = self.at_run_time(term)
        if not self._is_settled_before(term):
            return self.forward_printer(term)
        self.asked.kept.append(term)
        attribute = self.attribute(term, name)
        loops = tuple(v for v in self.counters if v in set(leaves(term)))
        if loops:
            self.by_iteration[term] = loops
            return f"self.{attribute}[{', '.join(v.name for v in loops)}]"
        return f"self.{attribute}"

    def of_iterations(self, variable: Local) -> Iterator[Line]:
        """The lines of a loop that keep what arguments decide for each iteration."""
        for term, loops in self.by_iteration.items():
            if loops[-1] == variable and term in self.kept:
                yield self.keeping(term, f"[{', '.join(v.name for v in loops)}]")

    def dicts(self) -> Iterator[Line]:
        """The lines that make the dicts of these."""
        for term, loops in self.by_iteration.items():
            if term in self.kept:
                key = "Any" if len(loops) == 1 else "tuple[Any, ...]"
                kind = "bool" if isinstance(term, Compared | Combined) else "int"
                annotation = f"dict[{key}, {kind}]"
                yield Line(Verbatim("{}"), (f"self.{self.attributes[term]}",), "", annotation)

    def attribute(self, term: Any, name: str = "") -> str:
        """The attribute that keeps a term."""
        if term not in self.attributes:
            taken = {*self.attributes.values(), *self.layers, *self.reserved}
            if term in self.arguments or isinstance(term, Local):
                name = self.arguments.get(term) or term.name
            else:
                name = name or ("condition" if isinstance(term, Compared | Combined) else "count")
                taken |= {*self.arguments.values(), *(local.name for local in self.lets)}
            self.attributes[term] = first_free(taken, name)
        return self.attributes[term]

    def _is_settled_before(self, term: Any) -> bool:
        """Whether the constructor decides a condition or a count, in exact numbers.

        `forward` has floats: 0.1 is no tenth there, and `torch.compile` takes no `Fraction`.
        """
        condition = isinstance(term, Compared | Combined)
        if isinstance(term, Local) or not (condition or is_whole(term)):
            return False
        found = set(leaves(term))
        if all(map(is_whole_or_text, numbers_in(term))):
            plain = all(isinstance(x, Parameter | Channels) for x in found)
            return condition and plain and len(found) > 1
        if any(isinstance(x, Extent) for x in found):
            raise CannotTrace("a condition in exact numbers that the constructor can't decide")
        return True

    def item(self, value: TraceValue, key: Sequence[Any], what: str) -> str:
        """What an iteration made (`what`: "items"), or its height and width ("sizes")."""
        made = self.makers.get(value)
        path = made.name if made is not None else None
        if path is None:
            raise CannotTrace("an item of a loop that has no layer of its own")
        named = what == "items" and value.name not in ("value", path.base)
        name = self.items.setdefault((value, what), f"{path.base}_{value.name if named else what}")
        return f"{name}[{', '.join(map(self.in_forward, key))}]"

    # --- both ---

    def assigned(self, name: str, layer: Source, reads: Set[Any] = frozenset()) -> Line:
        """The statement that makes a layer."""
        return Line(*self.spelling.assigned(name, layer), reads=reads)

    def path(self, path: LayerPath, show: Callable[[Any], str]) -> str:
        """The name of a layer as source."""
        parts = (str(s.value) if s.known else f"{{{show(s.term)}}}" for s in path.indices)
        return f'f"{path.base}{"_".join(parts)}{path.suffix}"'

    def loop(self, node: ForNode, show: Callable[[Any], str]) -> str:
        """The first line of a loop."""
        match node.first:
            case Apply("enumerate" | "zip" as name, lists):
                args = [show(x) for x in lists if x != ZERO]
                over = f"{name}({', '.join([*args, *['strict=True'] * (name == 'zip')])})"
            case _ if node.last is not None:
                over = self.range(node.first, node.last, node.step, show)
            case _:
                over = show(node.first)
        return f"for {_target(node.target)} in {over}:"

    def range(self, first: Any, last: Any, step: Any, show: Callable[[Any], str]) -> str:
        """A range, with its last number, as source."""
        sign: Any = Choose(Compared(step, ((">", ZERO),)), ONE, literal(-1))
        beyond = show(folded("+", last, substitute(sign, lambda leaf: leaf)))
        if step != ONE:
            return f"range({show(first)}, {beyond}, {show(step)})"
        return f"range({beyond})" if first == ZERO else f"range({show(first)}, {beyond})"

    def looped(self, node: ForNode, body: list[Statement], show: Callable[[Any], str]) -> Compound:
        """A loop, which is simpler where its body does not read all variables."""
        loop = Compound([self.loop(node, show)], [body], sets=[v.name for v in node.variables])
        match node.first, node.target:
            case Apply("enumerate", (items, start)), (Local() as index, item):
                last = folded("-", folded("+", start, Length(items)), ONE)
                loop.opposite = f"for {index.name} in {self.range(start, last, ONE, show)}:"
                loop.uncounted = self.loop(replace(node, target=item, first=items), show)
        return loop


def _target(target: Any) -> str:
    """The variables of a loop as source."""
    if isinstance(target, Local):
        return target.name
    parts = (f"({_target(t)})" if isinstance(t, tuple) else _target(t) for t in target)
    return f"{', '.join(parts)}{',' * (len(target) == 1)}"


def decisive(node: TraceNode) -> list[Any]:
    """The terms that decide what becomes of a node."""
    match node:
        case ForNode():
            return [t for t in (node.first, node.last, node.step) if t is not None]
        case IfNode():
            return [condition for condition, _ in node.cases]
    return []


def is_number(term: Any) -> bool:
    """Whether a term is a number rather than a word, a truth or a list."""
    if isinstance(term, Choose):
        return is_number(term.then)
    return not isinstance(term, ConstantTerm | ListTerm | Compared | Combined)


def first_free(taken: Collection[str], name: str, joint: str = "_") -> str:
    """`name` where it is not taken, else `name_2`, `name_3`, ..."""
    names = chain((name,), (f"{name}{joint}{n}" for n in count(2)))
    return next(n for n in names if n not in taken)
