"""Takes a final softmax off, for losses that compute it themselves and more exactly.

    before: ... conv10 -> relu -> global_avgpool -> softmax
    after:  ... conv10 -> relu -> global_avgpool

A softmax has no weights, so their names stay.
"""

from __future__ import annotations

from netspec.ir import Layer, Net
from netspec.lazy_dataclasses import dataclass, replace


@dataclass(frozen=True)
class Scores:
    """`probabilities`: whether the first output is still that of a softmax, one inside a module."""

    net: Net
    probabilities: bool


def scores(net: Net) -> Scores:
    """The net with scores before their softmax as its first output."""
    first, *others = net.body.outputs
    last = next((n for n in net.body.nodes if first in n.outputs), None)
    if isinstance(last, Layer) and last.op.yields_probabilities:
        elsewhere = any(first in n.inputs for n in net.body.nodes) or first in others
        nodes = tuple(n for n in net.body.nodes if n is not last or elsewhere)
        body = replace(net.body, nodes=nodes, outputs=(last.inputs[0], *others))
        return Scores(replace(net, body=body), False)
    made = next((f for f in net.layers if net.flat_outputs[0] in f.outputs), None)
    return Scores(net, made is not None and made.op.yields_probabilities)
