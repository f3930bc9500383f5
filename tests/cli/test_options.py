"""What all commands take: `-o`, `--color`, `--quiet`; help, suggestions, completion."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.cli import terminal
from netspec.cli.main import COMMANDS, main, parser
from netspec.diagnostics import SpecError
from netspec.driver import bundled
from netspec.weights import fresh, write

from ..helpers import body

SOUND = body("c: conv { filters: 4 kernel: 1 }\n global_avgpool -> softmax", "3x8x8")
WARNED = body("a: conv { filters: 3 kernel: 1 }\nb: conv(data) { filters: 2 kernel: 1 }", "3x8x8")
WRONG = body("a: conv { filterz: 3 kernel: 1 }", "3x8x8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("sound.net").write_text(SOUND)
    return tmp_path


def usage(*arguments: str) -> int:
    """The status of a command that ends while it reads its arguments."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert isinstance(end.value.code, int)
    return end.value.code


def test_netspec_alone_shows_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    alone = capsys.readouterr().out
    assert usage("--help") == 0
    assert capsys.readouterr().out == alone
    assert all(f"    {command} " in alone for command in COMMANDS)


def test_version_in_short(capsys: pytest.CaptureFixture[str]) -> None:
    assert usage("-V") == 0
    assert capsys.readouterr().out.startswith(f"netspec {netspec.__version__}\n")


