"""`netspec.build(backend="c")`: the cache of what was compiled, and what commands do with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.cli.main import main
from netspec.diagnostics import SpecError
from netspec.weights import fresh, write

pytestmark = pytest.mark.slow

NET = "net tiny { input data: 3x5x6  conv { filters: 4  kernel: 3 } -> relu -> global_avgpool }"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the cache, empty, with a spec in the working folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("tiny.net").write_text(NET)
    return tmp_path / "cache/netspec/c"


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The calls of the compiler."""
    found: list[Any] = []
    run = subprocess.run

    def counted(*args: Any, **options: Any) -> Any:
        found.append(args)
        return run(*args, **options)

    monkeypatch.setattr(subprocess, "run", counted)
    return found


def test_a_model_is_compiled_once(
    cache: Path, runs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (netspec.build("tiny.net", backend="c") for _ in range(2))
    assert len(runs) == 1
    (kept,) = cache.iterdir()
    assert cache.stat().st_mode & 0o077 == 0
    x = np.ones((2, 3, 5, 6), np.float32)
    np.testing.assert_array_equal(first(x), second(x))
    np.testing.assert_allclose(
        first(x), netspec.build("tiny.net", weights=first.weights)(x), rtol=1e-5
    )
    # In another place, as what is loaded from a path stays loaded.
    shutil.copytree(cache, "other/netspec/c")
    Path("other/netspec/c", kept.name).write_bytes(b"damaged")
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path("other").absolute()))
    netspec.build("tiny.net", backend="c")
    assert len(runs) == 2


def test_what_others_can_write_is_not_loaded(cache: Path, runs: list[Any]) -> None:
    netspec.build("tiny.net", backend="c")
    (kept,) = cache.iterdir()
    kept.chmod(0o666)
    netspec.build("tiny.net", backend="c")
    kept.chmod(0o600)
    cache.chmod(0o777)
    netspec.build("tiny.net", backend="c")
    assert len(runs) == 3


def test_a_cache_that_can_not_be_written_is_no_error(cache: Path, runs: list[Any]) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("a file, where a folder should be")
    netspec.build("tiny.net", backend="c")(np.ones((1, 3, 5, 6), np.float32))
    assert len(runs) == 1


def test_no_compiler(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(cache))
    with pytest.raises(SpecError, match="there is no C compiler: neither cc nor gcc nor clang"):
        netspec.build("tiny.net", backend="c")
    assert main(["verify", "tiny.net", "--backend", "numpy", "--backend", "c"]) == 1
    assert "install gcc or clang" in capsys.readouterr().err
    assert main(["compile", "tiny.net", "--backend", "c"]) == 0  # which needs none
    monkeypatch.setenv("CC", "nothing-such -m64")
    with pytest.raises(SpecError, match=r"\$CC is nothing-such"):
        netspec.build("tiny.net", backend="c")


def test_a_compiler_that_fails(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "false")
    with pytest.raises(SpecError, match="the C compiler .*false failed"):
        netspec.build("tiny.net", backend="c")
    assert not os.path.exists(cache)


def test_a_model_is_as_one_of_numpy(cache: Path) -> None:
    model, other = netspec.build("tiny.net", backend="c"), netspec.build("tiny.net")
    weights = fresh(netspec.load("tiny.net").ir.tensors, 3, varied=True)
    write(Path("w.npz"), weights)
    for one in (model, other):
        one.load("w.npz")
    assert model.weights.keys() == other.weights.keys()
    x = np.random.default_rng(0).standard_normal((3, 3, 5, 6), np.float32)
    np.testing.assert_allclose(model(x), other(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model(x[:, :, ::-1]), model(x[:, :, ::-1].copy()))
    assert model(x[:0]).shape == (0, 4)
    with pytest.raises(ValueError, match="data is N x 3 x 5 x 6, not 3 x 3 x 6 x 5"):
        model(x.swapaxes(2, 3))
    with pytest.raises(RuntimeError, match="differ in their weights"):
        model.weights = {}
    with pytest.raises(ValueError, match="1 to 64 threads"):
        model.threads = 65


def test_commands(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = pytest.importorskip("PIL.Image")
    image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4).save("x.png")
    results: list[Any] = []
    for backend in ("numpy", "c"):
        options = ["--backend", backend, "--format", "json"]
        assert main(["run", "squeezenet_digits", "x.png", *options]) == 0
        results.append(json.loads(capsys.readouterr().out)[0]["classes"])
    for ours, theirs in zip(*results, strict=True):
        assert ours["class"] == theirs["class"]
        assert abs(ours["score"] - theirs["score"]) < 1e-5
    assert main(["verify", "squeezenet_digits", "--backend", "numpy", "--backend", "c"]) == 0
    assert "numpy and c agree" in capsys.readouterr().out
    rng = np.random.default_rng(0)
    np.savez(
        "digits.npz",
        x=rng.integers(0, 256, (20, 8, 8), dtype=np.uint8),
        y=np.arange(20) % 10,
    )
    command = ["eval", "squeezenet_digits", "--data", "digits.npz", "--format", "json"]
    found = []
    for backend in ("numpy", "c"):
        assert main([*command, "--backend", backend]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[1]["confusion"] == found[0]["confusion"]
