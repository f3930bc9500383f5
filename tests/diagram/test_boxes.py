"""What a picture has: boxes, wires, rows."""

from __future__ import annotations

import random

import pytest

from netspec.diagram.boxes import OUTSIDE, Sheet, sheet_of
from netspec.diagram.coordinates import _spread
from netspec.diagram.layering import Layering, arrange

from ..helpers import body, loaded, net_of
from .nets import NAMES, branches


def sheets(sheet: Sheet) -> list[Sheet]:
    found = [sheet]
    for one in found:
        found += [b.sheet for b in one.boxes if b.sheet is not None and b.sheet not in found]
    return list(dict.fromkeys(found))


def test_chains_of_one_shape_are_stacks() -> None:
    net = net_of(
        body(
            "a: conv { filters: 4 kernel: 3x3 pad: 1 } -> batchnorm -> relu\n"
            "b: conv { filters: 4 kernel: 1x1 } -> global_avgpool -> softmax\n"
            "c: conv(a) { filters: 4 kernel: 1x1 } -> relu\n d: add(c, c)\n flatten\n output d, b"
        )
    )
    found = [[k.name for k in box.layers] for box in sheet_of(net).boxes if not box.end]
    assert found[:5] == [
        ["a", "a_batchnorm", "a_relu"],
        ["b"],  # the pooling has another shape
        ["b_global_avgpool", "b_softmax"],
        ["c", "c_relu"],
        ["d"],
    ]


def test_no_stack_of_convolutions() -> None:
    net = net_of(body("for i in 1..5 { conv { filters: 3 kernel: 1x1 } }\nfor i in 1..20 { relu }"))
    counts = [len(box.layers) for box in sheet_of(net).boxes if not box.end]
    assert counts == [1, 1, 1, 1, 6, 6, 6, 3]


def test_a_layer_that_others_use_ends_its_stack() -> None:
    net = net_of("module m() { input x\n a: relu\n b: tanh\n output a, b }\n" + body("m"))
    inside = sheet_of(net).boxes[1].sheet
    assert inside is not None
    assert [len(box.layers) for box in inside.boxes] == [1, 1]


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_and_every_value_is_drawn(name: str) -> None:
    net = loaded(name)

    def layers(sheet: Sheet, prefix: str) -> list[str]:
        found = []
        for box in sheet.boxes:
            found += [prefix + layer.name for layer in box.layers]
            if box.sheet is not None:
                found += layers(box.sheet, f"{prefix}{box.name}.")
        return found

    top = sheet_of(net)
    assert layers(top, "") == [layer.path for layer in net.layers]
    for sheet in sheets(top):
        taken = {wire.target for wire in sheet.wires}
        wanted = {(i, k) for i, box in enumerate(sheet.boxes) for k in range(len(box.inputs))}
        assert taken == wanted | {(OUTSIDE, k) for k in range(sheet.outputs)}
        for wire in sheet.wires:
            if OUTSIDE not in (wire.source[0], wire.target[0]):
                assert wire.source[0] < wire.target[0]


def test_modules_that_only_hand_on_are_no_boxes() -> None:
    assert [box.name for box in sheet_of(branches()).boxes] == [
        *("left", "right", "sum", "deep", "pool", "back", "same", "late"),
        *("late", "pool"),
    ]


def test_indices_are_told_apart() -> None:
    wires = sheet_of(branches()).wires
    assert [w.value.name for w in wires if w.indices] == ["pool.indices"]


def test_boxes_are_counted_by_depth() -> None:
    sheet = sheet_of(loaded("squeezenet1_0"))
    assert sheet.levels == 2
    assert sheet.count(1) == 18
    assert sheet.count(2) == sheet.count(9) == 18 + 8 * 3


# --- rows ----------------------------------------------------------------------------------------


def check_plan(sheet: Sheet, plan: Layering) -> None:
    rows = {item: r for r, row in enumerate(plan.rows) for item in row}
    assert sorted(rows) == list(range(len(rows)))
    for link in plan.links:
        assert rows[link.target] == rows[link.source] + 1
    after: dict[int, set[int]] = {}
    for link in plan.links:
        after.setdefault(link.source, set()).add(link.target)

    def reached(item: int) -> set[int]:
        """Where one comes from an item through bends."""
        found = set()
        for target in after.get(item, ()):
            found |= reached(target) if target >= plan.first_bend else {target}
        return found

    wanted: dict[int, set[int]] = {}
    for wire in sheet.wires:
        (a, i), (b, k) = wire.source, wire.target
        start = plan.first_input + i if a == OUTSIDE else a
        wanted.setdefault(start, set()).add(plan.first_output + k if b == OUTSIDE else b)
    for start, ends in wanted.items():
        assert reached(start) == ends


@pytest.mark.parametrize("name", NAMES)
def test_links_are_the_wires(name: str) -> None:
    for sheet in sheets(sheet_of(loaded(name))):
        check_plan(sheet, arrange(sheet))


def test_links_are_the_wires_with_ports() -> None:
    for sheet in sheets(sheet_of(branches())):
        check_plan(sheet, arrange(sheet))


def test_a_value_used_by_many_is_one_line() -> None:
    lines = "\n".join(
        f"l{i}: relu(data)" if not i else f"l{i}: add(l{i - 1}, data)" for i in range(9)
    )
    plan = arrange(sheet_of(net_of(body(lines))))
    bends = sum(map(len, plan.rows)) - plan.first_bend
    assert bends == 8  # one in each row that the input passes, not one for each of its uses


def test_order_without_crossings_where_there_is_one() -> None:
    """Two branches whose ends are named the other way round."""
    net = net_of(
        body("a: relu(data)\n b: tanh(data)\n c: sigmoid(b)\n d: relu6(a)\n e: concat(d, c)")
    )
    plan = arrange(sheet_of(net))
    place = {item: i for row in plan.rows for i, item in enumerate(row)}
    pairs = [(place[k.source], place[k.target]) for k in plan.links if k.source in plan.rows[1]]
    assert sorted(pairs) == [(0, 0), (1, 1)]


def test_spread_is_the_least_squares() -> None:
    """No small step that keeps the distances brings places nearer to those wanted."""
    dice = random.Random(3)
    for _ in range(200):
        n = dice.randint(1, 6)
        wanted = [dice.uniform(-50, 50) for _ in range(n)]
        weights = [dice.choice([0.5, 1.0, 8.0]) for _ in range(n)]
        apart = [dice.uniform(1, 30) for _ in range(n - 1)]
        found = _spread(wanted, weights, apart)

        def cost(places: list[float], wanted: list[float], weights: list[float]) -> float:
            return sum(w * (p - d) ** 2 for p, d, w in zip(places, wanted, weights, strict=True))

        for i, r in enumerate(apart):
            assert found[i + 1] - found[i] >= r - 1e-9
        for _ in range(60):
            i, k = sorted((dice.randrange(n), dice.randrange(n)))
            step = dice.choice([-0.1, 0.1])
            other = [p + step * (i <= j <= k) for j, p in enumerate(found)]
            if all(other[j + 1] - other[j] >= r - 1e-9 for j, r in enumerate(apart)):
                assert cost(other, wanted, weights) >= cost(found, wanted, weights) - 1e-6
