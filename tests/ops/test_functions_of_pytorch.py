"""Activations against PyTorch's functions of the same name, in both backends."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from netspec import SpecError
from netspec.codegen.backend import get, load_model
from tests.backends.nets import net_of, of_layers

FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "hardtanh": F.hardtanh,
    "hardtanh { min: -0.5  max: 2 }": lambda x: F.hardtanh(x, -0.5, 2),
    "hardtanh { max: 0.5 }": lambda x: F.hardtanh(x, -1, 0.5),
    "clamp { min: -0.25 }": lambda x: torch.clamp(x, min=-0.25),
    "clamp { max: 0.5 }": lambda x: torch.clamp(x, max=0.5),
    "clamp { min: 0.25  max: 0.25 }": lambda x: torch.clamp(x, 0.25, 0.25),
    "threshold { threshold: 0.25 }": lambda x: F.threshold(x, 0.25, 0),
    "threshold { threshold: -1  value: 20 }": lambda x: F.threshold(x, -1, 20),
    "celu": F.celu,
    "celu { alpha: 0.25 }": lambda x: F.celu(x, 0.25),
    "selu": F.selu,
    "mish": F.mish,
    "logsigmoid": F.logsigmoid,
    "softsign": F.softsign,
    "tanhshrink": F.tanhshrink,
    "hardshrink": F.hardshrink,
    "hardshrink { threshold: 2 }": lambda x: F.hardshrink(x, 2),
    "softshrink": F.softshrink,
    "softshrink { threshold: 0 }": lambda x: F.softshrink(x, 0),
    "minimum(data, softsign(data))": lambda x: torch.minimum(x, F.softsign(x)),
}
# Bounds and defaults of the functions themselves are among them.
POINTS = np.array(
    [0.0, *(s * v for s in (1, -1) for v in (1e-8, 0.25, 0.3, 0.5, 1, 1.5, 2, 3, 20, 90, 700))]
)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "numpy"])
@pytest.mark.parametrize("layer", FUNCTIONS)
def test_function(layer: str, backend: str) -> None:
    net = of_layers(layer, f"{len(POINTS)}x1x1")
    model = load_model(net, get(backend))
    for kind, tolerance in ((np.float64, 1e-12), (np.float32, 2e-6)):
        x = POINTS.astype(kind).reshape(1, -1, 1, 1)
        (found,) = get(backend).run(model, x)
        assert found.dtype == kind
        wanted = FUNCTIONS[layer](torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("layer", [x for x in FUNCTIONS if "minimum" not in x])
def test_not_a_number_stays_one_in_both_backends(layer: str) -> None:
    x = np.full((1, 1, 1, 1), np.nan, np.float32)
    net = of_layers(layer, "1x1x1")
    results = [get(b).run(load_model(net, get(b)), x)[0] for b in ("torch", "numpy")]
    np.testing.assert_array_equal(*results)


BY_PARAMETERS = """
module block(low, slope, bound) {
  input x
  hardtanh { min: low  max: bound } -> celu { alpha: slope } -> threshold { threshold: low }
  clamp { max: 2 * bound } -> hardshrink { threshold: bound } -> softshrink { threshold: bound }
}
net n(low = -0.75, slope = 0.625, bound = 0.75) {
  input data: 3x4x4
  block { low: low  slope: slope  bound: bound }
  block { low: 2 * low  slope: 2 * slope  bound: 3 * bound }
}
"""


def test_numbers_of_functions_can_be_arguments_of_the_emitted_class() -> None:
    """Made with other arguments, the class computes what the net of those settings does."""
    backend = get("torch")
    model = type(load_model(net_of(BY_PARAMETERS), backend))(low=-0.25, slope=0.125, bound=0.375)
    other = net_of(BY_PARAMETERS, low=-0.25, slope=0.125, bound=0.375)
    x = np.random.default_rng(1).normal(size=(2, 3, 4, 4)).astype(np.float32)
    (found,) = backend.run(model, x)
    for name in ("torch", "numpy"):
        (wanted,) = get(name).run(load_model(other, get(name)), x)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "code"),
    [
        ("hardtanh { min: 1  max: 1 }", "out-of-range"),
        ("hardtanh { min: 2 }", "out-of-range"),
        ("clamp { min: 2  max: 1 }", "out-of-range"),
        ("clamp", "missing-field"),
        ("celu { alpha: 0 }", "out-of-range"),
        ("softshrink { threshold: -1 }", "out-of-range"),
        ("threshold", "missing-field"),
    ],
)
def test_numbers_that_make_no_sense(layer: str, code: str) -> None:
    with pytest.raises(SpecError) as raised:
        of_layers(layer)
    assert [d.code for d in raised.value.diagnostics] == [code]
