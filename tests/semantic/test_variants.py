"""Variants: nets of one text with other values of its parameters."""

from __future__ import annotations

import json
import re
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import netspec
from netspec.cli.main import main
from netspec.codegen.backend import emit_family, get
from netspec.diagnostics import SpecError
from netspec.diagnostics.source import Source
from netspec.driver import check_each, check_nets
from netspec.semantic.imports import full_name
from netspec.semantic.limits import MAX_VARIANTS
from netspec.syntax.formatter import format_text

TOWER = """## A tower.
net tower(depth = 2, width = 8, classes = 10) {
  ## The small one.
  variant small { depth: 1 expect params == 314 }
  variant large {
    width: 16
    depth: 3
    expect macs > 3.6M
  }
  variant d { depth: 4  classes: depth + 6 }
  input data: 3x32x32
  for i in 1..depth { conv[i]: conv { filters: width  kernel: 3 } -> relu }
  fc: conv { filters: classes  kernel: 1 } -> global_avgpool
  prob: softmax
}
"""
SETTINGS: dict[str, Any] = {
    "small": {"depth": 1},
    "large": {"depth": 3, "width": 16},
    "d": {"depth": 4},
}
FULL = {"small": "tower_small", "large": "tower_large", "d": "towerd"}
ONLY = """net vgg(blocks, classes = 3) {
  variant vgg2 { blocks: [4, 8] }
  variant vgg3 { blocks: [4, 8, 8] }
  input data: 3x8x8
  for n in blocks { conv { filters: n  kernel: 1 } -> relu }
  conv { filters: classes  kernel: 1 }
}
"""


