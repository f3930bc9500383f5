"""The top of emitted files: the version of netspec, the spec, and what was set."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import netspec
from netspec.cli.main import main
from netspec.codegen.backend import emit_family, get
from netspec.codegen.header import compiled_from
from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source
from netspec.driver import build, check, check_each, prepare
from netspec.semantic.settings import SettingText, constants_of

SPEC = """
net first(classes = 10, width = 0.5, kind = "relu", coding = "x") {
  input data: 3x8x8
  conv { filters: round(8 * width)  kernel: 3 }
  if kind == "relu" { relu }
  global_avgpool -> linear { units: classes }
  if coding == "y" { softmax }
}
net second(classes = 10, depth = 1) {
  input data: 3x8x8
  for i in 1..depth { conv { filters: classes  kernel: 1 } }
}
"""
VERSION = f"Compiled by netspec {netspec.__version__} from"


def header(source: str) -> str:
    """The sentence of a file of either backend, on one line."""
    comment = [line[2:] for line in source.splitlines() if line.startswith("# ")]
    text = " ".join(comment) if source.startswith("# ") else ast.get_docstring(ast.parse(source))
    assert text is not None
    return " ".join(text[text.index("Compiled by") :].split())


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "some.net"
    path.write_text(SPEC)
    return f"{path}:first"


@pytest.mark.parametrize("backend", ["torch", "numpy"])
def test_what_was_set(
    spec: str, backend: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    end = ": change the spec, not this file."
    plain = netspec.compile(netspec.load(spec), backend)
    assert header(plain) == f"{VERSION} some.net{end}"
    wanted = f"{VERSION} some.net with width=0.25, classes=3{end}"
    assert header(netspec.compile(netspec.load(spec, width=0.25, classes=3), backend)) == wanted
    settings = ["--set", "width=0.25", "--set", "classes=3"]
    assert main(["compile", spec, "--backend", backend, "-o", "-", *settings]) == 0
    assert header(capsys.readouterr().out) == wanted


def test_of_several_nets(spec: str) -> None:
    """A setting stands once, whichever net has it."""
    nets = check_each(spec.removesuffix(":first"), {"depth": 2, "classes": 4}).sound()
    assert [n.settings for n in nets] == [{"classes": "4"}, {"depth": "2", "classes": "4"}]
    assert f"{VERSION} some.net with classes=4, depth=2:" in header(emit_family(nets, get("torch")))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "numpy"])
@pytest.mark.parametrize(
    "value",
    [
        "a\nimport os",
        'x"""\nimport os\n"""',
        "\\",
        "utf-7",
        ":utf-7",
        "z" * 1000,
        "é\u2028x\rimport os",
    ],
)
def test_values_stay_in_the_header(spec: str, backend: str, value: str) -> None:
    """Nothing of them becomes code, nor the encoding of the file."""
    source = netspec.compile(netspec.load(spec, coding=value, kind="coding"), backend)
    plain = netspec.compile(netspec.load(spec, coding="a", kind="coding"), backend)
    assert all(len(line) <= 100 for line in source[: source.index("import")].splitlines())
    parsed, other = (ast.parse(text.encode()) for text in (source, plain))
    assert [type(node) for node in parsed.body] == [type(node) for node in other.body]


@pytest.mark.parametrize("name", ["coding", "x coding=latin9.net", '"""', "l" * 200 + ".net"])
def test_names_of_files_stay_in_the_header(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("net n { input data: 3x8x8\n relu }")
    for backend in ("torch", "numpy"):
        source = netspec.compile(netspec.load(path), backend)
        ast.parse(source.encode())
        assert all(len(line) <= 100 for line in source[: source.index("import")].splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "numpy"])
def test_compile_replaces_what_it_wrote(
    spec: str, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of this version and of older ones, whose headers had no version, and no others."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "first.py"
    command = ["compile", spec, "--backend", backend]
    assert main(command) == 0
    written = file.read_text()
    assert main([*command, "--set", "classes=3"]) == 0
    assert "classes=3" in file.read_text()
    file.write_text("# Compiled by netspec from first.net: change the spec, not this file.\n")
    assert main(command) == 0
    assert file.read_text() == written
    file.write_text("# Compiled by hand from some.net\n")
    assert main(command) == 1
    assert file.read_text() == "# Compiled by hand from some.net\n"


def test_nets_of_sweeps_say_what_was_set(tmp_path: Path) -> None:
    """A net that is built for a point of a sweep has the header of one that `--set` gives."""
    given = {"classes": SettingText("5"), "width": SettingText("0.25"), "kind": SettingText("none")}
    prepared = prepare(Source("spec.net", SPEC), tmp_path, net="first")
    swept = build(prepared, constants_of(given, Diagnostics())).sound()
    wanted = check(Source("spec.net", SPEC), tmp_path, given, net="first").sound()
    assert compiled_from([swept]) == compiled_from([wanted])
    assert "with classes=5, width=0.25, kind=none" in compiled_from([swept])
