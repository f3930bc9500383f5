"""Instances of a net that may be instances of one module, and when two are alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from netspec.importers.structure.attributes import values
from netspec.importers.structure.chains import NodeChain
from netspec.importers.structure.graph import ConstantValue, GraphValue
from netspec.importers.structure.names import words_of


@dataclass(eq=False)
class ModuleInstance:
    """A run of chains that is an instance of a module."""

    first: int
    chains: list[NodeChain]
    inputs: list[GraphValue]
    """The values that it takes, in the order in which it first does."""
    output: GraphValue
    prefix: str
    """What its names begin with, or end with, empty for nothing."""
    by_name: bool
    """Whether its names set it apart from what is around it."""
    merge: NodeChain | None = None
    """The chain that adds a shortcut, if it is the last one and adds two values."""
    shortcut: NodeChain | None = None
    """The chain between input and merge; without one, the merge takes the input itself."""

    @property
    def end(self) -> int:
        return self.first + len(self.chains)

    @property
    def body(self) -> list[NodeChain]:
        """The chains without merge and shortcut."""
        return [
            chain for chain in self.chains if chain is not self.merge and chain is not self.shortcut
        ]


@dataclass(frozen=True)
class RepeatedModule:
    """The instances of one module.

    Of a `projecting` one, some have a shortcut with a chain on it and others an input that is added
    as it is; of an `adding` one, some add their input at the end and others do not.
    """

    instances: list[ModuleInstance]
    kind: Literal["equal", "projecting", "adding"] = "equal"


def signature(instance: ModuleInstance, chains: Sequence[NodeChain], output: GraphValue) -> object:
    """Equal for runs of chains that are the same but for numbers."""
    places: dict[GraphValue, object] = {v: ("input", i) for i, v in enumerate(instance.inputs)}
    result: list[object] = []
    for i, chain in enumerate(chains):
        wiring = tuple(places[v] for v in chain.inputs)
        result.append((wiring, tuple(_kind(node.op, values(node)) for node in chain.nodes)))
        for j, value in enumerate(chain.outputs):
            places[value] = (i, j)
    return (tuple(result), places[output], len(instance.inputs))


def chain_signature(chain: NodeChain) -> object:
    """Equal for chains of the same ops but for numbers."""
    return tuple(_kind(node.op, values(node)) for node in chain.nodes)


def _kind(op: str, given: Mapping[str, ConstantValue]) -> object:
    """An op with all of its fields but numbers; a filter of another size is another design."""
    fields: list[tuple[str, object]] = []
    for name, value in sorted(given.items()):
        if name == "kernel" and "filters" in given:
            fields.append((name, value))
        elif isinstance(value, Fraction):
            fields.append((name, "number"))
        elif isinstance(value, tuple):
            fields.append((name, len(value)))
        else:
            fields.append((name, value))
    return (op, tuple(fields))


def label(instance: ModuleInstance) -> str:
    """What an instance is called: what its names have in common, or the name of its last chain."""
    if instance.prefix:
        return instance.prefix
    return instance.chains[-1].head.name or (words_of(instance.chains[0].head.name) or [""])[0]
