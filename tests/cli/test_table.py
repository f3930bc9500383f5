"""netspec table as a person types it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys

import pytest

from netspec.cli.main import main

from ..helpers import body

TABLE_1 = (
    "*.expand3x3=67%,fire[89].expand3x3=70%,fire6.expand1x1=50%,fire7.squeeze=.5,"
    "fire8.expand1x1=0.5,fire9.squeeze=50%,conv10=80%"
)


def out(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main(["table", *arguments]) == status
    return capsys.readouterr().out


def test_columns_and_sorting(capsys: pytest.CaptureFixture[str]) -> None:
    written = out(
        capsys,
        *("squeezenet1_0", "--columns", "layer,type,field,stride,params", "--sort", "params"),
        *("--depth", "1", "--format", "csv"),
    )
    found = list(csv.DictReader(io.StringIO(written)))
    assert list(found[0]) == ["net", "layer", "op", "field", "stride", "params"]
    assert [row["layer"] for row in found[:2]] == ["conv10", "fire9"]
    assert found[0]["field"] == "155x155"


def test_counts(capsys: pytest.CaptureFixture[str]) -> None:
    for tool, figure in (("thop", 819_094_576), ("netspec", 818_924_576)):
        text = out(capsys, "squeezenet1_0", "--count", tool, "--format", "markdown")
        assert f"{figure:,}" in text
    text = out(capsys, "squeezenet1_0", "--count", "flopcounter", "--depth", "0")
    assert "FLOPs (flopcounter)" in text
    assert "1,637.8 M" in text
    assert "FLOPs of flopcounter: FlopCounterMode" in text


def test_memory_of_training(capsys: pytest.CaptureFixture[str]) -> None:
    common = ("resnet18", "--training", "--batch", "8", "--optimizer", "adam")
    found = json.loads(out(capsys, *common, "--format", "json"))
    memory = found["total"]["training"]
    assert (memory["batch"], memory["optimizer"]) == (8, "adam")
    weights = 4 * found["total"]["params"]
    assert (memory["parameters"], memory["gradients"]) == (weights, weights)
    assert memory["optimizer_state"] == 2 * weights
    # The inputs belong to no layer.
    saved = sum(layer["saved"] for layer in found["layers"])
    assert memory["activations"] == saved + 8 * 4 * 3 * 224 * 224
    assert 3 * weights + memory["activations"] < memory["peak"] < 5 * weights + saved * 1.2
    text = out(capsys, *common, "--depth", "1")
    assert f"{memory['peak'] / 1e6:.2f} MB at most, in {memory['at']}: batch 8, adam" in text
    rows = list(
        csv.DictReader(io.StringIO(out(capsys, *common, "--depth", "1", "--format", "csv")))
    )
    assert sum(int(row["saved"]) for row in rows if row["layer"] != "total") == saved
    assert "backward pass" in out(capsys, *common, "--format", "html", "--depth", "1")
    both = out(capsys, "resnet18", "squeezenet1_1", *common[1:], "--compare", "--format", "csv")
    assert f"training,{memory['peak']}," in both
    both = out(capsys, "resnet18", "squeezenet1_1", *common[1:], "--compare")
    assert "training: batch 8, adam, float32" in both
    plain = out(capsys, "resnet18", "--training", "--momentum", "0", "--depth", "0")
    assert "batch 1, sgd without momentum, float32" in plain


def test_the_papers_table_1(capsys: pytest.CaptureFixture[str]) -> None:
    common = ("squeezenet1_0", "--sparsity", TABLE_1, "--bits", "6")
    data = json.loads(out(capsys, *common, "--format", "json"))
    assert data["total"]["kept"] == 421_098
    assert data["total"]["compressed"] / 2**20 == pytest.approx(0.47, abs=0.005)
    fire2 = next(row for row in data["layers"] if row["name"] == "fire2.expand3x3")
    assert (fire2["sparsity"], fire2["bits"]) == (0.67, 6)
    text = out(capsys, *common, "--depth", "1")
    assert "421,098 parameters kept" in text
    assert "compressed   0.49 MB   10.1x smaller" in text


def test_nets_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    common = ("squeezenet1_0", "squeezenet1_1", "--compare", "--bits", "squeezenet1_0:6")
    (first, second) = json.loads(out(capsys, *common, "--format", "json"))
    assert first["figures"]["params"] == 1_248_424
    assert second["ratios"]["params"] == pytest.approx(1_235_496 / 1_248_424, rel=1e-5)
    assert second["figures"]["compressed"] == 4 * 1_235_496
    assert first["figures"]["compressed"] < 1_000_000
    for form in ("text", "markdown", "csv", "latex", "html"):
        assert "0.9" in out(capsys, *common, "--format", form)


def test_several_nets_in_one_csv(capsys: pytest.CaptureFixture[str]) -> None:
    written = out(capsys, "squeezenet1_0", "squeezenet1_1", "--depth", "0", "--format", "csv")
    found = list(csv.DictReader(io.StringIO(written)))
    assert [(row["net"], row["params"]) for row in found] == [
        ("squeezenet1_0", "1248424"),
        ("squeezenet1_1", "1235496"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--columns", "parms"), "did you mean `params`?"),
        (("--sort", "nothing"), "there is no column nothing"),
        (("--count", "thopp"), "did you mean `thop`?"),
        (("--sparsity", "fier2.squeeze=50%"), "did you mean `fire2.squeeze`?"),
        (("--sparsity", "150%"), "between 0 and 1"),
        (("--sparsity", "conv1=x"), "has no number"),
        (("--sparsity", "1e999999999"), "has no number"),
        (("--bits", "0"), "1 to 32 bits"),
        (("--bits", "4.5"), "1 to 32 bits"),
        (("--bits", "8", "--index-bits", "64"), "at most 32"),
    ],
)
def test_wrong_options(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert main(["table", "squeezenet1_0", *arguments]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert "error[bad-option]" in captured.err
    assert captured.out == ""


def test_wrong_usage() -> None:
    for arguments in (("--depth", "x"), ("--width", "-1"), ("--format", "pdf")):
        with pytest.raises(SystemExit) as stop:
            main(["table", "squeezenet1_0", *arguments])
        assert stop.value.code == 2


def test_the_list_of_columns_and_counts(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["table", "--list"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "  field " in text
    assert "  torchprofile " in text


def test_the_width_of_the_terminal() -> None:
    command = [sys.executable, "-m", "netspec", "table", "squeezenet1_0"]
    environment = {**os.environ, "COLUMNS": "70"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    table = done.stdout.split("\n\n")[1]
    assert max(map(len, table.splitlines())) <= 70
    assert "left out to fit 70 characters: activations" in done.stdout


def test_options_that_would_do_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (("--compare", "--depth", "1"), "--compare has metrics of whole nets: it takes no --depth"),
        (("--compare", "--columns", "params"), "it takes no --columns"),
        (("--ascending",), "--ascending needs a column to sort by"),
        (("--bits", "33"), "a weight has 1 to 32 bits, not 33"),
        (("--sparsity", "conv1=2"), "conv1=2 does not"),
        (("--batch", "8"), "--batch says how a net is trained: it goes with --training"),
        (("--momentum", "0"), "--momentum says how a net is trained"),
        (("--training", "--optimizer", "adma"), "there is no optimizer adma"),
    ):
        assert main(["table", "squeezenet1_0", *arguments]) == 1
        captured = capsys.readouterr()
        assert message in captured.err
        assert not captured.out
    with pytest.raises(SystemExit):
        main(["table", "squeezenet1_0", "--columns", ","])


def test_html_is_one_page(capsys: pytest.CaptureFixture[str], tmp_path_factory: object) -> None:
    page = out(capsys, "squeezenet1_0", "squeezenet1_1", "--depth", "1", "--format", "html")
    assert page.startswith("<!doctype html>")
    assert page.count("<table") == 2
    assert not re.search(r"https?:|src=|href=", page)


def test_a_table_needs_little(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever only some options need is imported only for these."""
    code = (
        "import sys; from netspec.cli.main import main\n"
        "assert main(['table', 'squeezenet1_0']) == 0\n"
        "loaded = {'multiprocessing', 'netspec.metrics.counting', 'netspec.metrics.receptive_field',\n"
        "  'netspec.metrics.compression', 'netspec.report.compare', 'html', 'json'}\n"
        "assert not loaded & set(sys.modules), loaded & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_net_of_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for form in ("text", "markdown", "csv", "json", "latex", "html"):
        stdin = io.TextIOWrapper(io.BytesIO(body("output data", "3x4x4").encode()))
        monkeypatch.setattr(sys, "stdin", stdin)
        assert out(capsys, "-", "--format", form, "--count", "thop", "--bits", "8", status=1) == ""
        stdin = io.TextIOWrapper(io.BytesIO(body("output data", "3x4x4").encode()))
        monkeypatch.setattr(sys, "stdin", stdin)
        assert "test" in out(capsys, "-", "--format", form, "--count", "thop")
