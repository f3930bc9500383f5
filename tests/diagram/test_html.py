"""The page in a real browser: places as in the SVG, folding, table, text, hovering, untrusted text."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from netspec.diagram.draw import scene, view_of
from netspec.diagram.scene import DiagramOptions
from netspec.driver import bundled
from netspec.ir import Net

from ..helpers import loaded, net_of
from .nets import BRANCHES, EVIL, branches, drawn

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')
HELPERS = """
const result = {};
addEventListener("error", (event) => { result.error = String(event.message); });
const $ = (query) => [...document.querySelectorAll(query)];
const group = (name) => $(".box").find((g) => g.querySelector('text[font-weight="600"]')?.textContent === name);
const center = (e) => { const r = e.getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2]; };
const fire = (e, type, at, more) => e.dispatchEvent(new PointerEvent(type,
  {bubbles: true, cancelable: true, pointerId: 1, clientX: at[0], clientY: at[1], ...more}));
const click = (e) => { const at = center(e); fire(e, "pointerdown", at); fire(e, "pointerup", at); fire(e, "click", at); };
const row = (name) => $("tbody tr").find((r) => r.firstChild.textContent.replace(/[▾▸]/, "") === name);
const place = () => document.querySelector("#picture svg > g").getAttribute("transform");
"""


def dump(html: str, folder: Path, width: int = 1300) -> str:
    """The document as the browser has it after loading."""
    file = folder / "page.html"
    file.write_text(html)
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *(f"--user-data-dir={folder / 'profile'}", f"--window-size={width},850", "--dump-dom"),
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "HOME": str(folder)},
    )
    return done.stdout


def tried(html: str, script: str, folder: Path) -> dict[str, Any]:
    """What a script finds in the page; the page's own policy would forbid it, so it is taken off."""
    added = f"<script>{HELPERS}\ntry {{ {script} }} catch (e) {{ result.error = String(e); }}"
    added += "\nconst out = document.createElement('pre'); out.id = 'result';"
    added += "\nout.textContent = JSON.stringify(result); document.body.append(out);</script>"
    text = dump(POLICY.sub("", html).replace("</body>", added + "\n</body>"), folder)
    found = re.search(r'<pre id="result">(.*?)</pre>', text, re.S)
    assert found is not None, text[-2000:]
    plain = found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    result: dict[str, Any] = json.loads(plain)
    assert "error" not in result, result["error"]
    return result


def page(name: str, **style: Any) -> str:
    return drawn(loaded(name), "html", bundled()[name].read_text(), **style)


@BROWSER
@pytest.mark.parametrize(
    ("net", "style"),
    [
        ("squeezenet1_0", {}),
        ("googlenet", {"depth": 2}),
        ("resnet18", {"depth": 2, "direction": "right", "cost": "params"}),
        ("enet", {"depth": 2}),
        ("segnet", {}),
        ("shufflenet_v2", {"depth": 2}),
        ("shufflenet_v2", {"depth": 2, "direction": "right"}),
        ("", {"depth": 3}),
        ("", {"depth": 3, "direction": "right"}),
    ],
)
def test_places_are_those_of_the_svg(net: str, style: dict[str, Any], tmp_path: Path) -> None:
    checked: Net = loaded(net) if net else branches()
    chosen = DiagramOptions(**style)
    expected = scene(view_of(checked, chosen), chosen)
    script = """
    const rect = (g) => ["x", "y", "width", "height"].map((k) => +g.querySelector("rect").getAttribute(k));
    result.boxes = $(".box").map(rect);
    result.frames = $(".frame").map(rect);
    result.labels = $("svg g[stroke-linejoin] text").map((t) =>
      [t.textContent, +t.getAttribute("x"), +t.getAttribute("y")]);
    result.curves = $("svg path:not([fill]):not(marker path)").length;
    """
    found = tried(drawn(checked, "html", **style), script, tmp_path)
    for kind, wanted in (("boxes", expected.boxes), ("frames", expected.frames)):
        assert len(found[kind]) == len(wanted)
        for got, box in zip(found[kind], wanted, strict=True):
            assert got == pytest.approx([box.x, box.y, box.width, box.height], abs=1.5)
    assert found["curves"] == len(expected.curves)
    assert [text for text, _, _ in found["labels"]] == [k.text for k in expected.labels]
    for (_, x, y), label in zip(found["labels"], expected.labels, strict=True):
        assert (x, y) == (pytest.approx(label.x, abs=1.5), pytest.approx(label.y + 3.5, abs=1.5))


