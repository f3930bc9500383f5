"""Names of other tools lead to ours."""

from __future__ import annotations

import argparse
from fractions import Fraction
from typing import Any

import pytest

from netspec.cli import train
from netspec.ops import OPS, Op, attributes
from netspec.ops.attribute_types import AttributeType, AttributeTypeError
from netspec.semantic.foreign_names import (
    field_help,
    field_names,
    field_near,
    op_help,
    value_help,
    values,
)
from netspec.semantic.train_block import (
    FOREIGN_FIELDS,
    FOREIGN_OPTIONS,
    FOREIGN_VALUES,
    TRAIN_FIELDS,
    UNLIKE_FIELDS,
)
from netspec.symbolic.expr import Num

from ..helpers import checked


def test_help_leads_to_what_exists() -> None:
    assert field_names() <= {a.name for op in OPS.values() for a in attributes(op)}


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_foreign_names_lead_to_the_op_that_states_them(op: type[Op]) -> None:
    for name in op.foreign_names:
        assert op_help(name) == (f"did you mean `{op.keyword}`?",)


def test_names_of_train_fields() -> None:
    assert set(FOREIGN_FIELDS.values()) <= set(TRAIN_FIELDS)
    assert not set(FOREIGN_FIELDS) & set(TRAIN_FIELDS)
    tables: tuple[Any, ...] = (FOREIGN_FIELDS, UNLIKE_FIELDS, FOREIGN_OPTIONS, TRAIN_FIELDS)
    assert len({name for table in tables for name in table}) == sum(map(len, tables))
    assert {field for field, _ in UNLIKE_FIELDS.values()} <= set(TRAIN_FIELDS)


def test_values_of_train_fields_lead_to_words_of_the_field() -> None:
    for field, words in FOREIGN_VALUES.items():
        assert set(words.values()) <= set(TRAIN_FIELDS[field].kind.words)


def test_options_of_train_fields_are_options_of_the_command() -> None:
    parser = argparse.ArgumentParser()
    train.configure(parser)
    known = {option for action in parser._actions for option in action.option_strings}
    assert {text.split()[0] for text in FOREIGN_OPTIONS.values()} <= known


@pytest.mark.parametrize(
    ("field", "help_"),
    [
        ("opt: adam", "what other tools call opt is `optimizer` here"),
        ("warmup_epochs: 5", "here it is `warmup`: a number of iterations"),
        ("clipnorm: 1", "what other tools call clipnorm is `clip_norm` here"),
        ("seed: 1", "it is an option: `netspec train --seed N`"),
        ("schedule: ReduceLROnPlateau", "write `schedule: plateau`"),
        ("schedule: CosineAnnealingLR", "write `schedule: cosine`"),
        ("schedule: StepLR", "write `schedule: step`"),
        ('schedule: "onecycle"', "write `schedule: one_cycle`"),
        ("schedule: linear", "write `schedule: poly`"),
        ("optimizer: AdamW", "did you mean `adamw`?"),
        ("optimizer: rmsproptf", "write `optimizer: rmsprop`"),
    ],
)
def test_words_of_training(field: str, help_: str) -> None:
    _, found = checked(
        f"net n {{ input x: 3\n relu\n train {{ learning_rate: 1 batch_size: 1 epochs: 1 {field} }} }}"
    )
    assert [d.help for d in found] == [(help_,)]


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


@pytest.mark.parametrize(("field", "value", "fix"), values())
def test_values_lead_to_what_some_op_takes(field: str, value: str, fix: str) -> None:
    name, _, written = fix.partition(": ")
    takers = [a.kind for op in OPS.values() for a in attributes(op) if a.name == name]
    taken = Num(Fraction(written)) if written.isdigit() else written
    assert any(_takes(kind, taken) for kind in takers), (field, value, fix)
    assert value_help(field, value) == (f"write `{fix}`",)


def _takes(kind: AttributeType, value: object) -> bool:
    try:
        kind.convert(value)
    except AttributeTypeError:
        return False
    return True


def test_values_of_fields() -> None:
    assert field_help("ceil_mode", ["round"], "True") == ("write `round: ceil`",)
    assert field_help("padding", ["pad"], '"valid"') == ("write `pad: 0`",)
    assert field_help("padding", ["pad"], "1") == ("did you mean `pad`?",)
    assert field_help("activation", [], '"relu"') == ("put `-> relu` behind the layer",)
    assert field_near("paddin", ["pad"]) == ("did you mean `pad`?",)
