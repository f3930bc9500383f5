"""Layer types that have no rule: why, and which of them are no part of what a net computes."""

from __future__ import annotations

REASONS: dict[str, str] = {
    "Parameter": "netspec has no blobs that are learned by themselves (Parameter)",
    "Python": "a Python layer is a program of its own, which the file does not hold",
    "RNN": "netspec has no recurrent layers",
    "LSTM": "netspec has no recurrent layers",
    "LSTMUnit": "netspec has no recurrent layers",
    "PriorBox": "netspec ends in front of the boxes of detectors (PriorBox)",
    "DetectionOutput": "netspec ends in front of the boxes of detectors (DetectionOutput)",
    "Proposal": "netspec ends in front of the boxes of detectors (Proposal)",
    "BatchReindex": "BatchReindex mixes the inputs of a batch",
    "Filter": "Filter drops inputs of a batch",
}
"""Why netspec can't express a layer type. Other types get a general reason."""


def only_measures(type_: str) -> bool:
    """Whether layers of this type are losses, measures or sinks of data, in any fork of Caffe."""
    return any(word in type_ for word in ("Loss", "Accuracy")) or type_ in (
        *("HDF5Output", "Silence", "DetectionEvaluate", "VideoOutput"),
    )
