"""The training loop: the emitted model, its optimizer, the files of a run."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from math import inf, isfinite
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from netspec.diagnostics import spec_error
from netspec.diagnostics.render import printable
from netspec.explore.sweep import processors
from netspec.ir import Net, Training
from netspec.lazy_dataclasses import dataclass, field, fields, replace
from netspec.metrics.compression import Compression
from netspec.metrics.frozen import frozen_layers, layers_matching
from netspec.runs.folder import Folder
from netspec.runtime.classify import quiet_pillow
from netspec.training import schedule
from netspec.training.average import Average
from netspec.training.checkpoint import (
    Metrics,
    read_checkpoint,
    write_checkpoint,
    write_weights,
)
from netspec.training.datasets import TrainingData, digest_of
from netspec.training.distributed import Processes, device, processes
from netspec.training.evaluation import classifier, count
from netspec.training.learning_curve import learning_curve
from netspec.training.loader import Loader, Mix
from netspec.training.optimizers import (
    change_gradients,
    changes_gradients,
    optimizer,
)
from netspec.training.retraining import Retraining
from netspec.training.sampler import Draws, Sampler
from netspec.training.tasks import Classification, task_of
from netspec.training.tensorboard import Board
from netspec.training.transforms import Preparation
from netspec.util.atomic_write import write_text
from netspec.util.progress import ProgressBar, duration
from netspec.weights import fresh
from netspec.weights.trained import metadata

WINDOWS = 200
"""About how many measurements of the training itself a run writes down."""
MOST_BETWEEN = 1000
"""Most iterations between evaluations where `every` is not given."""
SMALL = 200_000_000
"""Below so many multiplications a step, threads wait for each other longer than they work."""
MOST_WORKERS = 16
FEW = 200
"""So few samples for each are prepared before the processes for it have started."""
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class TrainingOptions:
    """How to carry out a recipe.

    `every` is the number of iterations between evaluations, each with a checkpoint; by default an
    epoch, at most 1000. `accumulate` divides a batch into so many parts, one after the other.
    `held_out` is the share of the data that is not trained on where the data does not say.
    `weights` are arrays by name that the model starts from; what they lack starts fresh.
    `on_bad` says what becomes of pictures that can't be read: `error` or `skip`. With a `plan`,
    weights are pruned and quantized while they are trained. `freeze` are patterns of the paths of
    layers and instances that stay as they are, `lr_mult` such patterns with factors of the rate.
    `tensorboard` is a folder for event files, `cache` one where decoded pictures are kept.
    With `compile`, the model is compiled by `torch.compile`.
    """

    data: Path
    out: Path
    seed: int = 0
    weights: Mapping[str, Any] = field(default_factory=dict)
    every: int | None = None
    accumulate: int = 1
    held_out: float = 0.1
    workers: int | None = None
    device: str = "auto"
    precision: str = "auto"
    restart: bool = False
    quiet: bool = False
    on_bad: Literal["error", "skip"] = "error"
    plan: Compression | None = None
    freeze: tuple[str, ...] = ()
    cache: Path | None = None
    compile: bool = False
    lr_mult: tuple[tuple[str, float], ...] = ()
    tensorboard: Path | None = None


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended; accuracies are None where nothing is held out.

    They are what the net's task is judged by, which `figure` names.
    """

    iterations: int
    seconds: float
    accuracy: float | None
    best_accuracy: float | None
    best_iteration: int | None
    folder: Folder
    figure: str = "accuracy"
    best_loss: float | None = None


def train(net: Net, training: Training, options: TrainingOptions) -> TrainingResult:
    """Train a net by a recipe, from the last checkpoint where there is one.

    The same seed, data and number of processes give the same weights on the same machine, also
    where the run was killed in between. Raises SpecError.
    """
    _check(net)
    _check_options(options)
    wanted = options.device
    cuda = wanted.startswith("cuda") or (wanted == "auto" and torch.cuda.is_available())
    with processes(cuda) as group, _reproducible(), quiet_pillow():
        return _Run(net, training, options, group).run()


