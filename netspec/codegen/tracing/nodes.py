"""What a trace is made of: values, calls of ops and modules, branches and loops.

A value's channels are a term of the module's parameters and input channels. Heights and widths are
those of the value itself (`Extent`), so that `forward` asks the tensors at hand; `static` has them
in terms of the inputs', for tensors whose size depends on them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from netspec.ir import Block
from netspec.ir.template import (
    Template,
)
from netspec.lazy_dataclasses import dataclass, field
from netspec.ops import Op
from netspec.symbolic.conditions import Compared, ListTerm
from netspec.symbolic.expr import ONE, Apply, NumberLiteral, Parameter, expr_of, ordered
from netspec.symbolic.facts import reduced
from netspec.symbolic.terms import Length, Local, is_literal, leaves


class CannotTrace(Exception):
    """A template that no class can stand for; the message says why."""


SIZES = ("channels", "height", "width")


@dataclass(frozen=True)
class Sym:
    """A constant: its value in the sample (Fraction, str, bool, None, tuple of Syms), its term."""

    value: Any
    term: Any

    @property
    def known(self) -> bool:
        """Whether it is the same for all arguments."""
        return is_literal(self.term)


@dataclass(frozen=True)
class InstanceSize:
    """Channels, height or width (axis 0 to 2) of result `index` of an instance.

    Its class knows them: `block.out_channels`.
    """

    instance: InstanceCall
    index: int
    axis: int = 0


@dataclass(frozen=True)
class Extent:
    """Channels, height or width (axis 0 to 2) of a value."""

    value: TraceValue
    axis: int


@dataclass(frozen=True)
class ItemExtent:
    """Height or width of the plane that indices are places of, of one iteration of a loop."""

    value: TraceValue
    key: tuple[Any, ...]
    axis: int


@dataclass(eq=False)
class TraceValue:
    """A value of a trace. `name` is what the spec calls it, if it does."""

    name: str
    shape: tuple[int, ...]
    flows: bool = False
    """Whether it has no name of its own."""
    item_of: tuple[TraceValue, tuple[Any, ...]] | None = None
    """The value of a loop that this is from one iteration of, and terms of which."""
    item_like: tuple[TraceValue, tuple[Any, ...]] | None = None
    """The value of a loop among whose items this is too, and terms of which: `c[0]` before it."""
    others: list[TraceValue] = field(default_factory=list)
    """The values that are like items of this one."""
    static: tuple[Any, ...] | None = None
    """Terms of height and width in terms of the inputs' and of arguments; None: not known."""

    @property
    def channels(self) -> Any:
        return expr_of(self.shape[0])


@dataclass(frozen=True)
class LayerPath:
    """The name of a layer: `base`, and what its indices are."""

    base: str
    indices: tuple[Sym, ...] = ()
    suffix: str = ""

    @property
    def fixed(self) -> str | None:
        """The name, where the indices are the same for all arguments."""
        if not all(s.known for s in self.indices):
            return None
        parts = (s.value if isinstance(s.value, str) else str(int(s.value)) for s in self.indices)
        return self.base + "_".join(parts) + self.suffix

    @property
    def key(self) -> Any:
        """What a layer of a loop is known by inside it: the term of its index, or of all."""
        terms = tuple(ordered(s.term) for s in self.indices)
        return terms[0] if len(terms) == 1 else terms


class LayerCall:
    """A layer or instance. `kept` is the name of the one that it is once more, if it is."""

    name: LayerPath | None
    kept: LayerPath | None

    @property
    def attribute(self) -> LayerPath | None:
        """The name under which a class keeps it."""
        return self.name if self.kept is None else self.kept


@dataclass(eq=False)
class OpCall(LayerCall):
    """One use of an op. `op` has its attributes as stated, `bound` as settled for the inputs."""

    name: LayerPath | None
    op: Op
    bound: Op
    terms: Mapping[str, Any]
    """The terms of attributes that are no numbers."""
    inputs: tuple[TraceValue, ...]
    outputs: tuple[TraceValue, ...]
    kept: LayerPath | None = None
    bare: bool = False
    """Whether its only tensor is an attribute of the class itself."""


@dataclass(eq=False)
class ChainCall(LayerCall):
    """Calls of which each takes what the one before it yields, kept as one `nn.Sequential`."""

    name: LayerPath
    calls: list[Call]
    kept: LayerPath | None = None

    @property
    def inputs(self) -> tuple[TraceValue, ...]:
        return self.calls[0].inputs

    @property
    def outputs(self) -> tuple[TraceValue, ...]:
        return self.calls[-1].outputs


