"""The loop against plain PyTorch; kills, parts and several processes that must not matter."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import netspec
from netspec.codegen.backend import get, load_model
from netspec.diagnostics import SpecError
from netspec.ir import Net, Training
from netspec.training import TrainingOptions, train
from netspec.training.learning_curve import learning_curve
from netspec.training.optimizers import optimizer
from netspec.training.overrides import recipe as overridden
from netspec.training.sampler import Sampler
from netspec.training.schedule import rate
from netspec.training.trainer import summary
from netspec.weights import fresh, read

from ..helpers import net_of
from .samples import FIELDS, LAYERS, pictures, recipe, saved, tiny, trained

pytestmark = pytest.mark.slow

SPEC = f"net tiny {{ {LAYERS}\n train {{ {FIELDS} }} }}"


def weights(folder: Path, name: str = "last") -> dict[str, Any]:
    return read(folder / "out" / f"{name}.safetensors")


def rows(folder: Path, kind: str | None = None) -> list[dict[str, Any]]:
    text = (folder / "out" / "metrics.jsonl").read_text()
    found = [json.loads(line) for line in text.splitlines()]
    return [row for row in found if kind in (None, row["kind"])]


def same(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def close(a: dict[str, Any], b: dict[str, Any], tolerance: float = 1e-5) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=tolerance, atol=tolerance)


# --- what is computed ----------------------------------------------------------------------------


def test_it_learns_and_tells_what_it_learnt(tmp_path: Path) -> None:
    net = tiny(FIELDS.replace("24", "150"))
    result = trained(net, tmp_path)
    assert result.accuracy == result.best_accuracy == 1.0
    assert result.iterations == 150
    assert re.fullmatch(
        r"150 iterations in 0:\d\d; held-out accuracy 100.00%, at best 100.00% after iteration "
        rf"\d+; files in {tmp_path}/out",
        summary(result),
    )
    files = {p.name for p in (tmp_path / "out").iterdir()}
    assert files == {
        *("best.safetensors", "last.safetensors", "checkpoint.pt", "curve.svg"),
        *("metrics.jsonl", "metrics.csv"),
    }
    # Both backends find what it learnt in the file, softmax included.
    x, y = pictures(50, seed=9)
    for backend in ("torch", "numpy"):
        model: Any = netspec.build(net, backend, tmp_path / "out" / "best.safetensors")
        prepared = x[:, None].astype(np.float32) / 255
        found = model(torch.from_numpy(prepared) if backend == "torch" else prepared)
        assert (
            np.mean(np.asarray(found.detach() if backend == "torch" else found).argmax(1) == y) == 1
        )


@pytest.mark.parametrize(
    "fields",
    [
        "schedule: poly  momentum: 0.9  weight_decay: 0.01",
        "optimizer: nesterov  warmup: 3  label_smoothing: 0.1",
        "optimizer: adam  weight_decay: 0.1  beta2: 0.9",
        "optimizer: adamw  weight_decay: 0.1  decay_all: false  schedule: step  steps: 4",
        "clip_norm: 0.05  momentum: 0",
        "clip_value: 0.01",
        "clip_value: 0.01  clip_norm: 0.02",
        "clip_norm: 0.05  weight_decay: 0.01  regularization: l1  decay_all: false",
        "optimizer: adam  weight_decay: 0.1  regularization: l1",
    ],
)
def test_as_plain_pytorch_does(fields: str, tmp_path: Path) -> None:
    """The same steps, written by hand."""
    net = tiny(f"learning_rate: 0.1  batch_size: 8  iterations: 10  {fields}")
    training = recipe(net)
    start = fresh(net.tensors, 5)
    trained(net, tmp_path, weights=start, held_out=0.0)

    x, y = (torch.from_numpy(a) for a in pictures())
    w = {n: torch.from_numpy(a.copy()).requires_grad_() for n, a in start.items()}
    decay, beta = training.weight_decay, training.used_momentum
    state: dict[str, Any] = dict.fromkeys(w)
    for i in range(10):
        chosen = Sampler(40, 8, 0).draws(i).samples
        h = F.relu(F.conv2d(x[chosen, None] / 255.0, w["c.weight"], w["c.bias"]))
        out = F.conv2d(h, w["last.weight"], w["last.bias"]).mean((2, 3))
        target = (
            F.one_hot(y[chosen], 2) * (1 - training.label_smoothing) + training.label_smoothing / 2
        )
        loss = -(target * out.log_softmax(1)).sum(1).mean()
        grads = dict(zip(w, torch.autograd.grad(loss, list(w.values())), strict=True))
        if training.clip_value:
            grads = {
                n: g.clamp(-training.clip_value, training.clip_value) for n, g in grads.items()
            }
        if training.clip_norm:
            norm = sum(float((g**2).sum()) for g in grads.values()) ** 0.5
            grads = {n: g * min(1.0, training.clip_norm / (norm + 1e-6)) for n, g in grads.items()}
        lr = rate(training, i, 10)
        for n, p in w.items():
            g, own = grads[n], decay if training.decay_all or p.ndim > 1 else 0.0
            with torch.no_grad():
                if training.optimizer == "adamw":
                    p -= lr * own * p
                else:
                    g = g + own * (p.sign() if training.regularization == "l1" else p)
                if training.optimizer in ("sgd", "nesterov"):
                    v = g if state[n] is None else beta * state[n] + g
                    state[n] = v
                    p -= lr * (g + beta * v if training.optimizer == "nesterov" else v)
                else:
                    m, s = state[n] or (torch.zeros_like(p), torch.zeros_like(p))
                    m, s = (
                        beta * m + (1 - beta) * g,
                        training.beta2 * s + (1 - training.beta2) * g * g,
                    )
                    state[n] = (m, s)
                    up, down = m / (1 - beta ** (i + 1)), s / (1 - training.beta2 ** (i + 1))
                    p -= lr * up / (down.sqrt() + 1e-8)
    close(weights(tmp_path), {n: p.detach().numpy() for n, p in w.items()}, 2e-4)


def test_a_softmax_inside_a_module_trains_the_same(tmp_path: Path) -> None:
    inside = SPEC.replace(" -> softmax", "\n end").replace(
        "net tiny", "module end { input x\n softmax }\nnet tiny"
    )
    plain, wrapped = net_of(SPEC), net_of(inside)
    start = fresh(plain.tensors, 5)
    for name, net in (("a", plain), ("b", wrapped)):
        (tmp_path / name).mkdir()
        trained(net, tmp_path / name, weights=start)
    close(weights(tmp_path / "a"), weights(tmp_path / "b"), 1e-4)


@pytest.mark.parametrize("end", ["", " -> log_softmax"])
def test_other_ends(end: str, tmp_path: Path) -> None:
    trained(
        net_of(SPEC.replace(" -> softmax", end)), tmp_path, weights=fresh(net_of(SPEC).tensors, 5)
    )
    (tmp_path / "b").mkdir()
    trained(net_of(SPEC), tmp_path / "b", weights=fresh(net_of(SPEC).tensors, 5))
    close(weights(tmp_path), weights(tmp_path / "b"), 1e-4)


def test_dropout_batchnorm_and_pictures_run(tmp_path: Path) -> None:
    from PIL import Image

    x, y = pictures(20)
    for i, (picture, label) in enumerate(zip(x, y, strict=True)):
        folder = tmp_path / "data" / ("dark", "light")[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / f"{i}.png")
    layers = LAYERS.replace("-> relu", "-> batchnorm -> relu -> dropout")
    net = tiny("learning_rate: 0.1  batch_size: 6  epochs: 2  mirror: true  shift: 1", layers)
    outs = []
    for workers in (0, 3):
        folder = tmp_path / str(workers)
        folder.mkdir()
        trained(net, folder, data=tmp_path / "data", workers=workers)
        outs.append(weights(folder))
        assert (folder / "out" / "labels.txt").read_text() == "dark\nlight\n"
    same(*outs)


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_model_learns_the_same(tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("needs a C++ compiler")
    start = fresh(tiny().tensors, 5)
    for name, compiled in (("a", False), ("b", True)):
        (tmp_path / name).mkdir()
        trained(tiny(), tmp_path / name, weights=start, compile=compiled)
    close(weights(tmp_path / "a"), weights(tmp_path / "b"), 1e-4)


def test_seeds(tmp_path: Path) -> None:
    found = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        trained(tiny(), tmp_path / name, seed=seed)
        found.append(weights(tmp_path / name))
    same(found[0], found[1])
    assert any((found[0][n] != found[2][n]).any() for n in found[0])


def test_bfloat16(tmp_path: Path) -> None:
    start = fresh(tiny().tensors, 5)
    trained(tiny(), tmp_path, weights=start)
    (tmp_path / "b").mkdir()
    trained(tiny(), tmp_path / "b", weights=start, precision="bfloat16")
    close(weights(tmp_path), weights(tmp_path / "b"), 0.1)
    assert any((weights(tmp_path)[n] != weights(tmp_path / "b")[n]).any() for n in start)


# --- what is kept --------------------------------------------------------------------------------


def test_metrics_and_curve(tmp_path: Path) -> None:
    trained(tiny(), tmp_path, every=10)
    held = rows(tmp_path, "held-out")
    assert [r["iteration"] for r in held] == [10, 20, 24]
    own = rows(tmp_path, "train")
    assert [r["iteration"] for r in own] == list(range(1, 25))
    assert own[0].keys() == {
        *("kind", "iteration", "epoch", "learning_rate", "loss", "accuracy", "images_per_second"),
    }
    assert [r["learning_rate"] for r in own] == pytest.approx(
        [0.5 * (1 - i / 24) for i in range(24)]
    )
    assert own[0]["epoch"] == pytest.approx(8 / 36, abs=1e-4)
    best = max(held, key=lambda r: (r["accuracy"], -r["loss"]))
    net = tiny()
    model: Any = netspec.build(net, "numpy", tmp_path / "out" / "best.safetensors")
    assert model is not None
    assert (tmp_path / "out" / "curve.svg").read_text() == learning_curve(
        "tiny", rows(tmp_path), 24
    )
    assert best["loss"] == min(r["loss"] for r in held if r["accuracy"] == best["accuracy"])


def test_the_curve_shows_every_row() -> None:
    made = [
        {"kind": "train", "iteration": i, "loss": 100.0 / i, "accuracy": i / 100}
        for i in range(1, 101)
    ] + [{"kind": "held-out", "iteration": 50, "loss": 3.0, "accuracy": 0.4}]
    tree = ElementTree.fromstring(learning_curve("a <net> & more", made, 100))
    space = "{http://www.w3.org/2000/svg}"
    lines = list(tree.iter(f"{space}polyline"))
    assert len(lines) == 2
    points = [p.split(",") for p in lines[0].attrib["points"].split()]
    assert len(points) == 100
    heights = [float(y) for _, y in points]
    assert heights == sorted(heights)  # the loss falls, so y, which counts downwards, rises
    dots = list(tree.iter(f"{space}circle"))
    assert len(dots) == 2, "a lone point is no line"
    assert float(dots[0].attrib["cx"]) == pytest.approx(float(points[49][0]), abs=0.2)
    words = [text.text for text in tree.iter(f"{space}text")]
    assert words[0] == "a <net> & more"
    assert [words.count(w) for w in ("train", "held-out", "iterations")] == [2, 2, 2]
    assert {"loss", "accuracy, %"} <= set(words)
    empty = ElementTree.fromstring(learning_curve("empty", [], 100))
    assert "train" not in [text.text for text in empty.iter(f"{space}text")]
    one = ElementTree.fromstring(learning_curve("one", made[:1] * 5000, 10**6))
    line = next(one.iter(f"{space}polyline"))
    assert 500 <= len(line.attrib["points"].split()) <= 600


def test_going_on_after_a_kill_changes_nothing(tmp_path: Path) -> None:
    """A real SIGKILL, at whatever place it hits; the rest of the run is the same to the bit."""
    fields = "learning_rate: 0.02  schedule: cosine  batch_size: 8  iterations: 400"
    layers = LAYERS.replace("-> relu", "-> batchnorm -> relu -> dropout { ratio: 20% }")
    spec = tmp_path / "tiny.net"
    spec.write_text(f"net tiny {{ {layers}\n train {{ {fields} }} }}")
    saved(tmp_path / "data.npz")
    for name in ("killed", "whole"):
        (tmp_path / name).mkdir()
    command = [
        *(
            sys.executable,
            "-m",
            "netspec",
            "train",
            str(spec),
            "--data",
            str(tmp_path / "data.npz"),
        ),
        *("--every", "40", "--out", str(tmp_path / "killed" / "out"), "--quiet"),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment)
    metrics = tmp_path / "killed" / "out" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.read_text().count("held-out") >= 2):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    kept = torch.load(tmp_path / "killed" / "out" / "checkpoint.pt", weights_only=True)
    assert 0 < kept["state"]["iteration"] < 400
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    command[command.index("--out") + 1] = str(tmp_path / "whole" / "out")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("last.safetensors", "best.safetensors"):
        a, b = (tmp_path / run / "out" / name for run in ("killed", "whole"))
        assert a.read_bytes() == b.read_bytes()
    found = []
    for run in ("killed", "whole"):
        lines = rows(tmp_path / run)
        for line in lines:
            line.pop("images_per_second", None)
        found.append(lines)
    assert found[0] == found[1]


def test_a_finished_run_is_left_alone(tmp_path: Path) -> None:
    first = trained(tiny(), tmp_path)
    before = (tmp_path / "out" / "metrics.jsonl").read_bytes()
    again = trained(tiny(), tmp_path)
    assert (again.accuracy, again.best_iteration) == (first.accuracy, first.best_iteration)
    assert (tmp_path / "out" / "metrics.jsonl").read_bytes() == before


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    trained(tiny(), tmp_path)
    with pytest.raises(SpecError, match="another run") as error:
        trained(tiny(FIELDS.replace("0.5", "0.25")), tmp_path, seed=3)
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == "bad-checkpoint"
    assert diagnostic.notes == ("learning_rate was 0.5, and is 0.25", "seed was 0, and is 3")
    saved(tmp_path / "data.npz", 48)
    with pytest.raises(SpecError, match="another run"):
        trained(tiny(), tmp_path)
    trained(tiny(), tmp_path, restart=True)
    (tmp_path / "out" / "checkpoint.pt").write_bytes(b"nonsense")
    with pytest.raises(SpecError, match="no sound checkpoint"):
        trained(tiny(), tmp_path)


def test_replaced_pictures_are_another_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    x, y = pictures(20)
    for i, (picture, label) in enumerate(zip(x, y, strict=True)):
        folder = tmp_path / "data" / ("dark", "light")[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / f"{i}.png")
    (folder / "bad.png").write_bytes(b"no picture")
    net = tiny("learning_rate: 0.1  batch_size: 6  iterations: 2")
    with pytest.raises(SpecError, match="has a picture that can't be used"):
        trained(net, tmp_path, data=tmp_path / "data")
    assert not (tmp_path / "out").exists()
    trained(net, tmp_path, data=tmp_path / "data", on_bad="skip", quiet=False)
    assert f"left out: {folder / 'bad.png'} can't be read" in capsys.readouterr().err
    Image.fromarray(x[0] // 2).save(next(folder.glob("*[0-9].png")))
    with pytest.raises(SpecError, match="another run") as error:
        trained(net, tmp_path, data=tmp_path / "data", on_bad="skip")
    assert any("data was" in note for note in error.value.diagnostics[0].notes)


def test_a_batch_larger_than_the_data(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="larger than the data: 36 samples to train on") as error:
        trained(tiny(FIELDS.replace("8", "40")), tmp_path, accumulate=8)
    assert error.value.diagnostics[0].help == ("`--train batch_size=32`",)


# --- divided work --------------------------------------------------------------------------------


def test_a_batch_in_parts(tmp_path: Path) -> None:
    """Caffe's iter_size: gradients of several parts make one step."""
    start = fresh(tiny().tensors, 5)
    for parts in (1, 4):
        (tmp_path / str(parts)).mkdir()
        trained(tiny(), tmp_path / str(parts), weights=start, accumulate=parts)
    close(weights(tmp_path / "1"), weights(tmp_path / "4"))
    for a, b in zip(rows(tmp_path / "1"), rows(tmp_path / "4"), strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)
    with pytest.raises(SpecError, match="can't be divided evenly into 3"):
        trained(tiny(), tmp_path, accumulate=3)


