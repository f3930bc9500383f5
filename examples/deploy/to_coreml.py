"""Make the package of a net that Apple's devices run, NET.mlpackage.

    pip install "netspec-compiler[torch]" coremltools "numpy<2.4"
    python to_coreml.py squeezenet_digits weights.safetensors picture.png ...

It is made anywhere. It runs, and is compared with NumPy, on macOS alone. With NumPy 2.4,
coremltools 9.0 fails on nets that pad or scale by the size of a value.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from common import Arrays, Engine, Net, Run, main


def make(net: Net, inputs: Arrays) -> Run | None:
    """The net in Core ML, for inputs of these shapes; None where there is no Core ML."""
    import coremltools

    ir = net.loaded.ir
    taken = [v.name for v in ir.body.inputs]
    given = [f"output_{i}" for i, _ in enumerate(ir.flat_outputs)]
    model = coremltools.convert(
        net.traced(inputs),
        inputs=[
            coremltools.TensorType(name, x.shape) for name, x in zip(taken, inputs, strict=True)
        ],
        outputs=[coremltools.TensorType(name) for name in given],
        compute_precision=coremltools.precision.FLOAT32,  # the default is float16
        minimum_deployment_target=coremltools.target.iOS16,
    )
    model.save(str(net.file(".mlpackage")))
    if sys.platform != "darwin":
        return None

    def run(inputs: Sequence[Any]) -> Arrays:
        found = model.predict(dict(zip(taken, inputs, strict=True)))
        return [found[name] for name in given]

    return run


ENGINE = Engine("Core ML", ("coremltools", "torch"), make)

if __name__ == "__main__":
    main(ENGINE, __doc__)
