"""Pictures to inputs: what the emitted model does, and what training changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import netspec
from netspec.ir import Training
from netspec.training.sampler import Rolls
from netspec.training.transforms import Preparation

from ..helpers import net_of

PLAIN = Training(learning_rate=1, batch_size=1, epochs=1)
INPUTS = [
    "3x8x10",
    "3x8x8 { channels: bgr  mean: [104, 117, 123]  resize: 10  crop: center }",
    "3x8x8 { scale: 1/255  mean: [0.4, 0.5, 0.6]  std: [0.2, 0.3, 0.4]  resize: 9x11 }",
    "3x8x6 { scale: 2  mean: 3  std: 4  resize: 8 }",
    "1x7x7",
    "1x7x7 { scale: 1/255  resize: 12 }",
]


def rolls(count: int, seed: int = 0) -> Rolls:
    return Rolls(seed, np.arange(count))


@pytest.mark.parametrize("text", INPUTS)
@pytest.mark.parametrize("size", [(8, 8), (20, 13), (9, 31)])
def test_as_the_emitted_model_does(text: str, size: tuple[int, int]) -> None:
    net = net_of(f"net n {{ input data: {text}\n global_avgpool }}")
    model = netspec.build(net, "torch")
    gray = net.body.inputs[0].shape[0] == 1
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (3, *size) if gray else (3, *size, 3)).astype(np.float32)
    raw = torch.from_numpy(pictures)
    raw = raw[:, None] if gray else raw.permute(0, 3, 1, 2)
    found = Preparation(net, PLAIN).pictures(raw, None)
    for picture, x in zip(pictures, found, strict=True):
        torch.testing.assert_close(x, model.preprocess(picture)[0], rtol=1e-5, atol=1e-4)


def prepared(training: Training, text: str = "1x4x4 { resize: 6 }", count: int = 200) -> Any:
    net = net_of(f"net n {{ input data: {text}\n global_avgpool }}")
    raw = torch.arange(36.0).reshape(1, 1, 6, 6).repeat(count, 1, 1, 1)
    return Preparation(net, training).pictures(raw, rolls(count))


def test_random_crops_are_all_those_that_fit() -> None:
    found = {tuple(x.flatten().tolist()) for x in prepared(replace(PLAIN, random_crop=True))}
    whole = np.arange(36.0).reshape(6, 6)
    assert found == {
        tuple(whole[i : i + 4, j : j + 4].flatten()) for i in range(3) for j in range(3)
    }


def test_half_is_mirrored() -> None:
    x = prepared(replace(PLAIN, mirror=True), "1x6x6")
    whole = torch.arange(36.0).reshape(1, 6, 6)
    mirrored = [bool((p == whole.flip(2)).all()) for p in x]
    assert all(m or bool((p == whole).all()) for m, p in zip(mirrored, x, strict=True))
    assert 70 < sum(mirrored) < 130


def test_shifts_bring_zeros_in() -> None:
    found = {tuple(x.flatten().tolist()) for x in prepared(replace(PLAIN, shift=1), "1x6x6")}
    padded = np.pad(np.arange(36.0).reshape(6, 6), 1)
    assert found == {
        tuple(padded[i : i + 6, j : j + 6].flatten()) for i in range(3) for j in range(3)
    }


def test_changes_depend_on_the_sample_alone() -> None:
    every = replace(PLAIN, mirror=True, random_crop=True, shift=2)
    whole = prepared(every)
    assert torch.equal(whole, prepared(every))
    assert torch.equal(whole[:7], prepared(every, count=7))
    net = net_of("net n { input data: 1x4x4 { resize: 6 }\n global_avgpool }")
    raw = torch.arange(36.0).reshape(1, 1, 6, 6).repeat(3, 1, 1, 1)
    plain = Preparation(net, every).pictures(raw, None)  # held-out samples are never changed
    assert torch.equal(plain, Preparation(net, PLAIN).pictures(raw, rolls(3)))
