"""Simplifications of a graph: the same network with fewer nodes.

Each step keeps what every layer computes, its parameters, and which layers they come from.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from netspec.importers.structure.attributes import TRAINING_FIELDS
from netspec.importers.structure.graph import FieldValue, Graph, GraphValue, Node
from netspec.ops import OPS


def simplify(graph: Graph) -> None:
    """Simplify a graph in place, by all steps in order."""
    for step in STEPS:
        step(graph)


def _remove_identities(graph: Graph) -> None:
    """Remove identities, and reshapings that change nothing."""
    gone = []
    uses = graph.uses()
    for node in graph.nodes:
        same = node.op in ("flatten", "reshape") and node.value.shape == node.inputs[0].shape
        if node.op == "identity" or same:
            graph.replace_value(node.value, node.inputs[0], uses)
            graph.left_out["identity"] += node.op == "identity"
            gone.append(node)
    graph.remove(gone)


def _merge_batchnorms(graph: Graph) -> None:
    """Make one layer of a batch norm that only normalizes and the scale behind it."""
    uses = graph.uses()
    gone = []
    for node in graph.nodes:
        if node.op != "scale" or _flag(node, "bias") is False:
            continue
        norm = node.inputs[0].node
        if norm is None or norm.op != "batchnorm" or _flag(norm, "affine") is not False:
            continue
        if uses[norm.value] != [node] or norm.value in graph.outputs:
            continue
        del norm.settings["affine"]
        _take_training(norm, node)
        norm.origins = {**node.origins, **norm.origins}
        graph.replace_value(node.value, norm.value, uses)
        gone.append(node)
    graph.remove(gone)


def _take_training(norm: Node, scale: Node) -> None:
    """Give a norm what its scale says of its training; it is frozen where both are."""
    given = {n: s for n, s in scale.settings.items() if n in TRAINING_FIELDS}
    both = norm.settings.pop("frozen", None) is not None
    frozen = given.get("frozen")
    if frozen is not None and not both:
        # The statistics change, and the factors do not.
        del given["frozen"]
        given["lr_mult"] = FieldValue((Fraction(0), Fraction(0)), frozen.span)
    norm.settings |= given


def _flag(node: Node, name: str) -> bool | None:
    setting = node.settings.get(name)
    return bool(setting.value) if setting is not None else None


def _make_vectors(graph: Graph) -> None:
    """Make vectors of the 1x1 maps of global poolings, where all that takes them allows it."""
    uses = graph.uses()
    chosen: set[GraphValue] = set()
    for node in graph.nodes:
        value = node.value
        if len(value.shape) != 3 or tuple(value.shape[1:]) != (1, 1):
            continue
        if node.pools_all and not any(v in uses for v in node.outputs[1:]):
            chosen.add(value)
        elif OPS[node.op].same_on_vectors and all(v in chosen for v in node.inputs):
            chosen.update(node.outputs)
    changed = True
    while changed:
        changed = False
        for value in list(chosen):
            if value in chosen and not _may_be_vector(value, uses, chosen):
                chosen.remove(value)
                changed = True
    gone = []
    for node in graph.nodes:
        if node.op in ("flatten", "reshape") and node.inputs[0] in chosen:
            if len(node.value.shape) == 1:
                graph.replace_value(node.value, node.inputs[0], uses)
                gone.append(node)
        if node.pools_all and node.value in chosen:
            node.op = "global_avgpool" if node.op == "adaptive_avgpool" else "global_maxpool"
            node.settings = {}
            node.outputs = node.outputs[:1]
    for value in chosen:
        value.shape = value.shape[:1]
    graph.remove(gone)


def _may_be_vector(
    value: GraphValue, uses: dict[GraphValue, list[Node]], chosen: set[GraphValue]
) -> bool:
    node = value.node
    if node is not None and not node.pools_all and not all(v in chosen for v in node.inputs):
        return False
    if node is not None and any(v not in chosen for v in node.outputs) and not node.pools_all:
        return False
    for user in uses.get(value, []):
        flattens = user.op in ("flatten", "reshape") and len(user.value.shape) == 1
        if not flattens and not (OPS[user.op].same_on_vectors and user.value in chosen):
            return False
    return True


def _share_flattens(graph: Graph) -> None:
    """Keep one flatten of several that take the same value."""
    first: dict[GraphValue, Node] = {}
    uses = graph.uses()
    gone = []
    for node in graph.nodes:
        if node.op != "flatten":
            continue
        earlier = first.setdefault(node.inputs[0], node)
        if earlier is not node:
            graph.replace_value(node.value, earlier.value, uses)
            gone.append(node)
    graph.remove(gone)


def _extend_concats(graph: Graph) -> None:
    """Let a concatenation take an earlier one instead of the values that both begin with."""
    known: dict[tuple[GraphValue, ...], GraphValue] = {}
    for node in graph.nodes:
        if node.op != "concat":
            continue
        for count in range(len(node.inputs) - 1, 1, -1):
            earlier = known.get(tuple(node.inputs[:count]))
            if earlier is not None:
                known[tuple(node.inputs)] = node.value
                node.inputs = [earlier, *node.inputs[count:]]
                node.places = node.places[count - 1 :]
                break
        else:
            known[tuple(node.inputs)] = node.value


def _remove_unused(graph: Graph) -> None:
    """Remove nodes and inputs that no output needs."""
    needed = set(graph.outputs)
    kept = []
    for node in reversed(graph.nodes):
        if not needed.isdisjoint(node.outputs):
            kept.append(node)
            needed.update(node.inputs)
    graph.left_out["unused node"] += len(graph.nodes) - len(kept)
    graph.nodes = kept[::-1]
    used = [given for given in graph.inputs if given.value in needed]
    graph.inputs = used or graph.inputs


STEPS: tuple[Callable[[Graph], None], ...] = (
    _remove_unused,
    _remove_identities,
    _merge_batchnorms,
    _make_vectors,
    _remove_identities,
    _share_flattens,
    _extend_concats,
)
