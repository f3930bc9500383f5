"""`netspec export`: the files work where netspec can't be imported, and say what netspec says."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import netspec
from netspec.cli.main import main
from netspec.runs.export import _is_below, export
from netspec.weights import fresh, write
from netspec.weights.trained import KEY, metadata

from ..training.samples import pictures

PART = "module part(f) { input x\n conv { filters: f  kernel: 3 } -> relu }\n"
NET = """import "sub/part.net"
net halves(width = 2) {
  input data: 1x6x6 { scale: MEAN }
  a: part { f: width }
  last: conv { filters: 2  kernel: 1 } -> global_avgpool
  prob: softmax
  train { learning_rate: 0.5  batch_size: 8  iterations: 40 }
}
"""
# What a person has who never heard of netspec.
ALONE = """
import runpy, sys
class Refusing:
    def find_spec(self, name, *more):
        if name.split(".")[0].startswith("netspec"):
            raise ImportError(name)
sys.meta_path.insert(0, Refusing())
sys.path.insert(0, sys.argv[1])
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a training on pictures whose upper or lower half is brighter."""
    monkeypatch.chdir(tmp_path)
    Path("sub").mkdir()
    Path("sub/part.net").write_text(PART)
    Path("halves.net").write_text(NET.replace("MEAN", "1/255"))
    x, y = pictures(40)
    for i, (pixels, label) in enumerate(zip(x, y, strict=True)):
        folder = Path("data", ("low`er", "up\x1bper")[label])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    command = ["train", "halves.net", "--data", "data", "--set", "width=4", "--seed", "3"]
    assert main([*command, "-q", "-o", "run"]) == 0
    # Neither is needed again.
    Path("sub/part.net").unlink()
    Path("halves.net").unlink()
    return tmp_path


def alone(folder: Path, *arguments: str) -> list[str]:
    """The lines that the example prints, by a process where netspec is not found."""
    command = [sys.executable, "-c", ALONE, str(folder), str(folder / "classify.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_it_works_without_netspec(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "run"]) == 0
    folder = run / "halves-export"
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert names == {
        *("halves.net", "sub/part.net", "weights.safetensors", "labels.txt", "README.md"),
        *("model_torch.py", "model_numpy.py", "classify.py"),
    }
    picture = str(next(Path("data").rglob("*.png")))
    capsys.readouterr()
    assert main(["run", "run/best.safetensors", picture, "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    expected = [(f"{c['score']:.4f}", c["class"]) for c in found["classes"]]
    labels = (folder / "labels.txt").read_text().splitlines()
    assert labels == ["low'er", "up\\x1bper"]
    for options in ([], ["--torch"]):
        path, *lines = alone(folder, *options, picture)
        assert path == picture
        shown = [(line.split()[0], labels.index(line.split(maxsplit=1)[1])) for line in lines]
        assert [i for _, i in shown] == [i for _, i in expected]
        for (score, _), (wanted, _) in zip(shown, expected, strict=True):
            assert float(score) == pytest.approx(float(wanted), abs=2e-4)
    # The spec in it is the one that was trained.
    net = netspec.load(folder / "halves.net", width=4)
    assert net.params == 4 * 10 + 2 * 5
    readme = (folder / "README.md").read_text()
    assert 8 <= len(readme.splitlines()) <= 12
    assert "width=4" in readme
    assert "seed 3" in readme
    # The same in one file; the same bytes again.
    assert main(["export", "run/best.safetensors", "-o", "small.zip"]) == 0
    content = Path("small.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {n.removeprefix("small/") for n in archive.namelist()} == names
        for name in names:
            assert archive.read(f"small/{name}") == (folder / name).read_bytes()
    assert main(["export", "run", "-o", "small.zip"]) == 0
    assert Path("small.zip").read_bytes() == content
    # A folder that is there is not written into unless it is named.
    assert main(["export", "run"]) == 1
    assert "halves-export is there already" in capsys.readouterr().err
    assert main(["export", "run", "-o", "halves-export", "--last"]) == 0


def test_pictures_are_prepared_as_the_training_did(tmp_path: Path) -> None:
    text = NET.replace('import "sub/part.net"', PART)
    (tmp_path / "halves.net").write_text(text.replace("MEAN", "1/128"))
    net = netspec.load(tmp_path / "halves.net").ir
    path = tmp_path / "w.safetensors"
    write(path, fresh(net.tensors), metadata(net, [], 1, {}))
    said = json.loads(metadata(net, [], 1, {})[KEY])
    said["preprocessing"]["scale"] = 1 / 7
    write(path, fresh(net.tensors), {KEY: json.dumps(said)})
    _, files = export(path)
    assert b"/ 7" in files["model_numpy.py"]
    assert b"/ 128" not in files["model_numpy.py"] + files["model_torch.py"]
    assert files["labels.txt"] == b"0\n1\n"


def test_weights_that_do_not_say_of_which_spec_they_are(tmp_path: Path) -> None:
    text = NET.replace('import "sub/part.net"', PART).replace("MEAN", "1/128")
    (tmp_path / "halves.net").write_text(text)
    net = netspec.load(tmp_path / "halves.net", width=3).ir
    write(tmp_path / "w.safetensors", fresh(net.tensors))
    out = tmp_path / "out"
    command = ["export", str(tmp_path / "w.safetensors"), "-o", str(out)]
    assert main(command) == 1
    assert main([*command, "--spec", str(tmp_path / "halves.net"), "--set", "width=3"]) == 0
    assert (out / "halves.net").read_text() == text
    assert "width=3" in (out / "README.md").read_text()


def test_a_net_that_tells_no_classes_apart(tmp_path: Path) -> None:
    (tmp_path / "planes.net").write_text(
        "net planes { input x: 3x8x8\n conv { filters: 2 kernel: 1 } }"
    )
    net = netspec.load(tmp_path / "planes.net").ir
    path = tmp_path / "w.safetensors"
    write(path, fresh(net.tensors), metadata(net, [], 1, {}))
    name, files = export(path)
    assert (name, "classify.py" in files, "predict.py" in files) == ("planes", False, True)
    compile(files["predict.py"], "predict.py", "exec")


@pytest.mark.parametrize(
    ("place", "below"),
    [
        *(("part.net", True), ("sub/part.net", True), ("../part.net", False), ("/part.net", False)),
        *(("a/../../b.net", False), ("x.py", False), ("c:\\x.net", False), ("a\n.net", False)),
    ],
)
def test_no_file_is_written_elsewhere(place: str, below: bool) -> None:
    assert _is_below(place) == below


@pytest.mark.parametrize("given", ["none", "empty", "w.npz", "plain.safetensors"])
def test_what_is_no_run(given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    array: dict[str, Any] = {"a": np.zeros(1, np.float32)}
    write(tmp_path / "plain.safetensors", array)
    assert main(["export", str(tmp_path / given), "-o", str(tmp_path / "out")]) == 1
    assert "bad-weights" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
