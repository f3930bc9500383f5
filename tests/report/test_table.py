"""Tables: totals are the sums of their rows in every format and at every depth."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest

import netspec
from netspec.cost import activation_bytes, size, sizes
from netspec.ir import Instance
from netspec.report import rows, table

from ..helpers import body, net_of

NET = netspec.load("squeezenet1_0_complex_bypass")
CHAIN = """
module block(mode, n) {
  input x
  if mode != "" { a: conv(x) { filters: n  kernel: 1 } -> relu }
}
net chained {
  input data: 3x8x8
  c: dropout -> conv { filters: 8  kernel: 1x3  stride: [1, 2]  groups: 1 } -> relu
  b: block { mode: "a|b\\nc"  n: 4 } -> relu
}
"""


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


def test_a_folded_module_is_the_sum_of_its_layers() -> None:
    folded = {r.name: r for r in rows.rows(NET, 1)}
    for node in NET.body.nodes:
        if isinstance(node, Instance):
            inside = [f for f in NET.layers if f.path.startswith(f"{node.name}.")]
            row = folded[node.name]
            assert row.folded
            assert row.params == sum(f.params for f in inside)
            assert row.macs == sum(f.macs for f in inside)
            assert row.output == inside[-1].outputs[0].shape


def test_rows_of_chains() -> None:
    net = net_of(CHAIN)
    assert [(r.name, r.op) for r in rows.rows(net, 1)] == [
        ("c", "conv 1x3/1x2"),
        ("b", r"block 'a|b\nc',4"),
    ]
    # A module opens though it stands in a chain.
    assert [r.name for r in rows.rows(net, 2)] == ["c", "b.a", "b_relu"]
    names = ["c", "c_conv", "c_relu", "b.a", "b.a_relu", "b_relu"]
    assert [r.name for r in rows.rows(net)] == names == [f.path for f in net.layers]
    for depth in (None, 1, 2):
        assert sum(r.params for r in rows.rows(net, depth)) == net.params


def test_a_long_argument_is_cut() -> None:
    net = net_of(CHAIN.replace('"a|b', '"' + "a" * 500))
    assert max(map(len, table.text(net, 1).splitlines())) < 110


def test_sizes() -> None:
    assert sizes(NET) == {
        "float32": 4 * NET.params,
        "float16": 2 * NET.params,
        "int8": NET.params,
    }
    assert size(NET, 6) == NET.params * 6 // 8
    three = net_of(body("linear { units: 3  bias: false }", "1"))
    assert [size(three, bits) for bits in (1, 6, 8)] == [1, 3, 3]


def test_json() -> None:
    data = table.data(NET)
    assert list(data) == ["net", "layers", "total"]
    assert list(data["total"]) == ["params", "macs", "size", "activations"]
    keys = ["name", "op", "inputs", "output", "params", "macs"]
    assert all(list(row) == keys for row in data["layers"])
    assert data["total"]["activations"] == activation_bytes(NET) == 4 * NET.body.activations
    assert json.loads(json.dumps(data)) == data
    add = next(row for row in data["layers"] if row["name"] == "bypass2")
    assert add["inputs"] == [[128, 54, 54]] * 2
    assert kinds(data) == {dict, list, str, int}


def kinds(value: Any) -> set[type]:
    """The types of everything in a value."""
    inside = value.values() if isinstance(value, dict) else value if type(value) is list else ()
    return {type(value)}.union(*map(kinds, inside))


def test_json_of_numbers() -> None:
    data = table.data(NET)
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


@pytest.mark.parametrize("depth", [None, 0, 1])
def test_csv_reads_back(depth: int | None) -> None:
    found = list(csv.DictReader(io.StringIO(table.csv(NET, depth))))
    assert [(r["layer"], r["op"], int(r["macs"])) for r in found[:-1]] == [
        (r.name, r.op, r.macs) for r in rows.rows(NET, depth)
    ]
    if depth == 0:
        assert len(found) == 1
        return
    assert found[-1]["layer"] == "total"
    assert int(found[-1]["params"]) == sum(int(r["params"]) for r in found[:-1]) == NET.params


def test_markdown_is_a_table() -> None:
    lines = [line for line in table.markdown(NET).splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    assert len(lines) == len(NET.layers) + 3
    odd = [line for line in table.markdown(net_of(CHAIN), 1).splitlines() if line[:1] == "|"]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in odd} == {8}


def test_text_names_units_and_rule() -> None:
    text = table.text(NET, 1)
    assert "6.36 MB float32" in text
    assert "1,589,672" in text
    assert (
        "MB: 10^6 bytes\nMACs: multiplications of convolutions and linear layers, batch 1" in text
    )
    assert text.startswith("squeezenet1_0_complex_bypass   3x224x224 -> 1000\n\nlayer ")
    assert re.search(r"^conv1 +conv 7x7/2 +96x109x109 +14,208 +0\.9 +167\.7 M +14\.4$", text, re.M)
    assert re.search(r"^fire2 +fire 16,64,64 +128x54x54 ", text, re.M)
    assert re.search(r"^pool1 +maxpool 3x3/2 +96x54x54$", text, re.M)
    assert max(map(len, text.splitlines())) <= 90


def test_a_small_net_is_not_rounded_away() -> None:
    text = table.text(net_of(body("linear { units: 3 }", "5")))
    assert re.search(r"^total +18 +15$", text, re.M)
    assert "72 bytes float32   36 bytes float16   18 bytes int8" in text


def test_only_the_total_at_depth_0() -> None:
    lines = table.text(NET, 0).split("\n\n")[1].splitlines()
    assert [line.split()[0] for line in lines] == ["layer", "total"]
