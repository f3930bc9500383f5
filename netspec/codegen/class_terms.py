"""Terms as source of a class: what parameters, channels and variables are called in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import chain, count
from typing import Any

from netspec.codegen.identifiers import Identifiers, is_plain
from netspec.codegen.spelling import (
    OWN_METHODS,
    ClassText,
    Spelling,
)
from netspec.codegen.terms import (
    FloatParameter,
    Local,
    Printer,
    is_whole,
    is_whole_or_text,
    leaves,
    numbers_in,
    substitute,
)
from netspec.codegen.trace_nodes import (
    SIZES,
    Call,
    CannotTrace,
    Extent,
    IfNode,
    InstanceCall,
    InstanceSize,
    LayerPath,
    LineNode,
    Trace,
    TraceValue,
    calls_in,
    walk,
)
from netspec.lazy_dataclasses import dataclass
from netspec.symbolic.conditions import Combined, Compared, ListTerm, negated
from netspec.symbolic.expr import (
    Apply,
    Channels,
    NumberLiteral,
    Parameter,
    constant_source,
    expr_of,
)

RELATIONS = {
    ">=": "be at least",
    ">": "be above",
    "<": "be below",
    "<=": "be at most",
    "==": "equal",
    "!=": "not be",
}


@dataclass(frozen=True)
class Guard:
    """A condition that arguments must not meet where it stands, and the source of the message."""

    refused: Any
    message: str


class TermWriter:
    """Writes the terms of one class, in its constructor and in `forward`."""

    def __init__(
        self,
        trace: Trace,
        spelling: Spelling,
        class_of: Callable[[InstanceCall], ClassText],
        taken: Sequence[str],
        comments: Mapping[str, str],
        needs_out: set[tuple[Trace, str]],
    ) -> None:
        self.trace = trace
        self.spelling = spelling
        self.class_of = class_of
        self.comments = comments
        self.needs_out = needs_out
        self.supports: set[str] = set()
        self.used: set[Any] = set()
        self.exact: set[str] = set()
        self.stored: dict[str, str] = {}
        self.loop_lets: dict[Local, Any] = {}
        self.lets: dict[Local, Any] = {}
        self.loop_variables: set[Local] = set()
        self.printer = Printer(self.leaf)
        self.forward_printer = Printer(self.forward_leaf)
        self.emissions: dict[Call, Any] = {}
        self.attribute_ifs: dict[IfNode, tuple[str, bool]] = {}
        self.used_locals: set[str] = set()
        self.instances: dict[InstanceCall, str] = {}
        self.taken = taken
        self.argument_names: dict[Any, str] = {}
        single = len(trace.inputs) == 1
        names = Identifiers((*taken, "in_channels", "in_height", "in_width"))
        for v in trace.inputs:
            self.argument_names[Channels(v.name)] = (
                "in_channels" if single else f"{v.name}_channels"
            )
        for p in trace.template.parameters:
            self.argument_names[p.name] = names.identifier(p.name)
        self.uses: dict[TraceValue, list[Any]] = {}
        """What reads each value: calls, what meets behind branches and in loops, the results."""
        self.marks: list[TraceValue] = []
        self.asked: list[TraceValue] = []
        self.sized: dict[Call, list[TraceValue]] = {}
        """The values whose heights and widths the code of a layer asks for."""
        self.within: dict[TraceValue, LineNode] = {}
        """The line of each value that has no variable, being written inside of another's."""
        for node in walk(trace.nodes):
            if isinstance(node, LineNode):
                for c in node.calls[:-1]:
                    self.within |= dict.fromkeys(c.outputs, node)
        self.collected: dict[TraceValue, str] = {}
        self.sizes: dict[TraceValue, str] = {}
        self.shown = ""
        """The size that a comment of `forward` said last."""
        self.settled_terms: dict[Any, str] = {}
        """Attributes of conditions and counts that the constructor decides for `forward`."""
        self.variables: dict[TraceValue, str] = {}
        self.inlined: dict[TraceValue, LineNode] = {}

    def leaf(self, leaf: Any, exact: bool) -> str:
        match leaf:
            case Parameter(name):
                self.used.add(leaf)
                return self.argument_names[name]
            case FloatParameter(name):
                self.used.add(leaf)
                if exact:
                    self.exact.add(name)
                    return f"exact_{name}"
                return self.argument_names[name]
            case Channels():
                self.used.add(leaf)
                return self.argument_names[leaf]
            case Local(name) if (
                name in self.stored
                and name not in self.used_locals
                and isinstance(self.lets.get(leaf), ListTerm)
            ):
                return f"self.{name}"
            case Local():
                self.used_locals.add(leaf.name)
                return leaf.name if not (leaf.float_ and not exact) else f"float({leaf.name})"
            case InstanceSize(instance, index, axis):
                if instance not in self.instances:
                    raise CannotTrace("channels of an instance that is not there")
                place = self.instances[instance]
                if not place:  # in a loop
                    names = ("block", *(f"block{n}" for n in range(2, 99)))
                    place = next(n for n in names if n not in self.instances.values())
                    self.instances[instance] = place
                self.needs_out.add((instance.trace, SIZES[axis]))
                several = len(instance.outputs) > 1
                return f"{place}.out_{SIZES[axis]}" + (f"[{index}]" if several else "")
            case Extent(value, axis) if (
                value in self.trace.inputs and self.trace.template.kind == "module"
            ):
                self.used.add(leaf)
                return self.extent_name(value, axis)
            case Extent():
                raise CannotTrace("a tensor whose size depends on height and width")
        raise CannotTrace(f"{leaf} has no name")

    def forward_leaf(self, leaf: Any, exact: bool) -> str:
        match leaf:
            case Parameter(name) | FloatParameter(name):
                self.stored[self.argument_names[name]] = self.leaf(leaf, False)
                return f"self.{self.argument_names[name]}"
            case Channels():
                self.stored[self.argument_names[leaf]] = self.leaf(leaf, False)
                return f"self.{self.argument_names[leaf]}"
            case Local() if leaf in self.loop_variables:
                return leaf.name
            case Local() if leaf in self.lets:
                self.stored[leaf.name] = leaf.name
                return f"self.{leaf.name}"
            case Extent(value, axis) if axis <= 2:
                return f"{self.later(value)}.shape[{axis + 1}]"
        raise CannotTrace(f"{leaf} is not known in forward")

    def later(self, value: TraceValue) -> str:
        """A mark for the variable of a value, which is not settled yet."""
        value = self.at_hand(value)
        self.asked.append(value)
        if value not in self.marks:
            self.marks.append(value)
        return f"\x00{self.marks.index(value)}\x01"

    def at_hand(self, value: TraceValue) -> TraceValue:
        """A value of the same height and width that has a variable."""
        if value not in self.within:
            return value
        last = self.within[value].calls[-1].outputs[0]
        plane: list[Any] = [expr_of(d) for d in last.shape[1:]]
        if plane != [Extent(value, 1), Extent(value, 2)]:
            raise CannotTrace("the size of a value that has no variable")
        return last

    def unmarked(self, lines: list[str]) -> list[str]:
        return [
            re.sub("\x00(\\d+)\x01", lambda m: self.variable(self.marks[int(m[1])]), line)
            for line in lines
        ]

    def extent_name(self, value: TraceValue, axis: int) -> str:
        what = ("height", "width")[axis - 1]
        return f"in_{what}" if len(self.trace.inputs) == 1 else f"{value.name}_{what}"

    def resolved(self, term: Any) -> Any:
        """A term with heights and widths in terms of the inputs'."""

        def known(leaf: Any) -> Any:
            if isinstance(leaf, Extent) and not leaf.axis:
                raise CannotTrace("channels that change from iteration to iteration")
            if isinstance(leaf, Extent):
                if leaf.value.static is None:
                    raise CannotTrace("a tensor whose size depends on height and width")
                found = leaf.value.static[leaf.axis - 1]
                return found if found == leaf else substitute(found, known)
            return leaf

        return substitute(term, known)

    def print(self, term: Any, outer: int = 0, exact: bool = False) -> str:
        """A term as source of the constructor."""
        return self.printer(self.resolved(term), outer, exact)

    def at_run_time(self, term: Any) -> Any:
        """A term as `forward` knows it: sizes that change are those of the tensors at hand."""
        term = substitute(term, lambda leaf: self.loop_lets.get(leaf, leaf))
        return substitute(term, lambda leaf: self.trace.holders.get(leaf, leaf))

    def in_forward(self, term: Any, name: str = "") -> str:
        """A term as source of `forward`; `name` is for an attribute that keeps it."""
        term = self.at_run_time(term)
        if not self.is_settled_before(term):
            return self.forward_printer(term)
        if term not in self.settled_terms:
            taken = {*self.settled_terms.values(), *self.argument_names.values()}
            taken |= self.layer_names() | {local.name for local in self.lets}
            base = name or ("condition" if isinstance(term, Compared | Combined) else "count")
            names = chain((base,), (f"{base}_{n}" for n in count(2)))
            self.settled_terms[term] = next(n for n in names if n not in taken)
        return f"self.{self.settled_terms[term]}"

    def is_settled_before(self, term: Any) -> bool:
        """Whether the constructor decides a condition or a count, in exact numbers.

        `forward` has floats: 0.1 is no tenth there, and `torch.compile` takes no `Fraction`.
        """
        whole = is_whole(term)
        if isinstance(term, Local) or not (whole or isinstance(term, Compared | Combined)):
            return False
        if all(map(is_whole_or_text, numbers_in(term))):
            known = {x for x in leaves(term) if isinstance(x, Parameter | Channels)}
            compares = isinstance(term, Compared | Combined)
            return compares and len(known) > 1 and known.issuperset(leaves(term))
        if any(isinstance(x, Extent) or x in self.loop_variables for x in leaves(term)):
            raise CannotTrace("a condition in exact numbers that the constructor can't decide")
        return True

    def whole(self, term: Any) -> str:
        """A term as an int."""
        term = self.resolved(term)
        if is_whole(term):
            return self.printer(term)
        if isinstance(term, Apply) and term.operator == "/" and all(map(is_whole, term.operands)):
            return self.printer(Apply("//", term.operands))
        if isinstance(term, Apply) and term.operator in ("+", "-") and len(term.operands) == 2:
            if any(map(is_whole, term.operands)):
                left, right = map(self.whole, term.operands)
                return f"{left} {term.operator} {right}"
        return f"int({self.printer(term, 0, True)})"

    def rule(self, condition: Compared, where: Sequence[Any]) -> Guard:
        """A guard against arguments for which a comparison does not hold that a rule asks for."""
        number = condition.first
        (sign, other), *further = condition.rest
        what = f"{RELATIONS[sign]} {self.print(other)}"
        about: Any = ListTerm((number, other)) if sign == "==" else number
        if further:
            (high_sign, high), low, number = further[0], number, other
            what = f"be from {self.print(low)} to {'below ' * (high_sign == '<')}{self.print(high)}"
            about = ListTerm((number, high))
        elif isinstance(number, Apply) and number.operator == "%":
            number, divisor = number.operands
            is_one = divisor == NumberLiteral(Fraction(1))
            what = "be a whole number" if is_one else f"be divisible by {self.print(divisor)}"
            about = ListTerm((divisor, number))
        said = self.argument_in(about)
        name = number.name if isinstance(number, Local) else self.print(number)
        what = f"must {what}" if name == said else f"{name} must {what}"
        what = what.replace("{", "{{").replace("}", "}}")  # words of the spec
        refused: Any = Combined("not", (condition,)) if further else negated(condition)
        if where:
            refused = Combined("and", (*where, refused))
        return Guard(refused, "f" + constant_source(f"{said} is {{{said}}}, but {what}"))

    def argument_in(self, term: Any) -> str | None:
        """The first argument, else the first variable that a term depends on."""
        variable = None
        for leaf in leaves(term):
            match leaf:
                case Parameter(name) | FloatParameter(name):
                    return self.argument_names[name]
                case Channels():
                    return self.argument_names[leaf]
                case Local(name):
                    inner = self.lets.get(leaf, self.loop_lets.get(leaf))
                    found = self.argument_in(inner) if inner is not None else None
                    if found is not None:
                        return found
                    variable = variable or name
        if variable is not None:
            self.used_locals.add(variable)
        return variable

    def layer_names(self) -> set[str]:
        """The names of layers that are the same for all arguments."""
        return {
            c.name.fixed
            for c in calls_in(self.trace.nodes)
            if c.name is not None and c.name.fixed is not None
        }

    def attribute(self, name: str) -> str:
        """How a layer is reached from `self`, such that its weights bear its name."""
        if name in self.spelling.reserved or name in OWN_METHODS or name.startswith("__"):
            return f'self._modules["{name}"]'
        return f"self.{name}" if is_plain(name) else f'getattr(self, "{name}")'

    def path_source(self, path: LayerPath, printer: Printer) -> str:
        parts = []
        for s in path.indices:
            if s.known:
                parts.append(s.value if isinstance(s.value, str) else str(int(s.value)))
            else:
                parts.append(
                    "{"
                    + (
                        self.in_forward(s.term)
                        if printer is self.forward_printer
                        else printer(s.term)
                    )
                    + "}"
                )
        return f'f"{path.base}{"_".join(parts)}{path.suffix}"'

    def is_read(self, value: TraceValue) -> bool:
        return value in self.uses or value in self.collected

    def reads_several(self, c: Call) -> bool:
        """Whether more than the first result of a call is read."""
        return any(map(self.is_read, c.outputs[1:]))

    def call_of(self, value: TraceValue) -> Call:
        """What makes a value."""
        return next(c for c in calls_in(self.trace.nodes) if value in c.outputs)

    def variable(self, v: TraceValue) -> str:
        """The variable of a value in `forward`."""
        raise NotImplementedError
