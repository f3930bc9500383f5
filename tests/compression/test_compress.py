"""Pruning, codebooks, sizes: against brute force, and the command from outside."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.compression import compressed, for_size, pruned, quantized
from netspec.compression.codebooks import kmeans
from netspec.compression.targets import SHARES, scan
from netspec.compression.tensors import weights_of
from netspec.diagnostics import SpecError
from netspec.metrics.compression import Compression, LayerRule
from netspec.weights import fresh, read
from netspec.weights.array import Array
from netspec.weights.nsz_file import CodedTensor

from ..helpers import loaded, net_of

NET = loaded("squeezenet_digits")


def shipped() -> dict[str, Array]:
    from netspec.driver import weights_of as of

    path = of("squeezenet_digits")
    assert path is not None
    return read(path)


def plan(sparsity: str = "0", bits: int = 32) -> Compression:
    return Compression((LayerRule("*", Fraction(sparsity)),), (LayerRule("*", Fraction(bits)),))


def test_the_largest_stay() -> None:
    weight = np.array([[3, -5, 0.5], [-1, 1, 4]], np.float32)
    np.testing.assert_array_equal(pruned(weight, 3), [[3, -5, 0], [0, 0, 4]])
    np.testing.assert_array_equal(pruned(weight, 4), [[3, -5, 0], [-1, 0, 4]])  # the first of two
    assert pruned(weight, 6) is weight
    assert not pruned(weight, 0).any()


def squared(values: Array, parts: tuple[int, ...]) -> float:
    pieces = np.split(values, parts)
    return float(sum(np.square(p - p.mean()).sum() for p in pieces if len(p)))


@pytest.mark.parametrize("seed", range(8))
def test_kmeans_ends_where_no_value_is_nearer_to_another_mean(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.sort(rng.standard_normal(14))
    means, firsts = kmeans(values, np.linspace(values[0], values[-1], 4))
    best = min(squared(values, parts) for parts in combinations(range(1, 14), len(means) - 1))
    groups = np.searchsorted(firsts, np.arange(14), side="right") - 1
    np.testing.assert_array_equal(np.abs(values[:, None] - means).argmin(1), groups)
    assert best <= np.square(values - means[groups]).sum() + 1e-12 < 2.5 * best + 1e-9


@pytest.mark.parametrize("start", ["density", "linear"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_values_of_a_layer(start: Any, bits: int) -> None:
    rng = np.random.default_rng(bits)
    weight = pruned(rng.standard_normal((40, 9, 3)).astype(np.float32), 700)
    plain, found = (quantized(weight, bits, start, growth) for growth in (1.0, 1.2))
    for tensor in (plain, found):
        assert len(tensor.codebook) <= 2**bits
        assert tensor.codebook[0] == 0
        np.testing.assert_array_equal(tensor.codes == 0, weight == 0)
        assert set(np.unique(tensor.codes)) - {0} == set(range(1, len(tensor.codebook)))
    error, least = (float(np.square(t.values - weight).sum()) for t in (found, plain))
    assert error <= 1.2 * least + 1e-6
    again = quantized(found.values, bits, start)
    np.testing.assert_array_equal(again.values, found.values)


def test_a_plan_keeps_as_much_as_the_table_says() -> None:
    rules = (LayerRule("*", Fraction("0.5")), LayerRule("fire*.expand3x3", Fraction("0.67")))
    made = compressed(NET, fresh(NET.tensors, 0), Compression(rules))
    for layer, part, names in weights_of(NET, Compression(rules)):
        (name,) = names
        tensor = made.tensors[name]
        assert isinstance(tensor, np.ndarray)
        assert np.count_nonzero(tensor) == part.kept_weights, layer.path


def test_bits() -> None:
    arrays = shipped()
    assert all(
        isinstance(compressed(NET, arrays, plan(bits=4)).tensors[n], CodedTensor)
        for n in arrays
        if n.endswith("weight")
    )
    sizes = [
        len(compressed(NET, arrays, plan("0.6", bits)).content()) for bits in (3, 5, 8, 16, 32)
    ]
    assert sizes == sorted(sizes)
    assert sizes[-1] < 31_880
    with pytest.raises(SpecError, match="conv1 can't have 12 bits"):
        compressed(NET, arrays, plan(bits=12))


def test_tensors_with_no_plan_stay_to_the_bit(tmp_path: Path) -> None:
    arrays = shipped()
    (tmp_path / "w.nsz").write_bytes(compressed(NET, arrays, Compression(), exact=True).content())
    for name, array in read(tmp_path / "w.nsz").items():
        np.testing.assert_array_equal(array, arrays[name])


@pytest.mark.slow
def test_the_least_pruning_for_a_size() -> None:
    arrays = shipped()
    found = for_size(NET, arrays, plan(bits=4), 3000)
    size = len(compressed(NET, arrays, found).content(NET.name))
    assert 2850 < size <= 3000
    smaller = for_size(NET, arrays, plan(bits=4), 2500)
    kept = [sum(p.kept_weights for _, p, _ in weights_of(NET, x)) for x in (found, smaller)]
    assert kept[0] > kept[1]
    with pytest.raises(SpecError, match="are the least with these bits"):
        for_size(NET, arrays, plan(bits=4), 500)


def test_what_costs_nothing_is_pruned_first() -> None:
    net = net_of(
        "net n { input x: 4x5x5\\n a: conv { filters: 8  kernel: 3 }\\n"
        "b: conv { filters: 8  kernel: 3 }\\n output b }".replace("\\n", "\n")
    )
    arrays = fresh(net.tensors, 0)

    def loss(changed: Any) -> float:
        return float(np.count_nonzero(changed["a.weight"] == 0))

    sensitivity = scan(net, arrays, Compression(), loss)
    assert sensitivity["b"] == [0] * len(SHARES)
    assert sensitivity["a"] == sorted(sensitivity["a"])
    assert sensitivity["a"][0] > 0
    found = for_size(net, arrays, plan(bits=4), 460, sensitivity=sensitivity)
    shares = {layer.path: part.sparsity for layer, part, _ in weights_of(net, found)}
    assert shares["a"] < shares["b"]


def test_from_python(tmp_path: Path) -> None:
    path = tmp_path / "d.nsz"
    found = netspec.compress(
        "squeezenet_digits", path, sparsity={"*": 0.5, "conv*": 0}, bits={"fire*": 4}
    )
    assert found["total"]["after"] == path.stat().st_size
    assert {row["layer"]: row["density"] for row in found["layers"]}["conv4"] == 1
    assert netspec.compress("squeezenet_digits", path, target=2800)["total"]["after"] <= 2800
    with pytest.raises(SpecError, match="nowhere"):
        netspec.compress("squeezenet_digits", path, sparsity={"nowhere": 0.5})


# --- the command ---------------------------------------------------------------------------------


def command(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    from netspec.cli.main import main

    status = main([str(a) for a in arguments])
    return status, *capsys.readouterr()


def test_compress(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "d.nsz"
    options = ("--sparsity", "70%", "--bits", "4", "-o", target)
    status, out, _ = command(capsys, "compress", "squeezenet_digits", *options, "--format", "json")
    assert status == 0
    found = json.loads(out)
    assert found["total"] == {
        "before": 31_880,
        "after": target.stat().st_size,
        "ratio": round(31_880 / target.stat().st_size, 2),
    }
    conv4 = found["layers"][-1]
    assert (conv4["layer"], conv4["weights"], conv4["kept"], conv4["bits"]) == (
        "conv4",
        640,
        192,
        4,
    )
    assert conv4["after"] == conv4["codes"] + conv4["codebook"] + conv4["floats"]
    assert conv4["floats"] == 2 * 10
    first = target.read_bytes()
    command(capsys, "compress", "squeezenet_digits", *options)
    assert target.read_bytes() == first
    status, out, _ = command(
        capsys,
        "run",
        "squeezenet_digits",
        "--weights",
        target,
        Path(netspec.__file__).parents[1] / "examples" / "digits",
    )
    assert status == 0
    status, out, _ = command(
        capsys, "table", "squeezenet_digits", "--weights", target, "--format", "json"
    )
    assert json.loads(out)["total"]["stored"] == len(first)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "w.npz"], "compressed weights are a .nsz file"),
        (["--sensitivity", "x"], "for a --target"),
        (["--epochs", "1"], "--data DATA"),
        (["--train", "batch_size=1"], "that --epochs asks for"),
        (["--bits", "9"], "can't have 9 bits"),
        (["--sparsity", "nowhere=50%"], "nowhere"),
        (["--target", "0.1KB"], "are the least"),
    ],
)
def test_options_that_can_not_be(
    options: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = command(capsys, "compress", "squeezenet_digits", *options)
    assert status == 1
    assert message in err
    assert not list(tmp_path.iterdir())
