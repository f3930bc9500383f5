"""Modules, parameters and loops found by names such as `layer1.0.conv1`."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.diagnostics import Diagnostics
from netspec.importers.spec_tree.spec_text import net_of_tree, spec_text
from netspec.importers.spec_tree.tree import NetHeading, structured_tree
from netspec.importers.structure.graph import Graph, GraphValue
from netspec.importers.structure.simplify import simplify
from netspec.ir import Net, Value

from .graphs import SOURCE
from .named_nets import NETS, NamedMaker

SPECS = Path(__file__).parent / "specs"


def converted(graph: Graph, name: str = "found") -> tuple[str, Net]:
    """The text of a graph, and its net, which is the graph's node for node."""
    simplify(graph)
    found = Diagnostics()
    tree = structured_tree(graph, NetHeading(name, "", SOURCE), True)
    net = net_of_tree(tree.file, {}, found)
    assert net is not None, [d.message for d in found]
    values: dict[GraphValue, Value] = {
        given.value: value for given, value in zip(graph.inputs, net.body.inputs, strict=True)
    }
    assert {id(n) for n in tree.nodes} == {id(n) for n in graph.nodes}
    for node, layer in zip(tree.nodes, net.layers, strict=True):
        assert [values[v] for v in node.inputs] == list(layer.inputs), node.name
        assert repr(node.bound()) == repr(layer.op), node.name
        values |= zip(node.outputs, layer.outputs, strict=False)
    assert [values[v] for v in graph.outputs] == list(net.flat_outputs)
    return spec_text(tree.file, net, {}, {}, [], {}), net


@pytest.mark.parametrize("name", NETS)
def test_spec(name: str, update: bool) -> None:
    """The whole text; `pytest --update` rewrites it."""
    make, params, lines = NETS[name]
    maker = make()
    text, net = converted(maker.net(maker.graph.nodes[-1].value), name)
    path = SPECS / f"{name}.net"
    if update:
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
    assert net.params == params
    assert len(text.splitlines()) <= lines


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v3_large", "densenet121"])
def test_without_classes_the_structure_is_the_same(name: str) -> None:
    make, params, lines = NETS[name]
    maker = make()
    text, net = converted(maker.net(maker.graph.nodes[-1].value, with_classes=False), name)
    assert net.params == params
    assert len(text.splitlines()) <= lines


def test_blocks_that_differ_in_wiring_are_modules_of_their_own() -> None:
    make = NamedMaker(16, 8, 8)
    x = make.x
    for i in range(6):
        name = f"blocks.{i}"
        make.classes[name] = "Block"
        y = make.conv(f"{name}.a", x, 16, 3)
        z = make.conv(f"{name}.b", y if i % 2 else x, 16, 3)
        w = make.conv(f"{name}.c", make.add("relu", f"{name}.relu", z), 16)
        x = make.add("mul", f"{name}.mul", w, y)
    text, _ = converted(make.net(x))
    assert text.count("module block") == 2


def test_a_shortcut_in_front_of_its_block_stands_where_it_is_added() -> None:
    make = NamedMaker(8, 16, 16)
    x = make.x
    for i, (filters, stride) in enumerate([(16, 2), (16, 1), (32, 2), (32, 1)]):
        name = f"stage.{i}"
        make.classes[name] = "Block"
        short = x
        if stride == 2:
            short = make.conv(f"{name}.proj", x, filters, 1, 2)
        y = make.conv(f"{name}.a", x, filters, 3, stride)
        y = make.conv(f"{name}.b", make.add("relu", f"{name}.relu", y), filters, 3)
        x = make.add("add", f"{name}.add", short, y)
    text, _ = converted(make.net(x))
    words = " ".join(text.split())
    assert (
        "if stride != 1 or x.channels != filters { "
        "proj: conv(x) { filters: filters kernel: 1x1 stride: stride bias: false } "
        "add(proj, b) } else { add(x, b) }"
    ) in words


def test_values_inside_a_loop_are_taken_from_outside() -> None:
    make = NamedMaker(8, 8, 8)
    x = make.x
    taps = []
    for i in range(5):
        name = f"blocks.{i}"
        make.classes[name] = "Block"
        y = make.conv(f"{name}.a", x, 8, 3)
        y = make.conv(f"{name}.b", make.add("relu", f"{name}.relu", y), 8, 3)
        x = make.add("add", f"{name}.add", x, y)
        taps += [x] if i in (1, 3) else []
    text, _ = converted(make.net(make.add("concat", "cat", *taps, x)))
    assert "for i in 0..4 {" in text
    assert "concat(blocks1, blocks3, blocks4)" in text


def test_many_blocks_take_a_moment() -> None:
    """Work grows with the number of layers, not with its square."""
    make = NamedMaker(8, 4, 4)
    x = make.x
    for i in range(400):
        name = f"blocks.{i}"
        y = make.conv(f"{name}.a", x, 8 + 8 * (i % 3), 3)
        y = make.conv(f"{name}.b", make.add("relu", f"{name}.relu", y), 8, 1 + 2 * (i % 2))
        x = make.add("add", f"{name}.add", x, y)
    for i in range(600):
        x = make.add("relu", f"part{i}x.act", make.conv(f"part{i}x.conv", x, 8 + i % 7))
    text, _ = converted(make.net(x))
    assert len(text.splitlines()) < 1300


