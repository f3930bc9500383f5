"""Views of tensors against numpy: any chain of reshapes and transposes."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from netspec.importers.structure.graph import GraphValue
from netspec.importers.tensors.views import TensorView

SHAPES = st.lists(st.sampled_from([1, 2, 3, 4, 6, 8, 12]), min_size=1, max_size=3).filter(
    lambda s: len(s) != 2
)


def factors(draw: Any, number: int) -> list[int]:
    """A number as a product of up to five, in some order."""
    found = []
    for _ in range(draw(st.integers(0, 4))):
        divisor = draw(st.sampled_from([d for d in range(1, number + 1) if number % d == 0]))
        found.append(divisor)
        number //= divisor
    return list(draw(st.permutations([*found, number])))


@given(st.data(), SHAPES)
def test_a_view_is_what_numpy_makes(data: st.DataObject, shape: list[int]) -> None:
    numbers = np.arange(prod(shape)).reshape(shape)
    view, tensor = TensorView.of(GraphValue(None, tuple(shape))), numbers
    for _ in range(data.draw(st.integers(1, 4))):
        if data.draw(st.booleans()):
            order = data.draw(st.permutations(range(tensor.ndim)))
            view, tensor = view.transposed(order), tensor.transpose(order)
        else:
            target = factors(data.draw, tensor.size)
            made = view.reshaped(target)
            if made is None:
                continue
            view, tensor = made, tensor.reshape(target)
    assert view.shape == tensor.shape
    apart = numbers.reshape([a.size for a in view.atoms] or [1])
    assert np.array_equal(apart.transpose(view.order or (0,)).reshape(view.shape), tensor)
    if (steps := view.blocks()) is not None:
        blocks, moved, ends = steps
        assert np.array_equal(numbers.reshape(blocks).transpose(moved).reshape(ends), tensor)
    if view.is_plain:
        assert np.array_equal(numbers, tensor)


@given(st.data(), st.integers(1, 200))
def test_a_vector_is_seen_in_any_shape(data: st.DataObject, count: int) -> None:
    target = factors(data.draw, count)
    view = TensorView.of(GraphValue(None, (count,))).reshaped(target)
    assert view is not None
    assert view.shape == tuple(target)
    assert view.in_order


def test_channels_last_and_back_leave_the_value_as_it_is() -> None:
    plain = TensorView.of(GraphValue(None, (8, 5, 7)))
    turned = plain.transposed([1, 2, 0])
    assert turned.layout == (1, 2, 0)
    assert turned.transposed([2, 0, 1]) == plain


def test_a_shuffle_of_channels_has_two_factors_in_the_other_order() -> None:
    view = TensorView.of(GraphValue(None, (6, 5, 7))).reshaped([2, 3, 5, 7])
    assert view is not None
    shuffled = view.transposed([1, 0, 2, 3]).reshaped([6, 5, 7])
    assert shuffled is not None
    assert [shuffled.atoms[i].size for i in shuffled.axes[0]] == [3, 2]
    assert shuffled.layout is None