@BROWSER
def test_fold_hover_choose_zoom(tmp_path: Path) -> None:
    script = """
    result.rows = $("tbody tr").length;
    click(group("squeeze"));  // that of fire2
    result.chosen = $("li.chosen").map((li) => li.textContent);
    result.row = $("tr.chosen td").map((td) => td.textContent);
    fire(group("squeeze"), "pointermove", center(group("squeeze")));
    result.tip = document.getElementById("tip").hidden ? "" : document.getElementById("tip").textContent;
    click(row("fire2").querySelector(".toggle"));
    result.folded = [$("tbody tr").length, $(".frame").length, !!group("fire2")];
    click(group("fire2"));
    result.opened = [$("tbody tr").length, $(".frame").length, !!group("fire2")];
    click($(".frame")[0]);
    result.again = [$("tbody tr").length, $(".frame").length, !!group("fire2")];
    click(row("conv10"));
    result.line = $("li.chosen").map((li) => li.textContent);
    document.getElementById("fold").click();
    result.none = [$("tbody tr").length, $(".frame").length];
    document.getElementById("unfold").click();
    result.all = [$("tbody tr").length, $(".frame").length];
    let before = place();
    fire(document.getElementById("picture"), "pointerdown", [200, 300]);
    fire(document.body, "pointermove", [260, 340]);
    fire(document.body, "pointerup", [260, 340]);
    result.pan = [before, place()];
    document.getElementById("picture").dispatchEvent(
      new WheelEvent("wheel", {deltaY: -400, clientX: 200, clientY: 300, cancelable: true}));
    result.zoom = place();
    result.total = $("tfoot td").map((td) => td.textContent);
    result.outside = performance.getEntriesByType("resource").length;
    """
    found = tried(page("squeezenet1_0"), script, tmp_path)
    layers = len(loaded("squeezenet1_0").layers)
    assert found["rows"] == layers + 8  # the modules have rows of their own
    assert found["chosen"] == ["  squeeze:   conv { filters: s1x1  kernel: 1x1 } -> relu"]
    assert found["row"][0:2] == ["squeeze", "conv 1x1"]
    assert (
        "fire2.squeeze: conv 1x1\n96x54x54 → 16x54x54\n1,552 parameters, 4.5 M MACs" in found["tip"]
    )
    assert "filters: 16" in found["tip"]
    assert found["folded"] == [layers + 8 - 7, 7, True]
    assert found["opened"] == [layers + 8, 8, False]
    assert found["again"] == found["folded"]
    assert len(found["line"]) == 1
    assert found["line"][0].startswith("  conv10:")
    assert found["none"] == [layers + 8 - 56, 0]
    assert found["all"] == [layers + 8, 8]
    numbers = [
        list(map(float, re.findall(r"-?[\d.]+", text))) for text in (*found["pan"], found["zoom"])
    ]
    assert [b - a for a, b in zip(numbers[0], numbers[1], strict=True)] == pytest.approx(
        [60, 40, 0]
    )
    assert numbers[2][2] > numbers[1][2]
    assert found["total"] == ["total", "", "", "1,248,424", "818.9 M"]
    assert found["outside"] == 0


