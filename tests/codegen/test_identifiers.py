"""Python names for the names of a spec."""

from __future__ import annotations

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspec.codegen.identifiers import Identifiers, class_name


@pytest.mark.parametrize(
    ("name", "doc", "wanted"),
    [
        ("basic_block", "", "BasicBlock"),
        ("squeezenet1_0", "", "SqueezeNet1_0"),
        ("resnet18", "ResNet-18.", "ResNet18"),
        ("resnet18", "", "ResNet18"),
        ("alexnet", "A net of 2012.", "AlexNet"),
        ("vgg16_bn", "VGG-16 with batch norm", "VGG16BN"),
        ("a_1_2", "", "A1_2"),
        ("x", "", "XNet"),
        ("tensor", "", "TensorNet"),
        ("none", "", "NoneNet"),
    ],
)
def test_class_names(name: str, doc: str, wanted: str) -> None:
    assert class_name(name, doc) == wanted


@given(
    st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,12}", fullmatch=True) | st.sampled_from(keyword.kwlist),
    st.text(max_size=30),
)
def test_a_class_name_is_an_identifier(name: str, doc: str) -> None:
    found = class_name(name, doc)
    assert found.isidentifier()
    assert not keyword.iskeyword(found)
    assert not found.startswith("_")


@given(
    st.lists(
        st.sampled_from(["x", "class", "print", "0", "a.b", "l", "", "__x", "x_", "x_2", "höhe"])
    )
)
def test_identifiers_are_legal_and_given_out_once(wanted: list[str]) -> None:
    names = Identifiers(["taken"])
    found = [names.identifier(name) for name in [*wanted, "taken"]]
    assert len(set(found)) == len(found)
    assert "taken" not in found
    for name in found:
        assert name.isidentifier()
        assert not keyword.iskeyword(name)
        assert not name.startswith("__")
        assert name not in ("print", "l")


def test_numbers_are_appended() -> None:
    names = Identifiers()
    assert [names.numbered("Part") for _ in range(3)] == ["Part", "Part2", "Part3"]
    assert [names.numbered("B1") for _ in range(2)] == ["B1", "B1_2"]
    assert [names.identifier("x") for _ in range(3)] == ["x", "x_", "x_2"]
