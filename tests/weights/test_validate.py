"""Whether weights are those of a net, and what the error lists where they are not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from netspec.diagnostics import Diagnostic, SpecError
from netspec.ops import Tensor
from netspec.weights import check, fresh
from netspec.weights.array import Array

from .samples import WANTED, only


def mismatch(found: dict[str, Array], wanted: dict[str, Tensor] = WANTED) -> Diagnostic:
    with pytest.raises(SpecError) as error:
        check(found, wanted, "w.npz", "net")
    return only(error, "weights-mismatch")


def test_what_fits_comes_in_order_as_contiguous_float32() -> None:
    weights = fresh(WANTED, varied=True)
    found = {n: np.asfortranarray(a.astype(">f8")) for n, a in reversed(weights.items())}
    found["x.num_batches_tracked"] = np.array(3)
    fitting = check(found, WANTED, "w.npz", "net")
    assert list(fitting) == list(WANTED)
    for name, array in fitting.items():
        assert array.dtype == np.float32
        assert array.dtype.isnative
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(array, weights[name])


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i1", "u1", "i8", "u8", ">i4"])
def test_all_real_numbers_will_do(kind: str) -> None:
    found = check({"a": np.arange(3).astype(kind)}, {"a": Tensor((3,))}, "w.npz", "net")
    np.testing.assert_array_equal(found["a"], [0, 1, 2])


def test_a_net_without_weights() -> None:
    assert check({}, {}, "w.npz", "net") == {}
    assert mismatch({"a": np.ones(1)}, {}).notes == ("a is left over",)


def test_every_mismatch_is_listed_at_once() -> None:
    found = fresh(WANTED)
    found["c.weight"] = found.pop("b.weight")
    found["a.weight"] = found["a.weight"][:, :, :1]
    found["a.bias"] = np.array(3)
    found["b.bias"] = np.array([1, np.nan], dtype=np.float32)
    found["x.num_batches_tracked"] = np.array(3)
    diagnostic = mismatch(found)
    assert diagnostic.message == (
        "w.npz does not fit net: 1 missing, 1 left over, 2 misshapen, 1 unusable"
    )
    assert diagnostic.notes == (
        "b.weight is missing",
        "c.weight is left over",
        "a.weight is 4x3x1x3, the net needs 4x3x3x3",
        "a.bias is a single number, the net needs 4",
        "b.bias has elements that are not finite in float32",
    )
    assert diagnostic.help == ("is `c.weight` what the net calls `b.weight`?",)


@pytest.mark.parametrize(
    "array",
    [
        np.array([np.inf]),
        np.array([-np.inf], np.float16),
        np.array([np.nan], np.float32),
        np.array([1e300]),
        np.array([True]),
        np.array([1j]),
        np.array(["1"]),
        np.array([None]),
        np.array([(1.0,)], dtype=[("a", "<f4")]),
        np.array(["2020-01-01"], dtype="M8[D]"),
    ],
    ids=lambda a: str(a.dtype),
)
def test_what_is_no_finite_number_is_refused(array: Array) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "1 unusable" in mismatch({"a": array}, {"a": Tensor((1,))}).message


def test_long_lists_are_cut() -> None:
    wanted = {f"layer{i}.weight": Tensor((i + 1,)) for i in range(50)}
    found = {f"other{i}.scale": np.ones(2 * i + 100) for i in range(21)}
    found |= {f"layer{i}.weight": np.ones(1) for i in range(25, 47)}
    diagnostic = mismatch(found, wanted)
    assert "28 missing, 21 left over, 22 misshapen" in diagnostic.message
    assert len(diagnostic.notes) == 63
    assert diagnostic.notes[20] == "8 more are missing"
    assert diagnostic.notes[41] == "1 more is left over"
    assert diagnostic.notes[62] == "2 more are misshapen"
    assert diagnostic.help == ()


def test_hints_take_each_name_once_and_mind_the_shape() -> None:
    wanted = {"conv1.weight": Tensor((3,)), "conv2.weight": Tensor((3,)), "fc.bias": Tensor((5,))}
    found = {"conv_1.weight": np.ones(3), "conv_2.weight": np.ones(3), "fc_bias": np.ones(4)}
    assert mismatch(found, wanted).help == (
        "is `conv_1.weight` what the net calls `conv1.weight`?",
        "is `conv_2.weight` what the net calls `conv2.weight`?",
    )
    wanted = {f"a{i}.weight": Tensor((3,)) for i in range(30)}
    found = {f"b{i}.weight": np.ones(3) for i in range(30)}
    assert len(mismatch(found, wanted).help) == 5
