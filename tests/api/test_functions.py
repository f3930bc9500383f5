"""The functions of `netspec` against the commands, and the errors that they show."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import netspec
from netspec.cli.main import main

from ..helpers import body

TEXT = body("c: conv { filters: 4 kernel: 1 }\n global_avgpool -> softmax", "3x8x8")
DIGITS = Path(__file__).parent.parent.parent / "examples" / "digits"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("own.net").write_text(TEXT)
    return "own.net"


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(a) for a in arguments]) == 0
    return capsys.readouterr().out


def test_all_that_is_exported_is_there_and_on_the_page() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "api.md").read_text(encoding="utf-8")
    for name in netspec.__all__:
        found = getattr(netspec, name)
        assert f"netspec.{name}" in page or f".{found.__name__}\n" in page, name
    with pytest.raises(AttributeError):
        netspec.nothing  # noqa: B018


def test_an_error_shows_its_place_and_what_helps(own: str) -> None:
    Path(own).write_text(TEXT.replace("filters", "filterz"))
    with pytest.raises(netspec.SpecError) as caught:
        netspec.compile(own)
    shown = str(caught.value)
    lines = Path(own).read_text().split("\n")
    number = next(i for i, line in enumerate(lines, 1) if "filterz" in line)
    assert "error[unknown-field]" in shown
    assert f"--> own.net:{number}:" in shown
    assert "help: did you mean `filters`?" in shown
    assert str(pickle.loads(pickle.dumps(caught.value))) == shown
    assert [d.message for d in netspec.check(own)] == [d.message for d in caught.value.diagnostics]
    code = "import netspec; netspec.load('own.net')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "help: did you mean `filters`?" in done.stderr


def test_nets_are_short_in_a_prompt(own: str) -> None:
    assert repr(netspec.load(own)) == "<netspec.Net test: 3x8x8 -> 4, 16 parameters>"


def test_compile_takes_a_path_a_name_and_a_net(
    own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = printed(capsys, "compile", own, "-o", "-")
    assert netspec.compile(own) == source
    assert netspec.compile(Path(own)) == source
    assert netspec.compile(netspec.load(own)) == source
    assert netspec.compile(netspec.load(own).ir) == source
    command = ("compile", "squeezenet1_1", "--set", "classes=7", "--names", "torchvision")
    assert main([*command, "-o", "renamed.py"]) == 0
    renamed = netspec.compile("squeezenet1_1", classes=7, names="torchvision")
    assert renamed == Path("renamed.py").read_text()
    with pytest.raises(TypeError):
        netspec.compile(netspec.load(own), classes=7)


@pytest.mark.slow
def test_texts_and_pictures(own: str, capsys: pytest.CaptureFixture[str]) -> None:
    net = netspec.load(own)
    assert netspec.annotate(own) == printed(capsys, "annotate", own)
    assert net.ir_text() == printed(capsys, "ir", own)
    for form in ("svg", "dot", "html"):
        assert netspec.graph(net, form, depth=1) == printed(
            capsys, "graph", own, "--format", form, "--depth", 1, "-o", "-"
        )
    picture = netspec.graph(own, "png")
    assert isinstance(picture, bytes)
    assert picture.startswith(b"\x89PNG")
    found = netspec.diff(own, "squeezenet_digits")
    assert not found.empty
    assert f"{found}\n" == printed(capsys, "diff", own, "squeezenet_digits", "--width", 0)
    assert found.data() == json.loads(
        printed(capsys, "diff", own, "squeezenet_digits", "--format", "json")
    )
    assert netspec.diff(own, net).empty
    nets = netspec.load_all("resnet")
    assert [n.name for n in nets][:3] == ["resnet18", "resnet34", "resnet50"]
    assert nets[0].spec == "resnet:resnet18"


def test_convert(own: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("small.prototxt").write_text(
        'name: "small" input: "x"\n'
        'layer { name: "i" type: "InnerProduct" bottom: "x" top: "i"\n'
        "        inner_product_param { num_output: 5 } }\n"
        'layer { name: "p" type: "Softmax" bottom: "i" top: "p" }\n'
        'layer { name: "r" type: "ReLU" bottom: "p" top: "r" }\n'
    )
    found = netspec.convert("small.prototxt", inputs=[3, 8, 8], until=["p"], classes=7)
    assert found.text == printed(
        capsys,
        *("convert", "small.prototxt", "--input", "3x8x8", "--until", "p", "--set", "classes=7"),
        *("-o", "-"),
    )
    assert found.name == "small"
    assert "relu" not in found.text
    with pytest.raises(netspec.SpecError, match="is no prototxt"):
        netspec.convert(own)


def test_design_spaces(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ranges = ("--set", "SR=0.125,0.5", "--set", "pct3x3=0.25,0.5", "--format", "jsonl")
    values = {"SR": [0.125, 0.5], "pct3x3": (0.25, 0.5)}
    output = printed(capsys, "sweep", "squeezenet_micro", *ranges)
    expected = [json.loads(line) for line in output.splitlines()]
    kept = tmp_path / "kept.jsonl"
    assert netspec.sweep("squeezenet_micro", values, output=kept) == expected
    assert kept.read_text() == output
    goal = ("--maximize", "params", "--where", "macs < 2G")
    found = printed(capsys, "search", "squeezenet_micro", *ranges, *goal, "--top", 2)
    assert netspec.search(
        "squeezenet_micro", values, maximize="params", where=["macs < 2G"], top=2
    ) == [json.loads(line) for line in found.splitlines()]
    with pytest.raises(netspec.SpecError, match="none of 4 combinations"):
        netspec.search("squeezenet_micro", values, minimize="macs", where=["params < 1"])
    with pytest.raises(netspec.SpecError, match="SR has no value"):
        netspec.sweep("squeezenet_micro", {"SR": []})
    many = {"SR": [k / 1000 for k in range(1, 1000)], "pct3x3": [k / 200 for k in range(200)]}
    with pytest.raises(netspec.SpecError, match="199,800 combinations; at most 100,000"):
        netspec.sweep("squeezenet_micro", many)
    assert len(netspec.sweep("squeezenet_micro", many, sample=2)) == 2
    with pytest.raises(TypeError):
        netspec.search("squeezenet_micro", values)


@pytest.mark.slow
def test_models_with_weights(own: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Trained, verified and used by functions alone."""
    rng = np.random.default_rng(0)
    np.savez("data.npz", x=rng.integers(0, 255, (12, 8, 8, 3), np.uint8), y=np.arange(12) % 4)
    recipe = {"learning_rate": 0.1, "batch_size": 4, "iterations": 3}
    result = netspec.train(own, "data.npz", "run", recipe=recipe, quiet=True)
    assert not torch.are_deterministic_algorithms_enabled()  # the caller's setting
    command = ("train", own, "--data", "data.npz", "-o", "other", "-q")
    printed(capsys, *command, *(f"--train={name}={value}" for name, value in recipe.items()))
    weights = netspec.read_weights(result.folder.last)
    for name, array in netspec.read_weights("other/last.safetensors").items():
        np.testing.assert_array_equal(array, weights[name])
    (found,) = netspec.verify(own, weights)
    assert [d.path for d in found.layers] == ["c", "global_avgpool_1", "softmax_1"]
    assert found.worst.relative < 1e-5
    model = netspec.build(own, "numpy", result.folder.last)
    x = rng.standard_normal((2, 3, 8, 8), dtype=np.float32)
    theirs = {"theirs.weight": weights["c.weight"], "theirs.bias": weights["c.bias"]}
    netspec.write_weights("theirs.npz", theirs)
    with pytest.raises(netspec.SpecError, match="does not fit"):
        netspec.build(own, "numpy", "theirs.npz")
    Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save("x.png")
    guesses = netspec.classify(own, "x.png", result.folder.last)
    assert netspec.classify(str(result.folder.last), "x.png") == guesses
    matched = netspec.match_weights(own, "theirs.npz", by="anything")
    np.testing.assert_array_equal(netspec.build(own, "numpy", matched)(x), model(x))


@pytest.mark.slow
def test_classify(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"digit {i}" for i in range(10)]
    found = netspec.classify("squeezenet_digits", DIGITS, labels=names, top=2)
    shown = printed(capsys, "run", "squeezenet_digits", DIGITS, "--top", 2, "--format", "json")
    for result in json.loads(shown):
        guesses = found[result["image"]]
        assert [g.index for g in guesses] == [c["class"] for c in result["classes"]]
        assert [g.label for g in guesses] == [f"digit {g.index}" for g in guesses]
        assert str(guesses[0].index) == Path(result["image"]).stem
    with pytest.raises(netspec.SpecError, match="comes without weights"):
        netspec.classify("squeezenet1_0", DIGITS)
