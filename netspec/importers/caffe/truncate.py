"""The part of a net in front of the blobs at which it is to end, such as a detector's features."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.diagnostics.suggest import did_you_mean
from netspec.importers.caffe.caffe_net import CaffeLayer, CaffeNet
from netspec.lazy_dataclasses import replace


def truncate(net: CaffeNet, blobs: Sequence[str], diagnostics: Diagnostics) -> CaffeNet:
    """The net with only those layers that `blobs` need; the whole net for no blobs."""
    if not blobs:
        return net
    made = {top.name for layer in net.layers for top in layer.tops}
    for name in blobs:
        if name not in made:
            message = f"no layer of {net.source.name} makes a blob {name} to end at"
            help_ = did_you_mean(name, made)
            diagnostics.add(Diagnostic("unknown-name", message, help=help_))
    wanted = set(blobs)
    kept: list[CaffeLayer] = []
    for layer in reversed(net.layers):
        tops = {top.name for top in layer.tops}
        if tops & wanted:
            kept.append(layer)
            # The input of an in-place layer comes from an earlier layer, under the same name.
            wanted = (wanted - tops) | {bottom.name for bottom in layer.bottoms}
    inputs = tuple(given for given in net.inputs if given.blob.name in wanted)
    return replace(net, layers=tuple(reversed(kept)), inputs=inputs)