@pytest.mark.parametrize(
    ("command", "meant"),
    [
        ("chekc x", "check"),
        ("-q tabel x", "table"),
        ("table alexnet --colums params", "--columns"),
        ("table alexnet --formt=csv", "--format"),
        ("train alexnet --data d --qqqqqqqq 3", None),
        ("check alexnet --format jsn", "json"),
        ("graph alexnet --direction rigth", "right"),
        ("weights shwo x.npz", "show"),
        ("weights convert x.npz y.npz --sepc alexnet", "--spec"),
        ("check alexnet --color allways", "always"),
    ],
)
def test_what_was_meant(
    command: str, meant: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert usage(*command.split()) == 2
    errors = capsys.readouterr().err
    assert (f"did you mean `{meant}`?" in errors) if meant else ("did you mean" not in errors)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_defaults(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And it speaks of a prototxt where nothing else is meant, elsewhere in a line."""
    made = parser(command)
    shown = " ".join(made.format_help().split())
    for action in made._actions:
        some = action.default is not False and action.default not in (None, [], "==SUPPRESS==")
        if some and action.option_strings:
            assert f"(default: {action.default})" in shown, action.option_strings
    if "--phase" in shown:
        assert ("For a prototxt also" in shown) != (command == "convert")


# --- check ---------------------------------------------------------------------------------------


def test_strict(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("warned.net").write_text(WARNED)
    assert main(["check", "warned.net"]) == 0
    assert "warning[unused-layer]" in capsys.readouterr().err
    assert main(["check", "--strict", "warned.net"]) == 1
    assert main(["check", "--strict", "sound.net"]) == 0


def test_a_folder_is_checked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a/wrong.net", "a/b/warned.net", ".hidden/wrong.net", "a/other.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(WARNED if "warned" in name else WRONG)
    assert main(["check", ".", "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [Path(d["file"]).as_posix() for d in found] == ["a/wrong.net", "a/b/warned.net"]
    Path("empty").mkdir()
    assert main(["check", "empty"]) == 1
    assert "empty is a folder" in capsys.readouterr().err
    assert main(["table", "a"]) == 1
    assert "such as a/wrong.net" in capsys.readouterr().err


def test_sarif(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The members that the standard demands, and places as the text has them."""
    Path("a b.net").write_text("\n" + WRONG)
    Path("warned.net").write_text(WARNED)
    command = ["check", "a b.net", "warned.net", "nowhere.net", "--format", "sarif"]
    assert main(command) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["version"] == "2.1.0"
    (run,) = data["runs"]
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("netspec", netspec.__version__)
    rules = [rule["id"] for rule in driver["rules"]]
    found: dict[str, Any] = {result["ruleId"]: result for result in run["results"]}
    assert {"unknown-field", "unused-layer", "unreadable-file"} <= set(found)
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["message"]["text"]
        rule = driver["rules"][result["ruleIndex"]]
        assert rule["defaultConfiguration"]["level"] == result["level"]
    assert found["unused-layer"]["level"] == "warning"
    assert found["unknown-field"]["level"] == "error"
    assert "locations" not in found["unreadable-file"]
    place = found["unknown-field"]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "a%20b.net"}
    region = place["region"]
    text = Path("a b.net").read_text().splitlines()[region["startLine"] - 1]
    assert region["endLine"] == region["startLine"]
    assert text[region["startColumn"] - 1 : region["endColumn"] - 1] == "filterz"
    assert main(["check", "sound.net", "--format", "sarif"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["results"] == []


def test_names_of_files_do_not_move_the_cursor(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor do texts: what GitHub shows is a terminal, too."""
    name = "a\x1b[31m\u202eb.net"
    Path(name).write_text('net n { input x: 3x8x8\n expect "\x07\u202e" == 1 }', encoding="utf-8")
    for form in ("github", "text", "json", "sarif"):
        assert main(["check", name, "--format", form, "--color", "never"]) == 1
        done = capsys.readouterr()
        assert not {"\x1b", "\x07", "\u202e"} & set(done.out + done.err)


OPTIONS = ("-o", "--output", "--out")


# --- -o ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        "table sound.net",
        "table sound.net --format csv",
        "diff sound.net alexnet",
        "ir sound.net",
        "annotate sound.net",
        pytest.param("specs", marks=pytest.mark.slow),
        "specs alexnet",
        "ops conv",
        "explain shape-mismatch",
        "fmt --diff sound.net",
        "fmt -",
        "check sound.net --format json",
        "completion bash",
    ],
)
def test_what_is_printed_goes_to_a_file(
    command: str,
    folder: Path,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stdin() -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SOUND.encode())))

    stdin()
    main(command.split())
    shown = capsysbinary.readouterr().out
    assert shown
    for option in OPTIONS:
        stdin()
        assert main([*command.split(), option, f"made{option}.txt"]) == 0
        assert capsysbinary.readouterr().out == b""
        assert Path(f"made{option}.txt").read_bytes() == shown


@pytest.mark.parametrize(
    "command",
    [
        "compile sound.net",
        "convert small.prototxt",
        "graph sound.net",
        "sweep squeezenet_micro --set SR=0.5",
        "search squeezenet_micro --set SR=0.5 --minimize macs",
        "weights convert w.npz",
        "weights show w.npz",
        "fmt sound.net",
    ],
)
def test_other_outputs_have_the_same_names(command: str, folder: Path) -> None:
    Path("small.prototxt").write_text(
        'name: "small" input: "x" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }\n'
        'layer { name: "r" type: "ReLU" bottom: "x" top: "r" }\n'
    )
    write(Path("w.npz"), fresh(netspec.load("sound.net").tensors, 1))
    target = "made.svg" if command.startswith("graph") else "made.npz"
    before = {p: p.read_bytes() for p in folder.iterdir()}
    for option in OPTIONS:
        assert main([*command.split(), option, target]) == 0
        assert Path(target).stat().st_size
        Path(target).unlink()
    assert {p: p.read_bytes() for p in folder.iterdir()} == before


def test_a_wrong_input_leaves_the_output_as_it_was(folder: Path) -> None:
    Path("made.txt").write_text("mine")
    assert main(["table", "nothing.net", "-o", "made.txt"]) == 1
    assert main(["fmt", "sound.net", "sound.net", "-o", "made.txt"]) == 1
    assert main(["weights", "convert", "w.npz", "a.npz", "-o", "b.npz"]) == 1
    assert main(["annotate", "-w", "sound.net", "-o", "made.txt"]) == 1
    assert Path("made.txt").read_text() == "mine"


# --- colours, quiet ------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("option", "environment", "on_terminal", "elsewhere"),
    [
        ("auto", {}, True, False),
        ("auto", {"NO_COLOR": "1"}, False, False),
        ("auto", {"NO_COLOR": ""}, True, False),
        ("auto", {"FORCE_COLOR": "1"}, True, True),
        ("auto", {"FORCE_COLOR": "0"}, False, False),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
        ("auto", {"TERM": "dumb"}, False, False),
        ("auto", {"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
        ("always", {"NO_COLOR": "1", "TERM": "dumb"}, True, True),
        ("never", {"FORCE_COLOR": "1"}, False, False),
    ],
)
def test_when_there_are_colours(
    option: str,
    environment: dict[str, str],
    on_terminal: bool,
    elsewhere: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    terminal.ask(option, False)
    assert terminal.is_colored(Terminal()) is on_terminal
    assert terminal.is_colored(io.StringIO()) is elsewhere
    terminal.ask("auto", False)


@pytest.mark.parametrize("place", ["ahead", "behind"])
def test_colour_and_quiet_ahead_and_behind(
    place: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("wrong.net").write_text(WRONG)
    Path("warned.net").write_text(WARNED)

    def run(options: str, command: str) -> tuple[str, str]:
        words = f"{options} {command}" if place == "ahead" else f"{command} {options}"
        main(words.split())
        return capsys.readouterr()

    assert "\x1b[" in run("--color always", "check wrong.net")[1]
    assert "\x1b[" in run("--color=always", "explain syntax")[0]
    assert "\x1b[" not in run("--color never", "check wrong.net")[1]
    assert "warning" in run("", "table warned.net")[1]
    assert run("-q", "table warned.net")[1] == ""
    assert run("--quiet", "check warned.net") == ("", "")
    errors = run("-q", "check wrong.net")[1]
    assert "error[unknown-field]" in errors
    assert "For more" not in errors
    assert usage("-q") == 2


# --- completion ----------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="needs bash")
def test_bash_completes(tmp_path: Path) -> None:
    (tmp_path / "own.net").write_text(SOUND)
    script = subprocess.run(
        [sys.executable, "-m", "netspec", "completion", "bash"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    function = """
for line; do
  read -ra COMP_WORDS <<< "$line"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
  _shtab_netspec netspec "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
  echo "${COMPREPLY[*]}"
done
"""
    expected = {
        "netspec ch": "check",
        "netspec table --de": "--depth",
        "netspec table resnet1": " ".join(n for n in sorted(bundled()) if n.startswith("resnet1")),
        "netspec table ow": "own.net",
        "netspec check --format s": "sarif",
        "netspec explain shape-": "shape-mismatch",
        "netspec weights con": "convert",
        "netspec ops conv_": "conv_transpose",
    }
    done = subprocess.run(
        ["bash", "-c", script + function, "bash", *expected],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == list(expected.values())


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_know_the_same(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The words; that these shells take the script was tried with zsh 5.9 and fish 3.6."""
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in (*COMMANDS, *bundled(), "shape-mismatch", "conv_transpose", "sarif"):
        assert word in script
    assert ("compdef" in script) == (shell == "zsh")
    assert usage("completion", "tcsh") == 2


# --- run -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_folder_of_pictures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    write(Path("w.npz"), fresh(netspec.load("sound.net").tensors, 1))
    for name in ("p/b.png", "p/a.JPG", "p/in/c.bmp", "p/._a.png", "p/.hidden/d.png", "q.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 9, dtype=np.uint8)).save(name)
    Path("p/notes.txt").write_text("none")
    command = ["run", "sound.net", "p", "q.png", "--weights", "w.npz", "--format", "json"]
    assert main(command) == 0
    found = [Path(r["image"]).as_posix() for r in json.loads(capsys.readouterr().out)]
    assert found == ["p/a.JPG", "p/b.png", "p/in/c.bmp", "q.png"]
    whole = list(found)
    for form in ("jsonl", "csv"):
        command = ["run", "sound.net", "p/[ab].*", "q.png", "--weights", "w.npz", "--top", "1"]
        assert main([*command, "--format", form]) == 0
        lines = capsys.readouterr().out.splitlines()
        if form == "jsonl":
            found = [json.loads(line)["image"] for line in lines]
        else:
            assert lines[0] == "image,class,score,label"
            found = [line.partition(",")[0] for line in lines[1:]]
        assert [Path(path).as_posix() for path in found] == [whole[0], whole[1], whole[3]]
    assert main(["run", "sound.net", "p/*.none", "--weights", "w.npz"]) == 1
    assert "no picture matches p/*.none" in capsys.readouterr().err
    Path("empty").mkdir()
    assert main(["run", "sound.net", "empty", "--weights", "w.npz"]) == 1
    assert "empty has no pictures" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("width", [10_000, 14_500, 20_000])
def test_a_large_picture_is_an_error_or_nothing(width: int, folder: Path) -> None:
    """Pillow warns of 90 million pixels and more in Python's way, and has an error of its own."""
    size = width.to_bytes(4, "big") + (9_500).to_bytes(4, "big")
    header = b"IHDR" + size + bytes([1, 0, 0, 0, 0])
    chunk = b"\0\0\0\x0d" + header + zlib.crc32(header).to_bytes(4, "big")
    Path("large.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\x09IDAT\0")
    with warnings.catch_warnings(record=True) as seen, pytest.raises(SpecError) as error:
        netspec.classify("squeezenet_digits", "large.png")
    assert not seen
    reason = "truncated" if width == 10_000 else "more than 134,217,728 pixels"
    assert str(error.value).startswith("error[bad-image]: large.png can't be read as a picture: ")
    assert reason in str(error.value)


@pytest.mark.slow
def test_grey_pictures_of_16_bits_and_floats(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The digit in 16 bits is that in 8; floats of 0 to 1 and narrow pictures are refused."""
    from PIL import Image

    rng = np.random.default_rng(0)
    eight = rng.integers(0, 256, (28, 28))
    Image.fromarray(eight.astype(np.uint8)).save("8.png")
    Image.fromarray((eight * 257).astype(np.uint16)).save("16.png")
    Image.fromarray(eight.astype(np.float32)).save("float.tif")
    assert (
        main(["run", "squeezenet_digits", "8.png", "16.png", "float.tif", "--format", "json"]) == 0
    )
    scores = [r["classes"] for r in json.loads(capsys.readouterr().out)]
    for other in scores[1:]:
        for a, b in zip(scores[0], other, strict=True):
            assert a["class"] == b["class"]
            assert a["score"] == pytest.approx(b["score"], abs=1e-5)
    Image.fromarray((eight / 255).astype(np.float32)).save("unit.tif")
    assert main(["run", "squeezenet_digits", "unit.tif"]) == 1
    error = capsys.readouterr().err
    assert "error[bad-image]: unit.tif" in error
    assert "go from 0.0 to 1.0, where 0 to 255 is expected" in error
    Path("narrow.net").write_text(
        "net n { input data: 3x8x8 { resize: 256  crop: center }\n"
        " conv { filters: 2  kernel: 1 } -> global_avgpool }"
    )
    write(Path("narrow.npz"), fresh(netspec.load("narrow.net").tensors, 0))
    Image.fromarray(np.zeros((1, 5000), np.uint8)).save("narrow.png")
    assert main(["run", "narrow.net", "narrow.png", "--weights", "narrow.npz"]) == 1
    assert "more than 100 times as long as the other" in capsys.readouterr().err
