"""Counting conventions, receptive fields and compressed sizes against what others measured."""

from __future__ import annotations

import re
from fractions import Fraction
from math import prod
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

import netspec
from netspec.ir import Net
from netspec.metrics.compression import Compression, LayerRule, size
from netspec.metrics.counting import CONVENTIONS, counts
from netspec.metrics.receptive_field import EffectiveField, fields
from netspec.report.columns import COLUMNS, NetView
from netspec.report.rows import rows

from ..helpers import body, loaded, net_of

ROOT = Path(__file__).parent.parent.parent

# --- counting conventions ------------------------------------------------------------------------

ODD = """
module attention(units) {
  input x
  s: global_avgpool(x) -> linear { units: units } -> relu -> linear { units: x.channels }
     -> sigmoid -> reshape { shape: [-1, 1, 1] }
  mul(x, s)
}
net odd {
  input data: 6x33x31
  conv { filters: 8  kernel: 3  bias: false  groups: 2  pad: 1 } -> batchnorm { affine: false }
  relu6
  lrn { size: 5 }
  conv { filters: 12  kernel: 3  stride: 2 } -> scale -> prelu
  scale { bias: false }
  avgpool { kernel: 3  stride: 2  round: floor }
  layernorm -> elu -> silu -> gelu -> leaky_relu -> hardswish -> softplus -> tanh
  conv_transpose { filters: 10  kernel: 3  stride: 2  groups: 2 }
  conv_transpose { filters: 10  kernel: 3  stride: 2  groups: 2  bias: false }
  prelu { shared: true }
  upsample { scale: 2  mode: nearest }
  upsample { scale: 2  mode: bilinear  align_corners: false }
  attention { units: 4 }
  softmax
  adaptive_avgpool { size: 3x4 } -> flatten -> linear { units: 20  bias: false } -> batchnorm
  log_softmax
}
"""
# Measured with the versions that netspec/metrics/counting.py names, on torchvision's own nets.
THEIRS = ("squeezenet1_0", "squeezenet1_1", "resnet18")
MEASURED = {
    "torchprofile": (818_925_576, 349_152_936, 1_816_557_568),
    "fvcore": (819_093_576, 349_320_936, 1_819_065_856),
    "thop": (819_094_576, 349_321_936, 1_824_033_792),
    "torchinfo": (823_270_824, 351_741_288, 1_814_083_944),
    "ptflops": (836_821_960, 359_982_728, 1_825_313_768),
    "flopcounter": (1_637_849_152, 698_303_872, 3_628_146_688),
}
# The same on nets of ours, each layer a module of torch: ODD above and two bundled ones.
OURS = ("enet", "mobilenet_v2")
MEASURED_OURS = {
    "torchprofile": (1_907_284, 4_531_552_256, 307_453_664),
    "fvcore": (1_530_682, 4_043_177_984, 314_193_216),
    "thop": (3_499_990, 4_757_782_528, 327_550_720),
    "torchinfo": (990_015, 4_492_373_840, 300_809_384),
    "ptflops": (1_804_962, 4_195_090_432, 320_362_728),
    "flopcounter": (1_117_036, 7_844_134_912, 601_548_544),
}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_conventions_give_what_the_tools_gave(name: str) -> None:
    found = [sum(counts(loaded(spec), CONVENTIONS[name])) for spec in THEIRS]
    assert tuple(found) == MEASURED[name]
    nets = [net_of(ODD), *map(loaded, OURS)]
    assert tuple(sum(counts(net, CONVENTIONS[name])) for net in nets) == MEASURED_OURS[name]


def test_the_odd_net_is_counted_differently_by_all() -> None:
    assert len({figures[0] for figures in MEASURED_OURS.values()}) == len(CONVENTIONS) == 6


@pytest.mark.slow
def test_flop_counter_mode_itself() -> None:
    net = loaded("squeezenet1_1")
    model = netspec.build(net, backend="torch")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, 224, 224))
    assert counter.get_total_flops() == sum(counts(net, CONVENTIONS["flopcounter"]))


