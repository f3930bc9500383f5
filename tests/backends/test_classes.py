"""One class for a module, with its branches and loops: readable, and right for every use."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import pytest
import torch
from netspec_torch.backend import TorchBackend

from netspec.codegen.backend import get
from netspec.runtime.verify import compare
from netspec.weights import fresh

from ..helpers import loaded
from .nets import net_of

pytestmark = pytest.mark.slow


def torch_source(text: str) -> str:
    """The PyTorch code of a net, after both backends were seen to agree on it."""
    net = net_of(text)
    result = compare(net, get("torch"), get("numpy"), fresh(net.tensors, 1, varied=True))
    assert result.diverges(1e-4) is None, result.diverges(1e-4)
    return TorchBackend().emit(net)


def classes(source: str) -> list[str]:
    return re.findall(r"^class (\w+)", source, re.MULTILINE)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("resnet18", ["BasicBlock", "ResNet18"]),
        ("resnet50", ["Bottleneck", "ResNet50"]),
        ("mobilenet_v2", ["InvertedResidual", "MobileNetV2"]),
        ("shufflenet_v2", ["ShuffleBranch", "ShuffleUnit", "ShuffleNetV2"]),
        ("squeezenet1_0", ["Fire", "SqueezeNet1_0"]),
        ("densenet121", ["DenseLayer", "DenseBlock", "Transition", "DenseNet121"]),
    ],
)
def test_bundled_nets_have_one_class_a_module(spec: str, expected: list[str]) -> None:
    source = TorchBackend().emit(loaded(spec))
    assert classes(source) == expected


RESIDUAL = """
module block(filters, stride = 1) {
  input x
  main: conv { filters: filters kernel: 3 stride: stride pad: 1 } -> batchnorm
  if stride != 1 or x.channels != filters {
    short: conv(x) { filters: filters kernel: 1 stride: stride }
    add(main, short)
  } else { add(main, x) }
  relu
}
net tiny { input data: 4x8x8  block { filters: 4 }  block { filters: 6 }  block { filters: 6 stride: 2 } }
"""


def test_a_branch_with_layers_of_its_own() -> None:
    source = torch_source(RESIDUAL)
    assert classes(source) == ["Block", "Tiny"]
    assert "if stride != 1 or in_channels != filters:" in source
    assert "if self.short is not None:" in source
    assert "Block(4, filters=4)" in source
    assert "Block(6, filters=6, stride=2)" in source


def test_a_branch_without_layers_of_its_own() -> None:
    source = torch_source(
        """
        module part(filters, wide = false) {
          input x
          if wide { conv { filters: x.channels kernel: 3 pad: 1 } }
          a: conv { filters: filters kernel: 1 }
          if not wide and x.channels == filters { sum: add(a, x) }
        }
        net tiny { input data: 4x5x5  part { filters: 4 }  part { filters: 8 wide: true }  part { filters: 2 } }
        """
    )
    assert classes(source) == ["Part", "Tiny"]
    assert "self.use_residual = not wide and in_channels == filters" in source
    assert "        if self.use_residual:" in source
    assert "Part(4, filters=8, wide=True)" in source
    assert "        out: Tensor = x\n        if self.conv_1" in source  # x is needed once more


def test_branches_that_share_names() -> None:
    source = torch_source(
        """
        module part(kind) {
          input x
          if kind == "tall" { mid: conv { filters: 4 kernel: 3x1 pad: 1x0 } }
          else { row: conv { filters: 4 kernel: 1x3 pad: 0x1 }  mid: conv { filters: 4 kernel: 1 } -> relu }
          add(x, mid)
        }
        net tiny { input data: 4x5x5  part { kind: "tall" }  part { kind: "flat" } }
        """
    )
    assert classes(source) == ["Part", "Tiny"]
    assert "if kind == 'tall':" in source or 'if kind == "tall":' in source
    assert source.count("self.mid = nn.Conv2d(") == 2


@pytest.mark.parametrize(
    ("module", "uses"),
    [
        # A height is an argument where it decides whether there is a layer.
        ("if x.height > 4 { conv { filters: 4 kernel: 3 } } relu", "part  part  part  part"),
        # Three branches, of which three are taken.
        (
            "if k == 1 { conv { filters: 4 kernel: 1 } } else if k == 2 { relu } else { tanh }",
            "part { k: 1 } part { k: 2 } part { k: 3 }",
        ),
        # Three branches, of which two are taken.
        (
            "if k == 1 { conv { filters: 4 kernel: 1 } } else if k == 2 { relu } else { tanh }",
            "part { k: 1 } part { k: 3 }",
        ),
        # Loops of different lengths.
        ("for i in 1..k { c[i]: conv { filters: 4 kernel: 1 } }", "part { k: 1 } part { k: 3 }"),
        (
            "for i in 1..2 { if k > i { c[i]: conv { filters: 4 kernel: 1 } } tanh }",
            "part { k: 1 } part { k: 3 }",
        ),
        # Nested.
        (
            "if k > 1 { conv { filters: 4 kernel: 1 } if k > 2 { relu } tanh } sigmoid",
            "part { k: 1 } part { k: 2 } part { k: 3 }",
        ),
        # What is decided makes no difference.
        ("if k > 1 { identity } relu", "part { k: 1 } part { k: 2 }"),
    ],
)
def test_one_class_for_all_uses(module: str, uses: str) -> None:
    source = torch_source(
        f"module part(k = 2) {{ input x  {module} }}\nnet tiny {{ input data: 4x9x9  {uses} }}"
    )
    assert classes(source) == ["Part", "Tiny"]


def test_names_that_only_counting_gives() -> None:
    """What is conv_1 or conv_2 by what other iterations have: one class, which counts."""
    source = torch_source(
        """
        module part(k) { input x  for i in 1..2 { if k > i { conv { filters: 4 kernel: 1 } } tanh } }
        net tiny { input data: 4x9x9  part { k: 1 }  part { k: 3 } }
        """
    )
    assert classes(source) == ["Part", "Tiny"]
    assert "self.part_1 = Part(4, k=1)" in source
    assert 'f"conv_{conv_count + 1}"' in source


def test_layers_called_like_the_tests() -> None:
    source = torch_source(
        """
        module part(k) {
          input x
          has_sum: conv { filters: 4 kernel: 1 }
          if not k > 1 { sum: add(has_sum, x) }
        }
        net tiny { input data: 4x5x5  part { k: 1 }  part { k: 2 } }
        """
    )
    assert classes(source) == ["Part", "Tiny"]
    assert "if not (self.k > 1):" in source or "if self.k <= 1:" in source


SENET = """
module se(ratio = 1/4) {
  input x
  global_avgpool
  fc1: linear { units: ceil(x.channels * ratio) } -> silu
  fc2: linear { units: x.channels } -> sigmoid
  gate: reshape { shape: [x.channels, 1, 1] }
  mul(x, gate)
}
module block(f, use_se = true, wide = false) {
  input x
  if wide { main: conv { filters: f  kernel: 5  pad: 2 } -> batchnorm -> relu }
  else { main: conv { filters: f  kernel: 3  pad: 1 } -> batchnorm -> relu }
  if use_se { att: se }
  y: identity
  if x.channels != f { short: conv(x) { filters: f  kernel: 1 } } else { short: identity(x) }
  add(y, short)
}
module stage(n, f, use_se = true) {
  input x
  block1: block { f: f  use_se: use_se  wide: true }
  for i in 2..n { block[i]: block { f: f  use_se: use_se } }
}
net senet(width = 4) {
  input data: 3x16x16
  stage { n: 2  f: width  use_se: false }
  stage { n: 4  f: 2 * width }
  global_avgpool -> linear { units: 5 } -> log_softmax
}
"""


def test_blocks_as_an_author_would_write_them() -> None:
    source = torch_source(SENET)
    assert classes(source) == ["SE", "Block", "Stage", "SENet"]
    for line in (
        "[:, :, None, None]",
        "self.att = SE(f)",
        # Forward asks for what is there.
        "        self.att: nn.Module | None = None\n        if use_se:",
        "if self.short is not None:",
        "Block(f, f=f, use_se=use_se)",
        "Stage(3, n=2, f=width, use_se=False)",
    ):
        assert line in source
    assert "has_" not in source
    assert "first_" not in source


def test_no_argument_hides_a_class() -> None:
    source = torch_source(
        """
        module part(n) { input x  conv { filters: n kernel: 1 } }
        net tiny(Part = 4) { input data: 4x7x7  part { n: Part } }
        """
    )
    assert len(set(classes(source)) & {"Part", "Part2", "Part_"}) == 1
    space: dict[str, Any] = {}
    exec(source, space)
    model = space["Tiny"]()
    assert [tuple(p.shape) for p in model.parameters()] == [(4, 4, 1, 1), (4,)]


def test_variables_of_loops_that_nothing_reads() -> None:
    """Their names in strings read nothing: `f"c{i}"`."""
    source = torch_source(
        """
        net tiny(times = 2, rows = [[4, [3, 1]], [6, [1, 2]]], kernels = [1, 3]) {
          input data: 4x9x9
          r: conv { filters: 4  kernel: 1 } -> relu
          for i in 1..times { r[i]: identity -> r }
          for i, (c, (k, s)) in enumerate(rows, 1) { c[i]: conv { filters: c  kernel: k  stride: s } }
          for t, k in zip(rows, kernels) { k[k]: conv { filters: t[0]  kernel: k  pad: same } }
        }
        """
    )
    forward = source[source.index("def forward") :].split("def reset_parameters")[0]
    loops = [line.strip() for line in forward.splitlines() if line.strip().startswith("for ")]
    assert loops == [
        "for _ in range(1, self.times + 1):",
        "for i in range(1, len(self.rows) + 1):",
        "for _, k in zip(self.rows, self.kernels, strict=True):",
    ]


def test_layers_that_nothing_reads_are_there_and_not_run() -> None:
    """Their weights are in files of the spec; a second result that only they read is not asked."""
    source = torch_source(
        """
        net tiny(n = 2) {
          input data: 4x6x6
          p: maxpool { kernel: 2 }
          dead: maxunpool(p, p.indices) -> conv { filters: 3  kernel: 1 }
          halves: split(p) { parts: 2 }
          for i in 1..n { gone[i]: conv(halves.part2) { filters: 2  kernel: 1 } }
          add(halves.part1, halves.part1)
        }
        """
    )
    space: dict[str, Any] = {}
    exec(source, space)
    model = space["Tiny"]()
    assert [name for name, _ in model.named_children()] == ["dead_conv", "gone1", "gone2"]
    run: list[Any] = []
    for layer in model.children():
        layer.register_forward_hook(lambda *given: run.append(given))
    data = torch.arange(144.0).reshape(1, 4, 6, 6)
    expected = 2 * torch.nn.functional.max_pool2d(data, 2)[:, :2]
    assert torch.equal(model(data), expected)
    assert run == []
    assert "indices" not in source


# --- loops and parameters ------------------------------------------------------------------------

STAGES = """
module stage(n, filters, dilate = 1) {
  input x
  for i in 1..n { conv[i]: conv { filters: filters  kernel: 3  pad: dilate  dilation: dilate } -> relu }
  maxpool { kernel: 2  stride: 2 }
}
net stages(width = 4, classes = 10) {
  input data: 3x32x32
  stage { n: 1  filters: width }
  stage { n: 2  filters: 2 * width }
  stage { n: 5  filters: 3 * width  dilate: 2 }
  global_avgpool -> linear { units: classes } -> softmax
}
"""
GROWING = """
module layer(k) { input x  a: conv { filters: k kernel: 1 }  output concat(x, a) }
module grow(n, k, first) {
  input x
  for i in first..first + n - 1 { part[i]: layer { k: k } }
}
net tiny { input data: 4x5x5  grow { n: 2 k: 3 first: 0 }  grow { n: 4 k: 2 first: 0 } }
"""


def test_loops_are_loops() -> None:
    source = torch_source(STAGES)
    assert classes(source) == ["Stage", "Stages"]
    assert "        for i in range(1, n + 1):" in source
    assert 'F.relu(getattr(self, f"conv{i}")(x), inplace=True)' in source
    source = torch_source(GROWING)
    assert classes(source) == ["Layer", "Grow", "Tiny"]
    assert 'self.add_module(f"part{i}", Layer(channels, k=k))' in source


@pytest.mark.parametrize(
    "inside",
    [
        # Numbers that are no row: a power of the iteration, a list.
        "for i in 1..n { c[i]: conv { filters: 2 ** i  kernel: 1 } }",
        "for i in 1..n { c[i]: conv { filters: [3, 5, 4, 2][i - 1]  kernel: 1 } }",
        # Names that are no row.
        "for i in 1..n { c[i * i]: conv { filters: 4  kernel: 1 } }",
        # No chain.
        "for i in 1..n { c[i]: conv { filters: 4  kernel: 1 }  add(c[i], x) }",
        # A chain with what is no module.
        "for i in 1..n { c[i]: conv { filters: 4  kernel: 1 } -> softmax }",
        # A value that the loop carries by its name.
        """cur[0]: relu
        for i in 1..n {
          y[i]: conv(cur[i - 1]) { filters: 4  kernel: 1 }
          cur[i]: concat(cur[i - 1], y[i])
        }""",
    ],
)
def test_any_loop_is_a_loop(inside: str) -> None:
    source = torch_source(
        f"module part(n) {{ input x {inside} }}\n"
        "net tiny { input data: 4x5x5  part { n: 2 }  conv { filters: 4  kernel: 1 }  part { n: 4 } }"
    )
    assert classes(source) == ["Part", "Tiny"]
    assert source.count("for i in range(1, ") == 2


SOFT = """
module block(filters, stride = 1) {
  input x
  main: conv { filters: filters  kernel: 3  stride: stride  pad: 1 }
  if stride != 1 or x.channels != filters {
    short: conv(x) { filters: filters  kernel: 1  stride: stride }
    add(short, main)
  } else { add(x, main) }
}
net soft(width = 1.0, classes = 3) {
  input data: 3x16x16
  conv { filters: round(8 * width)  kernel: 3 }
  a: block { filters: round(8 * width) }
  b: block { filters: round(12 * width) }
  c: block { filters: round(12 * width)  stride: 2 }
  d: block { filters: 8 }
  global_avgpool -> linear { units: classes }
}
"""


@pytest.mark.parametrize(
    ("text", "width"),
    [
        *((SOFT, Fraction(w, 6)) for w in (1, 3, 4, 6, 9)),
        *((spec, Fraction(w)) for spec in ("squeezenext_23", "mobilenet_v1") for w in (0.5, 1, 2)),
        *((STAGES, Fraction(w)) for w in (1, 4, 7)),
    ],
)
def test_parameters_are_arguments_where_classes_decide_by_themselves(
    text: str, width: Fraction
) -> None:
    """With 4/6, c and d have as many channels, and d takes the other branch."""
    bundled = "\n" not in text
    source = TorchBackend().emit(loaded(text) if bundled else net_of(text))
    space: dict[str, Any] = {}
    exec(source, space)
    value = int(width) if width.denominator == 1 else float(width)
    model = space[classes(source)[-1]](width=value)
    found = {n: tuple(t.shape) for n, t in model.state_dict().items()}
    other = loaded(text, width=width) if bundled else net_of(text, width=width)
    wanted = {n: tuple(map(int, t.shape)) for n, t in other.tensors.items()}
    assert {n: s for n, s in found.items() if not n.endswith("num_batches_tracked")} == wanted


def test_parameters_that_an_if_of_one_branch_asks() -> None:
    """No use has the other branch, and the class has it all the same."""
    lines = [line for line in SOFT.splitlines() if not re.match("  [acd]: block", line)]
    source = torch_source("\n".join(lines))
    assert "        if stride != 1 or in_channels != filters:" in source
    assert "def __init__(self, width: float = 1.0, classes: int = 3) -> None:" in source


@pytest.mark.parametrize("w", [2, 3, 5])
def test_channels_that_depend_on_the_branch(w: int) -> None:
    text = """
        module part(wide) {
          input x
          if x.channels > 4 { conv { filters: 2 * wide  kernel: 1 } } else { relu }
        }
        net tiny(w = 3) {
          input data: 3x5x5
          conv { filters: w  kernel: 1 }  part { wide: 4 }
          conv { filters: 2 * w  kernel: 1 }  part { wide: 4 }
          conv { filters: 6  kernel: 1 }
        }
        """
    space: dict[str, Any] = {}
    exec(torch_source(text), space)
    found = {n: tuple(t.shape) for n, t in space["Tiny"](w=w).state_dict().items()}
    assert found == {n: tuple(map(int, t.shape)) for n, t in net_of(text, w=w).tensors.items()}


def test_what_no_use_takes_can_do_no_harm() -> None:
    """Branches that no use takes are read as well: they are bounded, and their words no code."""
    huge = """
    module part(kind) {
      input x
      if kind == "a" { conv { filters: 2  kernel: 1 } } else { conv { filters: 10 ** 10 ** 9  kernel: 1 } }
    }
    net t { input data: 4x5x5  part { kind: "a" } }
    """
    assert "has no value" in TorchBackend().emit(net_of(huge))
    words = """
    module part(kind, n) {
      input x
      conv { filters: n / (4 if kind == "{1 / 0}" else 2)  kernel: 1 }
    }
    net t { input data: 4x5x5  part { kind: "a"  n: 8 } }
    """
    namespace: dict[str, Any] = {"__name__": "emitted"}
    exec(TorchBackend().emit(net_of(words)), namespace)
    with pytest.raises(ValueError, match="divisible"):
        namespace["Part"](4, kind="a", n=7)
