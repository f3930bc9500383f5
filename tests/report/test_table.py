"""Tables: totals are the sums of their rows in every format and at every depth."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspec.ir import Instance
from netspec.ir.liveness import peak_activations
from netspec.metrics.size import activation_bytes, size, sizes
from netspec.report import formats, rows
from netspec.report.columns import COLUMNS, NetView
from netspec.report.compare import comparison
from netspec.report.compare import data as compared_data
from netspec.report.html import html_page, html_table
from netspec.report.json_output import data
from netspec.report.table import Grid, grid

from ..helpers import body, loaded, net_of

NET = loaded("squeezenet1_0_complex_bypass")
VIEW = NetView(NET)
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
CHAINED = NetView(net_of(CHAIN))


def text(view: NetView, depth: int | None = None, width: int | None = None) -> str:
    return formats.text(grid(view, depth), width)


def test_rows_hold_the_layers_of_the_net_at_every_depth() -> None:
    for depth in (None, 1, 2, 3):
        found = rows.rows(NET, depth)
        assert [f for r in found for f in r.layers] == list(NET.layers)
        assert sum(r.params for r in found) == NET.params
        assert sum(r.macs for r in found) == NET.macs


def test_depths() -> None:
    assert rows.rows(NET, 0) == []
    assert len(rows.rows(NET)) == len(NET.layers)
    names = [r.name for r in rows.rows(loaded("squeezenet1_0"), 1)]
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
            assert list(row.layers) == inside
            assert row.params == sum(f.params for f in inside)
            assert row.macs == sum(f.macs for f in inside)
            assert row.output == inside[-1].outputs[0].shape
            assert row.source is inside[-1]


def test_rows_of_chains() -> None:
    assert [(r.name, r.op, r.kernel) for r in rows.rows(CHAINED.net, 1)] == [
        ("c", "conv", "1x3/1x2"),
        ("b", r"block 'a|b\nc',4", ""),
    ]
    # A module opens though it stands in a chain.
    assert [r.name for r in rows.rows(CHAINED.net, 2)] == ["c", "b.a", "b_relu"]
    names = ["c", "c_conv", "c_relu", "b.a", "b.a_relu", "b_relu"]
    assert [r.name for r in rows.rows(CHAINED.net)] == names
    assert names == [f.path for f in CHAINED.net.layers]


def test_what_a_window_says() -> None:
    net = net_of(
        body("a: conv { filters: 6 kernel: 3 stride: 2 dilation: 2 groups: 3 } -> global_avgpool")
    )
    assert [r.kernel for r in rows.rows(net)] == ["3x3/2 dilation 2 groups 3", ""]


def test_the_source_of_a_row_is_the_layer_whose_value_comes_out() -> None:
    net = net_of("""
      module early { input x
        a: conv(x) { filters: 4 kernel: 3 }
        b: conv(a) { filters: 4 kernel: 3 }
        output a, b }
      module nothing { input x  c: relu(x)  output x, c }
      net n { input data: 1x20x20
        e: early
        f: nothing(e.b)
        add(conv(e) { filters: 4 kernel: 3 }, f)
        g: relu(f.c) }
    """)
    view = NetView(net)
    found = {r.name: r for r in rows.rows(net, 1)}
    source = found["e"].source
    assert source is not None
    assert source.path == "e.a"
    assert COLUMNS["field"].of(view, found["e"]) == "3x3"
    assert found["f"].source is None
    assert COLUMNS["field"].of(view, found["f"]) is None
    assert COLUMNS["field"].of(view, found["g"]) == "5x5"


def test_a_long_argument_is_cut() -> None:
    net = net_of(CHAIN.replace('"a|b', '"' + "a" * 500))
    assert max(map(len, text(NetView(net), 1).splitlines())) < 120


def test_sizes() -> None:
    assert sizes(NET) == {
        "float32": 4 * NET.params,
        "float16": 2 * NET.params,
        "int8": NET.params,
    }
    assert size(NET, 6) == NET.params * 6 // 8
    three = net_of(body("linear { units: 3  bias: false }", "1"))
    assert [size(three, bits) for bits in (1, 6, 8)] == [1, 3, 3]


# --- data ----------------------------------------------------------------------------------------


def test_json() -> None:
    found = data(VIEW)
    assert list(found) == ["net", "layers", "total"]
    assert list(found["total"])[:4] == ["params", "macs", "size", "activations"]
    keys = ["name", "op", "inputs", "output", "params", "macs"]
    assert all(list(row)[:6] == keys for row in found["layers"])
    assert found["total"]["activations"] == activation_bytes(NET) == 4 * peak_activations(NET.body)
    assert json.loads(json.dumps(found)) == found
    add = next(row for row in found["layers"] if row["name"] == "bypass2")
    assert add["inputs"] == [[128, 54, 54]] * 2
    assert kinds(found) <= {dict, list, str, int, float, bool, type(None)}


def kinds(value: Any) -> set[type]:
    """The types of everything in a value."""
    inside = value.values() if isinstance(value, dict) else value if type(value) is list else ()
    return {type(value)}.union(*map(kinds, inside))


def test_json_of_numbers() -> None:
    found = data(VIEW)
    assert found["total"]["size"] == {
        "float32": 4 * NET.params,
        "float16": 2 * NET.params,
        "int8": NET.params,
    }
    first = found["layers"][0]
    read, written = 4 * 3 * 224 * 224, 4 * 96 * 109 * 109
    assert first == {
        "name": "conv1",
        "op": "conv",
        "inputs": [[3, 224, 224]],
        "output": [96, 109, 109],
        "params": 14_208,
        "macs": 167_664_672,
        "attributes": {
            "filters": 96,
            "kernel": [7, 7],
            "stride": [2, 2],
            "pad": [0, 0, 0, 0],
            "dilation": [1, 1],
            "groups": 1,
            "bias": True,
        },
        "activations": read + written,
        "results": written,
        "intensity": pytest.approx(167_664_672 / (read + written + 4 * 14_208), rel=1e-5),
        "field": [7, 7],
        "stride": [2, 2],
    }
    assert [row["name"] for row in found["layers"]] == [f.path for f in NET.layers]
    for key in ("params", "macs", "results"):
        assert sum(row[key] for row in found["layers"]) == found["total"][key]


def test_peak_of_activations_is_found_by_brute_force() -> None:
    net = loaded("squeezenet1_0")
    layers = net.layers
    last = {v: i for i, f in enumerate(layers) for v in f.inputs}
    peak = 0
    for i, layer in enumerate(layers):
        made = [v for f in layers[: i + 1] for v in f.outputs] + list(net.body.inputs)
        live = {v for v in made if last.get(v, -1) >= i} | set(layer.outputs)
        peak = max(peak, sum(v.elements for v in live))
    assert peak_activations(net.body) == peak


def test_rows_say_what_contracts_say() -> None:
    """Each line's figures are those of `params(x)`, `macs(x)` and `activations(x)`."""
    text = """
      module block(f) { input x
        a: conv(x) { filters: f kernel: 3 pad: 1 } -> relu
        output a, x }
      net n { input data: 3x16x16
        c: conv { filters: 8 kernel: 3 stride: 2 pad: 1 } -> batchnorm -> relu
        p: maxpool { kernel: 2 }
        b: block { f: 12 } -> relu
        q: maxpool(c) { kernel: 2 }
        s: concat(b, p, q)
        u: maxunpool(q, q.indices)
        t: flatten(s) -> linear { units: 5 }
        output t, u
        CONTRACTS }"""
    view = NetView(net_of(text.replace("CONTRACTS", "")))
    found = {r.name: r for r in rows.rows(view.net, 1)}
    contracts = [
        f"expect {key}({name}) == {COLUMNS[key].of(view, row)}"
        for name, row in found.items()
        for key in ("params", "macs", "size", "activations")
    ]
    assert len(contracts) == 4 * 7
    net_of(text.replace("CONTRACTS", "\n".join(contracts)))


