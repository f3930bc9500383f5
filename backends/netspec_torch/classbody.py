"""The inside of an emitted class: the lines of its constructor and of its `forward`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from netspec.codegen.identifiers import is_plain
from netspec.codegen.python_source import (
    FunctionCall,
    Source,
    Verbatim,
    statement,
)
from netspec.ir import Block, Instance, Layer, Node
from netspec.lazy_dataclasses import dataclass
from netspec.ops import Shape, Weighted, Windowed, text
from netspec.ops.activation import LogSoftmax, Softmax
from netspec.ops.convolution import Conv, Linear
from netspec.ops.pooling import GlobalAvgPool
from netspec.symbolic.conditions import Compared, ConstantTerm, negated
from netspec.symbolic.expr import Parameter
from netspec_torch.emission import Emission, apply
from netspec_torch.emitters import EMITTERS, WRAPS
from netspec_torch.flow import Assignment, Copy, Flow, IfStatement, Statement, flow
from netspec_torch.reserved import MODULE_ATTRIBUTES
from netspec_torch.variants import (
    Item,
    MergedBranch,
    MergedNode,
    joins,
    restated,
    unify,
    without_identities,
)
from netspec_torch.writer import NumberWriter

_OWN_METHODS = {"load", "preprocess"}


@dataclass(frozen=True)
class ClassBody:
    """`init` are the constructor's lines behind `super().__init__()`.

    `forward` is None where the class inherits its own.
    """

    init: list[str]
    forward: list[str] | None
    inputs: tuple[str, ...]


Construct = Callable[[Instance, NumberWriter], FunctionCall]


class Different(Exception):
    """The blocks can't share one class."""


def class_body(
    blocks: Sequence[Block],
    writers: Sequence[NumberWriter],
    construct: Construct,
    taken: Sequence[str],
    shapes: bool = False,
) -> ClassBody | None:
    """A class that is each of the blocks, by the arguments that each one's writer knows.

    None where one class can't be. `construct` writes the constructor call of an instance; `shapes`
    asks for comments.
    """
    blocks = [without_identities(b) for b in blocks]
    items = unify(blocks)
    if items is None:
        return None
    plan = flow(blocks, items, taken, _wraps)
    if plan is None:
        return None
    try:
        body = _ClassBodyWriter(blocks, writers, construct, items, plan, shapes)
        forward = body.forward()
        return ClassBody(body.constructor(), forward, plan.inputs)
    except Different:
        return None


