"""Make the file of a net that ExecuTorch runs, NET.pte, and compare it with NumPy.

    pip install "netspec-compiler[torch]" executorch
    python to_executorch.py squeezenet_digits weights.safetensors picture.png ...

The file is for inputs of one size, and has the layers that XNNPACK knows in its form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from common import Arrays, Engine, Net, Run, main


def make(net: Net, inputs: Arrays) -> Run:
    """The net in ExecuTorch, for inputs of these shapes."""
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from executorch.runtime import Runtime

    exported = torch.export.export(net.torch, tuple(map(torch.from_numpy, inputs)))
    program = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    file = net.file(".pte")
    file.write_bytes(program.to_executorch().buffer)
    method = Runtime.get().load_program(file).load_method("forward")

    def run(inputs: Sequence[Any]) -> Arrays:
        return [t.numpy() for t in method.execute([*map(torch.from_numpy, inputs)])]

    return run


ENGINE = Engine("ExecuTorch", ("executorch", "torch"), make)

if __name__ == "__main__":
    main(ENGINE, __doc__)
