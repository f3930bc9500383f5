"""Modules as data: what their instances have in common, their parameters and lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Literal

from netspec.importers.structure.attributes import attribute_values
from netspec.importers.structure.graph import ConstantValue, GraphValue, Node
from netspec.lazy_dataclasses import dataclass, field
from netspec.ops import OPS

SlotValue = tuple[int, int]
"""A value of a body: the index of its slot and which result; the last input is -1."""
Vector = list[ConstantValue | None]
"""A value for each instance; None where it has no such field."""


@dataclass(frozen=True, eq=False)
class BodyStep:
    """A node, or the use of a module (`module`, and which of its instances), in an instance."""

    path: str
    """Its name within the instance."""
    inputs: list[GraphValue]
    outputs: list[GraphValue]
    node: Node
    """The node; of a module's use the first one inside."""
    module: SharedModule | None = None
    index: int = 0

    def values(self) -> Mapping[str, ConstantValue]:
        """Its fields with their values."""
        if self.module is None:
            return attribute_values(self.node)
        return {p.name: p.value(self.index) for p in self.module.parameters}

    @property
    def activates(self) -> bool:
        """Whether it is an activation without fields, in whose place others may stand."""
        return self.module is None and OPS[self.node.op].activation and not self.node.settings

    @property
    def kind(self) -> object:
        """What steps have in common that are the same one of a module."""
        if self.module is not None:
            return self.module
        if self.activates:
            return "activation"
        node = self.node
        if node.op != "conv":
            return node.op, len(node.inputs), len(node.outputs)
        values = attribute_values(node)
        return node.op, values["kernel"] == (1, 1), values.get("groups") == "depthwise"


@dataclass(frozen=True, eq=False)
class BodyInstance:
    """What may be an instance of a module: its steps, the values that it takes and gives."""

    path: str
    steps: list[BodyStep]
    inputs: list[GraphValue]
    outputs: list[GraphValue]

    def signature(self) -> object:
        """An object that is equal for instances with the same steps, wired alike."""
        made = input_refs(self.inputs)
        found = []
        for i, step in enumerate(self.steps):
            found.append((step.kind, tuple(made[v] for v in step.inputs)))
            made |= {v: (i, j) for j, v in enumerate(step.outputs)}
        return tuple(found), tuple(made[v] for v in self.outputs)


def input_refs(inputs: Sequence[GraphValue]) -> dict[GraphValue, SlotValue]:
    """The inputs of a body."""
    return {v: (i - len(inputs), 0) for i, v in enumerate(inputs)}


@dataclass(eq=False)
class OptionalRun:
    """Slots in a row that the same instances have, and not all.

    What takes the result `out` takes `otherwise` where they are missing. Either that is what flows
    in front of them, or the slot behind them stands in both branches of the condition (`merges`).
    """

    first: int
    end: int
    present: tuple[bool, ...]
    out: SlotValue | None = None
    otherwise: SlotValue | None = None
    merges: bool = False


@dataclass(eq=False)
class SharedBody:
    """The slots of a module; `slots[s][i]` is the step of instance i, None where it has none."""

    instances: list[BodyInstance]
    slots: list[list[BodyStep | None]]
    wiring: list[tuple[SlotValue, ...]]
    results: tuple[SlotValue, ...]
    optional: list[OptionalRun]

    def one(self, slot: int) -> BodyStep:
        """A step of a slot, as an example."""
        return next(s for s in self.slots[slot] if s is not None)

    def run_of(self, slot: int) -> OptionalRun | None:
        """The optional run that a slot is in."""
        return next((r for r in self.optional if r.first <= slot < r.end), None)

    def users(self) -> dict[SlotValue, int]:
        """How many slots take each value, those behind optional runs in both ways."""
        found: dict[SlotValue, int] = {}
        for taken in self.wiring:
            for ref in dict.fromkeys(taken):
                found[ref] = found.get(ref, 0) + 1
        for run in self.optional:
            if run.otherwise is not None:
                found[run.otherwise] = found.get(run.otherwise, 0) + 1
        return found


@dataclass(frozen=True, eq=False)
class BodyLine:
    """Slots of which each takes only the value of the one before: one statement."""

    first: int
    end: int
    path: str
    """What its steps are called in the imported file; empty where no name is its own."""
    name: str
    """Its name, which it may do without."""
    stated: bool
    """Whether the name is written in any case."""


@dataclass(frozen=True)
class SlotChannels:
    """The expression `x.channels`."""

    ref: SlotValue


@dataclass(frozen=True)
class Multiple:
    """The expression `factor * base`. A string is the name of a parameter."""

    base: str | SlotChannels
    factor: Fraction | str = Fraction(1)
    """A whole number, or one over it."""


@dataclass(frozen=True)
class HalfOf:
    """The expression `kernel // 2`."""

    parameter: str


Formula = ConstantValue | Multiple | HalfOf
"""How a field is written."""


@dataclass(frozen=True)
class BranchTest:
    """What a parameter is (`value` None: true), or that the input has as many channels."""

    parameter: str = ""
    value: Fraction | None = None
    channels: Formula | None = None
    holds: Literal["==", "!=", ">"] = "=="


@dataclass(frozen=True)
class BranchTests:
    """When an instance has what is optional: where all tests hold, or any."""

    tests: tuple[BranchTest, ...]
    every: bool = True


@dataclass
class SharedParameter:
    """A parameter with its value in each instance; without a default it must be given.

    `kind` is `count` where it counts channels, `op` or `flag`, else the name of the field.
    """

    name: str
    kind: str
    given: Vector
    default: ConstantValue | None = None

    def value(self, instance: int) -> ConstantValue:
        """Its value in an instance."""
        found = self.given[instance]
        assert found is not None, "all parameters are given in the end"
        return found


@dataclass(eq=False)
class SharedModule:
    """A module with all that is needed to write it."""

    name: str
    body: SharedBody
    lines: list[BodyLine]
    parameters: list[SharedParameter] = field(default_factory=list)
    formulas: dict[tuple[int, str], Formula] = field(default_factory=dict)
    """How each field of each slot is written."""
    ops: dict[int, str] = field(default_factory=dict)
    """The parameter that says which op a slot is, where instances differ."""
    conditions: dict[int, BranchTests] = field(default_factory=dict)
    """When an optional run is there, by the index of its first slot."""