def test_two_processes_are_one_with_the_doubled_batch(tmp_path: Path) -> None:
    """torchrun with gloo: each process takes 4 of the 8 samples of a batch."""
    spec = tmp_path / "tiny.net"
    spec.write_text(SPEC)
    saved(tmp_path / "data.npz")
    arguments = ["train", str(spec), "--data", str(tmp_path / "data.npz"), "--device", "cpu"]
    for attempt in range(3):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
                *("--master-port", str(20_000 + (os.getpid() + attempt) % 20_000)),
                *("-m", "netspec", *arguments, "--out", str(tmp_path / "out")),
            ],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        # On a busy machine gloo's threads may abort a process that is done and about to exit.
        if "SIGABRT" not in done.stderr:
            break
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("24 iterations in") == 1  # one of them speaks
    (tmp_path / "one").mkdir()
    trained(tiny(), tmp_path / "one", data=tmp_path / "data.npz")
    close(weights(tmp_path), weights(tmp_path / "one"), 1e-4)
    for a, b in zip(rows(tmp_path), rows(tmp_path / "one"), strict=True):
        assert (a["iteration"], a["kind"]) == (b["iteration"], b["kind"])
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-3)
        assert a["accuracy"] == pytest.approx(b["accuracy"])


# --- errors and settings -------------------------------------------------------------------------