def test_results_that_nothing_uses_are_not_made() -> None:
    with_indices = "p: maxpool { kernel: 2 }\n output p, p.indices"
    plain, both = (
        NetView(net_of(body(statements, "1x4x4")))
        for statements in ("maxpool { kernel: 2 }", with_indices)
    )
    assert COLUMNS["results"].total is not None
    assert [COLUMNS["results"].total(v) for v in (plain, both)] == [16, 32]


# --- formats -------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [None, 0, 1])
def test_csv_reads_back(depth: int | None) -> None:
    found = list(csv.DictReader(io.StringIO(formats.csv(grid(VIEW, depth)))))
    assert [(r["layer"], r["op"], int(r["macs"])) for r in found[:-1]] == [
        (r.name, r.op, r.macs) for r in rows.rows(NET, depth)
    ]
    assert found[-1]["layer"] == "total"
    assert int(found[-1]["params"]) == NET.params
    if depth != 0:
        assert int(found[-1]["params"]) == sum(int(r["params"]) for r in found[:-1])
        assert sum(float(r["macs_share"]) for r in found[:-1]) == pytest.approx(1, abs=1e-4)


def test_csv_of_every_column() -> None:
    found = csv.DictReader(io.StringIO(formats.csv(grid(VIEW, 1, list(COLUMNS)))))
    assert found.fieldnames == ["net", *COLUMNS]
    first = next(iter(found))
    assert (first["input"], first["field"], first["stride"]) == ("3x224x224", "7x7", "2")
    assert (int(first["kept"]), int(first["compressed"])) == (14_208, 4 * 14_208)


