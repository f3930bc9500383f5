"""Other names and other nesting: the same function, the same sharing, in both backends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netspec
from netspec.codegen.backend import get, load_model
from netspec.diagnostics import SpecError
from netspec.ir import Net
from netspec.passes.rename import CannotRename, NameMap, RenamedNet, rename
from netspec.runtime.verify import random_inputs
from netspec.weights import fresh
from netspec.weights.name_maps import NameMaps, renamed

from ..helpers import loaded, net_of

pytestmark = pytest.mark.slow

TANGLE = """
module branch(f) {
  input x
  a: conv { filters: f  kernel: 1 } -> batchnorm -> relu
  b: conv(x) { filters: 2 * f  kernel: 3  pad: 1 }
  c: conv(a) { filters: x.channels  kernel: 1 }
  output concat(c, b), a
}
net tangle(classes = 5, width = 4) {
  input data: 3x8x8
  stem: conv { filters: width  kernel: 3  pad: 1 } -> relu -> maxpool { kernel: 2 }
  one: branch { f: 3 }
  two: branch(stem) { f: 3 }
  three: branch(two) { f: 2 }
  side: conv(one) { filters: 7  kernel: 1 }
  both: concat(three, side, one.a)
  head: conv { filters: classes  kernel: 1 }
  global_avgpool -> softmax
}
"""


def same_function(net: Net, result: RenamedNet) -> None:
    """Both nets compute the same of the same weights, in both backends; keys are the new names."""
    assert set(result.keys) == set(net.tensors)
    assert set(result.keys.values()) == set(result.net.tensors)
    weights = fresh(net.tensors, 3, varied=True)
    moved = {result.keys[name]: array for name, array in weights.items()}
    inputs = random_inputs(net)
    for backend in (get("torch"), get("numpy")):
        outputs = []
        for one, values in ((net, weights), (result.net, moved)):
            model = load_model(one, backend)
            backend.set_weights(model, values)
            outputs.append(backend.run(model, *inputs))
        for a, b in zip(*outputs, strict=True):
            np.testing.assert_array_equal(a, b)


def owners(net: Net) -> list[str]:
    return list(dict.fromkeys(name.rpartition(".")[0] for name in net.tensors))


@pytest.mark.parametrize(
    ("paths", "modules"),
    [
        ({}, {}),
        ({"stem": "first"}, {}),
        ({"stem": "features.0", "one": "features.x"}, {}),
        (
            {
                "stem": "f.0",
                "one": "f.1",
                "two": "f.2",
                "three": "f.3",
                "side": "f.4",
                "head": "c.1",
            },
            {},
        ),
        ({"stem": "a.b.c.d", "one": "a.b.x"}, {}),
        ({"one": "blocks.0", "two": "blocks.1", "three": "rest.blocks"}, {}),
        ({}, {"branch": {"a": "x.0", "a_batchnorm": "x.1", "b": "b", "c": "y.z"}}),
        ({"one": "g.0", "two": "g.1"}, {"branch": {"a": "b", "b": "a"}}),
        ({"one": "l.1", "one.c": "l.1.special.0"}, {"branch": {"b": "q.q", "c": "q.r"}}),
        ({"stem": "class", "head": "forward.training"}, {}),
        # pool and relu keep their names, also where those would clash
        ({"stem": "stem_relu", "head": "both"}, {}),
    ],
)
def test_the_function_stays(paths: dict[str, str], modules: dict[str, dict[str, str]]) -> None:
    net = net_of(TANGLE)
    result = rename(net, NameMap(paths, modules))
    same_function(net, result)
    for old, new in paths.items():
        for key, other in result.keys.items():
            if key.startswith(f"{old}."):
                assert other.startswith(f"{new}.")
    assert (result.net.params, result.net.macs) == (net.params, net.macs)
    if not paths and not modules:
        assert list(result.net.tensors) == list(net.tensors)


def test_arguments_of_the_class_stay() -> None:
    """`classes` and `width` still reach the layers that they set, through the new blocks."""
    net = net_of(TANGLE)
    names = NameMap(
        {"stem": "f.0", "one": "f.1", "head": "c.1"}, {"branch": {"b": "s.0", "c": "s.1"}}
    )
    source = netspec.compile(rename(net, names).net, "torch")
    assert "classes: int = 5" in source
    namespace: dict[str, object] = {"__name__": "emitted"}
    exec(compile(source, "emitted", "exec"), namespace)
    for classes in (5, 9):
        plain = net_of(TANGLE, {"classes": classes})
        want = rename(plain, names).net.tensors
        model = namespace["Tangle"](classes=classes)  # type: ignore[operator]
        have = {n: tuple(t.shape) for n, t in model.state_dict().items() if "batches" not in n}
        assert have == {n: tuple(t.shape) for n, t in want.items()}


@pytest.mark.parametrize(
    ("paths", "modules", "match", "rule"),
    [
        ({"stern": "x"}, {}, "tangle has no layer stern with weights", ("", "stern")),
        ({"both": "x"}, {}, "no layer both", ("", "both")),
        ({}, {"branch": {"d": "x"}}, "the module branch has no layer d", ("branch", "d")),
        ({}, {"brunch": {"a": "x"}}, "the module brunch has no layer a", ("brunch", "a")),
        ({"stem": "x", "head": "x"}, {}, "both be called x", ("", "head")),
        ({"stem": "x", "head": "x.y"}, {}, "x can't be the name of stem", ("", "stem")),
        (
            {"stem": "x.0", "head": "x.1", "side": "y"},
            {},
            "one runs between layers of x",
            ("", "one"),
        ),
        ({"one.a": "two.a"}, {}, "one.a can't become two.a", ("", "one.a")),
        ({}, {"branch": {"a": "b"}}, "both be called b", ("", "b")),
    ],
)
def test_names_that_do_not_fit(
    paths: dict[str, str], modules: dict[str, dict[str, str]], match: str, rule: tuple[str, str]
) -> None:
    with pytest.raises(CannotRename, match=match) as error:
        rename(net_of(TANGLE), NameMap(paths, modules))
    assert error.value.rule == rule


# --- files of names ------------------------------------------------------------------------------

KEYS = Path(__file__).parent.parent / "weights" / "torchvision"
BUNDLED = sorted(p.stem for p in KEYS.glob("*.txt"))
PRESENT = [n for n in BUNDLED if (Path(netspec.__file__).parent.parent / f"specs/{n}.net").exists()]


@pytest.mark.parametrize("name", PRESENT)
def test_torchvision_names_all_weights_of_the_bundled_nets(name: str) -> None:
    net = loaded(name)
    found = NameMaps(net, name).renamed("torchvision")
    wanted = dict(line.split() for line in (KEYS / f"{name}.txt").read_text().splitlines())
    counters = {key for key in wanted if key.endswith(".num_batches_tracked")}
    have = {n: "x".join(map(str, t.shape)) for n, t in found.net.tensors.items()}
    assert have == {key: shape for key, shape in wanted.items() if key not in counters}
    assert NameMaps(net, name).fitting()["torchvision"] == found.keys
    # The class has just the official keys, so load_state_dict takes the official file as it is.
    source = netspec.compile(found.net, "torch")
    namespace: dict[str, object] = {"__name__": "emitted"}
    exec(compile(source, "emitted", "exec"), namespace)
    import torch

    with torch.device("meta"):
        made = [c for n, c in namespace.items() if isinstance(c, type) and hasattr(c, "load")]
        state = made[-1]().state_dict()
    assert {n: "x".join(map(str, t.shape)) or "-" for n, t in state.items()} == wanted


def test_a_name_map_that_computes_the_same() -> None:
    net = loaded("squeezenet1_1", classes=7)
    same_function(net, NameMaps(net, "squeezenet1_1").renamed("torchvision"))


def test_files_of_names(tmp_path: Path) -> None:
    spec = tmp_path / "mine.net"
    spec.write_text(TANGLE)
    net = loaded(spec)
    file = tmp_path / "mine.theirs.names"
    file.write_text("# theirs\n\nstem -> f.0  # the first\n one->f.1\n[branch]\na -> x.0\n")
    maps = NameMaps(net, str(spec))
    assert maps.file("theirs") == file
    assert maps.file(str(file)) == file
    found = renamed(net, file)
    assert found.keys["stem.bias"] == "f.0.bias"
    assert found.keys["one.a.bias"] == "f.1.x.0.bias"
    assert found.keys["one.b.bias"] == "f.1.b.bias"
    assert list(maps.fitting()) == ["theirs"]
    file.write_text("nothing -> x\n")
    assert maps.fitting() == {}
    with pytest.raises(SpecError, match="no file of the names that other uses") as error:
        maps.file("other")
    assert error.value.diagnostics[0].help == ("did you mean `theirs`?",)
    with pytest.raises(SpecError, match="no file of the names"):
        NameMaps(net, "squeezenet1_0").file("../../etc/passwd")
    for text, match, line in (
        ("stem -> f.0\nstem -> f.1", "given two names", 2),
        ("stem => f.0", "a line of names is", 1),
        ("stem -> f-0", "a line of names is", 1),
        ("stem -> f.0; import os", "a line of names is", 1),
        ("\n[branch]\na.b -> c", "is a path", 3),
        ("\n\nsten -> f.0", "no layer sten", 3),
    ):
        file.write_text(text)
        with pytest.raises(SpecError, match=match) as error:
            renamed(net, file)
        (diagnostic,) = error.value.diagnostics
        assert diagnostic.code == "bad-names"
        assert diagnostic.span is not None
        assert diagnostic.span.line == line
    assert diagnostic.help == ("did you mean `stem`?",)


# --- any names -----------------------------------------------------------------------------------

# In front of a number that is another for each, most names fit; some words clash.
NEW_NAMES = st.sampled_from(["{}", "f.{}", "f.{}", "g.{}", "f.h.{}", "data", "x.{}", "one.{}"])


def named(old: list[str]) -> st.SearchStrategy[dict[str, str]]:
    """New names for some of these."""
    rules = st.lists(st.tuples(st.sampled_from(old), NEW_NAMES), unique_by=lambda rule: rule[0])
    return rules.map(lambda some: {name: new.format(i) for i, (name, new) in enumerate(some)})


PATHS = named(["stem", "one", "two", "three", "side", "head", "one.a", "two.c"])
MODULES = named(["a", "a_batchnorm", "b", "c"])


def test_any_names_fit_or_are_refused() -> None:
    """What comes out is well-formed (conftest.py sees to that), and has the tensors of the net."""
    net = net_of(TANGLE)
    accepted = 0

    @settings(max_examples=100)
    @given(PATHS, MODULES)
    def check(paths: dict[str, str], rules: dict[str, str]) -> None:
        nonlocal accepted
        try:
            result = rename(net, NameMap(paths, {"branch": rules}))
        except CannotRename:
            return
        accepted += len(paths) > 1
        assert list(result.keys) == list(net.tensors)
        shapes = {n: t.shape for n, t in result.net.tensors.items()}
        assert shapes == {result.keys[n]: t.shape for n, t in net.tensors.items()}
        for old, new in paths.items():
            if f"{old}.weight" in result.keys:
                assert result.keys[f"{old}.weight"] == f"{new}.weight"

    check()
    assert accepted > 5
