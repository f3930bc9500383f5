"""The bundled SqueezeNets meet the figures that their paper and authors publish."""

from __future__ import annotations

import re

import pytest

from netspec.driver import bundled

from ..helpers import SHARED, loaded

TABLE_1 = {
    "conv1": 14_208,
    "fire2": 11_920,
    "fire3": 12_432,
    "fire4": 45_344,
    "fire5": 49_440,
    "fire6": 104_880,
    "fire7": 111_024,
    "fire8": 188_992,
    "fire9": 197_184,
    "conv10": 513_000,
}


@pytest.mark.parametrize(
    ("spec", "params", "macs"),
    [
        ("squeezenet1_0", 1_248_424, 818_924_576),
        ("squeezenet1_0_caffe", 1_248_424, 861_339_936),
        ("squeezenet1_1", 1_235_496, 349_151_936),
        ("squeezenet1_0_simple_bypass", 1_248_424, 818_924_576),
        # 1x1 convolutions: channels in times out, at every place of their map.
        (
            "squeezenet1_0_complex_bypass",
            1_589_672,
            818_924_576 + (96 * 128 + 128 * 256) * 54 * 54 + (256 * 384 + 384 * 512) * 27 * 27,
        ),
        ("squeezenet_micro", 1_248_424, 818_924_576),
    ],
)
def test_totals(spec: str, params: int, macs: int) -> None:
    net = loaded(spec)
    assert net.params == params
    assert net.macs == macs
    assert not net.warnings
    assert net.body.outputs[0].shape == (1000,)


@pytest.mark.parametrize(
    "spec",
    ["squeezenet1_0", "squeezenet1_0_caffe", "squeezenet1_0_simple_bypass", "squeezenet_micro"],
)
def test_table_1_of_the_paper(spec: str) -> None:
    params = {node.name: node.params for node in loaded(spec).body.nodes if node.params}
    assert params == TABLE_1


def test_the_authors_net_has_the_maps_of_table_1() -> None:
    maps = {node.name: node.outputs[0].shape for node in loaded("squeezenet1_0_caffe").body.nodes}
    for layers, size in {
        "conv1": 111,
        "pool1 fire2 fire3 fire4": 55,
        "pool4 fire5 fire6 fire7 fire8": 27,
        "pool8 fire9": 13,
    }.items():
        assert {maps[layer][1:] for layer in layers.split()} == {(size, size)}


def test_raw_pictures() -> None:
    (ours,) = loaded("squeezenet1_0").preprocessing
    assert ours is not None
    assert (ours.channels, ours.resize, ours.crop) == ("rgb", 256, "center")
    assert ours.scale == pytest.approx(1 / 255)
    assert ours.mean == pytest.approx((0.485, 0.456, 0.406))
    assert ours.std == pytest.approx((0.229, 0.224, 0.225))
    (theirs,) = loaded("squeezenet1_0_caffe").preprocessing
    assert theirs is not None
    assert (theirs.channels, theirs.resize, theirs.crop) == ("bgr", 256, "center")
    assert (theirs.scale, theirs.mean, set(theirs.std)) == (1, (104, 117, 123), {1})


SQUEEZENETS = [s for s in bundled() if re.match(r"squeezenet(1|_micro)", s)]


@pytest.mark.parametrize("spec", SQUEEZENETS)
def test_fewer_classes_shrink_the_last_convolution(spec: str) -> None:
    net = loaded(spec)
    assert "SqueezeNet" in net.doc
    small = loaded(spec, classes=10)
    assert small.body.outputs[0].shape == (10,)
    assert net.params - small.params == 990 * 513


@pytest.mark.parametrize(
    ("settings", "megabytes"),
    [
        ({"SR": 0.125}, 4.8),
        ({"SR": 0.25}, 7.6),
        ({"SR": 0.5}, 13),
        ({"SR": 0.75}, 19),
        ({"SR": 1.0}, 24),
        ({"SR": 0.5, "pct3x3": 0.01}, 5.7),
        ({"SR": 0.5, "pct3x3": 0.125}, 7.4),
        ({"SR": 0.5, "pct3x3": 0.25}, 9.3),
        ({"SR": 0.5, "pct3x3": 0.99}, 21),
    ],
)
def test_figure_3_of_the_paper(settings: dict[str, float], megabytes: float) -> None:
    size = 4 * loaded("squeezenet_micro", **settings).params / 2**20
    assert abs(size / megabytes - 1) < 0.04


@pytest.mark.parametrize(
    ("spec", "modules"),
    [
        ("squeezenet1_0_simple_bypass", [3, 5, 7, 9]),
        ("squeezenet1_0_complex_bypass", [2, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
def test_bypass_adds_around_the_modules(spec: str, modules: list[int]) -> None:
    nodes = {node.name: node for node in loaded(spec).body.nodes}
    assert [name for name in nodes if "bypass" in name] == [f"bypass{i}" for i in modules]
    for i in modules:
        past, through = nodes[f"bypass{i}"].inputs
        fire = nodes[f"fire{i}"]
        assert through is fire.outputs[0]
        # What goes past the module is its input, or a convolution of it.
        assert past is fire.inputs[0] or nodes[f"around{i}"].inputs == fire.inputs
        assert (past is fire.inputs[0]) == (i % 2 == 1)
        assert len({past.shape, through.shape, nodes[f"bypass{i}"].outputs[0].shape}) == 1


def test_the_caffe_spec_is_the_authors_net() -> None:
    prototxt = SHARED / "squeezenet_v1.0" / "deploy.prototxt"
    if not prototxt.is_file():
        pytest.skip("the authors' files are not there")
    outputs = [int(n) for n in re.findall(r"num_output: (\d+)", prototxt.read_text())]
    layers = [f for f in loaded("squeezenet1_0_caffe").layers if f.op.keyword == "conv"]
    assert [f.outputs[0].shape[0] for f in layers] == outputs
    # The order in which Deep Compression stores them.
    fires = [
        f"fire{i}.{part}" for i in range(2, 10) for part in ("squeeze", "expand1x1", "expand3x3")
    ]
    assert [f.path for f in layers] == ["conv1", *fires, "conv10"]
