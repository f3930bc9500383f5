"""Lines that are used again, in tables, differences, comments, pictures and the IR's flat view."""

from __future__ import annotations

import re

from netspec.diagnostics.source import Source
from netspec.diagram import style
from netspec.diagram.boxes import sheet_of
from netspec.diagram.html import data as page_data
from netspec.diagram.scene import DiagramView
from netspec.ir import Net
from netspec.metrics.counting import CONVENTIONS, counts
from netspec.metrics.size import sizes
from netspec.report import diff
from netspec.report.annotate import annotate
from netspec.report.columns import NetView
from netspec.report.json_output import data
from netspec.report.rows import rows

from ..diagram.nets import drawn
from ..helpers import checked, net_of

TEXT = """\
module part {
  input x
  a: conv { filters: 4  kernel: 3  pad: 1 } -> batchnorm -> relu
  b: a(a)
}
net twins {
  input x: 4x8x8
  input y: 4x6x6
  one: part(x)
  two: one(y)
  c: dropout(one) -> conv { filters: 2  kernel: 1 }
  d: c(two)
  output c, d
}
"""
APART = TEXT.replace("two: one(y)", "two: part(y)").replace(
    "d: c(two)", "d: dropout(two) -> conv { filters: 2  kernel: 1 }"
)
PART, HEAD = 4 * 4 * 9 + 4 + 8, 4 * 2 + 2


def twins() -> Net:
    return net_of(TEXT)


def test_parameters_count_once_and_multiplications_each_time() -> None:
    net, apart = twins(), net_of(APART)
    assert net.params == PART + HEAD
    assert apart.params == 2 * (PART + HEAD)
    assert net.macs == apart.macs == 2 * 144 * (64 + 36) + 8 * (64 + 36)
    assert sizes(net)["float32"] == 4 * net.params
    assert sum(f.params for f in net.layers) == net.params
    assert list(net.tensors) == [t for t in apart.tensors if not t.startswith(("two", "d"))]
    assert set(net.multipliers) == {n for n, t in net.tensors.items() if t.learnable}
    assert {f.path: f.shares for f in net.layers if f.shares} == {
        "one.b": "one.a",
        "one.b_batchnorm": "one.a_batchnorm",
        "two.a": "one.a",
        "two.a_batchnorm": "one.a_batchnorm",
        "two.b": "one.a",
        "two.b_batchnorm": "one.a_batchnorm",
        "d_conv": "c_conv",
    }
    for convention in CONVENTIONS.values():
        assert counts(net, convention) == counts(apart, convention)


def test_tables_say_whose_weights_a_row_has() -> None:
    net = twins()
    found = [(r.name, r.params, r.shares, r.op) for r in rows(net, 1)]
    assert found == [
        ("one", PART, None, "part"),
        ("two", 0, "one", "part"),
        ("c", HEAD, None, "conv"),
        ("d", 0, "c", "conv"),
    ]
    layers = data(NetView(net))["layers"]
    assert {x["name"]: x.get("shares") for x in layers}["two.b"] == "one.a"
    assert sum(x["params"] for x in layers) == net.params
    apart = {x["name"]: x.get("shares") for x in data(NetView(net_of(APART)))["layers"]}
    assert (apart["two.a"], apart["two.b"], apart["d_conv"]) == (None, "two.a", None)


def test_comments_of_lines() -> None:
    net = twins()
    text = annotate(TEXT, net, net.body.nodes[0].span.source)
    comments = dict(re.findall(r"^\s*(\w+): .*#: (.*)$", text, re.MULTILINE))
    assert f"{PART} params" in comments["one"]
    assert "params" not in comments["two"]
    assert "MACs" in comments["two"]
    assert f"{PART} params" in comments["a"]
    assert "params" not in comments["b"]


def test_differences() -> None:
    found = diff.difference(net_of(APART), twins())
    what = {c.after.path: c.what for c in found.changes if c.after and c.kind == "changed"}
    assert what["two.a"] == {"params": (148, 0), "shares": (None, "one.a")}
    assert "shares none -> one.a" in diff.text(found)


def test_pictures() -> None:
    boxes = {box.name: box for box in sheet_of(twins()).boxes}
    assert boxes["one"].shares is None
    assert boxes["two"].shares == "one"
    assert style.words(boxes["two"]) == ["two", "part", "weights of one"]
    assert boxes["d_conv"].params == 0
    assert "weights of c_conv" in style.tooltip(boxes["d_conv"], "")
    for form in ("svg", "dot"):
        assert "weights of one" in drawn(twins(), form)
    view = DiagramView(sheet_of(twins()), 2, "down", "macs")
    nodes = [
        n
        for s in page_data(twins(), Source("", ""), view)["sheets"]
        for b in s["boxes"]
        for n in b["nodes"]
    ]
    assert "weights of one" in next(n for n in nodes if n["name"] == "two")["fields"]


def test_contracts_count_weights_where_they_are_made() -> None:
    net, found = checked(
        TEXT.replace(
            "output c, d",
            f"output c, d  expect params(two) == 0  expect params(one) == {PART}\n"
            "  expect params == params(one) + params(c)  expect macs(d) == 8 * 36",
        )
    )
    assert net is not None, found


def test_a_line_is_what_it_was_where_it_is_made() -> None:
    """Constants of the scope of a use play no part; the line keeps its fields."""
    net = net_of(
        """
        net n(k = 3) {
          input x: 2x9x9
          for i in 1..2 {
            let f = 2 * i
            c[i]: conv(x) { filters: f  kernel: 2 * k - 3 }
          }
          for i in 1..2 { let f = 7  d[i]: c[3 - i](x) }
          output d1, d2
        }
        """,
        {"k": 2},
    )
    assert {f.path: (f.weights, tuple(f.outputs[0].shape)) for f in net.layers[2:]} == {
        "d1": ("c2", (4, 9, 9)),
        "d2": ("c1", (2, 9, 9)),
    }
