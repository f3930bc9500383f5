"""Other names and other nesting: the same function, the same sharing, in both backends."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import netspec
from netspec.codegen.backend import get, load_model
from netspec.diagnostics import SpecError
from netspec.ir import Net
from netspec.ir.names import NameMap
from netspec.passes.rename import CannotRename, RenamedNet, rename
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
        ({"stem": "class", "head": "forward.keys"}, {}),
        ({"stem": "training", "head": "x.forward", "side": "x.y.items"}, {}),
        # `one` runs between layers of x
        ({"stem": "x.0", "head": "x.1", "side": "y"}, {}),
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
        ({"stem": "x.training"}, {}, "x.training can't be a layer", ("", "stem")),
        ({"one.a": "two.a"}, {}, "one.a can't become two.a", ("", "one.a")),
        ({}, {"branch": {"a": "b"}}, "both be called b", ("branch", "a")),
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


@pytest.mark.parametrize("name", BUNDLED)
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
    with torch.device("meta"):
        made = [c for n, c in namespace.items() if isinstance(c, type) and hasattr(c, "load")]
        state = made[-1]().state_dict()
    assert {n: "x".join(map(str, t.shape)) or "-" for n, t in state.items()} == wanted


DIGESTS = [line.split() for line in (KEYS / "digests").read_text().splitlines()]


@pytest.mark.parametrize(("name", "count", "digest"), DIGESTS, ids=[d[0] for d in DIGESTS])
def test_torchvision_names_all_weights_of_further_nets(name: str, count: str, digest: str) -> None:
    net = loaded(name)
    keys = NameMaps(net, name).keys("torchvision")
    shapes = {n: re.sub(r"(x1)+$", "", "x".join(map(str, t.shape))) for n, t in net.tensors.items()}
    lines = [f"{keys[name]} {shape}\n" for name, shape in shapes.items()]
    assert len(lines) == int(count)
    assert hashlib.sha256("".join(sorted(lines)).encode()).hexdigest() == digest


SETTINGS: dict[str, dict[str, Any]] = {
    "resnet18": {"classes": 10},
    "resnet50": {"classes": 10},
    "mobilenet_v2": {"width": 0.5, "classes": 10},
    "densenet121": {"growth": 16, "compression": 0.25},
    "shufflenet_v2": {"width": 2.0},
    "squeezenet1_1": {"classes": 10},
    "vgg16": {"classes": 10},
}
# One use of mobilenet_v2's module has names of its own.
CLASSES = {"mobilenet_v2": 3, "densenet121": 4, "shufflenet_v2": 3, "vgg16": 1}


@pytest.mark.parametrize("name", SETTINGS)
def test_arguments_of_renamed_classes_are_those_of_the_spec(name: str) -> None:
    """There is a class for each module, and arguments give the tensors that `--set` does."""
    namespace: dict[str, Any] = {"__name__": "emitted"}
    source = get("torch").emit(NameMaps(loaded(name), name).renamed("torchvision").net)
    exec(compile(source, "emitted", "exec"), namespace)
    classes = [c for c in namespace.values() if isinstance(c, type)]
    made = [c for c in classes if c.__module__ == "emitted"]
    assert len(made) == CLASSES.get(name, 2)
    with torch.device("meta"):
        state = made[-1](**SETTINGS[name]).state_dict()
    wanted = NameMaps(loaded(name, **SETTINGS[name]), name).renamed("torchvision").net.tensors
    have = {n: tuple(t.shape) for n, t in state.items() if "num_batches" not in n}
    assert have == {n: tuple(t.shape) for n, t in wanted.items()}


def test_uses_with_names_of_their_own_share_classes() -> None:
    """Blocks of MobileNetV3 have three classes: all, without `expand`, without `squeeze`."""
    maps = NameMaps(loaded("mobilenet_v3_large"), "mobilenet_v3_large")
    emitted: dict[str, Any] = {"__name__": "emitted"}
    exec(get("torch").emit(maps.renamed("torchvision").net), emitted)
    assert sum(name.startswith("MobileNetV3Block") for name in emitted) == 3
    whole, narrow, plain = (emitted[f"MobileNetV3Block{n}"] for n in ("", "2", "3"))
    made = (whole(8, 16, 4), narrow(8, 8, 4, se=False), plain(8, 16, 4, se=False))
    parts = [{key.split(".")[1] for key in model.state_dict()} for model in made]
    assert [*map(len, parts)] == [4, 2, 3]
    for of, arguments in ((narrow, {"hidden": 16, "se": False}), (plain, {"hidden": 16})):
        with pytest.raises(ValueError, match="the names of its layers are for others"):
            of(8, filters=4, **arguments)


STACK = """
module unit(filters, wide = false) {
  input x
  if wide { a: conv { filters: 2 * filters  kernel: 3  pad: 1 } -> batchnorm }
  else    { a: conv { filters: filters  kernel: 1 } -> batchnorm }
  b: conv { filters: x.channels  kernel: 1 }
  add(x, b)
}
net stack(depth = 2, filters = 4, classes = 3) {
  input data: 4x6x6
  for i in 1..depth { stage[i]: unit { filters: filters * i  wide: i == 2 } }
  global_avgpool
  fc: linear { units: classes }
}
"""


def test_modules_of_renamed_nets_take_other_arguments() -> None:
    """A module's class is written from its text; a net's, where a loop has another number."""
    names = NameMap(
        {"stage1": "body.0", "stage2": "body.1", "fc": "head"},
        {"unit": {"a": "f.0", "a_batchnorm": "f.1", "b": "f.3"}},
    )
    net = rename(net_of(STACK), names).net
    backend: Any = get("torch")
    source = backend.emit(net)
    namespace: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(source, "emitted", "exec"), namespace)
    assert source.count("(nn.Module):") == 2
    # How many stages there are decides which names there are, so `depth` is no argument.
    assert "def __init__(self, filters: int = 4, classes: int = 3) -> None:" in source
    assert "# Written for certain arguments only: layers of a loop have other names" in source
    assert [n.code for n in backend.notes] == ["written-out"]
    for arguments in ({}, {"filters": 3, "classes": 7}):
        other = rename(net_of(STACK, arguments), names).net
        model = namespace["Stack"](**arguments)
        weights = fresh(other.tensors, 3, varied=True)
        backend.set_weights(model, weights)
        reference = load_model(other, get("numpy"))
        get("numpy").set_weights(reference, weights)
        x = random_inputs(other)
        np.testing.assert_allclose(
            backend.run(model, *x)[0], get("numpy").run(reference, *x)[0], rtol=1e-4, atol=1e-5
        )
    unit = namespace["Unit"](5, filters=3, wide=True)
    wanted = {"f.0.weight": (6, 5, 3, 3), "f.3.weight": (5, 6, 1, 1), "f.1.bias": (6,)}
    assert {n: tuple(unit.state_dict()[n].shape) for n in wanted} == wanted


def test_layers_of_branches_and_loops_have_other_names() -> None:
    """Groups that no `nn.Sequential` can hold, named by rules of a path and of a module."""
    net = net_of(STACK, {"depth": 3})
    for paths in (
        {"stage1": "x.0", "stage2": "y.z.0", "stage3": "x.1"},
        {"stage1.a": "stage1.c", "stage2.b": "stage2.d.0"},
    ):
        same_function(net, rename(net, NameMap(paths, {"unit": {"a": "f.0", "b": "f.1"}})))


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
    assert list(maps.unfitting) == ["mine.theirs.names"]
    assert "nothing" in maps.unfitting["mine.theirs.names"].message
    file.write_text("stem -> f.0\nst")
    with pytest.raises(SpecError, match="a line of names is") as damaged:
        maps.fitting()
    place = damaged.value.diagnostics[0].span
    assert place is not None
    assert place.line == 2
    file.write_text("stem -> f.0\n")
    with pytest.raises(SpecError, match="no file of the names that other uses") as error:
        maps.file("other")
    assert error.value.diagnostics[0].help == ("did you mean `theirs`?",)
    with pytest.raises(SpecError, match="no file of the names"):
        NameMaps(net, "squeezenet1_0").file("../../etc/passwd")
    for text, match, line in (
        ("stem -> f.0\nstem -> f.1", "given two names", 2),
        ("stem => f.0", "a line of names is", 1),
        ("st-em -> f.0", "a line of names is", 1),
        ("stem -> f.0; import os", "a line of names is", 1),
        ("\n[branch]\na.b -> c", "has no tensor a.b", 3),
        ("\n[branch]\na.b.c -> c", "is a path", 3),
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


SCALED = """
module scaled(start = 0.5) {
  input x
  body:  conv { filters: x.channels  kernel: 3  pad: 1 }
  gamma: parameter { shape: [x.channels, 1, 1]  init: START }
  add(x, mul(body, gamma))
}
net tower(width = 4) {
  input data: 3x6x6
  stem: conv { filters: width  kernel: 1 }
  for i in 1..2 { block[i]: scaled }
  global_avgpool -> linear { units: 3 }
}
"""


@pytest.mark.parametrize("init", ["constant(start)", "normal(0.5)", "constant(0.25)  frozen: true"])
def test_a_learned_constant_may_bear_the_name_of_its_tensor(init: str, tmp_path: Path) -> None:
    """As in torchvision's ConvNeXt, whose blocks have a parameter `layer_scale` of their own."""
    (tmp_path / "tower.net").write_text(SCALED.replace("START", init))
    (tmp_path / "tower.lib.names").write_text("[scaled]\nbody -> 0\ngamma.weight -> layer_scale\n")
    spec = str(tmp_path / "tower.net")
    net = netspec.load(spec).ir
    maps = NameMaps(net, spec)
    found = maps.renamed("lib")
    assert found.keys == dict(maps.keys("lib"))
    assert found.keys["block2.gamma.weight"] == "block2.layer_scale"
    model, plain = (load_model(n, get("torch")) for n in (found.net, net))
    assert set(model.state_dict()) == set(found.keys.values())
    scales = [model.get_parameter(f"block{i}.layer_scale") for i in (1, 2)]
    assert all(p.requires_grad == ("frozen" not in init) for p in scales)
    if "constant" in init:
        assert all((p == (0.5 if "start" in init else 0.25)).all() for p in scales)
    else:
        assert scales[0].std() > 0
    weights = fresh(net.tensors, 2, varied=True)
    get("torch").set_weights(plain, weights)
    get("torch").set_weights(model, {found.keys[n]: array for n, array in weights.items()})
    inputs = random_inputs(net)
    for a, b in zip(
        get("torch").run(plain, *inputs), get("torch").run(model, *inputs), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    wide = type(model)(width=6).state_dict()["block1.layer_scale"]
    assert tuple(wide.shape) == (6, 1, 1)
    with pytest.raises(SpecError, match="one of its tensors would be a layer of its own"):
        netspec.compile(spec, "numpy", names="lib")


def test_convnext_has_the_tensors_of_torchvision() -> None:
    source = netspec.compile("convnext_tiny", names="torchvision")
    namespace: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(source, "emitted", "exec"), namespace)
    with torch.device("meta"):
        state = namespace["ConvNeXtTiny"]().state_dict()
    lines = [
        f"{n} {re.sub(r'(x1)+$', '', 'x'.join(map(str, v.shape)))}\n" for n, v in state.items()
    ]
    (wanted,) = (digest for name, _, digest in DIGESTS if name == "convnext_tiny")
    assert hashlib.sha256("".join(sorted(lines)).encode()).hexdigest() == wanted