@dataclass(eq=False)
class InstanceCall(LayerCall):
    name: LayerPath | None
    template: Template
    trace: Trace
    arguments: dict[str, Sym]
    inputs: tuple[TraceValue, ...]
    outputs: tuple[TraceValue, ...] = ()
    kept: LayerPath | None = None
    maker: Any = None
    """The argument that makes it (`made_ops.MadeArgument`), None where it is of one module."""

    @property
    def traces(self) -> list[Trace]:
        """The traces of the modules that it may be of."""
        return [self.trace] if self.maker is None else [*self.maker.classes.values()]


Call = OpCall | InstanceCall | ChainCall


@dataclass(eq=False)
class LineNode:
    """Calls in order of execution, and the value of the line."""

    calls: list[Call]
    value: TraceValue


@dataclass(eq=False)
class LetNode:
    local: Local
    term: Any
    positive: bool = False
    """Whether arguments are refused for which it is below 1."""


@dataclass(eq=False)
class CheckNode:
    """What must hold. `message` is that of a contract, None for a rule of the language or an op.

    `where` are conditions without which it need not.
    """

    condition: Any
    message: str | None = None
    where: tuple[Any, ...] = ()

    def is_of_length(self) -> bool:
        """Whether it asks how many items an argument has."""
        asked = getattr(self.condition, "first", None)
        if self.message is not None or self.where or not isinstance(asked, Length):
            return False
        return isinstance(asked.sequence, Parameter) and all(
            isinstance(other, NumberLiteral) for _, other in self.condition.rest
        )


@dataclass(eq=False)
class PositiveNode:
    """Arguments that must be 1 or more for all that follows."""

    arguments: list[Parameter]


@dataclass(eq=False)
class Phi:
    """A value that is one of several: of the branches (None where one leaves it unset)."""

    value: TraceValue
    sources: list[TraceValue | None]


@dataclass(eq=False)
class IfNode:
    cases: list[tuple[Any, list[TraceNode]]]
    otherwise: list[TraceNode]
    phis: list[Phi] = field(default_factory=list)
    again: IfNode | None = None
    """The branches that these are once more, if they are."""

    @property
    def bodies(self) -> list[list[TraceNode]]:
        return [b for _, b in self.cases] + [self.otherwise]

    @property
    def meets(self) -> Sequence[Phi]:
        """The values that are one of several behind it."""
        return self.phis


@dataclass(eq=False)
class ChannelsNode:
    """`local = term`, for channels or counts that a loop or branches change."""

    local: Local
    term: Any


@dataclass(eq=False)
class Carried:
    """What a loop hands on: the value inside, before the first and behind each iteration."""

    value: TraceValue
    before: TraceValue
    after: TraceValue


@dataclass(eq=False)
class ForNode:
    """`target` is a variable, or a tuple of targets that take apart an item."""

    target: Any
    first: Any
    last: Any
    """None for a loop over the list `first`."""
    step: Any
    body: list[TraceNode]
    carried: list[Carried] = field(default_factory=list)

    @property
    def variables(self) -> list[Local]:
        return variables_of(self.target)

    @property
    def sources(self) -> dict[Local, Any]:
        """The list that each variable is of, or the ends and step of its range."""
        if self.last is not None:
            return {self.target: ListTerm((self.last, self.first, self.step))}

        def found(target: Any, over: Any) -> Iterator[tuple[Local, Any]]:
            match target, over:
                case Local(), _:
                    yield target, over
                case (index, item), Apply("enumerate", (items, _)):
                    yield from (*found(index, items), *found(item, items))
                case _, Apply("zip", lists):
                    for part, items in zip(target, lists, strict=True):
                        yield from found(part, items)
                case _:
                    yield from ((v, over) for v in variables_of(target))

        return dict(found(self.target, self.first))

    @property
    def index(self) -> Local | None:
        """The variable that counts the iterations, if one does."""
        match self.first:
            case Apply("enumerate"):
                return self.target[0] if isinstance(self.target[0], Local) else None
        return None if self.last is None else self.variables[0]

    @property
    def bodies(self) -> list[list[TraceNode]]:
        return [self.body]

    @property
    def meets(self) -> Sequence[Carried]:
        """The values that are one of several in it and behind it."""
        return self.carried


def variables_of(target: Any) -> list[Local]:
    """The variables of a loop's target."""
    if isinstance(target, tuple):
        return [v for part in target for v in variables_of(part)]
    return [target]


TraceNode = LineNode | LetNode | CheckNode | PositiveNode | IfNode | ChannelsNode | ForNode


@dataclass(frozen=True, eq=False)
class PredictChoice:
    """What `predict` does behind `forward`, where the arguments of the class decide it."""

    condition: Any
    then: Prediction
    otherwise: Prediction


