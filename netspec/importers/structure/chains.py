"""Chains of nodes: a layer with the in-place layers, activations and norms behind it."""

from __future__ import annotations

import re
from collections.abc import Container

from netspec.importers.structure.graph import Graph, GraphValue, Node
from netspec.importers.structure.names import without_label
from netspec.lazy_dataclasses import dataclass
from netspec.ops import OPS, Weighted


@dataclass(eq=False)
class NodeChain:
    """Nodes of which each takes only the result of the one before: one statement of a spec."""

    nodes: list[Node]
    repeats: NodeChain | None = None
    """The chain that it is once more, with its weights."""

    @property
    def head(self) -> Node:
        return self.nodes[0]

    @property
    def inputs(self) -> list[GraphValue]:
        return self.head.inputs

    @property
    def outputs(self) -> list[GraphValue]:
        return self.nodes[-1].outputs

    @property
    def value(self) -> GraphValue:
        return self.outputs[0]

    @property
    def only_steps(self) -> bool:
        """Whether it is only on the way to a layer's value, such as the flatten of a linear."""
        return all(n.is_step and not n.origins for n in self.nodes)


def chains_of(graph: Graph, apart: Container[int] = ()) -> list[NodeChain]:
    """The chains of a graph, in an order in which each takes only results of earlier ones.

    Nodes whose ids are in `apart` stand alone.
    """
    uses = graph.uses()
    kept = set(graph.outputs)
    chains: list[NodeChain] = []
    by_value: dict[GraphValue, NodeChain] = {}
    for node in graph.nodes:
        chain = by_value.get(node.inputs[0]) if len(node.inputs) == 1 else None
        alone = chain is not None and uses[chain.value] == [node] and chain.value not in kept
        alone = alone and id(node) not in apart and id(chain.nodes[-1] if chain else 0) not in apart
        if chain is not None and alone and _may_continue(chain, uses) and _continues(chain, node):
            del by_value[chain.value]
            chain.nodes.append(node)
        else:
            chain = NodeChain([node])
            chains.append(chain)
        by_value[chain.value] = chain
    return _in_order(chains)


def _may_continue(chain: NodeChain, uses: dict[GraphValue, list[Node]]) -> bool:
    """Whether nothing uses further results of a chain's last node."""
    return not any(v in uses for v in chain.outputs[1:])


def _continues(chain: NodeChain, node: Node) -> bool:
    """Whether a node that takes a chain's value belongs to the chain."""
    last, head = chain.nodes[-1], chain.head
    op = OPS[node.op]
    if node.name == last.name and node.span == last.span and last.op != "flatten":
        return True  # both are of one layer
    if op.activation:
        return last.op != "flatten" or node.in_place
    if op.channel_affine:
        if issubclass(OPS[last.op], Weighted):
            return node.in_place or _digits(last.name) == _digits(node.name)
        return (node.op != "batchnorm" and OPS[last.op].channel_affine) or node.in_place
    if node.op in ("permute", "flatten"):
        # The heads of detectors: `x_mbox_loc`, `x_mbox_loc_perm`, `x_mbox_loc_flat`.
        return head.op == "conv" and without_label(node.name, head.name) != node.name
    return op.training_only and node.in_place and issubclass(OPS[head.op], Weighted)


def _digits(name: str) -> list[str]:
    """The numbers in a name: a norm of another number is that of the next layer."""
    return re.findall(r"\d+", name)


def _in_order(chains: list[NodeChain]) -> list[NodeChain]:
    """Sort chains so that each comes behind those whose values it takes, else as they were.

    The order can be wrong because a chain has nodes from further down.
    """
    made = {v: chain for chain in chains for n in chain.nodes for v in n.outputs}
    done: set[int] = set()
    result: list[NodeChain] = []
    for first in chains:
        stack = [first]
        while stack:
            chain = stack[-1]
            waits = [made[v] for v in chain.inputs if v in made and id(made[v]) not in done]
            if waits:
                stack.append(waits[0])
                continue
            stack.pop()
            if id(chain) not in done:
                done.add(id(chain))
                result.append(chain)
    return result
