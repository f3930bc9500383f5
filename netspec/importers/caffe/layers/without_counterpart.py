"""Layers that have no rule: why, and which of them are no part of what a net computes."""

from __future__ import annotations

from netspec.importers.caffe.caffe_net import CaffeLayer
from netspec.syntax.protobuf_text.ast import Message, Scalar

REASONS: dict[str, str] = {
    "Parameter": "netspec has no blobs that are learned by themselves (Parameter)",
    "Python": "a Python layer is a program of its own, which the file does not hold",
    "RNN": "netspec has no recurrent layers",
    "LSTM": "netspec has no recurrent layers",
    "LSTMUnit": "netspec has no recurrent layers",
    "BatchReindex": "BatchReindex mixes the inputs of a batch",
    "Filter": "Filter drops inputs of a batch",
}
"""Why netspec can't express a layer type. Other types get a general reason."""


def program_of(layer: CaffeLayer) -> list[str]:
    """What a Python layer says of its program: module, class and parameters, as they are given."""
    params = layer.fields.given("python_param")
    values = [f.value for p in params if isinstance(p.value, Message) for f in p.value.fields]
    return [v.text for v in values if isinstance(v, Scalar)]


def makes_boxes(layer: CaffeLayer) -> bool:
    """Whether a layer makes or picks the boxes of a detector, in any fork of Caffe.

    Such layers have no weights: priors follow from sizes, and what picks boxes ends the net.
    """
    if layer.type == "Python":
        words = ("Proposal", "ClusterDetections", "ClusterGroundtruth")
        return any(word in name for name in program_of(layer) for word in words)
    return layer.type.endswith(("PriorBox", "DetectionOutput")) or layer.type in (
        *("Proposal", "Region", "RegionOutput", "BoxOutput", "BoxGroupOutput", "DecodeBBox"),
    )


def is_measure(layer: CaffeLayer) -> bool:
    """Whether a layer is a loss, a measure or a sink of data, also one written in Python."""
    if layer.type == "Python":
        # DetectNet's `mAP` is the mean average precision.
        return any(layer.fields.numbers("loss_weight")) or any(
            name == "mAP" or only_measures(name.rpartition(".")[2]) for name in program_of(layer)
        )
    return only_measures(layer.type)


def only_measures(type_: str) -> bool:
    """Whether layers of this type are losses, measures or sinks of data, in any fork of Caffe."""
    return any(word in type_ for word in ("Loss", "Accuracy")) or type_ in (
        *("HDF5Output", "Silence", "DetectionEvaluate", "VideoOutput"),
    )