def test_what_diverges_ends(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="diverged") as error:
        trained(tiny("learning_rate: 1e30  batch_size: 8  iterations: 50"), tmp_path)
    assert error.value.diagnostics[0].code == "diverged"


def test_nets_that_tell_no_classes_apart(tmp_path: Path) -> None:
    def refused(text: str, match: str) -> None:
        with pytest.raises(SpecError, match=match):
            train(
                net_of(text),
                Training(0.1, 2, 1),
                TrainingOptions(saved(tmp_path / "d.npz"), tmp_path / "o"),
            )

    refused("net n { input data: 1x6x6\n relu }", "no weights")
    refused("net n { input a: 1x6x6\n input b: 1x6x6\n add(a, b) -> scale }", "2 inputs")
    refused("net n { input a: 1x6x6\n b: scale\n output a, b }", "2 outputs")
    refused("net n { input a: 1x6x6\n scale }", "not one score a class")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("every", 0), ("accumulate", 0), ("held_out", 1.0), ("held_out", -0.1)),
        *(("workers", -1), ("precision", "float64"), ("on_bad", "ignore")),
    ],
)
def test_options_of_python_that_no_training_can_have(name: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=f"{name} of a training can't be {value}") as error:
        trained(tiny(), tmp_path, **{name: value})
    assert error.value.diagnostics[0].code == "bad-option"


