"""A model takes every size that its layers allow, and gives what the net of that size gives."""

from __future__ import annotations

import os
import random
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from netspec.codegen.backend import get, load_model
from netspec.weights import fresh

from .nets import BUNDLED, net_of, smaller_text

pytestmark = pytest.mark.slow

FOR_ONE_SIZE = {"vgg16", "alexnet"}
"""Bundled nets with a linear layer behind `flatten`."""


with_dynamic_sizes = pytest.mark.skipif(
    not hasattr(torch.export.Dim, "DYNAMIC"), reason="needs PyTorch 2.6"
)


def at_size(text: str, height: int, width: int) -> str:
    """The text of a net with another declared input."""
    channels = r"(input data: )(?:(\d+)x[0-9]+x[0-9]+|\[(\d+), *\w+, *\w+\])"
    found, count = re.subn(
        channels, lambda m: f"{m[1]}{m[2] or m[3]}x{height}x{width}", text, count=1
    )
    assert count == 1
    found = re.sub(r"\bsize = \d+", f"size = {height}", found, count=1)
    # Pictures of the declared size would not fill a larger input.
    return re.sub(r"resize: \d+x\d+(  crop: center)?", "", found)


def check(
    text: str, sizes: list[tuple[int, int]], backends: tuple[str, ...] = ("torch", "numpy")
) -> None:
    """Compare models of one size, at others, with PyTorch's of those sizes."""
    whole = net_of(text)
    weights = fresh(whole.tensors, 3, varied=True)
    models: dict[str, Any] = {}
    for name in backends:
        models[name] = load_model(whole, get(name))
        get(name).set_weights(models[name], weights)
    for height, width in sizes:
        other = net_of(at_size(text, height, width))
        referee: Any = load_model(other, get("torch"))
        get("torch").set_weights(referee, weights)
        shape = tuple(int(d) for d in other.body.inputs[0].shape)
        x = np.random.default_rng(height).standard_normal((2, *shape))
        with torch.no_grad():
            wanted = get("torch").run(referee.double(), x)
        for name in backends:
            model = models[name].double() if name == "torch" else models[name]
            for found, right in zip(get(name).run(model, x), wanted, strict=True):
                tolerance = 1e-9 * max(1.0, float(np.abs(right).max()))
                np.testing.assert_allclose(
                    found, right, rtol=0, atol=tolerance, err_msg=f"{name} {height}x{width}"
                )


ALL = sorted(set(BUNDLED) - FOR_ONE_SIZE)
EXACT = ("enet", "squeezedet", "squeezenet_cifar", "squeezenet_digits", "squeezenext_23")
"""Nets that leave it to the size that their poolings need no rounding."""
QUICK = ("enet", "googlenet", "segnet", "squeezenet1_0", "squeezenet_cifar")
"""Nets that between them have what follows sizes; NETSPEC_ALL_SIZES=1 takes all of the others."""


@pytest.mark.parametrize("spec", ALL if os.environ.get("NETSPEC_ALL_SIZES") else QUICK)
def test_bundled_nets(spec: str) -> None:
    text = smaller_text(spec)
    shape = net_of(text).body.inputs[0].shape
    draw = random.Random(spec)
    exact = spec in EXACT
    more = (32, 64) if exact else (1, 3, 5, 8, 19)
    check(text, [(int(shape[1]) + draw.choice(more), int(shape[2]) + draw.choice(more))])


