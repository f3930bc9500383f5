"""The intermediate representation: a checked network, as every part after elaboration sees it.

In:  what `netspec.semantic.elaborate` builds from a syntax tree.
Out: a `Net` whose `body` is a `Block` of `Layer`s and `Instance`s of modules, every value with its
     shape. Passes, metrics, reports, diagrams and backends read it.

nodes     values, layers, instances, blocks, the net and its flat view
config    parameters of a net, preprocessing of its inputs, its training, its boxes
liveness  which values are alive at once; imported by what asks for it
sizes     which layers have numbers that follow heights and widths; likewise
printer   the text of a net, as `netspec ir` prints it; likewise
verify    the invariants of a net, which the tests check of every net; likewise
"""

from netspec.ir.config import Detection, NetParameter, Preprocessing, Training
from netspec.ir.nodes import (
    Argument,
    Block,
    FlatLayer,
    Instance,
    Layer,
    Net,
    Node,
    Value,
)

__all__ = [
    "Argument",
    "Block",
    "Detection",
    "FlatLayer",
    "Instance",
    "Layer",
    "Net",
    "NetParameter",
    "Node",
    "Preprocessing",
    "Training",
    "Value",
]
