"""The commands as a person types them: exit status, streams, files, and what they import."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.cli.main import main
from netspec.util.resources import folder
from netspec.weights import fresh, write

from ..helpers import SHARED, body

SOUND = body("c: conv { filters: 4 kernel: 1 }\n global_avgpool -> softmax", "3x8x8")
WRONG = body("a: conv { filterz: 3 kernel: 1 }\nb: mxpool", "3x8x8")


def run(
    *arguments: object, stdin: str = "", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "netspec", *map(str, arguments)]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, cwd=cwd, check=False
    )


def refused(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A command that fails for its inputs."""
    done = run(*arguments, cwd=cwd)
    assert done.returncode == 1
    return done


def test_check_says_nothing_of_a_sound_spec() -> None:
    done = run("check", "squeezenet1_0", "-", stdin=SOUND)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_check_of_modules_only(tmp_path: Path) -> None:
    (tmp_path / "m.net").write_text("module m(f) { input x\n conv { filters: f kernle: 1 } }")
    done = run("check", tmp_path / "m.net")
    assert done.returncode == 1
    assert "did you mean `kernel`?" in done.stderr
    assert (
        run("check", Path(netspec.__file__).parent.parent / "specs/modules/fire.net").returncode
        == 0
    )


def test_check_json() -> None:
    done = run("check", "-", "squeezenet1_0", "--format", "json", stdin=WRONG)
    assert done.returncode == 1
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert [d["code"] for d in found] == ["unknown-field", "unknown-op"]
    assert set(found[0]) == {
        *("code", "severity", "message", "file", "line", "column", "end_line", "end_column"),
        *("notes", "related", "fixes"),
    }
    place = {k: found[0][k] for k in ("file", "line", "column", "end_line", "end_column")}
    assert place == {"file": "<stdin>", "line": 2, "column": 11, "end_line": 2, "end_column": 18}


def test_check_github() -> None:
    done = run("check", "-", "--format", "github", stdin=WRONG)
    assert done.stdout.startswith("::error file=<stdin>,line=2,col=11,")


@pytest.mark.slow
def test_table_of_several_specs() -> None:
    one = json.loads(run("table", "squeezenet1_1", "--format", "json").stdout)
    assert one["total"]["params"] == 1_235_496
    done = run("table", "squeezenet1_1", "-", "none", "--format", "json", stdin=SOUND)
    assert done.returncode == 1
    assert [t["net"] for t in json.loads(done.stdout)] == ["squeezenet1_1", "test"]
    assert "no bundled spec of this name" in done.stderr
    for form in ("text", "markdown", "csv"):
        assert "1" in run("table", "squeezenet1_1", "--format", form, "--depth", 0).stdout


def test_set() -> None:
    done = run("table", "squeezenet1_0", "--set", "classes=10", "--format", "json")
    assert json.loads(done.stdout)["total"]["params"] == 1_248_424 - 990 * 513
    assert run("table", "squeezenet1_0", "--set", "clases=10").returncode == 1
    assert run("table", "squeezenet1_0", "--set", "classes").returncode == 2


def test_usage() -> None:
    assert run("check").returncode == 2
    assert run("chekc", "x").returncode == 2
    assert run("--help").returncode == 0