LAYERS = (
    "conv { filters: 4 kernel: K pad: same stride: S } -> relu",
    "conv { filters: F kernel: K pad: same stride: S groups: depthwise }",
    "conv { filters: 4 kernel: K pad: same stride: S dilation: 2 }",
    "conv { filters: 4 kernel: 3 pad: 1 } -> batchnorm",
    "conv { filters: 4 kernel: [3, 2] pad: [1, 0, 2, 1] stride: [1, 2] }",
    "maxpool { kernel: K stride: S round: ceil }",
    "maxpool { kernel: K stride: S pad: same }",
    "maxpool { kernel: 2 dilation: 2 stride: 1 pad: same }",
    "avgpool { kernel: K stride: S pad: same count_include_pad: false }",
    "avgpool { kernel: K stride: S pad: same count_include_pad: true }",
    "avgpool { kernel: 3 stride: 2 round: ceil }",
    "upsample { scale: [1, 2] mode: nearest }",
    "upsample { scale: S mode: bilinear align_corners: false }",
    "conv_transpose { filters: 4 kernel: 4 stride: 2 pad: 1 }",
    "conv_transpose { filters: 4 kernel: 3 stride: 2 pad: same output_pad: 1 }",
    "pad { pads: [1, 0, 2, 1] }",
    "groupnorm { groups: 2 } -> clamp { max: 0.5 }",
    "conv { filters: 16 kernel: 1 } -> pixel_shuffle { factor: 2 }",
    "upsample { scale: S mode: bicubic align_corners: false }",
)


def generated(seed: int) -> str:
    """A chain of layers, some around an unpooling."""
    draw = random.Random(seed)
    lines = ["first: conv { filters: 4 kernel: 3 pad: 1 }"]
    for _ in range(draw.randint(1, 4)):
        layer = draw.choice(LAYERS).replace("F", "4")
        step = draw.choice((1, 2, 3))
        lines.append(layer.replace("K", str(draw.randint(1, 4))).replace("S", str(step)))
    if draw.random() < 0.4:
        lines.insert(1, "p: maxpool { kernel: 2 round: ceil }\n u: maxunpool(p, p.indices)")
    if draw.random() < 0.5:
        # Back to the size of a value before, and what two values have in common.
        k = draw.randrange(1, len(lines))
        lines[k] = lines[k] if lines[k].startswith("p:") else f"skip: {lines[k]}"
        skip = "p" if lines[k].startswith("p:") else "skip"
        lines.append(f"wide: upsample {{ size: {skip}.shape mode: nearest }}\n add({skip}, wide)")
        size = f"[min(first.{{0}}, {skip}.{{0}}), min(first.{{1}}, {skip}.{{1}})]"
        size = size.replace("{0}", "height", 2).replace("{1}", "width", 2)
        lines.append(f"one: crop(first) {{ size: {size} }}\n two: crop({skip}) {{ size: {size} }}")
        lines.append("add(one, two)")
    tail = draw.choice(("", "adaptive_avgpool { size: 3x2 } -> flatten -> linear { units: 3 }"))
    return "net chain { input data: 3x24x28\n " + "\n ".join([*lines, tail]) + " }"


@pytest.mark.parametrize("seed", range(40))
def test_generated_chains(seed: int) -> None:
    draw = random.Random(-seed - 1)
    check(generated(seed), [(draw.randint(20, 40), draw.randint(20, 40)) for _ in range(2)])


OF_SIZES = (
    "rs { to: NAME.shape }",
    "rs { to: [3, NAME.height + 1, ceil(NAME.width / 2)] }",
    "rs2 { a: NAME.height  b: [NAME.width, 5] }",
    "power { scale: 1 / NAME.height  shift: NAME.width / 50 }",
    "t$: avgpool(NAME) { kernel: [NAME.height, NAME.width] }\n v$: mul(NAME, t$)",
    "t$: avgpool(NAME) { kernel: [NAME.height, NAME.width] }\n v$: sub(NAME, t$) -> relu",
    "t$: adaptive_avgpool(NAME) { size: 1x1 }\n v$: add(t$, NAME) -> relu",
    "t$: adaptive_avgpool(NAME) { size: [1, NAME.width] }\n maximum(t$, t$)",
    "part(NAME) { sizes: [NAME.height - 1, NAME.width - 1] }",
)
MODULES = """
module inner(to) { input x  upsample { size: [to[1], to[2]]  mode: nearest } }
module rs(to) { input x  c: conv { filters: 4  kernel: 3  pad: 1 }  inner { to: to } -> relu }
module rs2(a, b) {
  input x
  upsample { size: [a, b[0]]  mode: bilinear  align_corners: false }
  power { scale: b[0] / b[1] }
}
module part(sizes) { input x  crop { size: sizes }  relu }
"""


