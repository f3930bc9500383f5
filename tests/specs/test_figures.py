"""The bundled specs meet the figures that their papers and authors publish."""

from __future__ import annotations

import re

import pytest

import netspec
from netspec.driver import bundled

from ..helpers import SHARED

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
        ("squeezenet1_0_complex_bypass", 1_589_672, None),
        ("squeezenet_micro", 1_248_424, 818_924_576),
    ],
)
def test_totals(spec: str, params: int, macs: int | None) -> None:
    net = netspec.load(spec)
    assert net.params == params
    assert macs in (None, net.macs)
    assert not net.warnings
    assert net.body.outputs[0].shape == (1000,)


@pytest.mark.parametrize("spec", ["squeezenet1_0", "squeezenet1_0_caffe"])
def test_table_1_of_the_paper(spec: str) -> None:
    params = {node.name: node.params for node in netspec.load(spec).body.nodes if node.params}
    assert params == TABLE_1


@pytest.mark.parametrize("spec", bundled())
def test_every_spec_is_documented_promises_figures_and_can_be_set(spec: str) -> None:
    text = bundled()[spec].read_text()
    assert "expect params ==" in text
    net = netspec.load(spec)
    assert "SqueezeNet" in net.doc
    small = netspec.load(spec, classes=10)
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
    size = 4 * netspec.load("squeezenet_micro", **settings).params / 2**20
    assert abs(size / megabytes - 1) < 0.04


def test_bypass_adds_around_the_modules() -> None:
    net = netspec.load("squeezenet1_0_simple_bypass")
    around = [node for node in net.body.nodes if node.name.startswith("bypass")]
    assert [n.name for n in around] == ["bypass3", "bypass5", "bypass7", "bypass9"]
    for node in around:
        assert len({v.shape for v in (*node.inputs, *node.outputs)}) == 1


def test_the_caffe_spec_is_the_authors_net() -> None:
    prototxt = SHARED / "squeezenet_v1.0" / "deploy.prototxt"
    if not prototxt.is_file():
        pytest.skip("the authors' files are not there")
    outputs = [int(n) for n in re.findall(r"num_output: (\d+)", prototxt.read_text())]
    layers = [f for f in netspec.load("squeezenet1_0_caffe").layers if f.op.keyword == "conv"]
    assert [f.outputs[0].shape[0] for f in layers] == outputs
