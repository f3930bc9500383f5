"""Interrupts, broken streams, pipes, and outputs that lead to inputs."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.cli.main import main
from netspec.util.interrupt import on_interrupt
from netspec.weights import fresh, write

from ..helpers import body

pytestmark = pytest.mark.slow

SPEC = body("c: conv { filters: 4 kernel: 1 }\n global_avgpool -> softmax", "3x8x8")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")


# --- Ctrl-C --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ("check", "resnet18"),
        ("verify", "squeezenet_digits"),
        ("compile", "resnet18", "--backend", "numpy", "-o", "made.py"),
        ("sweep", "squeezenet_micro", "--set", "SR=0.1..0.5:0.01", "--jobs", "2"),
    ],
    ids=lambda command: command[0],
)
def test_ctrl_c_at_any_time(command: tuple[str, ...], tmp_path: Path) -> None:
    """Also while modules are imported, which takes most of the time of some commands."""
    whole = [sys.executable, "-m", "netspec", *command]
    start = time.monotonic()
    subprocess.run(whole, cwd=tmp_path, capture_output=True, check=True)
    # Python's own start, which nothing can be said about, takes about 10 ms.
    least, most = 0.04, min(time.monotonic() - start, 2)
    moments = random.Random(command[0])
    before = {p.name for p in tmp_path.iterdir()}
    statuses = []
    for _ in range(3):
        with subprocess.Popen(
            whole,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as process:
            time.sleep(moments.uniform(least, most))
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        statuses.append(process.returncode)
        # It may have ended just before.
        assert process.returncode in (130, 0)
        assert "Traceback" not in errors
        assert "error" not in errors
    assert 130 in statuses
    assert {p.name for p in tmp_path.iterdir()} == before  # nothing half written


def test_what_is_to_be_done_at_an_interrupt() -> None:
    code = """
import os, signal
from netspec.util import interrupt
signal.signal(signal.SIGINT, signal.SIG_DFL)
interrupt.install()
with interrupt.on_interrupt(lambda: print("outer", flush=True)):
    with interrupt.on_interrupt(lambda: print("over", flush=True)):
        pass
    with interrupt.on_interrupt(lambda: print("inner", flush=True)):
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except BaseException:
            print("an exception")
        finally:
            print("not reached")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "inner\nouter\n", "")


def test_an_exception_is_an_interrupt_where_netspec_is_a_library() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt), on_interrupt(lambda: pytest.fail("is not called")):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


# --- streams -------------------------------------------------------------------------------------


def shell(command: str, *arguments: object, **options: str) -> subprocess.CompletedProcess[str]:
    """A command of the shell, `$N` netspec in it."""
    environment = {**os.environ, "N": f"{sys.executable} -m netspec", **options}
    return subprocess.run(
        ["bash", "-c", command, "bash", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


@POSIX
@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("$N check - <&-", 1, "standard input can't be read"),
        ("$N check squeezenet_digits <&-", 0, ""),
        ("$N check squeezenet_digits >&-", 0, ""),
        ("$N table squeezenet_digits >&-", 1, "the output can't be written"),
        ("$N compile squeezenet_digits -o - >&-", 1, "the output can't be written"),
        ("$N --help >&-", 1, "the output can't be written"),
        ("$N check squeezenet_digits --set a=1 2>&-", 1, ""),
        ("$N check squeezenet_digits <&- >&- 2>&-", 0, ""),
        ("$N check squeezenet_digits --set a=1 2>/dev/full", 1, ""),
        ("set -o pipefail; $N check squeezenet_digits --set a=1 2> >(true)", 1, ""),
        ("set -o pipefail; $N table squeezenet_digits | true", 0, ""),
    ],
)
def test_streams_that_are_closed_or_break(command: str, status: int, said: str) -> None:
    done = shell(command)
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert (done.stderr == "") == (said == "")


@POSIX
def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    """Its descriptor would be that of standard error, and errors would go into it."""
    target = tmp_path / "made.py"
    done = shell("$N compile squeezenet_digits --backend numpy -o $1 >&- 2>&-", target)
    assert done.returncode == 0
    compile(target.read_text(encoding="utf-8"), "made.py", "exec")