# Random nets: stages of blocks, each kind with layers that some blocks have and some do not.

KINDS = st.lists(
    st.tuples(
        st.sampled_from(["conv", "deep", "norm", "act", "gate"]),
        st.integers(1, 3),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)
BLOCKS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from([8, 16, 24]),
        st.sampled_from([1, 2]),
        st.integers(0, 63),
        st.sampled_from(["relu", "silu", "hardswish"]),
    ),
    min_size=2,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(KINDS, min_size=2, max_size=2), st.lists(BLOCKS, min_size=1, max_size=3), st.booleans()
)
def test_random_nets_stay_the_same(
    kinds: list[list[tuple[str, int, bool]]],
    stages: list[list[tuple[int, int, int, int, str]]],
    with_classes: bool,
) -> None:
    make = NamedMaker(8, 16, 16)
    x = make.x
    for s, blocks in enumerate(stages):
        for b, (kind, filters, stride, mask, activation) in enumerate(blocks):
            name = f"stages.{s}.{b}"
            make.classes[name] = f"Block{kind}"
            y = x
            for k, (what, size, optional) in enumerate(kinds[kind]):
                if optional and not mask >> k & 1:
                    continue
                part = f"{name}.{'body.' if k % 2 else ''}{k}"
                if what == "conv":
                    y = make.conv(part, y, filters * size, 2 * (size % 2) + 1, stride if k else 1)
                elif what == "deep":
                    deep = int(y.shape[0])
                    y = make.conv(part, y, deep, 3, stride, groups="depthwise")
                elif what == "norm":
                    y = make.add("batchnorm", part, y, eps=Fraction(size, 1000))
                elif what == "act":
                    y = make.add(activation, part, y)
                else:
                    y = make.squeeze_excitation(part, y, 4 * size, activation, "sigmoid")
            if mask & 32 and y.shape != x.shape and y is not x:
                stride_now = -(-int(x.shape[1]) // int(y.shape[1]))
                x = make.conv(f"{name}.short.0", x, int(y.shape[0]), 1, stride_now)
                x = make.add("batchnorm", f"{name}.short.1", x)
            if y is not x and y.shape == x.shape:
                y = make.add("add", f"{name}.add", y, x)
            x = y
    if make.graph.nodes:
        converted(make.net(x, with_classes=with_classes))


def test_blocks_of_a_list_are_named_by_their_class() -> None:
    make = NamedMaker(8, 16, 16)
    x = make.conv("0", make.x, 8, 3)
    for i, (filters, stride) in enumerate([(8, 1), (16, 2), (16, 1), (32, 2)], 1):
        name = f"{i}"
        make.classes[name] = "Block"
        y = make.conv(f"{name}.conv1", x, filters, 3, stride)
        y = make.conv(f"{name}.conv2", make.add("relu", f"{name}.relu", y), filters, 3)
        if x.shape != y.shape:
            x = make.conv(f"{name}.short.0", x, filters, 1, stride)
        x = make.add("add", f"{name}.add", y, x)
    text, _ = converted(make.net(x))
    assert "module block(filters, stride = 1) {" in text
    assert "block[i]: block { filters: filters stride: stride }" in " ".join(text.split())


def test_parts_of_a_split_stay_in_front_of_what_takes_them() -> None:
    make = NamedMaker(16, 8, 8)
    x = make.x
    for i in range(4):
        name = f"blocks.{i}"
        make.classes[name] = "Block"
        first = make.add("split", f"{name}.split", x, parts=2)
        second = make.graph.nodes[-1].outputs[1]
        y = make.conv(f"{name}.a", first, 8, 3)
        z = make.conv(f"{name}.b", make.add("add", f"{name}.add", y, second), 8, 3)
        x = make.add("concat", f"{name}.cat", y, z)
    text, _ = converted(make.net(x))
    assert "module block {" in text
    assert "for i in 0..3 { blocks[i]: block }" in text


def test_many_filters_have_short_names() -> None:
    make = NamedMaker(16, 8, 8)
    x = make.x
    for i in range(3):
        name = f"mixed{i}"
        make.classes[name] = "Inception"
        widths = [(8, 16, 24), (16, 40, 8), (24, 8, 8), (8, 8, 16), (40, 16, 24)]
        sides = [
            make.conv(f"{name}.branch{k}.conv", x, w, 3) for k, w in enumerate(w[i] for w in widths)
        ]
        x = make.add("concat", f"{name}.cat", *sides)
    text, net = converted(make.net(x))
    assert "module inception(b0" in text
    assert net.params == sum(
        n.value.shape[0] * n.inputs[0].shape[0] * 9 for n in make.graph.nodes if n.op == "conv"
    )


def test_names_without_paths_leave_it_to_what_repeats() -> None:
    make = NamedMaker(16, 8, 8)
    x = make.x
    for i in range(4):
        y = make.conv(f"stage{i}_a", x, 16, 3)
        y = make.conv(f"stage{i}_b", make.add("relu", f"stage{i}_relu", y), 16, 3)
        x = make.add("add", f"stage{i}_add", x, y)
    text, _ = converted(make.net(x))
    assert "module" in text
