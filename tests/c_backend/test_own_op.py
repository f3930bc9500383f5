"""An op of another package in C: its emitter, and a kernel of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from netspec_c import pieces
from netspec_c.emission import CStep
from netspec_c.emitters import EMITTERS

import netspec
from netspec.ops.activation import Mish
from tests.backends.nets import of_layers

pytestmark = pytest.mark.slow


def test_kernels_of_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "kernels.c"
    file.write_text("/* squareplus needs: each */\nEACH1(squareplus, (x + sqrtf(x * x + a)) / 2)\n")

    def emitter(op: Mish, s: CStep) -> None:
        s.call("squareplus", s.x, s.y, "4")

    monkeypatch.setitem(EMITTERS, Mish, emitter)
    monkeypatch.setattr(pieces, "_added", [])
    pieces.add_kernels(file)
    model = netspec.build(of_layers("mish", "3x4x5"), backend="c")
    x = np.random.default_rng(0).standard_normal((1, 3, 4, 5), np.float32)
    np.testing.assert_allclose(model(x), (x + np.sqrt(x * x + 4)) / 2, rtol=1e-5)
    with pytest.raises(KeyError):
        pieces.piece_of("nothing")
