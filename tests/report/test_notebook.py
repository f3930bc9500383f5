"""Tables from Python: rows, DataFrames, HTML."""

from __future__ import annotations

import sys
import types
import xml.etree.ElementTree as ET
from typing import Any

import pytest

import netspec
from netspec.cli.main import main
from netspec.report.columns import COLUMNS

from ..helpers import body

NET = netspec.load("squeezenet1_0")


def test_rows() -> None:
    found = NET.table(depth=1)
    assert found[0]["layer"] == "conv1"
    assert found[0]["output"] == (96, 109, 109)
    assert sum(row["params"] for row in found) == NET.params
    assert sum(row["macs_share"] for row in found) == pytest.approx(1)
    assert len(NET.table()) == len(NET.layers)
    everything = NET.table(columns=list(COLUMNS), depth=1)
    assert list(everything[0]) == list(COLUMNS)
    kinds = {type(v) for row in everything for v in row.values()}
    assert kinds <= {int, float, str, tuple, type(None)}
    assert {type(d) for row in everything for d in row["output"]} == {int}


def test_options() -> None:
    (largest, *_) = NET.table(columns=["layer", "params"], sort="params", depth=1)
    assert largest == {"layer": "conv10", "params": 513_000}
    counted = NET.table(count="thop")
    assert sum(row["count"] for row in counted) == 819_094_576
    shares = {"*.expand3x3": 0.67, "fire[89].expand3x3": 0.7, "conv10": 0.8}
    halves = ("fire6.expand1x1", "fire7.squeeze", "fire8.expand1x1", "fire9.squeeze")
    pruned = NET.table(sparsity=shares | dict.fromkeys(halves, 0.5), bits=6)
    assert sum(row["kept"] for row in pruned) == 421_098
    for wrong in ({"columns": ["parms"]}, {"count": "x"}, {"bits": {"fier": 3}}, {"sparsity": 2}):
        with pytest.raises(netspec.SpecError):
            NET.table(**wrong)


def test_it_prints_itself_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", "squeezenet1_0", "--depth", "1", "--width", "0"]) == 0
    assert f"{NET}\n" == capsys.readouterr().out


def test_it_is_a_line_among_other_values() -> None:
    shown = repr([NET])
    assert shown == "[<netspec.Net squeezenet1_0: 3x224x224 -> 1000, 1,248,424 parameters>]"


def test_it_shows_itself_in_a_notebook(tmp_path: Any) -> None:
    page = NET._repr_html_()
    table = ET.fromstring(page[page.index("<table") :])
    assert len(list(table.iter("tr"))) == 1 + 16 + 2
    many = tmp_path / "many.net"
    many.write_text(body("for i in 1..1000 { relu }", "1x1x1"))
    assert len(netspec.load(many)._repr_html_()) < 4_000


def test_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = types.ModuleType("pandas")
    stand_in.DataFrame = lambda rows: ("frame", rows)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", stand_in)
    assert NET.to_pandas(depth=1) == ("frame", NET.table(depth=1))
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(netspec.SpecError, match="needs the package pandas"):
        NET.to_pandas()


def test_real_pandas() -> None:
    pytest.importorskip("pandas")
    frame = NET.to_pandas(depth=1)
    assert frame["params"].sum() == NET.params
