"""Modules of PyTorch as specs, from Python and by name on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import netspec
from netspec.cli.main import main
from tests.importers.torch.models import Branches, Functions, layers
from tests.importers.torch.test_programs import saved, varied

MODELS = """
import torch
from torch import nn

class Net(nn.Sequential):
    def __init__(self, classes=7):
        super().__init__(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
            nn.Flatten(), nn.Linear(4, classes),
        )

ready = Net(2)

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, left, right):
        return self.conv(left) + right

def fails():
    raise ValueError("no such weights")

number = lambda: 3
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of Python that has modules of PyTorch."""
    (tmp_path / "own_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own_models", raising=False)
    return tmp_path


def results(found: Any) -> list[Any]:
    several = found if isinstance(found, list | tuple) else [found]
    return [np.asarray(r.detach() if isinstance(r, Tensor) else r) for r in several]


def test_a_module_becomes_a_net_with_its_weights() -> None:
    """The text is a spec of the module; what is built of it computes what the module computes."""
    module = varied(layers())
    module.train()
    net = netspec.from_torch(module, (3, 8, 8), name="every_layer")
    assert module.training
    assert net.name == "every_layer"
    assert net.text.startswith("## From every_layer.\nnet every_layer(classes = 5) {")
    learned = sum(p.numel() for p in module.parameters())
    # Weight norm learns a length for each of 4 filters; a spec has the product.
    assert net.params == learned - 4
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        expected = module.eval()(x).numpy()
    for backend in ("numpy", "torch"):
        model = netspec.build(net, backend)
        found = model(x.numpy()) if backend == "numpy" else results(model.eval().predict(x))[0]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert netspec.compile(net) == netspec.compile(netspec.from_torch(module, x, "every_layer"))
    assert net.weights.keys() == net.tensors.keys()
    assert len(net.table()) >= 17


def test_several_inputs_results_and_shared_weights() -> None:
    module = varied(Branches())
    net = netspec.from_torch(module, [torch.randn(1, 3, 6, 6), (3, 6, 6)])
    assert net.name == "Branches"
    assert net.params == sum(p.numel() for p in module.parameters()) + 4  # the buffer is learned
    inputs = torch.randn(2, 3, 6, 6), torch.randn(2, 3, 6, 6)
    with torch.no_grad():
        expected = module(*inputs)
    found = netspec.build(net)(*(x.numpy() for x in inputs))
    for ours, theirs in zip(results(found), expected.values(), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-5)


def test_the_same_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `.pt2` file is a spec for commands; convert writes text and weights, and checks them."""
    monkeypatch.chdir(tmp_path)
    module, x = varied(layers()), torch.randn(1, 3, 8, 8)
    saved(module, (x,), tmp_path / "every_layer.pt2")
    net = netspec.load("every_layer.pt2")
    assert net.params == netspec.from_torch(module, x).params
    found = netspec.convert("every_layer.pt2", check=True)
    assert found.text == net.text
    assert found.check is not None
    assert found.check.original == "torch"
    assert found.check.agrees
    with torch.no_grad():
        expected = module(x).numpy()
    np.testing.assert_allclose(netspec.build(net)(x.numpy()), expected, rtol=1e-4, atol=1e-5)
    assert main(["table", "every_layer.pt2"]) == 0
    assert main(["convert", "every_layer.pt2", "--weights", "w.safetensors"]) == 0
    built = netspec.build("every_layer.net", weights="w.safetensors")
    np.testing.assert_allclose(built(x.numpy()), expected, rtol=1e-4, atol=1e-5)


def test_a_file_is_for_the_shape_it_was_exported_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(nn.Conv2d(3, 4, 3), (torch.randn(1, 3, 8, 8),), tmp_path / "m.pt2")
    assert main(["table", str(path), "--input", "3x8x8"]) == 0
    capsys.readouterr()
    assert main(["table", str(path), "--input", "3x9x9"]) == 1
    assert "was exported for an input of 3x8x8, and not of 3x9x9" in capsys.readouterr().err
    assert main(["table", str(path), "--input", "y=3x8x8"]) == 1
    assert "has no input y: it has input" in capsys.readouterr().err


def test_unused_weights_are_noted() -> None:
    class Aux(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 2)
            self.aux = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x)  # type: ignore[no-any-return]

    text = netspec.from_torch(Aux(), (3,)).text
    assert "No result depends on aux (26 numbers)." in " ".join(text.replace("#", "").split())


def test_a_list_whose_results_are_joined_outside_of_it() -> None:
    """A concatenation of what a list of modules gives, whose name is shorter than the list's."""

    class Paths(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.paths = nn.ModuleList([nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, 3, padding=1)])

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([path(x) for path in self.paths], 1).relu()

    module, x = nn.Sequential(Paths(), Paths(), Paths()), torch.randn(1, 4, 5, 5)
    net = netspec.from_torch(module, x)
    assert net.params == 3 * (2 * 4 + 2 + 2 * 36 + 2)
    np.testing.assert_allclose(
        netspec.build(net)(x.numpy()), module(x).detach(), rtol=1e-4, atol=1e-5
    )