@pytest.fixture
def tower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tower.net").write_text(TOWER)
    (tmp_path / "only.net").write_text(ONLY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("variant", SETTINGS)
def test_a_variant_is_the_net_with_its_values(variant: str, tower: Path) -> None:
    given = netspec.load(f"tower.net:{variant}")
    same = netspec.load("tower.net", **SETTINGS[variant])
    assert (given.params, given.macs) == (same.params, same.macs)
    assert [f.path for f in given.layers] == [f.path for f in same.layers]
    assert (given.name, given.ir.variant) == (FULL[variant], variant)
    for name in (FULL[variant], f"tower{variant}", f"tower_{variant}"):
        assert netspec.load(f"tower.net:{name}").name == FULL[variant]
    assert (same.name, same.ir.variant) == ("tower", "")


def test_settings_go_on_top_and_its_contracts_are_of_itself(tower: Path) -> None:
    small = netspec.load("tower.net:small", classes=3, width=2)
    assert small.params == 2 * 28 + 3 * 3
    text = TOWER.replace("expect params == 314", "expect params == 315")
    (tower / "tower.net").write_text(text)
    with pytest.raises(SpecError, match="params is 314, not 315"):
        netspec.load("tower.net:small")
    assert netspec.load("tower.net:small", classes=3).params == 224 + 27
    assert netspec.load("tower.net").params == netspec.load("tower.net:tower").params


def test_documentation(tower: Path) -> None:
    assert netspec.load("tower.net:small").doc == "The small one.\n\nA tower."
    assert netspec.load("tower.net:large").doc == "A tower."


def test_a_net_whose_parameters_lack_defaults_is_only_its_variants(tower: Path) -> None:
    assert [n.name for n in check_each("only.net", {}).sound()] == ["vgg2", "vgg3"]
    assert netspec.load("only.net:vgg3", blocks=[4]).params == 16 + 15
    with pytest.raises(SpecError, match="several nets") as error:
        netspec.load("only.net")
    assert "`only.net:vgg2`" in error.value.diagnostics[0].help[0]
    with pytest.raises(SpecError, match="parameter blocks needs a default"):
        netspec.load("only.net:vgg")
    assert netspec.load("only.net:vgg", blocks=[4]).params == 16 + 15
    (tower / "one.net").write_text(ONLY.replace("  variant vgg3 { blocks: [4, 8, 8] }\n", ""))
    assert netspec.load("one.net").name == "vgg2"


def test_an_error_is_reported_once_with_the_variant_that_leads_to_it(tower: Path) -> None:
    (tower / "tower.net").write_text(TOWER.replace("kernel: 3", "kernel: 32 - 10 * depth"))
    found = check_each("tower.net", {}).diagnostics
    where = [d for d in found if d.notes and "in the variant " in d.notes[-1]]
    assert where
    assert "in the variant small" not in str(where)
    (tower / "tower.net").write_text(TOWER.replace("kernel: 3 }", "kernel: 0 }"))
    (error,) = check_each("tower.net", {}).diagnostics
    assert not error.notes


@pytest.mark.parametrize(
    ("net", "variant", "name"),
    [
        ("yolov8", "n", "yolov8n"),
        ("efficientnet", "b0", "efficientnet_b0"),
        ("shufflenet_v2", "x0_5", "shufflenet_v2_x0_5"),
        ("resnet", "resnet34", "resnet34"),
        ("resnet", "resnext50", "resnext50"),
        ("resnet", "wide_resnet50_2", "wide_resnet50_2"),
        ("vgg", "vgg16", "vgg16"),
        ("nin", "ninety", "ninety"),
    ],
)
def test_full_names(net: str, variant: str, name: str) -> None:
    assert full_name(net, variant) == name


def test_commands(tower: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "tower.net", "--compare", "--format", "json"]) == 0
    compared = json.loads(capsys.readouterr().out)
    assert [(c["net"], c.get("variant")) for c in compared] == [
        ("tower", None),
        ("tower_small", "small"),
        ("tower_large", "large"),
        ("towerd", "d"),
    ]
    assert compared[1]["figures"]["params"] == 314
    assert main(["table", "tower.net:small", "--format", "json", "--set", "classes=2"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["variant"], data["total"]["params"]) == ("small", 224 + 18)
    assert main(["sweep", "tower.net:small", "--set", "width=2,4", "--format", "jsonl"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [x["params"] for x in lines] == [2 * 28 + 30, 4 * 28 + 50]
    assert {x["net"] for x in lines} == {"tower_small"}
    assert main(["diff", "tower.net:small", "tower.net", "--exit-code"]) == 1
    assert capsys.readouterr().out.startswith("tower_small -> tower\n")
    assert main(["diff", "tower.net:d", "tower.net", "--right", "depth=4", "--exit-code"]) == 0
    for command in (["annotate"], ["ir"], ["graph", "-o", "-"]):
        assert main([*command, "tower.net:large"]) == 0
    assert "tower_large" in capsys.readouterr().out


def test_results_of_a_sweep_are_one_variant_s(
    tower: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--set", "classes=2,3", "-o", "kept.jsonl"]
    assert main(["sweep", "tower.net:small", *common]) == 0
    assert main(["sweep", "tower.net:large", *common]) == 1
    assert "can't be continued" in capsys.readouterr().err


@pytest.mark.slow
def test_compiled_classes_have_its_values_as_defaults(tower: Path) -> None:
    source = netspec.compile("tower.net:large")
    assert "from tower.net:large: change" in source
    assert "class TowerLarge(nn.Module):" in source
    assert "depth: int = 3, width: int = 16, classes: int = 10" in source
    model = netspec.build("tower.net:large", "torch")
    other = type(model)(depth=1, width=8)
    assert sum(p.numel() for p in other.parameters()) == 314
    weights = netspec.build("tower.net:large").weights
    x = np.random.default_rng(0).random((2, 3, 32, 32), dtype=np.float32)
    ours = netspec.build("tower.net:large", weights=weights)(x)
    theirs = netspec.build("tower.net", weights=weights, **SETTINGS["large"])(x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert main(["compile", "only.net", "-o", "only.py"]) == 0
    emitted = (tower / "only.py").read_text()
    assert re.findall(r"^class (\w+)\(", emitted, re.MULTILINE) == [
        "Network",
        "VGG",
        "VGG2",
        "VGG3",
    ]
    assert "class VGG3(VGG):" in emitted


@pytest.mark.slow
def test_the_classes_of_a_file_share_their_text(tower: Path) -> None:
    """Each is the class that is compiled alone: same arguments, tensors and results."""
    for spec in ("tower.net", "only.net"):
        emitted: dict[str, Any] = {"__name__": "emitted"}
        source = emit_family([n.ir for n in netspec.load_all(spec)], get("torch"))
        exec(compile(source, "emitted", "exec"), emitted)
        assert source.count("def forward") == 1
        for net in netspec.load_all(spec):
            alone = netspec.build(net, "torch")
            model = emitted[type(alone).__name__]()
            assert signature(type(model)) == signature(type(alone))
            model.load_state_dict(alone.state_dict())
            x = torch.randn(2, *net.ir.body.inputs[0].shape)
            assert torch.equal(model(x), alone(x))
            small = emitted[type(alone).__name__](classes=2)
            assert small(x).shape[1] == 2
    assert "class TowerSmall(Tower):" in netspec_compiled(tower)


def netspec_compiled(folder: Path) -> str:
    assert main(["compile", "tower.net"]) == 0
    return (folder / "tower.py").read_text()


def test_names_of_other_libraries_go_by_the_full_name(tower: Path) -> None:
    (tower / "tower_small.lib.names").write_text("conv1 -> stem\nfc -> head\n")
    assert "self.stem" in netspec.compile("tower.net:small", names="lib")
    with pytest.raises(SpecError):
        netspec.compile("tower.net:large", names="lib")


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("variant  n{width:2,depth:1}", "variant n { width: 2  depth: 1 }"),
        ("variant n {}", "variant n { }"),
        (
            "variant n { width: 2 depth: 1 expect params == 3 'x' }".replace("'", '"'),
            'variant n { width: 2  depth: 1  expect params == 3  "x" }',
        ),
        (
            "variant n {\nwidth: 2; depth: 1\n # why\n\n\nexpect params == 3 expect macs < 2 }",
            "variant n {\n    width: 2  depth: 1\n    # why\n\n    expect params == 3\n"
            "    expect macs < 2\n  }",
        ),
        (
            "variant n { # few\n expect x: 3x?x? \n width: 2 # all\n}",
            "variant n {  # few\n    expect x: 3x?x?\n    width: 2  # all\n  }",
        ),
    ],
)
def test_layout(text: str, layout: str) -> None:
    around = "net a(width = 1, depth = 1) {{\n  {}\n  input x: 3x8x8\n}}\n"
    assert format_text(around.format(text)) == around.format(layout)
    assert format_text(around.format(layout)) == around.format(layout)


def test_variant_is_free_as_a_name(tower: Path) -> None:
    text = """module variant { input x  relu }
net variants(filters = 3) {
  variant variant { filters: 5 }
  input x: 3x4x4
  variant: conv { filters: filters  kernel: 1 } -> variant
  output variant
}
"""
    (tower / "v.net").write_text(text)
    assert netspec.load("v.net:variant").params == 20
    assert netspec.load("v.net").params == 12


def test_a_net_with_too_many_variants_is_refused(tower: Path) -> None:
    many = "".join(f"  variant v{i} {{ a: {i + 1} }}\n" for i in range(101))
    text = f"net n(a = 1) {{\n{many}  input x: 3x4x4\n  conv {{ filters: a  kernel: 1 }}\n}}\n"
    (tower / "many.net").write_text(text)
    with pytest.raises(SpecError, match="at most 100 variants"):
        netspec.load("many.net:v1")


def test_only_so_many_variants_are_built(tmp_path: Path) -> None:
    """What is beyond the limit costs nothing but the error."""
    lines = "".join(f"  variant v{i} {{ k: {i + 1} }}\n" for i in range(MAX_VARIANTS + 1))
    body = "  input x: 3x8x8\n  conv { filters: k  kernel: 1 }\n"
    file = tmp_path / "many.net"
    file.write_text(f"net many(k = 1) {{\n{lines}{body}}}\n")
    found = check_each(str(file), {})
    assert [d.code for d in found.diagnostics] == ["too-large"]
    assert not any(f"v{MAX_VARIANTS}" in net.name for net in found.nets)
    file.write_text(file.read_text().replace(f"  variant v{MAX_VARIANTS} ", "  # "))
    assert len(check_each(str(file), {}).sound()) == MAX_VARIANTS + 1


@pytest.mark.parametrize("head", ["zz", "zz = relu"])
def test_a_variant_that_gives_a_number_for_an_op(head: str) -> None:
    text = f"net n({head}) {{\n variant a {{ zz: 3 }}\n input x: 3x8x8\n relu -> zz\n}}\n"
    found = check_nets(Source("n.net", text), None, {}).diagnostics
    assert [d.message for d in found] == ["zz is 3, and no op or module"]
