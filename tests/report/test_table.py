"""Tables: totals are the sums of their rows in every format and at every depth."""

from __future__ import annotations

import csv
import io

import pytest

import netspec
from netspec.report import rows, table

NET = netspec.load("squeezenet1_0_complex_bypass")


@pytest.mark.parametrize("depth", [None, 1, 2, 3])
def test_rows_add_up(depth: int | None) -> None:
    found = rows.rows(NET, depth)
    assert sum(r.params for r in found) == NET.params
    assert sum(r.macs for r in found) == NET.macs


def test_depths() -> None:
    assert rows.rows(NET, 0) == []
    assert len(rows.rows(NET)) == len(NET.layers)
    names = [r.name for r in rows.rows(netspec.load("squeezenet1_0"), 1)]
    fires = [f"fire{i}" for i in range(2, 10)]
    assert names == ["conv1", "pool1", *fires[:3], "pool4", *fires[3:7], "pool8", fires[7]] + [
        *("drop9", "conv10", "pool10", "prob")
    ]


def test_json() -> None:
    data = table.data(NET)
    assert set(data) == {"net", "layers", "total"}
    assert set(data["total"]) == {"params", "macs", "size", "activations"}
    assert data["total"]["size"] == {
        "float32": 4 * NET.params,
        "float16": 2 * NET.params,
        "int8": NET.params,
    }
    layer = data["layers"][0]
    assert layer == {
        "name": "conv1",
        "op": "conv",
        "inputs": [[3, 224, 224]],
        "output": [96, 109, 109],
        "params": 14_208,
        "macs": 167_664_672,
    }
    assert [row["name"] for row in data["layers"]] == [f.path for f in NET.layers]
    assert sum(row["params"] for row in data["layers"]) == data["total"]["params"]


def test_peak_of_activations_is_found_by_brute_force() -> None:
    net = netspec.load("squeezenet1_0")
    layers = net.layers
    last = {v: i for i, f in enumerate(layers) for v in f.inputs}
    peak = 0
    for i, layer in enumerate(layers):
        made = [v for f in layers[: i + 1] for v in f.outputs] + list(net.body.inputs)
        live = {v for v in made if last.get(v, -1) >= i} | set(layer.outputs)
        peak = max(peak, sum(v.elements for v in live))
    assert net.body.activations == peak


def test_csv_reads_back() -> None:
    found = list(csv.DictReader(io.StringIO(table.csv(NET))))
    assert found[-1]["layer"] == "total"
    assert int(found[-1]["params"]) == sum(int(r["params"]) for r in found[:-1]) == NET.params


def test_markdown_is_a_table() -> None:
    lines = [line for line in table.markdown(NET).splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    assert len(lines) == len(NET.layers) + 3


def test_text_names_units_and_rule() -> None:
    text = table.text(NET, 1)
    assert "6.36 MB float32" in text
    assert "1,589,672" in text
    assert "biases cost none" in text
    assert max(map(len, text.splitlines())) <= 90
