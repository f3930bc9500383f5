"""The metrics of every point of a design space, over several processes.

A spec is parsed once in each process and built once for each point. Results come as they are
ready; a file of earlier ones spares their points.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from netspec.diagnostics import SpecError, spec_error
from netspec.diagnostics.source import Source
from netspec.driver import PreparedNet, build, find, prepare
from netspec.explore.search_space import Point, Space
from netspec.metrics.size import activation_bytes, size
from netspec.semantic.evaluator import METRICS
from netspec.util.atomic_write import refuse_input, unwritable
from netspec.util.interrupt import for_parent_only, on_interrupt

MAX_POINTS = 100_000
"""Most combinations that are computed."""
FEW = 12
"""Points that are not worth a second process."""
CHUNK = 8
"""Points that a process is given at a time."""

Result = dict[str, Any]
"""`net`, `spec`, `settings`, and either the METRICS or `error` (`code`, `message`); size and
activations are in bytes, as float32. Of a net that was trained also `training` (which data and
recipe), `run` (its folder), and `accuracy`, `loss` and `iteration` of its best weights, or `error`
where the training diverged."""


class Spec(NamedTuple):
    """A parsed spec without errors, ready to be built for many settings."""

    source: Source
    base: Path
    name: str | None
    """Which of the text's nets is meant."""
    prepared: PreparedNet
    fingerprint: str
    reading: Mapping[str, Any]
    """How a prototxt was read."""


def spec(name: str, reading: Mapping[str, Any] | None = None) -> Spec:
    """The spec of a path, `-` or bundled name. Raises SpecError.

    `reading` are the settings that say how to read a prototxt.
    """
    reading = reading or {}
    text = find(name)
    prepared = prepare(text.source, text.folder, reading, text.net)
    return Spec(*text, prepared, _fingerprint(prepared, reading), reading)


def _fingerprint(prepared: PreparedNet, reading: Mapping[str, Any]) -> str:
    """A hash of the texts of a spec and its imports, and of how a prototxt was read."""
    from hashlib import sha256

    program = prepared.program
    texts = sorted(source.text for source in program.texts())
    texts += [prepared.name] if program.nets[1:] or program.nets[0].variants else []
    texts += [f"{name}={value}" for name, value in sorted(reading.items())]
    return sha256("\0".join(texts).encode()).hexdigest()[:16]


class Aim(Protocol):
    """What is asked of results."""

    def check(self, point: Point, trained: bool) -> None:
        """Raise SpecError where that can't be said of a point, whatever its metrics."""
        ...

    def may_meet(self, result: Result) -> bool:
        """Whether a net may be what is asked for, as far as its metrics say."""
        ...


class TrainsPoints(Protocol):
    """How the nets of a sweep are trained."""

    @property
    def fingerprint(self) -> str:
        """A text that differs where accuracies may."""
        ...

    def check(self, spec: Spec, point: Point) -> None:
        """Raise SpecError where the net of a point can't be trained so."""
        ...

    def results(
        self, spec: Spec, points: Sequence[Point], jobs: int, wanted: Callable[[Result], bool]
    ) -> Iterator[Result]:
        """The result of each point as they come, nets trained that are wanted by their metrics."""
        ...


class Sweep(NamedTuple):
    """A sweep that may begin: nothing is wrong with the spec and the names of its parameters."""

    spec: Spec
    points: Sequence[Point]
    store: Store | None
    aim: Aim | None
    training: TrainsPoints | None
    fingerprint: str | None = None
    """That of the training."""


def prepared(
    spec: Spec,
    space: Space,
    sample: int | None = None,
    seed: int = 0,
    output: str | Path | None = None,
    aim: Aim | None = None,
    training: TrainsPoints | None = None,
) -> Sweep:
    """The sweep of a space, or of `sample` of its points, whose results are kept in `output`.

    With a `training`, nets are trained, but for those that can't meet the `aim`. Raises SpecError,
    also where one of the points shows that the aim or the training can't be.
    """
    if sample is None and space.size > MAX_POINTS:
        message = f"these are {space.size:,} combinations; at most {MAX_POINTS:,} are computed"
        help_ = (f"take some of them at random: `--sample {MAX_POINTS}`",)
        raise spec_error("bad-option", message, help=help_)
    points = list(space) if sample is None else space.sample(min(sample, MAX_POINTS), seed)
    if points:
        _check(spec, points[0])
        if aim is not None:
            aim.check(points[0], training is not None)
        if training is not None:
            training.check(spec, points[0])
    fingerprint = training.fingerprint if training is not None else None
    store = Store(Path(output), spec, fingerprint) if output is not None else None
    return Sweep(spec, points, store, aim, training, fingerprint)


