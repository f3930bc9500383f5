"""What a recipe can say beside the plain steps: means of weights, clipping, ends, rates, logs."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from netspec.cli.main import main
from netspec.codegen.backend import get, load_model
from netspec.diagnostics import SpecError
from netspec.ir import Net
from netspec.training import trainer
from netspec.training.average import Average
from netspec.training.evaluation import Evaluation
from netspec.training.optimizers import optimizer
from netspec.weights import fresh, read

from ..helpers import net_of
from .samples import LAYERS, tiny, trained

pytestmark = pytest.mark.slow

LEAST = "learning_rate: 0.1  batch_size: 8  iterations: 6"
STILL = "learning_rate: 1e-30  batch_size: 8  iterations: 20"


def run(net: Net, folder: Path, **options: Any) -> dict[str, Any]:
    """The last weights of a run in a folder of its own."""
    folder.mkdir(exist_ok=True)
    trained(net, folder, **options)
    return read(folder / "out" / "last.safetensors")


def rows(folder: Path, kind: str) -> list[dict[str, Any]]:
    text = (folder / "out" / "metrics.jsonl").read_text()
    return [row for row in map(json.loads, text.splitlines()) if row["kind"] == kind]


def test_the_mean_of_the_weights(tmp_path: Path) -> None:
    """w' = d w' + (1 - d) w from the first weights on, d = min(decay, (1 + t) / (10 + t))."""
    layers = LAYERS.replace("-> relu", "-> batchnorm -> relu")
    least = LEAST.replace("0.1", "0.5")
    first = fresh(tiny(least, layers).tensors, 3)
    mean = {name: array.astype(np.float64) for name, array in first.items()}
    for t in range(1, 5):
        fields = least.replace("iterations: 6", f"iterations: {t}")
        after = run(tiny(fields, layers), tmp_path / str(t), weights=first)
        share = min(0.3, (1 + t) / (10 + t))
        mean = {name: share * mean[name] + (1 - share) * after[name] for name in mean}
    kept = run(
        tiny(least.replace("6", "4") + "  ema: 0.3", layers), tmp_path / "mean", weights=first
    )
    assert kept.keys() == mean.keys()
    for name in mean:
        np.testing.assert_allclose(kept[name], mean[name], rtol=1e-5, atol=1e-6)
    assert any(abs(kept[name] - after[name]).max() > 1e-3 for name in mean)
    # What is measured is the mean, too.
    (held,) = rows(tmp_path / "mean", "held-out")
    measured = Evaluation(tiny(least, layers), tmp_path / "mean" / "data.npz")(kept)
    assert held["loss"] == pytest.approx(measured.loss)


def test_the_mean_forgets_the_first_weights() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(0)
    average = Average(model, 0.999)
    with torch.no_grad():
        model.weight.fill_(1)
    for _ in range(100):
        average.update(model)
    assert float(average.model.state_dict()["weight"]) > 0.999


@pytest.mark.parametrize(
    "fields",
    [
        "optimizer: nadam  schedule: one_cycle  ema: 0.9",
        "optimizer: rmsprop  momentum: 0.5  schedule: plateau  wait: 0  gamma: 0.5  clip_value: 0.1",
        "optimizer: radam  ema: 0.5  schedule: cosine  warmup: 5  patience: 9",
        "optimizer: adamax  schedule: exp  gamma: 0.9",
    ],
)
def test_a_run_that_was_interrupted_ends_the_same(
    fields: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = LAYERS.replace("-> relu", "-> batchnorm -> relu -> dropout { ratio: 20% }")
    net = tiny(f"learning_rate: 0.02  batch_size: 8  iterations: 20  {fields}", layers)
    whole = run(net, tmp_path / "whole", every=3)
    step = trainer._Run._step

    def breaks(self: Any, batches: Any) -> None:
        if self.done == 13:
            raise KeyboardInterrupt
        step(self, batches)

    with monkeypatch.context() as patch:
        patch.setattr(trainer._Run, "_step", breaks)
        with pytest.raises(KeyboardInterrupt):
            run(net, tmp_path / "broken", every=3)
    again = run(net, tmp_path / "broken", every=3)
    for name in whole:
        np.testing.assert_array_equal(again[name], whole[name])
    for kind in ("train", "held-out"):
        for a, b in zip(
            rows(tmp_path / "whole", kind), rows(tmp_path / "broken", kind), strict=True
        ):
            assert {**a, "images_per_second": 0} == {**b, "images_per_second": 0}


def test_a_warm_up_of_all_iterations_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = "learning_rate: 0.1  batch_size: 9  epochs: 3"
    trained(tiny(f"{fields}  warmup: 11"), tmp_path, quiet=False)
    assert "warm-up" not in capsys.readouterr().err
    trained(tiny(f"{fields}  warmup: 12"), tmp_path, quiet=False, restart=True)
    said = "rises in all 12 iterations, since the warm-up has 12; `--train warmup=1` is a tenth"
    assert said in capsys.readouterr().err


def test_patience(tmp_path: Path) -> None:
    """Nothing changes, so the first evaluation stays the best one."""
    net = tiny(f"{STILL}  patience: 3")
    result = trained(net, tmp_path, every=2)
    assert (result.iterations, result.best_iteration) == (8, 2)
    again = trained(net, tmp_path, every=2)
    assert (again.iterations, again.accuracy) == (8, result.accuracy)
    with pytest.raises(SpecError, match="patience counts evaluations on held-out samples"):
        trained(net, tmp_path, held_out=0.0, restart=True)


def test_a_plateau_lets_the_rate_fall(tmp_path: Path) -> None:
    fields = "schedule: plateau  wait: 1  gamma: 10%  final_rate: 1e-32"
    trained(tiny(f"{STILL}  {fields}"), tmp_path, every=2)
    # Evaluations behind iterations 2, 4, 6, ...: the second bad one in a row is behind 6.
    found = {row["iteration"]: row["learning_rate"] for row in rows(tmp_path, "train")}
    assert [found[i] for i in (1, 6, 7, 10, 11, 15, 20)] == pytest.approx(
        [1e-30, 1e-30, 1e-31, 1e-31, 1e-32, 1e-32, 1e-32]
    )
    with pytest.raises(SpecError, match="`schedule: plateau` counts evaluations on held-out"):
        trained(tiny(f"{STILL}  {fields}"), tmp_path, held_out=0.0, restart=True)


def test_factors_of_the_rate_by_patterns(tmp_path: Path) -> None:
    text = """module m { input x  inner: conv(x) { filters: 4  kernel: 3  lr_mult: [1, 2] } }
    net n { input data: 1x6x6  one: m -> relu
      last: conv { filters: 2  kernel: 1 } -> global_avgpool -> softmax
      train { learning_rate: 0.5  batch_size: 8  iterations: 4 } }"""
    net = net_of(text)
    model = load_model(net, get("torch"))
    found = optimizer(model, net, factors={"one.inner": 0.1})
    rates = {id(p): group["lr"] for group in found.param_groups for p in group["params"]}
    assert {n: rates[id(p)] for n, p in model.named_parameters()} == pytest.approx(
        {"one.inner.weight": 0.05, "one.inner.bias": 0.1, "last.weight": 0.5, "last.bias": 0.5}
    )
    # The last pattern that matches counts, and 0 freezes.
    slow = run(net, tmp_path / "slow", lr_mult=(("*", 0.0), ("last", 1.0)))
    frozen = run(net, tmp_path / "frozen", freeze=("one",))
    for name in slow:
        np.testing.assert_array_equal(slow[name], frozen[name])
    with pytest.raises(SpecError, match="no layer with weights matches tow"):
        trained(net, tmp_path, lr_mult=(("tow", 1.0),))
    with pytest.raises(SpecError, match="is a checkpoint of another run"):
        run(net, tmp_path / "slow", lr_mult=(("one", 0.5),))


def test_the_table_of_measurements(tmp_path: Path) -> None:
    trained(tiny(LEAST), tmp_path, every=2)
    with open(tmp_path / "out" / "metrics.csv", newline="") as file:
        found = list(csv.DictReader(file))
    lines = (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()
    assert len(found) == len(lines) == 9
    for row, line in zip(found, map(json.loads, lines), strict=True):
        for name in ("iteration", "loss", "accuracy"):
            assert float(row[name]) == line[name]
        assert row["kind"] == line["kind"]
        assert row["learning_rate"] == str(line.get("learning_rate", ""))


@pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed"
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_reads_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    evaluate = trainer._Run._evaluate

    def breaks(self: Any) -> None:
        if self.done == 4:
            raise KeyboardInterrupt
        evaluate(self)

    net, board = tiny(LEAST), tmp_path / "board"
    with monkeypatch.context() as patch:
        patch.setattr(trainer._Run, "_evaluate", breaks)
        with pytest.raises(KeyboardInterrupt):
            trained(net, tmp_path, every=2, tensorboard=board)
    trained(net, tmp_path, every=2, tensorboard=board)
    found = EventAccumulator(str(board))
    found.Reload()
    for kind, metric in (("train", "loss"), ("train", "learning_rate"), ("held-out", "accuracy")):
        events = [(e.step, e.value) for e in found.Scalars(f"{metric}/{kind}")]
        wanted = [(row["iteration"], row[metric]) for row in rows(tmp_path, kind)]
        assert [step for step, _ in events] == [step for step, _ in wanted]
        assert [v for _, v in events] == pytest.approx([v for _, v in wanted], rel=1e-6)


def test_tensorboard_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(SpecError, match="needs the package tensorboard") as error:
        trained(tiny(LEAST), tmp_path, tensorboard=tmp_path / "board")
    assert error.value.diagnostics[0].help == ("pip install 'netspec-compiler[tensorboard]'",)


@pytest.mark.parametrize(
    ("options", "help_"),
    [
        (["--lr", "0.1"], "`--train learning_rate=0.1` sets the rate"),
        (["--epochs", "3"], "`--train epochs=VALUE` sets epochs"),
        (["--batch-size=3", "--opt", "adam"], "`--train batch_size=VALUE` sets batch_size"),
        (["--warmup-epochs", "5"], "`--train warmup=VALUE` sets warmup"),
        (["--lr-mult", "fire"], "'fire' is not PATTERN=FACTOR, such as 'fire*=0.1'"),
        (["--devise", "cpu"], "did you mean `--device`?"),
    ],
)
def test_options_of_other_tools(
    options: list[str], help_: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["train", "squeezenet_digits", "--data", "d.npz", *options])
    assert capsys.readouterr().err.rstrip().endswith(help_)
