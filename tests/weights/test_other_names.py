"""Weights as other tools write them: 1x1 convolutions, tensors of blocks, dashes, several states."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import netspec
from netspec.cli.main import main
from netspec.weights import NameMaps, fresh, read, write
from netspec.weights.trained import KEY, TrainedWeights, metadata, read_trained

SPEC = """
module block(f) {
  input x
  body: conv { filters: f  kernel: 3  pad: 1 }
  scale: scale { bias: false }
  output add(x, scale)
}
net mixed(classes = 4) {
  input data: 3x8x8
  stem: conv { filters: 6  kernel: 1 }
  one: block { f: 6 }
  two: block { f: 6 }
  global_avgpool
  head: linear { units: classes }
  softmax
}
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("mixed.net").write_text(SPEC)
    return "mixed.net"


def test_a_linear_layer_is_a_convolution_of_1x1(spec: str) -> None:
    """The same model whichever of both a file has, by names and by position."""
    net = netspec.load(spec)
    own = fresh(net.tensors, 1, varied=True)
    other = dict(own)
    other["head.weight"] = own["head.weight"][:, :, None, None]
    other["stem.weight"] = own["stem.weight"][:, :, 0, 0]
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 8), dtype=np.float32)
    expected = netspec.build(net, "numpy", own)(x)
    np.testing.assert_array_equal(netspec.build(net, "numpy", other)(x), expected)
    write(Path("theirs.npz"), {f"m.{name}": array for name, array in other.items()})
    found = netspec.match_weights(net, "theirs.npz", by="anything")
    np.testing.assert_array_equal(netspec.build(net, "numpy", found)(x), expected)
    for wrong in (own["head.weight"].T, own["head.weight"][:, None], own["stem.weight"]):
        with pytest.raises(netspec.SpecError, match=r"head\.weight is .*, the net needs 4x6"):
            netspec.match_weights(net, {**own, "head.weight": wrong})


def test_tensors_that_stand_in_a_block_itself(spec: str) -> None:
    """As a layer scale does in ConvNeXt: `blocks.0.gamma`, beside `blocks.0.conv.weight`."""
    net = netspec.load(spec)
    own = fresh(net.tensors, 1, varied=True)
    Path("mixed.theirs.names").write_text(
        "one -> blocks.0\ntwo -> blocks.1\nstem -> patch-embed.proj\nhead.bias -> head_bias\n"
        "[block]\nbody -> conv\nscale.weight -> gamma\n"
    )
    keys = NameMaps(net.ir, spec).keys("theirs")
    assert keys == {
        "stem.weight": "patch-embed.proj.weight",
        "stem.bias": "patch-embed.proj.bias",
        "one.body.weight": "blocks.0.conv.weight",
        "one.body.bias": "blocks.0.conv.bias",
        "one.scale.weight": "blocks.0.gamma",
        "two.body.weight": "blocks.1.conv.weight",
        "two.body.bias": "blocks.1.conv.bias",
        "two.scale.weight": "blocks.1.gamma",
        "head.weight": "head.weight",
        "head.bias": "head_bias",
    }
    write(Path("theirs.npz"), {keys[name]: array for name, array in own.items()})
    for name, array in netspec.match_weights(net, "theirs.npz").items():
        np.testing.assert_array_equal(array, own[name])
    command = ["weights", "convert", "theirs.npz", "back.npz", "--spec", spec, "--names", "theirs"]
    assert main(command) == 0
    assert set(read(Path("back.npz"))) == set(keys.values())
    with pytest.raises(netspec.SpecError, match="it names a single tensor"):
        netspec.compile(spec, names="theirs")
    Path("mixed.theirs.names").write_text("[block]\nscale.bias -> beta\n")
    with pytest.raises(netspec.SpecError, match=r"the module block has no tensor scale\.bias"):
        NameMaps(net.ir, spec).keys("theirs")


