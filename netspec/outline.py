"""The order in which emitted code says what a block does: one step a statement, with variables.

Backends share it, so that both name things alike. A step is a layer or instance, with the layers
that can be wrapped around it in the same expression; `x` is the value that flows from step to
step, everything else bears the name that the spec gives it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from netspec.ir import Block, Layer, Node, Value
from netspec.naming import Names
from netspec.ops import Shape, text

FLOW = "x"


@dataclass(frozen=True)
class Step:
    """`targets = nodes[-1](... nodes[0](inputs))`.

    `targets` has a variable for each result of the last node, None for one that is not used; only
    the first where no other is used. All are None in the last step of a block that can
    return its value at once (`returns`).
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    targets: tuple[str | None, ...]
    returns: bool

    @property
    def values(self) -> tuple[Value, ...]:
        return self.nodes[-1].outputs


@dataclass(frozen=True)
class Outline:
    """`inputs` are the variables of the block's inputs, `outputs` of what it returns."""

    inputs: tuple[str, ...]
    steps: tuple[Step, ...]
    outputs: tuple[str, ...]


def outline(block: Block, taken: tuple[str, ...], wraps: Callable[[Node], bool]) -> Outline:
    """The steps of a block. `taken` are names that can't be variables.

    `wraps` says which nodes may be written around the expression of their input.
    """
    nodes = _live(block)
    groups = _groups(block, nodes, wraps)
    return _Variables(block, groups, taken).outline()


def _live(block: Block) -> list[Node]:
    """The nodes that outputs depend on; the others are made, but need not run."""
    needed = set(block.outputs)
    live = []
    for node in reversed(block.nodes):
        if not needed.isdisjoint(node.outputs):
            live.append(node)
            needed.update(node.inputs)
    return live[::-1]


def _groups(block: Block, nodes: list[Node], wraps: Callable[[Node], bool]) -> list[list[Node]]:
    uses: dict[Value, int] = {}
    for node in nodes:
        for value in node.inputs:
            uses[value] = uses.get(value, 0) + 1
    for value in block.outputs:
        uses[value] = uses.get(value, 0) + 1
    groups: list[list[Node]] = []
    for node in nodes:
        if groups and wraps(node) and _continues(groups[-1][-1], node, uses):
            groups[-1].append(node)
        else:
            groups.append([node])
    return groups


def _continues(last: Node, node: Node, uses: dict[Value, int]) -> bool:
    """Whether a node takes only what the one before yields, and nothing else takes that."""
    used = [v for v in last.outputs if v in uses]
    return (
        isinstance(node, Layer)
        and node.inputs == tuple(used)
        and used == [last.outputs[0]]
        and uses[used[0]] == 1
        and node.line == last.line
    )


class _Variables:
    def __init__(self, block: Block, groups: list[list[Node]], taken: tuple[str, ...]) -> None:
        self.block = block
        self.groups = groups
        self.names = Names((*taken, FLOW))
        self.last_use: dict[Value, int] = {}
        self.first_use: dict[Value, int] = {}
        for i, group in enumerate(groups):
            for value in group[0].inputs:
                self.last_use[value] = i
                self.first_use.setdefault(value, i)
        for value in block.outputs:
            self.last_use[value] = len(groups)
            self.first_use.setdefault(value, len(groups))

    def outline(self) -> Outline:
        variables: dict[Value, str] = {}
        flowing: Value | None = None
        inputs = []
        for value in self.block.inputs:
            if value.name == FLOW:
                name, flowing = FLOW, value
            else:
                name = self.names.identifier(value.name.replace(".", "_"))
            variables[value] = name
            inputs.append(name)
        steps = []
        for i, group in enumerate(self.groups):
            values = group[-1].outputs
            used = [v for v in values if v in self.last_use]
            last = i == len(self.groups) - 1
            returns = last and self.block.outputs == values and len(values) == len(used)
            targets: list[str | None] = []
            for value in values:
                if value not in self.last_use or returns:
                    targets.append(None)
                    continue
                free = flowing is None or self.last_use.get(flowing, -1) <= i
                if self._flows(value, i) and free and len(used) == 1:
                    name, flowing = FLOW, value
                else:
                    name = self.names.identifier(value.name.replace(".", "_"))
                variables[value] = name
                targets.append(name)
            if not returns and not any(targets[1:]):
                del targets[1:]
            step_inputs = tuple(variables[v] for v in group[0].inputs)
            steps.append(Step(tuple(group), step_inputs, tuple(targets), returns))
        outputs = tuple(variables.get(v, "") for v in self.block.outputs)
        return Outline(tuple(inputs), tuple(steps), outputs)

    def _flows(self, value: Value, step: int) -> bool:
        """Whether the next step takes this value, and nothing else, and no later one does."""
        if not self.first_use[value] == self.last_use[value] == step + 1:
            return False
        if step + 1 == len(self.groups):
            return len(self.block.outputs) == 1
        return self.groups[step + 1][0].inputs == (value,)


def shape_comment(step: Step, shown: Shape | None) -> tuple[str, Shape | None]:
    """The shape that a step assigns, empty where it was `shown` last; and what is shown now."""
    shapes = [v.shape for v, t in zip(step.values, step.targets, strict=False) if t is not None]
    if len(shapes) != 1 or len(shapes[0]) != 3:
        return "", None
    return ("" if shapes[0] == shown else text(shapes[0])), shapes[0]
