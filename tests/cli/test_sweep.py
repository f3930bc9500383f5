"""netspec sweep and search: design spaces, results in files, pictures."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspec.cli.main import main
from netspec.diagnostics import SpecError
from netspec.driver import PreparedNet
from netspec.explore import sweep
from netspec.explore.objective import Formula
from netspec.explore.search_space import Point, parse_space
from netspec.ir.liveness import peak_activations

from ..helpers import loaded

pytestmark = pytest.mark.slow

NET = """
import "part.net"
net small(width = 4, layers = 1, big = true, sizes = [1, 3]) {
  input data: 3x16x16
  for k in sizes { part { f: width  k: k } }
  for i in 1..layers { conv { filters: width  kernel: 3  pad: 1 } }
  if big { flatten } else { global_avgpool }
  linear { units: 10 }
}
"""
PART = "module part(f, k) { input x\n conv { filters: f  kernel: k  pad: k // 2 } -> relu }\n"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    (tmp_path / "part.net").write_text(PART)
    (tmp_path / "small.net").write_text(NET)
    return tmp_path / "small.net"


def run(capsys: pytest.CaptureFixture[str], *arguments: object, status: int = 0) -> str:
    assert main([str(a) for a in arguments]) == status
    return capsys.readouterr().out


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# --- spaces --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1", [1]),
        ("1,2, 4", [1, 2, 4]),
        ("2..5", [2, 3, 4, 5]),
        ("1..6:2,10", [1, 3, 5, 10]),
        ("0.1..0.5:0.2", [0.1, 0.3, 0.5]),
        ("10%..30%:10%", [0.1, 0.2, 0.3]),
        ("-2..0", [-2, -1, 0]),
        ("0.5..2", [0.5, 1.5]),
        ("true,false,none", [True, False, None]),
        ("[1,2],[3]", [[1, 2], [3]]),
        ('"a,b",word', ["a,b", "word"]),
        ("1M..3M:1M", [1_000_000, 2_000_000, 3_000_000]),
        ("3x3,5x5", [[3, 3], [5, 5]]),
        ("1,1,50%,0.5", [1, 0.5]),
    ],
)
def test_values_of_a_parameter(text: str, values: list[Any]) -> None:
    (axis,) = parse_space([("p", text)]).axes
    assert list(axis.values) == values
    assert [type(v) for v in axis.values] == [type(v) for v in values]


@pytest.mark.parametrize(
    "text", ["", "1..", "5..1", "a..b", "1..9:0", "1..9:-1", "0..1:0.00001", "1,,2", "(1"]
)
def test_what_is_no_values(text: str) -> None:
    with pytest.raises(SpecError):
        parse_space([("p", text)])


@given(st.fractions(-5, 5, max_denominator=40), st.fractions(1, 6, max_denominator=40))
def test_a_range_holds_both_ends_exactly(first: Fraction, step: Fraction) -> None:
    last = first + 4 * step
    text = f"({first})..({last}):({step})"
    (axis,) = parse_space([("p", text)]).axes
    assert [c.value for c in axis.constants] == [first + i * step for i in range(5)]


def test_points_and_samples() -> None:
    space = parse_space([("a", "1..4"), ("b", "x,y"), ("c", "7")])
    assert space.size == 8
    points = [p.settings for p in space]
    assert points[:2] == [{"a": 1, "b": "x", "c": 7}, {"a": 1, "b": "y", "c": 7}]
    assert [a.name for a in space.varied] == ["a", "b"]
    some = [p.settings for p in space.sample(5, seed=1)]
    assert some == [p for p in points if p in some]
    assert len(some) == 5
    assert [p.settings for p in space.sample(5, seed=2)] != some
    assert [p.settings for p in space.sample(100, seed=1)] == points
    assert [p.settings for p in space.sample(7, seed=1)][:1] in (points[:1], points[1:2])
    vast = parse_space([(f"p{i}", "1..9999") for i in range(20)])
    assert len(vast.sample(10, seed=3)) == 10


# --- results -------------------------------------------------------------------------------------


def test_results_are_those_of_single_nets(small: Path) -> None:
    space = parse_space([("width", "2,4"), ("layers", "0..1"), ("big", "true,false")])
    spec = sweep.spec(str(small))
    found = sweep.run(sweep.prepared(spec, space), jobs=1)
    for result in found:
        net = loaded(small, **result["settings"])
        assert result["params"] == net.params
        assert result["macs"] == net.macs
        assert result["size"] == 4 * net.params
        assert result["activations"] == 4 * peak_activations(net.body)


def test_processes_change_nothing(small: Path) -> None:
    space = parse_space([("width", "1..20"), ("big", "true,false")])
    swept = sweep.prepared(sweep.spec(str(small)), space)
    assert sweep.run(swept, jobs=2) == sweep.run(swept, jobs=1)


FIGURE_3 = {
    (0.125, 0.5): 4.8,
    (0.25, 0.5): 7.6,
    (0.5, 0.5): 13,
    (0.75, 0.5): 19,
    (1, 0.5): 24,
    (0.5, 0.01): 5.7,
    (0.5, 0.125): 7.4,
    (0.5, 0.25): 9.3,
    (0.5, 0.99): 21,
}


def test_figure_3_of_the_paper(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Its sizes within 4%; its MB are 2^20 bytes."""
    text = run(
        capsys,
        *("sweep", "squeezenet_micro", "--set", "SR=0.125,0.25,0.5,0.75,1.0"),
        *("--set", "pct3x3=1%,12.5%,25%,50%,75%,99%", "--format", "jsonl"),
        *("--plot", tmp_path / "out.svg"),
    )
    found = {(r["settings"]["SR"], r["settings"]["pct3x3"]): r for r in lines(text)}
    assert len(found) == 30
    for point, megabytes in FIGURE_3.items():
        assert found[point]["size"] / 2**20 == pytest.approx(megabytes, rel=0.04)
    picture = ET.parse(tmp_path / "out.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"


def test_formats(capsys: pytest.CaptureFixture[str], small: Path) -> None:
    common = ("sweep", small, "--set", "width=2,4", "--set", "sizes=[1],[3,5]")
    table = run(capsys, *common)
    assert table.startswith("small   4 combinations of width, sizes\n\nwidth  sizes  params")
    assert "  [3,5]  " in table
    found = list(csv.DictReader(io.StringIO(run(capsys, *common, "--format", "csv"))))
    assert [(r["width"], r["sizes"]) for r in found] == [
        *(("2", "[1]"), ("2", "[3,5]"), ("4", "[1]"), ("4", "[3,5]"))
    ]
    sizes = [int(r["size"]) for r in found]
    assert all(n == 4 * int(r["params"]) for n, r in zip(sizes, found, strict=True))
    for form in ("markdown", "latex", "html"):
        assert found[0]["params"] in run(capsys, *common, "--format", form).replace(",", "")
    by_size = csv.DictReader(io.StringIO(run(capsys, *common, "--format", "csv", "--sort", "size")))
    assert [int(r["size"]) for r in by_size] == sorted(sizes, reverse=True)


def test_points_that_are_no_nets(capsys: pytest.CaptureFixture[str], small: Path) -> None:
    text = run(capsys, "sweep", small, "--set", "width=0,2", "--set", "layers=1..2")
    assert "width=0, layers=1 is no net: " in text
    assert text.count("out-of-range") == 2
    assert run(capsys, "sweep", small, "--set", "width=0,-1", status=1)
    found = lines(run(capsys, "sweep", small, "--set", "width=0,2", "--format", "jsonl"))
    assert ["error" in r for r in found] == [True, False]


def test_a_file_of_results_is_continued(
    capsys: pytest.CaptureFixture[str], small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "results.jsonl"
    common = ("sweep", small, "-o", kept, "--format", "csv", "--set")
    run(capsys, *common, "width=1..3")
    first = kept.read_text()
    assert [r["settings"] for r in lines(first)] == [{"width": i} for i in (1, 2, 3)]
    made: list[Any] = []
    original = sweep.result

    def counted(program: PreparedNet, fingerprint: str, point: Point) -> sweep.Result:
        made.append(point)
        return original(program, fingerprint, point)

    monkeypatch.setattr(sweep, "result", counted)
    # Cut off in the middle of a line, as a killed run leaves it.
    kept.write_text(first[: first.rindex("params")])
    table = run(capsys, *common, "width=1..5")
    assert [p.settings["width"] for p in made] == [3, 4, 5]
    assert table.count("\n") == 6
    assert [r["settings"]["width"] for r in lines(kept.read_text())] == [1, 2, 3, 4, 5]
    monkeypatch.undo()
    # The same net with another line somewhere, even in an import, is another.
    (small.parent / "part.net").write_text("# more\n" + PART)
    before = kept.read_text()
    assert main(["sweep", str(small), "-o", str(kept), "--set", "width=1..3"]) == 1
    assert "of another spec" in capsys.readouterr().err
    assert kept.read_text() == before


@pytest.mark.parametrize("text", ["nonsense\nmore\n", '{"a": 1}\n\n', "[1]\n1\n"])
def test_what_is_no_file_of_results_stays_as_it_is(
    capsys: pytest.CaptureFixture[str], small: Path, tmp_path: Path, text: str
) -> None:
    other = tmp_path / "notes.txt"
    other.write_text(text)
    assert main(["sweep", str(small), "-o", str(other), "--set", "width=1..3"]) == 1
    assert "is no result of a sweep" in capsys.readouterr().err
    assert other.read_text() == text


PROTOTXT = """
name: "read"
input: "data" input_shape { dim: 1 dim: 3 dim: 32 dim: 32 }
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
        convolution_param { num_output: 8 kernel_size: 3 } }
layer { name: "train" type: "InnerProduct" bottom: "c" top: "i" include { phase: TRAIN }
        inner_product_param { num_output: 7 bias_term: false } }
layer { name: "test" type: "InnerProduct" bottom: "c" top: "i" include { phase: TEST }
        inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "i" top: "prob" }
"""


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("options", [(), ("--input", "3x16x16"), ("--phase", "TRAIN")])
def test_a_prototxt_is_read_as_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, options: tuple[str, ...], jobs: int
) -> None:
    spec = tmp_path / "read.prototxt"
    spec.write_text(PROTOTXT)
    ranges = ("--set", "classes=5..20", "--format", "jsonl", "--jobs", jobs)
    found = lines(run(capsys, "sweep", spec, *options, *ranges))
    assert len(found) == 16
    for r in found:
        classes = str(r["settings"]["classes"])
        assert (
            main(["table", str(spec), *options, "--set", f"classes={classes}", "--format", "json"])
            == 0
        )
        total = json.loads(capsys.readouterr().out)["total"]
        assert (r["params"], r["macs"]) == (total["params"], total["macs"])


def test_other_readings_of_a_prototxt_are_other_specs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    spec, kept = tmp_path / "read.prototxt", tmp_path / "kept.jsonl"
    spec.write_text(PROTOTXT)
    command = ["sweep", str(spec), "--set", "classes=5,6", "-o", str(kept)]
    assert main([*command, "--input", "3x16x16"]) == 0
    assert main([*command, "--input", "3x16x16"]) == 0
    capsys.readouterr()
    assert main(command) == 1
    assert "of another spec" in capsys.readouterr().err
    for arguments in (
        ("sweep", "squeezenet1_0", "--set", "classes=1,2", "--input", "3x32x32"),
        ("sweep", "squeezenet1_0", "--set", "classes=1,2", "--phase", "TRAIN"),
        ("table", "squeezenet1_0", "--input", "data=3x32x32"),
    ):
        assert main([*arguments]) == 1
        error = capsys.readouterr().err
        assert "is for a prototxt" in error
        assert "and squeezenet1_0.net is none" in error


def test_errors(capsys: pytest.CaptureFixture[str], small: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (("--set", "widht=1,2"), "did you mean `width`?"),
        ((), "nothing to vary"),
        (("--set", "width=1..2000", "--set", "layers=1..2000"), "--sample 100000"),
        (("--set", "width=1,2", "--sort", "length"), "--sort takes one of params"),
        (("--set", "width=1", "-o", tmp_path / "no" / "x"), "unwritable-file"),
    ):
        assert main(["sweep", str(small), *map(str, arguments)]) == 1
        assert message in capsys.readouterr().err
    small.write_text("net n { input data: 1x1x1\n rleu }")
    assert main(["sweep", str(small), "--set", "width=1,2"]) == 1
    assert "unknown-op" in capsys.readouterr().err


def test_standard_input_and_processes() -> None:
    command = [sys.executable, "-m", "netspec", "sweep", "-", "--set", "f=1..40", "--jobs", "2"]
    text = "net n(f = 1) { input data: 3x4x4\n conv { filters: f kernel: 1 } }"
    done = subprocess.run(
        [*command, "--format", "csv"], input=text, capture_output=True, text=True, check=True
    )
    assert [int(r["params"]) for r in csv.DictReader(io.StringIO(done.stdout))] == [
        4 * f for f in range(1, 41)
    ]
    assert done.stderr == ""  # a bar only where someone watches


def alive(pid: int) -> bool:
    """Whether a process runs, and is not just waiting to be noticed as dead."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux")
def test_a_killed_sweep_leaves_no_process_and_goes_on_where_it_was(
    small: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.jsonl"
    ranges = ["--set", "width=1..40", "--set", "layers=1..40"]
    command = [sys.executable, "-m", "netspec", "sweep", str(small), *ranges]
    command += ["-o", str(kept), "--jobs", "2", "--format", "csv"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as run:
        end = time.monotonic() + 60
        while not (kept.exists() and kept.stat().st_size) and time.monotonic() < end:
            time.sleep(0.01)
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        run.kill()
    assert len(children) == 2
    while any(alive(int(pid)) for pid in children) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(alive(int(pid)) for pid in children)
    space = kept.read_text().rpartition("\n")[0]
    before = len(space.splitlines())
    assert 0 < before < 1600
    kept.write_text(space + '\n{"net": "small", "sett')
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 1601
    found = lines(kept.read_text())
    assert len(found) == len({sweep.key(r["settings"]) for r in found}) == 1600
    assert kept.read_text().startswith(space)


def test_a_picture_that_can_not_be_is_refused_at_once(
    capsys: pytest.CaptureFixture[str], small: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.jsonl"
    for plot, message in (
        ("out.png", "should end with .svg"),
        ("no/out.svg", "there is no folder"),
    ):
        command = ["sweep", str(small), "--set", "width=1,2", "-o", str(kept)]
        assert main([*command, "--plot", str(tmp_path / plot)]) == 1
        assert message in capsys.readouterr().err
        assert not kept.exists()


# --- the Pareto front ------------------------------------------------------------

NUMBERS = st.integers(0, 12)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=12))
def test_the_front_by_its_definition(pairs: list[tuple[int, int]]) -> None:
    found = [{"params": p, "macs": m} for p, m in pairs]
    best = [(r["params"], r["macs"]) for r in sweep.front(found)]
    undominated = {
        a for a in pairs if not any(b != a and b[0] <= a[0] and b[1] <= a[1] for b in pairs)
    }
    assert sorted(best) == sorted(undominated)


# --- search --------------------------------------------------------------------------------------


def test_search_finds_what_brute_force_finds(
    capsys: pytest.CaptureFixture[str], small: Path
) -> None:
    ranges = ("--set", "width=2..8", "--set", "layers=1..3", "--set", "big=true,false")
    everything = lines(run(capsys, "sweep", small, *ranges, "--format", "jsonl"))
    found = lines(
        run(
            capsys,
            *("search", small, *ranges, "--maximize", "params", "--top", 3, "--format", "jsonl"),
            *("--where", "macs <= 0.1M and width % 2 == 0", "--where", "not big"),
        )
    )
    fit = [
        r
        for r in everything
        if r["macs"] <= 100_000 and r["settings"]["width"] % 2 == 0 and not r["settings"]["big"]
    ]
    fit.sort(key=lambda r: r["params"], reverse=True)
    assert [r["params"] for r in found] == [r["params"] for r in fit[:3]]
    assert len(found) == 3
    weighed = run(capsys, "search", small, *ranges, "--minimize", "macs + 1000 * params")
    smallest = min(everything, key=lambda r: r["macs"] + 1000 * r["params"])
    assert f"{smallest['params']:,}" in weighed.splitlines()[3]
    assert f"best of {len(everything)} that meet every condition" in weighed


def test_search_in_the_papers_space(capsys: pytest.CaptureFixture[str]) -> None:
    found = lines(
        run(
            capsys,
            *("search", "squeezenet_micro", "--set", "SR=0.125,0.25,0.5", "--set", "pct3x3=1%,50%"),
            *("--minimize", "macs", "--where", "params <= 1.25M and params > 1M"),
            *("--format", "jsonl"),
        )
    )
    assert [r["settings"] for r in found] == [
        {"SR": 0.25, "pct3x3": 0.01},
        {"SR": 0.125, "pct3x3": 0.5},
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--minimize", "mcas"), "did you mean `macs`?"),
        (("--minimize", "macs +"), "is no expression"),
        (("--minimize", "params", "--where", "params) expect (macs"), "is no expression"),
        (("--minimize", "params < 3"), "is no number"),
        (("--minimize", "params", "--where", "params"), "must be true or false"),
        (("--minimize", "params", "--where", "params < 10"), "params go from "),
        (("--minimize", "params(x)"), "x"),
        (
            ("--minimize", "flops"),
            "it may use `params`, `macs`, `size`, `activations`, `width`",
        ),
        (
            ("--minimize", "macs / (width - width)"),
            "--minimize 'macs / (width - width)': this divides",
        ),
    ],
)
def test_wrong_conditions(
    capsys: pytest.CaptureFixture[str], small: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert main(["search", str(small), "--set", "width=1..3", *arguments]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert f" --> {arguments[-2]}:1:" in captured.err or "-->" not in captured.err
    assert captured.out == ""


def test_nothing_is_told_of_figures_that_there_are_none_of(
    capsys: pytest.CaptureFixture[str], small: Path
) -> None:
    assert main(["sweep", str(small), "--set", "width=a,b"]) == 1
    shown = capsys.readouterr().out
    assert "width=a is no net" in shown
    assert "MB:" not in shown
    assert "*" not in shown


def test_stars_are_those_of_all_that_were_found(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    spec = tmp_path / "n.net"
    # The third way has more parameters and more MACs than the second.
    spec.write_text(
        "net n(way = 1) { input data: 4x8x8\n"
        "if way == 1 { global_avgpool -> linear { units: 30 } }\n"
        "if way == 2 { conv { filters: 8 kernel: 1 } }\n"
        "if way == 3 { conv { filters: 9 kernel: 1 } } }"
    )
    ranges = ("search", spec, "--set", "way=1..3", "--where")
    shown = run(capsys, *ranges, "params > 0", "--maximize", "macs", "--top", 2).splitlines()
    assert [line.rstrip().endswith("*") for line in shown[3:5]] == [False, True]
    with pytest.raises(SystemExit):
        main(["search", str(spec), "--set", "way=1,2", "--minimize", "macs", "--top", "0"])


def test_a_goal_is_needed(small: Path) -> None:
    for goals in ((), ("--minimize", "macs", "--maximize", "macs")):
        with pytest.raises(SystemExit) as stop:
            main(["search", str(small), "--set", "width=1", *goals])
        assert stop.value.code == 2


def test_conditions_are_exact() -> None:
    figures = {"params": 1_250_000, "macs": 1, "size": 2, "activations": 3}
    assert Formula("--where", "params <= 1.25M").holds(figures, {})
    assert not Formula("--where", "params < 1.25M").holds(figures, {})
    assert Formula("--where", "a == 0.1 and b == [1, 2] and c").holds(
        figures, {"a": 0.1, "b": [1, 2], "c": True}
    )
    assert Formula("--minimize", "params / 3").value(figures, {}) == Fraction(1_250_000, 3)


def test_a_stopped_sweep_says_what_it_kept(small: Path, tmp_path: Path) -> None:
    """With two processes, which end as well."""
    kept = tmp_path / "results.jsonl"
    command = ["sweep", str(small), "--set", "width=1..9999", "--jobs", "2", "-o", str(kept)]
    with subprocess.Popen(
        [sys.executable, "-m", "netspec", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A runner in the background may have it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        while not kept.exists() or not kept.read_text().endswith("\n"):
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, errors = process.communicate(timeout=60)  # the workers hold its pipes
    assert (process.returncode, out) == (130, "")
    found = re.fullmatch(r"stopped after ([\d,]+) of 9,999 results; (.*)\n", errors)
    assert found
    assert found[2] == f"{kept} has them, and continues"
    complete = kept.read_text().count("\n")
    assert 0 <= complete - int(found[1].replace(",", "")) <= 1


@pytest.mark.parametrize("old", ["macs", "error", "settings", "code"])
def test_results_with_other_keys_are_none(
    capsys: pytest.CaptureFixture[str], small: Path, tmp_path: Path, old: str
) -> None:
    kept = tmp_path / "results.jsonl"
    command = ["sweep", str(small), "-o", str(kept), "--set", "width=0,1"]  # 0 is an error
    run(capsys, *command)
    text = kept.read_text().replace(f'"{old}"', '"other"')
    kept.write_text(text)
    assert main(command) == 1
    assert "is no result of a sweep" in capsys.readouterr().err
    assert kept.read_text() == text


def test_text_without_a_line_break_is_no_result(
    capsys: pytest.CaptureFixture[str], small: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    assert main(["sweep", str(small), "-o", str(notes), "--set", "width=1,2"]) == 1
    assert "line 1 is no result of a sweep" in capsys.readouterr().err
    assert notes.read_text() == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="needs locks of POSIX")
def test_two_sweeps_do_not_write_one_file(
    capsys: pytest.CaptureFixture[str], small: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "results.jsonl"
    first = sweep.Store(kept, sweep.spec(str(small)))
    assert main(["sweep", str(small), "-o", str(kept), "--set", "width=1,2"]) == 1
    assert "is being written by another sweep" in capsys.readouterr().err
    list(first.add([]))
    run(capsys, "sweep", small, "-o", kept, "--set", "width=1,2")
    assert len(lines(kept.read_text())) == 2
