"""Models as exporters write them: names, structure and numbers come back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, helper
from torch import nn

import netspec
from netspec.cli.main import main
from netspec.importers.onnx.translate import program_of

from .models import ints, model, node, ops, same, saved, some, stored


def convolution(name: str, ins: int, outs: int, kernel: int = 3) -> dict[str, Any]:
    return {f"{name}.w": some(outs, ins, kernel, kernel), f"{name}.b": some(outs)}


def norm(prefix: str, channels: int, *suffixes: str) -> dict[str, Any]:
    """Factor, summand, mean and variance under an exporter's names."""
    arrays = (some(channels, at=1), some(channels), some(channels), some(channels) ** 2 + 1)
    numbers = [a.astype(np.float32) for a in arrays]
    return {f"{prefix}{s}": a for s, a in zip(suffixes, numbers, strict=True)}


def mxnet() -> ModelProto:
    """Opset 7: all weights are inputs too, poolings and norms have attributes of their time."""
    bn = ("_gamma", "_beta", "_running_mean", "_running_var")
    weights = {
        "net0_conv0_weight": some(8, 3, 3, 3),
        **norm("net0_batchnorm0", 8, *bn),
        "net0_conv1_weight": some(8, 8, 3, 3),
        **norm("net0_batchnorm1", 8, *bn),
        "net0_dense0_weight": some(5, 8),
        "net0_dense0_bias": some(5),
    }

    def normal(number: int, x: str, y: str) -> Any:
        names = " ".join(f"net0_batchnorm{number}{s}" for s in bn)
        name = f"net0_batchnorm{number}_fwd"
        how: dict[str, Any] = {"epsilon": 1e-5, "momentum": 0.9, "spatial": 1}
        return node("BatchNormalization", f"{x} {names}", y, name, **how)

    window: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        node("Conv", "x net0_conv0_weight", "c0", "net0_conv0_fwd", **window, strides=[2, 2]),
        normal(0, "c0", "b0"),
        node("Relu", "b0", "r0", "net0_relu0_fwd"),
        node("MaxPool", "r0", "p0", "net0_pool0_fwd", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", "p0 net0_conv1_weight", "c1", "net0_conv1_fwd", **window),
        normal(1, "c1", "b1"),
        node("Add", "b1 p0", "a1", "net0__plus0"),
        node("Relu", "a1", "r1", "net0_relu1_fwd"),
        node("GlobalAveragePool", "r1", "g", "net0_pool1_fwd"),
        node("Dropout", "g", "d mask", "net0_dropout0_fwd", ratio=0.2),
        node("Flatten", "d", "f", "flatten_1"),
        node("Gemm", "f net0_dense0_weight net0_dense0_bias", "y", "net0_dense0_fwd", transB=1),
    ]
    return model(*nodes, x=(1, 3, 16, 16), opset=7, listed=True, **weights)


def chainer() -> ModelProto:
    """onnx-chainer, opset 9: nodes without names, pads that are uneven, for `cover_all`."""
    weights = {
        "param_conv1_W": some(6, 3, 3, 3),
        "param_conv1_b": some(6),
        "param_fc_W": some(4, 6 * 4 * 4),
        "param_fc_b": some(4),
    }
    how: dict[str, Any] = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]}
    nodes = [
        node("Conv", "x param_conv1_W param_conv1_b", "c", kernel_shape=[3, 3], pads=[1] * 4),
        node("LRN", "c", "l", alpha=1e-4, beta=0.75, bias=2.0, size=5),
        node("LeakyRelu", "l", "r", alpha=0.2),
        node("MaxPool", "r", "p", **how),
        node("Reshape", "p shape", "f"),
        node("Gemm", "f param_fc_W param_fc_b", "g", alpha=1.0, beta=1.0, transA=0, transB=1),
        node("Tanh", "g", "y"),
    ]
    return model(*nodes, x=(2, 3, 8, 8), opset=9, listed=True, shape=ints(2, -1), **weights)


