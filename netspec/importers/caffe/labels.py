"""Which data only losses and measures read: labels, and what else is no input of the net."""

from __future__ import annotations

from collections import defaultdict

from netspec.importers.caffe.caffe_net import CaffeLayer, CaffeNet
from netspec.importers.caffe.layers.pooling import POOLS_REGIONS
from netspec.importers.caffe.layers.registry import RULES
from netspec.importers.caffe.layers.without_counterpart import REASONS, is_measure
from netspec.importers.caffe.net_translation import Labels

_WORDS = ("label", "gt", "seg", "target", "mask", "sim", "weight")
"""Parts of names of labels, which count only for programs of which nobody knows what they do."""
_WITH_WEIGHTS = {
    *("Convolution", "Deconvolution", "InnerProduct", "Embed", "LSTM", "RNN", "Parameter"),
    *("BatchNorm", "BN", "Scale", "Bias", "PReLU", "Normalize"),
}

Version = tuple[str, int]
"""A blob: its name, and how many layers had made a blob of this name before; 0: none."""


def labels_of(net: CaffeNet) -> Labels:
    """What only losses and measures read, or nothing does; one input is always left.

    They read a blob themselves, or what layers without weights make of it for nothing else.
    """
    versions: dict[str, int] = defaultdict(int)
    readers: dict[Version, list[int]] = {}
    regions: set[Version] = set()
    tops: list[list[Version]] = []
    for i, layer in enumerate(net.layers):
        for k, bottom in enumerate(layer.bottoms):
            blob = bottom.name, versions[bottom.name]
            if k and layer.type in POOLS_REGIONS:
                regions.add(blob)
            else:
                readers.setdefault(blob, []).append(i)
        for top in layer.tops:
            versions[top.name] += 1
        tops.append([(top.name, versions[top.name]) for top in layer.tops])
    measures: dict[int, bool] = {}
    proposes: dict[int, bool] = {}

    def measured(blob: Version) -> bool:
        known = blob in readers or blob in regions
        return known and all(measures[i] for i in readers.get(blob, ()))

    # Whoever reads a blob comes later.
    for i in reversed(range(len(net.layers))):
        layer = net.layers[i]
        proposes[i] = layer.type not in RULES and any(
            top in regions or any(proposes[k] for k in readers.get(top, ())) for top in tops[i]
        )
        read = [top for top in tops[i] if top in readers or top in regions]
        relevant = read if proposes[i] else tops[i]
        measures[i] = _measures(layer, not read, all(map(measured, relevant)))
        proposes[i] = proposes[i] and measures[i]
    data = [
        (top, blob)
        for layer, blobs in zip(net.layers, tops, strict=True)
        if not layer.bottoms
        for top, blob in zip(layer.tops, blobs, strict=True)
    ]
    data += [(given.blob, (given.blob.name, 0)) for given in net.inputs]
    made = {top for top, blob in data if blob not in readers or measured(blob)}
    first = {name for name, count in readers if count == 0}
    unmade = {name for name in first if measured((name, 0))}
    # What layers of another phase make may be the net's input.
    of_others = first - unmade - {given.blob.name for given in net.inputs}
    if len(made) == len(data) and data and not of_others:
        made.remove(data[0][0])
        unmade.discard(data[0][0].name)
    read_names = frozenset(name for name, _ in readers)
    proposing = frozenset(id(layer) for i, layer in enumerate(net.layers) if proposes[i])
    return Labels(frozenset(made), frozenset(unmade), read_names, len(data) - len(made), proposing)


def _measures(layer: CaffeLayer, unread: bool, measured: bool) -> bool:
    """Whether a layer serves measuring alone; `measured`: its tops are only measured."""
    if is_measure(layer) or not layer.tops:
        return True
    if layer.type in _WITH_WEIGHTS or "param" in layer.fields or "blobs_lr" in layer.fields:
        return False
    if measured:
        return True
    unknown = layer.type not in RULES and (layer.type not in REASONS or layer.type == "Python")
    named = any(word in b.name.lower() for b in layer.bottoms for word in _WORDS)
    return unread and unknown and named