def _check(spec: Spec, point: Point) -> None:
    """Raise SpecError where the net has no parameters of these names."""
    found = build(spec.prepared, point.constants)
    wrong = [d for d in found.diagnostics if d.code == "unknown-parameter"]
    if wrong:
        raise SpecError(wrong)


def result(prepared: PreparedNet, fingerprint: str, point: Point) -> Result:
    """The metrics of one point, or why there is no such net."""
    found: Result = {
        "net": prepared.name,
        "spec": fingerprint,
        "settings": dict(point.settings),
    }
    net, diagnostics, _ = build(prepared, point.constants)
    if net is None:
        error = next(d for d in diagnostics if d.severity == "error")
        found["error"] = {"code": error.code, "message": error.message}
    else:
        found |= {
            "params": int(net.params),
            "macs": int(net.macs),
            "size": size(net, 32),
            "activations": activation_bytes(net),
        }
    return found


def results(spec: Spec, points: Sequence[Point], jobs: int | None = None) -> Iterator[Result]:
    """The result of each point, as they come; over so many processes, or one for each processor."""
    jobs = jobs or processors()
    if jobs < 2 or len(points) <= FEW:
        for point in points:
            yield result(spec.prepared, spec.fingerprint, point)
        return
    from concurrent.futures import ProcessPoolExecutor, as_completed

    pool = ProcessPoolExecutor(
        jobs, initializer=_start, initargs=(spec.source, spec.base, spec.reading, spec.name)
    )
    try:
        chunks = [points[i : i + CHUNK] for i in range(0, len(points), CHUNK)]
        with for_parent_only():
            work = [pool.submit(_work, spec.fingerprint, chunk) for chunk in chunks]
        with on_interrupt(end_workers):
            for done in as_completed(work):
                yield from done.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def end_workers() -> None:
    """Kill the processes that this one has started."""
    from multiprocessing import active_children

    for worker in active_children():
        worker.kill()


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_prepared: list[PreparedNet] = []
"""In a worker, the spec that it builds."""


def _start(source: Source, base: Path, reading: Mapping[str, Any], net: str | None) -> None:
    leave_end_to_parent()
    _prepared[:] = [prepare(source, base, reading, net)]


def leave_end_to_parent() -> None:
    """Let whoever started this process say when it ends, be it by its death."""
    import signal
    from threading import Thread

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker with its parent; else it would wait for ever after a kill."""
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(fingerprint: str, points: Iterable[Point]) -> list[Result]:
    return [result(_prepared[0], fingerprint, point) for point in points]


# --- results kept in a file ----------------------------------------------------------------------


def key(settings: Mapping[str, Any]) -> str:
    """A text that is different for each point of a space."""
    return json.dumps(settings, sort_keys=True)


FIGURES = ("accuracy", "loss")
"""What is known of a net that was trained, beside METRICS."""
BEGIN = '{"net": '
"""How each line begins."""


class Store:
    """A file with a JSON line for each result, added to as they come; no other sweep adds to it."""

    def __init__(self, path: Path, spec: Spec, training: str | None = None) -> None:
        """Read earlier results; with `training`, nets that were not trained do not count.

        Raises SpecError (bad-option) for another file, spec or training.
        """
        self.path = path
        self.training = training
        self.known: dict[str, Result] = {}
        refuse_input(path)
        if path.exists() and not path.is_file():
            raise _unusable(path, "it is no regular file")
        try:
            self.file = path.open("a+b")
        except OSError as error:
            raise unwritable(path, error) from None
        try:
            _lock(self.file, path)
            self.file.seek(0)
            self._read(self.file.read().decode("utf-8"), spec)
        except (OSError, ValueError) as error:
            self.file.close()
            raise _unusable(path, f"can't be read: {error}") from None
        except SpecError:
            self.file.close()
            raise

    def _read(self, text: str, spec: Spec) -> None:
        *lines, rest = text.split("\n")
        for number, line in enumerate([*lines, rest], 1):
            if not line.strip():
                continue
            found = _result_of(line)
            if found is None and line is rest and (line[: len(BEGIN)] == BEGIN[: len(line)]):
                # Cut off when a run was stopped.
                self.file.truncate(len(text.encode()) - len(rest.encode()))
                return
            if found is None:
                raise _unusable(self.path, f"line {number} is no result of a sweep")
            if found["spec"] != spec.fingerprint:
                why = "it holds results of another spec, or of an earlier text"
                raise _unusable(self.path, why)
            if self.training is not None and "params" in found:
                if found.get("training", self.training) != self.training:
                    why = "it holds results of another training, or on other data"
                    raise _unusable(self.path, why)
                if "training" not in found:
                    continue
            self.known[key(found["settings"])] = found
        self.file.write(b"\n" if rest else b"")

    def add(self, results: Iterable[Result]) -> Iterator[Result]:
        """Yield the results, each after it is written to the file, which is closed at the end."""
        try:
            with self.file:
                for found in results:
                    self.file.write(line(found).encode())
                    self.file.flush()
                    yield found
        except OSError as error:
            raise unwritable(self.path, error) from None


def _result_of(text: str) -> Result | None:
    """The result that a line says, None where it says none."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    kinds: dict[str, type] = {"net": str, "spec": str, "settings": dict}
    if isinstance(found, dict):
        kinds |= {"error": dict} if "error" in found else dict.fromkeys(METRICS, int)
        if "training" in found:
            kinds |= {"training": str, "run": str, **dict.fromkeys(METRICS, int)}
            kinds |= {} if "error" in found else {"accuracy": float, "iteration": int}
        known = [found[name] for name in FIGURES if name in found]
        if not all(type(n) in (int, float) and isfinite(n) for n in known):
            return None
        if all(isinstance(found.get(name), kind) for name, kind in kinds.items()):
            error = found.get("error", {"code": "", "message": ""})
            if isinstance(error.get("code"), str) and isinstance(error.get("message"), str):
                return found
    return None