def paddle() -> ModelProto:
    """paddle2onnx: constants as nodes, a hard swish in parts, a flatten computed of the shape."""
    bn = (".w_0", ".b_0", ".w_1", ".w_2")
    weights = {
        "conv2d_0.w_0": some(8, 3, 3, 3),
        **norm("batch_norm_0", 8, *bn),
        "linear_0.w_0": some(8, 5),
        "linear_0.b_0": some(5),
    }
    three, six = (helper.make_tensor("c", 1, [], [n]) for n in (3.0, 6.0))
    zero = helper.make_tensor("c", 1, [], [0.0])
    rest = helper.make_tensor("c", 7, [1], [-1])
    first, second = (helper.make_tensor("c", 7, [1], [n]) for n in (0, 1))
    names = " ".join(f"batch_norm_0{s}" for s in bn)
    nodes = [
        node("Conv", "x conv2d_0.w_0", "c", "Conv_0", pads=[1] * 4, strides=[2, 2]),
        node("BatchNormalization", f"c {names}", "b", "BatchNormalization_0", epsilon=1e-5),
        node("Constant", "", "three", "Constant_1", value=three),
        node("Constant", "", "zero", "Constant_2", value=zero),
        node("Constant", "", "six", "Constant_3", value=six),
        node("Add", "b three", "h1", "Add_0"),
        node("Clip", "h1 zero six", "h2", "Clip_0"),
        node("Mul", "b h2", "h3", "Mul_0"),
        node("Div", "h3 six", "h", "Div_0"),
        node("GlobalAveragePool", "h", "g", "GlobalAveragePool_0"),
        node("Shape", "g", "s", "Shape_0"),
        node("Constant", "", "first", "Constant_4", value=first),
        node("Constant", "", "second", "Constant_5", value=second),
        node("Slice", "s first second", "n", "Slice_0"),
        node("Constant", "", "rest", "Constant_6", value=rest),
        node("Concat", "n rest", "t", "Concat_0", axis=0),
        node("Reshape", "g t", "f", "Reshape_0"),
        node("MatMul", "f linear_0.w_0", "m", "MatMul_0"),
        node("Add", "m linear_0.b_0", "y", "Add_1"),
    ]
    return model(*nodes, x=(-1, 3, 16, 16), opset=11, **weights)


def tensorflow() -> ModelProto:
    """tf2onnx: channels last outside, transposes around, pads and biases of their own."""
    weights = {
        "model/conv1/Conv2D/ReadVariableOp:0": some(8, 3, 3, 3),
        "model/conv1/BiasAdd/ReadVariableOp:0": some(8),
        "model/dw/depthwise": some(8, 1, 3, 3),
        "model/bn/mul": some(1, 8, 1, 1, at=1),
        "model/bn/add": some(1, 8, 1, 1),
        "model/dense/MatMul/ReadVariableOp:0": some(8 * 4 * 4, 5),
        "model/dense/BiasAdd/ReadVariableOp:0": some(5),
        "pads": ints(0, 0, 0, 0, 0, 0, 1, 1),
        "flat": ints(-1, 128),
    }
    c, b, d, m, a, w, v = list(weights)[:7]
    front = "StatefulPartitionedCall/model"
    nodes = [
        node("Transpose", "x", "t", f"{front}/conv1/Conv2D__6", perm=[0, 3, 1, 2]),
        node("Pad", "t pads", "p", f"{front}/pad/Pad"),
        node("Conv", f"p {c} {b}", "c", f"{front}/conv1/Conv2D", strides=[2, 2]),
        node("Relu", "c", "r", f"{front}/relu1/Relu"),
        node("Conv", f"r {d}", "d", f"{front}/dw/depthwise", group=8, auto_pad="SAME_UPPER"),
        node("Mul", f"d {m}", "m", f"{front}/bn/FusedBatchNormV3_mul"),
        node("Add", f"m {a}", "a", f"{front}/bn/FusedBatchNormV3_add"),
        node("Transpose", "a", "l", f"{front}/flatten/Transpose", perm=[0, 2, 3, 1]),
        node("Reshape", "l flat", "f", f"{front}/flatten/Reshape"),
        node("MatMul", f"f {w}", "k", f"{front}/dense/MatMul"),
        node("Add", f"k {v}", "y", f"{front}/dense/BiasAdd"),
    ]
    return model(*nodes, x=("unk__1", 8, 8, 3), opset=15, **weights)


@pytest.mark.parametrize(
    ("made", "layers", "lines"),
    [
        (
            mxnet(),
            "conv batchnorm relu maxpool conv batchnorm add relu global_avgpool dropout linear",
            22,
        ),
        (chainer(), "conv lrn leaky_relu maxpool flatten linear tanh", 16),
        (paddle(), "conv batchnorm hardswish global_avgpool linear", 16),
        (tensorflow(), "conv relu conv scale flatten linear", 18),
    ],
    ids=["mxnet", "chainer", "paddle", "tensorflow"],
)
def test_other_tools(made: ModelProto, layers: str, lines: int, tmp_path: Path) -> None:
    path = saved(made, tmp_path)
    batch = made.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    net = same(path, batch=batch if batch > 0 else 3, in_torch=True)
    assert ops(net) == layers.split()
    text = netspec.convert(path).text
    assert len(text.splitlines()) <= lines
    statistics = sum(int(np.prod(t.shape)) for n, t in net.tensors.items() if "running" in n)
    assert net.params + statistics == stored(path)


