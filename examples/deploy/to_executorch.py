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
    from executorch.extension.pybindings.portable_lib import _get_operator_names
    from executorch.runtime import Runtime

    exported = torch.export.export(net.torch, tuple(map(torch.from_numpy, inputs)))
    program = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    file = net.file(".pte")
    made = program.to_executorch()
    file.write_bytes(made.buffer)
    lacking = _called(made) - set(_get_operator_names())
    if lacking:
        raise RuntimeError(f"ExecuTorch's library has no {', '.join(sorted(lacking))}")
    method = Runtime.get().load_program(file).load_method("forward")

    def run(inputs: Sequence[Any]) -> Arrays:
        return [t.numpy() for t in method.execute([*map(torch.from_numpy, inputs)])]

    return run


def _called(program: Any) -> set[str]:
    """The operators that a program calls, those that XNNPACK computes left out."""
    (plan,) = program.executorch_program.execution_plan
    return {f"{op.name}.{op.overload}" if op.overload else op.name for op in plan.operators}


ENGINE = Engine("ExecuTorch", ("executorch", "torch"), make)

if __name__ == "__main__":
    main(ENGINE, __doc__)