@contextmanager
def _reproducible() -> Iterator[None]:
    """Have PyTorch compute the same each time; behind it, the caller's settings are back."""
    before = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark, threads = torch.backends.cudnn.benchmark, torch.get_num_threads()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS varies without
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warns)
        torch.backends.cudnn.benchmark = benchmark
        torch.set_num_threads(threads)


def _check(net: Net) -> None:
    """Raise SpecError for a net that is no classifier of one input."""
    reason = ""
    if len(net.body.inputs) != 1:
        reason = f"it has {len(net.body.inputs)} inputs"
    elif len(net.body.outputs) != 1:
        reason = f"it has {len(net.body.outputs)} outputs"
    elif not any(t.learnable for t in net.tensors.values()):
        reason = "it has no weights"
    if reason:
        message = f"{net.name} can't be trained to tell classes apart: {reason}"
        raise spec_error("bad-data", message)


def _check_options(options: TrainingOptions) -> None:
    """Raise SpecError (bad-option) for an option that has a value which no training can have."""
    valid = {
        "every": options.every is None or options.every >= 1,
        "accumulate": options.accumulate >= 1,
        "held_out": 0 <= options.held_out < 1,
        "workers": options.workers is None or options.workers >= 0,
        "precision": options.precision in PRECISIONS,
        "on_bad": options.on_bad in ("error", "skip"),
        "lr_mult": all(0 <= factor < inf for _, factor in options.lr_mult),
    }
    for name, right in valid.items():
        if not right:
            message = f"{name} of a training can't be {getattr(options, name)}"
            raise spec_error("bad-option", message)


class _Window:
    """Sums since the last line of metrics; those of losses and hits stay on the device."""

    def __init__(self) -> None:
        self.loss: Any = 0.0
        self.correct: Any = 0.0
        self.samples = 0


