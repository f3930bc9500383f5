"""One class for a module whose `if`s go different ways: readable, and right for every use."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from netspec_torch.backend import TorchBackend

import netspec
from netspec.backend import get
from netspec.verify import compare
from netspec.weights import fresh

from .nets import net_of


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
    ],
)
def test_bundled_nets_have_one_class_a_module(spec: str, expected: list[str]) -> None:
    source = TorchBackend().emit(netspec.load(spec))
    assert classes(source) == expected


def test_the_paper_s_net_is_short() -> None:
    assert len(TorchBackend().emit(netspec.load("squeezenet1_0")).splitlines()) <= 90


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


def test_an_arm_with_layers_of_its_own() -> None:
    source = torch_source(RESIDUAL)
    assert classes(source) == ["Block", "Tiny"]
    assert "if stride != 1 or in_channels != filters:" in source
    assert "if self.short is not None:" in source
    assert "Block(4, filters=4)" in source
    assert "Block(6, filters=6, stride=2)" in source


def test_an_arm_without_layers_of_its_own() -> None:
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
    assert "self.has_sum = not wide and in_channels == filters" in source
    assert "if self.has_sum:" in source
    assert "Part(4, filters=8, wide=True)" in source
    assert "        else:\n            out = x\n" in source  # x itself is needed once more


def test_arms_that_share_names() -> None:
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
    ("module", "uses", "count"),
    [
        # Heights are no constructor arguments.
        (
            "if x.height > 4 { conv { filters: 4 kernel: 3 } } relu",
            "part  part  part  part",
            2,
        ),
        # Three arms, of which three are taken.
        (
            "if k == 1 { conv { filters: 4 kernel: 1 } } else if k == 2 { relu } else { tanh }",
            "part { k: 1 } part { k: 2 } part { k: 3 }",
            2,
        ),
        # Three arms, of which two are taken.
        (
            "if k == 1 { conv { filters: 4 kernel: 1 } } else if k == 2 { relu } else { tanh }",
            "part { k: 1 } part { k: 3 }",
            1,
        ),
        # Loops of different lengths.
        ("for i in 1..k { c[i]: conv { filters: 4 kernel: 1 } }", "part { k: 1 } part { k: 3 }", 2),
        (
            "for i in 1..2 { if k > i { conv { filters: 4 kernel: 1 } } tanh }",
            "part { k: 1 } part { k: 3 }",
            1,
        ),
        # Nested.
        (
            "if k > 1 { conv { filters: 4 kernel: 1 } if k > 2 { relu } tanh } sigmoid",
            "part { k: 1 } part { k: 2 } part { k: 3 }",
            1,
        ),
        # What is decided makes no difference.
        ("if k > 1 { identity } relu", "part { k: 1 } part { k: 2 }", 1),
    ],
)
def test_how_many_classes(module: str, uses: str, count: int) -> None:
    source = torch_source(
        f"module part(k = 2) {{ input x  {module} }}\nnet tiny {{ input data: 4x9x9  {uses} }}"
    )
    assert len(classes(source)) == count + 1


def test_layers_called_like_the_tests() -> None:
    source = torch_source(
        """
        module part(k) {
          input x
          has_sum: conv { filters: 4 kernel: 1 }
          if k { sum: add(has_sum, x) }
        }
        net tiny { input data: 4x5x5  part { k: true }  part { k: false } }
        """
    )
    assert "self.has_sum_ = k" in source


# --- any module at all ---------------------------------------------------------------------------

Draw = Callable[[st.SearchStrategy[int]], int]


def body(draw: Draw, names: list[str], depth: int, counter: list[int]) -> list[str]:
    """Random statements of a module; every value is 2x3x3, so that all wiring fits."""
    lines: list[str] = []
    known = list(names)
    for _ in range(draw(st.integers(1, 4))):
        counter[0] += 1
        kind = draw(st.integers(0, 7 if depth < 2 else 5))
        name = f"v{counter[0]}"
        some = known[draw(st.integers(0, len(known) - 1))]
        other = known[draw(st.integers(0, len(known) - 1))]
        if kind <= 1:
            lines.append(f"{name}: conv {{ filters: 2 kernel: 1 }}")
        elif kind == 2:
            lines.append(f"{name}: conv({some}) {{ filters: 2 kernel: 1 bias: false }} -> relu")
        elif kind == 3:
            lines.append(f"{name}: add({some}, {other})")
        elif kind == 4:
            lines.append(f"{name}: tanh({some}) -> relu")
        elif kind == 5:
            lines.append("relu")
            continue
        else:
            condition = ("p > 1", "q", "p == 2 or q", "not q")[draw(st.integers(0, 3))]
            inner = body(draw, known, depth + 1, counter)
            lines.append(f"if {condition} {{ {'  '.join(inner)} }}")
            if draw(st.booleans()):
                inner = body(draw, known, depth + 1, counter)
                lines[-1] += f" else {{ {'  '.join(inner)} }}"
            continue
        known.append(name)
    return lines


@st.composite
def nets(draw: Draw) -> str:
    lines = "\n  ".join(body(draw, ["x"], 0, [0]))
    uses = "\n".join(
        f"  part {{ p: {p} q: {q} }}"
        for p in (1, 2, 3)
        for q in ("true", "false")
        if draw(st.integers(0, 2))
    )
    return (
        f"module part(p = 1, q = false) {{\n  input x\n  {lines}\n  tanh\n}}\n"
        f"net tiny {{\n  input data: 2x3x3\n  tanh\n{uses}\n}}"
    )


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(nets())
def test_any_module_is_right_for_every_use(text: str) -> None:
    torch_source(text)