def test_devices(tmp_path: Path) -> None:
    for name in ("gpu", "cuda:99", "meta"):
        with pytest.raises(SpecError, match="there is no device") as error:
            trained(tiny(), tmp_path, device=name)
        assert error.value.diagnostics[0].code == "bad-device"


def test_fields_from_outside() -> None:
    net = tiny()
    base = recipe(net)
    assert overridden(net, []) == base
    found = overridden(net, [("batch_size", "4 * 4"), ("epochs", "3"), ("momentum", "50%")])
    assert found == replace(base, batch_size=16, iterations=None, epochs=3.0, momentum=0.5)
    # A new schedule takes the fields of the old one away.
    powered = net_of(SPEC.replace("poly", "poly  power: 2  final_rate: 0.1"))
    assert overridden(powered, [("schedule", "step"), ("steps", "[5, 9]")]) == replace(
        base, schedule="step", steps=(5, 9)
    )
    assert overridden(powered, [("schedule", "cosine")]).final_rate == 0.1
    warm = net_of(SPEC.replace("poly", "poly  warmup: 10"))
    assert overridden(warm, [("iterations", "11")]) == replace(base, iterations=11, warmup=10)
    assert overridden(warm, [("iterations", "10")]) == replace(base, iterations=10)
    # So does the other kind of crop.
    cropped = net_of(SPEC.replace("poly", "poly  random_crop: true"))
    found = overridden(cropped, [("resized_crop", "0.1"), ("crop_ratio", "[1, 2]")])
    assert (found.random_crop, found.resized_crop) == (False, (0.1, 1))
    back = overridden(replace(cropped, training=found), [("random_crop", "true")])
    assert back == recipe(cropped)
    bare = net_of(f"net n {{ {LAYERS} }}")
    fields = [("learning_rate", "0.1"), ("batch_size", "2"), ("iterations", "3")]
    assert overridden(bare, fields) == Training(0.1, 2, 3)

    def refused(of: Net, settings: list[tuple[str, str]], *codes: str) -> None:
        with pytest.raises(SpecError) as error:
            overridden(of, settings)
        assert [d.code for d in error.value.diagnostics] == list(codes)

    refused(bare, [], "missing-field")
    refused(bare, fields[:1], "missing-field")
    refused(net, [("batchsize", "3")], "unknown-field")
    refused(warm, [("iterations", "10"), ("warmup", "10")], "out-of-range")
    refused(net, [("batch_size", "0")], "out-of-range")
    refused(net, [("batch_size", "} }")], "wrong-type")
    refused(net, [("schedule", "polly")], "unknown-value")
    refused(net, [("steps", "3")], "conflicting-fields")


