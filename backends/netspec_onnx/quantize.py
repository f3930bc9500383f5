"""Files of 8-bit integers, calibrated on pictures by ONNX Runtime's static quantization.

Weights have a factor for each filter, values one for all of their numbers. The nodes of an input's
preprocessing stay as they are, and those that make probabilities.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from netspec_onnx.runtime import session

FLOAT = ("Softmax", "LogSoftmax", "Sigmoid")
"""What is left in floating-point numbers: it is short, and 8 bits are few for probabilities."""
TIMED = 20
"""How many runs are timed."""


def quantized(content: bytes, inputs: Sequence[Any]) -> bytes:
    """The content of a file in 8-bit integers. `inputs` are pictures as the graph takes them."""
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(inputs)

        def get_next(self) -> Mapping[str, Any] | None:
            picture = next(self.left, None)
            return None if picture is None else {name: picture}

    (name,) = (i.name for i in onnx.load_model_from_string(content).graph.input)
    logging.disable(logging.WARNING)
    try:
        with tempfile.TemporaryDirectory() as folder:
            given, prepared, result = (Path(folder, f"{n}.onnx") for n in ("a", "b", "c"))
            given.write_bytes(content)
            quant_pre_process(given, prepared, skip_symbolic_shape=True)
            nodes = onnx.load(prepared).graph.node
            quantization.quantize_static(
                *(prepared, result, Reader()),
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,  # the fastest on x86
                nodes_to_exclude=[
                    n.name for n in nodes if n.name.startswith(f"{name}/") or n.op_type in FLOAT
                ],
            )
            return _as_made_here(onnx.load(result), onnx.load(given))
    finally:
        logging.disable(logging.NOTSET)


def _as_made_here(model: onnx.ModelProto, of: onnx.ModelProto) -> bytes:
    """The content of a model that says of itself what the one says that it was made of."""
    model.producer_name, model.producer_version = of.producer_name, of.producer_version
    del model.metadata_props[:]
    model.metadata_props.extend(of.metadata_props)
    return bytes(model.SerializeToString())


def comparison(content: bytes, other: bytes, inputs: Sequence[Any]) -> dict[str, float]:
    """How a file does beside the one that it was made of, on some inputs.

    `same_best` is the share of pictures, or of places in them, where the same channel of the first
    output is the largest; `difference` the mean difference of outputs over the largest value. Times
    are seconds for a picture.
    """
    sessions = [session(file) for file in (content, other)]
    name = sessions[0].get_inputs()[0].name
    results = [[s.run(None, {name: x})[0] for x in inputs] for s in sessions]
    taken: list[list[float]] = [[], []]
    for x in [*inputs][:TIMED] * 2:
        for s, of_session in zip(sessions, taken, strict=True):
            begun = time.perf_counter()
            s.run(None, {name: x})
            of_session.append(time.perf_counter() - begun)
    times = [*map(statistics.median, taken)]
    first, second = (np.concatenate(r) for r in results)
    best = np.mean(first.argmax(axis=1) == second.argmax(axis=1))
    scale = max(float(np.abs(second).max()), 1e-30)
    return {
        "size": len(content),
        "float_size": len(other),
        "seconds": times[0],
        "float_seconds": times[1],
        "same_best": float(best),
        "difference": float(np.abs(first.astype(np.float64) - second).mean()) / scale,
    }
