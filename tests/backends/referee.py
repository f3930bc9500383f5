"""An independent referee: the net as an ONNX graph, run by ONNX Runtime.

Built from the IR alone, without either backend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from netspec.ir import FlatLayer, Net, Value
from netspec.ops import (
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Relu,
    Softmax,
)

Attributes = dict[str, Any]


def _pads(op: Any) -> list[int]:
    top, bottom, left, right = op.pads
    return [top, left, bottom, right]


def _window(op: Any) -> Attributes:
    return {
        "kernel_shape": list(op.kernel),
        "strides": list(op.stride),
        "pads": _pads(op),
        "ceil_mode": int(op.rounding == "ceil"),
    }


def _conv(op: Any) -> Attributes:
    return {
        "kernel_shape": list(op.kernel),
        "strides": list(op.stride),
        "pads": _pads(op),
        "dilations": list(op.dilation),
        "group": int(op.group_count),
    }


_OPS: dict[type, tuple[str, Callable[[Any], Attributes], Sequence[str]]] = {
    Conv: ("Conv", _conv, ("weight", "bias")),
    MaxPool: ("MaxPool", lambda op: {**_window(op), "dilations": list(op.dilation)}, ()),
    AvgPool: (
        "AveragePool",
        lambda op: {**_window(op), "count_include_pad": int(op.count_include_pad)},
        (),
    ),
    Relu: ("Relu", lambda _: {}, ()),
    Softmax: ("Softmax", lambda _: {"axis": 1}, ()),
    Dropout: ("Identity", lambda _: {}, ()),
    Concat: ("Concat", lambda _: {"axis": 1}, ()),
    Add: ("Sum", lambda _: {}, ()),
    Flatten: ("Flatten", lambda _: {"axis": 1}, ()),
    Linear: ("Gemm", lambda _: {"transB": 1}, ("weight", "bias")),
    BatchNorm: (
        "BatchNormalization",
        lambda op: {"epsilon": op.eps},
        ("weight", "bias", "running_mean", "running_var"),
    ),
}


def run(net: Net, weights: Mapping[str, Any], inputs: Sequence[Any]) -> Any:
    """The value of the net's last layer."""
    names: dict[Value, str] = {v: f"in{i}" for i, v in enumerate(net.body.inputs)}
    nodes: list[Any] = []
    tensors: dict[str, Any] = {}
    for i, layer in enumerate(net.layers):
        names[layer.outputs[0]] = f"v{i}"
        nodes += _nodes(layer, names, weights, tensors)
    last = net.layers[-1].outputs[0]
    shape = [inputs[0].shape[0], *(int(d) for d in last.shape)]
    graph = helper.make_graph(
        nodes,
        "referee",
        [
            helper.make_tensor_value_info(names[v], TensorProto.FLOAT, x.shape)
            for v, x in zip(net.body.inputs, inputs, strict=True)
        ],
        [helper.make_tensor_value_info(f"v{len(net.layers) - 1}", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(a, n) for n, a in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feeds = {names[v]: x for v, x in zip(net.body.inputs, inputs, strict=True)}
    return session.run(None, feeds)[0]


def _nodes(
    layer: FlatLayer,
    names: Mapping[Value, str],
    weights: Mapping[str, Any],
    tensors: dict[str, Any],
) -> list[Any]:
    output = names[layer.outputs[0]]
    inputs = [names[v] for v in layer.inputs]
    if isinstance(layer.op, GlobalAvgPool):
        return [
            helper.make_node("GlobalAveragePool", inputs, [f"{output}_4d"]),
            helper.make_node("Flatten", [f"{output}_4d"], [output], axis=1),
        ]
    kind, attributes, owned = _OPS[type(layer.op)]
    channels = layer.inputs[0].shape[0]
    for name in owned:
        full = f"{layer.path}.{name}"
        if full in weights:
            tensors[full] = weights[full]
        elif isinstance(layer.op, BatchNorm):
            filling = np.ones if name == "weight" else np.zeros
            tensors[full] = filling(channels, dtype=np.float32)
        else:
            continue
        inputs.append(full)
    return [helper.make_node(kind, inputs, [output], **attributes(layer.op))]
