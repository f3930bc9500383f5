"""The `train` block: what it says, where it may stand, and that its word stays free as a name."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

import netspec
from netspec.ir import Training
from netspec.ops import Init
from netspec.semantic.train_block import TRAIN_FIELDS

from ..helpers import body, codes, loaded, net_of, paths

LEAST = "learning_rate: 0.1  batch_size: 8  epochs: 3"


def training(fields: str, **settings: object) -> Training:
    found = net_of(
        f"net n(e = 3) {{ input data: 4\n relu\n train {{ {fields} }} }}", settings
    ).training
    assert found is not None
    return found


def test_defaults() -> None:
    assert net_of(body("relu")).training is None
    assert training(LEAST) == Training(learning_rate=0.1, batch_size=8, epochs=3.0)


def test_every_field() -> None:
    assert training(
        "optimizer: adamw, learning_rate: 1/8; schedule: step steps: [10, 20] gamma: 20%"
        " warmup: 2 momentum: 0.8 beta2: 0.99 weight_decay: 1 decay_all: false clip_norm: 2"
        " init: normal(1/8)"
        " batch_size: 8 iterations: 1K label_smoothing: 10% mirror: true random_crop: true shift: 1"
    ) == Training(
        *(0.125, 8, 1000, None, "adamw", "step", 1.0, (10, 20), 0.2, 0.0, 2, 0.8, 0.99, 1.0),
        *(False, 2.0, Init("normal", std=0.125), 0.1, True, True, 1),
    )
    adaptive = training(f"{LEAST} optimizer: rmsprop rho: 0.9 epsilon: 1e-5 lr_mult: [1, 2]")
    assert (adaptive.rho, adaptive.epsilon, adaptive.lr_mult) == (0.9, 1e-5, (1, 2))
    changed = training(
        f"{LEAST} resized_crop: 8% crop_ratio: [1/2, 2] rotate: 10 brightness: 0.4 contrast: 0.3"
        " saturation: 0.2 hue: 0.1 randaugment: [2, 9] erase: 25% mixup: 0.2 cutmix: 1"
        " sampling: balanced class_weights: [1, 2.5]"
    )
    assert (changed.resized_crop, changed.crop_ratio) == ((0.08, 1), (0.5, 2))
    assert (changed.rotate, changed.brightness, changed.contrast) == (10, 0.4, 0.3)
    assert (changed.saturation, changed.hue, changed.randaugment) == (0.2, 0.1, (2, 9))
    assert (changed.erase, changed.mixup, changed.cutmix) == (0.25, 0.2, 1)
    assert (changed.sampling, changed.class_weights) == ("balanced", (1, 2.5))
    assert training(f"{LEAST} randaugment: 9").randaugment == (2, 9)
    assert training(f"{LEAST} class_weights: balanced").class_weights == "balanced"
    assert training(f"{LEAST} loss: bce resized_crop: [0.5, 0.9]").resized_crop == (0.5, 0.9)
    later = training(f"{LEAST} optimizer: adamax ema: 0.99 patience: 3 clip_value: 1")
    assert (later.ema, later.patience, later.clip_value) == (0.99, 3, 1)
    plateau = training(f"{LEAST} schedule: plateau wait: 0 gamma: 0.5 final_rate: 0.001")
    assert (plateau.wait, plateau.gamma, plateau.final_rate) == (0, 0.5, 0.001)
    assert training(f"{LEAST} optimizer: rmsprop").used_momentum == 0
    assert training(f"{LEAST} optimizer: rmsprop momentum: 0.5").used_momentum == 0.5
    assert training(f"{LEAST} optimizer: nadam schedule: one_cycle").used_momentum == 0.9
    sigmoid = training(f"{LEAST} schedule: sigmoid gamma: -0.1 steps: 30")
    assert (sigmoid.gamma, sigmoid.steps) == (-0.1, (30,))
    assert training(f"{LEAST} schedule: poly power: 0.5 final_rate: 0.01").power == 0.5
    assert training(f"{LEAST} optimizer: nesterov schedule: cosine").schedule == "cosine"
    assert training(f"{LEAST} schedule: step steps: 30").steps == (30,)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ("crop_ratio: [1, 2]", "conflicting-fields"),
        ("resized_crop: 0.5 random_crop: true", "conflicting-fields"),
        ("resized_crop: [0.5, 0.1]", "out-of-range"),
        ("resized_crop: [0.5, 1.5]", "out-of-range"),
        ("resized_crop: 0", "out-of-range"),
        ("randaugment: [2, 31]", "out-of-range"),
        ("randaugment: [1, 2, 3]", "wrong-type"),
        ("hue: 0.6", "out-of-range"),
        ("class_weights: 3", "wrong-type"),
        ("class_weights: [0, 0]", "out-of-range"),
        ("loss: bce sampling: balanced", "conflicting-fields"),
        ("loss: bce class_weights: balanced", "conflicting-fields"),
        ("RandomErasing: 0.1", "unknown-field"),
    ],
)
def test_changes_that_are_wrong(fields: str, code: str) -> None:
    assert codes(body(f"relu\n train {{ {LEAST} {fields} }}")) == [code]


def test_values_are_expressions_over_parameters_constants_and_shapes() -> None:
    text = """net n(e = 3, classes = 10) {
      input data: 3x8x8
      let scale = 2
      a: conv { filters: classes  kernel: 1 }
      train { learning_rate: 0.1 * scale  batch_size: a.channels  epochs: e if scale > 1 else 1 }
    }"""
    found = net_of(text, {"e": 5, "classes": 7}).training
    assert found == Training(learning_rate=0.2, batch_size=7, epochs=5.0)
    assert type(found.batch_size) is int  # without the expression that it came from
    # What only says how a net is trained is no argument of its class, and decides nothing about it.
    assert not any(p.static for p in net_of(text).parameters)
    assert "e: int" not in netspec.compile(net_of(text), "torch")


def test_the_word_stays_free_as_a_name() -> None:
    net = net_of(
        "module train(f = 2) { input x\n conv { filters: f kernel: 1 } }\n"
        "net n(train = 4) { input data: 3x4x4\n"
        " a: train { f: train }\n train[1]: relu -> train { f: 3 }\n"
        f" relu(train1)\n train {{ {LEAST} }} }}"
    )
    assert paths(net) == ["a.conv_1", "train1", "train1_train.conv_1", "relu_1"]
    assert net.training is not None
    assert paths(net_of(body("train: relu\n trainer: relu\n add(train, trainer)"))) == [
        *("train", "trainer", "add_1"),
    ]
    # Where it begins a statement and has braces, it is the block.
    module = "module train { input x\n relu }\n"
    assert codes(module + body("train { }")) == ["missing-field"]


def test_a_wrong_block_is_all_that_is_reported() -> None:
    assert codes(body("relu\n train { learning_rate: none batch_size: relu }")) == [
        *("wrong-type", "wrong-type"),
    ]
    assert codes(body("a: relu\n train { learning_rate: a batch_size: 1 epochs: 1 }")) == [
        "wrong-type"
    ]


def test_the_recipe_of_the_paper() -> None:
    """solver.prototxt of github.com/DeepScale/SqueezeNet; the rate is also section 3.3's."""
    assert loaded("squeezenet1_0_caffe").training == Training(
        learning_rate=0.04,
        schedule="poly",
        power=1.0,
        momentum=0.9,
        weight_decay=0.0002,
        batch_size=512,
        iterations=170_000,
        init=Init("xavier", "fan_in"),
        random_crop=True,
    )


def test_every_field_is_documented() -> None:
    page = (Path(netspec.__file__).parent.parent / "docs" / "language.md").read_text()
    rows = re.findall(r"^\| ([a-z_0-9, ]+) \|", page.split("## Training")[1], re.MULTILINE)
    documented = {word for row in rows for word in re.split(r", | or ", row)} - {"field"}
    assert documented == set(TRAIN_FIELDS) == {f.name for f in fields(Training)}