def test_only_the_last_softmax_is_free() -> None:
    thop = CONVENTIONS["thop"]
    last = net_of(body("softmax", "10x2x2"))
    inside = net_of(body("softmax -> relu", "10x2x2"))
    assert sum(counts(last, thop)) == 0
    assert sum(counts(inside, thop)) == 4 * (3 * 10 - 1)


def test_counts_of_rows_sum_up() -> None:
    net = loaded("squeezenet1_0")
    for convention in (None, *CONVENTIONS.values()):
        view = NetView(net, convention)
        assert sum(view.count(row) for row in rows(net, 1)) == view.count()
    assert NetView(net).count() == net.macs


# --- receptive fields ----------------------------------------------------------------------------


def field_of(net: Net, path: str) -> EffectiveField:
    found = dict(zip((f.path for f in net.layers), fields(net), strict=True))[path]
    assert found is not None
    return found


def test_published_receptive_fields() -> None:
    """AlexNet and VGG-16 as Araujo et al. 2019 (Distill) list them."""
    alexnet = net_of(
        body(
            """
        conv1: conv { filters: 1 kernel: 11 stride: 4 pad: 2 }
        pool1: maxpool { kernel: 3 stride: 2 round: floor }
        conv2: conv { filters: 1 kernel: 5 pad: 2 }
        pool2: maxpool { kernel: 3 stride: 2 round: floor }
        for i in 3..5 { conv[i]: conv { filters: 1 kernel: 3 pad: 1 } }
        pool5: maxpool { kernel: 3 stride: 2 round: floor }""",
            "3x224x224",
        )
    )
    assert field_of(alexnet, "pool5") == EffectiveField((195, 195), (32, 32))
    vgg16 = net_of(
        body(
            """
        for i in 1..5 {
          for k in 1..(2 if i < 3 else 3) { conv[i][k]: conv { filters: 1 kernel: 3 pad: 1 } }
          pool[i]: maxpool { kernel: 2 round: floor }
        }""",
            "3x224x224",
        )
    )
    assert field_of(vgg16, "pool5") == EffectiveField((212, 212), (32, 32))


def test_fields_of_squeezenet() -> None:
    net = loaded("squeezenet1_0")
    assert field_of(net, "conv1") == EffectiveField((7, 7), (2, 2))
    assert field_of(net, "fire9.concat_1") == EffectiveField((155, 155), (16, 16))
    assert field_of(net, "pool10") == EffectiveField(None, None)


def test_fields_that_end_or_grow() -> None:
    net = net_of("""
      module attention { input x
        s: global_avgpool(x) -> linear { units: x.channels } -> reshape { shape: [-1, 1, 1] }
        mul(x, s) }
      net n { input data: 2x16x16
        a: conv { filters: 2 kernel: 3 stride: 2 pad: 1 }
        u: upsample { scale: 4 mode: nearest }
        t: conv_transpose(a) { filters: 2 kernel: 2 stride: 2 }
        s: attention(a)
        f: flatten
        c: crop(t) { size: 4x4 offset: 2 }
        output u, f, c }
    """)
    assert field_of(net, "u") == EffectiveField((3, 3), (Fraction(1, 2), Fraction(1, 2)))
    assert field_of(net, "t") == EffectiveField((3, 3), (1, 1))
    # Everything, but neighbours still lie two apart.
    assert field_of(net, "s.mul_1") == EffectiveField(None, (2, 2))
    assert field_of(net, "f") == EffectiveField(None, None)
    assert field_of(net, "c").size == (3, 3)
    assert fields(net_of(body("linear { units: 3 }", "5"))) == (None,)


# Small enough for the fields in the middle of 96x96 to keep away from all padding.
WINDOW = st.tuples(st.integers(1, 4), st.integers(1, 2), st.integers(0, 2), st.integers(1, 2))


