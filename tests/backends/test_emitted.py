"""What emitted files are: working, tidy, free of netspec, whatever the names in the spec."""

from __future__ import annotations

import ast
import importlib.util
import pickle
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import netspec
from netspec.codegen.backend import emit, get, load_model
from netspec.codegen.identifiers import class_name
from netspec.codegen.python_source import docstring
from netspec.runtime.verify import compare
from netspec.symbolic.expr import constant_source
from netspec.weights import fresh, write

from ..helpers import loaded
from .nets import BODIES, BUNDLED, net_of, of_layers
from .test_agreement import BRANCHES

pytestmark = pytest.mark.slow

BACKENDS = ("torch", "numpy")


def module_of(source: str, folder: Path, name: str = "emitted") -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ruff(*arguments: str, source: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "ruff",
        *arguments,
        "--isolated",
        "--stdin-filename",
        "e.py",
        "-",
    ]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=False)


# Ends of a slice that are computed are not laid out.
TIDY = [spec for spec in BUNDLED if spec != "yolov8n"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("spec", [*TIDY, "branches", "names"])
def test_files_are_tidy(spec: str, backend: str) -> None:
    texts = {"branches": BRANCHES, "names": HOSTILE}
    net = net_of(texts[spec]) if spec in texts else loaded(spec)
    source = emit(net, get(backend))
    assert source == emit(net, get(backend)), "emitting twice gives the same bytes"
    check = ruff("check", source=source)
    assert check.returncode == 0, check.stdout
    form = ruff("format", "--diff", "--line-length", "100", source=source)
    assert form.returncode == 0, form.stdout
    assert max(map(len, source.splitlines())) <= 100
    code = re.sub(r'""".*?"""|\A#.*?\n', "", source, flags=re.DOTALL)
    assert "netspec" not in code
    if backend == "numpy":
        imports = set(re.findall(r"^(?:import|from) ([\w.]+)", source, re.MULTILINE))
        assert {name.split(".")[0] for name in imports} <= {*sys.stdlib_module_names, "numpy"}


@given(st.text("\"\\\\a \n'", max_size=12) | st.text(max_size=40))
def test_docstrings_hold_any_text(text: str) -> None:
    (function,) = ast.parse("\n".join(["def f():", *docstring(text, 4), "    x = 1"])).body
    assert isinstance(function, ast.FunctionDef)
    assert len(function.body) == 2
    printable = "".join(c if c.isprintable() else " " for c in text)
    assert (ast.get_docstring(function) or "").split() == printable.split()


@given(st.text("\"'\\\\a\n", max_size=12) | st.text(max_size=40))
def test_constants_read_back(text: str) -> None:
    assert ast.literal_eval(constant_source(text)) == text


def test_long_signatures_and_strings_are_tidy() -> None:
    outputs = ", ".join(f"o{i}" for i in range(12))
    net = net_of(
        """module choose(mode, quote = "it's") { input x
        if mode == "say \\"wide\\"" { conv { filters: 4 kernel: 3 } -> relu }
        else { conv { filters: 4 kernel: 1 } } }
        net many { input data: 3x8x8 a: choose { mode: "x" } b: choose { mode: "say \\"wide\\"" }
        """
        + "\n".join(f"o{i}: relu6(b)" for i in range(12))
        + f"\noutput {outputs} }}"
    )
    source = emit(net, get("torch"))
    form = ruff("format", "--diff", "--line-length", "100", source=source)
    assert form.returncode == 0, form.stdout
    assert """mode == 'say "wide"'""" in source


@pytest.mark.parametrize("backend", ["torch", "numpy"])
@pytest.mark.parametrize("length", [24, 42, 60])
def test_long_names_are_tidy(backend: str, length: int) -> None:
    first, second, width, block, loop = (f"{c}_{'name_' * 20}"[:length] for c in "fswbl")
    net = net_of(
        f"""module m({first}, {second}) {{
          input x
          one: conv {{ filters: {first}  kernel: 3  pad: 1 }} -> relu
          two: conv {{ filters: {second}  kernel: 3  pad: 1 }} -> relu
          output concat(one, two, x)
        }}
        net n({width} = 4) {{
          input data: 3x8x8
          {block}: m {{ {first}: {width}  {second}: 2 * {width} }}
          for i in 1..3 {{ {loop}[i]: conv {{ filters: 8 * i  kernel: 3  pad: 1 }} -> relu }}
          output {loop}[3]
        }}"""
    )
    form = ruff("format", "--diff", "--line-length", "100", source=emit(net, get(backend)))
    assert form.returncode == 0, form.stdout


def test_docstrings_are_filled_anew_where_a_line_is_too_wide() -> None:
    wide = "w" * 50
    short = "a\nb"
    lines = docstring(f"{wide} {wide}\nc\n\n{short}\n\n  {wide} {wide}\n  d", 0)
    assert lines == [f'"""{wide}', f"{wide} c", "", "a", "b", "", f"  {wide}", wide, "  d", '"""']


def test_the_largest_of_many_is_nested_no_deeper_than_python_reads() -> None:
    multiples = "\n".join(f"a{i}: power(data) {{ scale: {i} }}" for i in range(1, 300))
    inputs = ", ".join(f"a{i}" for i in range(1, 300))
    net = net_of(f"net n {{ input data: 1x1x2\n {multiples}\n maximum({inputs}) }}")
    x = torch.tensor([[[[2.0, -3.0]]]])
    assert torch.equal(load_model(net, get("torch"))(x), torch.tensor([[[[598.0, -3.0]]]]))


def test_one_class_for_one_module() -> None:
    source = emit(loaded("squeezenet1_0"), get("torch"))
    assert source.count("class Fire") == 1
    # Its constructor decides which way the `if` goes.
    branches = emit(net_of(BRANCHES), get("torch"))
    assert re.findall(r"^class (\w+)", branches, re.MULTILINE) == ["Block", "Twice", "Tangle"]


def test_a_plan_has_a_line_for_each_step_and_use_of_a_module() -> None:
    source = emit(loaded("squeezenet1_0"), get("numpy"))
    plan = source.partition("def network(")[2].partition("\n\n\n")[0].splitlines()
    assert len(plan) < 20
    assert '    fire3 = fire(p, fire2, "fire3", 16, 64, 64)  # 128x54x54' in plan
    assert '    squeeze = convolve(p, x, f"{name}.squeeze", s1x1, then=RELU)' in source
    # Kernels that the net has no use for are not there.
    assert "def convolve_depthwise" not in source
    assert "def convolve(" in source


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_net_takes_the_name_of_something_else(backend: str) -> None:
    """What a file imports and defines beside its net's class and its modules'."""
    net = net_of("net tangle { input data: 3x5x5  prelu  conv { filters: 2 kernel: 3 }  softmax }")
    names = set()
    for node in ast.parse(emit(net, get(backend))).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {a.asname or a.name for a in node.names}
        elif isinstance(node, ast.Assign):
            names |= {ast.unparse(t) for t in node.targets}
        elif isinstance(node, ast.ClassDef):
            names.add(node.name)
    assert len(names) > 3
    for name in names - {"Tangle"}:
        spec = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
        assert {class_name(name, ""), class_name(spec, "")}.isdisjoint(names)


def test_the_paper_s_net_is_a_short_file() -> None:
    assert len(emit(loaded("squeezenet1_0"), get("numpy")).splitlines()) <= 729


TYPED_TEXTS = {
    "branches": lambda: net_of(BRANCHES),
    "split": lambda: of_layers(*BODIES["split_vector"]),
}
TYPED = {
    "torch": ("enet", "mobilenet_v2", "resnet18", "squeezedet", "squeezenet1_0", *TYPED_TEXTS),
    "numpy": ("squeezenet1_0", "branches"),
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_emitted_files_are_typed(backend: str, tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    for name in TYPED[backend]:
        net = TYPED_TEXTS[name]() if name in TYPED_TEXTS else loaded(name)
        (tmp_path / f"{name}.py").write_text(emit(net, get(backend)), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-incremental",
        "--cache-dir=/dev/null",
    ]
    files = [f"{name}.py" for name in TYPED[backend]]
    result = subprocess.run([*command, *files], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_bodies_use_the_parameters_of_the_module() -> None:
    source = emit(loaded("squeezenet1_0"), get("torch"))
    assert "nn.Conv2d(in_channels, s1x1, kernel_size=1)" in source
    assert "Fire(96, s1x1=16, e1x1=64, e3x3=64)" in source
    assert "def __init__(self, classes: int = 1000)" in source


def test_net_parameters_are_arguments(tmp_path: Path) -> None:
    module = module_of(emit(loaded("squeezenet1_0"), get("torch")), tmp_path)
    model = module.SqueezeNet1_0(classes=10).eval()
    assert model(torch.zeros(1, 3, 224, 224)).shape == (1, 10)


def test_parameters_that_decide_the_structure_are_arguments(tmp_path: Path) -> None:
    """Whether a block has a shortcut, and how many blocks there are: as `--set` compiles it."""
    text = BRANCHES.replace("1..2", "1..w - 2")
    module = module_of(emit(net_of(text), get("torch")), tmp_path)
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    for classes, w in ((5, 4), (3, 6), (2, 5)):
        net = net_of(text, classes=classes, w=w)
        models = module.Tangle(classes=classes, w=w), load_model(net, get("torch"))
        for model in models:
            get("torch").set_weights(model.eval(), fresh(net.tensors, 2, varied=True))
        found, wanted = (model(x) for model in models)
        assert [tuple(r.shape[1:]) for r in found] == [v.shape for v in net.body.outputs]
        assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))


GUARDED = """
net guarded(width = 1, classes = 4) {
  input data: 3x8x8
  conv { filters: 8  kernel: 3 } -> global_avgpool -> linear { units: classes }
  if classes == 4 {
    if width == 1 { expect params == 260 }
    for n in [classes] { expect n == 4 }
  }
}
"""


def test_parameters_that_guard_contracts_are_arguments() -> None:
    assert "def __init__(self, classes: int = 4) -> None:" in emit(net_of(GUARDED), get("torch"))


PARTS = """
module part(filters, stride = 1, dilation = 1) {
  input x
  conv { filters: filters / 2  kernel: 3  stride: stride  pad: dilation  dilation: dilation }
  norm: batchnorm -> conv { filters: 1.5 * (filters / 4)  kernel: 1 }
}
net many() {
  input data: 3x32x32
  a: part { filters: 8 }
  b: part { filters: 16  stride: 2 }
  c: part { filters: 16  dilation: 2 }
  d: part { filters: 32  stride: 2  dilation: 3 }
}
"""


def test_one_class_serves_whatever_values_its_parameters_have(tmp_path: Path) -> None:
    """Also those that PyTorch takes for granted; and whole quotients are ints."""
    net = net_of(PARTS)
    source = emit(net, get("torch"))
    assert len(re.findall("^class Part", source, re.MULTILINE)) == 1
    assert "filters // 2, kernel_size=3, stride=stride, padding=dilation" in " ".join(
        source.split()
    )
    part = module_of(source, tmp_path).Part(5, filters=24, stride=3, dilation=2).eval()
    assert part(torch.zeros(1, 5, 10, 10)).shape == (1, 9, 4, 4)
    for filters in (5, 10):  # 5 / 2 and 1.5 * (10 / 4) are no numbers of channels
        with pytest.raises(ValueError, match=f"filters is {filters}"):
            module_of(source, tmp_path).Part(5, filters=filters)
    weights = fresh(net.tensors, 1, varied=True)
    assert compare(net, get("torch"), get("numpy"), weights).diverges(1e-5) is None


@pytest.mark.parametrize("case", BODIES)
def test_torch_model_has_the_tensors_of_the_net(case: str) -> None:
    net = of_layers(*BODIES[case])
    model = load_model(net, get("torch"))
    counted = sum(p.numel() for p in model.parameters())
    assert counted == net.params
    state = {
        name: tuple(t.shape)
        for name, t in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    assert state == {name: tuple(t.shape) for name, t in net.tensors.items()}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_emitted_load(backend: str, suffix: str, tmp_path: Path) -> None:
    net = net_of(BRANCHES)
    weights = fresh(net.tensors, 5, varied=True)
    write(tmp_path / f"w{suffix}", weights)
    model: Any = load_model(net, get(backend))
    model.load(tmp_path / f"w{suffix}")
    found = model.weights if backend == "numpy" else model.state_dict()
    for name, array in weights.items():
        np.testing.assert_array_equal(np.asarray(found[name]), array)

    broken = {n: a + 1 for n, a in weights.items()}
    last = list(broken)[-1]
    broken[last] = broken[last][..., None]
    write(tmp_path / f"broken{suffix}", broken)
    with pytest.raises((ValueError, RuntimeError), match=re.escape(last)):
        model.load(tmp_path / f"broken{suffix}")
    # Nothing is loaded in part.
    found = model.weights if backend == "numpy" else model.state_dict()
    for name, array in weights.items():
        np.testing.assert_array_equal(np.asarray(found[name]), array)


def test_list_of_module_attributes_is_that_of_torch() -> None:
    from netspec.codegen.module_names import MODULE_ATTRIBUTES

    class Empty(nn.Module):
        pass

    assert {n for n in dir(Empty()) if not n.startswith("__")} <= MODULE_ATTRIBUTES


HOSTILE = r'''
## A """docstring\" that ends itself """ + __import__("os").abort() + """\
## \N{BULLET} {{ x }} {% raw %} '
module class(import, l = 2) {
  input self
  __init__: conv { filters: import kernel: 1 } -> batchnorm
  forward: conv { filters: l kernel: 1 }
  training: relu
}
## "
net None(F = 3, np = 2) {
  input torch: 3x6x6
  class: conv { filters: F kernel: 1 }
  import: conv { filters: np kernel: 1 }
  self: relu
  forward: class { import: 4 }
  __init__: class { import: 4 l: 3 }
  training: conv { filters: 3 kernel: 1 }
  __private: conv { filters: 2 kernel: 1 }
  _modules: conv { filters: 2 kernel: 1 }
  load: conv { filters: 2 kernel: 1 }
  preprocess: conv { filters: 2 kernel: 1 }
  weights: conv { filters: 2 kernel: 1 }
  state_dict: conv { filters: 2 kernel: 1 }
  l: relu
  x: relu
  w: concat(x, l, self)
  None: flatten
  print: linear { units: 4 }
  lambda: softmax
  O: add(lambda, print)
  expect O.channels == 4 "a \"message\" with {braces}"
}
'''


@pytest.mark.parametrize("backend", BACKENDS)
def test_hostile_names_come_out_as_working_code(backend: str, tmp_path: Path) -> None:
    net = net_of(HOSTILE)
    module = module_of(emit(net, get(backend)), tmp_path)
    model = getattr(module, class_name(net.name, net.doc))()
    weights = fresh(net.tensors, 1, varied=True)
    chosen = get(backend)
    chosen.set_weights(model, weights)
    result = chosen.run(model, np.ones((2, 3, 6, 6), dtype=np.float32))[0]
    reference = get("numpy")
    other = load_model(net, reference)
    reference.set_weights(other, weights)
    expected = reference.run(other, np.ones((2, 3, 6, 6), dtype=np.float32))[0]
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    assert {"class.weight", "forward.__init__.weight", "_modules.bias"} <= set(net.tensors)


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True) | st.sampled_from(
    ["forward", "training", "_modules", "x", "self", "torch", "F", "nn", "data", "w", "name", "np"]
)
RESERVED = {
    *("input", "output", "let", "expect", "prefer", "for", "if", "else", "in"),
    *("and", "or", "not", "true", "false", "none"),
}


@settings(max_examples=40, deadline=None)
@given(
    names=st.lists(NAMES.filter(lambda n: n not in RESERVED), min_size=4, max_size=4, unique=True),
    doc=st.text(max_size=60),
    backend=st.sampled_from(BACKENDS),
)
def test_any_names_and_docs(names: list[str], doc: str, backend: str) -> None:
    a, b, c, net_name = names
    comment = " ".join(doc.split()).replace("\0", "")
    net = net_of(
        f"## {comment}\nnet {net_name} {{ input {a}: 3x4x4\n"
        f"{b}: conv {{ filters: 2 kernel: 1 }} -> relu\n{c}: conv({a}) {{ filters: 2 kernel: 1 }}\n"
        f"add({b}, {c}) }}"
    )
    chosen = get(backend)
    model = load_model(net, chosen)
    weights = fresh(net.tensors, 1)
    chosen.set_weights(model, weights)
    assert chosen.run(model, np.ones((1, 3, 4, 4), dtype=np.float32))[0].shape == (1, 2, 4, 4)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pt", ".pth"])
def test_load_says_what_does_not_fit_and_changes_nothing(suffix: str, tmp_path: Path) -> None:
    net = net_of(BRANCHES)
    weights = fresh(net.tensors, 5, varied=True)
    first, *_, last = weights
    path = tmp_path / f"w{suffix}"

    def save(arrays: dict[str, Any]) -> None:
        if suffix[:2] == ".p":
            tensors = {n: torch.from_numpy(a) for n, a in arrays.items()}
            # Files before PyTorch 1.6 are no archives.
            torch.save(
                {"state_dict": tensors} if suffix == ".pth" else tensors,
                path,
                _use_new_zipfile_serialization=suffix == ".pt",
            )
        else:
            write(path, arrays)

    model: Any = load_model(net, get("torch"))
    save(weights)
    assert model.load(path) == []
    before = {n: t.clone() for n, t in model.state_dict().items()}
    for name, array in weights.items():
        np.testing.assert_array_equal(before[name], array)

    changed = {n: a + 1 for n, a in weights.items() if n != first} | {"other": np.zeros(3)}
    save(changed)
    with pytest.raises(
        RuntimeError, match=f"{re.escape(first)} is only in the model; other is only in"
    ):
        model.load(path)
    save({**weights, last: weights[last][..., None]})
    with pytest.raises(RuntimeError, match=re.escape(last)):
        model.load(path, strict=False)
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())

    save(changed)
    assert model.load(path, strict=False) == [first, "other"]
    np.testing.assert_array_equal(model.state_dict()[first], weights[first])
    np.testing.assert_array_equal(model.state_dict()[last], weights[last] + 1)


def test_a_file_that_would_run_code_is_not_loaded(tmp_path: Path) -> None:
    model: Any = load_model(net_of(BRANCHES), get("torch"))
    torch.save({"x": Path.unlink}, tmp_path / "evil.pt")
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        model.load(tmp_path / "evil.pt")


def test_emitted_torch_file_needs_torch_alone() -> None:
    """NumPy and safetensors are imported only where their files are read."""
    source = emit(loaded("squeezenet1_0"), get("torch"))
    top = [line for line in source.splitlines() if re.match("import|from", line)]
    assert not any("numpy" in line or "safetensors" in line for line in top)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_preprocess_takes_pictures_of_every_mode(backend: str, channels: int) -> None:
    """The same colour in every mode gives the same input."""
    model: Any = load_model(net_of(f"net n {{ input data: {channels}x4x5  relu }}"), get(backend))
    gray, color = Image.new("L", (9, 7), 90), Image.new("RGB", (9, 7), (200, 90, 30))
    luminance = np.asarray(color.convert("L"), dtype=np.float32)
    wanted = np.full((channels, 4, 5), 90.0)
    deep = np.full((7, 9), 90 * 257, dtype=np.uint16)
    pictures: list[Any] = [
        gray.convert(m) for m in ("L", "LA", "P", "RGB", "RGBA", "CMYK", "F", "YCbCr")
    ]
    pictures += [Image.fromarray(deep), Image.fromarray(deep.astype(np.int32))]
    pictures += [deep, deep.astype(">u2")]
    plain = np.full((7, 9), 90)
    pictures += [plain, plain[..., None], *(plain[..., None].repeat(n, axis=2) for n in (3, 4))]
    for picture in pictures:
        found = np.asarray(model.preprocess(picture))[0]
        np.testing.assert_allclose(found, wanted, atol=1)
    np.testing.assert_allclose(model.preprocess(Image.new("1", (9, 7), 1))[0], 255, atol=1e-3)
    colors = np.array([200.0, 90, 30]) if channels == 3 else luminance[0, :1]
    for mode in ("RGB", "RGBA", "CMYK"):
        found = np.asarray(model.preprocess(color.convert(mode)))[0]
        np.testing.assert_allclose(
            found, np.broadcast_to(colors[:, None, None], found.shape), atol=1
        )
    np.testing.assert_allclose(
        np.asarray(model.preprocess(np.asarray(color)))[0, :, 0, 0], colors, atol=1
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_preprocess_refuses_pictures_of_another_range(backend: str) -> None:
    """They would be black or white, or NaN: `F` of 0 to 1, 32 bits, 8 bits in 16."""
    model: Any = load_model(net_of("net n { input data: 3x4x5  relu }"), get(backend))
    for dtype, high in ((np.float32, 1), (np.float32, 300), (np.float32, np.nan)):
        picture = Image.fromarray(np.full((7, 9), high, dtype=dtype))
        with pytest.raises(ValueError, match="not a picture's, 0 to 255"):
            model.preprocess(picture)
    for values in (np.full((7, 9), 2**17, np.int32), np.full((7, 9), 255, np.uint16)):
        with pytest.raises(ValueError, match="not a picture's, 0 to 255"):
            model.preprocess(Image.fromarray(values))
    black = np.zeros((7, 9), np.uint16)
    assert not np.asarray(model.preprocess(Image.fromarray(black))).any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_preprocess_is_bounded_for_narrow_pictures(backend: str) -> None:
    """A 1x5000 picture would become 256x1280000."""
    text = "net n {{ input data: 3x4x5{}  relu }}"
    model: Any = load_model(net_of(text.format(" { resize: 256  crop: center }")), get(backend))
    for shape in ((1, 5000, 3), (5000, 1, 3), (1, 101)):
        with pytest.raises(ValueError, match="more than 100 times as long"):
            model.preprocess(np.full(shape, 7, np.uint8))
    long = np.full((3, 300, 3), 7, np.uint8)
    np.testing.assert_allclose(model.preprocess(long), 7, atol=1e-3)
    whole: Any = load_model(net_of(text.format("")), get(backend))
    narrow = np.repeat(np.arange(5, dtype=np.uint8), 1000)[None]
    found = np.asarray(whole.preprocess(narrow))
    assert found.shape == (1, 3, 4, 5)
    # A triangle of weights: 3/4 on the own thousand, 1/8 on each neighbour, where there is one.
    np.testing.assert_allclose(found[0, 0, 0], [1 / 7, 1, 2, 3, 4 - 1 / 7], atol=1e-3)


@pytest.mark.parametrize("spec", ["squeezenet1_0", "squeezenet1_0_caffe"])
def test_both_backends_prepare_pictures_alike(spec: str) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    torch_model, numpy_model = (netspec.build(loaded(spec), backend=b) for b in ("torch", "numpy"))
    a, b = torch_model.preprocess(picture).numpy(), numpy_model.preprocess(picture)
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * np.abs(a).max())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("module", "net"),
    [
        ("fire", "fire"),
        ("a_b", "aB"),
        ("channel_scale", "n"),
        ("self", "n"),
        ("a_b", "ChannelScale"),
    ],
)
def test_no_two_classes_of_a_file_share_a_name(
    module: str, net: str, backend: str, tmp_path: Path
) -> None:
    source = emit(
        net_of(
            f"module {module}(k) {{ input x  training: conv {{ filters: k kernel: 1 }} -> scale }} "
            f"net {net} {{ input data: 3x4x4  a: {module} {{ k: 2 }}  scale }}"
        ),
        get(backend),
    )
    names = re.findall(r"^(?:class|def) (\w+)", source, re.MULTILINE)
    assert len(names) == len(set(names))
    assert "Self" not in names
    path = tmp_path / "emitted.py"
    path.write_text(source, encoding="utf-8")
    subprocess.run([sys.executable, str(path)], check=True)
    assert not ruff("check", source=source).returncode