def test_markdown_is_a_table() -> None:
    lines = [line for line in formats.markdown(grid(VIEW)).splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    assert len(lines) == len(NET.layers) + 3
    odd = formats.markdown(grid(CHAINED, 1)).splitlines()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in odd if line[:1] == "|"} == {10}
    assert any("| 14,208 | 0.9 | 167,664,672 |" in line for line in lines)


def test_latex_has_as_many_cells_in_each_row_and_no_bare_specials() -> None:
    source = formats.latex(grid(CHAINED, 1))
    assert "\\toprule" in source
    assert source.count("\\begin") == source.count("\\end") == 1
    inside = source.split("\\toprule")[1].split("\\bottomrule")[0]
    table = [line for line in inside.splitlines() if line.endswith("\\\\")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in table} == {8}
    assert "\na\\_b & relu &" in formats.latex(grid(NetView(net_of(body("a_b: relu", "1x1x1")))))


def test_latex_reads_as_in_a_paper() -> None:
    source = formats.latex(grid(NetView(loaded("squeezenet1_0")), None, ["layer", "output"]))
    assert "fire2.expand1x1 & 64$\\times$54$\\times$54 \\\\" in source
    table, under = source.split("\\end{tabular}")
    assert "\nMB: 10\\textsuperscript{6} bytes \\\\\nMACs: " in under
    assert "multicolumn" not in table
    hostile = Grid("", "a\nb", (COLUMNS["op"],), (('<a|"b">&%$#_{}~^\\',),))
    (row,) = (r for r in formats.latex(hostile).splitlines() if "textless" in r)
    assert row == (
        r"\textless{}a\textbar{}''b''\textgreater{}\&\%\$\#\_\{\}\textasciitilde{}"
        r"\textasciicircum{}\textbackslash{} \\"
    )
    assert "% a b\n" in formats.latex(hostile)
    bracket = Grid("", "t", (COLUMNS["op"],), (("[1]",),))
    assert "\n{}[1] \\\\" in formats.latex(bracket)


