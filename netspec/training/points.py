"""The points of a design space, each of them trained: accuracies beside sizes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import file_digest, sha256
from logging import ERROR
from math import isfinite
from pathlib import Path
from socket import create_connection
from typing import Any, NamedTuple

from netspec.diagnostics import Diagnostic, SpecError, spec_error
from netspec.diagnostics.source import Source
from netspec.driver import PreparedNet, build, prepare
from netspec.explore import sweep
from netspec.explore.search_space import Point
from netspec.explore.sweep import Result, Spec
from netspec.ir import Net
from netspec.lazy_dataclasses import fields, replace
from netspec.report.rows import argument
from netspec.training.datasets import digest_of
from netspec.training.overrides import recipe
from netspec.training.trainer import TrainingOptions, train
from netspec.util.interrupt import for_parent_only, on_interrupt

SECONDS = 10
"""How long the address of a cluster may take to answer."""
MOST_CHARACTERS = 100
"""Longest name of a run's folder."""
NOT_OF_RESULTS = (
    *("data", "out", "weights", "workers", "device", "restart", "quiet", "cache", "tensorboard"),
)
"""Options on which accuracies do not depend but for rounding, and those that are hashed."""


class PointTraining(NamedTuple):
    """How each net of a sweep is trained, and where: in a folder of its own in `runs`.

    That is NET-runs where it is None. `fields` are set in the recipe, `options` are those of
    TrainingOptions. With `ray`, the trainings run on the Ray cluster at this address.
    """

    data: Path
    runs: Path | None = None
    fields: tuple[tuple[str, str], ...] = ()
    options: Mapping[str, Any] = {}
    ray: str | None = None

    @property
    def fingerprint(self) -> str:
        """A hash of the data and of what the accuracies depend on besides the nets."""
        options = TrainingOptions(data=self.data, out=Path(), **self.options)
        names = [f.name for f in fields(TrainingOptions) if f.name not in NOT_OF_RESULTS]
        stated = [(name, getattr(options, name)) for name in names]
        hashed = _digest(self.data), digest_of(options.weights), self.fields, stated
        return sha256(repr(hashed).encode()).hexdigest()[:16]

    def check(self, spec: Spec, point: Point) -> None:
        """Raise SpecError where the net of a point has no sound recipe."""
        net = build(spec.prepared, point.constants).net
        if net is not None:
            recipe(net, self.fields)

    def results(
        self,
        spec: Spec,
        points: Sequence[Point],
        jobs: int = 1,
        wanted: Callable[[Result], bool] = lambda _: True,
    ) -> Iterator[Result]:
        """The result of each point, with the accuracy of its net, as they come.

        Nets that are not `wanted`, by their metrics, are not trained. Raises SpecError, also where
        a net can't be trained on the data.
        """
        runs = self.runs or Path(f"{spec.prepared.name}-runs")
        found: list[Result] = []
        work: list[_Work] = []
        for point, result in zip(points, sweep.results(spec, points, 1), strict=True):
            if "error" in result or not wanted(result):
                yield result
            else:
                found.append(result)
                folder = runs / folder_name(point.settings)
                work.append(_Work(self, *_text_of(spec), point, folder))
        for i, outcome in self._outcomes(spec, work, jobs):
            if not isinstance(outcome, dict):
                raise SpecError(outcome)
            yield {**found[i], **outcome}

    def _outcomes(
        self, spec: Spec, work: Sequence[_Work], jobs: int
    ) -> Iterator[tuple[int, _Outcome]]:
        """What each training gave, with its number, as they end."""
        if self.ray is not None:
            yield from _on_ray(self.ray, work, self.options.get("device", "auto"))
        elif jobs > 1 and len(work) > 1:
            yield from _in_processes(work, jobs)
        else:
            for i, one in enumerate(work):
                yield i, _outcome(spec.prepared, one)


_Outcome = dict[str, Any] | tuple[Diagnostic, ...]
"""What is added to the result of a net that was trained, or why it could not be."""


class _Work(NamedTuple):
    """One training as data that can be sent to another process."""

    training: PointTraining
    source: Source
    base: Path
    reading: Mapping[str, Any]
    net: str | None
    point: Point
    folder: Path


def _text_of(spec: Spec) -> tuple[Source, Path, Mapping[str, Any], str | None]:
    return spec.source, spec.base.absolute(), spec.reading, spec.name


def _outcome(prepared: PreparedNet, work: _Work) -> _Outcome:
    """Train the net of a point, or go on where that was interrupted."""
    try:
        return _trained(build(prepared, work.point.constants).sound(), work.training, work.folder)
    except SpecError as error:
        return error.diagnostics


def _trained(net: Net, training: PointTraining, folder: Path) -> dict[str, Any]:
    """The accuracy of a net's best weights, or the error of a training that diverged."""
    given: dict[str, Any] = {"quiet": True, **training.options}
    options = TrainingOptions(data=training.data, out=folder, **given)
    try:
        result = train(net, recipe(net, training.fields), options)
    except SpecError as error:
        first, *_ = error.diagnostics
        if first.code == "diverged":
            return {"run": str(folder), "error": {"code": first.code, "message": first.message}}
        if first.code == "bad-checkpoint":
            help_ = ("`--restart` begins anew; another `--runs FOLDER` keeps both",)
            raise SpecError([replace(first, help=help_)]) from None
        raise
    if result.best_accuracy is None or result.best_loss is None:
        message = "nothing is held out, so that no net has an accuracy"
        raise spec_error("bad-data", message, help=("leave out `--held-out 0`",))
    loss = {"loss": round(result.best_loss, 6)} if isfinite(result.best_loss) else {}
    return {
        "accuracy": round(float(result.best_accuracy), 6),
        **loss,
        "iteration": result.best_iteration,
        "run": str(folder),
    }


