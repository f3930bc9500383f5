"""What a file says of itself, in the properties that other tools read.

`Image.*` are ONNX's own (its MetadataProps.md), `names` is what YOLO's tools write and read:
`{0: 'cat', 1: 'dog'}`. What begins with `netspec.` is ours; `netspec.preprocessing` is JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from netspec import __version__
from netspec.ir import Net, Preprocessing
from netspec.lazy_dataclasses import fields


def metadata(net: Net, labels: Sequence[str], prepares: bool) -> dict[str, str]:
    """The properties of a net's file; with `prepares`, the graph takes values from 0 to 255."""
    found = {"netspec.version": __version__, "netspec.net": net.name}
    if net.variant:
        found["netspec.variant"] = net.variant
    found["netspec.inputs"] = json.dumps({v.name: [*map(int, v.shape)] for v in net.body.inputs})
    if net.body.nodes:
        found["netspec.spec"] = net.body.nodes[0].span.source.text
    if net.settings:
        found["netspec.settings"] = json.dumps(dict(net.settings))
    if labels:
        found["names"] = repr(dict(enumerate(labels)))
    if net.preprocessing and net.preprocessing[0] is not None:
        found |= _of_pictures(net.preprocessing[0], prepares)
    return found


def _of_pictures(said: Preprocessing, prepares: bool) -> dict[str, str]:
    order = "rgb" if prepares and said.channels == "bgr" else said.channels
    data = {field.name: getattr(said, field.name) for field in fields(said)}
    if prepares:
        data |= {"channels": order, "scale": 1.0, "mean": [0.0], "std": [1.0]}
    return {
        "Image.BitmapPixelFormat": {"rgb": "Rgb8", "bgr": "Bgr8", "gray": "Gray8"}[order],
        "Image.ColorSpaceGamma": "SRGB",
        "Image.NominalPixelRange": _range(said, prepares),
        "netspec.preprocessing": json.dumps(data),
    }


def _range(said: Preprocessing, prepares: bool) -> str:
    """The range of the input's values in ONNX's words, as near as they come."""
    if prepares:
        return "NominalRange_0_255"
    low, high = ((n * said.scale - said.mean[0]) / said.std[0] for n in (0, 255))
    if (low, high) == (0, 255):
        return "NominalRange_0_255"
    return "Normalized_0_1" if abs(low) < 1e-6 and abs(high - 1) < 1e-6 else "Normalized_1_1"