def test_dimensions_of_1_at_the_ends_do_not_count(
    spec: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A layer scale is Cx1x1 in ConvNeXt of torchvision, a vector of Caffe's 1x1x1xC."""
    net = netspec.load(spec)
    own = fresh(net.tensors, 1, varied=True)
    other = dict(own)
    other["one.scale.weight"] = own["one.scale.weight"].reshape(6, 1, 1)
    other["head.bias"] = own["head.bias"].reshape(1, 1, 1, 4)
    other["head.weight"] = own["head.weight"][:, :, None]
    for name, array in netspec.match_weights(net, other).items():
        np.testing.assert_array_equal(array, own[name])
    write(Path("theirs.npz"), {f"m.{name}": array for name, array in other.items()})
    assert main(["weights", "convert", "theirs.npz", "--spec", spec, "--dry-run"]) == 0
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "m.one.scale.weight one.scale.weight 6x1x1 as 6 position" in rows
    assert "m.two.scale.weight two.scale.weight 6 position" in rows


def test_such_tensors_by_position(tmp_path: Path) -> None:
    spec = tmp_path / "n.net"
    spec.write_text(SPEC.replace("two: block { f: 6 }", "").replace("filters: 6", "filters: 6"))
    net = netspec.load(spec)
    own = fresh(net.tensors, 1, varied=True)
    theirs = {
        "a.weight": own["stem.weight"],
        "a.bias": own["stem.bias"],
        "b.c.weight": own["one.body.weight"],
        "b.c.bias": own["one.body.bias"],
        "b.gamma": own["one.scale.weight"],
        "d.weight": own["head.weight"],
        "d.bias": own["head.bias"],
    }
    for name, array in netspec.match_weights(net, theirs, by="anything").items():
        np.testing.assert_array_equal(array, own[name])


def test_names_with_dashes_in_models(spec: str) -> None:
    net = netspec.load(spec)
    Path("mixed.dash.names").write_text("stem -> patch-embed.proj-1\n")
    for backend in ("torch", "numpy"):
        source = netspec.compile(net, backend, names="dash")
        names: dict[str, object] = {"__name__": "emitted"}
        exec(source, names)
        model = names["Mixed"]()  # type: ignore[operator]
        if backend == "torch":
            assert "patch-embed.proj-1.weight" in model.state_dict()
            x = torch.zeros(1, 3, 8, 8)
            assert model(x).shape == (1, 4)


@pytest.mark.slow
def test_one_of_several_states(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    net = netspec.load(spec)
    plain, mean = (fresh(net.tensors, seed, varied=True) for seed in (1, 2))
    states = {
        key: {name: torch.from_numpy(array.copy()) for name, array in weights.items()}
        for key, weights in (("state_dict", plain), ("state_dict_ema", mean))
    }
    torch.save({**states, "epoch": 3}, "checkpoint.pt")
    assert main(["weights", "convert", "checkpoint.pt", "a.npz"]) == 1
    errors = capsys.readouterr().err
    assert "several dicts of tensors: `state_dict`, `state_dict_ema`" in errors
    assert "`--key state_dict`" in errors
    for key, weights in (("state_dict", plain), ("state_dict_ema", mean)):
        command = ["weights", "convert", "checkpoint.pt", f"{key}.npz", "--key", key]
        assert main(command) == 0
        assert main([*command, "--spec", spec]) == 0
        np.testing.assert_array_equal(
            read(Path(f"{key}.npz"))["stem.weight"], weights["stem.weight"]
        )
        assert main(["verify", spec, "--weights", "checkpoint.pt", "--key", key]) == 0
    assert main(["weights", "show", "checkpoint.pt", "--key", "state_dict_eam"]) == 1
    assert "did you mean `state_dict_ema`?" in capsys.readouterr().err
    assert main(["weights", "show", "state_dict.npz", "--key", "state_dict"]) == 1
    assert "bad-option" in capsys.readouterr().err


# --- what trained files say of themselves --------------------------------------------------------

TRAINED = """
net pets(classes = 7, width = 8) {
  input data: 3x8x8 { mean: MEAN  scale: 1/255 }
  conv { filters: width  kernel: 3  pad: 1 } -> relu
  global_avgpool
  linear { units: classes }
  softmax
  train { learning_rate: 0.1  batch_size: 4  iterations: 4 }
}
"""


@pytest.mark.slow
def test_a_training_says_what_run_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Path("pets.net").write_text(TRAINED.replace("MEAN", "0.5"))
    rng = np.random.default_rng(0)
    for name in ("ant", "bee\x1b[31m", "cat"):
        Path("data", name).mkdir(parents=True)
        for i in range(4):
            picture = rng.integers(0, 255, (8, 8, 3), np.uint8)
            Image.fromarray(picture).save(Path("data", name, f"{i}.png"))
    command = ["train", "pets.net", "--data", "data", "--set", "classes=3", "--set", "width=4"]
    assert main([*command, "-q", "--out", "run", "--held-out", "25%"]) == 0
    said = read_trained(Path("run/last.safetensors"))
    assert said.net == "pets"
    assert said.spec == Path("pets.net").read_text()
    assert dict(said.settings) == {"classes": "3", "width": "4"}
    assert said.classes == ("ant", "bee\x1b[31m", "cat")
    assert said.preprocessing == netspec.load("pets.net").ir.preprocessing[0]
    rows = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    held_out = [r["accuracy"] for r in rows if r["kind"] == "held-out"]
    assert said.accuracy == pytest.approx(held_out[-1], abs=1e-6)

    def run(*arguments: str) -> list[list[tuple[str, float]]]:
        capsys.readouterr()
        assert main(["run", *arguments, "data/ant", "--format", "json"]) == 0
        found = json.loads(capsys.readouterr().out)
        return [[(c["label"], c["score"]) for c in r["classes"]] for r in found]

    weights = ("--weights", "run/last.safetensors")
    first = run("pets.net", *weights)
    assert {label for label, _ in first[0]} == {"ant", "bee\x1b[31m", "cat"}
    assert run("pets.net", *weights, "--set", "classes=3", "--set", "width=4") == first
    assert run("run/last.safetensors") == first
    found = netspec.classify("run/last.safetensors", "data/ant", "run/last.safetensors")
    assert [[(g.label, g.score) for g in guesses] for guesses in found.values()] == first
    # A text that would move the cursor is not printed as it is.
    assert main(["run", "pets.net", *weights, "data/ant"]) == 0
    assert "\x1b" not in capsys.readouterr().out
    # The spec changes; the weights were trained with what the file says.
    Path("pets.net").write_text(TRAINED.replace("MEAN", "0.1"))
    assert run("pets.net", *weights) == first
    assert main(["run", "pets.net", *weights, "data/ant"]) == 0
    assert "pictures are prepared as run/last.safetensors says" in capsys.readouterr().err
    # Other files say nothing, and are used as before.
    write(Path("plain.npz"), read(Path("run/last.safetensors")))
    common = ("--set", "classes=3", "--set", "width=4", "--weights", "plain.npz")
    assert {label for label, _ in run("pets.net", *common)[0]} == {None}
    assert main(["run", "plain.safetensors", "data/ant"]) == 1


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2]",
        "{" * 100_000,
        '{"net": 3, "classes": [1], "settings": [], "accuracy": "x", "preprocessing": []}',
        '{"preprocessing": {"channels": "rgb", "scale": 1, "mean": [0], "std": [0]}}',
        '{"preprocessing": {"channels": "rgb", "scale": NaN, "mean": [0], "std": [1]}}',
        '{"preprocessing": {"channels": "rgb", "scale": 1, "mean": [0], "std": [1], '
        '"resize": 99999999999}}',
    ],
)
def test_metadata_of_anybody(text: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write(path, {"a": np.zeros(1, np.float32)}, {KEY: text})
    assert read_trained(path) == TrainedWeights()


def test_metadata_is_kept_from_file_to_file(tmp_path: Path) -> None:
    net = netspec.load("squeezenet_digits", classes=3).ir
    said = metadata(net, ["a", "b", "c"], 7, {"accuracy": 0.5})
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    write(first, fresh(net.tensors, 1), said)
    assert main(["weights", "convert", str(first), str(second)]) == 0
    assert read_trained(second) == read_trained(first)
    assert read_trained(second).classes == ("a", "b", "c")


def test_a_spec_inside_that_imports_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it imports is inside too; where it is not, the error says how to go on."""
    monkeypatch.chdir(tmp_path)
    Path("part.net").write_text("module part { input x\n conv { filters: 2  kernel: 1 } }")
    Path("own.net").write_text(
        'import "part.net"\nnet own { input data: 1x4x4\n a: part -> global_avgpool }'
    )
    net = netspec.load("own.net")
    write(
        Path("w.safetensors"),
        fresh(net.tensors, 1),
        metadata(net.ir, ["a", "b"], 1, {"accuracy": 0.5}),
    )
    Image.fromarray(np.zeros((4, 4), np.uint8)).save("x.png")
    assert main(["run", "own.net", "x.png", "--weights", "w.safetensors"]) == 0
    Path("part.net").rename("moved.net")
    capsys.readouterr()
    assert main(["run", "w.safetensors", "x.png", "--format", "json"]) == 0
    first = json.loads(capsys.readouterr().out)
    # What was imported at the training counts, and not what lies there now.
    Path("part.net").write_text("module part { input x\n conv { filters: 9  kernel: 1 } }")
    assert main(["run", "w.safetensors", "x.png", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == first
    # A file of an earlier version holds the text of the spec alone.
    Path("part.net").unlink()
    said = json.loads(metadata(net.ir, ["a", "b"], 1, {})[KEY])
    assert said.pop("imports") == {"part.net": Path("moved.net").read_text()}
    write(Path("w.safetensors"), fresh(net.tensors), {KEY: json.dumps(said)})
    assert main(["run", "w.safetensors", "x.png"]) == 1
    errors = capsys.readouterr().err
    assert "holds the text of its spec, but not what that imports" in errors
    assert "name the spec, and the file with `--weights w.safetensors`" in errors
