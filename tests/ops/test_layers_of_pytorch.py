"""Layers against the functions that PyTorch has for them, in both backends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from netspec import SpecError
from netspec.codegen.backend import get, load_model
from netspec.weights import fresh
from tests.backends.nets import net_of, of_layers

Weights = Mapping[str, Tensor]

LAYERS: dict[str, tuple[str, Callable[[Tensor, Weights], Tensor]]] = {
    "groupnorm { groups: 3 }": (
        "6x4x5",
        lambda x, w: F.group_norm(x, 3, w["weight"], w["bias"]),
    ),
    "groupnorm { groups: 1  affine: false  eps: 0.5 }": (
        "6x4x5",
        lambda x, w: F.group_norm(x, 1, eps=0.5),
    ),
    "instancenorm": ("6x4x5", lambda x, w: F.instance_norm(x)),
    "instancenorm { affine: true  eps: 0.5 }": (
        "6x4x5",
        lambda x, w: F.instance_norm(x, None, None, w["weight"], w["bias"], eps=0.5),
    ),
    "pixel_shuffle { factor: 3 }": ("18x2x5", lambda x, w: F.pixel_shuffle(x, 3)),
    "pixel_unshuffle { factor: 2 }": ("3x4x10", lambda x, w: F.pixel_unshuffle(x, 2)),
    "adaptive_maxpool { size: 3x4 }": ("2x7x9", lambda x, w: F.adaptive_max_pool2d(x, (3, 4))),
    "adaptive_maxpool { size: 5 }": ("2x3x4", lambda x, w: F.adaptive_max_pool2d(x, 5)),
    "upsample { scale: 2x3  mode: bicubic  align_corners: false }": (
        "2x4x5",
        lambda x, w: F.interpolate(x, scale_factor=(2, 3), mode="bicubic"),
    ),
    "upsample { size: 3x9  mode: bicubic  align_corners: true }": (
        "2x4x5",
        lambda x, w: F.interpolate(x, (3, 9), mode="bicubic", align_corners=True),
    ),
    "drop_path { ratio: 0.5 }": ("2x4x5", lambda x, w: x),
    "p: parameter { shape: [2, 1, 1] }\n mul(data, p)": ("2x4x5", lambda x, w: x * w["weight"]),
    "p: parameter { shape: [1, 4, 5] }\n add(data, p)": ("2x4x5", lambda x, w: x + w["weight"]),
    "parameter { shape: 3 }": ("2x4x5", lambda x, w: w["weight"].expand(len(x), 3)),
    "mean { across: channels }": ("3x4x5", lambda x, w: x.mean(1, keepdim=True)),
    "mean { across: spatial }": ("3x4x5", lambda x, w: x.mean((2, 3), keepdim=True)),
    "sum { across: channels }": ("3x4x5", lambda x, w: x.sum(1, keepdim=True)),
    "sum { across: spatial }": ("3x4x5", lambda x, w: x.sum((2, 3), keepdim=True)),
    "slice { channels: [2, 5] }": ("6x4x5", lambda x, w: x[:, 2:5]),
    "slice { channels: [0, 6, 4]  rows: [3, 4] }": ("6x4x5", lambda x, w: x[:, 0:6:4, 3:4]),
    "slice { columns: [1, data.width, 2] }": ("6x4x5", lambda x, w: x[..., 1::2]),
    "mul(data, mean(data) { across: channels })": (
        "3x4x5",
        lambda x, w: x * x.mean(1, keepdim=True),
    ),
    "sub(mean(data) { across: spatial }, sum(data) { across: channels })": (
        "3x4x5",
        lambda x, w: x.mean((2, 3), keepdim=True) - x.sum(1, keepdim=True),
    ),
    "div(data, exp(data))": ("2x3x4", lambda x, w: x / x.exp()),
}


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "numpy"])
@pytest.mark.parametrize("layer", LAYERS)
def test_layer(layer: str, backend: str) -> None:
    shape, function = LAYERS[layer]
    net = of_layers(layer, shape)
    weights = fresh(net.tensors, 1, varied=True)
    b = get(backend)
    model = load_model(net, b)
    b.set_weights(model, weights)
    own: Any = {
        name.rpartition(".")[2]: torch.from_numpy(a).double() for name, a in weights.items()
    }
    x = np.random.default_rng(1).normal(1, 2, (3, *net.body.inputs[0].shape))
    (found,) = b.run(model, x)
    wanted = function(torch.from_numpy(x), own)
    assert found.shape[1:] == net.body.outputs[0].shape
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "code", "says"),
    [
        ("groupnorm { groups: 4 }", "groups-mismatch", "`groups: 3` divides 6"),
        ("groupnorm", "missing-field", "groups"),
        ("adaptive_avgpool { size: 1 } -> groupnorm { groups: 6 }", "out-of-range", "6x1x1"),
        ("adaptive_avgpool { size: 1 } -> instancenorm", "out-of-range", "6x1x1"),
        ("flatten -> instancenorm", "wrong-rank", "channels x height x width"),
        ("pixel_shuffle { factor: 2 }", "groups-mismatch", "one channel of 2x2"),
        ("pixel_unshuffle { factor: 2 }", "groups-mismatch", "width of 6x4x5"),
        ("mean", "missing-field", "mean { across: channels }"),
        ("flatten -> sum { across: spatial }", "wrong-rank", "sum needs channels"),
        ("sum(data, data) { across: channels }", "wrong-arity", "takes 1 input"),
        ("mean { dim: 1 }", "unknown-field", "`across: channels`"),
        ("slice", "missing-field", "slice { channels: [0, 16] }"),
        ("slice { channels: 3 }", "wrong-type", "`[3, 4]`"),
        ("slice { channels: [4, 7] }", "out-of-range", "up to 7 of 6"),
        ("slice { rows: [2, 2] }", "out-of-range", "from 2 to before 2"),
        ("slice { columns: [-1, 2] }", "out-of-range", "at least 0"),
        ("slice { columns: [0, 4, 0] }", "out-of-range", "at least 1"),
        ("slice { start: 1 }", "unknown-field", "rows: [1, 9]"),
        ("flatten -> slice { rows: [0, 1] }", "wrong-rank", "rows or columns"),
        ("parameter", "missing-field", "shape"),
        ("parameter { shape: [2, 3] }", "wrong-type", "one or three numbers"),
        ("parameter { shape: [2, -1, 3] }", "out-of-range", "at least 1"),
        ("parameter { shape: 6  init: kaiming }", "unknown-value", "normal(deviation)"),
        ("p: parameter { shape: [5, 1, 1] }\n add(data, p)", "shape-mismatch", "[6, 1, 1]` at p"),
        ("p: parameter { shape: [1, 5, 5] }\n add(data, p)", "shape-mismatch", "[1, 4, 5]` at p"),
        ("drop_path { ratio: 1 }", "out-of-range", "below 1"),
        ("roi_pool(data, data) { size: 2 }", "shape-mismatch", "4xRx1"),
        ("roi_pool { size: 2 }", "wrong-arity", "roi_pool(a, b)"),
        ("upsample { scale: 2  mode: bicubic }", "ambiguous-alignment", "align_corners: false"),
        ("upsample { scale: 2  mode: cubic }", "unknown-value", "bicubic"),
        ("flatten -> adaptive_maxpool { size: 2 }", "wrong-rank", "adaptive_maxpool"),
        ("a: conv { filters: 5  kernel: 1 }\n div(data, a)", "shape-mismatch", "filters: 6"),
    ],
)
def test_what_does_not_go(layer: str, code: str, says: str) -> None:
    with pytest.raises(SpecError) as raised:
        of_layers(layer, "6x4x5")
    (found,) = raised.value.diagnostics
    assert found.code == code
    assert says in " ".join([found.message, *found.help])


BY_PARAMETERS = """
module block(groups, factor, first, count, drop, filters) {
  input x
  groupnorm { groups: groups } -> conv { filters: filters * factor * factor  kernel: 1 }
  instancenorm { affine: groups > 2 }
  large: pixel_shuffle { factor: factor } -> pixel_unshuffle { factor: factor }
         -> pixel_shuffle { factor: factor }
  gamma: parameter { shape: [filters, 1, 1]  init: constant(0.5) }
  mul(large, gamma) -> drop_path { ratio: drop }
  slice { channels: [first, first + count]  rows: [0, 4, factor] }
}
net n(groups = 2, factor = 1, first = 0, count = 2, drop = 0.25, filters = 4) {
  input data: 6x4x4
  place: parameter { shape: data.shape  init: normal(0.5) }
  add(data, place)
  block { groups: groups  factor: factor  first: first  count: count  drop: drop  filters: filters }
}
"""


@pytest.mark.parametrize(
    "settings", [{"groups": 3, "first": 1}, {"factor": 2, "count": 3}, {"filters": 8, "first": 5}]
)
def test_numbers_of_layers_can_be_arguments_of_the_emitted_class(settings: dict[str, Any]) -> None:
    """Made with other arguments, the class is the net of those settings."""
    torch_, numpy = get("torch"), get("numpy")
    model = type(load_model(net_of(BY_PARAMETERS), torch_))(**settings)
    other = net_of(BY_PARAMETERS, **settings)
    weights = fresh(other.tensors, 1, varied=True)
    torch_.set_weights(model, weights)
    reference = load_model(other, numpy)
    numpy.set_weights(reference, weights)
    x = np.random.default_rng(1).normal(size=(2, 6, 4, 4)).astype(np.float32)
    (found,), (wanted,) = torch_.run(model, x), numpy.run(reference, x)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("groups", 4),
        ("groups", 0),
        ("factor", 0),
        ("count", 0),
        ("drop", 1),
        ("count", 5),
        ("first", 3),
    ],
)
def test_what_rules_refuse_the_class_refuses(argument: str, value: int) -> None:
    model = type(load_model(net_of(BY_PARAMETERS), get("torch")))
    with pytest.raises(SpecError):
        net_of(BY_PARAMETERS, **{argument: value})
    with pytest.raises(ValueError, match=argument):
        model(**{argument: value})


def test_drop_path_leaves_out_whole_pictures() -> None:
    for layer in ("drop_path { ratio: 0.25 }", "flatten -> drop_path { ratio: 0.25 }"):
        model: Any = load_model(of_layers(layer, "2x3x4"), get("torch"))
        torch.manual_seed(1)
        x = torch.rand(1000, 2, 3, 4) + 1
        y = model.train()(x).reshape(1000, -1)
        kept = y.ne(0).any(1)
        torch.testing.assert_close(y[kept], x.reshape(1000, -1)[kept] / 0.75)
        assert 700 < kept.sum() < 800
        torch.testing.assert_close(model.eval()(x).reshape(1000, -1), x.reshape(1000, -1))


def test_a_constant_begins_as_it_says() -> None:
    net = net_of(BY_PARAMETERS)
    model: Any = load_model(net, get("torch"))
    weights = {name: p.detach() for name, p in model.state_dict().items()}
    assert weights["block_1.gamma.weight"].eq(0.5).all()
    assert 0.3 < weights["place.weight"].std() < 0.7
    assert net.tensors["place.weight"].shape == (6, 4, 4)


def test_regions_by_hand() -> None:
    """A region of 3x2 in parts of 2x1, one that is partly outside, and one that is nowhere."""
    net = of_layers("input r: 4x3x1\n roi_pool(data, r) { size: 2x1  scale: 0.5 }", "1x4x4")
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    regions = [[2, 2, 4, 6], [4, -4, 8, 2], [20, 20, 30, 30]]  # left, top, right, bottom
    r = np.array(regions, np.float32).T.reshape(1, 4, 3, 1)
    for name in ("torch", "numpy"):
        (found,) = get(name).run(load_model(net, get(name)), x, r)
        # Rows 1 to 3 and columns 1 to 2: parts of rows 1 to 2 and 2 to 3. Rows -2 to 1: -2 to -1
        # and 0 to 1, columns 2 to 4.
        assert found[0, :, :, 0].T.tolist() == [[10, 14], [0, 7], [0, 0]]
