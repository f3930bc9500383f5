"""Scripts in examples/deploy do what netspec does, in other engines."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.cli.main import main
from netspec.util.resources import folder

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
DEPLOY = EXAMPLES / "deploy"
SCRIPT = DEPLOY / "onnx_runtime.py"
BROWSER = DEPLOY / "browser"
CHROMIUM = next(
    filter(
        None,
        map(
            shutil.which,
            ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome"),
        ),
    ),
    None,
)
WEIGHTS = folder("specs") / "squeezenet_digits.safetensors"
PICTURES = [str(EXAMPLES / "digits" / f"{digit}.png") for digit in (3, 6, 8)]


@pytest.mark.parametrize("options", [(), ("--preprocess",), ("--preprocess", "--float16")])
def test_onnx_runtime_in_python(tmp_path: Path, options: tuple[str, ...]) -> None:
    file, labels = tmp_path / "digits.onnx", tmp_path / "labels"
    labels.write_text("\n".join(f"digit {i}" for i in range(10)))
    command = ["compile", "squeezenet_digits", "--backend", "onnx", "--weights", str(WEIGHTS)]
    assert main([*command, "--labels", str(labels), "-o", str(file), *options]) == 0
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(file), *PICTURES],
        capture_output=True,
        text=True,
        check=True,
    )
    wanted = netspec.classify("squeezenet_digits", PICTURES, WEIGHTS, top=1)
    for line, (path, (guess,)) in zip(done.stdout.splitlines(), wanted.items(), strict=True):
        found, name, score = line.split("  ")
        assert (found, name) == (path, f"digit {guess.index}")
        assert float(score) == pytest.approx(
            guess.score, abs=0.01 if "--float16" in options else 1e-3
        )


@pytest.mark.parametrize(
    "preprocessing",
    [
        "channels: bgr  scale: 1/255  mean: [0.4, 0.5, 0.6]  std: [0.2, 0.3, 0.1]",
        "scale: 1/128  mean: 1",
        "resize: 9x12",
        "resize: 10  crop: center",
    ],
)
def test_pictures_are_prepared_as_models_do(tmp_path: Path, preprocessing: str) -> None:
    """On pictures of even colour, on which ways of resizing agree."""
    image = pytest.importorskip("PIL.Image")
    spec = tmp_path / "n.net"
    spec.write_text(f"net n {{ input data: 3x8x8 {{ {preprocessing} }}\n relu }}")
    file = tmp_path / "n.onnx"
    assert main(["compile", str(spec), "--backend", "onnx", "-o", str(file)]) == 0
    run = (
        "import json, sys, numpy as np, onnx; from PIL import Image; import onnx_runtime as o\n"
        f"said = {{p.key: p.value for p in onnx.load({str(file)!r}).metadata_props}}\n"
        "size = json.loads(said['netspec.inputs'])['data'][1:]\n"
        f"image = Image.open({str(tmp_path / 'p.png')!r})\n"
        "how = json.loads(said['netspec.preprocessing'])\n"
        f"np.save({str(tmp_path / 'x.npy')!r}, o.prepared(image, size, how))"
    )
    picture = image.new("RGB", (20, 14), (10, 200, 90))
    picture.save(tmp_path / "p.png")
    subprocess.run([sys.executable, "-c", run], cwd=SCRIPT.parent, check=True)
    wanted = netspec.build(str(spec)).preprocess(picture)
    np.testing.assert_allclose(np.load(tmp_path / "x.npy"), wanted, rtol=1e-5)


# --- other engines -------------------------------------------------------------------------------


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that imports a script."""
    monkeypatch.syspath_prepend(DEPLOY)
    return importlib.import_module


