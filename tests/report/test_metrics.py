"""Counting conventions, receptive fields and compressed sizes against what others measured."""

from __future__ import annotations

import re
from fractions import Fraction
from math import prod
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

import netspec
from netspec.ir import Net
from netspec.metrics import receptive_field
from netspec.metrics.compression import Compression, LayerRule, size
from netspec.metrics.counting import CONVENTIONS, counts
from netspec.metrics.receptive_field import EffectiveField, fields
from netspec.report.columns import COLUMNS, NetView
from netspec.report.rows import rows

from ..helpers import body, checked, loaded, net_of

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


# Measured on one layer each, a module or function of torch, for 8x14x14.
LAYERS = {
    "groupnorm { groups: 2 }": (1568, 7840, 0, 16, 3136),
    "groupnorm { groups: 2  affine: false }": (0, 6272, 0, 0, 1568),
    "instancenorm": (0, 6272, 3136, 0, 1568),
    "instancenorm { affine: true }": (1568, 7840, 6272, 16, 3136),
    "pixel_shuffle { factor: 2 }": (0, 0, 0, 0, 0),
    "clamp { min: 0 }": (0, 0, 0, 0, 0),
    "div(data, data)": (0, 0, 0, 0, 0),
    "mean { across: channels }": (196, 0, 0, 0, 0),
    "mean { across: spatial }": (8, 0, 0, 0, 0),
    "sum { across: channels }": (0, 0, 0, 0, 0),
    "slice { channels: [0, 4] }": (0, 0, 0, 0, 0),
    "adaptive_maxpool { size: 3 }": (0, 0, 0, 0, 3136),
    "upsample { scale: 2  mode: bicubic  align_corners: false }": (0, 0, 1624448, 0, 12544),
    "upsample { scale: 2  mode: bilinear  align_corners: false }": (25088, 25088, 68992, 0, 12544),
    "p: parameter { shape: [8, 1, 1] }\n mul(data, p)": (1568, 0, 0, 8, 0),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_conventions_give_what_the_tools_gave_for_a_layer(layer: str) -> None:
    net = net_of(body(layer, "8x14x14"))
    found = {name: sum(counts(net, convention)) for name, convention in CONVENTIONS.items()}
    assert found == dict(zip(CONVENTIONS, (*LAYERS[layer], 0), strict=True))


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


def extents(net: Net, size: int) -> tuple[int, int]:
    """The most rows and columns that a gradient of the last value reaches from one of its places.

    All weights are equal and poolings take means, so that no gradient is 0 by chance.
    """
    model = netspec.build(net, backend="torch").double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.1)
    x = torch.ones(1, 1, size, size, dtype=torch.double, requires_grad=True)
    out = model(x).sum((0, 1))
    found = []
    for axis in (0, 1):
        places = out.sum(1 - axis)
        (gradients,) = torch.autograd.grad(
            places, x, torch.eye(len(places)).double(), retain_graph=True, is_grads_batched=True
        )
        reached = gradients[:, 0, 0].sum(2 - axis) != 0
        rows = [row.nonzero() for row in reached if row.any()]
        found.append(max(int(row.max() - row.min()) + 1 for row in rows))
    return found[0], found[1]