def _lock(file: IO[bytes], path: Path) -> None:
    """Take a file for this process while it is open. Raises SpecError where another one has it."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        message = f"{path} is being written by another sweep"
        help_ = "wait for it, or name another file with `-o`"
        raise spec_error("bad-option", message, help=(help_,)) from None
    except OSError:
        pass  # some file systems have no locks


def _unusable(path: Path, why: str) -> SpecError:
    help_ = "name another file with `-o`, or remove this one"
    return spec_error("bad-option", f"{path} can't be continued: {why}", help=(help_,))


def line(found: Result) -> str:
    """A result as a line of JSON."""
    return json.dumps(found) + "\n"


def run(
    sweep: Sweep, jobs: int | None = None, each: Callable[[Result], None] = lambda _: None
) -> list[Result]:
    """The results of all points, in their order. `each` sees every one as it comes.

    `jobs` are processes: by default one for each processor, but trainings one after the other.
    """
    spec, points, store, aim, training, fingerprint = sweep
    known = store.known if store else {}
    found: dict[str, Result] = {}
    missing: list[Point] = []
    for point in points:
        name = key(point.settings)
        if name in known:
            found[name] = known[name]
            each(known[name])
        else:
            missing.append(point)
    made: Iterator[Result]
    if training is not None:
        wanted = aim.may_meet if aim is not None else lambda _: True
        trained = training.results(spec, missing, jobs or 1, wanted)
        made = ({**r, "training": fingerprint} if "run" in r else r for r in trained)
    else:
        made = results(spec, missing, jobs)
    for new in store.add(made) if store else made:
        found[key(new["settings"])] = new
        each(new)
    return [found[key(point.settings)] for point in points]


def has_accuracies(found: Sequence[Result]) -> bool:
    """Whether nets among the results were trained."""
    return any("accuracy" in r for r in found)


def front(found: Sequence[Result], metrics: tuple[str, str] | None = None) -> list[Result]:
    """The Pareto front: results that no other one beats in both metrics, by the first.

    Accuracies are to be high, all others low. Without metrics, parameters against accuracies, or
    against MACs where there are none.
    """
    first, second = metrics or ("params", "accuracy" if has_accuracies(found) else "macs")
    sign = -1 if second == "accuracy" else 1
    valid = sorted(
        (r for r in found if "error" not in r and second in r),
        key=lambda r: (r[first], sign * r[second]),
    )
    best: list[Result] = []
    for r in valid:
        if not best or sign * r[second] < sign * best[-1][second]:
            best.append(r)
    return best