def folder_name(settings: Mapping[str, Any]) -> str:
    """What the folder of a point's training is called: `SR=0.5,freq=2`; others get other names."""
    values = ((k, tuple(v) if isinstance(v, list) else v) for k, v in settings.items())
    text = ",".join(f"{name}={argument(value)}" for name, value in values)
    safe = re.sub(r"[^A-Za-z0-9_.,=+-]+", "_", text)
    if safe == text and len(text) <= MOST_CHARACTERS:
        return text
    return f"{safe[: MOST_CHARACTERS - 9]}-{sha256(text.encode()).hexdigest()[:8]}"


def _digest(data: Path) -> str:
    """A hash of a file's content, or of the names and sizes of the files in a folder.

    Raises SpecError (bad-data) where there is no such data.
    """
    try:
        if data.is_dir():
            files = sorted(p for p in data.rglob("*") if p.is_file())
            listed = repr([(p.relative_to(data).as_posix(), p.stat().st_size) for p in files])
            return sha256(listed.encode()).hexdigest()
        with data.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        message = f"{data} can't be read: {error.strerror or error}"
        raise spec_error("bad-data", message) from None


# --- several at a time ---------------------------------------------------------------------------


def _elsewhere(work: _Work) -> _Outcome:
    """Train the net of a point in a process that knows nothing of the sweep."""
    prepared = prepare(work.source, work.base, work.reading, work.net)
    return _outcome(prepared, work)


def _in_processes(work: Sequence[_Work], jobs: int) -> Iterator[tuple[int, _Outcome]]:
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    threads = max(1, sweep.processors() // jobs)
    work = [_sharing(one, threads) for one in work]
    # A fork of a process with PyTorch's threads may wait for ever.
    context = get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=_start, initargs=(threads,))
    try:
        with for_parent_only():
            pending = {pool.submit(_elsewhere, one): i for i, one in enumerate(work)}
        with on_interrupt(sweep.end_workers):
            for done in as_completed(pending):
                yield pending[done], done.result()
    except BrokenProcessPool:
        message = "a process of the sweep was killed, as where memory is short"
        help_ = ("fewer at a time, `--jobs 1`; the same command goes on",)
        raise spec_error("bad-option", message, help=help_) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _sharing(work: _Work, processors: int) -> _Work:
    """A training that leaves others their processors when it reads pictures."""
    options = work.training.options
    if options.get("workers") is not None:
        return work
    training = work.training._replace(options={**options, "workers": processors})
    return work._replace(training=training)


def _start(threads: int) -> None:
    import torch

    sweep.leave_end_to_parent()
    torch.set_num_threads(threads)


def _on_ray(address: str, work: Sequence[_Work], device: str) -> Iterator[tuple[int, _Outcome]]:
    """Train on a Ray cluster, whose machines see the same folders and have netspec installed.

    Raises SpecError where there is none.
    """
    try:
        import ray
    except ImportError as error:
        message = f"--ray needs the package {error.name}, which is not installed"
        help_ = ("pip install 'netspec-compiler[ray]'",)
        raise spec_error("missing-package", message, help=help_) from None
    try:
        host, _, port = address.rpartition(":")
        if host and port.isdecimal() and "/" not in host:
            # Ray itself would try for minutes.
            create_connection((host, int(port)), SECONDS).close()
        ray.init(address, log_to_driver=False, logging_level=ERROR)
    except (OSError, OverflowError, ValueError, RuntimeError) as error:
        reason, *_ = str(error).strip().splitlines() or [type(error).__name__]
        message = f"no Ray cluster can be used at {address}: {reason}"
        raise spec_error("bad-option", message) from None
    try:
        gpus = 1 if device != "cpu" and ray.cluster_resources().get("GPU") else 0
        remote = ray.remote(num_cpus=1, num_gpus=gpus)(_elsewhere)
        pending = {remote.remote(_absolute(one)): i for i, one in enumerate(work)}
        while pending:
            (done,), _ = ray.wait(list(pending), num_returns=1)
            i = pending.pop(done)
            try:
                outcome = ray.get(done)
            except ray.exceptions.RayError as error:
                reason = str(error).strip().splitlines()[-1]
                message = f"the training in {work[i].folder} failed on the cluster: {reason}"
                raise spec_error("bad-data", message) from None
            if isinstance(outcome, dict):
                outcome["run"] = str(work[i].folder)
            yield i, outcome
    finally:
        ray.shutdown()


def _absolute(work: _Work) -> _Work:
    """A training that means the same in a process that runs in another folder."""
    training = work.training._replace(data=work.training.data.absolute())
    return work._replace(training=training, folder=work.folder.absolute())
