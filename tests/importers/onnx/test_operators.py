"""Each operator of ONNX, in several opsets, against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

import netspec
from netspec.importers.onnx.translate import program_of
from netspec.importers.tensors.patterns import with_patterns

from .models import ints, model, node, ops, same, saved, some

ONE = np.float32(1)


def conv(**attributes: Any) -> ModelProto:
    weight = some(6, 4 // attributes.get("group", 1), 3, 3)
    return model(node("Conv", "x w b", "y", **attributes), w=weight, b=some(6), x=("N", 4, 7, 8))


def turned(*, opset: int = 17, **attributes: Any) -> ModelProto:
    return model(
        node("ConvTranspose", "x w b", "y", **attributes),
        w=some(4, 5, 3, 3),
        b=some(5),
        opset=opset,
    )


def pool(op: str, opset: int = 17, **attributes: Any) -> ModelProto:
    made = node(op, "x", "y", kernel_shape=[3, 3], **attributes)
    return model(made, x=("N", 4, 8, 7), opset=opset)


def one(op: str, opset: int = 17, x: Any = ("N", 4, 6, 6), **attributes: Any) -> ModelProto:
    return model(node(op, "x", "y", **attributes), opset=opset, x=x)


def two(op: str, second: Any, opset: int = 17, x: Any = ("N", 4, 6, 6), **how: Any) -> ModelProto:
    return model(node(op, "x c", "y", **how), c=second, opset=opset, x=x)


def two_steps(op: str, opset: int, **attributes: Any) -> ModelProto:
    return model(node(op, "x", "a", **attributes), node("Neg", "a", "y"), opset=opset)


CASES: dict[str, tuple[ModelProto, str]] = {
    "conv": (conv(pads=[1, 0, 2, 1], strides=[2, 1]), "conv"),
    "conv, same upper": (conv(auto_pad="SAME_UPPER", strides=[2, 2]), "conv"),
    "conv, same lower": (conv(auto_pad="SAME_LOWER", strides=[2, 2]), "conv"),
    "conv, valid": (conv(auto_pad="VALID", dilations=[2, 3]), "conv"),
    "conv, groups": (conv(group=2), "conv"),
    "transposed": (
        turned(strides=[2, 2], pads=[1, 1, 0, 0], output_padding=[1, 1]),
        "conv_transpose",
    ),
    "transposed to a size": (turned(strides=[2, 2], output_shape=[12, 12]), "conv_transpose"),
    "maxpool": (pool("MaxPool", strides=[2, 2], pads=[1, 1, 1, 1]), "maxpool"),
    "maxpool, ceil": (pool("MaxPool", strides=[2, 2], ceil_mode=1), "maxpool"),
    "maxpool, gaps": (pool("MaxPool", dilations=[2, 2]), "maxpool"),
    "maxpool 7": (pool("MaxPool", 7, strides=[2, 3], auto_pad="SAME_UPPER"), "maxpool"),
    "avgpool": (pool("AveragePool", pads=[1, 1, 1, 1]), "avgpool"),
    "avgpool, padding counts": (
        pool("AveragePool", strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1),
        "avgpool",
    ),
    "global": (one("GlobalAveragePool"), "global_avgpool"),
    "global maximum": (one("GlobalMaxPool"), "global_maxpool"),
    "gemm": (
        model(node("Gemm", "x w b", "y", alpha=0.5, beta=2.0), w=some(4, 3), b=some(3), x=("N", 4)),
        "linear",
    ),
    "gemm, one bias": (
        model(node("Gemm", "x w b", "y", transB=1), w=some(3, 4), b=some(1), x=("N", 4)),
        "linear",
    ),
    "matmul": (
        model(
            node("MatMul", "x w", "h"), node("Add", "b h", "y"), w=some(4, 3), b=some(3), x=("N", 4)
        ),
        "linear",
    ),
    "batch norm": (
        model(
            node("BatchNormalization", "x g b m v", "y", epsilon=1e-3),
            g=some(4, at=1),
            b=some(4),
            m=some(4),
            v=some(4) ** 2 + ONE,
        ),
        "batchnorm",
    ),
    "instance norm": (
        model(node("InstanceNormalization", "x g b", "y"), g=some(4), b=some(4)),
        "instancenorm",
    ),
    "group norm 18": (
        model(
            node("GroupNormalization", "x g b", "y", num_groups=2), g=some(2), b=some(2), opset=18
        ),
        "groupnorm",
    ),
    "group norm 21": (
        model(
            node("GroupNormalization", "x g b", "y", num_groups=2), g=some(4), b=some(4), opset=21
        ),
        "groupnorm",
    ),
    "layer norm": (
        model(
            node("Transpose", "x", "a", perm=[0, 2, 3, 1]),
            node("LayerNormalization", "a g b", "c"),
            node("Transpose", "c", "y", perm=[0, 3, 1, 2]),
            g=some(4),
            b=some(4),
        ),
        "layernorm",
    ),
    "lrn": (one("LRN", size=3, alpha=0.1, beta=0.6, bias=2.0), "lrn"),
    "prelu": (two("PRelu", some(4, 1, 1)), "prelu"),
    "prelu, one slope": (two("PRelu", some(1)), "prelu"),
    "clip 7": (one("Clip", 7, min=0.0, max=6.0), "relu6"),
    "clip 13": (model(node("Clip", "x _ c", "y"), c=np.float32(0.3)), "clamp"),
    "clip at 0": (model(node("Clip", "x c", "y"), c=np.float32(0)), "relu"),
    "hard sigmoid": (one("HardSigmoid"), "power clamp"),
    "hard sigmoid, sixths": (one("HardSigmoid", alpha=1 / 6), "hardsigmoid"),
    "gelu by tanh": (one("Gelu", 20, approximate="tanh"), ""),
    # PyTorch models end in front of a softmax, so it does not end these.
    "softmax 12": (two_steps("Softmax", 12, axis=1), ""),
    "softmax 13": (two_steps("Softmax", 13, axis=1), "softmax power"),
    "sigmoid": (two_steps("Sigmoid", 13), "sigmoid power"),
    "shrink": (one("Shrink", lambd=0.3, bias=0.3), "softshrink"),
    "thresholded": (one("ThresholdedRelu", alpha=0.2), "threshold"),
    "threshold": (
        model(
            node("Greater", "x c", "a"),
            node("Where", "a x d", "y"),
            c=np.float32(0.1),
            d=np.float32(-1),
        ),
        "threshold",
    ),
    "sum": (model(node("Sum", "x x x", "y")), ""),
    "mean of two": (model(node("Relu", "x", "r"), node("Mean", "x r", "y")), "relu add power"),
    "maximum": (model(node("Neg", "x", "r"), node("Max", "x r", "y")), "power maximum"),
    "number in front": (model(node("Sub", "c x", "y"), c=np.float32(1)), "power"),
    "power": (two("Pow", np.float32(2)), "power"),
    "each channel": (
        model(node("Mul", "x c", "a"), node("Add", "a c", "y"), c=some(4, 1, 1)),
        "scale",
    ),
    "each place": (two("Add", some(4, 6, 6)), "parameter add"),
    "mean of channels": (one("ReduceMean", 13, axes=[1]), "mean"),
    "mean of places": (two("ReduceMean", ints(-1, -2), 18), "global_avgpool"),
    "sum of places": (two("ReduceSum", ints(2, 3), 13, keepdims=0), "sum flatten"),
    "argmax": (
        model(node("ArgMax", "x", "a", axis=1, keepdims=1), node("Cast", "a", "y", to=1)),
        "argmax",
    ),
    "concat": (model(node("Relu", "x", "r"), node("Concat", "r x", "y", axis=-3)), "relu concat"),
    "concat of rows": (model(node("Relu", "x", "r"), node("Concat", "x r", "y", axis=2)), ""),
    "split 11": (
        model(node("Split", "x", "a b", axis=1, split=[1, 3]), node("Relu", "b", "y"), opset=11),
        "",
    ),
    "split 18": (
        model(node("Split", "x", "a b", axis=1, num_outputs=2), node("Add", "a b", "y"), opset=18),
        "split add",
    ),
    "slice 9": (one("Slice", 9, axes=[1, 2], starts=[1, -3], ends=[3, 100]), ""),
    "slice 13": (
        model(
            node("Slice", "x s e a t", "y"),
            s=ints(0, 5),
            e=ints(6, -7),
            a=ints(3, 2),
            t=ints(2, -1),
        ),
        "slice flip",
    ),
    "gather": (two("Gather", ints(1, 2), axis=1), "slice"),
    "gather, backwards": (two("Gather", ints(2, 1, 0), axis=1), ""),
    "gather one": (
        model(
            node("Gather", "x c", "a", axis=2),
            node("Unsqueeze", "a d", "y"),
            c=np.int64(-1),
            d=ints(2),
        ),
        "slice",
    ),
    "gather, mixed": (two("Gather", ints(3, 0, 1), axis=1), "slice slice concat"),
    "pad 7": (one("Pad", 7, pads=[0, 0, 1, 2, 0, 0, 0, 1], value=0.5), "pad"),
    "pad 13, channels": (two("Pad", ints(0, 1, 0, 0, 0, 2, 0, 0)), "pad"),
    "pad 18, axes": (model(node("Pad", "x p _ a", "y"), p=ints(1, 2), a=ints(-1), opset=18), "pad"),
    "pad below 0": (two("Pad", ints(0, 0, -1, 0, 0, 0, 0, -2)), ""),
    "pad and conv": (
        model(
            node("Pad", "x p", "h"),
            node("Conv", "h w", "y"),
            p=ints(0, 0, 1, 0, 0, 0, 2, 1),
            w=some(2, 4, 3, 3),
        ),
        "conv",
    ),
    "pad and maxpool": (
        model(
            node("Pad", "x p c", "h"),
            node("MaxPool", "h", "y", kernel_shape=[3, 3]),
            p=ints(0, 0, 1, 1, 0, 0, 1, 1),
            c=np.float32(-np.inf),
        ),
        "maxpool",
    ),
    "dropout": (model(node("Dropout", "x r", "y"), r=np.float32(0.3)), "dropout"),
    "shuffle": (
        model(
            node("Reshape", "x a", "h"),
            node("Transpose", "h", "i", perm=[0, 2, 1, 3, 4]),
            node("Reshape", "i b", "y"),
            a=ints(0, 2, 2, 6, 6),
            b=ints(0, -1, 6, 6),
        ),
        "channel_shuffle",
    ),
    "depth to space": (one("DepthToSpace", blocksize=2, mode="CRD"), "pixel_shuffle"),
    "depth to space, DCR": (
        one("DepthToSpace", x=("N", 8, 3, 3), blocksize=2),
        "channel_shuffle pixel_shuffle",
    ),
    "space to depth": (one("SpaceToDepth", blocksize=2), "pixel_unshuffle channel_shuffle"),
    "expand": (
        model(node("GlobalAveragePool", "x", "a"), node("Expand", "a s", "y"), s=ints(1, 4, 6, 6)),
        "",
    ),
    "tile": (two("Tile", ints(1, 2, 1, 1)), "concat"),
    "flip": (
        model(node("Slice", "x s e a s", "y"), s=ints(-1), e=ints(-(2**31)), a=ints(-1)),
        "flip",
    ),
}
for _name in ("Relu", "Tanh", "Softplus", "Softsign", "HardSwish", "Abs", "Exp", "Elu"):
    CASES[_name] = (one(_name), _name.lower())
CASES["Selu"] = (one("Selu"), "selu")
CASES["Celu"] = (one("Celu", alpha=0.7), "celu")
CASES["LeakyRelu"] = (one("LeakyRelu", alpha=0.2), "leaky_relu")
CASES["Mish"] = (one("Mish", 18), "mish")
CASES["Gelu"] = (one("Gelu", 20), "gelu")
CASES["Log"] = (model(node("Exp", "x", "a"), node("Log", "a", "y")), "exp log")
CASES["Sqrt"] = (model(node("Exp", "x", "a"), node("Sqrt", "a", "y")), "exp power")


# One operator each for an op that has a name of its own: the others are asked at length.
_PLAIN = [n for n in CASES if n[0].isupper()]


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.exhaustive) if n in _PLAIN[2:] else n for n in CASES],
)
def test_operators(name: str, tmp_path: Path) -> None:
    made, expected = CASES[name]
    net = same(saved(made, tmp_path))
    assert not expected or ops(net) == expected.split()


def resize(sizes: Any = None, scales: Any = None, opset: int = 17, **how: Any) -> ModelProto:
    weights = {"s": np.array(scales, np.float32)} if scales else {"s": ints(*sizes)}
    made = node("Resize", "x _ s" if scales else "x _ _ s", "y", **how)
    return model(made, x=(2, 4, 6, 6), opset=opset, **weights)


RESIZES = {
    "nearest": resize(
        scales=(1, 1, 2, 2), coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    ),
    "nearest, halves": resize(scales=(1, 1, 2, 2), nearest_mode="round_prefer_floor"),
    "nearest, uneven": resize(
        (2, 4, 9, 11), coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    ),
    "bilinear": resize((2, 4, 9, 11), mode="linear"),
    "bilinear, smaller": resize(
        (2, 4, 4, 3), mode="linear", coordinate_transformation_mode="pytorch_half_pixel"
    ),
    "bilinear, corners": resize(
        (2, 4, 9, 11), mode="linear", coordinate_transformation_mode="align_corners"
    ),
    "bicubic": resize(scales=(1, 1, 2, 2), mode="cubic"),
    "upsample 9": model(
        node("Upsample", "x s", "y"), s=np.array([1, 1, 2, 3], np.float32), opset=9
    ),
    "upsample 7": model(node("Upsample", "x", "y", scales=[1.0, 1.0, 2.0, 2.0]), opset=7),
    "resize 10": model(node("Resize", "x s", "y"), s=np.array([1, 1, 2, 2], np.float32), opset=10),
    "channels last": model(
        node("Transpose", "x", "a", perm=[0, 2, 3, 1]),
        node("Resize", "a _ s", "b", coordinate_transformation_mode="half_pixel", mode="linear"),
        node("Transpose", "b", "y", perm=[0, 3, 1, 2]),
        s=np.array([1, 2, 2, 1], np.float32),
    ),
}


@pytest.mark.parametrize("name", RESIZES)
def test_resizes(name: str, tmp_path: Path) -> None:
    assert "upsample" in ops(same(saved(RESIZES[name], tmp_path)))


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("factor", [1.1, 1.3])
def test_a_factor_that_leaves_a_part_of_a_pixel_is_refused(
    mode: str, factor: float, tmp_path: Path
) -> None:
    """ONNX steps by the factor then, also where the size stays, and not by the ratio of sizes."""
    made = saved(resize(scales=(1, 1, factor, 1), mode=mode), tmp_path)
    with pytest.raises(netspec.SpecError, match="leaves a part of a pixel can't be said"):
        netspec.convert(made)


NUMBERS = {"half": np.float32(0.5), "one": ONE, "root": np.float32(2**0.5), "three": np.float32(3)}
NUMBERS |= {
    "six": np.float32(6),
    "zero": np.float32(0),
    "two": np.float32(2),
    "eps": np.float32(1e-3),
}
_GELU = [node("Div", "x root", "a"), node("Erf", "a", "b"), node("Add", "b one", "c")]
_MOMENTS = [
    node("ReduceMean", "x", "m", axes=[1], keepdims=1),
    node("Sub", "x m", "d"),
    node("Pow", "d two", "q"),
    node("ReduceMean", "q", "v", axes=[1], keepdims=1),
    node("Add", "v eps", "e"),
    node("Sqrt", "e", "s"),
]
PATTERNS: dict[str, tuple[list[Any], str]] = {
    "silu": ([node("Sigmoid", "x", "s"), node("Mul", "x s", "y")], "silu"),
    "silu, other way": ([node("Sigmoid", "x", "s"), node("Mul", "s x", "y")], "silu"),
    "gelu": ([*_GELU, node("Mul", "x c", "d"), node("Mul", "d half", "y")], "gelu"),
    "gelu, half first": ([*_GELU, node("Mul", "half x", "d"), node("Mul", "d c", "y")], "gelu"),
    "hardswish": (
        [
            node("Add", "x three", "a"), node("Clip", "a zero six", "b"),
            node("Mul", "x b", "c"), node("Div", "c six", "y"),
        ],
        "hardswish",
    ),
    "hardswish, gate first": (
        [
            node("Add", "x three", "a"), node("Clip", "a zero six", "b"),
            node("Div", "b six", "c"), node("Mul", "x c", "y"),
        ],
        "hardswish",
    ),
    "hardswish by sigmoid": (
        [node("HardSigmoid", "x", "a", alpha=1 / 6), node("Mul", "a x", "y")], "hardswish",
    ),
    "hardsigmoid": (
        [node("Add", "x three", "a"), node("Clip", "a zero six", "b"), node("Div", "b six", "y")],
        "hardsigmoid",
    ),
    "mish": ([node("Softplus", "x", "a"), node("Tanh", "a", "b"), node("Mul", "x b", "y")], "mish"),
    "leaky": ([node("Mul", "x half", "a"), node("Max", "a x", "y")], "leaky_relu"),
    "layer norm": (
        [*_MOMENTS, node("Div", "d s", "n"), node("Mul", "n g", "o"), node("Add", "o h", "y")],
        "layernorm",
    ),
    "layer norm by a reciprocal": (
        [*_MOMENTS, node("Reciprocal", "s", "r"), node("Mul", "d r", "n"), node("Mul", "n g", "o"),
         node("Add", "o h", "y")],
        "layernorm",
    ),
    "group norm": (
        [
            node("Reshape", "x parts", "p"), node("InstanceNormalization", "p ones zeros", "i"),
            node("Shape", "x", "w"), node("Reshape", "i w", "j"),
            node("Mul", "j g", "k"), node("Add", "k h", "y"),
        ],
        "groupnorm",
    ),
    "batch norm in parts": (
        [
            node("Conv", "x conv", "c"),
            node("Sub", "c g", "d"),
            node("Mul", "d h", "e"),
            node("Add", "g e", "y"),
        ],
        "conv scale",
    ),
    "bias and number": (
        [node("Conv", "x conv", "c"), node("Add", "c g", "d"), node("Mul", "d half", "y")],
        "conv power",
    ),
    "length": (
        [node("ReduceL2", "x", "a", axes=[1], keepdims=1), node("Clip", "a tiny", "b"),
         node("Expand", "b shape", "c"), node("Div", "x c", "y")],
        "normalize",
    ),
    # What only looks like one of them stays what it is.
    "gate of another": (
        [node("Relu", "x", "r"), node("Sigmoid", "r", "s"), node("Mul", "x s", "y")],
        "relu sigmoid mul",
    ),
    "half of a silu": (
        [node("Sigmoid", "x", "s"), node("Mul", "x s", "a"), node("Mul", "a half", "y")],
        "silu power",
    ),
    "other bound": (
        [node("Add", "x two", "a"), node("Clip", "a zero six", "b"), node("Mul", "x b", "y")], "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns(name: str, tmp_path: Path) -> None:
    nodes, expected = PATTERNS[name]
    taken = {n for made in nodes for n in made.input}
    weights: dict[str, Any] = {
        **NUMBERS,
        "g": some(4, 1, 1),
        "h": some(4, 1, 1),
        "parts": ints(0, 2, -1),
        "ones": np.ones(2, np.float32),
        "zeros": np.zeros(2, np.float32),
        "conv": some(4, 4, 1, 1),
        "tiny": np.float32(1e-12),
        "shape": ints(2, 4, 6, 6),
    }
    made = model(*nodes, **{n: w for n, w in weights.items() if n in taken}, x=(2, 4, 6, 6))
    net = same(saved(made, tmp_path))
    assert not expected or ops(net) == expected.split()


def test_a_module_that_is_written_in_parts_keeps_its_name(tmp_path: Path) -> None:
    nodes = [
        node("Sigmoid", "x", "a", "/act/Sigmoid"),
        node("Mul", "x a", "b", "/act/Mul"),
        node("Sigmoid", "b", "c", "/block/Sigmoid"),
        node("Mul", "c b", "d", "/block/Mul"),
        node("Add", "d b", "y", "/block/Add"),
    ]
    program = with_patterns(program_of(saved(model(*nodes), tmp_path), {}))
    assert [o.name for o in program.operations] == ["act", "block.silu", "block.add"]
