"""The emitted Keras file as a text: what it looks like, and what can't be one. Keras is not needed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from netspec.cli.main import main
from netspec.codegen.backend import emit, get
from netspec.diagnostics import SpecError
from tests.backends.nets import net_of
from tests.backends.test_emitted import HOSTILE, ruff
from tests.helpers import loaded

from .helpers import JOINED

GOLDEN = Path(__file__).parents[1] / "backends" / "golden" / "squeezenet1_0_keras.py.golden"


def test_golden(update: bool) -> None:
    source = emit(loaded("squeezenet1_0"), get("keras"))
    if update:
        GOLDEN.write_text(source, encoding="utf-8")
    assert source == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["squeezenet1_0", "resnet18", "unet", "parts", "sizes", "hostile"])
def test_files_are_tidy(spec: str, tmp_path: Path) -> None:
    texts = {
        "parts": JOINED["bodies 3x4x5"],
        "sizes": JOINED["bodies 3x5x4"],
        "hostile": re.sub(r"\b_+(?=\w)", "u", HOSTILE),
    }
    source = emit(net_of(texts[spec]) if spec in texts else loaded(spec), get("keras"))
    assert (check := ruff("check", source=source)).returncode == 0, check.stdout
    form = ruff("format", "--diff", "--line-length", "100", source=source)
    assert form.returncode == 0, form.stdout
    if spec == "sizes":
        file = tmp_path / "emitted.py"
        file.write_text(source)
        options = ("--strict", "--allow-subclassing-any", "--ignore-missing-imports")
        command = [sys.executable, "-m", "mypy", *options, str(file)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("p: maxpool { kernel: 2 }\n maxunpool(p, p.indices)", "can't express p: the places of"),
        ("_a: conv { filters: 2  kernel: 1 }", "a layer called _a"),
        ('for n in ["all", "b"] { c[n]: conv { filters: 2  kernel: 1 } }', "a layer called call"),
    ],
)
def test_what_keras_lacks(text: str, message: str) -> None:
    net = net_of(f"net n {{ input data: 3x8x6\n {text} }}")
    with pytest.raises(SpecError) as error:
        emit(net, get("keras"))
    assert message in error.value.diagnostics[0].message


@pytest.mark.parametrize("option", ["--nsz", "--names torchvision"])
def test_options_that_keras_models_do_not_take(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["compile", "squeezenet1_1", "--backend", "keras", "-o", "-", *option.split()]
    assert main(command) == 1
    assert "the keras backend can't express" in capsys.readouterr().err