def test_decay_of_all_or_of_filters_only() -> None:
    def groups(decay: str = "") -> Any:
        net = net_of(
            "net n { input x: 1x9x9  conv { filters: 2  kernel: 3 } -> batchnorm\n"
            "train { learning_rate: 0.1  batch_size: 1  iterations: 1  weight_decay: 0.3 "
            f"{decay} }} }}"
        )
        return optimizer(load_model(net, get("torch")), net)

    assert [g["weight_decay"] for g in groups().param_groups] == [0.3]
    filters = groups("decay_all: false")
    assert [(g["weight_decay"], len(g["params"])) for g in filters.param_groups] == [
        (0.3, 1),
        (0, 3),
    ]


RATES = """
net n {
  input x: 1x9x9
  a: conv { filters: 2  kernel: 3  frozen: true } -> batchnorm { frozen: true }
  b: conv { filters: 2  kernel: 3  lr_mult: 3  decay_mult: [2, 0] } -> batchnorm
  flatten -> linear { units: 2  lr_mult: [10, 20] }
  train { learning_rate: 0.1  batch_size: 1  iterations: 1  weight_decay: 0.3  lr_mult: [1, 2]
          OPTIMIZER }
}
"""


def test_layers_have_factors_of_the_rate_and_of_the_decay() -> None:
    net = net_of(RATES.replace("OPTIMIZER", ""))
    model = load_model(net, get("torch"))
    groups = optimizer(model, net).param_groups
    by_parameter = {id(p): (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    found = {n: by_parameter.get(id(p)) for n, p in model.named_parameters()}
    wanted = {
        **dict.fromkeys(["a.weight", "a.bias", "a_batchnorm.weight", "a_batchnorm.bias"]),
        "b.weight": (0.3, 0.6),
        "b.bias": (0.3, 0.0),
        "b_batchnorm.weight": (0.1, 0.3),
        "b_batchnorm.bias": (0.2, 0.3),
        "linear_1.weight": (1.0, 0.3),
        "linear_1.bias": (2.0, 0.3),
    }
    assert found == {n: v if v is None else pytest.approx(v) for n, v in wanted.items()}


def test_all_frozen_is_nothing_to_train() -> None:
    net = net_of(f"net n {{ input x: 3  linear {{ units: 2 frozen: true }} train {{ {LEAST} }} }}")
    with pytest.raises(SpecError, match="nothing to train"):
        optimizer(load_model(net, get("torch")), net)


LEAST = "learning_rate: 0.1  batch_size: 1  iterations: 1"


@pytest.mark.parametrize(
    ("fields", "kind", "given"),
    [
        ("optimizer: adagrad", torch.optim.Adagrad, {"eps": 1e-10}),
        ("optimizer: adadelta rho: 0.95", torch.optim.Adadelta, {"rho": 0.95, "eps": 1e-6}),
        (
            "optimizer: rmsprop epsilon: 1e-5",
            torch.optim.RMSprop,
            {"alpha": 0.99, "eps": 1e-5, "momentum": 0},
        ),
        ("optimizer: rmsprop momentum: 0.8", torch.optim.RMSprop, {"momentum": 0.8}),
        ("optimizer: nadam", torch.optim.NAdam, {"betas": (0.9, 0.999), "eps": 1e-8}),
        ("optimizer: radam beta2: 0.9", torch.optim.RAdam, {"betas": (0.9, 0.9)}),
        ("optimizer: adamax momentum: 0.8", torch.optim.Adamax, {"betas": (0.8, 0.999)}),
        ("optimizer: adam epsilon: 1e-4", torch.optim.Adam, {"betas": (0.9, 0.999), "eps": 1e-4}),
    ],
)
def test_optimizers(fields: str, kind: type[torch.optim.Optimizer], given: dict[str, Any]) -> None:
    net = net_of(RATES.replace("OPTIMIZER", fields))
    made = optimizer(load_model(net, get("torch")), net)
    assert type(made) is kind
    assert {name: made.param_groups[0][name] for name in given} == given


def test_what_is_frozen_stays(tmp_path: Path) -> None:
    """Weights and statistics of frozen layers, while others move."""
    layers = LAYERS.replace("kernel: 3 } ->", "kernel: 3  frozen: true } -> batchnorm { NORM } ->")
    frozen = tiny(layers=layers.replace("NORM", "frozen: true"))
    trained(frozen, tmp_path)
    after, before = weights(tmp_path), fresh(frozen.tensors, 0)
    moved = {name for name in before if not np.array_equal(after[name], before[name])}
    assert moved == {"last.weight", "last.bias"}
    trained(tiny(layers=layers.replace("NORM", "lr_mult: 0")), tmp_path, restart=True)
    after = weights(tmp_path)
    moved = {name for name in before if not np.array_equal(after[name], before[name])}
    assert moved >= {"c_batchnorm.running_mean", "last.weight"}
    assert not moved & {"c.weight", "c_batchnorm.weight"}


def test_patterns_freeze_layers_and_what_is_in_instances(tmp_path: Path) -> None:
    text = """module m { input x  inner: conv(x) { filters: 4  kernel: 3 } -> batchnorm }
    net n { input data: 1x6x6  one: m  two: m -> relu
      last: conv { filters: 2  kernel: 1 } -> global_avgpool -> softmax
      train { learning_rate: 0.5  batch_size: 8  iterations: 4 } }"""
    net = net_of(text)
    trained(net, tmp_path, freeze=("o?e", "two.inner"))
    after, before = weights(tmp_path), fresh(net.tensors, 0)
    still = {name for name in before if np.array_equal(after[name], before[name])}
    assert {n for n in still if n.startswith("one.")} == {n for n in before if n[:4] == "one."}
    assert {n for n in still if not n.startswith("one.")} == {"two.inner.weight", "two.inner.bias"}
    with pytest.raises(SpecError, match="no layer with weights matches thre"):
        trained(net, tmp_path, freeze=("thre",))


# --- the command ---------------------------------------------------------------------------------


def test_fine_tuning_by_command(tmp_path: Path) -> None:
    spec = tmp_path / "tiny.net"
    spec.write_text(SPEC)
    saved(tmp_path / "data.npz")
    other = net_of(SPEC.replace("filters: 2", "filters: 7"))
    start = fresh(other.tensors, 4)
    torch.save({n: torch.from_numpy(a) for n, a in start.items()}, tmp_path / "w.pt")

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "netspec",
            "train",
            str(spec),
            "--out",
            str(tmp_path / "out"),
        ]
        command += ["--data", str(tmp_path / "data.npz"), "--train", "learning_rate=1e-9"]
        return subprocess.run([*command, *more], capture_output=True, text=True, check=False)

    done = run("--weights", str(tmp_path / "w.pt"), "--partial", "last")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("fresh: last.weight\nfresh: last.bias\n24 iterations in ")
    assert "held-out loss" in done.stderr
    found = weights(tmp_path)
    np.testing.assert_allclose(found["c.weight"], start["c.weight"], atol=1e-6)
    assert found["last.weight"].shape == (2, 4, 1, 1)
    done = run("--weights", str(tmp_path / "w.pt"), "--restart")
    assert done.returncode == 1
    assert "weights-mismatch" in done.stderr
