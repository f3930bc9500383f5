"""Takes a final softmax off, for losses that compute it themselves and more exactly.

    before: ... conv10 -> relu -> global_avgpool -> softmax
    after:  ... conv10 -> relu -> global_avgpool

A softmax has no weights, so their names stay.
"""

from __future__ import annotations

from netspec.ir import Layer, Net
from netspec.lazy_dataclasses import dataclass, replace


@dataclass(frozen=True)
class StrippedNet:
    """A net, and whether its first output is still that of a softmax, one inside a module."""

    net: Net
    probabilities: bool


def strip_softmax(net: Net) -> StrippedNet:
    """The net with the scores before a final softmax as its first output.

    A softmax that something else takes stays, and one inside a module, whose block others share.
    """
    first, *others = net.body.outputs
    last = next((n for n in net.body.nodes if first in n.outputs), None)
    if isinstance(last, Layer) and last.op.yields_probabilities:
        has_other_uses = any(first in n.inputs for n in net.body.nodes) or first in others
        nodes = tuple(n for n in net.body.nodes if n is not last or has_other_uses)
        body = replace(net.body, nodes=nodes, outputs=(last.inputs[0], *others), template=None)
        return StrippedNet(replace(net, body=body), False)
    maker = next((f for f in net.layers if net.flat_outputs[0] in f.outputs), None)
    return StrippedNet(net, maker is not None and maker.op.yields_probabilities)
