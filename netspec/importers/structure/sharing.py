"""Nodes that have the weights of others: what a spec can say of it, as lines used again."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.diagnostics import Diagnostic, Label
from netspec.diagnostics.source import Span
from netspec.importers.structure.attributes import TRAINING_FIELDS, attribute_values
from netspec.importers.structure.chains import NodeChain, chains_of
from netspec.importers.structure.graph import FieldValue, Graph, Node
from netspec.lazy_dataclasses import dataclass


@dataclass(frozen=True)
class Unshared:
    """A node that can't have the weights of another, as a field differs (or the op, "")."""

    node: Node
    first: Node
    field: str
    span: Span


def settle_sharing(graph: Graph) -> list[Unshared]:
    """Leave what a spec can say, and give what it can't; how weights begin, the first node says."""
    found: list[Unshared] = []
    kept = set(map(id, graph.nodes))
    instead: dict[int, Node] = {}
    """What has the weights of a node that is gone, by the id of that."""
    for node in graph.nodes:
        first = node.shares
        if first is None:
            continue
        if id(first) not in kept:
            first = instead.setdefault(id(first), node)
        node.shares = None
        if first is node:
            continue
        differing = _differing(node, first)
        if differing is None:
            node.shares = first
            node.settings = {**node.settings, **_of_training(first)}
        else:
            span = node.settings[differing].span if differing in node.settings else node.span
            found.append(Unshared(node, first, differing, span))
    return found


def not_shared(one: Unshared) -> Diagnostic:
    """The warning of a layer that can't share weights, though the file says so."""
    differs = f"it has another {one.field}" if one.field else "it is another layer here"
    message = (
        f"{one.node.name} shares its weights with {one.first.name}, but {differs}; "
        "here each has its own"
    )
    others = (Label(one.first.span, "the first layer with these weights"),)
    return Diagnostic("shared-weights", message, one.span, others=others)


def _differing(node: Node, first: Node) -> str | None:
    """The first field in which two nodes differ, "" where it is the op; None where none does."""
    if node.op != first.op or node.origins.keys() != first.origins.keys():
        return ""
    a, b = (_fixed(n) for n in (node, first))
    return next((name for name in (*a, *b) if a.get(name) != b.get(name)), None)


def _fixed(node: Node) -> dict[str, object]:
    """What a node computes with, but for its weights."""
    return {n: v for n, v in attribute_values(node).items() if n not in TRAINING_FIELDS}


def _of_training(node: Node) -> dict[str, FieldValue]:
    return {n: v for n, v in node.settings.items() if n in TRAINING_FIELDS}


def repeating_chains(graph: Graph) -> list[NodeChain]:
    """The chains of a graph, each with the one that it is once more, if it is.

    Where a chain with shared weights is like no other, what shares them stands alone.
    """
    apart: set[int] = set()
    while True:
        chains = chains_of(graph, apart)
        of = {id(n): chain for chain in chains for n in chain.nodes}
        before = len(apart)
        for chain in chains:
            sharing = [n for n in chain.nodes if n.shares is not None]
            if not sharing:
                continue
            owners = {id(of[id(n.shares)]): of[id(n.shares)] for n in sharing}
            (first, *more) = owners.values()
            if more or not _is_alike(chain, first):
                apart |= {id(n) for own in sharing for n in (own, own.shares)}
            else:
                chain.repeats = first
        if len(apart) == before:
            return chains


def _is_alike(chain: NodeChain, first: NodeChain) -> bool:
    """Whether a chain is another once more, on other inputs."""
    if len(chain.nodes) != len(first.nodes):
        return False
    for node, other in zip(chain.nodes, first.nodes, strict=True):
        weights = node.shares is other if other.origins else node.shares is None
        if node.op != other.op or _fixed(node) != _fixed(other) or not weights:
            return False
    wiring = [[c.inputs.index(v) for v in c.inputs] for c in (chain, first)]
    return wiring[0] == wiring[1]


def sharing_nodes(chains: Sequence[NodeChain]) -> set[int]:
    """The ids of nodes that share weights, or whose weights others have."""
    found = [n for chain in chains for n in chain.nodes if n.shares is not None]
    return {id(n) for n in found} | {id(n.shares) for n in found}
