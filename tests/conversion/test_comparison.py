"""A spec beside its original: a function written out by hand, in several layouts."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.conversion.comparison import compared, difference_error
from netspec.conversion.files import write_both
from netspec.conversion.originals import Original, original
from netspec.diagnostics.source import Source
from netspec.ir import Net
from netspec.weights import fresh, read

from ..helpers import net_of

TEXT = """net own {
  input data: 3x4x5
  mix: conv { filters: 2  kernel: 1 }
  mean: global_avgpool
  output mix, mean
}
"""


@pytest.fixture(scope="module")
def net() -> Net:
    return net_of(TEXT)


@pytest.fixture(scope="module")
def weights(net: Net) -> dict[str, Any]:
    return fresh(net.tensors, 3, varied=True)


def by_hand(weights: dict[str, Any], x: Any) -> list[Any]:
    """The outputs for an input with channels in the first place."""
    filters = weights["mix.weight"][:, :, 0, 0]
    mixed = np.einsum("fc,nchw->nfhw", filters, x) + weights["mix.bias"][:, None, None]
    return [mixed, mixed.mean((2, 3))]


def test_an_equal_function_agrees(net: Net, weights: dict[str, Any]) -> None:
    own = Original("hand", ((None, 3, 4, 5),), lambda a: by_hand(weights, a[0]))
    found = compared(net, weights, own)
    assert found.agrees
    assert found.relative < 1e-5
    assert (found.backend, found.original) == ("numpy", "hand")


def test_channels_may_be_last_and_vectors_maps(net: Net, weights: dict[str, Any]) -> None:
    def run(arrays: Any) -> list[Any]:
        (x,) = arrays
        assert x.shape == (7, 4, 5, 3)
        mixed, mean = by_hand(weights, np.moveaxis(x, -1, 1))
        return [np.moveaxis(mixed, 1, -1), mean[:, None, None]]

    assert compared(net, weights, Original("hand", ((7, 4, 5, 3),), run)).agrees


@pytest.mark.parametrize(
    ("change", "largest"),
    [
        (lambda mixed, mean: [mixed, mean + 0.5], 0.5),
        (lambda mixed, mean: [mixed], inf),
        (lambda mixed, mean: [mixed[:, :1], mean], inf),
        (lambda mixed, mean: [mixed * np.nan, mean], inf),
    ],
)
def test_what_differs(
    net: Net, weights: dict[str, Any], change: Callable[..., list[Any]], largest: float
) -> None:
    own = Original("hand", ((1, 3, 4, 5),), lambda a: change(*by_hand(weights, a[0])))
    found = compared(net, weights, own)
    assert not found.agrees
    assert found.largest == pytest.approx(largest, abs=1e-4)
    message = difference_error(found, "m.onnx").diagnostics[0].message
    assert ("other shapes" in message) == (largest == inf)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_infinity_in_both_agrees(net: Net, weights: dict[str, Any]) -> None:
    filters = np.zeros((2, 3, 1, 1), np.float32)
    filters[0, 0] = 3e38  # overflows for values of more than 1.13
    infinite = {**weights, "mix.weight": filters}
    own = Original("hand", ((1, 3, 4, 5),), lambda a: by_hand(infinite, a[0]))
    assert compared(net, infinite, own).agrees
    other = own._replace(run=lambda a: [-x for x in own.run(a)])
    assert compared(net, infinite, other).largest == inf


def test_another_number_of_inputs_is_an_error(net: Net, weights: dict[str, Any]) -> None:
    with pytest.raises(netspec.SpecError, match="the file has 2 inputs, and the spec 1"):
        compared(net, weights, Original("hand", ((1, 3), (1, 3)), lambda a: []))


def test_a_file_without_a_tool_is_refused() -> None:
    with pytest.raises(netspec.SpecError, match="can't run n.prototxt"):
        original(Source("n.prototxt", ""))


def test_spec_and_weights_are_both_written_or_neither(
    net: Net, weights: dict[str, Any], tmp_path: Path
) -> None:
    spec, arrays = tmp_path / "own.net", tmp_path / "own.npz"
    for wrong in (tmp_path / "own.odd", tmp_path / "none" / "own.npz", spec):
        with pytest.raises(netspec.SpecError):
            write_both(spec, TEXT, wrong, weights, net)
        assert not [*tmp_path.iterdir()]
    write_both(spec, TEXT, arrays, weights, net)
    assert spec.read_text() == TEXT
    assert read(arrays).keys() == net.tensors.keys()
    write_both(None, TEXT, tmp_path / "w.safetensors", weights, net)
    assert netspec.load(str(tmp_path / "own.net")).params == 8