class _ClassBodyWriter:
    def __init__(
        self,
        blocks: Sequence[Block],
        writers: Sequence[NumberWriter],
        construct: Construct,
        items: tuple[Item, ...],
        plan: Flow,
        shapes: bool,
    ) -> None:
        self.blocks = blocks
        self.writers = writers
        self.construct = construct
        self.items = items
        self.plan = plan
        self.shown: Shape | None = None
        self.shapes = shapes
        self.read = [{v for n in b.nodes for v in n.inputs} | set(b.outputs) for b in blocks]
        self.uses = {join: self._use(join) for join in joins(items)}
        self.attributes = {_name(j) for j, use in self.uses.items() if use.constructor is not None}
        self.tests: dict[MergedBranch, _Test] = {}

    def _use(self, join: MergedNode) -> Emission:
        """How the layer is written; the same for all variants, or Different."""
        several = any(
            output in self.read[v] for v, n in join.nodes.items() for output in n.outputs[1:]
        )
        inputs = len(join.first.inputs)
        uses = {v: self._one_use(n, self.writers[v], several) for v, n in join.nodes.items()}
        if len({_text(u, inputs) for u in uses.values()}) == 1:
            return next(iter(uses.values()))
        # What is `in_channels` in one may be `expansion * in_channels` in all of them.
        for model in dict.fromkeys(join.nodes.values()):
            alike = [
                self._one_use(restated(node, model), self.writers[v], several)
                for v, node in join.nodes.items()
            ]
            if len({_text(u, inputs) for u in alike}) == 1:
                return alike[0]
        raise Different

    def _one_use(self, node: Node, writer: NumberWriter, several: bool) -> Emission:
        if isinstance(node, Layer):
            return EMITTERS[type(node.op)](node, writer, several)
        only_first = bool(node.outputs[1:]) and not several
        return Emission(_first if only_first else apply, self.construct(node, writer))

    # --- the constructor -------------------------------------------------------------------------

    def constructor(self) -> list[str]:
        return self._made(self.items, 8)

    def _made(self, items: Sequence[Item], indent: int) -> list[str]:
        lines: list[str] = []
        for item in items:
            if isinstance(item, MergedBranch):
                lines += self._decided(item, indent)
                continue
            constructor = self.uses[item].constructor
            if constructor is not None:
                lines += assigned(_name(item), constructor, indent)
        return lines

    def _decided(self, fork: MergedBranch, indent: int) -> list[str]:
        if len(fork.branches) != 2:
            raise Different
        first, second = fork.branches
        margin = " " * indent
        test = self.tests.get(fork)
        bodies = {branch: self._made(items, indent + 4) for branch, items in fork.branches.items()}
        if test is not None and not test.stored:
            other = second if test.branch == first else first
            bodies[other].insert(0, f"{margin}    self.{test.name} = None")
        common = _parted(bodies, indent)
        if test is None and not any(bodies.values()):
            return common
        lines: list[str] = []
        condition, opposite = self._condition(fork, first)
        if test is not None and test.stored:
            lines = [f"{margin}self.{test.name} = {condition}"]
            condition, opposite = f"self.{test.name}", f"not self.{test.name}"
        if bodies[first]:
            lines += [f"{margin}if {condition}:", *bodies[first]]
            if bodies[second]:
                lines += [f"{margin}else:", *bodies[second]]
        elif bodies[second]:
            lines += [f"{margin}if {opposite}:", *bodies[second]]
        return [*lines, *common]

    def _condition(self, fork: MergedBranch, branch: int) -> tuple[str, str]:
        """The condition of a branch as source, and its opposite."""
        for v, taken in fork.taken.items():
            written = self.writers[v].condition(fork.tests[branch], taken == branch)
            if written is None:
                raise Different
        writer = self.writers[next(iter(fork.taken))]
        truth = fork.taken[next(iter(fork.taken))] == branch
        opposite = writer.condition(negated(fork.tests[branch]), not truth)
        if opposite is None:
            raise Different
        return written or "", opposite

    def _test(self, fork: MergedBranch) -> _Test:
        """How `forward` sees which branch the constructor took."""
        own = {
            branch: [
                _name(j) for j in items if isinstance(j, MergedNode) and self.uses[j].constructor
            ]
            for branch, items in fork.branches.items()
        }
        first, second = fork.branches
        everywhere = {
            branch: {_name(j) for j in joins(items)} for branch, items in fork.branches.items()
        }
        kept = {
            branch: {_name(j) for j in joins(items) if self.uses[j].constructor is not None}
            for branch, items in fork.branches.items()
        }
        for branch, other in ((first, second), (second, first)):
            for name in own[branch]:
                if name not in kept[other] and attribute(name) == f"self.{name}":
                    return _Test(name, branch, stored=False)
        name = self._truth(fork, everywhere)
        while name in self.attributes or not is_plain(name) or name in MODULE_ATTRIBUTES:
            name = f"{name}_" if is_plain(f"{name}_") else "has_branch"
        self.attributes.add(name)
        return _Test(name, first, stored=True)

    def _truth(self, fork: MergedBranch, names: Mapping[int, set[str]]) -> str:
        """What to call the condition of the first branch."""
        first, second = fork.branches
        match fork.tests[first]:
            case Parameter(flag):
                return flag
            case Compared(Parameter(), (("==", ConstantTerm(str() as word)),)):
                return f"is_{word}"
        own = [j for j in joins(fork.branches[first]) if j.first.name not in names[second]]
        named = next(joins([*own, *fork.branches[first], *fork.branches[second]]))
        node = named.first
        what = node.line or (node.op.keyword if isinstance(node, Layer) else node.name)
        return f"has_{what}" if own or not names[first] else f"first_{what}"

    # --- forward ---------------------------------------------------------------------------------

    def forward(self) -> list[str]:
        lines = self._run(self.plan.statements, 8)
        last = self.plan.statements[-1] if self.plan.statements else None
        if not (isinstance(last, Assignment) and last.returns):
            lines += statement("return ", Verbatim(", ".join(self.plan.outputs)), 8)
        return lines

    def _run(self, statements: Sequence[Statement], indent: int) -> list[str]:
        lines: list[str] = []
        for item in statements:
            if isinstance(item, Copy):
                lines.append(f"{' ' * indent}{item.target} = {item.source}")
            elif isinstance(item, IfStatement):
                lines += self._branch(item, indent)
            else:
                lines += self._line(item, indent)
        return lines

    def _branch(self, branch: IfStatement, indent: int) -> list[str]:
        margin = " " * indent
        if len(branch.fork.branches) != 2:
            raise Different
        first, second = branch.fork.branches
        bodies = {i: self._run(s, indent + 4) for i, s in branch.branches.items()}
        common = _parted(bodies, indent)
        if not any(bodies.values()):
            return common
        test = self.tests[branch.fork] = self._test(branch.fork)
        if not bodies[first]:
            return [f"{margin}if {test.says(second)}:", *bodies[second], *common]
        lines = [f"{margin}if {test.says(first)}:", *bodies[first]]
        if bodies[second]:
            lines += [f"{margin}else:", *bodies[second]]
        return [*lines, *common]

    def _line(self, line: Assignment, indent: int) -> list[str]:
        source = self._expression(line)
        if line.returns:
            return statement("return ", source, indent)
        targets = ", ".join(t or "_" for t in line.targets)
        if source.flat() == targets:
            return []
        return statement(f"{targets} = ", source, indent, self._comment(line))

    def _expression(self, line: Assignment) -> Source:
        inputs: list[Source] = [Verbatim(name) for name in line.inputs]
        fresh = bool(line.makers) and all(self.uses[j].fresh for j in line.makers)
        for join in line.joins:
            use = self.uses[join]
            inputs = [use.call(attribute(_name(join)), inputs, overwrite=fresh)]
            fresh = use.fresh
        return inputs[0]

    def _comment(self, line: Assignment) -> str:
        """The shape that a line assigns, unless it was the last one to be shown."""
        outputs = line.joins[-1].first.outputs
        shapes = [v.shape for v, t in zip(outputs, line.targets, strict=False) if t is not None]
        if not self.shapes:
            return ""
        before, self.shown = self.shown, None
        if len(shapes) != 1 or len(shapes[0]) != 3:
            return ""
        self.shown = shapes[0]
        return "" if shapes[0] == before else text(shapes[0])


