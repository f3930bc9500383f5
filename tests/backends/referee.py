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
from netspec.ops import IndexShape
from netspec.ops.pooling import MaxPool
from netspec.ops.reshaping import Split

OPSET, IR_VERSION = 20, 9


class OnnxGraph:
    """Nodes and constants of a graph in the making."""

    def __init__(self, weights: Mapping[str, Any]) -> None:
        self.weights = weights
        self.nodes: list[Any] = []
        self.tensors: dict[str, Any] = {}

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one result."""
        return self.several(kind, 1, *inputs, **attributes)[0]

    def several(self, kind: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        results = [f"n{len(self.nodes)}_{i}" for i in range(count)]
        self.nodes.append(helper.make_node(kind, list(inputs), results, **attributes))
        return results

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.tensors)}"
        self.tensors[name] = np.array(value, dtype=dtype)
        return name

    def shape(self, value: Value) -> str:
        """The shape of a value, batch included, as an input of a node."""
        return self.constant([-1, *(int(d) for d in value.shape)], np.int64)

    def weight(self, layer: FlatLayer, name: str, shape: Sequence[int] = ()) -> str:
        """A tensor of the layer, in another shape where one is given."""
        full = f"{layer.path}.{name}"
        array = self.weights[full]
        self.tensors[full] = array.reshape(shape) if shape else array
        return full

    def owned(self, layer: FlatLayer) -> list[str]:
        """The weight, and the bias if there is one."""
        return [self.weight(layer, n) for n in layer.layer.tensors]


Rule = Callable[[OnnxGraph, Any, FlatLayer, list[str]], str]

RULES: dict[str, Rule] = {}


def rule(keyword: str) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        RULES[keyword] = function
        return function

    return register


def _simple(kind: str, **attributes: Any) -> Rule:
    return lambda g, op, layer, x: g.node(kind, *x, **attributes)


RULES |= {
    "relu": _simple("Relu"),
    "sigmoid": _simple("Sigmoid"),
    "hardsigmoid": _simple("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hardswish": _simple("HardSwish"),
    "tanh": _simple("Tanh"),
    "abs": _simple("Abs"),
    "softplus": _simple("Softplus"),
    "gelu": _simple("Gelu"),
    "softmax": _simple("Softmax", axis=1),
    "log_softmax": _simple("LogSoftmax", axis=1),
    "dropout": _simple("Identity"),
    "drop_path": _simple("Identity"),
    "identity": _simple("Identity"),
    "concat": _simple("Concat", axis=1),
    "add": _simple("Sum"),
    "maximum": _simple("Max"),
    "minimum": _simple("Min"),
    "hardtanh": lambda g, op, layer, x: g.node("Clip", *x, g.constant(op.min), g.constant(op.max)),
    "clamp": lambda g, op, layer, x: g.node(
        "Clip", *x, *("" if b is None else g.constant(b) for b in (op.min, op.max))
    ),
    "pixel_shuffle": lambda g, op, layer, x: g.node(
        "DepthToSpace", *x, blocksize=int(op.factor), mode="CRD"
    ),
    "threshold": lambda g, op, layer, x: g.node(
        "Where", g.node("Greater", *x, g.constant(op.threshold)), *x, g.constant(op.value)
    ),
    "celu": lambda g, op, layer, x: g.node("Celu", *x, alpha=op.alpha),
    "selu": _simple("Selu"),
    "mish": _simple("Mish"),
    "softsign": _simple("Softsign"),
    "logsigmoid": lambda g, op, layer, x: g.node("Log", g.node("Sigmoid", *x)),
    "tanhshrink": lambda g, op, layer, x: g.node("Sub", *x, g.node("Tanh", *x)),
    "hardshrink": lambda g, op, layer, x: g.node("Shrink", *x, lambd=op.threshold, bias=0.0),
    "softshrink": lambda g, op, layer, x: g.node(
        "Shrink", *x, lambd=op.threshold, bias=op.threshold
    ),
    "flatten": _simple("Flatten", axis=1),
    "leaky_relu": lambda g, op, layer, x: g.node("LeakyRelu", *x, alpha=op.slope),
    "elu": lambda g, op, layer, x: g.node("Elu", *x, alpha=op.alpha),
    "silu": lambda g, op, layer, x: g.node("Mul", *x, g.node("Sigmoid", *x)),
    "relu6": lambda g, op, layer, x: g.node("Clip", *x, g.constant(0), g.constant(6)),
    "sub": lambda g, op, layer, x: _chain(g, "Sub", x),
    "mul": lambda g, op, layer, x: _chain(g, "Mul", x),
    "mean": lambda g, op, layer, x: _reduced(g, "ReduceMean", op, x),
    "sum": lambda g, op, layer, x: _reduced(g, "ReduceSum", op, x),
    "div": lambda g, op, layer, x: _chain(g, "Div", x),
    "reshape": lambda g, op, layer, x: g.node("Reshape", *x, g.shape(layer.outputs[0])),
    "lrn": lambda g, op, layer, x: g.node(
        "LRN", *x, size=int(op.size), alpha=op.alpha, beta=op.beta, bias=op.k
    ),
    "permute": lambda g, op, layer, x: g.node(
        "Transpose", *x, perm=[0, *(i + 1 for i in op.order)]
    ),
}


def _chain(g: OnnxGraph, kind: str, x: list[str]) -> str:
    result = x[0]
    for other in x[1:]:
        result = g.node(kind, result, other)
    return result


def _reduced(g: OnnxGraph, kind: str, op: Any, x: list[str]) -> str:
    axes = g.constant([1] if op.across == "channels" else [2, 3], np.int64)
    return g.node(kind, *x, axes, keepdims=1)


def _pads(op: Any) -> list[int]:
    top, bottom, left, right = op.pads
    return [top, left, bottom, right]


def _window(op: Any) -> dict[str, Any]:
    return {
        "kernel_shape": list(op.kernel),
        "strides": list(op.stride),
        "pads": _pads(op),
        "dilations": list(op.dilation),
    }


@rule("conv")
def conv(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    return g.node("Conv", *x, *g.owned(layer), **_window(op), group=int(op.group_count))


@rule("conv_transpose")
def conv_transpose(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    return g.node(
        "ConvTranspose",
        *x,
        *g.owned(layer),
        **_window(op),
        group=int(op.group_count),
        output_padding=list(op.output_pad),
    )


@rule("linear")
def linear(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    return g.node("Gemm", *x, *g.owned(layer), transB=1)


@rule("maxpool")
def maxpool(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    return _maxpool(g, op, x)[0]


def _maxpool(g: OnnxGraph, op: Any, x: list[str]) -> list[str]:
    return g.several("MaxPool", 2, *x, **_window(op), ceil_mode=int(op.rounding == "ceil"))


@rule("avgpool")
def avgpool(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    include = int(bool(op.count_include_pad))
    up = int(op.rounding == "ceil")
    return g.node("AveragePool", *x, **_window(op), ceil_mode=up, count_include_pad=include)


@rule("global_avgpool")
def global_avgpool(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    return g.node("Flatten", g.node("GlobalAveragePool", *x), axis=1)


@rule("global_maxpool")
def global_maxpool(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    return g.node("Flatten", g.node("GlobalMaxPool", *x), axis=1)


@rule("adaptive_avgpool")
def adaptive_avgpool(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    """ONNX has none: a product with a matrix of shares along either direction."""
    _, height, width = layer.inputs[0].shape
    rows = g.constant(_shares(height, op.size[0]))
    columns = g.constant(_shares(width, op.size[1]).T)
    return g.node("MatMul", g.node("MatMul", rows, *x), columns)


def _shares(length: int, parts: int) -> Any:
    shares = np.zeros((parts, length))
    for i in range(parts):
        first, end = int(np.floor(i * length / parts)), int(np.ceil((i + 1) * length / parts))
        shares[i, first:end] = 1 / (end - first)
    return shares


@rule("adaptive_maxpool")
def adaptive_maxpool(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    # ONNX has none, so each part is cut out and its largest element taken.
    (result,) = x
    for axis, length, parts in zip((2, 3), layer.inputs[0].shape[1:], op.size, strict=True):
        taken = []
        for i in range(parts):
            first, end = i * length // parts, -(-(i + 1) * length // parts)
            span = (g.constant([n], np.int64) for n in (first, end, axis))
            part = g.node("Slice", result, *span)
            taken.append(g.node("ReduceMax", part, g.constant([axis], np.int64)))
        result = g.node("Concat", *taken, axis=axis)
    return result


@rule("pixel_unshuffle")
def pixel_unshuffle(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    # SpaceToDepth counts places outermost: its channels are reordered.
    channels, factor = int(layer.inputs[0].shape[0]), int(op.factor)
    deep = g.node("SpaceToDepth", *x, blocksize=factor)
    order = np.arange(channels * factor**2).reshape(factor**2, channels).T.ravel()
    return g.node("Gather", deep, g.constant(order, np.int64), axis=1)


@rule("maxunpool")
def maxunpool(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    # ONNX counts places through the whole tensor, so the pooling's own are taken as they come.
    batch = g.node("Shape", x[0], start=0, end=1)
    rest = g.constant([int(d) for d in layer.outputs[0].shape], np.int64)
    size = g.node("Concat", batch, rest, axis=0)
    return g.node("MaxUnpool", *x, size, kernel_shape=[1, 1], strides=[1, 1])


@rule("upsample")
def upsample(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    batch = g.node("Shape", x[0], start=0, end=1)
    rest = g.constant([int(d) for d in layer.outputs[0].shape], np.int64)
    size = g.node("Concat", batch, rest, axis=0)
    if op.mode == "nearest":
        how = {"mode": "nearest", "nearest_mode": "floor"}
        how["coordinate_transformation_mode"] = "asymmetric"
    else:
        place = "align_corners" if op.align_corners else "half_pixel"
        mode = "cubic" if op.mode == "bicubic" else "linear"
        how = {"mode": mode, "coordinate_transformation_mode": place}
    return g.node("Resize", *x, "", "", size, cubic_coeff_a=-0.75, **how)


@rule("power")
def power(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    return g.node("Pow", _affine(g, op, x), g.constant(op.exponent))


@rule("exp")
def exp(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    if op.base is None:
        return g.node("Exp", _affine(g, op, x))
    return g.node("Pow", g.constant(op.base), _affine(g, op, x))


@rule("log")
def log(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    result = g.node("Log", _affine(g, op, x))
    if op.base is None:
        return result
    return g.node("Div", result, g.node("Log", g.constant(op.base)))


def _affine(g: OnnxGraph, op: Any, x: list[str]) -> str:
    return g.node("Add", g.node("Mul", *x, g.constant(op.scale)), g.constant(op.shift))


@rule("argmax")
def argmax(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    return g.node("Cast", g.node("ArgMax", *x, axis=1, keepdims=1), to=TensorProto.FLOAT)


@rule("normalize")
def normalize(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    rank = len(layer.inputs[0].shape)
    axes = list(range(1, rank + 1)) if op.across == "all" else [1]
    squares = g.node("ReduceSumSquare", *x, g.constant(axes, np.int64), keepdims=1)
    return g.node("Div", *x, g.node("Sqrt", g.node("Add", squares, g.constant(op.eps))))


@rule("shift")
def shift(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    return g.node("Add", *x, _per_channel(g, layer, "bias"))


@rule("prelu")
def prelu(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    return g.node("PRelu", *x, _per_channel(g, layer, "weight"))


def _per_channel(g: OnnxGraph, layer: FlatLayer, name: str) -> str:
    return g.weight(layer, name, (-1, *(1 for _ in layer.inputs[0].shape[1:])))


@rule("scale")
def scale(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    result = g.node("Mul", *x, _per_channel(g, layer, "weight"))
    return g.node("Add", result, _per_channel(g, layer, "bias")) if op.bias else result


@rule("batchnorm")
def batchnorm(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    channels = int(layer.inputs[0].shape[0])
    if op.affine:
        names = [g.weight(layer, "weight"), g.weight(layer, "bias")]
    else:
        names = [g.constant(np.ones(channels)), g.constant(np.zeros(channels))]
    names += [g.weight(layer, "running_mean"), g.weight(layer, "running_var")]
    return g.node("BatchNormalization", *x, *names, epsilon=op.eps)


@rule("layernorm")
def layernorm(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    if len(layer.inputs[0].shape) == 1:
        return g.node("LayerNormalization", *x, *g.owned(layer), axis=-1, epsilon=op.eps)
    last = g.node("Transpose", *x, perm=[0, 2, 3, 1])
    normal = g.node("LayerNormalization", last, *g.owned(layer), axis=-1, epsilon=op.eps)
    return g.node("Transpose", normal, perm=[0, 3, 1, 2])


@rule("groupnorm")
def groupnorm(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    return _standardized(g, op, layer, x, int(op.groups))


@rule("instancenorm")
def instancenorm(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    return _standardized(g, op, layer, x, int(layer.inputs[0].shape[0]))


def _standardized(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str], groups: int) -> str:
    # GroupNormalization has a factor for each channel from opset 21 on only.
    parts = g.node("Reshape", *x, g.constant([0, groups, -1], np.int64))
    ones, zeros = g.constant(np.ones(groups)), g.constant(np.zeros(groups))
    normal = g.node("InstanceNormalization", parts, ones, zeros, epsilon=op.eps)
    result = g.node("Reshape", normal, g.shape(layer.outputs[0]))
    if op.affine:
        result = g.node("Mul", result, _per_channel(g, layer, "weight"))
        result = g.node("Add", result, _per_channel(g, layer, "bias"))
    return result


@rule("channel_shuffle")
def channel_shuffle(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    channels, height, width = (int(d) for d in layer.inputs[0].shape)
    parts = [-1, int(op.groups), channels // int(op.groups), height, width]
    split = g.node("Reshape", *x, g.constant(parts, np.int64))
    swapped = g.node("Transpose", split, perm=[0, 2, 1, 3, 4])
    return g.node("Reshape", swapped, g.shape(layer.outputs[0]))


@rule("flip")
def flip(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    axis = 1 + ("channels", "height", "width").index(op.axis)
    first, end, axes, step = (g.constant([n], np.int64) for n in (-1, -(2**31), axis, -1))
    return g.node("Slice", *x, first, end, axes, step)


@rule("pad")
def pad(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    top, bottom, left, right = op.pads
    before, after = op.channels
    pads = g.constant([0, before, top, left, 0, after, bottom, right], np.int64)
    return g.node("Pad", *x, pads, g.constant(op.value), mode="constant")


@rule("crop")
def crop(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    first = g.constant(op.offset, np.int64)
    end = g.constant([o + s for o, s in zip(op.offset, op.size, strict=True)], np.int64)
    return g.node("Slice", *x, first, end, g.constant([2, 3], np.int64))


@rule("parameter")
def parameter(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    batch = g.node("Shape", *x, start=0, end=1)
    rest = g.constant([int(d) for d in op.shape], np.int64)
    return g.node("Expand", g.weight(layer, "weight"), g.node("Concat", batch, rest, axis=0))


@rule("roi_pool")
def roi_pool(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    # ONNX takes regions with the number of their picture in front, all in a row.
    rows, columns = (int(d) for d in layer.inputs[1].shape[1:])
    corners = g.node("Transpose", x[1], perm=[0, 2, 3, 1])
    first = g.node("Slice", corners, *(g.constant([n], np.int64) for n in (0, 1, 3)))
    ones = g.node("Add", g.node("Mul", first, g.constant(0)), g.constant(1))
    numbers = g.node("CumSum", ones, g.constant(0, np.int64))
    indices = g.node("Sub", numbers, g.constant(1))
    all_ = g.node("Concat", indices, corners, axis=3)
    flat = g.node("Reshape", all_, g.constant([-1, 5], np.int64))
    pooled = g.node(
        "MaxRoiPool", x[0], flat, pooled_shape=[int(n) for n in op.size], spatial_scale=op.scale
    )
    channels = int(layer.outputs[0].shape[0])
    each = g.node("Reshape", pooled, g.constant([-1, rows, columns, channels], np.int64))
    return g.node("Transpose", each, perm=[0, 3, 1, 2])


@rule("slice")
def slice_(g: OnnxGraph, op: Any, layer: FlatLayer, x: list[str]) -> str:
    axes = [i for i, section in enumerate(op.sections, 1) if section]
    firsts, ends, steps = zip(*(section for section in op.sections if section), strict=True)
    return g.node("Slice", *x, *(g.constant(n, np.int64) for n in (firsts, ends, axes, steps)))


def export(net: Net, weights: Mapping[str, Any], batch: int) -> onnx.ModelProto:
    """The net as an ONNX model whose results are the net's outputs."""
    graph = OnnxGraph(weights)
    names: dict[Value, str] = {v: f"in{i}" for i, v in enumerate(net.body.inputs)}
    used = {v for layer in net.layers for v in layer.inputs} | set(net.flat_outputs)
    for layer in net.layers:
        inputs = [names[v] for v in layer.inputs]
        op = layer.op
        results: list[str]
        if isinstance(op, Split):
            sizes = graph.constant([int(s) for s in op.sizes], np.int64)
            results = graph.several("Split", len(op.sizes), *inputs, sizes, axis=1)
        elif isinstance(op, MaxPool) and layer.outputs[1] in used:
            results = _maxpool(graph, op, inputs)
        else:
            results = [RULES[op.keyword](graph, op, layer, inputs)]
        names.update(zip(layer.outputs, results, strict=False))
    # A value may be several outputs, or an input: each needs a name of its own.
    outputs = [graph.node("Identity", names[v]) for v in net.flat_outputs]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "referee",
            [_info(names[v], v, batch) for v in net.body.inputs],
            [_info(n, v, batch) for n, v in zip(outputs, net.flat_outputs, strict=True)],
            [numpy_helper.from_array(a, n) for n, a in graph.tensors.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return model


def _info(name: str, value: Value, batch: int) -> Any:
    integer = isinstance(value.shape, IndexShape)
    kind = TensorProto.INT64 if integer else TensorProto.FLOAT
    return helper.make_tensor_value_info(name, kind, [batch, *(int(d) for d in value.shape)])


def run(net: Net, weights: Mapping[str, Any], inputs: Sequence[Any]) -> tuple[Any, ...]:
    """The net's outputs."""
    model = export(net, weights, inputs[0].shape[0])
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feeds = {i.name: x for i, x in zip(session.get_inputs(), inputs, strict=True)}
    return tuple(session.run(None, feeds))
