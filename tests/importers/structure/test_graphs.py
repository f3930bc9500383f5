"""Structure found in graphs of no tool in particular, and written as a spec."""

from __future__ import annotations

import ast
from pathlib import Path

from netspec.diagnostics import Diagnostics
from netspec.importers import spec_tree, structure
from netspec.importers.spec_tree.spec_text import net_of_tree, spec_text
from netspec.importers.spec_tree.tree import NetHeading, plain_tree, structured_tree
from netspec.importers.structure.chains import chains_of
from netspec.importers.structure.graph import Graph
from netspec.importers.structure.repeated_modules import repeated_modules
from netspec.importers.structure.simplify import simplify
from netspec.ir import Net

from .graphs import SOURCE, GraphMaker


def spec(graph: Graph, classifies: bool = False) -> tuple[str, Net]:
    """The text of a graph as a spec, white space made single, and its net."""
    found = Diagnostics()
    tree = structured_tree(graph, NetHeading("found", "", SOURCE), classifies)
    net = net_of_tree(tree.file, {}, found)
    assert net is not None, [d.message for d in found]
    text = spec_text(tree.file, net, {}, {}, [], {})
    assert [n.op for n in tree.nodes] == [layer.op.keyword for layer in net.layers]
    return "\n".join(" ".join(line.split()) for line in text.splitlines()), net


def residual_net(*widths: int) -> Graph:
    """Blocks of two convolutions whose input is added, through a convolution where it differs."""
    make = GraphMaker(16, 8, 8)
    x = make.x
    for i, filters in enumerate(widths):
        stride = 1 if i == 0 else 2
        y = make.add(
            "conv", f"stage{i}/c1", x, filters=filters, kernel=(3, 3), stride=stride, pad=1
        )
        y = make.add("relu", f"stage{i}/r1", y)
        y = make.add("conv", f"stage{i}/c2", y, filters=filters, kernel=(3, 3), pad=1)
        short = x
        if x.shape != y.shape:
            short = make.add(
                "conv", f"stage{i}/short", x, filters=filters, kernel=(1, 1), stride=stride
            )
        x = make.add("add", f"stage{i}/sum", short, y)
    return make.done(x)


def test_chains_end_where_a_value_is_taken_twice() -> None:
    make = GraphMaker(3, 8, 8)
    a = make.add("relu", "a2", make.add("conv", "a", make.x, filters=4, kernel=(1, 1)))
    b = make.add("conv", "b", a, filters=4, kernel=(1, 1))
    graph = make.done(make.add("add", "sum", a, b))
    assert [[n.name for n in c.nodes] for c in chains_of(graph)] == [["a", "a2"], ["b"], ["sum"]]


def test_repeated_blocks_become_one_module_with_parameters() -> None:
    text, net = spec(residual_net(16, 32, 64))
    assert "module stage(filters, stride = 1) {" in text
    assert "if stride != 1 or x.channels != filters {" in text
    assert text.count("conv {") == 2
    assert "short: conv(x) { filters: filters kernel: 1x1 stride: stride }" in text
    weights = [
        9 * 16 * 16 * 2,
        9 * (16 * 32 + 32 * 32) + 16 * 32,
        9 * (32 * 64 + 64 * 64) + 32 * 64,
    ]
    biases = [2 * 16, 3 * 32, 3 * 64]
    assert net.params == sum(weights) + sum(biases)
    assert "stage1: stage { filters: 32 stride: 2 }" in text


def test_a_single_block_is_no_module() -> None:
    text, _ = spec(residual_net(16))
    assert "module" not in text


def test_modules_do_not_overlap() -> None:
    chains = chains_of(residual_net(16, 32, 64, 64))
    taken = [
        i for m in repeated_modules(chains, []) for p in m.instances for i in range(p.first, p.end)
    ]
    assert len(taken) == len(set(taken))
    assert len(taken) > len(chains) // 2


def test_equal_layers_that_count_up_become_a_loop() -> None:
    make = GraphMaker(8, 8, 8)
    x = make.x
    for i in range(1, 6):
        x = make.add("relu", f"act{i}", make.add("conv", f"c{i}", x, filters=8, kernel=(1, 1)))
    text, net = spec(make.done(x))
    assert "for i in 1..5 {" in text
    assert len(net.layers) == 10


def test_equal_layers_that_count_up_by_twos_become_a_loop_with_a_step() -> None:
    make = GraphMaker(8, 8, 8)
    x = make.x
    for i in range(0, 12, 2):
        x = make.add("conv", f"c{i}", x, filters=8, kernel=(1, 1))
    text, net = spec(make.done(make.add("conv", "c17", x, filters=8, kernel=(1, 1))))
    assert "for i in 0..10 step 2 {" in text
    assert [layer.path for layer in net.layers] == [f"c{i}" for i in (0, 2, 4, 6, 8, 10, 17)]


def test_a_classifier_makes_a_parameter() -> None:
    make = GraphMaker(8, 1, 1)
    x = make.add("linear", "fc", make.add("flatten", "flat", make.x), units=7)
    assert "net found(classes = 7)" in spec(make.done(x), classifies=True)[0]
    assert "net found {" in spec(make.done(x))[0]
    assert "net found(classes = 7)" in spec(make.done(make.add("softmax", "prob", x)))[0]


def test_identities_are_removed() -> None:
    make = GraphMaker(8, 4, 4)
    x = make.add("identity", "same", make.add("relu", "act", make.x))
    graph = make.done(make.add("flatten", "flat", x))
    simplify(graph)
    assert [n.name for n in graph.nodes] == ["act", "flat"]
    assert graph.nodes[1].inputs == graph.nodes[0].outputs


def test_a_plain_tree_has_no_modules() -> None:
    tree = plain_tree(residual_net(16, 32, 64), NetHeading("plain", "", SOURCE))
    assert len(tree.file.items) == 1
    assert len(tree.nodes) == 14


def test_structure_knows_no_tool() -> None:
    for package in (structure, spec_tree):
        assert package.__file__
        for path in Path(package.__file__).parent.glob("*.py"):
            assert "caffe" not in path.read_text().lower(), path
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and node.module:
                    allowed = ("netspec.importers.structure", "netspec.importers.spec_tree")
                    other = node.module.startswith("netspec.importers")
                    assert not other or node.module.startswith(allowed), path
                    if package is structure:
                        assert not node.module.startswith("netspec.importers.spec_tree"), path
