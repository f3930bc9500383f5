"""Emitted PyTorch models take part in all that PyTorch does with a model."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from netspec.codegen.backend import get, load_model
from netspec.weights import NameMaps, fresh

from ..helpers import loaded
from .nets import net_of, smaller
from .test_agreement import BRANCHES
from .test_classes import SENET

pytestmark = pytest.mark.slow

MIXED = """
module unit(filters, stride = 1) {
  input x
  if stride == 1 {
    s: split { parts: 2 }
    a: conv(s.part2) { filters: filters / 2  kernel: 3  pad: 1  groups: depthwise } -> batchnorm
    concat(s.part1, a)
  } else {
    a: conv { filters: filters  kernel: 3  stride: 2  pad: 1 } -> batchnorm -> hardswish
    p: avgpool(x) { kernel: 2  stride: 2 }
    mul(a, p)
  }
  channel_shuffle { groups: 2 }
}
module unpool() {
  input x
  input indices
  maxunpool(x, indices)
}
net mixed(classes = 6) {
  input data: 4x16x16
  unit { filters: 4 }
  unit { filters: 4  stride: 2 }
  p: maxpool { kernel: 2 }
  c: conv(p) { filters: 4  kernel: 3  pad: same } -> prelu
  u: unpool(c, p.indices)
  layernorm
  up: upsample { scale: 2  mode: bilinear  align_corners: false } -> scale
  conv_transpose { filters: 6  kernel: 2  stride: 2 } -> silu
  global_avgpool -> linear { units: classes } -> log_softmax
}
"""
TEXTS = {"branches": BRANCHES, "mixed": MIXED, "senet": SENET}


def model_of(name: str) -> tuple[Any, Tensor]:
    """A model with varied weights, not training, and an input of batch 3."""
    net = net_of(TEXTS[name])
    backend = get("torch")
    model = load_model(net, backend)
    backend.set_weights(model, fresh(net.tensors, 3, varied=True))
    shape = tuple(int(d) for d in net.body.inputs[0].shape)
    x = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
    return model.eval(), x


def first(results: Any) -> Tensor:
    found: Tensor = results[0] if isinstance(results, tuple) else results
    return found


@pytest.fixture(params=TEXTS)
def case(request: pytest.FixtureRequest) -> tuple[Any, Tensor, Tensor]:
    model, x = model_of(request.param)
    with torch.no_grad():
        return model, x, first(model(x))


Case = tuple[Any, Tensor, Tensor]


def near(found: Tensor, wanted: Tensor, tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(found.float(), wanted, rtol=tolerance, atol=tolerance)


def test_compiles_as_one_graph(case: Case) -> None:
    model, x, wanted = case
    near(first(torch.compile(model, fullgraph=True, backend="eager")(x)), wanted)


def test_exports(case: Case) -> None:
    model, x, wanted = case
    exported = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("n", min=2)},))
    near(first(exported.module()(x)), wanted)
    near(first(exported.module()(x[:2])), wanted[:2])


def test_traces(case: Case) -> None:
    model, x, wanted = case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced: Any = torch.jit.trace(model, (x,))  # type: ignore[no-untyped-call]
    near(first(traced(x)), wanted)
    near(first(traced(x[:2])), wanted[:2])


def test_becomes_onnx(tmp_path: Path) -> None:
    """Max-unpooling and shuffling are beyond the older exporter; all of the other net is not."""
    model, x = model_of("branches")
    file = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x,), file, dynamo=False)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.no_grad():
        for ours, theirs in zip(model(x), found, strict=True):
            near(torch.from_numpy(theirs), ours)


def test_channels_last(case: Case) -> None:
    model, x, wanted = case
    model = model.to(memory_format=torch.channels_last)
    near(first(model(x.to(memory_format=torch.channels_last))), wanted)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_types(case: Case, dtype: torch.dtype) -> None:
    model, x, wanted = case
    found = first(model.to(dtype)(x.to(dtype)))
    assert found.dtype == dtype
    near(found, wanted, 1e-4 if dtype == torch.float64 else 0.1)


def test_copies_and_state(case: Case, tmp_path: Path) -> None:
    model, x, wanted = case
    near(first(copy.deepcopy(model)(x)), wanted)
    torch.save(model.state_dict(), tmp_path / "w.pt")
    for p in model.parameters():
        p.data.zero_()
    model.load_state_dict(torch.load(tmp_path / "w.pt", weights_only=True))
    near(first(model(x)), wanted)


def test_any_batch(case: Case) -> None:
    model, x, wanted = case
    for n in (1, 2):
        near(first(model(x[:n])), wanted[:n])


SIZED = """
net sized(height = 16, width = 16) {
  input data: [3, height, width]
  a: conv { filters: 4  kernel: 4  stride: 2  pad: same } -> relu
  p: maxpool { kernel: 2  round: ceil }
  c: conv(p) { filters: 4  kernel: 3  pad: same }
  u: maxunpool(c, p.indices) { size: a.shape }
  up: upsample { size: data.shape  mode: bilinear  align_corners: false }
  concat(up, data)
  avgpool { kernel: 3  stride: 2  pad: same  count_include_pad: false }
}
"""


@pytest.mark.parametrize("size", [(16, 16), (31, 17), (22, 45)])
def test_other_input_sizes(size: tuple[int, int]) -> None:
    """A model gives for every size what the spec compiled for that size gives."""
    backend = get("torch")
    model: Any = load_model(net_of(SIZED), backend).eval()
    net = net_of(SIZED, height=size[0], width=size[1])
    other: Any = load_model(net, backend).eval()
    for m in (model, other):
        backend.set_weights(m, fresh(net.tensors, 3, varied=True))
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = other(x)
        assert wanted.shape[1:] == tuple(int(d) for d in net.body.outputs[0].shape)
        assert torch.equal(model(x), wanted)
        # The NumPy model of that size is another implementation.
        numpy = get("numpy")
        referee = load_model(net, numpy)
        numpy.set_weights(referee, fresh(net.tensors, 3, varied=True))
        near(wanted, torch.from_numpy(numpy.run(referee, x.numpy())[0]))


def test_exports_with_free_height_and_width() -> None:
    backend = get("torch")
    net = net_of(SIZED)
    model: Any = load_model(net, backend).eval()
    backend.set_weights(model, fresh(net.tensors, 3, varied=True))
    free = dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)
    exported = torch.export.export(model, (torch.randn(2, 3, 16, 20),), dynamic_shapes=(free,))
    with torch.no_grad():
        for shape in ((1, 3, 31, 17), (3, 3, 22, 45)):
            x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
            near(exported.module()(x), model(x))


def test_trains(case: Case) -> None:
    """Gradients reach every parameter, in-place activations or not."""
    model, x, _ = case
    results = model.train()(x)
    total = sum(
        (r.float() ** 2).sum() for r in (results if isinstance(results, tuple) else (results,))
    )
    total.backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert torch.isfinite(p.grad).all(), name
        assert p.grad.abs().sum() > 0, name


def test_gradients_are_those_of_an_independent_composition() -> None:
    net = net_of(
        """
        module block(filters) {
          input x
          main: conv { filters: filters kernel: 3 pad: 1 bias: false } -> batchnorm -> relu
          if x.channels != filters { short: conv(x) { filters: filters kernel: 1 } } else { short: identity(x) }
          add(main, short) -> relu
        }
        net small { input data: 3x8x8  a: block { filters: 4 }  b: block { filters: 4 }
          maxpool { kernel: 2 } -> global_avgpool -> linear { units: 5 } }
        """
    )
    weights = fresh(net.tensors, 4, varied=True)
    backend = get("torch")
    model = load_model(net, backend)
    backend.set_weights(model, weights)
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(2)).double()
    model.double().train()(x).square().sum().backward()

    w = {n: torch.from_numpy(a).double().requires_grad_() for n, a in weights.items()}

    def block(x: Tensor, name: str) -> Tensor:
        main = F.conv2d(x, w[f"{name}.main.weight"], padding=1)
        mean, var = main.mean((0, 2, 3), True), main.var((0, 2, 3), unbiased=False, keepdim=True)
        main = (main - mean) / (var + 1e-5).sqrt()
        factor, shift = w[f"{name}.main_batchnorm.weight"], w[f"{name}.main_batchnorm.bias"]
        main = (main * factor[:, None, None] + shift[:, None, None]).clamp(min=0)
        short = x
        if f"{name}.short.weight" in w:
            short = F.conv2d(x, w[f"{name}.short.weight"], w[f"{name}.short.bias"])
        return (main + short).clamp(min=0)

    y = F.max_pool2d(block(block(x, "a"), "b"), 2).mean((2, 3))
    (y @ w["linear_1.weight"].T + w["linear_1.bias"]).square().sum().backward()  # type: ignore[no-untyped-call]
    for name, p in model.named_parameters():
        assert p.grad is not None
        wanted = w[name].grad
        assert wanted is not None
        np.testing.assert_allclose(
            p.grad.numpy(), wanted.numpy(), rtol=1e-7, atol=1e-9, err_msg=name
        )


def test_a_model_shows_its_source_in_tracebacks() -> None:
    import traceback

    model, _ = model_of("mixed")
    with pytest.raises(RuntimeError) as error:
        model(torch.zeros(1, 5, 16, 16))
    lines = "".join(traceback.format_exception(error.value))
    assert "emitted by netspec for torch>" in lines
    assert "self.unit_1(data)" in lines


# --- under torchvision's names --------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["squeezenet1_1", "resnet18", "mobilenet_v2", "shufflenet_v2"])
def test_other_names_are_no_hindrance(spec: str) -> None:
    """Layers called `features.0` come out as layers of an `nn.Sequential` or `nn.ModuleDict`."""
    net = smaller(spec)
    net, keys = NameMaps(net, spec).renamed("torchvision")
    backend = get("torch")
    model: Any = load_model(net, backend)
    backend.set_weights(model, fresh(net.tensors, 3, varied=True))
    assert set(keys.values()) <= set(model.state_dict())
    x = torch.randn(2, *map(int, net.body.inputs[0].shape))
    with torch.no_grad():
        wanted = model.eval()(x)
        compiled: Any = torch.compile(model, fullgraph=True, backend="eager")
        near(compiled(x), wanted)
        exported: Any = torch.export.export(model, (x,)).module()
        near(exported(x), wanted)


def test_weights_called_by_their_places_make_a_sequential() -> None:
    net, _ = NameMaps(loaded("vgg16"), "vgg16").renamed("torchvision")
    source = get("torch").emit(net)
    assert "self.features = nn.Sequential(" in source
    assert "self.classifier = nn.Sequential(" in source
    assert "getattr(self" not in source
    assert "_modules" not in source


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda(case: Case) -> None:
    model, x, wanted = case
    near(first(model.cuda()(x.cuda())).cpu(), wanted, 1e-3)