@POSIX
def test_ascii_output(tmp_path: Path) -> None:
    """Files are UTF-8 whatever the terminal's encoding is; what is shown is escaped."""
    spec = tmp_path / "n.net"
    spec.write_text("## Tiefe, größer.\n" + SPEC, encoding="utf-8")
    target = tmp_path / "n.py"
    assert shell("$N compile $1 -o $2", spec, target).returncode == 0
    done = shell("$N compile $1 -o -", spec, PYTHONIOENCODING="ascii")
    assert done.stdout == target.read_text(encoding="utf-8")
    assert "größer" in done.stdout
    (tmp_path / "ä.net").write_text("net", encoding="utf-8")
    done = shell("$N fmt --check $1/ä.net; $N check $1/ä.net", tmp_path, PYTHONIOENCODING="ascii")
    assert "\\xe4.net:1:" in done.stderr


@POSIX
def test_a_pipe_without_a_writer(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.net"
    os.mkfifo(pipe)
    for command in (["check", str(pipe)], ["table", str(pipe)], ["fmt", str(pipe)]):
        assert main(command) == 1
    spec, pictures = tmp_path / "n.net", tmp_path / "w.npz"
    spec.write_text(SPEC)
    write(pictures, fresh(netspec.load(spec).tensors, 1))
    assert main(["run", str(spec), str(pipe), "--weights", str(pictures)]) == 1
    assert main(["sweep", "squeezenet_micro", "--set", "SR=0.1", "-o", str(pipe)]) == 1


@POSIX
def test_a_pipe_with_a_writer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "pipe.net"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text("#" * 100_000 + "\n" + SPEC))
    writer.start()
    while True:  # until the writer waits for a reader
        if main(["table", str(pipe), "--format", "json"]) == 0:
            break
    writer.join()
    assert json.loads(capsys.readouterr().out)["total"]["params"] == 16
    # What bash makes of `<(...)`.
    assert shell("$N check <(sleep 0.2; cat $1)", shutil.copy(__file__, tmp_path)).returncode == 1


# --- outputs that are inputs ---------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A net with an import and weights; `link` and `hard` lead to the net."""
    monkeypatch.chdir(tmp_path)
    Path("part.net").write_text("module part { input x\n conv { filters: 4 kernel: 1 } }\n")
    Path("own.net").write_text(
        'import "part.net"\nnet own(width = 4) { input data: 3x8x8\n conv { filters: width kernel: 1 }\n part\n global_avgpool -> softmax }\n'
    )
    Path("link").symlink_to("own.net")
    os.link("own.net", "hard")
    Path("small.prototxt").write_text(
        'name: "small" input: "x" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }\n'
        'layer { name: "r" type: "ReLU" bottom: "x" top: "r" }\n'
    )
    weights = fresh(netspec.load("own.net").tensors, 1)
    write(Path("w.npz"), weights)
    write(Path("last.safetensors"), weights)
    np.savez("data.npz", x=np.zeros((4, 8, 8, 3), np.uint8), y=np.arange(4))
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        "graph own.net -o own.net --format svg",
        "graph own.net -o link --format svg",
        "graph link -o hard --format dot",
        "graph own.net -o part.net --format html",
        "compile own.net -o link",
        "compile own.net --out hard",
        "table own.net -o own.net",
        "annotate own.net --output part.net",
        "fmt own.net -o hard",
        "check own.net -o own.net",
        "sweep own.net --set width=1 -o link",
        "convert small.prototxt -o small.prototxt",
        "weights convert w.npz w.npz --spec own.net",
        "weights convert w.npz w.npz",
        "weights show w.npz -o w.npz",
        "verify own.net --weights w.npz -o w.npz",
        "train own.net --data data.npz --weights last.safetensors -o . --train learning_rate=0.1 "
        "--train batch_size=2 --train epochs=1",
    ],
)
def test_no_command_writes_over_its_input(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {p: p.read_bytes() for p in folder.iterdir()}
    assert main(command.split()) == 1
    assert "is an input of this command" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in folder.iterdir()} == before


def test_standard_input_is_an_input(folder: Path) -> None:
    text = Path("own.net").read_text()
    with open("own.net") as file:
        done = subprocess.run(
            [sys.executable, "-m", "netspec", "graph", "-", "--format", "svg", "-o", "link"],
            stdin=file,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "is an input of this command" in done.stderr
    assert Path("own.net").read_text() == text


def test_commands_that_change_a_file_do_so(folder: Path) -> None:
    assert main(["fmt", "own.net"]) == 0
    assert "net own(width = 4) {\n" in Path("own.net").read_text()
    assert main(["annotate", "-w", "link"]) == 0
    assert "#: 4x8x8" in Path("own.net").read_text()
    assert Path("link").is_symlink()