@pytest.mark.parametrize("backend", ["torch", "numpy"])
def test_compile(backend: str, tmp_path: Path) -> None:
    done = run("compile", "-", "--backend", backend, stdin=SOUND, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["test.py"]
    source = (tmp_path / "test.py").read_text()
    assert run("compile", "-", "--backend", backend, "-o", "-", stdin=SOUND).stdout == source


def test_a_wrong_spec_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "m.py"
    target.write_text("mine")
    assert run("compile", "-", "-o", target, stdin=WRONG).returncode == 1
    assert run("compile", "-", "-o", target, "--backend", "torhc", stdin=SOUND).returncode == 1
    assert target.read_text() == "mine"
    done = run("compile", "-", "-o", tmp_path / "none" / "m.py", stdin=SOUND)
    assert done.returncode == 1
    assert "unwritable-file" in done.stderr


@pytest.mark.slow
def test_a_model_replaces_nothing_that_a_person_wrote(tmp_path: Path) -> None:
    spec, other = tmp_path / "test.net", tmp_path / "test.py"
    spec.write_text(SOUND)
    done = run("compile", "test.net", "-o", "test.net", cwd=tmp_path)
    assert (done.returncode, spec.read_text()) == (1, SOUND)
    assert "test.net is a spec" in done.stderr
    other.write_text("mine")
    done = run("compile", "test.net", cwd=tmp_path)
    assert (done.returncode, other.read_text()) == (1, "mine")
    assert "`-o test.py` replaces it" in done.stderr
    assert run("compile", "test.net", "-o", "test.py", cwd=tmp_path).returncode == 0
    assert run("compile", "test.net", "--backend", "numpy", cwd=tmp_path).returncode == 0
    assert "import torch" not in other.read_text()


@pytest.mark.slow
def test_specs() -> None:
    listed = json.loads(run("specs", "--format", "json").stdout)
    assert {"squeezenet1_0", "squeezenet1_1", "squeezenet_micro"} <= {s["name"] for s in listed}
    assert all(s["doc"] for s in listed)
    lines = run("specs").stdout.splitlines()
    assert len(lines) == len(listed)
    for line, spec in zip(lines, listed, strict=True):
        name, params, *_ = line.split()
        assert (name, params) == (spec["name"], f"{spec['params']:,}")
    (squeezenet,) = (s for s in listed if s["name"] == "squeezenet1_0")
    assert (squeezenet["params"], squeezenet["macs"]) == (1_248_424, 818_924_576)


@pytest.mark.slow
def test_modules_and_texts_that_are_bundled() -> None:
    listed = run("specs", "--modules").stdout.splitlines()
    assert "fire(s1x1, e1x1, e3x3)" in [line.split("  ")[0] for line in listed]
    for line in listed:  # what can be imported, under the name that is used
        name = line.split("  ")[0].partition("(")[0]
        assert run("specs", name).stdout == (folder("specs") / f"modules/{name}.net").read_text()
    net = run("specs", "resnet18").stdout
    assert net == (folder("specs") / "resnet.net").read_text(encoding="utf-8")
    whole = json.loads(run("specs", "resnet18", "--format", "json").stdout)
    assert (whole["name"], whole["text"]) == ("resnet18", net)
    assert "did you mean `mbconv`?" in refused("specs", "mbcon").stderr


@pytest.mark.slow
def test_engines_that_run_bundled_nets() -> None:
    data = json.loads(run("specs", "--engines", "--format", "json").stdout)
    head, *rows = run("specs", "--engines").stdout.partition("\n\n")[0].splitlines()
    assert all(engine["name"] in head for engine in data["engines"].values())
    names = [s["name"] for s in json.loads(run("specs", "--format", "json").stdout)]
    assert [row.split()[0] for row in rows] == names
    digits = data["nets"]["squeezenet_digits"]
    assert digits["inputs"] == [[1, 8, 8]]
    assert digits["engines"]["onnxruntime"]["state"] == "runs"
    (row,) = run("specs", "squeezenet_digits", "--engines").stdout.splitlines()[1:2]
    assert row.split()[:2] == ["squeezenet_digits", "yes"]
    one = json.loads(run("specs", "squeezenet_digits", "--engines", "--format", "json").stdout)
    assert one["nets"] == {"squeezenet_digits": digits}
    assert "no bundled net is called fire" in refused("specs", "fire", "--engines").stderr
    assert run("specs", "--engines", "--modules").returncode == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("squeezenet", "there are `squeezenet1_0`, "),
        ("goog", "there are `googlenet`, `googlenet_torchvision`"),
        ("nin.net", "the bundled spec is called `nin`"),
        ("nothing.net", "nothing.net can't be read"),
    ],
)
def test_names_that_no_spec_has(spec: str, message: str, tmp_path: Path) -> None:
    assert message in refused("check", spec, cwd=tmp_path).stderr


@pytest.mark.slow
def test_verify_needs_something_to_compare() -> None:
    shown = refused("verify", "squeezenet_digits", "--backend", "numpy")
    assert "leaves nothing to compare" in shown.stderr
    assert shown.stdout == ""