@pytest.mark.parametrize(("name", "params"), [("squeezenet", 1_235_496), ("shufflenet", 1_393_320)])
def test_models_of_caffe2(name: str, params: int) -> None:
    """Opset 9, and weights that are made by nodes."""
    path = Path(onnx.__file__).parent / "backend/test/data/light" / f"light_{name}.onnx"
    net = netspec.load(path)
    assert net.params == params
    nodes = [n.op_type for n in onnx.load(path).graph.node]
    assert ops(net).count("conv") == nodes.count("Conv")
    # Their weights are one number each, so that what comes out says nothing.
    assert net.ir.flat_outputs[0].shape == (1000,)


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.act = nn.SiLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + cast(torch.Tensor, self.act(self.bn(self.conv(x))))


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.Hardswish())
        self.blocks = nn.Sequential(Block(8), Block(8), Block(8))
        self.norm = nn.GroupNorm(2, 8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(self.stem(x))
        b, c, h, w = x.shape
        x = x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w)
        x = self.norm(x)
        return cast(torch.Tensor, self.head(x.mean((2, 3))))


def exported(path: Path, new: bool) -> nn.Module:
    """A file of PyTorch's newer or older exporter, the batch left open."""
    torch.manual_seed(1)
    module = Small().eval()
    for norm in (m for m in module.modules() if isinstance(m, nn.BatchNorm2d)):
        for name, buffer in norm.named_buffers():
            if "running" in name:
                nn.init.uniform_(buffer, 0.5, 2)
    picture = torch.randn(2, 3, 17, 17)
    if new:
        shapes = ({0: torch.export.Dim.DYNAMIC},)
        torch.onnx.export(
            module,
            (picture,),
            path,
            dynamo=True,
            dynamic_shapes=shapes,
            external_data=False,
            verbose=False,
        )
    else:
        axes = {"x": {0: "n"}}
        torch.onnx.export(
            module, (picture,), path, dynamo=False, input_names=["x"], dynamic_axes=axes
        )
    return module


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("new", [False, True], ids=["old", "new"])
def test_exporters_of_pytorch(
    new: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "small.onnx"
    module = exported(path, new)
    net = same(path, batch=3, in_torch=True)
    folded = sum(p.numel() for n, p in module.named_parameters() if ".bn." in n)
    assert net.params == sum(p.numel() for p in module.parameters()) - folded + 3 * 8
    assert "channel_shuffle" in ops(net)
    assert "groupnorm" in ops(net)
    text = netspec.convert(path).text
    assert "stem" in text
    assert "blocks" in text
    assert ops(net).count("silu") == 3
    assert main(["convert", str(path), "-o", str(tmp_path / "out.net"), "--check"]) == 0


def test_scopes_and_classes_of_the_newer_exporter(tmp_path: Path) -> None:
    made = model(node("Conv", "x val_3", "y", "node_conv2d"), val_3=some(2, 4, 1, 1))
    scopes = made.graph.node[0].metadata_props.add()
    scopes.key, scopes.value = "pkg.torch.onnx.name_scopes", "['', 'body', 'body.0', 'conv2d']"
    kinds = made.graph.node[0].metadata_props.add()
    kinds.key = "pkg.torch.onnx.class_hierarchy"
    kinds.value = "['a.Net', 'a.Body', 'torch.nn.modules.conv.Conv2d', 'aten.conv2d.default']"
    assert "body0:" in netspec.convert(saved(made, tmp_path)).text
    # What is no list of strings says nothing.
    scopes.value = "__import__('os').system('false')"
    assert "conv:" in netspec.convert(saved(made, tmp_path)).text


@pytest.mark.parametrize(
    "said", ["{", "[]", '{"scale": "a"}', '{"scale": 0}', '{"mean": [1e999]}', '{"crop": "} x {"}']
)
def test_notes_on_pictures_that_are_not_sound(said: str, tmp_path: Path) -> None:
    made = model(node("Relu", "x", "y"), x=(1, 3, 4, 4))
    made.metadata_props.add(key="netspec.preprocessing", value=said)
    assert netspec.load(saved(made, tmp_path)).ir.preprocessing == (None,)


def test_two_inputs(tmp_path: Path) -> None:
    made = model(node("Relu", "z", "r"), node("Add", "x r", "y"))
    made.graph.input.append(helper.make_tensor_value_info("z", 1, ["N", 4, 6, 6]))
    assert ops(same(saved(made, tmp_path))) == ["relu", "add"]


def test_nodes_without_a_scope_stand_where_they_are_used(tmp_path: Path) -> None:
    nodes = [
        node("Split", "x", "a b", axis=1),
        node("Conv", "b w", "c"),
        node("Concat", "a c", "y", axis=1),
    ]
    made = model(*nodes, w=some(2, 2, 1, 1), opset=13)
    for number, path, kind in (
        (1, "unit.conv", "torch.nn.modules.conv.Conv2d"),
        (2, "", "own.Unit"),
    ):
        said = made.graph.node[number].metadata_props
        scopes, kinds = ["", "unit", path, "f"], ["own.Net", "own.Unit", kind, "aten.f"]
        if not path:
            del scopes[2], kinds[2]
        said.add(key="pkg.torch.onnx.name_scopes", value=repr(scopes))
        said.add(key="pkg.torch.onnx.class_hierarchy", value=repr(kinds))
    program = program_of(saved(made, tmp_path), {})
    assert [o.name for o in program.operations] == ["unit.split", "unit.conv", "unit.concat"]
    assert program.modules == {"unit": "Unit", "unit.conv": "Conv2d"}


def test_pictures_with_channels_last_and_sizes_left_open(tmp_path: Path) -> None:
    nodes = [
        node("Mul", "x c", "a"),
        node("Transpose", "a", "t", perm=[0, 3, 1, 2]),
        node("Conv", "t w", "h"),
        node("Transpose", "h", "y", perm=[0, 2, 3, 1]),
    ]
    made = model(*nodes, x=("N", "h", "w", 3), w=some(2, 3, 3, 3), c=some(3))
    path = saved(made, tmp_path)
    net = netspec.load(path, **{"input:": "3x9x8"})
    assert [tuple(v.shape) for v in net.ir.body.inputs] == [(3, 9, 8)]
    assert ops(net) == ["scale", "conv"]
    assert tuple(net.ir.flat_outputs[0].shape) == (2, 7, 6)


def test_sizes_that_are_left_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [
        node("Conv", "x w", "c"),
        node("Shape", "c", "s"),
        node("Gather", "s zero", "n"),
        node("Concat", "n rest", "t", axis=0),
        node("Reshape", "c t", "y"),
    ]
    made = model(*nodes, x=("N", 3, "h", "w"), w=some(2, 3, 3, 3), zero=ints(0), rest=ints(-1))
    path = saved(made, tmp_path)
    assert main(["check", str(path)]) == 1
    assert "--input x=3x224x224" in capsys.readouterr().err
    assert main(["table", str(path), "--input", "x=3x8x9"]) == 0
    assert "84" in capsys.readouterr().out


def test_functions_and_branches_are_opened_up(tmp_path: Path) -> None:
    inner = [
        node("Conv", "a b", "c", "conv"),
        node("LeakyRelu", "c", "d", "act"),
    ]
    inner[1].attribute.add(name="alpha", type=1, ref_attr_name="slope")
    function = helper.make_function(
        "own", "block", ["a", "b"], ["d"], inner, [helper.make_opsetid("", 17)], ["slope"]
    )
    yes = helper.make_graph(
        [node("Relu", "h", "r")], "yes", [], [helper.make_tensor_value_info("r", 1, None)]
    )
    no = helper.make_graph(
        [node("Tanh", "h", "t")], "no", [], [helper.make_tensor_value_info("t", 1, None)]
    )
    nodes = [
        node("block", "x w", "g", "first", domain="own", slope=0.3),
        node("block", "g v", "h", "second", domain="own", slope=0.3),
        node("If", "yes", "y", then_branch=yes, else_branch=no),
    ]
    made = model(
        *nodes, functions=[function], w=some(4, 4, 1, 1), v=some(4, 4, 1, 1), yes=np.array(True)
    )
    net = same(saved(made, tmp_path))
    assert ops(net) == ["conv", "leaky_relu", "conv", "leaky_relu", "relu"]
    assert {n.rpartition(".")[0] for n in net.tensors} == {"first", "second"} or net.params == 32


@pytest.mark.parametrize("options", [[], ["--functions"]], ids=["plain", "functions"])
@pytest.mark.parametrize("name", ["squeezenet_digits", "enet"])
def test_files_of_our_own(name: str, options: list[str], tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    assert main(["compile", name, "--backend", "onnx", "-o", str(path), *options]) == 0
    net, original = netspec.load(path), netspec.load(name)
    assert net.params == original.params
    assert net.ir.preprocessing == original.ir.preprocessing
    assert sorted(ops(net)) == sorted(o for o in ops(original) if o not in ("dropout", "identity"))