@pytest.mark.parametrize("seed", range(12))
def test_generated_chains_of_sizes(seed: int) -> None:
    """Sizes as arguments of modules, as numbers of layers, and of single pixels that spread."""
    draw = random.Random(seed)
    lines, names = ["first: conv { filters: 4 kernel: 3 pad: 1 }"], ["first"]
    for k in range(draw.randint(3, 6)):
        if draw.random() < 0.7:
            text = draw.choice(OF_SIZES).replace("NAME", draw.choice(names))
            lines.append(text.replace("$", str(k)))
        else:
            layer = draw.choice(LAYERS[:-1]).replace("F", "4").replace("K", "3").replace("S", "1")
            names.append(f"n{k}")
            lines.append(f"n{k}: {layer}")
    text = f"{MODULES} net chain {{ input data: 3x24x28\n " + "\n ".join(lines) + " }"
    sizes = [(draw.randint(20, 40), draw.randint(20, 40)) for _ in range(2)]
    check(text, sizes, backends=("numpy",))


SIZES = {
    "crop": """
      a: conv { filters: 4 kernel: 3 pad: 1 } -> relu
      d: maxpool(a) { kernel: 2 round: ceil }
      e: conv(d) { filters: 6 kernel: 3 pad: 1 } -> relu
      up: conv_transpose(e) { filters: 4 kernel: 2 stride: 2 }
      c: crop(up) { size: a.shape }
      concat(a, c) -> conv { filters: 2 kernel: 1 }
    """,
    "resize": """
      a: conv { filters: 4 kernel: 3 stride: 2 pad: same } -> relu
      b: conv { filters: 6 kernel: 3 stride: 2 pad: 1 } -> relu
      up: upsample(b) { size: a.shape mode: bilinear align_corners: false }
      concat(a, up) -> conv { filters: 2 kernel: 3 pad: 1 }
      upsample { size: data.shape mode: nearest }
    """,
    "literal": """
      conv { filters: 4 kernel: 3 pad: 1 }
      upsample { size: 64x64 mode: nearest } -> crop { size: 20x18 offset: [1, 2] }
    """,
    "centre": """
      a: conv { filters: 4 kernel: 3 pad: 1 } -> relu
      maxpool { kernel: 2 round: floor } -> conv { filters: 6 kernel: 3 } -> relu
      up: upsample { scale: 2 mode: nearest }
      let above = floor((a.height - up.height) / 2)
      let left = floor((a.width - up.width) / 2)
      c: crop(a) { size: up.shape offset: [above, left] }
      concat(up, c)
    """,
    "of what is fused or dead": """
      a: conv { filters: 4 kernel: 3 }
      b: batchnorm(a) -> relu -> dropout
      dead: conv(data) { filters: 2 kernel: 4 stride: 2 }
      upsample(b) { size: [a.height + 1, b.width] mode: nearest } -> relu
      upsample { size: dead.shape mode: nearest }
    """,
    "pads": """
      a: conv { filters: 4 kernel: 3 stride: 2 pad: 1 }
      reshape { shape: [4, a.height * a.width, 1] } -> relu
      b: pad { pads: [0, data.height - a.height, 0, 0] }
      conv { filters: 2 kernel: 1 pad: [a.height - 16 + 1, 0, 2, 0] }
    """,
    "unnamed values": """
      conv { filters: 4 kernel: 3 pad: 1 }
      x: relu
      maxpool { kernel: 2 round: ceil } -> conv { filters: 4 kernel: 3 pad: 1 }
      y: upsample { size: x.shape mode: nearest } -> sigmoid
      mul(x, y)
    """,
    "pooling": """
      a: conv { filters: 4 kernel: 3 stride: 2 pad: 1 }
      b: avgpool { kernel: [a.height, 3] stride: 1 }
      c: upsample { size: a.shape mode: bilinear align_corners: true }
      m: maxpool(a) { kernel: [a.height - 1, 3] stride: 1 }
      e: upsample { size: a.shape mode: nearest }
      add(a, c, e)
      adaptive_avgpool { size: [ceil(data.height / 4), 2 * a.width] }
    """,
    "slices and means": """
      a: conv { filters: 4 kernel: 3 pad: 1 } -> groupnorm { groups: 2 }
      b: slice(a) { rows: [0, a.height, 2]  columns: [1, a.width] }
      m: mean(b) { across: channels }
      s: mean(b) { across: spatial }
      c: mul(b, m, s) -> instancenorm
      d: upsample(c) { size: a.shape  mode: bicubic  align_corners: false }
      add(a, d) -> conv { filters: 16 kernel: 1 } -> pixel_shuffle { factor: 2 }
      e: pixel_unshuffle { factor: 2 } -> adaptive_maxpool { size: 3 }
      output b, c, d, e
    """,
}
NUMPY_ONLY = {
    "fractions": """
      a: conv { filters: 4 kernel: 3 pad: 1 }
      adaptive_avgpool { size: [ceil(0.29 * a.height), round(a.width / 2)] }
    """,
    "module": """
      a: conv { filters: 4 kernel: 3 pad: 1 } -> relu
      b: maxpool { kernel: 2 round: ceil } -> conv { filters: 6 kernel: 3 pad: 1 } -> relu
      d: maxpool { kernel: 2 round: ceil } -> conv { filters: 6 kernel: 3 pad: 1 } -> relu
      up1: up(d, b) { rows: b.height  filters: 5 }
      up2: up(up1, a) { rows: a.height  filters: 4 }
    """,
    "lists as arguments": """
      a: conv { filters: 4 kernel: 3 pad: 1 } -> relu
      b: maxpool { kernel: 2 round: ceil } -> conv { filters: 4 kernel: 3 pad: 1 } -> relu
      let lower = [a.height - 2, a.width - 1]
      c: resized(b) { size: a.shape  part: lower }
      d: resized(b) { size: [9, b.height, b.width + 1]  part: [8, b.width] }
      e: resized(b) { size: [9, 12, 13]  part: [8, 9] }
      output c, d, e
    """,
    "real numbers": """
      a: conv { filters: 4 kernel: 3 pad: 1 }
      b: sigmoid(a) -> power { scale: -1 / a.height  shift: a.width / 10  exponent: 64 / a.width }
      c: leaky_relu(a) { slope: 1 / a.height }
      d: scaled(a) { by: 1 / (a.height * a.width) }
      e: lrn(a) { size: 3  alpha: 1 / data.width  k: 2 - 1 / a.width }
      f: batchnorm(e) { eps: 1 / data.height }
      g: elu(f) { alpha: f.height / 10 } -> pad { pads: [1, 1, 1, 1]  value: f.width }
      h: log(a) { scale: 0  shift: a.height  base: 3 }
      output b, c, d, g, h
    """,
}
UP = """module up(rows, filters) {
  input x  input skip
  conv_transpose(x) { filters: filters  kernel: 2  stride: 2 }
  c: crop { size: [rows, skip.width] }
  concat(c, skip)
}
module halved(size) { input x  crop { size: size } -> adaptive_avgpool { size: [7, ceil(size[0] / 2)] } }
module resized(size, part) {
  input x
  upsample { size: [size[1], size[2]]  mode: nearest }
  halved { size: part }
}
module scaled(by) { input x  power { scale: by } }
"""


