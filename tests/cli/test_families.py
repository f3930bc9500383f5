"""Files of several nets: what each command makes of them, and how one is named."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import netspec
from netspec.cli.main import main
from netspec.diagnostics import SpecError
from netspec.driver import bundled, check_each

FAMILY = """module head(n) {
  input x
  conv { filters: n  kernel: 1 } -> global_avgpool
}

## A small net.
net small(classes = 10, width = 8) {
  input data: 3x16x16
  c: conv { filters: width  kernel: 3 } -> relu
  h: head { n: classes }
  softmax
}

## A large net.
net large(classes = 10, depth = 2) {
  input data: 3x16x16
  for i in 1..depth {
    c[i]: conv { filters: 32  kernel: 3 } -> relu
  }
  h: head { n: classes }
  softmax
}
"""
SMALL = 8 * 28 + 10 * 9
LARGE = 32 * 28 + 32 * 289 + 10 * 33


@pytest.fixture
def family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "family.net").write_text(FAMILY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_check_looks_at_all_nets(family: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "family.net"]) == 0
    (family / "family.net").write_text(FAMILY.replace("(classes = 10, depth = 2)", "(depth = 2)"))
    assert main(["check", "family.net"]) == 1
    assert main(["check", "family.net:small"]) == 0
    (family / "family.net").write_text(FAMILY.replace("filters: 32", "filters: 0"))
    capsys.readouterr()
    assert main(["check", "family.net"]) == 1
    assert capsys.readouterr().err.count("error[out-of-range]") == 1
    assert main(["check", "family.net:small"]) == 0


def test_settings_are_for_the_nets_that_have_the_parameter(family: Path) -> None:
    nets = check_each("family.net", {"width": 3, "classes": 5}).sound()
    assert [n.params for n in nets] == [3 * 28 + 5 * 4, LARGE - 5 * 33]
    found = check_each("family.net", {"wdth": 3})
    assert [d.code for d in found.diagnostics] == ["unknown-parameter"] * 2
    with pytest.raises(SpecError, match="the net large has no parameter width"):
        netspec.load("family.net:large", width=3)


def test_a_net_is_named(family: Path) -> None:
    assert netspec.load("family.net:small").params == SMALL
    assert netspec.load("family.net:large").params == LARGE
    with pytest.raises(SpecError) as error:
        netspec.load("family.net")
    assert "`family.net:small`" in error.value.diagnostics[0].help[0]
    with pytest.raises(SpecError, match="has no net called smal") as error:
        netspec.load("family.net:smal")
    assert "`small`" in error.value.diagnostics[0].help[0]
    with pytest.raises(SpecError, match="can't be read"):
        netspec.load("other.net:small")
    (family / "odd:small").write_text("net odd { input x: 1x2x2  relu }")
    assert netspec.load("odd:small").name == "odd"  # a path that is there is one


@pytest.mark.parametrize(
    "command",
    [
        ["graph", "-o", "-"],
        ["annotate"],
        ["verify"],
        ["sweep", "--set", "classes=2,3"],
        ["search", "--set", "classes=2,3", "--minimize", "params"],
    ],
)
def test_commands_of_one_net(
    command: list[str], family: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *options = command
    assert main([name, "family.net:large", *options]) == 0
    capsys.readouterr()
    assert main([name, "family.net", *options]) == 1
    assert "as in `family.net:small`; there are `small`, `large`" in capsys.readouterr().err


def test_results_of_a_sweep_are_one_net_s(family: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--set", "classes=2,3", "-o", "kept.jsonl", "--format", "jsonl"]
    assert main(["sweep", "family.net:small", *common]) == 0
    capsys.readouterr()
    assert main(["sweep", "family.net:large", *common]) == 1
    assert "can't be continued" in capsys.readouterr().err


def test_tables_and_programs_of_all_nets(family: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "family.net", "--depth", "0"]) == 0
    out = capsys.readouterr().out
    assert f"{SMALL:,}" in out
    assert f"{LARGE:,}" in out
    assert main(["table", "family.net", "--format", "json"]) == 0
    assert [n["net"] for n in json.loads(capsys.readouterr().out)] == ["small", "large"]
    assert main(["ir", "family.net"]) == 0
    out = capsys.readouterr().out
    assert "net small(" in out
    assert "net large(" in out
    assert main(["diff", "family.net:small", "family.net:large"]) in (0, 1)


@pytest.mark.slow
def test_compile_writes_one_file_with_the_classes_of_modules_once(family: Path) -> None:
    assert main(["compile", "family.net"]) == 0
    source = (family / "family.py").read_text()
    assert re.findall(r"^class (\w+)", source, re.MULTILINE) == [
        "Network",
        "Head",
        "Small",
        "Large",
    ]
    ran = subprocess.run([sys.executable, "family.py"], cwd=family, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    check = "import family; print(*(sum(p.numel() for p in m().parameters()) for m in (M)))"
    for name, count in (("Small", SMALL), ("Large", LARGE)):
        code = check.replace("(M)", f"[family.{name}]")
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=family, capture_output=True, text=True
        )
        assert done.stdout.strip() == str(count), done.stderr
    assert main(["compile", "family.net:small"]) == 0
    assert "class Large" not in (family / "small.py").read_text()


@pytest.mark.slow
def test_the_numpy_file_of_a_family(family: Path) -> None:
    assert main(["compile", "family.net", "--backend", "numpy", "-o", "both.py"]) == 0
    assert main(["compile", "family.net", "-o", "family_torch.py"]) == 0
    source = (family / "both.py").read_text()
    assert len(re.findall(r"^def head\(", source, re.MULTILINE)) == 1
    assert source.count("def __call__(self, data: Array)") == 2
    for name in ("Small", "Large"):
        code = (
            "import numpy as np, both, family_torch, torch\n"
            f"a, b = both.{name}(seed=1), family_torch.{name}().eval()\n"
            "b.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in a.weights.items()})\n"
            "x = np.random.default_rng(0).random((2, 3, 16, 16), dtype=np.float32)\n"
            "y = b.predict(torch.from_numpy(x)).detach().numpy()\n"
            "np.testing.assert_allclose(a(x), y, rtol=1e-4, atol=1e-6)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=family, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


PARTIAL = 'lint.flake8-bugbear.extend-immutable-calls = ["functools.partial"]'
"""A default of an argument may be a class with arguments of its own, which nothing changes."""


@pytest.mark.slow
def test_emitted_families_are_tidy_and_typed(family: Path) -> None:
    for spec in ("family.net", "resnet"):
        assert main(["compile", spec, "-o", f"{Path(spec).stem}.py"]) == 0
    assert main(["compile", "resnet", "--backend", "numpy", "-o", "numpy_resnet.py"]) == 0
    files = ["family.py", "resnet.py", "numpy_resnet.py"]
    options = ["--isolated", "--line-length", "100", *files]
    for command in (
        ["ruff", "check", "--select", "E,W,F,I,B,UP", "--config", PARTIAL, *options],
        ["ruff", "format", "--diff", *options],
        ["mypy", "--strict", "--no-incremental", "--cache-dir=/dev/null", *files],
    ):
        ran = subprocess.run(
            [sys.executable, "-m", *command], cwd=family, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_two_nets_of_a_name(family: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (family / "family.net").write_text(FAMILY.replace("net large", "net small"))
    assert main(["check", "family.net"]) == 1
    assert "there are two nets called small" in capsys.readouterr().err


def test_the_resnets_are_one_file() -> None:
    names = [f"resnet{n}" for n in (18, 34, 50, 101, 152)]
    assert {bundled()[name].name for name in names} == {"resnet.net"}
    assert [n.name for n in check_each("resnet", {}).sound()][: len(names)] == names
    assert netspec.load("resnet:resnet34").params == netspec.load("resnet34").params == 21_797_672