@BROWSER
def test_the_table_by_keyboard(tmp_path: Path) -> None:
    script = """
    const press = (key) => document.activeElement.dispatchEvent(
      new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
    const at = () => [document.activeElement.dataset.path, $("tbody tr").length,
      $("tr.chosen").map((r) => r.dataset.path), $("li.chosen").map((l) => l.textContent.trim().split(":")[0])];
    document.querySelector("tbody tr[tabindex='0']").focus();
    result.at = [at()];
    for (const key of ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowRight", "ArrowDown",
      "ArrowLeft", " "]) { press(key); result.at.push(at()); }
    result.stops = $("tbody tr[tabindex='0']").length;
    """
    found = tried(page("squeezenet1_0"), script, tmp_path)
    layers = len(loaded("squeezenet1_0").layers) + 8
    assert found["at"] == [
        ["conv1", layers, [], []],
        # A convolution and its relu are one box.
        ["conv1", layers, ["conv1"], ["conv1"]],
        ["pool1", layers, ["pool1"], ["pool1"]],
        ["fire2", layers, ["fire2"], ["fire2"]],
        ["fire2", layers - 7, ["fire2"], ["fire2"]],
        ["fire2", layers, ["fire2"], ["fire2"]],
        ["fire2.squeeze", layers, ["fire2.squeeze"], ["squeeze"]],
        ["fire2", layers, ["fire2"], ["fire2"]],
        ["fire2", layers - 7, ["fire2"], ["fire2"]],
    ]
    assert found["stops"] == 1


@BROWSER
def test_the_page_runs_under_its_policy(tmp_path: Path) -> None:
    html = page("squeezenet1_1")
    found = POLICY.search(html)
    assert found is not None
    assert "default-src" in found[1]
    assert "unsafe-inline" not in found[1].partition("script-src")[2]
    assert dump(html, tmp_path).count('class="box"') == 42


@BROWSER
def test_texts_of_the_spec_are_no_markup(tmp_path: Path) -> None:
    script = """
    for (const g of $(".box")) { click(g); fire(g, "pointermove", center(g)); }
    result.evil = window.evil === undefined ? null : window.evil;
    result.images = $("img, b").length;
    result.scripts = document.scripts.length;
    result.text = $("#spec li").map((li) => li.textContent).join("\\n");
    result.handlers = $("*").filter((e) => e.getAttributeNames().some((n) => n.startsWith("on"))).length;
    """
    found = tried(drawn(net_of(EVIL), "html", EVIL, depth=1), script, tmp_path)
    assert found == {
        "evil": None,
        "images": 0,
        "scripts": 3,
        "handlers": 0,
        "text": found["text"],
    }
    assert found["text"].startswith(EVIL.rstrip("\n"))


@BROWSER
def test_a_net_that_is_too_large_to_open(tmp_path: Path) -> None:
    modules = "module m0() { input x\n relu }\n"
    modules += "\n".join(
        f"module m{i}() {{ input x\n m{i - 1} -> m{i - 1} }}" for i in range(1, 14)
    )
    script = """
    const before = $(".box").length;
    document.getElementById("unfold").click();
    result.boxes = [before, $(".box").length];
    result.status = document.getElementById("status").textContent;
    """
    net = net_of(f"{modules}\nnet large {{ input data: 3x8x8\n m13 }}")
    found = tried(drawn(net, "html"), script, tmp_path)
    assert found["boxes"][0] == found["boxes"][1]
    assert "open fewer modules" in found["status"]


def test_nothing_of_the_spec_ends_an_element() -> None:
    html = drawn(net_of(EVIL), "html", EVIL, depth=1)
    assert html.count("</script>") == 2
    assert "<img" not in html
    held = re.search(r'<script type="application/json" id="net">(.*?)</script>', html, re.S)
    assert held is not None
    data = json.loads(held[1])
    assert data["files"][0]["text"] == EVIL
    assert "http:" not in html.replace("http://www.w3.org/2000/svg", "")


def test_a_block_is_written_once() -> None:
    """Each further use of a module adds a box, not the module's inside."""
    module = "module m() { input x\n" + "relu -> tanh\n" * 20 + "}\n"
    few, many = (
        len(drawn(net_of(f"{module}net n {{ input x: 1x2x2\n for i in 1..{n} {{ m }} }}"), "html"))
        for n in (2, 1000)
    )
    assert many < few + 1000 * 500
    assert drawn(net_of(BRANCHES), "html") == drawn(net_of(BRANCHES), "html")
