"""Runs of chains as instances of modules, and when two of them are alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Literal

from netspec.importers.structure.attributes import attribute_values
from netspec.importers.structure.chains import NodeChain
from netspec.importers.structure.graph import ConstantValue, GraphValue
from netspec.importers.structure.names import words_of
from netspec.lazy_dataclasses import dataclass


@dataclass(eq=False)
class ModuleInstance:
    """A run of chains that is, or may be, an instance of a module."""

    first: int
    """The index of its first chain in the net."""
    chains: list[NodeChain]
    inputs: list[GraphValue]
    """The values that it takes, in the order of their first use."""
    outputs: list[GraphValue]
    """The values that it gives, in the order in which its chains do."""
    prefix: str
    """What the names of its layers begin with, or end with; empty where they share nothing."""
    by_name: bool
    """Whether its layers are exactly those with this prefix."""
    merge: NodeChain | None = None
    """The last chain, if it adds a shortcut to the body's result."""
    shortcut: NodeChain | None = None
    """The chain from the input to `merge`; without one, `merge` takes the input itself."""

    @property
    def end(self) -> int:
        """The index behind its last chain."""
        return self.first + len(self.chains)

    @property
    def output(self) -> GraphValue:
        """The first value that it gives."""
        return self.outputs[0]

    @property
    def label(self) -> str:
        """Its own name: what the names of its layers share, else the name of its last layer."""
        if self.prefix:
            return self.prefix
        return self.chains[-1].head.name or (words_of(self.chains[0].head.name) or [""])[0]

    @property
    def body(self) -> list[NodeChain]:
        """The chains without merge and shortcut."""
        return [
            chain for chain in self.chains if chain is not self.merge and chain is not self.shortcut
        ]


@dataclass(frozen=True)
class RepeatedModule:
    """The instances of one module.

    `equal`: all are alike. `projecting`: some have a chain on their shortcut, others add their
    input as it is. `adding`: some add their input to their result, others do not.
    """

    instances: list[ModuleInstance]
    kind: Literal["equal", "projecting", "adding"] = "equal"


def signature(
    instance: ModuleInstance, chains: Sequence[NodeChain], outputs: Sequence[GraphValue]
) -> object:
    """An object that is equal for runs of chains with the same ops, wired alike.

    Numbers may differ, but not the sizes of kernels of convolutions.
    """
    places: dict[GraphValue, object] = {v: ("input", i) for i, v in enumerate(instance.inputs)}
    result: list[object] = []
    for i, chain in enumerate(chains):
        wiring = tuple(places[v] for v in chain.inputs)
        result.append(
            (wiring, tuple(_kind(node.op, attribute_values(node)) for node in chain.nodes))
        )
        for j, value in enumerate(chain.outputs):
            places[value] = (i, j)
    return (tuple(result), tuple(places[v] for v in outputs), len(instance.inputs))


def chain_signature(chain: NodeChain) -> object:
    """An object that is equal for chains with the same ops, whatever their numbers."""
    return tuple(_kind(node.op, attribute_values(node)) for node in chain.nodes)


def _kind(op: str, given: Mapping[str, ConstantValue]) -> object:
    """An op with its fields, without numbers; but a kernel of another size is another design."""
    fields: list[tuple[str, object]] = []
    for name, value in sorted(given.items()):
        if name == "kernel" and "filters" in given:
            fields.append((name, value))
        elif name == "frozen":
            continue
        elif isinstance(value, Fraction):
            fields.append((name, "number"))
        elif isinstance(value, tuple):
            fields.append((name, len(value)))
        else:
            fields.append((name, value))
    return (op, tuple(fields))
