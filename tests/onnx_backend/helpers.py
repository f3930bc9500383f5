"""ONNX files of nets: checked by ONNX, run by ONNX Runtime, compared with the NumPy model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from netspec_onnx.runtime import session
from onnx import ModelProto

from netspec.codegen.backend import get, load_model, model_files
from netspec.ir import Net
from netspec.runtime.verify import random_inputs
from netspec.weights import fresh


def file_of(net: Net, **options: Any) -> bytes:
    """The file of a net with varied weights."""
    weights = fresh(net.tensors, 1, varied=True)
    return b"".join(model_files(net, get("onnx"), weights, net.name, **options)[net.name])


def parsed(content: bytes) -> ModelProto:
    """The model of a file, which ONNX's own checker takes."""
    model = onnx.load_model_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    return model


def dims(info: Any) -> list[int | str]:
    """The dimensions of a value, numbers or names."""
    return [d.dim_param or d.dim_value for d in info.type.tensor_type.shape.dim]


def check_shapes(model: ModelProto) -> int:
    """Compare strict shape inference with what the file says; how many numbers were compared."""
    said = {v.name: dims(v) for v in (*model.graph.value_info, *model.graph.output)}
    bare = ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(bare, strict_mode=True, data_prop=True)
    compared = 0
    for info in (*inferred.graph.value_info, *inferred.graph.output):
        for ours, theirs in zip(said.get(info.name, []), dims(info), strict=False):
            if isinstance(theirs, int) and theirs:
                assert ours == theirs, info.name
                compared += 1
    return compared


def numpy_results(net: Net, inputs: list[Any]) -> tuple[Any, ...]:
    """What the NumPy model gives with the weights of `file_of`."""
    backend = get("numpy")
    model = load_model(net, backend)
    backend.set_weights(model, fresh(net.tensors, 1, varied=True))
    return backend.run(model, *inputs)


def run(content: bytes, inputs: list[Any]) -> tuple[Any, ...]:
    """What ONNX Runtime gives."""
    opened = session(content)
    names = (i.name for i in opened.get_inputs())
    return tuple(opened.run(None, dict(zip(names, inputs, strict=True))))


def compare(
    net: Net,
    tolerance: float = 1e-5,
    share: float = 1.0,
    opsets: Sequence[int] = (17,),
    **options: Any,
) -> ModelProto:
    """The model of a net's file of the last opset; all are checked, and run beside NumPy's model."""
    inputs = random_inputs(net, 3)
    wanted = numpy_results(net, inputs)
    for opset in opsets:
        content = file_of(net, opset=opset, **options)
        model = parsed(content)
        assert model.opset_import[0].version == opset
        check_shapes(model)
        for ours, theirs in zip(wanted, run(content, inputs), strict=True):
            assert ours.shape == theirs.shape
            apart = np.abs(ours.astype(np.float64) - theirs)
            near = apart <= tolerance * np.abs(ours).max(initial=1e-30)
            assert near.mean() >= share, opset
    return model