NUMBER = st.integers(1, 3)
MODE = st.sampled_from(
    ["nearest", "bilinear  align_corners: true", "bilinear  align_corners: false"]
)
WINDOWS = st.builds(
    "conv {{ filters: 1  kernel: {}x{}  stride: {}  dilation: {} }}".format,
    *(st.integers(1, 4), NUMBER, NUMBER, NUMBER),
)
POOLS = st.builds(
    "avgpool {{ kernel: {}  stride: {}  round: {} }}".format,
    *(st.integers(1, 4), NUMBER, st.sampled_from(["floor", "ceil"])),
)
TRANSPOSED = st.builds(
    "conv_transpose {{ filters: 1  kernel: {}  stride: {}  dilation: {} }}".format,
    *(st.integers(1, 5), st.integers(1, 4), NUMBER),
)
SCALED = st.builds("upsample {{ scale: {}  mode: {} }}".format, st.integers(2, 3), MODE)
RESIZED = st.builds(
    "upsample {{ size: {}x{}  mode: {} }}".format, *(st.integers(20, 60),) * 2, MODE
)
CUBIC = st.builds(
    "upsample {{ size: {}x{}  mode: bicubic  align_corners: {} }}".format,
    *(st.integers(20, 60),) * 2,
    st.sampled_from(["true", "false"]),
)
SLICES = st.builds("slice {{ rows: [{}, 20, {}] }}".format, st.integers(0, 3), NUMBER)
PIXELS = st.builds(
    "conv {{ filters: {0}  kernel: 1 }} -> pixel_shuffle {{ factor: {1} }}".format,
    *(st.just(4), st.just(2)),
)
SQUARES = st.builds(
    "crop {{ size: {0} }} -> pixel_unshuffle {{ factor: {1} }} -> conv {{ filters: 1  kernel: 1 }}".format,
    *(st.just(18), st.integers(2, 3)),
)
ADAPTIVE = st.builds("adaptive_avgpool {{ size: {} }}".format, st.integers(5, 20))
# No padding: near it, a place may have a field that is the largest and lies half outside.
BRANCHES = st.builds(
    "x{{0}}: identity\na{{0}}: conv {{{{ filters: 1  kernel: {0}x1 }}}}\n"
    "b{{0}}: crop(x{{0}}) {{{{ size: a{{0}}.shape  offset: {1}x0 }}}}\nadd(a{{0}}, b{{0}})".format,
    *(st.integers(3, 5), NUMBER),
)
CHAINS = st.lists(
    WINDOWS
    | POOLS
    | TRANSPOSED
    | SCALED
    | RESIZED
    | CUBIC
    | SLICES
    | PIXELS
    | SQUARES
    | ADAPTIVE
    | BRANCHES,
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize(
    "lines",
    [
        "conv { filters: 1 kernel: 3 }\n flip { axis: height }\n"
        "conv { filters: 1 kernel: 5x3 stride: 2 }",
        "flip { axis: width } -> flip { axis: channels }\n"
        "avgpool { kernel: 3 stride: 2 round: floor }",
        "a: avgpool { kernel: 3 stride: 2 round: floor }\n add(a, flip(a) { axis: height })",
    ],
)
def test_fields_behind_a_flip_are_what_gradients_reach(lines: str) -> None:
    net = net_of(body(lines, "1x41x41"))
    field = fields(net)[-1]
    assert field is not None
    assert extents(net, 41) == field.size
    assert field.stride is not None
    assert all(s > 0 for s in field.stride)


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(CHAINS)
def test_fields_of_chains_are_what_gradients_reach(lines: list[str]) -> None:
    size = 60
    text = "\n".join(line.format(i) if "identity" in line else line for i, line in enumerate(lines))
    net, _ = checked(body(text, f"1x{size}x{size}"))
    assume(net is not None)
    assert net is not None
    field = fields(net)[-1]
    assert field is not None
    assert field.size is not None
    assume(max(field.size) < 0.6 * size)  # else no place sees all of its field
    assume(max(net.flat_outputs[0].shape) < 150)
    assert extents(net, size) == field.size


def u_net(levels: int, convolutions: int, up: str, size: int) -> Net:
    twice = "\n".join(["conv { filters: 1  kernel: 3  pad: 1 }"] * convolutions)
    text = [f"{twice}\ndown{i}: identity\navgpool {{ kernel: 2 }}" for i in range(levels)]
    text.append(twice)
    text += [f"up{i}: {up}\nconcat(up{i}, down{i})\n{twice}" for i in reversed(range(levels))]
    return net_of(body("\n".join(text), f"1x{size}x{size}"))


TRANSPOSED_2 = "conv_transpose { filters: 1  kernel: 2  stride: 2 }"


@pytest.mark.parametrize(
    ("levels", "convolutions", "up", "expected"),
    [  # the sizes are those that autograd gave for inputs of 512 rows and more
        (2, 1, TRANSPOSED_2, 26),
        (2, 2, "upsample { scale: 2  mode: bilinear  align_corners: false }", 52),
        (3, 2, TRANSPOSED_2, 100),
        (3, 2, "upsample { scale: 2  mode: bilinear  align_corners: false }", 116),
        (4, 2, TRANSPOSED_2, 204),
        (5, 3, "upsample { scale: 2  mode: bilinear  align_corners: false }", 666),
    ],
)
def test_fields_of_u_nets(levels: int, convolutions: int, up: str, expected: int) -> None:
    field = fields(u_net(levels, convolutions, up, 512))[-1]
    assert field == EffectiveField((expected, expected), (1, 1))


@pytest.mark.slow
@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("mode", ["nearest", "bilinear  align_corners: true"])
def test_fields_of_u_nets_are_what_gradients_reach(levels: int, mode: str) -> None:
    net = u_net(levels, 2, f"upsample {{ scale: 2  mode: {mode} }}", 64)
    field = fields(net)[-1]
    assert field is not None
    assert field.size == extents(net, 64)


def test_fields_of_segnet() -> None:
    """Autograd and intervals by phase gave 404."""
    assert fields(loaded("segnet"))[-1] == EffectiveField((404, 404), (1, 1))


def test_a_place_that_is_unpooled_depends_on_the_windows_around_it() -> None:
    net = net_of(
        body(
            """
        p: maxpool { kernel: 3  stride: 2  pad: 1  round: floor }
        u: maxunpool(p, p.indices)
        t: conv_transpose(p) { filters: 3  kernel: 3  stride: 2  pad: 1 }
        c: conv(u) { filters: 1  kernel: 2 }
        output u, t, c""",
            "3x33x33",
        )
    )
    # Row 2i + 1 lies in the windows around rows 2i and 2i + 2.
    assert field_of(net, "p") == EffectiveField((3, 3), (2, 2))
    assert field_of(net, "u") == field_of(net, "t") == EffectiveField((5, 5), (1, 1))
    assert field_of(net, "c").size == (5, 5)


def test_what_looks_at_everything() -> None:
    net = net_of(
        body(
            """
        c: conv { filters: 3  kernel: 3  pad: 1 }
        n: normalize { across: all }
        p: normalize(c) { across: channels }
        a: adaptive_avgpool(c) { size: 1 }
        r: adaptive_avgpool(c) { size: 1x10 }
        output n, p, a, r"""
        )
    )
    assert field_of(net, "n") == field_of(net, "a") == EffectiveField(None, None)
    assert field_of(net, "p") == EffectiveField((3, 3), (1, 1))
    # All 32 rows; 32 columns in 10 parts are 4 or 5 each, and 2 more by the convolution.
    assert field_of(net, "r").size == (32, 6)


def test_exchanged_dimensions() -> None:
    net = net_of(
        body(
            """
        c: conv { filters: 3  kernel: 3x5  stride: 2x1 }
        t: permute { order: [0, 2, 1] }
        d: conv { filters: 3  kernel: 1x2 }
        k: permute(c) { order: [1, 2, 0] }
        relu
        b: permute { order: [2, 0, 1] }
        conv(k) { filters: 2  kernel: 1x1 }
        m: permute { order: [2, 0, 1] }
        output d, b, m"""
        )
    )
    assert field_of(net, "t") == EffectiveField((3, 5), (2, 1))
    # Two columns of what is turned are two rows of what was there.
    assert field_of(net, "d") == EffectiveField((5, 5), (2, 1))
    # Its channels were rows: a place has all of them.
    assert field_of(net, "k") == EffectiveField((32, 5), None)
    assert field_of(net, "b") == EffectiveField((3, 5), (2, 1))
    assert field_of(net, "m").size == (32, 5)


def test_a_gate_of_one_place_does_not_move() -> None:
    net = net_of(
        body(
            """
        gate: conv(data) { filters: 3  kernel: 32 }
        mul(data, gate)
        last: conv { filters: 1  kernel: 3 }"""
        )
    )
    assert field_of(net, "last") == EffectiveField((32, 32), (1, 1))


def test_fields_that_never_repeat_end_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Corners on corners: both ways drift apart, so that no place has the field of another."""
    monkeypatch.setattr(receptive_field, "MAX_PLACES", 2000)
    more = "conv { filters: 1  kernel: 3  pad: 1 }\n" * 10
    text = f"""
      avgpool {{ kernel: 2 }}
      u: upsample {{ scale: 2  mode: bilinear  align_corners: true }}
      first: add(u, data)
      {more}"""
    net = net_of(body(text, "1x512x512"))
    assert field_of(net, "first").size == (4, 4)
    assert fields(net)[-1] is None


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
    for command in (c for c in commands if "--data" not in c):  # trainings have tests of their own
        assert main(shlex.split(command.replace("out.svg", str(tmp_path / "out.svg")))) == 0
    assert "<svg" in (tmp_path / "out.svg").read_text()