@pytest.mark.slow
def test_convert_keeps_a_spec_that_was_worked_on(tmp_path: Path) -> None:
    (tmp_path / "small.prototxt").write_text(
        'name: "small" input: "x" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }\n'
        'layer { name: "r" type: "ReLU" bottom: "x" top: "r" }\n'
    )
    run("convert", "small.prototxt", cwd=tmp_path)
    spec = tmp_path / "small.net"
    first = spec.read_text()
    run("convert", "small.prototxt", cwd=tmp_path)  # the same again does no harm
    spec.write_text(first + "# worked on\n")
    shown = refused("convert", "small.prototxt", cwd=tmp_path)
    assert "`-o small.net` replaces it all the same" in shown.stderr
    assert spec.read_text() == first + "# worked on\n"
    run("convert", "small.prototxt", "-o", "small.net", cwd=tmp_path)
    assert spec.read_text() == first


def test_weights_under_other_names_lead_to_convert(tmp_path: Path) -> None:
    (tmp_path / "n.net").write_text("net n { input x: 3x8x8 conv1: conv { filters: 2 kernel: 1 } }")
    write(tmp_path / "theirs.npz", {"a.weight": np.zeros((2, 3, 1, 1)), "a.bias": np.zeros(2)})
    shown = refused("verify", "n.net", "--weights", "theirs.npz", cwd=tmp_path)
    assert "`netspec weights convert theirs.npz OUT.safetensors --spec n.net`" in shown.stderr
    write(tmp_path / "other.npz", {"a.weight": np.zeros((2, 4, 1, 1)), "a.bias": np.zeros(2)})
    shown = refused("verify", "n.net", "--weights", "other.npz", cwd=tmp_path)
    assert "weights convert" not in shown.stderr


@pytest.mark.slow
def test_verify(tmp_path: Path) -> None:
    done = run("verify", "-", "--format", "json", stdin=SOUND)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert [(r["first"], r["second"]) for r in results] == [("torch", "numpy"), ("torch", "onnx")]
    for result in results:
        assert [d["path"] for d in result["layers"]] == ["c", "global_avgpool_1", "softmax_1"]
    wrong = tmp_path / "w.npz"
    write(wrong, {"c.weight": np.zeros((4, 3, 1, 1), dtype=np.float32)})
    done = run("verify", "-", "--weights", wrong, stdin=SOUND)
    assert done.returncode == 1
    assert "c.bias is missing" in done.stderr


