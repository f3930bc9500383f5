"""Scripts in examples/deploy do what netspec does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.cli.main import main
from netspec.util.resources import folder

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SCRIPT = EXAMPLES / "deploy" / "onnx_runtime.py"
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