@st.composite
def spatial_nets(draw: st.DrawFn) -> str:
    """Chains of windows with a branch that is cut or padded to the size of the other."""
    lines = []
    for i in range(draw(st.integers(1, 3))):
        kernel, stride, pad, dilation = draw(WINDOW)
        if draw(st.booleans()):
            lines.append(
                f"l{i}: conv {{ filters: 1 kernel: [{kernel}, {draw(st.integers(1, 3))}] "
                f"stride: {stride} pad: {pad} dilation: {dilation} }}"
            )
        elif draw(st.booleans()):
            lines.append(f"l{i}: avgpool {{ kernel: {kernel} stride: {stride} round: floor }}")
        else:
            left = draw(st.integers(0, 2))
            top = draw(st.integers(0, 2))
            lines += [
                f"a{i}: conv {{ filters: 1 kernel: 3 pad: [{top}, {2 - top}, {left}, {2 - left}] }}",
                f"b{i}: conv(a{i}) {{ filters: 1 kernel: {2 * pad + 1} pad: {pad} }}",
                f"l{i}: add(a{i}, b{i})",
            ]
    return "\n".join(lines)


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(spatial_nets())
def test_fields_are_what_gradients_reach(statements: str) -> None:
    net = net_of(body(statements, "1x96x96"))
    field = fields(net)[-1]
    assert field is not None
    assert field.size is not None
    assert field.stride is not None
    model = netspec.build(net, backend="torch")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1)
    x = torch.ones(1, 1, 96, 96, requires_grad=True)
    out = model(x)
    middle = [n // 2 for n in out.shape[2:]]
    reached = []
    for step in (0, 1):
        (gradient,) = torch.autograd.grad(
            out[0, 0, middle[0] + step, middle[1] + step], x, retain_graph=True
        )
        seen = gradient[0, 0].nonzero()
        reached.append((seen.amin(0), seen.amax(0)))
    (low, high), (next_low, _) = reached
    assert tuple((high - low + 1).tolist()) == field.size
    assert tuple((next_low - low).tolist()) == field.stride


def test_huge_strides_end_as_the_whole() -> None:
    statements = "\n".join(
        "conv { filters: 1 kernel: 1 stride: 1000 pad: 1000 }" for _ in range(40)
    )
    assert fields(net_of(body(statements, "1x4x4")))[-1] == EffectiveField(None, None)


# --- pruning and quantization --------------------------------------------------------------------

# Table 1 of the paper: the share that pruning leaves out, and what is left, by module.
TABLE_1 = Compression(
    sparsity=tuple(
        LayerRule(pattern, Fraction(share))
        for pattern, share in (
            ("*.expand3x3", "0.67"),
            ("fire[89].expand3x3", "0.70"),
            ("fire6.expand1x1", "0.5"),
            ("fire7.squeeze", "0.5"),
            ("fire8.expand1x1", "0.5"),
            ("fire9.squeeze", "0.5"),
            ("conv10", "0.8"),
        )
    ),
    bits=(LayerRule("*", Fraction(6)),),
)
KEPT = {
    "conv1": 14_208,
    "fire2": 5_746,
    "fire3": 6_258,
    "fire4": 20_646,
    "fire5": 24_742,
    "fire6": 44_700,
    "fire7": 46_236,
    "fire8": 77_581,
    "fire9": 77_581,
    "conv10": 103_400,
}


def test_table_1_after_pruning() -> None:
    net = loaded("squeezenet1_0")
    view = NetView(net, compression=TABLE_1)
    kept = {r.name: COLUMNS["kept"].of(view, r) for r in rows(net, 1)}
    assert {name: n for name, n in kept.items() if n} == KEPT
    assert sum(kept.values()) == 421_098


def test_the_size_that_the_paper_reports_at_6_bits() -> None:
    """0.47 MB, in its MB of 2^20 bytes."""
    net = loaded("squeezenet1_0")
    view = NetView(net, compression=TABLE_1)
    assert view.compressed_size() / 2**20 == pytest.approx(0.47, abs=0.005)


def test_the_file_of_deep_compression() -> None:
    """Its bytes follow from its 422,083 entries: 8 bits and 4 of gap each, a codebook a layer."""
    net = loaded("squeezenet1_0")
    convs = [f for f in net.layers if f.params]
    codebooks = 256 * 4 * len(convs)
    biases = 4 * sum(f.layer.tensors["bias"].size for f in convs)
    header = 4 * len(convs)
    entries = 422_083
    weights = sum(prod(f.layer.tensors["weight"].shape) for f in convs)
    sparsity = 1 - Fraction(entries, weights)
    rules = Compression((LayerRule("*", sparsity),), (LayerRule("*", Fraction(8)),))
    # The same share everywhere keeps as many entries in all, but for rounding up in each layer.
    plan = [rules.of(net, f) for f in net.layers]
    assert 0 <= sum(p.kept_weights for p in plan) - entries <= len(convs)
    assert abs(size(plan) + header - 675_763) < 2 * len(convs)
    assert size(plan) > codebooks + biases


@given(st.fractions(0, 1), st.integers(1, 32), st.integers(0, 8))
def test_compression_by_hand(sparsity: Fraction, bits: int, index: int) -> None:
    net = net_of(body("c: conv { filters: 5 kernel: 3 } -> batchnorm", "3x8x8"))
    rules = Compression((LayerRule("c", sparsity),), (LayerRule("c", Fraction(bits)),), index)
    weights, others = 5 * 3 * 9, 5 + 10
    kept = next(k for k in range(weights + 1) if k >= (1 - sparsity) * weights)
    codebook = 2**bits * 32 if bits <= 8 else 0
    expected = kept * (bits + (index if sparsity else 0)) + codebook + 32 * others
    plan = [rules.of(net, f) for f in net.layers]
    assert sum(p.kept for p in plan) == kept + others
    assert size(plan) == -(-expected // 8)


def test_nothing_asked_for_changes_nothing() -> None:
    net = loaded("squeezenet1_1")
    assert size([Compression().of(net, f) for f in net.layers]) == 4 * net.params


def test_patterns() -> None:
    net = loaded("squeezenet1_1")
    rule = LayerRule("squeezenet1_1:fire*.squeeze", Fraction(1))
    assert rule.matches("squeezenet1_1", "fire2.squeeze")
    assert not rule.matches("squeezenet1_0", "fire2.squeeze")
    rules = Compression((rule, LayerRule("fier*", Fraction(1)), LayerRule("pool1", Fraction(1))))
    assert rules.unmatched([net]) == ("fier*", "pool1")


# --- what the documentation has of metrics ---------------------------------------------------------


def test_every_figure_is_documented() -> None:
    text = (ROOT / "docs" / "figures.md").read_text()
    for name in (*COLUMNS, *CONVENTIONS):
        assert f"`{name}`" in text, name
    for figures in MEASURED.values():
        for figure in figures[:2]:
            assert f"{figure:,}" in text


@pytest.mark.parametrize("file", ["README.md", "docs/exploring.md"])
def test_what_is_shown_is_what_comes_out(
    file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Line by line; `...` stands for lines left out."""
    from netspec.cli.main import main

    monkeypatch.delenv("COLUMNS", raising=False)  # pytest-xdist sets one
    text = (ROOT / file).read_text()
    shown = re.findall(r"\n    \$ netspec (table .*)\n((?:    .*\n|\n)+)", text)
    assert shown
    for command, expected in shown:
        assert main(command.split()) == 0
        lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
        at = 0
        for wanted in (line[4:].rstrip() for line in expected.strip("\n").splitlines()):
            if wanted != "...":
                assert wanted in lines[at:], f"{command}: {wanted}"
                at = lines.index(wanted, at) + 1


@pytest.mark.slow
def test_commands_in_documents_work(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import shlex

    from netspec.cli.main import main

    text = (ROOT / "docs" / "exploring.md").read_text()
    commands = re.findall(r"\n    netspec (.*)\n", text)
    assert {command.split()[0] for command in commands} == {"diff", "sweep", "search"}
    for command in commands:
        assert main(shlex.split(command.replace("out.svg", str(tmp_path / "out.svg")))) == 0
    assert "<svg" in (tmp_path / "out.svg").read_text()