@pytest.mark.parametrize("name", ["openvino", "ncnn", "executorch", "litert", "coreml"])
def test_an_engine_gives_what_numpy_gives(name: str, scripts: Any, tmp_path: Path) -> None:
    script = f"to_{name}"
    try:
        scripts(script).ENGINE.versions()
    except PackageNotFoundError as error:
        pytest.skip(f"{error.name} is not installed")
    command = [sys.executable, str(DEPLOY / f"{script}.py"), "squeezenet_digits", str(WEIGHTS)]
    done = subprocess.run(
        [*command, *PICTURES, "-o", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    if name == "coreml" and sys.platform != "darwin":
        assert "converted" in done.stdout
        assert (tmp_path / "squeezenet_digits.mlpackage" / "Manifest.json").exists()
        return
    assert re.findall(r": class (\d) ", done.stdout) == ["3", "6", "8"]
    (found,) = re.findall(r"largest difference from NumPy: (\S+) ", done.stdout)
    assert float(found) < 1e-5


def test_a_script_says_what_to_install(
    scripts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = scripts("common")
    engine = common.Engine("Some", ("netspec-compiler", "no-such-package"), lambda *_: None)
    arguments = ["to_some.py", "squeezenet_digits", str(WEIGHTS), "-o", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    message = "needs no-such-package, .*: pip install netspec-compiler no-such-package"
    with pytest.raises(SystemExit, match=message):
        common.main(engine, "")


def test_a_script_compares(
    scripts: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An engine that changes the largest value by a tenth of it is a tenth away."""
    common = scripts("common")

    def make(net: Any, inputs: list[Any]) -> Any:
        assert inputs[0].shape == (1, 1, 8, 8)
        return lambda inputs: [y * np.where(y == y.max(), 1.1, 1) for y in net.results(inputs)]

    arguments = ["to_some.py", "squeezenet_digits", str(WEIGHTS), PICTURES[0], "-o", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    common.main(common.Engine("Some", ("numpy",), make), "")
    printed = capsys.readouterr().out
    assert f"squeezenet_digits in Some (numpy {np.__version__})" in printed
    assert "3.png: class 3 (NumPy: class 3)" in printed
    assert "difference from NumPy: 1.0e-01 of" in printed
    one = [np.ones((1, 2))]
    assert common.difference(one, [np.array([1, np.nan])]) == np.inf
    with pytest.raises(ValueError, match="2 outputs in place of 1"):
        common.difference(one, one * 2)


def test_the_table_of_engines_is_measured(
    scripts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One net on one engine, which is right; what is known is kept; and one that is wrong."""
    engines = scripts("engines")
    file = tmp_path / "engines.json"
    monkeypatch.setattr(engines, "FILE", file)
    monkeypatch.setattr(sys, "argv", ["engines.py", "squeezenet_digits", "--engine", "onnxruntime"])
    engines.main()
    (result,) = json.loads(file.read_text())["nets"]["squeezenet_digits"]["engines"].values()
    assert result["state"] == "runs"
    assert result["difference"] < 1e-5
    monkeypatch.setattr(engines, "in_a_process", lambda *_: pytest.fail("it is known"))
    engines.main()

    common = scripts("common")
    net = engines.PreparedNet("squeezenet_digits", str(tmp_path / "weights.npz"), tmp_path)
    net.prepare()
    states = []
    for factor in (1.1, np.nan):
        wrong = common.Engine(
            "Wrong",
            (),
            lambda net, _: lambda x: [y * factor for y in net.results(x)],  # noqa: B023
        )
        states.append(engines.tried(wrong, net))
    assert [s["state"] for s in states] == ["differs", "differs"]
    assert states[0]["difference"] == pytest.approx(0.1)
    assert states[1]["difference"] is None


@pytest.mark.exhaustive
@pytest.mark.skipif(
    not (shutil.which("node") and shutil.which("npm")), reason="Node and npm are not installed"
)
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_digits_that_are_drawn_in_a_browser(tmp_path: Path) -> None:
    """The page as it is built for users, in which a mouse draws; and the net in Node."""
    deploy = tmp_path / "examples" / "deploy"
    shutil.copytree(
        DEPLOY, deploy, ignore=shutil.ignore_patterns("node_modules", "dist", "__pycache__")
    )

    def ran(*command: str) -> str:
        done = subprocess.run(
            command,
            cwd=deploy / "browser",
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHON": sys.executable},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    try:
        ran("npm", "ci", "--no-audit", "--no-fund")
    except AssertionError as error:
        pytest.skip(f"npm can't install packages: {error}")
    ran("npm", "run", "build", "--", "squeezenet_digits", str(WEIGHTS))
    assert CHROMIUM is not None
    drawn = re.findall(r"drawn (\d), class (\d)", ran("npm", "run", "try", "--", CHROMIUM))
    assert len(drawn) == 6
    assert all(digit == found for digit, found in drawn)
    command = (sys.executable, str(deploy / "to_web.py"), "squeezenet_digits", str(WEIGHTS))
    printed = ran(*command, *PICTURES, "-o", str(tmp_path))
    assert re.findall(r": class (\d) ", printed) == ["3", "6", "8"]
    (found,) = re.findall(r"largest difference from NumPy: (\S+) ", printed)
    assert float(found) < 1e-5
