"""Small files of ONNX, and what ONNX Runtime computes with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

import netspec

Array = Any
RNG = np.random.default_rng(5)


def some(*shape: int, at: float = 0) -> Array:
    """Random weights around a number."""
    return (RNG.normal(0, 0.5, shape) + at).astype(np.float32)


def ints(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def node(op: str, inputs: str, outputs: str, /, name: str = "", **attributes: Any) -> NodeProto:
    """A node; its names are separated by spaces, `_` is an input that is left out."""
    taken = ["" if n == "_" else n for n in inputs.split()]
    domain = attributes.pop("domain", "")
    return helper.make_node(op, taken, outputs.split(), name or None, domain=domain, **attributes)


def model(
    *nodes: NodeProto,
    x: Sequence[int | str] = ("N", 4, 6, 6),
    opset: int = 17,
    out: str = "y",
    listed: bool = False,
    functions: Sequence[Any] = (),
    **weights: Array,
) -> ModelProto:
    """A model of one input called x; with `listed`, its weights are inputs as well."""
    tensors = [numpy_helper.from_array(np.asarray(w), n) for n, w in weights.items()]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(x))]
    if listed:
        inputs += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in out.split()]
    graph = helper.make_graph(list(nodes), "g", inputs, outputs, tensors)
    opsets = [helper.make_opsetid("", opset)]
    if functions:
        opsets.append(helper.make_opsetid("own", 1))
    return helper.make_model(
        graph, opset_imports=opsets, ir_version=8 if opset > 8 else 3, functions=list(functions)
    )


def saved(made: ModelProto, folder: Path, name: str = "m.onnx") -> Path:
    path = folder / name
    path.write_bytes(made.SerializeToString())
    return path


def results(path: Path, *inputs: Array) -> list[Array]:
    """What ONNX Runtime computes."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    found: list[Array] = session.run(None, dict(zip(names, inputs, strict=True)))
    return found


def same(
    path: Path, batch: int = 2, tolerance: float = 1e-4, in_torch: bool = False
) -> netspec.Net:
    """The net of a file, whose NumPy model, and PyTorch's, computes what ONNX Runtime does."""
    net = netspec.load(path)
    shapes = [tuple(map(int, v.shape)) for v in net.ir.body.inputs]
    inputs = [np.random.default_rng(1).normal(0, 1, (batch, *s)) for s in shapes]
    inputs = [x.astype(np.float32) for x in inputs]
    expected = results(path, *(_as_taken(x, path) for x in inputs))
    models = [netspec.build(net, weights=path)(*inputs)]
    if in_torch:
        models.append(_of_torch(net, path, inputs))
    for found in models:
        arrays = [np.asarray(a) for a in (found if isinstance(found, list | tuple) else (found,))]
        assert len(arrays) == len(expected)
        for array, right in zip(arrays, expected, strict=True):
            right = right.reshape(array.shape)  # a 1x1 map may be a vector
            np.testing.assert_allclose(
                array, right, rtol=0, atol=tolerance * max(1, abs(right).max(initial=0))
            )
    return net


def _as_taken(x: Array, path: Path) -> Array:
    """A picture as the file takes it, perhaps with the channels in the last place."""
    dims = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
    last = x.ndim == 4 and dims[-1].dim_value == x.shape[1] != dims[1].dim_value
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)) if last else x


def _of_torch(net: netspec.Net, path: Path, inputs: list[Array]) -> Any:
    """The outputs of the PyTorch model."""
    model = netspec.build(net, weights=path, backend="torch").eval()
    with torch.no_grad():
        return model(*map(torch.from_numpy, inputs))


def ops(net: netspec.Net) -> list[str]:
    """The ops of a net in order."""
    return [layer.op.keyword for layer in net.layers]


def stored(path: Path) -> int:
    """How many numbers with a fraction a file stores."""
    tensors = onnx.load(path).graph.initializer
    return sum(int(np.prod(t.dims)) for t in tensors if t.data_type == TensorProto.FLOAT)
