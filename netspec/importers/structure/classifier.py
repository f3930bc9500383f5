"""The layer of a net whose outputs are classes."""

from __future__ import annotations

from netspec.importers.structure.graph import Graph, GraphValue, Node

_BETWEEN = {
    *("softmax", "log_softmax", "argmax", "flatten", "reshape", "permute", "relu", "dropout"),
    *("global_avgpool", "avgpool", "adaptive_avgpool", "upsample", "crop"),
}
"""Ops that may stand between the layer and the net's output."""


def classifier_of(graph: Graph, classifies: bool) -> Node | None:
    """The last layer with weights, in front of a softmax or where `classifies`; else None."""
    if len(graph.outputs) != 1:
        return None
    uses = graph.uses()
    channels: int | None = None
    node = graph.outputs[0].node
    while node is not None and node.op in _BETWEEN:
        classifies = classifies or node.op in ("softmax", "log_softmax", "argmax")
        value: GraphValue = node.inputs[0]
        if node.op in ("softmax", "log_softmax", "argmax"):
            channels = value.shape[0]
        if uses[value] != [node]:
            return None
        node = value.node
    if node is None or node.op not in ("conv", "linear") or not classifies:
        return None
    if channels not in (None, node.value.shape[0]):
        return None  # such as the scores of 9 boxes, reshaped for a softmax of 2 classes
    groups = node.settings.get("groups")
    return None if groups is not None and groups.value == "depthwise" else node
