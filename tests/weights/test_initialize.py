"""Fresh weights."""

from __future__ import annotations

import numpy as np
import pytest

from netspec.ops import Tensor
from netspec.weights import fresh

WANTED = {
    "conv.weight": Tensor((64, 32, 3, 3)),
    "conv.bias": Tensor((64,), init=0),
    "fc.weight": Tensor((100, 50)),
    "norm.weight": Tensor((500,), init=1),
    "norm.bias": Tensor((500,), init=0),
    "norm.running_mean": Tensor((500,), learnable=False, init=0),
    "norm.running_var": Tensor((500,), learnable=False, init=1),
}


@pytest.mark.parametrize("varied", [False, True])
def test_the_same_seed_gives_the_same_tensors(varied: bool) -> None:
    first, second = fresh(WANTED, 3, varied), fresh(WANTED, 3, varied)
    assert list(first) == list(WANTED)
    for name, array in first.items():
        assert array.dtype == np.float32
        assert array.shape == WANTED[name].shape
        np.testing.assert_array_equal(array, second[name])
    assert not np.array_equal(first["fc.weight"], fresh(WANTED, 4, varied)["fc.weight"])


def test_filters_are_kaiming_normal_and_the_rest_is_neutral() -> None:
    weights = fresh(WANTED)
    for name, fan_in in (("conv.weight", 288), ("fc.weight", 50)):
        assert weights[name].std() == pytest.approx((2 / fan_in) ** 0.5, rel=0.05)
        assert abs(weights[name].mean()) < 0.1 * (2 / fan_in) ** 0.5
    for name in ("conv.bias", "norm.bias", "norm.running_mean"):
        assert not weights[name].any()
    for name in ("norm.weight", "norm.running_var"):
        assert (weights[name] == 1).all()


def test_varied_tensors_all_differ() -> None:
    weights = fresh(WANTED, varied=True)
    for name, least, most in (("norm.weight", 0.5, 1.5), ("norm.running_var", 1, 3)):
        assert least <= weights[name].min() < least + 0.1
        assert most - 0.1 < weights[name].max() <= most
    for name in ("norm.bias", "norm.running_mean"):
        assert weights[name].std() == pytest.approx(0.1, rel=0.15)
    firsts = [float(array.reshape(-1)[0]) for array in weights.values()]
    assert len(set(firsts)) == len(firsts)
