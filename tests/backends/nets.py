"""Small nets that between them use every op with every field."""

from __future__ import annotations

import itertools
from pathlib import Path

import netspec
from netspec.diagnostics import Diagnostics
from netspec.driver import check
from netspec.ir import Net
from netspec.source import Source


def net_of(text: str, **settings: object) -> Net:
    """The net of a text; fails with all its diagnostics."""
    diagnostics = Diagnostics()
    net = check(Source("test.net", text), Path(), settings, diagnostics)
    assert net is not None, "\n".join(d.message for d in diagnostics)
    return net


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
    "add_spread": ("a: conv { filters: 3 kernel: 5x6 }\n add(data, a)", "3x5x6"),
    "indices": ("p: maxpool { kernel: 2 round: floor }\n output p, p.indices", "3x9x7"),
    "only_indices": (
        "p: maxpool { kernel: 3 stride: 2 pad: 1 round: ceil }\n output p.indices",
        "3x8x8",
    ),
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
            body = f"avgpool {{ {fields} count_include_pad: {include} }}"
            found[f"avgpool_{name}_{include}"] = (body, "2x8x11")
    return found


POOLINGS = _poolings()
BUNDLED = tuple(
    p.stem for p in sorted((Path(netspec.__file__).parent.parent / "specs").glob("*.net"))
)
