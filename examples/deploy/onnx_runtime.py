"""Tell what pictures show, with ONNX Runtime: all it needs to know is in the file.

    netspec compile squeezenet_digits --backend onnx --weights W --preprocess --labels names.txt
    python onnx_runtime.py squeezenet_digits.onnx picture.png ...

Needs onnxruntime, numpy and pillow, and nothing of netspec.
"""

from __future__ import annotations

import ast
import json
import sys
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

UNSTATED = {"channels": "rgb", "scale": 1, "mean": 0, "std": 1, "resize": None}
"""How a net takes pictures that says nothing of it."""


def prepared(picture: Image.Image, size: list[int], how: dict[str, Any]) -> Any:
    """A picture as input of the net: 1 x channels x height x width, float32.

    `size` is what the net is made for, `how` its preprocessing as the file says it.
    """
    height, width = size
    picture = picture.convert("L" if how["channels"] == "gray" else "RGB")
    resize = how["resize"]
    if isinstance(resize, int):  # the shorter side
        scale = resize / min(picture.size)
        picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    else:
        picture = picture.resize((resize or size)[::-1])
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    picture = picture.crop((left, top, left + width, top + height))
    pixels = np.asarray(picture, dtype=np.float32).reshape(height, width, -1)
    if how["channels"] == "bgr":
        pixels = pixels[..., ::-1]
    pixels = (pixels * how["scale"] - how["mean"]) / how["std"]
    return pixels.transpose(2, 0, 1)[None].astype(np.float32)


def main() -> None:
    """Print the class of each picture, and its probability."""
    file, *pictures = sys.argv[1:]
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    said = session.get_modelmeta().custom_metadata_map
    ((name, (_, *size)),) = json.loads(said["netspec.inputs"]).items()
    names = ast.literal_eval(said.get("names", "{}"))
    how = json.loads(said.get("netspec.preprocessing", "null")) or UNSTATED
    for picture in pictures:
        with Image.open(picture) as image:
            x = prepared(image, size, how)
        (scores,) = session.run(None, {name: x})
        best = int(scores[0].argmax())
        print(f"{picture}  {names.get(best, best)}  {scores[0].flat[best]:.4f}")


if __name__ == "__main__":
    main()