@pytest.mark.parametrize("name", [*SIZES, *NUMPY_ONLY])
def test_sizes_of_other_values(name: str) -> None:
    body = SIZES.get(name) or NUMPY_ONLY[name]
    both = ("torch", "numpy") if name in SIZES else ("numpy",)
    text = f"{UP} net unet {{ input data: 3x32x32 {body} }}"
    check(text, [(33, 37), (45, 41), (32, 64)], backends=both)


IF_TALL = (
    "module if_tall(size) { input x  conv { filters: 4  kernel: 1 }  if size[1] > 9 { relu } }"
)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("conv { filters: 4 kernel: 1 }  if data.height > 16 { relu }", "decides what t is made"),
        ("for i in 1..data.height / 8 { conv { filters: i kernel: 1 } }", "decides what t is made"),
        ("conv { filters: data.width kernel: 1 }", "conv_1 is made for this size"),
        ("if_tall { size: data.shape }", "decides what t is made"),
    ],
)
def test_numpy_refuses_sizes_where_a_size_decides_the_layers(body: str, why: str) -> None:
    text = f"{IF_TALL} net t {{ input data: 3x32x32 {body} }}"
    model: Any = load_model(net_of(text), get("numpy"))
    assert model(np.zeros((1, 3, 32, 32), np.float32)).shape[0] == 1
    with pytest.raises(ValueError, match=rf"\(3, 32, 32\).*\(1, 3, 31, 33\).*{why}"):
        model(np.zeros((1, 3, 31, 33), np.float32))


