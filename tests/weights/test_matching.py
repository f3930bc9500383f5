"""Weights under other names: by name, by a library's names, by position, by shape, or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from netspec.diagnostics import SpecError
from netspec.ir import Net
from netspec.weights import Adapted, adapt, fresh
from netspec.weights.array import Array

from ..helpers import net_of

NET = net_of(
    """
    module two(f) {
      input x
      a: conv { filters: f  kernel: 1 } -> batchnorm
      b: conv { filters: f  kernel: 1 }
    }
    net n(classes = 5) {
      input data: 3x4x4
      first: conv { filters: 4  kernel: 3 }
      m: two { f: 4 }
      last: conv { filters: classes  kernel: 1 }
    }
    """
)
WEIGHTS = fresh(NET.tensors, 1, varied=True)
OWNERS = list(dict.fromkeys(n.rpartition(".")[0] for n in WEIGHTS))


def other(names: Sequence[str], weights: Mapping[str, Array] = WEIGHTS) -> dict[str, Array]:
    """The weights with other names for their layers."""
    by_owner = dict(zip(OWNERS, names, strict=True))
    return {
        f"{by_owner[n.rpartition('.')[0]]}.{n.rpartition('.')[2]}": a for n, a in weights.items()
    }


def adapted(found: Mapping[str, Array], net: Net = NET, **options: Any) -> Adapted:
    return adapt(found, net.tensors, "w.pt", "n", **{"ordered": True, **options})


def whole(result: Adapted, how: set[str]) -> None:
    assert list(result.arrays) == list(WEIGHTS)
    for name, array in result.arrays.items():
        np.testing.assert_array_equal(array, WEIGHTS[name])
    assert [r.ours for r in result.rows] == list(WEIGHTS)
    assert {r.how for r in result.rows} == how
    assert result.fresh == ()


def refused(match: str, found: Mapping[str, Array], **options: Any) -> tuple[str, ...]:
    with pytest.raises(SpecError, match=match) as error:
        adapted(found, **options)
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == "weights-mismatch"
    return diagnostic.notes


NUMBERS = ("f.0", "f.1.0", "f.1.1", "f.1.3", "c.1")


def test_by_name() -> None:
    whole(adapted(WEIGHTS), {"name"})
    whole(adapted(dict(reversed(WEIGHTS.items())), ordered=False), {"name"})
    whole(adapted({**WEIGHTS, "m.a_batchnorm.num_batches_tracked": np.array(1)}), {"name"})


def test_by_position_layer_by_layer() -> None:
    whole(adapted(other(NUMBERS)), {"position"})
    # The order inside of a layer does not matter.
    found = other(NUMBERS)
    swapped = {"f.0.bias": found["f.0.bias"], **found}
    whole(adapted(swapped), {"position"})
    # Names that agree go first, the others are counted without them.
    mixed = other(("first", "x.a", "x.n", "x.b", "last"))
    whole(adapted(mixed), {"name", "position"})


def test_position_does_not_help_where_the_order_differs() -> None:
    backwards = dict(reversed(other(NUMBERS).items()))
    notes = refused("neither by names nor by position", backwards)
    assert any("stands where the net has" in n for n in notes)


def test_a_file_without_order_is_paired_by_shapes_that_occur_once() -> None:
    refused("layers of equal shapes repeat", other(NUMBERS), ordered=False)
    net = net_of(
        "net n { input data: 3x4x4\n a: conv { filters: 4 kernel: 3 }\n b: conv { filters: 2 kernel: 1 } }"
    )
    weights = fresh(net.tensors, 1, varied=True)
    found = {n.replace("a.", "z.").replace("b.", "y."): a for n, a in reversed(weights.items())}
    result = adapted(found, net, ordered=False)
    assert {(r.theirs, r.ours, r.how) for r in result.rows} == {
        *(("z.weight", "a.weight", "shape"), ("z.bias", "a.bias", "shape")),
        *(("y.weight", "b.weight", "shape"), ("y.bias", "b.bias", "shape")),
    }
    # In a file with order that order is other than the net's, and the shapes still tell.
    assert {r.how for r in adapted(found, net).rows} == {"shape"}


def test_position_against_names_is_ambiguous() -> None:
    """The kind of error that shapes don't show: two convolutions of one shape, swapped."""
    refused(
        "by position x.b is m.a, by its name it is rather m.b",
        other(("g", "x.b", "x.n", "x.a", "h")),
    )


def test_by_the_names_of_a_library() -> None:
    alias = dict(zip(WEIGHTS, other(NUMBERS), strict=True))
    found = dict(sorted(other(NUMBERS).items()))
    whole(adapted(found, libraries={"lib": alias}, ordered=False, by="names"), {"lib"})
    del found["c.1.bias"]
    assert "last.bias is missing" in refused("1 missing", found, libraries={"lib": alias})
    assert "last.bias" not in adapted(found, libraries={"lib": alias}, partial=["last"]).arrays


def test_by_names_only() -> None:
    refused("missing", other(NUMBERS), by="names")


@pytest.mark.parametrize("names", [tuple(OWNERS), NUMBERS])
def test_all_but_the_named_layers(names: tuple[str, ...]) -> None:
    """Fine-tuning: a last layer with another number of classes."""
    thousand = net_of(
        "module two(f) { input x\n a: conv { filters: f  kernel: 1 } -> batchnorm\n"
        " b: conv { filters: f  kernel: 1 } }\n net n { input data: 3x4x4\n"
        " first: conv { filters: 4  kernel: 3 }\n m: two { f: 4 }\n"
        " last: conv { filters: 1000  kernel: 1 } }"
    )
    weights = fresh(thousand.tensors, 2, varied=True)
    found = other(names, weights)
    result = adapted(found, partial=["last"])
    assert result.fresh == ("last.weight", "last.bias")
    assert list(result.arrays) == [n for n in WEIGHTS if not n.startswith("last.")]
    for name, array in result.arrays.items():
        np.testing.assert_array_equal(array, weights[name])
    # A file that has nothing for them will do as well.
    bare = {n: a for n, a in found.items() if n.rpartition(".")[0] != names[-1]}
    assert adapted(bare, partial=["last"]).arrays.keys() == result.arrays.keys()
    # Without --partial it is an error.
    with pytest.raises(SpecError):
        adapted(found)
    # An instance stands for all that is in it.
    kept = adapted(found, partial=["last", "m"])
    assert list(kept.arrays) == ["first.weight", "first.bias"]


def test_partial_of_what_is_not_there() -> None:
    with pytest.raises(SpecError, match="no layer lasst") as error:
        adapted(WEIGHTS, partial=["lasst", "m.c"])
    assert error.value.diagnostics[0].help == ("did you mean `last`?",)
    assert len(error.value.diagnostics) == 2


def test_too_few_or_too_many() -> None:
    found = other(NUMBERS)
    del found["f.1.3.bias"]
    refused("neither by names nor by position", found)
    refused("missing", {n: a for n, a in found.items() if not n.startswith("f.1.3")})
    refused("left over", {**WEIGHTS, "more.weight": np.ones(3)})