class _Run:
    def __init__(
        self, net: Net, training: Training, options: TrainingOptions, group: Processes
    ) -> None:
        self.net = replace(net, training=training)
        self.frozen = frozen_layers(net, options.freeze)
        self.factors = {
            path: factor
            for pattern, factor in options.lr_mult
            for path in layers_matching(net, pattern)
        }
        self.training = training
        self.task = task_of(self.net)
        self.options = options
        self.group = group
        self.device = device(options.device, group.local)
        self.precision = _precision(options.precision, self.device)
        preparation = Preparation(net, training, options.cache)
        self.quiet = options.quiet or not group.is_main
        self.data = self._read(preparation)
        self.samples = len(self.data.train.labels)
        self.total = schedule.iterations(training, self.samples)
        epoch = -(-self.samples // training.batch_size)
        self.every = options.every or max(1, min(epoch, MOST_BETWEEN, self.total))
        self.window_size = max(1, min(self.every, self.total // WINDOWS))
        parts = group.count * options.accumulate
        if training.batch_size % parts:
            message = f"a batch of {training.batch_size:,} can't be divided evenly into {parts}"
            help_ = (f"`--train batch_size={max(1, training.batch_size // parts) * parts}`",)
            raise spec_error("bad-data", message, help=help_)
        if training.batch_size > self.samples:
            message = (
                f"a batch of {training.batch_size:,} is larger than the data: {self.samples:,} "
                "samples to train on"
            )
            fitting = self.samples // parts * parts
            fix = (f"`--train batch_size={fitting}`",) if fitting else ()
            raise spec_error("bad-data", message, help=fix)
        self.folder = Folder(options.out)
        classes = self.data.train.labels if training.sampling == "balanced" else None
        self.order = Sampler(self.samples, training.batch_size, options.seed, classes)
        self.done = 0
        self.best: dict[str, Any] | None = None
        plan = options.plan
        self.retraining = Retraining(net, plan, self.total) if plan else None
        watched = ["patience"] if training.patience is not None else []
        watched += ["`schedule: plateau`"] if training.schedule == "plateau" else []
        if watched and self.data.held_out is None:
            message = f"{watched[0]} counts evaluations on held-out samples, and none are held out"
            raise spec_error("bad-data", message, help=("for example `--held-out 10%`",))
        self.plateau = schedule.Plateau(training)
        self.average: Average | None = None
        self.board: Board | None = None
        self.last_accuracy: float | None = None
        self.remarks: tuple[str, ...] = ()
        self.window = _Window()

    def _loader(self) -> Loader:
        options, group, training = self.options, self.group, self.training
        workers = options.workers
        if workers is None:
            beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # processes of this machine
            workers = min(processors() // beside, MOST_WORKERS)
            if (self.total - self.done) * training.batch_size < FEW * workers:
                workers = 0
        largest = training.batch_size // group.count
        return Loader(
            self.data.train, options.seed, max(workers, 0), self.device, self._mix(), largest
        )

    def _mix(self) -> Mix | None:
        """What mixes the samples of a batch, where the recipe says so. Raises SpecError."""
        if not (self.training.mixup or self.training.cutmix):
            return None
        if not isinstance(self.task, Classification):
            message = f"mixup and cutmix mix classes, which {self.net.name} does not tell apart"
            raise spec_error("bad-data", message)
        return self.task.mix

    def _read(self, preparation: Preparation) -> TrainingData:
        """The data; what is left out of it is said."""
        options = self.options
        progress = ProgressBar(1, quiet=self.quiet)

        def watch(done: int, total: int) -> None:
            progress.total = total
            progress.update(done, "pictures looked at")

        skip = options.on_bad == "skip"
        # Pictures are kept by one process of a machine, and found by the others.
        waits = options.cache is not None and self.group.local > 0
        if waits:
            self.group.wait()
        try:
            data = self.task.read(options.data, preparation, options.held_out, skip, watch)
        finally:
            progress.close()
        if options.cache is not None and not waits:
            self.group.wait()
        for line in data.left_out:
            progress.note(printable(f"left out: {line}"))
        for line in data.remarks:
            progress.note(printable(line))
        return data

    # --- what is trained -------------------------------------------------------------------------

    def _prepare(self) -> None:
        if self.net.macs * self.training.batch_size < SMALL:
            torch.set_num_threads(1)
        torch.manual_seed(self.options.seed)
        model, self.probabilities = classifier(self.net)
        start = {**fresh(self.net.tensors, self.options.seed), **self.options.weights}
        start = {name: torch.from_numpy(array.copy()) for name, array in start.items()}
        model.load_state_dict(start, strict=False)  # without the counters of batch norms
        model.to(self.device)
        if self.device.type == "cuda" and len(self.net.body.inputs[0].shape) == 3:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = model
        if self.options.compile:
            model.compile()
        if self.retraining is not None:
            self.retraining.prune(model)
        self._optimize()
        self.frozen_norms = [m for name, m in model.named_modules() if name in self.frozen]
        halves = self.precision == torch.float16
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=halves)

    def _optimize(self) -> None:
        """Have an optimizer for the model's parameters as they are now."""
        model = self.model
        self.optimizer = optimizer(model, self.net, self.frozen, self.factors)
        if self.training.ema is not None:
            self.average = Average(model, self.training.ema)
        self.parallel: nn.Module = model
        if self.group.count > 1:
            live = {v for f in self.net.layers for v in f.inputs} | set(self.net.flat_outputs)
            unused = any(live.isdisjoint(f.outputs) for f in self.net.layers if f.layer.tensors)
            devices = [self.device] if self.device.type == "cuda" else None
            self.parallel = nn.parallel.DistributedDataParallel(
                model, device_ids=devices, find_unused_parameters=unused
            )

    def _identity(self) -> dict[str, Any]:
        """What a checkpoint of this run has in common with it, as plain data."""
        shapes = ",".join(f"{n}:{tuple(map(int, t.shape))}" for n, t in self.net.tensors.items())
        identity = stated(self.training)
        special = {n: m for n, m in self.net.multipliers.items() if m not in ((1, 1), (1, 0))}
        if special:
            identity["multipliers"] = ",".join(f"{n}:{m[0]:g}:{m[1]:g}" for n, m in special.items())
        if self.options.freeze:
            identity["freeze"] = ",".join(sorted(self.frozen))
        if self.options.compile:
            identity["compile"] = True  # sums are rounded otherwise
        if self.options.cache is not None:
            identity["cache"] = True  # its pictures may be rounded otherwise
        if self.factors:
            identity["factors"] = ",".join(f"{n}:{m:g}" for n, m in sorted(self.factors.items()))
        if self.options.plan is not None:
            identity["compression"] = str(self.options.plan)
        return identity | {
            "net": self.net.name,
            "tensors": shapes,
            "data": self.data.train.digest(),
            "held-out data": self.data.held_out.digest() if self.data.held_out else "none",
            "first weights": digest_of(self.options.weights),
            "seed": self.options.seed,
            "every": self.every,
            "accumulate": self.options.accumulate,
            "processes": self.group.count,
            "precision": str(self.precision).removeprefix("torch."),
        }

    # --- the run ---------------------------------------------------------------------------------

    def run(self) -> TrainingResult:
        begun = time.monotonic()
        if self.group.is_main:
            self.folder.make()
        self.group.wait()
        self._prepare()
        self.identity = self._identity()
        resumed = not self.options.restart and self.folder.checkpoint.exists()
        if resumed:
            self._restore(read_checkpoint(self.folder.checkpoint, self.identity))
        self.group.wait()
        self.progress = ProgressBar(self.total, self.done, quiet=self.quiet)
        if self.group.is_main:
            self.metrics = Metrics(self.folder.metrics, self.done)
            if self.options.tensorboard is not None:
                self.board = Board(self.options.tensorboard, self.done)
            if self.data.classes:
                write_text(self.folder.labels, "".join(f"{c}\n" for c in self.data.classes))
        if self.training.warmup >= self.total:
            self.progress.note(
                f"the rate rises in all {self.total:,} iterations, since the warm-up has "
                f"{self.training.warmup:,}; `--train warmup={self.total // 10}` is a tenth of them"
            )
        if resumed and self.done < self.total:
            self.progress.note(f"continues after iteration {self.done:,}")
        self.loader = self._loader()
        try:
            self._iterate()
        except RuntimeError as error:
            if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise
            reason = printable(str(error).strip().splitlines()[0])
            message = f"torch.compile can't compile {self.net.name} here: {reason}"
            raise spec_error("bad-option", message, help=("leave out `--compile`",)) from None
        finally:
            self.progress.close()
            self.loader.close()
            if self.board is not None:
                self.board.close()
        best = self.best or {}
        return TrainingResult(
            self.done,
            time.monotonic() - begun,
            self.last_accuracy,
            best.get(self.task.figure),
            best.get("iteration"),
            self.folder,
            self.task.title,
            best.get("loss"),
        )

    def _iterate(self) -> None:
        batches = self.loader.training(self._batches())
        self._to_training()
        while self.done < self.total and not self._is_stale():
            if self.retraining is not None and self.done == self.retraining.shared_from:
                self.retraining.share(self.model)
                self._optimize()
                self._to_training()
            self._step(batches)
            self.done += 1
            if self.average is not None:
                self.average.update(self.model)
            if self.done % self.window_size == 0 or self.done == self.total:
                self._measure()
            if self.done % self.every == 0 or self.done == self.total:
                start = time.monotonic()
                self._evaluate()
                self.progress.pause(time.monotonic() - start)
                self._to_training()
        if self.done < self.total:
            self.progress.note(
                f"ends after iteration {self.done:,}: {self.training.patience:,} evaluations "
                "without a better one"
            )

    def _is_stale(self) -> bool:
        """Whether `patience` evaluations have brought nothing better."""
        if self.training.patience is None or self.best is None:
            return False
        since: int = self.done - self.best["iteration"]
        return since >= self.training.patience * self.every

    def _rate(self, iteration: int) -> float:
        return schedule.rate(self.training, iteration, self.total, self.plateau.falls)

    @property
    def _kept(self) -> nn.Module:
        """The model that is evaluated and written down."""
        return self.model if self.average is None else self.average.model

    def _to_training(self) -> None:
        """Set the model to training, but for what is frozen."""
        self.parallel.train()
        for norm in self.frozen_norms:
            norm.eval()

    def _batches(self) -> Iterator[Draws]:
        """This process's part of every batch, in as many parts as are accumulated."""
        parts = self.options.accumulate
        size = self.training.batch_size // self.group.count // parts
        for iteration in range(self.done, self.total):
            draws = self.order.draws(iteration)
            own = draws[self.group.rank * size * parts :][: size * parts]
            for i in range(parts):
                yield own[i * size : (i + 1) * size]

    def _step(self, batches: Iterator[tuple[Tensor, Tensor]]) -> None:
        """One step of the optimizer."""
        rate = self._rate(self.done)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["lr_mult"]
        # Dropout depends on the iteration alone, so a run can go on from any.
        torch.manual_seed((self.options.seed * 1_000_003 + self.done) * 4_099 + self.group.rank)
        parts = self.options.accumulate
        self.optimizer.zero_grad(set_to_none=True)
        for i in range(parts):
            x, y = next(batches)
            last = i == parts - 1
            waits = isinstance(self.parallel, nn.parallel.DistributedDataParallel) and not last
            with self.parallel.no_sync() if waits else nullcontext():  # type: ignore[operator]
                outputs, y = self._forward(self.parallel, x, y)
                loss = self.task.loss(outputs, y)
                self.scaler.scale(loss / parts).backward()  # type: ignore[no-untyped-call]
            with torch.no_grad():
                correct = self.task.hits(outputs, y)
            self.window.loss += loss.detach().double() * len(y)
            self.window.correct += correct.double()
            self.window.samples += len(y)
        if changes_gradients(self.training):
            self.scaler.unscale_(self.optimizer)
            change_gradients(self.optimizer, self.training)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _forward(self, model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The scores that the loss takes, in float32, and the targets."""
        cuda = self.device.type == "cuda"
        x = x.to(self.device, non_blocking=cuda)
        if cuda and x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        enabled = self.precision != torch.float32
        with torch.autocast(self.device.type, self.precision, enabled=enabled):
            result = model(x)
        found = self.task.scores(result, self.probabilities)
        return found, y.to(self.device, non_blocking=cuda)

    # --- what is kept ----------------------------------------------------------------------------

    def _measure(self) -> None:
        """Write metrics since the last line. Raises SpecError where the loss is not finite."""
        window, self.window = self.window, _Window()
        found = [float(window.loss), float(window.correct), float(window.samples)]
        sums = torch.tensor(found, dtype=torch.float64)
        loss, correct, samples = self.group.total(sums.to(self.device)).tolist()
        loss, accuracy = loss / samples, correct / samples
        if not isfinite(loss):
            message = f"the training has diverged: the loss is {loss} at iteration {self.done:,}"
            help_ = ("a smaller `learning_rate`, a `warmup` or a `clip_norm` may help",)
            raise spec_error("diverged", message, help=help_)
        speed = self.progress.rate(self.done) * self.training.batch_size
        self.progress.update(
            self.done,
            f"loss {loss:.4f}  {self.task.step_figure} {accuracy:.1%}  {speed:,.0f} images/s",
        )
        if self.group.is_main:
            self._write_row(
                {
                    "kind": "train",
                    "iteration": self.done,
                    "epoch": round(self.done * self.training.batch_size / self.samples, 4),
                    "learning_rate": self._rate(self.done - 1),
                    "loss": loss,
                    self.task.step_figure: accuracy,
                    "images_per_second": round(speed, 1),
                }
            )

    def _write_row(self, row: dict[str, Any]) -> None:
        self.metrics.add(row)
        if self.board is not None:
            self.board.add(row)

    def _evaluate(self) -> None:
        """Evaluate held-out samples; write weights, the curve, and at last the checkpoint."""
        row, name = self._held_out(), self.task.figure
        figures = {n: row[n] for n in (name, "loss")} if row is not None else {}
        story = {
            "iterations": self.total,
            "figure": name,
            "seed": self.options.seed,
            "train": stated(self.training),
        }
        about = metadata(self.net, self.data.classes, self.done, figures, story)
        if row is not None:
            best, new = ((r[name], -r["loss"]) if r else () for r in (self.best, row))
            better = self._is_final() and new > best
            self.last_accuracy = row[name]
            self.plateau.see(row["loss"])
            if better:
                self.best = {k: row[k] for k in ("iteration", name, "loss")}
            self.progress.note(
                f"iteration {self.done:,} of {self.total:,}: held-out loss {row['loss']:.4f}, "
                f"{self.task.title} {row[name]:.2%}{', the best so far' if better else ''}"
            )
            remarks = tuple(self.task.remarks(row))
            for line in remarks:
                if line not in self.remarks:  # what was said the last time still holds
                    self.progress.note(printable(f"  {line}"))
            self.remarks = remarks
            if self.group.is_main:
                self._write_row(row)
                if better:
                    write_weights(self.folder.best, self._kept, self.net.tensors, about)
        if self.group.is_main:
            write_weights(self.folder.last, self._kept, self.net.tensors, about)
            write_text(self.folder.table, self.metrics.csv())
            if self.board is not None:
                self.board.flush()
            rows = self.metrics.rows
            curve = learning_curve(self.net.name, rows, self.total, name, self.task.title)
            write_text(self.folder.curve, curve)
            write_checkpoint(self.folder.checkpoint, self._state(), self.identity)

    def _is_final(self) -> bool:
        """Whether weights are by now what they are to be at the end, and not yet to be shared."""
        shared_from = self.retraining.shared_from if self.retraining is not None else None
        return shared_from is None or self.done > shared_from

    def _held_out(self) -> dict[str, Any] | None:
        """The figures on what is held out, each process seeing a part of it."""
        samples = self.data.held_out
        if samples is None:
            return None
        size = max(1, self.training.batch_size // self.group.count)
        own = range(self.group.rank, len(samples.labels), self.group.count)
        batches = iter([own[i : i + size] for i in range(0, len(own), size)])
        self._kept.eval()
        tally = self.task.tally()
        plain = self.loader.beside(samples).plain(batches)
        count(tally, partial(self._forward, self._kept), plain)
        tally.gather(self.group)
        return {
            "kind": "held-out",
            "iteration": self.done,
            "epoch": round(self.done * self.training.batch_size / self.samples, 4),
            **tally.figures(),
        }

    def _state(self) -> dict[str, Any]:
        window = self.window
        return {
            "iteration": self.done,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.average.state() if self.average is not None else None,
            "plateau": self.plateau.state(),
            "best": self.best,
            "accuracy": self.last_accuracy,
            "window": [float(window.loss), float(window.correct), window.samples],
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.done = state["iteration"]
        if self.retraining is not None and self.retraining.bits and self._is_final():
            self.retraining.restore(self.model, state["model"])
            self._optimize()
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.restore(state["average"])
        self.plateau.restore(state["plateau"])
        self.best, self.last_accuracy = state["best"], state["accuracy"]
        self.window.loss, self.window.correct, self.window.samples = state["window"]


def stated(training: Training) -> dict[str, Any]:
    """The fields of a recipe that are not as usual, as plain data."""
    found = {
        f.name: list(value) if isinstance(value, tuple) else value
        for f in fields(Training)
        if (value := getattr(training, f.name)) != f.default
    }
    return found | ({"init": str(training.init)} if training.init is not None else {})


def _precision(wanted: str, place: torch.device) -> torch.dtype:
    """The type to compute in: for `auto` bfloat16 or float16 on CUDA, else float32."""
    if wanted == "auto":
        if place.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    found: torch.dtype = getattr(torch, wanted)
    return found


def summary(result: TrainingResult) -> str:
    """The result of a run in a line."""
    text = f"{result.iterations:,} iterations in {duration(result.seconds)}"
    if result.accuracy is not None:
        text += f"; held-out {result.figure} {result.accuracy:.2%}"
    if result.best_accuracy is not None and result.best_iteration is not None:
        text += f", at best {result.best_accuracy:.2%} after iteration {result.best_iteration:,}"
    return f"{text}; files in {result.folder.path}"