Prediction = OpCall | PredictChoice | None
"""What makes an output of the net of that of `forward`; None: they are the same."""


@dataclass(eq=False)
class Trace:
    template: Template
    inputs: list[TraceValue]
    nodes: list[TraceNode]
    outputs: list[TraceValue]
    output_names: list[str]
    sample: dict[Any, Any]
    holders: Mapping[Local, Extent] = field(default_factory=dict)
    """The values whose channels, heights and widths local variables are."""
    counted: Collection[Local] = ()
    """The local variables that count layers."""
    key: Any = None
    """What `Traces` knows the trace of a template by."""
    alone: Any = None
    """Of a net, the condition under which it gives its first output alone."""
    ops: Mapping[str, Any] = field(default_factory=dict)
    """The parameters that it has no argument for, as they hold ops, with what they hold."""
    restricted: str = ""
    """Why it is written for certain arguments only, where it is."""
    is_single: bool = False
    """Whether it is of one use of its module, which has names of its own."""
    block: Block | None = None
    """The block that this is a trace of, and of no other; None for that of a template."""
    made: Mapping[str, Any] = field(default_factory=dict)
    """The parameters whose ops are arguments of the class (`made_ops.MadeArgument`)."""
    predictions: list[Prediction] = field(default_factory=list)
    """Of a net that ends in logits: what `predict` makes of each result."""
    staying: list[str] = field(default_factory=list)
    """Of a net, why the op that makes each result stays in `forward`, if it could be elsewhere."""
    ends_in_logits: bool = False
    """Whether an op was taken off its end."""


def made_of_sizes(term: Any) -> bool:
    """Whether a number is made of heights and widths of values."""
    for leaf in leaves(term):
        match leaf:
            case Extent(_, axis) if axis:
                return True
            case InstanceSize(instance, index, axis):
                channels = (t.outputs[index].channels for t in instance.traces)
                if axis or any(map(made_of_sizes, channels)):
                    return True
    return False


def is_mixed(items: ListTerm) -> bool:
    """Whether a list has items of several kinds: words and numbers."""
    return len({type(item) for item in items.items}) > 1


def walk(nodes: Sequence[TraceNode]) -> Iterator[TraceNode]:
    for node in nodes:
        yield node
        if isinstance(node, IfNode | ForNode):
            for body in node.bodies:
                yield from walk(body)


def calls_in(nodes: Sequence[TraceNode]) -> Iterator[Call]:
    """The calls of nodes, those of branches and loops as well, in the order of the text.

    Those of a chain come before it.
    """
    for node in walk(nodes):
        if isinstance(node, LineNode):
            for c in node.calls:
                yield from parts_of(c)


def parts_of(c: Call) -> Iterator[Call]:
    """The calls that a chain is made of, and itself."""
    if isinstance(c, ChainCall):
        for part in c.calls:
            yield from parts_of(part)
    yield c


def behind_loop(
    flow: Carried, pairs: Sequence[Carried | None], body: Sequence[TraceNode]
) -> TraceValue:
    """What flows behind a loop: what it hands on under a name, where that is the same."""
    if any(flow.value in c.inputs for c in calls_in(body)):
        return flow.value
    same = [p for p in pairs if p and (p.before, p.after) == (flow.before, flow.after)]
    return same[-1].value


def positive_in(nodes: Sequence[TraceNode]) -> list[Parameter]:
    """The arguments that are checked before all of these nodes."""
    return nodes[0].arguments if nodes and isinstance(nodes[0], PositiveNode) else []


def require_positive(nodes: list[TraceNode], arguments: Sequence[Parameter]) -> None:
    """Have arguments checked before all of these nodes."""
    if arguments and not positive_in(nodes):
        nodes.insert(0, PositiveNode([]))
    positive_in(nodes).extend(arguments)


def prune(nodes: list[TraceNode], known: Sequence[Parameter] = ()) -> None:
    """Leave out checks of arguments that are checked before."""
    for node in list(nodes):
        match node:
            case PositiveNode():
                node.arguments = [a for a in node.arguments if a not in known]
                known = [*known, *node.arguments]
                if not node.arguments:
                    nodes.remove(node)
            case CheckNode(condition, None):
                above = [Compared(a, ((">=", ONE),)) for a in known]
                if reduced(condition, above) is None:
                    nodes.remove(node)
            case IfNode():
                for body in node.bodies:
                    prune(body, known)
                in_all = [a for a in positive_in(node.bodies[0]) if a not in known]
                in_all = [a for a in in_all if all(a in positive_in(b) for b in node.bodies)]
                require_positive(nodes, in_all)
                known = [*known, *in_all]
                for body in node.bodies:
                    prune(body, known)
            case ForNode():
                prune(node.body, known)
