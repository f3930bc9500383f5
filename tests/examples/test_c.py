"""The program in examples/c knows digits, is short and small."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import netspec
from netspec.util.resources import folder

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parent.parent.parent / "examples/c"


def test_a_program_that_knows_digits(tmp_path: Path) -> None:
    if shutil.which("make") is None or shutil.which("cc") is None:
        pytest.skip("there is no make or no C compiler")
    assert len((EXAMPLE / "main.c").read_text().splitlines()) <= 60
    for file in EXAMPLE.glob("*"):
        if file.suffix in (".c", ".pgm", "") and file.name[:6] not in ("digits", "classi"):
            shutil.copy(file, tmp_path)
    (tmp_path / "bad.pgm").write_text("P2 8 8 255 1 2 3")
    weights = folder("specs") / "squeezenet_digits.safetensors"
    command = ["make", f"NETSPEC={sys.executable} -m netspec", f"WEIGHTS={weights}"]
    subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "classify").stat().st_size <= 80_000
    names = ["3.pgm", "bad.pgm", "6.pgm", "8.pgm"]
    done = subprocess.run(
        ["./classify", *names], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "bad.pgm is no PGM picture of 8x8 pixels\n"
    pictures = [str(EXAMPLE.parent / f"digits/{digit}.png") for digit in (3, 6, 8)]
    wanted = netspec.classify("squeezenet_digits", pictures, top=1)
    for line, digit, (guess,) in zip(done.stdout.splitlines(), "368", wanted.values(), strict=True):
        name, found, share = line.replace("(", "").replace("%)", "").split()
        assert (name, int(found)) == (f"{digit}.pgm:", guess.index)
        assert abs(float(share) / 100 - guess.score) < 2e-3