@pytest.mark.parametrize("command", ["check", "table"])
def test_check_and_table_import_no_framework(command: str) -> None:
    code = (
        "import sys; from netspec.cli.main import main\n"
        f"assert main(['{command}', 'squeezenet1_0']) == 0\n"
        "loaded = {'torch', 'numpy', 'jinja2', 'safetensors'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_check_loads_nothing_that_it_can_do_without() -> None:
    """What costs milliseconds at every start, and is for other commands, for errors, for builds."""
    code = (
        "import sys; from netspec.cli.main import main\n"
        "assert main(['check', 'squeezenet1_0']) == 0\n"
        "print(*sys.modules)"
    )
    command = [sys.executable, "-c", code]
    subprocess.run(command, check=True, capture_output=True)  # parse tables are there afterwards
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    without = {
        *("lark", "dataclasses", "inspect", "ast", "shutil", "tempfile", "hashlib", "logging"),
        *("pickle", "json", "asyncio", "multiprocessing", "subprocess", "importlib.metadata"),
        *("netspec.api", "netspec.report", "netspec.importers", "netspec.codegen"),
        *("netspec.syntax.lark_adapter", "netspec.syntax.protobuf_text.parser", "netspec.weights"),
    }
    assert not without & set(done.stdout.split())


# --- pictures and weights ------------------------------------------------------------------------


@pytest.mark.slow
def test_run_and_weights(tmp_path: Path) -> None:
    from PIL import Image

    spec = tmp_path / "s.net"
    spec.write_text(SOUND)
    net = netspec.load(spec)
    write(tmp_path / "w.npz", fresh(net.tensors, 1))
    Image.fromarray(np.full((10, 20, 3), 7, dtype=np.uint8)).save(tmp_path / "p.png")
    (tmp_path / "labels.txt").write_text("ant\nbee\ncat\ndog\n")
    done = run("weights", "convert", tmp_path / "w.npz", tmp_path / "w.safetensors", "--spec", spec)
    assert done.returncode == 0, done.stderr
    assert "c.weight" in run("weights", "show", tmp_path / "w.safetensors").stdout
    results = []
    for backend in ("numpy", "torch"):
        done = run(
            *("run", spec, tmp_path / "p.png", "--weights", tmp_path / "w.safetensors"),
            *("--labels", tmp_path / "labels.txt", "--backend", backend, "--format", "json"),
        )
        assert done.returncode == 0, done.stderr
        (found,) = json.loads(done.stdout)
        assert {c["label"] for c in found["classes"]} == {"ant", "bee", "cat", "dog"}
        results.append(found["classes"])
    for a, b in zip(*results, strict=True):
        assert a["label"] == b["label"]
        assert a["score"] == pytest.approx(b["score"], rel=1e-4)

    (tmp_path / "labels.txt").write_text("ant\n")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    common = ("run", spec, tmp_path / "bad.png", "--weights", tmp_path / "w.npz")
    assert "bad-image" in run(*common).stderr
    assert "bad-labels" in run(*common, "--labels", tmp_path / "labels.txt").stderr
    assert run("weights", "convert", tmp_path / "w.bin", tmp_path / "x.npz").returncode == 1


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_real_pictures_with_the_published_weights(backend: str, tmp_path: Path) -> None:
    archive = SHARED / "squeezenet_v1.0" / "deep_compression.bin"
    if not archive.is_file():
        pytest.skip("the published weights are not there")
    spec, weights = "squeezenet1_0_caffe", tmp_path / "w.npz"
    assert run("weights", "convert", archive, weights, "--spec", spec).returncode == 0
    done = run(
        *("run", spec, "--weights", weights, "--labels", SHARED / "imagenet_labels.txt"),
        *("--backend", backend, "--format", "json"),
        *(SHARED / "images" / name for name in ("cat.png", "espresso.png")),
    )
    assert done.returncode == 0, done.stderr
    cat, espresso = (result["classes"] for result in json.loads(done.stdout))
    assert [c["class"] for c in cat[:3]] == [285, 282, 281]
    assert espresso[0]["class"] == 967
    assert "Egyptian cat" in cat[0]["label"]


def test_python_api(tmp_path: Path) -> None:
    net = netspec.load("squeezenet1_1", classes=10)
    assert net.macs < 349_151_936
    assert net.layers[0].path == "conv1"
    assert "class SqueezeNet1_1" in netspec.compile(net, backend="torch")
    weights = fresh(net.tensors)
    write(tmp_path / "w.npz", weights)
    models: list[Any] = [
        netspec.build(net, weights=weights),
        netspec.build(net, backend="numpy", weights=tmp_path / "w.npz"),
    ]
    x = np.ones((1, 3, 224, 224), dtype=np.float32)
    np.testing.assert_array_equal(models[0](x), models[1](x))
    with pytest.raises(netspec.SpecError) as error:
        netspec.load("squeezenet1_1", classes=0)
    assert [d.code for d in error.value.diagnostics] == ["out-of-range"]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert (
        capsys.readouterr().out == f"netspec {netspec.__version__}\nlanguage {netspec.LANGUAGE}\n"
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+", netspec.__version__)
    assert re.fullmatch(r"\d+\.\d+", netspec.LANGUAGE)


def test_a_command_brings_only_its_own_modules() -> None:
    code = "import sys; from netspec.cli.main import main; main(['specs']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {m for m in done.stdout.split() if m.startswith("netspec.cli.")}
    assert loaded <= {
        f"netspec.cli.{m}" for m in ("main", "specs", "common", "terminal", "streams")
    }


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_a_full_disk_is_reported() -> None:
    command = [sys.executable, "-m", "netspec", "table", "squeezenet1_0"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "netspec: the output can't be written: No space left on device\n"


@pytest.mark.parametrize("text", ["", "# a comment\n\n", "import fire\n"])
def test_a_file_that_defines_nothing_is_an_error(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may have been cut short; a file of modules alone is fine."""
    file = tmp_path / "cut.net"
    file.write_text(text)
    assert main(["check", str(file)]) == 1
    assert "cut.net has no net and no module" in capsys.readouterr().err
    file.write_text("module m { input x\n relu }\n")
    assert main(["check", str(file)]) == 0


def test_a_bundled_name_with_a_dot(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "squeezenet1.0"]) != 0
    assert "did you mean `squeezenet1_0`?" in capsys.readouterr().err
