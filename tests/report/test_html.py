"""Tables in a page: modules are rows that fold, without network, whatever the spec says."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from netspec.ir import Net
from netspec.report.columns import NetView
from netspec.report.compare import comparison
from netspec.report.html import html_page, html_table
from netspec.report.rows import rows, tree
from netspec.report.table import grid

from ..helpers import loaded, net_of

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
NET = loaded("squeezenet1_0")
NESTED = """
module inner(n) { input x
  conv(x) { filters: n  kernel: 1 } -> relu }
module outer(n) { input x
  a: inner { n: n }
  b: inner(a) { n: n } -> relu }
net nested {
  input data: 1x4x4
  first: outer { n: 2 } -> relu
  second: outer { n: 3 }
  output second }
"""


def page(net: Net, depth: int | None = None) -> str:
    return html_page(net.name, [grid(NetView(net), depth, folding=True)])


@pytest.mark.parametrize("depth", [None, 1, 2, 3])
@pytest.mark.parametrize("name", ["squeezenet1_0", "densenet121", "nested"])
def test_a_tree_has_the_rows_of_its_depth_and_all_below(name: str, depth: int | None) -> None:
    net = net_of(NESTED) if name == "nested" else loaded(name)
    found = tree(net, depth)
    assert [f for b in found if b.level == 0 for f in b.row.layers] == list(net.layers)
    for i, branch in enumerate(found):
        inside = []
        for below in found[i + 1 :]:
            if below.level <= branch.level:
                break
            if below.level == branch.level + 1:
                inside.append(below.row)
        assert branch.opens == bool(inside)
        if inside:
            assert [f for row in inside for f in row.layers] == list(branch.row.layers)
            assert sum(row.params for row in inside) == branch.row.params
            assert sum(row.macs for row in inside) == branch.row.macs
    # What shows at first, open modules apart, is what the text has.
    shown, folded = [], float("inf")
    for branch in found:
        if branch.level > folded:
            continue
        folded = branch.level if branch.opens and not branch.open else float("inf")
        if not branch.open:
            shown.append((branch.row.name, branch.row.layers))
    assert shown == [(row.name, row.layers) for row in rows(net, depth)]


def test_no_tree_of_nothing() -> None:
    assert tree(NET, 0) == []
    assert "<script>" not in page(NET, 0)
    flat = (
        grid(NetView(NET), None, ["params"], folding=True),
        grid(NetView(NET), None, None, "params", folding=True),
        comparison([NetView(NET), NetView(NET)]),
    )
    for found in flat:
        assert "<script>" not in html_page("x", [found])
        assert not found.branches


def test_a_page_is_well_formed_and_needs_no_network() -> None:
    found = page(NET)
    table = ET.fromstring(found[found.index("<table") : found.index("</table>") + 8])
    body = table.find("tbody")
    assert body is not None
    assert len(body) == len(NET.layers) + 8
    named = {str(row[0].get("title")): "".join(row[0].itertext()) for row in body}
    assert named["fire2.squeeze"] == "squeeze"
    assert not re.search(r"https?://|<link|<img|src=|@import|url\(", found)
    assert "default-src 'none'" in found


HOSTILE = r"""
module m(a, b = "") { input x
  conv { filters: a  kernel: 1 } -> relu }
net n { input data: 3x8x8
  m { a: 4  b: "</td><script>evil = 1</script><img src=x onerror='evil=1'>&\"" }
  m { a: 4  b: "</style></table><!--" } }
"""


def test_words_of_the_spec_are_no_markup() -> None:
    for found in (page(net_of(HOSTILE), 1), html_table(grid(NetView(net_of(HOSTILE))))):
        assert found.count("<script") <= 1
        assert "<img" not in found
        assert "<!--" not in found
        assert found.count("</style>") == found.count("<style>")
        table = ET.fromstring(found[found.index("<table") : found.index("</table>") + 8])
        assert table.find("tbody") is not None


def tried(text: str, script: str, folder: Path) -> Any:
    """What `script` leaves in `result`, run in the page behind its own script."""
    # The page's policy lets no other script run; that it does so is not what is tried here.
    text = re.sub(r"<meta http-equiv=.Content-Security-Policy.*?>", "", text)
    work = (
        f"<pre id=result></pre><script>const result = {{}}; {script}"
        "document.getElementById('result').textContent = JSON.stringify(result);</script>"
    )
    (folder / "page.html").write_text(text + work)
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={folder / 'profile'}", (folder / "page.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=90)
    written = re.search(r"<pre id=\"result\">(.*?)</pre>", done.stdout, re.S)
    assert written is not None
    return json.loads(html.unescape(written[1]))


SCRIPT = """
const rows = [...document.querySelectorAll("tbody tr")];
const seen = () => rows.filter((row) => row.getClientRects().length).map((row) => row.cells[0].title);
const named = (name) => rows.find((row) => row.cells[0].title === name);
const press = (key) => document.activeElement.dispatchEvent(
  new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
result.first = seen();
named("second").querySelector("button").click();
result.second = seen();
named("second.b").cells[3].click();
result.deeper = seen();
named("second").querySelector("button").focus();
press("ArrowLeft");
result.left = seen();
press("ArrowUp");
press("ArrowRight");
result.up = seen();
const [fold, unfold] = document.querySelectorAll("button.all");
unfold.click();
result.all = seen().length;
fold.click();
result.none = seen();
"""


@BROWSER
def test_modules_fold_in_a_browser(tmp_path: Path) -> None:
    net = net_of(NESTED)
    found = tried(page(net, 1), SCRIPT, tmp_path)
    inside = ["second.a", "second.b"]
    assert found["first"] == found["left"] == found["none"] == ["first", "second"]
    assert found["second"] == ["first", "second", *inside]
    assert found["deeper"] == [*found["second"], "second.b", "second.b_relu"]
    assert found["up"] == ["first", "first", "first_relu", "second"]
    assert found["all"] == len(tree(net, 1))


@BROWSER
def test_the_page_runs_under_its_policy(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page(NET, 1))
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "page.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=90)
    assert "unfold all" in done.stdout
    assert done.stdout.count('hidden=""') > len(NET.layers) / 2
