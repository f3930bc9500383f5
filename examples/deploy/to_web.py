"""Run a net in onnxruntime-web, here in Node, and compare it with NumPy.

    pip install "netspec-compiler[onnx]"; cd browser; npm ci
    python to_web.py squeezenet_digits weights.safetensors picture.png ...

In the folder `browser` is a page that runs a net so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

import numpy as np
from common import BROWSER, Arrays, Engine, Net, Run, main


def make(net: Net, inputs: Arrays) -> Run:
    """The net in onnxruntime-web; each call starts Node."""
    if shutil.which("node") is None:
        raise ModuleNotFoundError("no Node", name="Node")
    file = net.onnx()

    def run(inputs: Sequence[Any]) -> Arrays:
        shapes = json.dumps([x.shape for x in inputs])
        values = b"".join(np.ascontiguousarray(x).tobytes() for x in inputs)
        command = ["node", str(BROWSER / "run.mjs"), str(file), shapes]
        done = subprocess.run(command, input=values, capture_output=True, check=False)
        if done.returncode:
            lines = done.stderr.decode().splitlines() or ["no message"]
            raise RuntimeError(next((line for line in lines if "Error" in line), lines[-1]))
        head, _, content = done.stdout.partition(b"\n")
        found, end = [], 0
        for shape in json.loads(head):
            size = int(np.prod(shape))
            found.append(np.frombuffer(content, np.float32, size, end).reshape(shape))
            end += 4 * size
        return found

    return run


ENGINE = Engine("onnxruntime-web", ("onnxruntime-web",), make, f"npm ci --prefix {BROWSER}")

if __name__ == "__main__":
    main(ENGINE, __doc__)