def test_html_is_well_formed() -> None:
    page = html_table(grid(CHAINED, 1))
    table = ET.fromstring(page[page.index("<table") :])
    assert table.findtext("caption") == "chained   3x8x8 -> 4x8x3"
    found = [[cell.text or "" for cell in row] for row in table.iter("tr")]
    assert found[2][:2] == ["b", r"block 'a|b\nc',4"]
    wide = [row for row in found if len(row) > 1]
    assert {len(row) for row in wide} == {9}
    hostile = '<script>alert("x")</script>'
    rigged = Grid(hostile, hostile, (COLUMNS["op"],), ((hostile,),), (), ((hostile, hostile),))
    assert "<script" not in html_table(rigged)
    assert "<script" not in html_page(hostile, [rigged])


def test_text_names_units_and_rule() -> None:
    table = text(VIEW, 1)
    assert "6.36 MB float32" in table
    assert "1,589,672" in table
    assert (
        "MB: 10^6 bytes\nMACs: multiplications of convolutions and linear layers, batch 1" in table
    )
    assert table.startswith("squeezenet1_0_complex_bypass   3x224x224 -> 1000\n\nlayer ")
    line = r"^conv1 +conv +7x7/2 +96x109x109 +14,208 +0\.9 +167\.7 M +14\.4 +9\.12 MB$"
    assert re.search(line, table, re.M)
    assert re.search(r"^fire2 +fire 16,64,64 +128x54x54 ", table, re.M)
    assert re.search(r"^pool1 +maxpool +3x3/2 +96x54x54 +5\.68 MB$", table, re.M)
    assert max(map(len, table.splitlines())) <= 100


def test_a_small_net_is_not_rounded_away() -> None:
    table = text(NetView(net_of(body("linear { units: 3 }", "5"))))
    assert re.search(r"^total +18 +15 +32 bytes$", table, re.M)
    assert "72 bytes float32   36 bytes float16   18 bytes int8" in table


def test_only_the_total_at_depth_0() -> None:
    lines = text(VIEW, 0).split("\n\n")[1].splitlines()
    assert [line.split()[0] for line in lines] == ["layer", "total"]


@pytest.mark.slow
@given(st.integers(20, 140), st.sampled_from([None, 1]))
def test_text_fits_its_width_or_is_as_narrow_as_it_gets(width: int, depth: int | None) -> None:
    table = text(VIEW, depth, width).split("\n\n")[1].splitlines()
    if width >= 62:
        assert max(map(len, table)) <= width
    narrowest = text(VIEW, depth, 1).split("\n\n")[1].splitlines()
    assert max(map(len, table)) <= max(width, max(map(len, narrowest)))
    # What must not go: names, parameters and their sums.
    assert re.search(r"^total +1,589,672", table[-1])


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("name", ["densenet121", "enet", "googlenet", "squeezenet1_0"])
def test_cut_rows_can_be_told_apart(name: str, width: int) -> None:
    net = loaded(name)
    for depth in (None, 1):
        table = text(NetView(net), depth, width).split("\n\n")[1].splitlines()
        names = [line.split()[0] for line in table[1:-1]]
        assert len(set(names)) == len(rows.rows(net, depth))


def test_arguments_are_cut_whole() -> None:
    table = text(NetView(loaded("googlenet")), 1, 80)
    assert re.search(r"^inception_3b +inception 128,?\.\. ", table, re.M)
    assert re.search(r"^pool5 +global_avgpool ", table, re.M)
    assert "kernel/stride" not in table
    assert " kernel " in table
    narrow = text(NetView(loaded("squeezenet1_0")), 1, 80)
    assert "fire 64,256,256" in narrow


def test_columns_that_must_stay_go_below_each_other() -> None:
    keys = ["layer", "op", "input", "output", "params", "macs", "field", "stride"]
    table = formats.text(grid(VIEW, 1, keys), 60)
    first, second = table.split("\n\n")[1:3]
    assert first.split("\n")[0].split() == ["layer", "type", "input", "output", "params"]
    assert second.split("\n")[0].split() == ["layer", "MACs", "field", "stride"]
    assert len(first.splitlines()) == len(second.splitlines()) == len(rows.rows(NET, 1)) + 2
    assert max(map(len, [*first.splitlines(), *second.splitlines()])) <= 60
    assert "left out" not in table


