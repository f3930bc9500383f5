"""Small nets that between them use every op with every field."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from netspec.diagnostics.source import Source
from netspec.driver import bundled, check
from netspec.ir import Net

from ..helpers import bundled_text, loaded, one_of_each_text


def net_of(text: str, **settings: object) -> Net:
    """The net of a text; fails with all its diagnostics."""
    return check(Source("test.net", text), Path(), settings).sound()


def of_layers(layers: str, shape: str = "3x13x11") -> Net:
    return net_of(f"net small {{ input data: {shape}\n {layers} }}")


BODIES: dict[str, tuple[str, str]] = {
    "conv": ("conv { filters: 8 kernel: 3x3 }", "3x13x11"),
    "conv_one": ("conv { filters: 8 kernel: 1 stride: 2 bias: false }", "3x13x11"),
    "conv_pads": ("conv { filters: 4 kernel: [5, 2] pad: [0, 3, 1, 2] stride: [2, 3] }", "3x13x11"),
    "conv_dilated": ("conv { filters: 4 kernel: 3 dilation: [2, 3] pad: 3x2 }", "3x13x11"),
    "conv_grouped": ("conv { filters: 12 kernel: 3 groups: 3 pad: 1 }", "6x9x9"),
    "conv_depthwise": ("conv { filters: 12 kernel: 3 groups: depthwise stride: 2 }", "6x9x9"),
    "conv_same": ("conv { filters: 4 kernel: 4 pad: same } -> relu", "3x13x11"),
    "conv_same_strided": ("conv { filters: 4 kernel: 4 pad: same stride: 3 }", "3x13x11"),
    "avgpool_ceil": ("avgpool { kernel: 3 stride: 2 round: ceil }", "2x12x12"),
    "global": ("global_avgpool", "5x4x7"),
    "softmax": ("softmax", "5x4x7"),
    "softmax_vector": ("flatten -> softmax", "5x2x2"),
    "dropout": ("dropout { ratio: 30% }", "5x4x7"),
    "drop_path": ("a: relu -> drop_path { ratio: 0.2 }\n add(a, data)", "5x4x7"),
    "drop_path_vector": ("flatten -> drop_path { ratio: 0.2 } -> linear { units: 3 }", "5x2x2"),
    "parameter": (
        "p: parameter { shape: data.shape  init: normal(0.02) }\n a: add(data, p)\n"
        "q: parameter { shape: [4, 1, 1] } -> sigmoid\n"
        "r: parameter { shape: [1, 5, 6] }\n mul(a, q, r)",
        "4x5x6",
    ),
    "parameter_joined": ("p: parameter { shape: [2, 5, 6] }\n concat(p, data)", "4x5x6"),
    "parameter_vector": ("v: flatten\n p: parameter { shape: 8 }\n output add(v, p), p", "2x2x2"),
    "roi_pool": ("input r: 4x3x2\n roi_pool(data, r) { size: 2x3 scale: 4 }", "3x9x8"),
    "roi_pool_parts": ("input r: 4x5x1\n a: relu(data)\n roi_pool(a, r) { size: 4 }", "2x4x4"),
    "dropout_conv": ("c: conv { filters: 3 kernel: 1 } -> dropout -> relu", "5x4x7"),
    "batchnorm": ("batchnorm { eps: 0.01 momentum: 0.2 }", "5x4x7"),
    "batchnorm_plain": ("conv { filters: 3 kernel: 1 } -> batchnorm { affine: false }", "5x4x7"),
    "batchnorm_vector": ("flatten -> batchnorm", "5x2x2"),
    "linear": (
        "flatten -> linear { units: 7 } -> relu -> linear { units: 2 bias: false }",
        "5x2x2",
    ),
    "concat": (
        "a: conv { filters: 2 kernel: 1 }\n b: conv(data) { filters: 3 kernel: 1 }\n"
        "concat(a, data, b, a)",
        "3x5x6",
    ),
    "add": ("a: conv { filters: 3 kernel: 1 }\n add(a, data, a)", "3x5x6"),
    "add_spread_channels": ("a: conv { filters: 1 kernel: 1 }\n add(a, data) -> relu", "3x5x6"),
    "mul_crossed": (
        "a: mean { across: channels }\n b: mean(data) { across: spatial }\n"
        "c: slice(data) { rows: [0, 1] }\n mul(a, b)\n add(c, b, a)",
        "3x5x6",
    ),
    "add_spread": ("a: conv { filters: 3 kernel: 5x6 }\n add(data, a)", "3x5x6"),
    "indices": ("p: maxpool { kernel: 2 round: floor }\n output p, p.indices", "3x9x7"),
    "only_indices": (
        "p: maxpool { kernel: 3 stride: 2 pad: 1 round: ceil }\n output p.indices",
        "3x8x8",
    ),
    "transposed": ("conv_transpose { filters: 5 kernel: 3 }", "4x5x6"),
    "transposed_strided": (
        "conv_transpose { filters: 6 kernel: [3, 4] stride: [2, 3] pad: 1 output_pad: [1, 0] }",
        "4x5x6",
    ),
    "transposed_grouped": (
        "conv_transpose { filters: 6 kernel: 3 groups: 2 dilation: [2, 1] bias: false }",
        "4x5x6",
    ),
    "transposed_depthwise": (
        "conv_transpose { filters: 8 kernel: 4 stride: 2 groups: depthwise pad: 1 }",
        "4x5x6",
    ),
    "transposed_uneven": (
        "conv_transpose { filters: 2 kernel: 4 stride: 2 pad: [0, 1, 2, 0] }",
        "4x5x6",
    ),
    "transposed_same": ("conv_transpose { filters: 2 kernel: 3 stride: 2 pad: same }", "4x5x6"),
    "relu6": ("scale -> relu6", "4x5x6"),
    "leaky_relu": ("leaky_relu -> leaky_relu { slope: 0.2 }", "4x5x6"),
    "prelu": ("prelu -> prelu { shared: true }", "4x5x6"),
    "prelu_vector": ("flatten -> prelu", "4x2x2"),
    "elu": ("elu -> elu { alpha: 0.5 }", "4x5x6"),
    "hardtanh": ("hardtanh -> hardtanh { min: -0.5 max: 0.25 }", "4x5x6"),
    "clamp": ("clamp { min: -0.5 } -> clamp { max: 0.25 } -> clamp { min: -1  max: 0 }", "4x5x6"),
    "clamp_fused": ("conv { filters: 3 kernel: 1 } -> clamp { min: 0 } -> scale", "4x6x6"),
    "hardtanh_fused": (
        "c: conv { filters: 3 kernel: 1 } -> hardtanh { min: 0 max: 6 } -> maxpool { kernel: 3 }",
        "4x6x6",
    ),
    "hardtanh_of_relu6": ("scale -> hardtanh { min: 0 max: 6 } -> scale", "4x5x6"),
    "threshold": (
        "threshold { threshold: 0.1 } -> threshold { threshold: -0.5 value: 20.5 }",
        "4x5x6",
    ),
    "celu": ("celu -> celu { alpha: 0.5 }", "4x5x6"),
    "selu": ("selu", "4x5x6"),
    "mish": ("mish", "4x5x6"),
    "logsigmoid": ("logsigmoid", "4x5x6"),
    "softsign": ("softsign", "4x5x6"),
    "tanhshrink": ("tanhshrink", "4x5x6"),
    "hardshrink": ("hardshrink -> hardshrink { threshold: 0.75 }", "4x5x6"),
    "softshrink": ("softshrink { threshold: 0.1 } -> softshrink", "4x5x6"),
    "abs": ("abs -> relu", "4x5x6"),
    "power": ("power { exponent: 2 }\n power { scale: -0.5  shift: 1.5 }", "4x5x6"),
    "power_fraction": (
        "abs -> power { exponent: -0.75  scale: 5e-3  shift: 1 } -> power { exponent: 3  shift: 0.5 }",
        "4x5x6",
    ),
    "power_nothing": ("power -> relu", "4x5x6"),
    "exp": ("exp -> exp { base: 2  scale: -0.5  shift: 0.25 }", "4x2x3"),
    "log": ("abs -> log { shift: 1 } -> log { base: 10  scale: 2  shift: 1.5 }", "4x2x3"),
    "argmax": ("argmax", "5x4x7"),
    "argmax_vector": ("flatten -> argmax", "5x2x2"),
    "mean": ("mean { across: channels } -> mean { across: spatial }", "5x4x7"),
    "mean_vector": ("flatten -> mean { across: channels }", "5x2x2"),
    "sum": ("sum { across: spatial } -> sum { across: channels }", "5x4x7"),
    "normalize": ("normalize -> scale { bias: false }", "5x4x7"),
    "normalize_all": ("normalize { across: all  eps: 0.01 }", "5x4x7"),
    "normalize_vector": ("flatten -> normalize { across: all }", "5x2x2"),
    "shift": ("shift -> relu", "4x5x6"),
    "shift_vector": ("flatten -> shift", "4x2x2"),
    "silu": ("silu", "4x5x6"),
    "gelu": ("gelu", "4x5x6"),
    "hardswish": ("hardswish", "4x5x6"),
    "hardsigmoid": ("hardsigmoid", "4x5x6"),
    "sigmoid": ("sigmoid", "4x5x6"),
    "tanh": ("tanh", "4x5x6"),
    "softplus": ("softplus", "4x5x6"),
    "log_softmax": ("log_softmax", "4x5x6"),
    "dropout_spatial": ("dropout { ratio: 0.1 spatial: true }", "4x5x6"),
    "layernorm": ("layernorm { eps: 0.01 }", "4x5x6"),
    "layernorm_vector": ("flatten -> layernorm", "4x2x2"),
    "groupnorm": ("groupnorm { groups: 2 } -> groupnorm { groups: 4  eps: 0.1 }", "4x5x6"),
    "groupnorm_plain": ("groupnorm { groups: 1  affine: false }", "4x5x6"),
    "groupnorm_vector": ("flatten -> groupnorm { groups: 3 }", "3x2x2"),
    "instancenorm": ("instancenorm -> instancenorm { affine: true  eps: 0.1 }", "4x5x6"),
    "lrn": ("lrn { size: 5 }", "7x3x4"),
    "lrn_strong": ("lrn { size: 3 alpha: 2 beta: 0.5 k: 2 }", "2x3x4"),
    "lrn_wide": ("lrn { size: 9 alpha: 1 }", "3x3x4"),
    "scale": ("scale -> scale { bias: false }", "4x5x6"),
    "scale_vector": ("flatten -> scale", "4x2x2"),
    "sub": ("a: conv { filters: 3 kernel: 1 }\n sub(a, data, a)", "3x5x6"),
    "sub_spread": ("a: conv { filters: 3 kernel: 5x6 }\n sub(a, data)", "3x5x6"),
    "mul": ("a: conv { filters: 3 kernel: 1 }\n mul(a, data, a)", "3x5x6"),
    "mul_gate": ("a: conv { filters: 3 kernel: 5x6 } -> sigmoid\n mul(data, a)", "3x5x6"),
    "div": ("a: exp\n b: conv(data) { filters: 3 kernel: 1 }\n div(b, a, exp(b))", "3x2x3"),
    "div_spread": ("a: conv { filters: 3 kernel: 5x6 } -> exp\n div(data, a)", "3x5x6"),
    "maximum": ("a: conv { filters: 3 kernel: 1 }\n maximum(a, data, relu(a))", "3x5x6"),
    "minimum": ("a: conv { filters: 3 kernel: 1 }\n minimum(a, data, abs(a))", "3x5x6"),
    "minimum_spread": ("a: conv { filters: 3 kernel: 5x6 }\n minimum(a, data)", "3x5x6"),
    "global_max": ("global_maxpool", "5x4x7"),
    "adaptive": ("adaptive_avgpool { size: 2x7 }", "5x4x7"),
    "adaptive_uneven": ("adaptive_avgpool { size: [3, 5] }", "5x7x13"),
    "adaptive_max": (
        "adaptive_maxpool { size: [3, 5] } -> adaptive_maxpool { size: 2x7 }",
        "5x7x13",
    ),
    "adaptive_larger": ("adaptive_avgpool { size: 6 }", "2x4x3"),
    "unpool": (
        "p: maxpool { kernel: 2 stride: 2 }\n maxunpool(p, p.indices)",
        "3x6x8",
    ),
    "unpool_up": (
        "p: maxpool { kernel: 2 stride: 2 round: ceil }\n"
        "q: conv(p) { filters: 3 kernel: 1 }\n maxunpool(q, p.indices) { size: data.shape }",
        "3x7x9",
    ),
    "unpool_stated": (
        "p: maxpool { kernel: 2x3 }\n maxunpool(p, p.indices) { kernel: 2x3 }",
        "3x6x9",
    ),
    "upsample_nearest": ("upsample { scale: 2x3 mode: nearest }", "3x5x4"),
    "upsample_sized": ("upsample { size: [7, 5] mode: nearest }", "3x5x4"),
    "upsample_smaller": ("upsample { size: [3, 4] mode: nearest }", "3x5x7"),
    "upsample_bilinear": ("upsample { scale: 2 mode: bilinear align_corners: false }", "3x5x4"),
    "upsample_corners": ("upsample { size: [8, 11] mode: bilinear align_corners: true }", "3x5x4"),
    "upsample_bicubic": ("upsample { scale: 2x3 mode: bicubic align_corners: false }", "3x5x4"),
    "upsample_bicubic_smaller": (
        "upsample { size: [3, 9] mode: bicubic align_corners: false }",
        "3x7x4",
    ),
    "upsample_bicubic_corners": (
        "upsample { size: [8, 1] mode: bicubic align_corners: true }",
        "3x5x4",
    ),
    "upsample_one": ("upsample { size: [3, 1] mode: bilinear align_corners: true }", "3x1x4"),
    "upsample_odd": ("upsample { size: [8, 3] mode: bilinear align_corners: false }", "3x5x4"),
    "split": ("s: split { parts: 3 }\n concat(s.part3, s.part1, s)", "6x3x4"),
    "split_uneven": ("s: split { parts: [1, 3, 2] }\n concat(s.part2, s.part1)", "6x3x4"),
    "split_first": ("split { parts: 2 } -> relu", "6x3x4"),
    "split_vector": ("s: flatten -> split { parts: [5, 7] }\n output s.part2", "3x2x2"),
    "shuffle": ("channel_shuffle { groups: 3 }", "6x3x4"),
    "pixel_shuffle": ("pixel_shuffle { factor: 2 } -> pixel_shuffle { factor: 1 }", "8x3x4"),
    "pixel_unshuffle": ("pixel_unshuffle { factor: 3 } -> relu", "2x6x9"),
    "pad_channels": (
        "pad { channels: [0, 5] } -> pad { pads: [1, 0, 2, 3] channels: 1 value: 0.5 }",
        "3x4x5",
    ),
    "pad": ("pad { pads: [1, 0, 2, 3] } -> pad { pads: 1 value: -2.5 }", "3x4x5"),
    "crop": ("crop { size: 2x3 offset: [1, 2] } -> crop { size: 1 }", "3x4x5"),
    "slice": ("slice { channels: [1, 3] } -> slice { rows: [1, 4, 2]  columns: [0, 2] }", "3x4x5"),
    "slice_vector": ("flatten -> slice { channels: [3, 60, 4] } -> relu", "3x4x5"),
    "slice_all": ("slice { channels: [0, 3, 3]  rows: [1, 2]  columns: [4, 5] }", "3x4x5"),
    "focus": (
        "a: slice { rows: [0, data.height, 2]  columns: [0, data.width, 2] }\n"
        "b: slice(data) { rows: [1, data.height, 2]  columns: [0, data.width, 2] }\n concat(a, b)",
        "3x4x6",
    ),
    "reshape": ("reshape { shape: [6, -1, 5] } -> reshape { shape: 60 }", "3x4x5"),
    "permute": ("permute { order: [1, 2, 0] }", "3x4x5"),
    "flip": (
        "flip { axis: width } -> flip { axis: height }\n"
        "a: conv { filters: 3 kernel: 2 } -> flip { axis: channels }",
        "3x4x5",
    ),
    "flip_vector": ("flatten -> flip { axis: channels }", "3x2x2"),
    "identity": ("a: identity\n b: relu -> identity\n add(a, b)", "3x4x5"),
    "two_inputs": ("input other: 3x4x4\n add(data, other)", "3x4x4"),
    "passes_input_on": ("a: relu\n output data, a", "3x4x4"),
    "vector_input": ("linear { units: 4 }", "6"),
}


def _poolings() -> dict[str, tuple[str, str]]:
    """Poolings over kernels, strides, pads and roundings, on an uneven input."""
    found: dict[str, tuple[str, str]] = {}
    grid = itertools.product((2, 3), (1, 2, 3), ("0", "1", "[0, 1, 1, 0]"), ("floor", "ceil"))
    for kernel, stride, pad, rounding in grid:
        fields = f"kernel: {kernel} stride: {stride} pad: {pad} round: {rounding}"
        name = f"{kernel}{stride}_{len(found)}_{rounding}"
        found[f"maxpool_{name}"] = (f"maxpool {{ {fields} }}", "2x8x11")
        for include in ("true", "false"):
            # A bias before it: zeros around the image are none of what it is added to.
            body = f"conv {{ filters: 3 kernel: 1 }} -> avgpool {{ {fields} count_include_pad: {include} }}"
            found[f"avgpool_{name}_{include}"] = (body, "2x8x11")
    return found


POOLINGS = _poolings()
BUNDLED = tuple(
    name
    for name in bundled()
    if name in (one_of_each_text().keys() | {"mobilenet_v3_small", "resnet50"})
    and name != "mobilenet_v3_large"
)
"""Bundled nets; of a family of the same modules those of different ones."""


# What to put for what in a bundled spec, where the whole net would take a test too long: the same
# layers on smaller pictures, with narrower linear ones.
_SMALLER: dict[str, tuple[tuple[str, str], ...]] = {
    "alexnet": (("units: 4096", "units: 128"),),
    "alexnet_torchvision": (("units: 4096", "units: 128"),),
    "convnext_tiny": (("3x224x224", "3x64x64"),),
    "deeplabv3_resnet50": (("height = 520, width = 520", "height = 65, width = 65"),),
    "densenet121": (("3x224x224", "3x64x64"),),
    "efficientnet_b0": (("resolution = 224", "resolution = 64"),),
    "enet": (("height = 512, width = 1024", "height = 64, width = 96"),),
    "ghostnet": (("3x224x224", "3x64x64"),),
    "googlenet": (("3x224x224", "3x80x80"),),
    "googlenet_torchvision": (("3x224x224", "3x80x80"),),
    "inception_v3": (("3x299x299", "3x107x107"), ("aux = true", "aux = false")),
    "mobilenet_v1": (("resolution = 224", "resolution = 96"),),
    "mobilenet_v2": (("3x224x224", "3x96x96"),),
    "mobilenet_v3_small": (("3x224x224", "3x64x64"),),
    "mnasnet0_5": (("3x224x224", "3x64x64"),),
    "regnet_y_400mf": (("3x224x224", "3x64x64"),),
    "resnet18": (("3x224x224", "3x96x96"),),
    "resnet50": (("3x224x224", "3x96x96"),),
    "segnet": (("height = 360, width = 480", "height = 45, width = 60"),),
    "shufflenet_v2": (("3x224x224", "3x96x96"),),
    "squeezedet": (("height = 384, width = 1248", "height = 96, width = 152"),),
    "squeezenext_23": (("3x227x227", "3x99x99"),),
    "squeezenet1_1_bn": (("size = 224", "size = 96"),),
    "unet": (("base = 64", "base = 8"), ("size = 572", "size = 188")),
    "vgg16": (("3x224x224", "3x64x64"), ("units: 4096", "units: 128")),
    "xception": (("3x299x299", "3x75x75"),),
    "yolov3_tiny": (("size = 416", "size = 96"),),
    "yolov8n": (("size = 640", "size = 96"),),
}


def smaller(spec: str) -> Net:
    """A bundled net, or its like of fewer numbers."""
    return net_of(smaller_text(spec)) if spec in _SMALLER else loaded(spec)


def smaller_text(spec: str) -> str:
    """The text of `smaller`, without what it expects."""
    text = bundled_text(spec)
    for whole, part in _SMALLER.get(spec, ()):
        assert whole in text
        text = text.replace(whole, part)
    # All of these specs end with what they expect.
    layers, *rest = re.split(r"\n\n(?: *#.*\n)* *expect ", text)
    return layers + "\n}\n" if rest else text
