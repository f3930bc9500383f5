"""Training of pruned and shared weights: gradients, what is held, going on after a kill."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from netspec.compression import quantized
from netspec.metrics.compression import Compression, LayerRule
from netspec.training.retraining import Retraining, Sharing, plain_name, tensors_of
from netspec.weights import read

from .samples import FIELDS, tiny, trained

PLAN = Compression((LayerRule("*", Fraction("0.5")),), (LayerRule("*", Fraction(2)),))


def test_a_value_gets_the_gradients_of_all_its_places() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 3, 3)
    found = quantized(layer.weight.detach().numpy(), 3)
    weight = torch.from_numpy(found.values.copy()).requires_grad_()
    x = torch.randn(2, 2, 5, 5)
    nn.functional.conv2d(x, weight, layer.bias).square().sum().backward()  # type: ignore[no-untyped-call]
    Retraining._share(
        layer,
        "weight",
        torch.from_numpy(found.codes.astype(np.int64)),
        torch.from_numpy(found.codebook[1:].copy()),
    )
    layer(x).square().sum().backward()
    codebook = dict(layer.named_parameters())["parametrizations.weight.original"]
    assert weight.grad is not None
    assert codebook.grad is not None
    for i in range(len(codebook)):
        of_all = weight.grad[torch.from_numpy(found.codes == i + 1)].sum()
        torch.testing.assert_close(codebook.grad[i], of_all)
    assert plain_name("c.parametrizations.weight.original") == "c.weight"
    assert isinstance(layer.parametrizations.weight[0], Sharing)  # type: ignore[index, union-attr]


@pytest.mark.parametrize("fields", [FIELDS, f"{FIELDS}  ema: 0.5"])
def test_weights_end_pruned_and_shared(fields: str, tmp_path: Path) -> None:
    result = trained(tiny(fields), tmp_path, plan=PLAN)
    for name, array in read(result.folder.last).items():
        if name.endswith("weight"):
            assert np.count_nonzero(array) <= -(-array.size // 2)
            assert len(np.unique(array)) <= 4
    assert result.best_iteration is not None
    assert result.best_iteration > 12


@pytest.mark.parametrize("bits", [None, 2])
def test_going_on_after_a_kill_changes_nothing(
    bits: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from netspec.training import trainer

    plan = PLAN if bits else Compression(PLAN.sparsity)
    net = tiny(f"{FIELDS}  ema: 0.5" if bits else FIELDS)
    whole = trained(net, tmp_path / made("whole", tmp_path), plan=plan, every=4)
    step = trainer._Run._step
    for end in (6, 18):  # before values are shared, and after
        folder = tmp_path / made(f"killed{end}", tmp_path)

        def until(run: Any, batches: Any, end: int = end) -> None:
            if run.done == end:
                raise KeyboardInterrupt
            step(run, batches)

        monkeypatch.setattr(trainer._Run, "_step", until)
        with pytest.raises(KeyboardInterrupt):
            trained(net, folder, plan=plan, every=4)
        monkeypatch.setattr(trainer._Run, "_step", step)
        again = trained(net, folder, plan=plan, every=4)
        assert again.folder.last.read_bytes() == whole.folder.last.read_bytes()


def made(name: str, folder: Path) -> str:
    (folder / name).mkdir()
    return name


def test_only_codebooks_are_trained_where_nothing_is_pruned() -> None:
    net = tiny()
    retraining = Retraining(net, Compression((), PLAN.bits), 10)
    assert retraining.shared_from == 0
    assert Retraining(net, PLAN, 10).shared_from == 5
    assert Retraining(net, Compression(PLAN.sparsity), 10).shared_from is None
    model = nn.Module()
    model.c = nn.Conv2d(1, 4, 3)
    model.last = nn.Conv2d(4, 2, 1)
    before = {n: t.clone() for n, t in tensors_of(model, ["c.weight", "c.bias"]).items()}
    retraining.share(model)
    after = tensors_of(model, ["c.weight", "c.bias"])
    assert len(np.unique(after["c.weight"].numpy())) <= 4
    torch.testing.assert_close(after["c.bias"], before["c.bias"])
    shapes = {plain_name(n): tuple(p.shape) for n, p in model.named_parameters()}
    assert len(shapes["c.weight"]) == 1