def test_columns_left_out_for_width_are_named() -> None:
    assert "left out to fit 80 characters: activations" in text(VIEW, 1, 80)
    assert "left out" not in text(VIEW, 1, 200)
    chosen = grid(VIEW, 1, ["layer", "op", "activations", "results"])
    assert "activations" in formats.text(chosen, 20)


def test_cut() -> None:
    from netspec.report.number_format import shortened

    assert shortened("fire2.expand1x1", 15) == "fire2.expand1x1"
    assert shortened("fire2.expand1x1", 10) == "fire..d1x1"
    for width in range(1, 20):
        assert len(shortened("a" * 20, width)) == width


def test_sorting() -> None:
    by_macs = grid(VIEW, 1, sort="macs").cells
    macs = [row[6] for row in by_macs]
    assert macs == sorted(macs, reverse=True)
    assert by_macs[0][0] == "conv1"
    upwards = grid(VIEW, 1, sort="params", ascending=True).cells
    assert [row[4] for row in upwards] == sorted(row[4] for row in upwards)
    names = [row[0] for row in grid(VIEW, 1, sort="layer").cells]
    assert names == sorted(names)
    # Rows without the figure stand at the end, whichever way.
    for ascending in (False, True):
        kernels = [row[2] for row in grid(VIEW, 1, sort="kernel", ascending=ascending).cells]
        some = [k for k in kernels if k is not None]
        assert kernels == some + [None] * (len(kernels) - len(some))


# --- side by side --------------------------------------------------------------------------------


def test_compared_figures_and_ratios() -> None:
    nets = [loaded("squeezenet1_0"), loaded("squeezenet1_1"), NET]
    views = [NetView(net) for net in nets]
    found = compared_data(views)
    assert [entry["net"] for entry in found] == [net.name for net in nets]
    for entry, net in zip(found, nets, strict=True):
        assert entry["figures"]["params"] == net.params
        assert entry["figures"]["macs"] == net.macs
        assert entry["ratios"]["macs"] == pytest.approx(net.macs / nets[0].macs, rel=1e-5)
    assert set(found[0]["ratios"].values()) == {1.0}
    table = formats.text(comparison(views))
    assert re.search(r"^params +1,248,424 +1,235,496 +0\.99x +1,589,672 +1\.27x$", table, re.M)
    assert "ratio: how many times the figure of squeezenet1_0" in table
    read = list(csv.DictReader(io.StringIO(formats.csv(comparison(views)))))
    params = next(row for row in read if row["figure"] == "params")
    assert params["squeezenet1_1"] == "1235496"
    assert float(params["squeezenet1_1 ratio"]) == pytest.approx(0.989645)
    for write in (formats.markdown, formats.latex, html_table):
        assert "1,235,496" in write(comparison(views))


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_compared_nets_fit_the_width(width: int) -> None:
    names = ["squeezenet1_0", "squeezenet1_1", "alexnet", "resnet50", "mobilenet_v2"]
    nets = [loaded(name) for name in names]
    lines = formats.text(comparison([NetView(net) for net in nets]), width).splitlines()
    table = lines[2 : lines.index("MB: 10^6 bytes")]
    headings = [line.split() for line in table if any(name in line.split() for name in names)]
    assert [word for line in headings for word in line if word in names] == names
    # A ratio stands beside its net, and every block says what its rows are.
    shown = [word for line in headings for word in line]
    assert all(shown[shown.index(name) + 1] == "ratio" for name in names[1:])
    assert sum(line.startswith("params ") for line in lines) == len(headings)
    assert max(len(line) for line in lines[1:]) <= width
    assert (len(headings) == 1) == (width >= 100)


def test_nothing_to_divide_by() -> None:
    bare, other = (
        NetView(net_of(body(s, "1x2x2"))) for s in ("relu", "conv { filters: 1 kernel: 1 }")
    )
    assert compared_data([bare, other])[1]["ratios"]["params"] is None
    assert "params" in formats.text(comparison([bare, other]))