def test_numpy_says_both_sizes_where_a_layer_does_not_allow_one() -> None:
    text = "a: conv { filters: 4 kernel: 3 } c: crop(data) { size: [a.width, a.height] }"
    model: Any = load_model(net_of(f"net t {{ input data: 3x32x32 {text} }}"), get("numpy"))
    with pytest.raises(ValueError, match=r"made for inputs of .*32, 32.* got .*20, 40.*can't cut"):
        model(np.zeros((1, 3, 20, 40), np.float32))
    text = "a: conv { filters: 4 kernel: 3 } crop { size: [a.height - 1, a.width - 1] }"
    model = load_model(net_of(f"net t {{ input data: 3x32x32 {text} }}"), get("numpy"))
    with pytest.raises(ValueError, match=r"got .*3, 40.* would have the size \(4, 0, 37\)"):
        model(np.zeros((1, 3, 3, 40), np.float32))


@pytest.mark.parametrize("case", ["net", "module", "two inputs"])
def test_numpy_says_what_size_a_linear_layer_is_made_for(case: str) -> None:
    model: Any = load_model(net_of(ONE_SIZE[case][0]), get("numpy"))
    others = [np.zeros((2, 4), np.float32)] if case == "two inputs" else []
    with pytest.raises(ValueError, match=r"made for inputs of .*24, 28.* got .*26, 28"):
        model(np.zeros((2, 3, 26, 28), np.float32), *others)


HEAD = "conv { filters: 4  kernel: 3  stride: 2 } -> relu -> flatten -> linear { units: 3 }"
FEATURES = "conv { filters: 4  kernel: 3  stride: 2 } -> relu"
CLASSIFIER = "module classifier { input x  tanh  fc: linear { units: 3 } }"
ONE_SIZE = {
    "net": (f"net t {{ input data: 3x24x28 {HEAD} }}", "24x28", "26x28"),
    "parameter": (f"net t(size = 24) {{ input x: [3, size, 28] {HEAD} }}", "24x28", "26x28"),
    # Features of 11x13 places of four channels, and of 12x13.
    "module": (
        f"module head {{ input x {HEAD} }} net t {{ input data: 3x24x28 h: head }}",
        "572 features",
        "624",
    ),
    "flatten, then a module": (
        f"{CLASSIFIER} net t {{ input data: 3x24x28 {FEATURES} -> flatten  h: classifier }}",
        "24x28",
        "26x28",
    ),
    "flatten in a module": (
        f"module features {{ input x {FEATURES} -> flatten }} net t {{ input data: 3x24x28 "
        "f: features  fc: linear { units: 3 } }",
        "24x28",
        "26x28",
    ),
    "both in modules": (
        f"module features {{ input x {FEATURES} -> flatten }} {CLASSIFIER} "
        "net t { input data: 3x24x28 f: features  h: classifier }",
        "24x28",
        "26x28",
    ),
    "a module in a module": (
        f"{CLASSIFIER} module tail {{ input x {FEATURES} -> flatten  h: classifier }} "
        "net t { input data: 3x24x28 tail: tail }",
        "572 features",
        "624",
    ),
    "two inputs": (
        "net t { input x: 3x24x28 input y: 4 f: flatten(x) -> linear { units: 4 } add(f, y) }",
        "2016 features",
        "2184",
    ),
}


