"""Make the file of a net that LiteRT (TensorFlow Lite) runs, NET.tflite, and compare with NumPy.

    pip install "netspec-compiler[torch]" litert-torch ai-edge-litert
    python to_litert.py squeezenet_digits weights.safetensors picture.png ...

The file is made of the PyTorch model, without TensorFlow, for inputs of one size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from common import Arrays, Engine, Net, Run, main


def make(net: Net, inputs: Arrays) -> Run:
    """The net in LiteRT, for inputs of these shapes."""
    import litert_torch
    import torch
    from ai_edge_litert.interpreter import Interpreter

    file = net.file(".tflite")
    litert_torch.convert(net.torch, tuple(map(torch.from_numpy, inputs))).export(str(file))
    runner = Interpreter(str(file)).get_signature_runner()

    def run(inputs: Sequence[Any]) -> Arrays:
        found = runner(**{f"args_{i}": x for i, x in enumerate(inputs)})
        return [found[f"output_{i}"] for i in range(len(found))]

    return run


ENGINE = Engine("LiteRT", ("litert-torch", "ai-edge-litert", "torch"), make)

if __name__ == "__main__":
    main(ENGINE, __doc__)
