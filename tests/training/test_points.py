"""Sweeps whose points are trained: accuracies, run folders, what is gone on with."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import socket
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netspec
from netspec.cli.main import main
from netspec.explore import sweep
from netspec.training import points, trainer
from netspec.training.points import folder_name
from netspec.weights.trained import read_trained

from .samples import saved

NET = """net small(width = 4, rate = 0.5) {
  input data: 1x6x6 { scale: 1/255 }
  c: conv { filters: width  kernel: 3 } -> relu
  last: conv { filters: 2  kernel: 1 } -> global_avgpool -> softmax
  train { learning_rate: rate  schedule: poly  batch_size: 8  iterations: 60 }
}
"""
FEW = ("--data", "data.npz", "--train", "iterations=24")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("small.net").write_text(NET)
    saved(Path("data.npz"))
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert main([*arguments]) == status
    found = capsys.readouterr()
    return found.out, found.err


def swept(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    out, _ = run(capsys, "sweep", "small.net", *arguments, "--format", "jsonl")
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.slow
def test_each_point_is_trained_as_it_would_be_by_itself(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training = [*FEW, "--seed", "5", "-o", "kept.jsonl"]
    found = swept(capsys, "--set", "width=1,3", *training)
    assert [r["run"] for r in found] == ["small-runs/width=1", "small-runs/width=3"]
    run(capsys, "train", "small.net", "--set", "width=3", *FEW, "--seed", "5", "-o", "alone")
    one, other = (Path(p, "best.safetensors") for p in ("small-runs/width=3", "alone"))
    assert one.read_bytes() == other.read_bytes()
    assert found[1]["accuracy"] == read_trained(other).accuracy
    rows = [json.loads(line) for line in Path("alone/metrics.jsonl").read_text().splitlines()]
    at = ("held-out", found[1]["iteration"])
    (best,) = (r for r in rows if (r["kind"], r["iteration"]) == at)
    assert best["accuracy"] == pytest.approx(found[1]["accuracy"], abs=1e-6)
    assert best["loss"] == pytest.approx(found[1]["loss"], abs=1e-6)
    # What the file has is not trained again; other points are.
    Path("small-runs").rename("before")
    more = ["sweep", "small.net", "--set", "width=1..3", *training, "--format", "csv"]
    table = list(csv.DictReader(io.StringIO(run(capsys, *more, "--sort", "accuracy")[0])))
    assert os.listdir("small-runs") == ["width=2"]
    shares = [float(r["accuracy"]) for r in table]
    assert shares == sorted(shares, reverse=True)
    by_width = {r["width"]: r for r in table}
    assert float(by_width["3"]["accuracy"]) == found[1]["accuracy"]
    assert by_width["3"]["params"] == str(found[1]["params"])
    # A sweep that trains nothing takes what is there, and continues the file; then what it adds
    # is trained.
    plain = swept(capsys, "--set", "width=1..4", "-o", "kept.jsonl")
    assert ["accuracy" in r for r in plain] == [True, True, True, False]
    assert "accuracy" in swept(capsys, "--set", "width=4", *training)[0]
    # Another training, or other data, is not what the file has.
    _, err = run(capsys, *more, "--train", "batch_size=4", status=1)
    assert "another training, or on other data" in err
    saved(Path("data.npz"), 48)
    _, err = run(capsys, *more, status=1)
    assert "another training, or on other data" in err


@pytest.mark.slow
def test_a_sweep_that_was_stopped_goes_on(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["--set", "width=1,3", *FEW]
    whole = swept(capsys, *command, "--runs", "whole")
    done: list[Path] = []
    real = trainer.train

    def stopping(net: Any, training: Any, options: Any) -> Any:
        if done:
            raise KeyboardInterrupt
        done.append(options.out)
        return real(net, training, options)

    monkeypatch.setattr(points, "train", stopping)
    with pytest.raises(KeyboardInterrupt):
        swept(capsys, *command)
    kept = {p: p.stat().st_mtime_ns for p in Path("small-runs").glob("*/checkpoint.pt")}
    assert len(kept) == 1
    monkeypatch.setattr(points, "train", real)
    found = swept(capsys, *command)
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    assert [{**r, "run": r["run"].replace("small-runs", "whole")} for r in found] == whole
    # The folders are those of another recipe.
    other = ["--set", "width=1", "--data", "data.npz", "--train", "iterations=8"]
    _, err = run(capsys, "sweep", "small.net", *other, status=1)
    assert "iterations was 24, and is 8" in err
    assert "`--runs FOLDER` keeps both" in err
    assert swept(capsys, *other, "--restart")[0]["iteration"] <= 8


@pytest.mark.slow
def test_a_training_that_diverges(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--set", "rate=0.5,1e35", *FEW]
    fine, diverged = swept(capsys, *command)
    assert fine["accuracy"] >= 0.5
    assert diverged["error"]["code"] == "diverged"
    assert diverged["params"] == fine["params"]
    out, _ = run(capsys, "sweep", "small.net", *command)
    said = " ".join(out.split())  # a line may end anywhere
    assert re.search(r"rate=1\S+ has no accuracy: the training has diverged", said)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--data none.npz", "none.npz can't be read"),
        ("--data data.npz --train batch_size=4000", "larger than the data"),
        ("--data data.npz --train bach_size=4", "bach_size"),
        ("--data data.npz --train iterations=2 --held-out 0", "nothing is held out"),
        ("--train iterations=3", "it goes with --data"),
        ("--runs r", "it goes with --data"),
        ("--sort accuracy", "--data DATA"),
    ],
)
def test_what_can_not_be(
    options: str, reason: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sweep", "small.net", "--set", "width=1,2", *options.split()]
    _, err = run(capsys, *command, status=1)
    assert reason in err


@pytest.mark.parametrize(
    "changed",
    [{"accuracy": float("nan")}, {"accuracy": "1"}, {"loss": [1]}, {"run": None}, {"run": 3}],
)
def test_lines_of_a_file_that_no_sweep_wrote(
    changed: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (plain,) = swept(capsys, "--set", "width=1")
    figures = {"training": "x", "accuracy": 0.5, "loss": 1.0, "iteration": 3, "run": "r"}
    Path("own.jsonl").write_text(json.dumps({**plain, **figures}) + "\n")
    (found,) = swept(capsys, "--set", "width=1", "-o", "own.jsonl")
    assert found["accuracy"] == 0.5
    Path("own.jsonl").write_text(json.dumps({**plain, **figures, **changed}) + "\n")
    command = ["sweep", "small.net", "--set", "width=1", "-o", "own.jsonl"]
    _, err = run(capsys, *command, status=1)
    assert "line 1 is no result of a sweep" in err


@pytest.mark.slow
def test_search_by_accuracy_trains_what_may_be_wanted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["search", "small.net", "--set", "width=1,3,9", *FEW, "--maximize", "accuracy"]
    out, _ = run(capsys, *command, "--where", "params < 60", "--format", "jsonl")
    found = [json.loads(line) for line in out.splitlines()]
    assert {p.name for p in Path("small-runs").iterdir()} == {"width=1", "width=3"}
    assert {r["settings"]["width"] for r in found} == {1, 3}
    shares = [r["accuracy"] for r in found]
    assert shares == sorted(shares, reverse=True)
    _, err = run(capsys, *command, "--where", "accuracy > 1", "--where", "params < 60", status=1)
    assert f"accuracy go from {min(shares)} to {max(shares)}" in err
    _, err = run(capsys, *command[:4], "--minimize", "loss", status=1)
    assert "no value, constant or parameter loss" in err
    again = netspec.search(
        *("small.net", {"width": [1, 3, 9]}),
        data="data.npz",
        recipe={"iterations": 24},
        runs="small-runs",
        maximize="accuracy",
        where=["params < 60"],
    )
    assert again == found
    with pytest.raises(TypeError, match="it goes with data"):
        netspec.sweep("small.net", {"width": [1]}, recipe={"iterations": 24})


@pytest.mark.slow
def test_the_picture_shows_accuracies_against_sizes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = ["--set", "width=1,3", "--set", "rate=0.1,0.5"]
    found = swept(capsys, *space, *FEW, "--plot", "p.svg")
    tree = ET.fromstring(Path("p.svg").read_text())
    svg = "{http://www.w3.org/2000/svg}"
    panels = tree.findall(f"{svg}g")
    assert len(panels) == 3
    for panel in panels:
        assert "accuracy, %" in {t.text for t in panel.iter(f"{svg}text")}
        dots = {
            dot[0].text or "": (float(dot.attrib["cx"]), float(dot.attrib["cy"]))
            for dot in panel.iter(f"{svg}circle")
            if len(dot)
        }
        assert len(dots) == 4
        places = []
        for r in found:
            words = [f"{name} {value}" for name, value in r["settings"].items()]
            (place,) = (xy for text, xy in dots.items() if all(w in text for w in words))
            places.append((r["size"], r["accuracy"], place))
        for size, share, (x, y) in places:  # larger is further right, better is higher up
            for size2, share2, (x2, y2) in places:
                assert (size < size2) == (x < x2)
                assert (share < share2) == (y > y2)


@settings(max_examples=30)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from("ab"), st.one_of(st.text(), st.integers(), st.lists(st.integers()))
        ),
        min_size=2,
        max_size=2,
        unique_by=sweep.key,
    )
)
def test_names_of_folders(two: list[dict[str, Any]]) -> None:
    for one in two:
        assert re.fullmatch(r"[A-Za-z0-9_.,=+-]{0,100}", folder_name(one))
        assert not one or re.match(r"[ab]=", folder_name(one))
    first, second = map(folder_name, two)
    assert first != second


def test_names_of_folders_are_read_by_people() -> None:
    assert folder_name({"SR": 0.125, "wide": True}) == "SR=0.125,wide=true"
    assert re.fullmatch(r"sizes=_1,3_-[0-9a-f]{8}", folder_name({"sizes": [1, 3]}))


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 5)), min_size=1, max_size=12))
def test_the_front_by_its_definition(pairs: list[tuple[int, int]]) -> None:
    found: list[dict[str, Any]] = [{"params": p, "macs": 1, "accuracy": a / 5} for p, a in pairs]
    best = {(r["params"], r["accuracy"]) for r in sweep.front(found)}
    for p, a in pairs:
        beaten = any(q <= p and b >= a and (q, b) != (p, a) for q, b in pairs)
        assert ((p, a / 5) in best) == (not beaten)


def elsewhere(folder: Path, *options: str) -> list[dict[str, Any]]:
    command = ["sweep", "small.net", "--set", "width=1,3", *FEW, "--format", "jsonl", *options]
    done = subprocess.run(
        [sys.executable, "-m", "netspec", *command],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
        cwd=folder,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return sorted(found, key=lambda r: int(r["settings"]["width"]))


@pytest.mark.exhaustive
def test_processes_change_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = elsewhere(folder, "--jobs", "2", "--runs", "r")
    assert found == swept(capsys, "--set", "width=1,3", *FEW, "--restart", "--runs", "r")


@pytest.mark.exhaustive
def test_on_a_ray_cluster(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if find_spec("ray") is None:
        pytest.skip("needs Ray")
    found = elsewhere(folder, "--ray", "local", "--runs", "r")
    assert found == swept(capsys, "--set", "width=1,3", *FEW, "--restart", "--runs", "r")


def test_an_address_where_nobody_answers(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # it does not listen
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        command = ["sweep", "small.net", "--set", "width=1", *FEW, "--ray", address]
        _, err = run(capsys, *command, status=1)
    assert f"no Ray cluster can be used at {address}" in err


def test_without_ray(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    command = ["sweep", "small.net", "--set", "width=1", *FEW, "--ray", "local"]
    _, err = run(capsys, *command, status=1)
    assert "pip install 'netspec-compiler[ray]'" in err