@with_dynamic_sizes
@pytest.mark.parametrize("case", ONE_SIZE)
def test_an_error_says_what_size_a_model_is_made_for(case: str) -> None:
    text, made, got = ONE_SIZE[case]
    net = net_of(text)
    model: Any = load_model(net, get("torch"))
    others = [torch.zeros(2, 4)] if case == "two inputs" else []
    with pytest.raises(ValueError, match=f"made for {made}, got {got}"):
        model(torch.zeros(2, 3, 26, 28), *others)
    if case == "net":
        assert model(torch.zeros(2, 3, 23, 27)).shape == (2, 3)  # comes to as many features
    inputs = (torch.randn(3, 3, 24, 28), *others)
    inputs = tuple(x[:2] for x in inputs)
    free = tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs)
    exported = torch.export.export(model, inputs, dynamic_shapes=free).module()
    more = tuple(torch.cat((x, x, x)) for x in inputs)
    torch.testing.assert_close(exported(*more), model(*more))


def dynamic(spec: str) -> tuple[Any, torch.Tensor, dict[int, Any], list[torch.Tensor]]:
    """A model, an input of it, which sizes are dynamic, and inputs of others."""
    net = net_of({"padded": PADDED, "unpooled": UNPOOLED}.get(spec) or smaller_text(spec))
    model: Any = load_model(net, get("torch")).eval()
    get("torch").set_weights(model, fresh(net.tensors, 3, varied=True))
    channels, height, width = map(int, net.body.inputs[0].shape)
    random_numbers = torch.Generator().manual_seed(1)
    if spec in FOR_ONE_SIZE:
        dims, shapes = [0], [(1, channels, height, width), (3, channels, height, width)]
    else:
        dims = [0, 2, 3]
        shapes = [(1, channels, height + 3, width + 6), (3, channels, height, width + 1)]
    others = [torch.randn(shape, generator=random_numbers) for shape in shapes]
    x = torch.randn(2, channels, height, width, generator=random_numbers)
    return model, x, dict.fromkeys(dims, torch.export.Dim.DYNAMIC), others


@with_dynamic_sizes
@pytest.mark.parametrize("spec", ["alexnet", "segnet", "squeezenet_digits"])
def test_exports_with_dynamic_sizes(spec: str) -> None:
    model, x, free, others = dynamic(spec)
    exported = torch.export.export(model, (x,), dynamic_shapes=(free,)).module()
    with torch.no_grad():
        for other in others:
            torch.testing.assert_close(exported(other), model(other), rtol=1e-3, atol=1e-4)


PADDED = """net padded { input data: 3x32x40
  conv { filters: 4  kernel: 3  stride: 2  pad: same }
  maxpool { kernel: 3  stride: 2  pad: same }
  avgpool { kernel: 3  stride: 2  pad: [1, 0, 1, 0]  round: ceil  count_include_pad: false }
  conv { filters: 2  kernel: 1 }
}"""


UNPOOLED = """net unpooled { input data: 4x16x24
  conv { filters: 4  kernel: 3  pad: 1 } -> channel_shuffle { groups: 2 }
  p: maxpool { kernel: 2  stride: 2  round: floor }
  q: conv(p) { filters: 4  kernel: 1 }
  maxunpool(q, p.indices)
}"""


@with_dynamic_sizes
@pytest.mark.parametrize("spec", ["alexnet", "squeezenet_digits", "padded", "unpooled"])
def test_becomes_onnx_with_dynamic_sizes(spec: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    model, x, free, others = dynamic(spec)
    file = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x,), file, dynamo=True, dynamic_shapes=(free,), verbose=False)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for other in others:
        (found,) = session.run(None, {session.get_inputs()[0].name: other.numpy()})
        with torch.no_grad():
            wanted = model(other).numpy()
        np.testing.assert_allclose(found, wanted, rtol=1e-2, atol=1e-3)


@with_dynamic_sizes
def test_one_compiled_graph_takes_every_size() -> None:
    model, x, _, others = dynamic("squeezenet_digits")
    compiled: Any = torch.compile(model, fullgraph=True, dynamic=True, backend="eager")
    with torch.no_grad():
        for other in (x, *others):
            torch.testing.assert_close(compiled(other), model(other))