def _parted(bodies: dict[int, list[str]], indent: int) -> list[str]:
    """Takes the statements that all branches end with out of them, to stand behind the `if`."""
    margin = " " * (indent + 4)
    first, *others = bodies.values()
    count = 0
    for length in range(1, min(map(len, bodies.values())) + 1):
        if any(other[-length:] != first[-length:] for other in others):
            break
        line = first[-length]
        starts = line.startswith(margin) and line[len(margin)].isalpha()
        if starts and not line[len(margin) :].startswith(("else:", "elif ")):
            count = length
    if not count:
        return []
    common = [line[4:] for line in first[-count:]]
    for body in bodies.values():
        del body[-count:]
    return common


@dataclass(frozen=True)
class _Test:
    """An attribute that tells branches apart: a stored bool, or what is None but in `branch`."""

    name: str
    branch: int
    stored: bool

    def says(self, branch: int) -> str:
        if self.stored:
            return f"self.{self.name}" if branch == self.branch else f"not self.{self.name}"
        return f"self.{self.name} is {'not ' if branch == self.branch else ''}None"


def attribute(name: str) -> str:
    """How a layer is reached from `self`, such that its weights bear its name."""
    if name in MODULE_ATTRIBUTES or name in _OWN_METHODS or name.startswith("__"):
        return f'self._modules["{name}"]'
    # TorchScript knows getattr, but not _modules.
    return f"self.{name}" if is_plain(name) else f'getattr(self, "{name}")'


def assigned(name: str, module: FunctionCall, indent: int) -> list[str]:
    """The lines that make a layer."""
    place = attribute(name)
    if place.startswith("getattr"):
        return statement(
            "", FunctionCall("self.add_module", (Verbatim(f'"{name}"'), module)), indent
        )
    return statement(f"{place} = ", module, indent)


def _name(join: MergedNode) -> str:
    return join.first.name


def _text(use: Emission, inputs: int) -> tuple[str, str]:
    """What an emitter wrote, for comparison."""
    names: list[Source] = [Verbatim(f"i{i}") for i in range(inputs)]
    return use.constructor.flat() if use.constructor else "", use.forward("self.m", names).flat()


def _first(name: str, inputs: list[Source]) -> Source:
    return FunctionCall(name, tuple(inputs), tail="[0]")


def _wraps(before: Node, node: Node) -> bool:
    """Whether a careful author would write two steps as one expression."""
    if not isinstance(node, Layer):
        return False
    weighted = isinstance(node.op, Weighted)
    if isinstance(before, Instance) and isinstance(node.op, Windowed) and not weighted:
        return True
    if isinstance(before, Layer):
        if before.op.training_only and weighted:
            return True
        if isinstance(before.op, GlobalAvgPool | Linear):
            if isinstance(node.op, Softmax | LogSoftmax):
                return True
        if isinstance(before.op, Conv) and isinstance(node.op, Softmax | LogSoftmax):
            return node.line == before.line
    return node.line == before.line and type(node.op) in WRAPS