def test_poolings_round_alike_at_all_sizes() -> None:
    """11 and 3 come out even, 6 does not: as lines of one module, all say how they round."""
    pools = [nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(3, 2, 1)]
    net = netspec.from_torch(nn.Sequential(*pools), (4, 11, 11))
    assert net.text.count("round: floor") == 3
    even = netspec.from_torch(nn.Sequential(pools[0], nn.AvgPool2d(2)), (4, 11, 11))
    assert "round" not in even.text


def test_an_expansion_in_front_of_a_product_is_nothing() -> None:
    """Dimensions of 1 spread by themselves in the language."""
    function = Functions(lambda x: x * x.mean((2, 3), keepdim=True).expand_as(x))
    net = netspec.from_torch(function, (4, 5, 6))
    assert [layer.op.keyword for layer in net.layers] == ["adaptive_avgpool", "mul"]


def test_a_result_that_is_given_twice_has_two_names() -> None:
    class Twice(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            y = x.relu()
            return y, y

    net = netspec.from_torch(Twice(), (4, 5, 6))
    x = np.random.default_rng(0).normal(0, 1, (2, 4, 5, 6)).astype(np.float32)
    first, second = netspec.build(net)(x)
    np.testing.assert_array_equal(first, np.maximum(x, 0))
    np.testing.assert_array_equal(second, first)


def test_a_softplus_that_ends_early_is_refused() -> None:
    with pytest.raises(netspec.SpecError, match="its threshold 2 can't be said"):
        netspec.from_torch(Functions(lambda x: nn.functional.softplus(x, 3, 2)), (4, 5, 6))


def test_what_is_no_module_or_input() -> None:
    for module, shape in ((3, (3, 8, 8)), (nn.ReLU(), "3x8x8"), (nn.ReLU(), [])):
        with pytest.raises(TypeError):
            netspec.from_torch(module, shape)
    with pytest.raises(netspec.SpecError, match=r"can't be traced by torch\.export") as error:
        netspec.from_torch(nn.Conv2d(3, 4, 3), (5, 8, 8))
    assert len(str(error.value).splitlines()) < 5


def test_what_the_language_lacks_has_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    """Attention is refused by name, at a line of the listing."""
    with pytest.raises(netspec.SpecError) as error:
        netspec.from_torch(nn.TransformerEncoderLayer(8, 2, batch_first=True), (4, 8))
    found = error.value.diagnostics[0]
    assert found.code == "unsupported-layer"
    assert found.span is not None
    assert found.span.source.line(found.span.line).startswith("self_attn: ")


def test_convert_a_module_by_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its code is imported and called, which is said; other commands take no such names."""
    options = ["--input", "3x8x8", "--weights", "w.npz", "--check"]
    assert main(["convert", "own_models:Net", *options]) == 0
    said = capsys.readouterr().err
    assert "note: own_models:Net was imported and called: this ran its code" in said
    assert "torch and numpy agree" in said
    assert netspec.load("Net.net").params == 4 * 27 + 4 + 8 + 35
    assert netspec.convert("own_models:ready", inputs=(3, 8, 8)).name == "ready"
    assert (
        main(
            [
                "convert",
                "own_models:Two",
                "--input",
                "right=4x5x5",
                "--input",
                "left=3x5x5",
                "-o",
                "two.net",
                "--format",
                "json",
            ]
        )
        == 0
    )
    assert json.loads(capsys.readouterr().out)["layers"] == 2
    sys.modules.pop("own_models")
    for command in ("table", "check", "compile"):
        assert main([command, "own_models:Net"]) == 1
    assert "own_models" not in sys.modules
    assert str(here) not in sys.path


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        ("own_models:Net", [], "give them, as in `--input 3x224x224`"),
        ("own_models:Two", ["--input", "3x5x5"], "takes right too, whose shape is not given"),
        ("own_models:Two", ["--input", "middle=3x5x5"], "has no input middle: it has left, right"),
        ("own_models:Nat", ["--input", "3x5x5"], "did you mean `Net`?"),
        ("own_models:fails", ["--input", "3x5x5"], "ValueError: no such weights"),
        ("own_models:number", ["--input", "3x5x5"], "gives a int, and no torch.nn.Module"),
        ("own_models.py:Net", ["--input", "3x5x5"], "`netspec convert own_models:Net`"),
        ("no_such_models:Net", ["--input", "3x5x5"], "no module no_such_models"),
        ("none.net:Net", [], "none.net can't be read"),
        ("squeezenet1_0:v2", [], "is no prototxt"),
    ],
)
def test_wrong_names(
    here: Path, spec: str, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", spec, *options]) == 1
    assert message in capsys.readouterr().err


def test_torch_is_needed(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(netspec.SpecError, match="from_torch needs torch"):
        netspec.from_torch(None, (3, 8, 8))
    assert main(["convert", "own_models:Net", "--input", "3x8x8"]) == 1
    assert "pip install 'netspec-compiler[torch]'" in capsys.readouterr().err
