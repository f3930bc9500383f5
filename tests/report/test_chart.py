"""Charts: what a reader measures with the axes is what was drawn; any words leave them sound."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspec.explore.sweep import front
from netspec.report.chart import Panel, Series, chart, linear
from netspec.report.sweep_chart import sweep_chart

SPACE = "{http://www.w3.org/2000/svg}"
NUMBERS = st.floats(-1e6, 1e6).map(lambda v: round(v, 3))


@given(st.lists(st.floats(-1e9, 1e9).map(lambda v: round(v, 3)), min_size=1, max_size=9))
def test_an_axis_holds_its_values(values: list[float]) -> None:
    scale = linear(values)
    slack = (scale.high - scale.low) * 1e-6
    assert scale.low - slack <= min(values)
    assert max(values) <= scale.high + slack
    assert 2 <= len(scale.ticks) <= 9
    assert all(-0.001 <= scale.share(v) <= 1.001 for v in values)
    assert linear(values, zero=True).low <= 0 or min(values) < 0
    tight = linear(values, tight=True)
    if len(set(values)) > 1:
        assert (tight.low, tight.high) == (min(values), max(values))
    assert all(-1e-6 <= tight.share(v) <= 1 + 1e-6 for v, _ in tight.ticks)


def measured(ticks: dict[float, float], place: float) -> float:
    """The value at a place of an axis, from the two ticks that are farthest apart."""
    (low, a), (high, b) = min(ticks.items()), max(ticks.items())
    return low + (place - a) * (high - low) / (b - a)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=6))
def test_the_axes_give_back_what_was_drawn(points: list[tuple[float, float]]) -> None:
    x, y = linear([a for a, _ in points]), linear([b for _, b in points])
    picture = ET.fromstring(
        chart("t", [Panel([Series("", points, "red")], x, y, "", "")], columns=1)
    )
    texts = [t for t in picture.iter(f"{SPACE}text") if t.text]
    across, up = (
        {
            float(str(t.text).replace(",", "")): float(t.attrib[at]) - shift
            for t in texts
            if t.get("text-anchor") == anchor
        }
        for at, anchor, shift in (("x", "middle", 0), ("y", "end", 4))
    )
    (line,) = picture.iter(f"{SPACE}polyline")
    drawn = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
    for (a, b), (left, top) in zip(points, drawn, strict=True):
        assert measured(across, left) == pytest.approx(a, abs=2e-3 * (x.high - x.low))
        assert measured(up, top) == pytest.approx(b, abs=2e-3 * (y.high - y.low))


@pytest.mark.parametrize(("columns", "size"), [(1, (100, 630)), (2, (200, 430)), (9, (300, 230))])
def test_panels_stand_in_rows(columns: int, size: tuple[int, int]) -> None:
    panel = Panel([Series("", [(0, 0)], "red")], linear([0]), linear([0]), "", "")
    picture = ET.fromstring(chart("t", [panel] * 3, columns=columns, width=100, height=200))
    assert (int(picture.attrib["width"]), int(picture.attrib["height"])) == size
    assert len({g.attrib["transform"] for g in picture.iter(f"{SPACE}g")}) == 3


def test_a_chart_is_well_formed_whatever_it_holds() -> None:
    hostile = '<script>"&'
    settings = [{"a": v, hostile: w} for v in (True, "x<y") for w in ([1, 2], hostile)]
    found: list[dict[str, Any]] = [
        {"settings": s, "params": i, "macs": 10 - i, "size": 4 * i} for i, s in enumerate(settings)
    ]
    found.append({"settings": settings[0], "error": {"code": "x", "message": "y"}})
    axes: list[tuple[str, list[Any]]] = [("a", [True, "x<y"]), (hostile, [[1, 2], hostile])]
    picture = ET.fromstring(sweep_chart(hostile, found, axes, front(found)))
    text = "".join(picture.itertext())
    assert hostile in text
    assert "Pareto front" in text
    empty = ET.fromstring(sweep_chart("nothing", [], [], []))
    assert int(empty.attrib["height"]) > 0


@pytest.mark.parametrize("count", [1, 2, 5, 8, 9])
def test_legends_are_below_the_points(count: int) -> None:
    values = [f"a name of {n} and some" for n in range(count)]
    found: list[dict[str, Any]] = [
        {"settings": {"a": a, "b": b}, "params": 5, "macs": 3, "size": 4_000_000}
        for a in (1, 2)
        for b in values
    ]
    axes: list[tuple[str, list[Any]]] = [("a", [1, 2]), ("b", values)]
    picture = ET.fromstring(sweep_chart("t", found, axes, front(found)))
    panel = next(picture.iter(f"{SPACE}g"))
    lowest = max(float(c.attrib["cy"]) for c in panel.iter(f"{SPACE}circle")) if count < 9 else 0
    words = {str(t.text): float(t.get("y", 0)) for t in panel.iter(f"{SPACE}text")}
    legend = [y for text, y in words.items() if text.startswith("b 'a name") or "lines" in text]
    assert len(legend) == (0 if count == 1 else 1 if count > 8 else count)
    assert all(lowest < y < float(picture.get("height", 0)) - 30 for y in legend)
