"""Names of other tools lead to ours."""

from __future__ import annotations

import pytest

from netspec.familiar import field_help, known, op_help
from netspec.ops import OPS, attributes


def test_help_leads_to_what_exists() -> None:
    assert set(known()["ops"]) <= set(OPS)
    fields = {a.name for op in OPS.values() for a in attributes(op)}
    assert set(known()["fields"]) <= fields


@pytest.mark.parametrize("name", OPS)
def test_names_of_ours_lead_nowhere_else(name: str) -> None:
    assert op_help(name) in ((), (f"did you mean `{name}`?",))


@pytest.mark.parametrize(
    ("name", "here"),
    [
        ("Convolution", "conv"),
        ("Conv2d", "conv"),
        ("InnerProduct", "linear"),
        ("BatchNorm2d", "batchnorm"),
        ("max_pooling2d", "maxpool"),
        ("ConvTranspose2d", "conv_transpose"),
    ],
)
def test_ops(name: str, here: str) -> None:
    found = op_help(name)
    # What only differs in capitals and underscores is offered as a misspelling.
    assert f"`{here}`" in " ".join(found) or name.lower().removesuffix("2d") == here


def test_fields() -> None:
    assert field_help("kernel_size", ["kernel", "pad"]) == ("did you mean `kernel`?",)
    assert field_help("num_output", ["units", "bias"]) == ("did you mean `units`?",)
    assert field_help("kernel_h", ["kernel"]) == ("write `kernel: 1x3`, height first",)
    assert field_help("kernel_size", ["pad"]) == ()
