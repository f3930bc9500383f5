"""Exported programs in the vocabulary of tensors, against the modules that they are of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netspec
from netspec.importers.tensors.program import TensorProgram
from netspec.importers.torch.exported import Exported
from netspec.importers.torch.program import PlaceError, tensor_program
from netspec.importers.torch.schema import exported
from netspec.importers.torch.traced import traced
from tests.importers.torch import models
from tests.importers.torch.interpreter import run
from tests.importers.torch.models import Branches, Functions, layers


def outputs(module: nn.Module, *inputs: Tensor) -> list[Tensor]:
    with torch.no_grad():
        found: Any = module(*inputs)
    if isinstance(found, dict):
        return list(found.values())
    return [found] if isinstance(found, Tensor) else list(found)


def saved(module: nn.Module, inputs: tuple[Tensor, ...], path: Path, **options: Any) -> Path:
    program = torch.export.export(module.eval(), inputs, strict=False, **options)
    torch.export.save(program, path)
    return path


def compare(program: TensorProgram, module: nn.Module, *inputs: Tensor) -> None:
    with torch.no_grad():
        found = run(program, inputs)
    for ours, theirs in zip(found, outputs(module, *inputs), strict=True):
        torch.testing.assert_close(ours.float(), theirs.float(), rtol=1e-4, atol=1e-5)


def varied(module: nn.Module) -> nn.Module:
    """A module whose statistics are not those of a fresh one."""
    torch.manual_seed(3)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.uniform_(-1, 1)
            layer.running_var.uniform_(0.5, 2)
    return module.eval()


@pytest.mark.parametrize(
    "name", ["ACTIVATIONS", "ARITHMETIC", "REDUCTIONS", "SHAPES", "POOLINGS", "GATES", "OUTSIDE"]
)
def test_functions(name: str) -> None:
    """Each function that models call gives what PyTorch gives: as a program, and as a net."""
    torch.manual_seed(0)
    module, x = Functions(*getattr(models, name)), torch.randn(2, 8, 6, 8)
    compare(tensor_program(traced(module, (x,), "functions")), module, x)
    if name == "OUTSIDE":
        for function in models.OUTSIDE:
            with pytest.raises(netspec.SpecError, match="can't be said|no counterpart"):
                netspec.from_torch(Functions(function), x)
        return
    found = netspec.build(netspec.from_torch(module, x))(x.numpy())
    for ours, theirs in zip(found, outputs(module, x), strict=True):
        ours = torch.from_numpy(ours).reshape(theirs.shape)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_file_says_what_the_module_says(tmp_path: Path) -> None:
    """Layers with weights: from the file and from memory come the same operations and numbers."""
    module, x = varied(layers()), torch.randn(2, 3, 8, 8)
    from_file = tensor_program(exported(saved(module, (x,), tmp_path / "layers.pt2")))
    from_memory = tensor_program(traced(module, (x,), "layers"))
    compare(from_file, module, x)
    compare(from_memory, module, x)
    assert _operations(from_file) == _operations(from_memory)
    assert [o.name for o in from_file.operations][:8] == [
        "0",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6.0",
        "6.1",
    ]
    assert from_file.modules["6"] == "Sequential"
    assert from_file.notes == from_memory.notes
    assert "Dropout2d" in from_file.notes[0]
    same = next(o for o in from_file.operations if o.name == "3")
    assert same.attributes["pad"] == (1, 3, 1, 3)
    assert same.span.source.line(same.span.line) == (
        "3: conv2d(%relu_, 3.weight 8x8x2x4, stride [1, 1], padding same, dilation [2, 2]) -> 2x8x8x8"
    )


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_program_that_was_taken_apart(tmp_path: Path) -> None:
    """Core operators, as PyTorch 2.4 exported them, and linear layers over the rows of a map."""

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # type: ignore[no-any-return]

    first = list(layers())[:6]
    module = varied(nn.Sequential(*first, nn.InstanceNorm2d(8, affine=True), Last()))
    x = torch.randn(2, 3, 6, 8)
    whole = torch.export.export(module, (x,), strict=False)
    torch.export.save(whole.run_decompositions(), tmp_path / "core.pt2")
    program = tensor_program(exported(tmp_path / "core.pt2"))
    assert {"prelu", "batchnorm", "instancenorm", "matmul"} < {o.kind for o in program.operations}
    net = netspec.load(tmp_path / "core.pt2")
    assert net.params == sum(p.numel() for p in module.parameters())
    found = torch.from_numpy(netspec.build(net)(x.numpy()))
    torch.testing.assert_close(found, outputs(module, x)[0], rtol=1e-4, atol=1e-5)


def _operations(program: TensorProgram) -> list[Any]:
    return [
        (o.kind, o.name, dict(o.attributes), [t and t.shape for t in o.inputs])
        for o in program.operations
    ]


def test_modules_names_and_keys() -> None:
    """Paths of modules, names of parameters and keys of results name operations."""
    module = varied(Branches())
    inputs = torch.randn(2, 3, 6, 6), torch.randn(2, 3, 6, 6)
    program = tensor_program(traced(module, inputs, "branches"))
    compare(program, module, *inputs)
    names = [o.name for o in program.operations]
    assert names.count("stem") == 2
    assert {"blocks.0.conv1", "blocks.0.bn1", "blocks.0.conv2", "blocks.1.add", "gamma"} < {*names}
    assert names.count("blocks.0.relu") == 2
    assert program.modules["blocks.0"] == "Bottleneck"
    stems = [o.inputs[1] for o in program.operations if o.name == "stem"]
    assert stems[0] is stems[1]
    assert names.count("head") == 2
    standard = next(o for o in program.operations if o.name == "blocks.1.conv2").inputs[1]
    assert standard is not None
    assert standard.constant is not None


def test_results_are_named_by_keys() -> None:
    class Named(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"out": x * 2, "aux": x + 1}

    program = tensor_program(traced(Named(), (torch.randn(1, 3),), "named"))
    assert [(o.kind, o.name) for o in program.operations] == [("mul", "out"), ("add", "aux")]


def test_open_sizes_are_those_of_the_example(tmp_path: Path) -> None:
    """A batch, a height and a width that a file leaves open."""

    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(x)
            y = y.view(y.size(0), 2, 2, *y.shape[2:]).transpose(1, 2).flatten(1, 2)
            y = y.view(y.size(0), -1)
            return torch.unflatten(y, 1, (4, x.shape[2] * x.shape[3])).mean(2)

    module, x = Rows(), torch.randn(3, 3, 6, 8)
    auto = torch.export.Dim.AUTO
    path = saved(module, (x,), tmp_path / "open.pt2", dynamic_shapes=({0: auto, 2: auto, 3: auto},))
    program = tensor_program(exported(path))
    compare(program, module, x)
    assert program.batch == 3
    assert program.notes == ["The file leaves sizes of x open; they are those of its example, 6x8."]


def test_writing_through_a_view_is_refused() -> None:
    """A value that a later call changed through a view is not taken for the old one."""

    class Writes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x * 2
            y[:, :1].relu_()
            return y + 1

    with pytest.raises(PlaceError, match="relu_ has written to through a view") as error:
        tensor_program(traced(Writes(), (torch.randn(1, 3, 4, 4),), "writes"))
    assert error.value.span.text == "add"


def test_writing_in_place_is_followed() -> None:
    """What is read after a call that writes to it is what that wrote."""

    class Writes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x * 2
            z = torch.relu_(y)
            return y - 3 * z

    module, x = Writes(), torch.randn(1, 3, 4, 4)
    compare(tensor_program(traced(module, (x,), "writes")), module, x)


def test_a_factor_that_leaves_a_part_of_a_pixel_is_refused() -> None:
    """PyTorch steps by the factor then, and not by the ratio of the sizes."""
    module = Functions(lambda x: F.interpolate(x, scale_factor=0.3))
    with pytest.raises(netspec.SpecError, match="leaves a part of a pixel can't be said"):
        netspec.from_torch(module, torch.randn(1, 3, 11, 11))


def test_a_part_of_a_result_that_is_written_to_is_refused() -> None:
    class Writes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x * 2
            y[:, 0] = 1.0
            return y

    with pytest.raises(PlaceError, match="writes to a part of a result") as error:
        tensor_program(traced(Writes(), (torch.randn(1, 3, 4, 4),), "writes"))
    assert error.value.span.text == "fill_"


def test_copies_are_not_written_to() -> None:
    """What writes to a copy leaves the original, and the other way round."""

    class Writes(nn.Module):
        def forward(self, x: Tensor) -> list[Tensor]:
            y, z = x * 2, x * 3
            kept = y.clone()
            y.relu_()
            copies = [z.double(), F.pad(z, (0, 0)), z.repeat(1, 1, 1, 1)]
            for copy in copies:
                copy.relu_()
            return [y + kept, z, *copies]

    module, x = Writes(), torch.randn(1, 3, 4, 4)
    compare(tensor_program(traced(module, (x,), "writes")), module, x)


def test_dropout_gives_its_input_itself_in_eval_mode() -> None:
    class Writes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x * 2
            return F.dropout(y, 0.5, self.training).relu_() + y

    with pytest.raises(PlaceError, match="relu_ has written to through a view"):
        tensor_program(traced(Writes().eval(), (torch.randn(1, 3, 4, 4),), "writes"))


def test_training_is_refused_and_eval_restored() -> None:
    """A module is traced in eval mode, and left in its own; a batch norm of a batch is refused."""
    module = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout())
    module[1].eval()
    program = tensor_program(traced(module, (torch.randn(2, 3, 4, 4),), "norm"))
    assert [o.kind for o in program.operations] == ["batchnorm", "dropout"]
    assert module.training
    assert not module[1].training
    untracked = nn.BatchNorm2d(3, track_running_stats=False)
    with pytest.raises(PlaceError, match=r"statistics of its batch.*`eval\(\)`"):
        tensor_program(traced(untracked, (torch.randn(2, 3, 4, 4),), "norm"))


def test_an_unknown_operator_keeps_its_name() -> None:
    """What the vocabulary lacks is left to the translation, which refuses it by its name."""
    module = Functions(lambda x: torch.fft.fft(x).real)
    program = tensor_program(traced(module, (torch.randn(1, 3, 4, 4),), "fft"))
    assert program.operations[0].kind == "fft_fft"


def test_bfloat16_and_half_become_float(tmp_path: Path) -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        module, x = nn.Linear(3, 2).to(dtype), torch.randn(1, 3).to(dtype)
        found: Exported = exported(saved(module, (x,), tmp_path / "m.pt2"))
        weight = next(c for name, c in found.stored.values() if name == "weight")
        assert weight.read().dtype == "float32"
        assert torch.equal(torch.from_numpy(weight.read()), module.weight.detach().float())
