"""The metrics of every point of a design space, over several processes.

A spec is parsed once in each process and built once for each point. Results come as they are
ready; a file of earlier ones spares their points.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from netspec.diagnostics import SpecError, spec_error
from netspec.diagnostics.source import Source
from netspec.driver import PreparedNet, build, find, prepare
from netspec.explore.search_space import Point
from netspec.metrics.size import activation_bytes, size
from netspec.util.atomic_write import unwritable, write_text

METRICS = ("params", "macs", "size", "activations")
"""What is known of each point; size and activations in bytes, as float32."""
FEW = 12
"""Points that are not worth a second process."""
CHUNK = 8
"""Points that a process is given at a time."""

Result = dict[str, Any]
"""`net`, `spec`, `settings`, and either the METRICS or `error` (`code`, `message`)."""


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
    texts += [prepared.name] if program.nets[1:] else []
    texts += [f"{name}={value}" for name, value in sorted(reading.items())]
    return sha256("\0".join(texts).encode()).hexdigest()[:16]


def check(spec: Spec, point: Point) -> None:
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
        for done in as_completed([pool.submit(_work, spec.fingerprint, c) for c in chunks]):
            yield from done.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_prepared: list[PreparedNet] = []
"""In a worker, the spec that it builds."""


def _start(source: Source, base: Path, reading: Mapping[str, Any], net: str | None) -> None:
    import signal
    from threading import Thread

    # Whoever started it says when to stop, be it by its death.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    _prepared[:] = [prepare(source, base, reading, net)]


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


class Store:
    """A file with a JSON line for each result, added to as they come."""

    def __init__(self, path: Path, spec: Spec) -> None:
        """Read earlier results. Raises SpecError (bad-option) for another file or spec."""
        self.path = path
        self.known: dict[str, Result] = {}
        whole = True
        try:
            text = path.read_text(encoding="utf-8") if path.exists() else ""
        except (OSError, ValueError) as error:
            raise _unusable(path, f"can't be read: {error}") from None
        lines = text.split("\n")
        for number, text in enumerate(lines, 1):
            if not text.strip():
                continue
            try:
                found = json.loads(text)
                known = found["settings"], found["spec"]
            except (ValueError, TypeError, KeyError):
                if number == len(lines):
                    whole = False  # the last one, cut off when a run was stopped
                    continue
                raise _unusable(path, f"line {number} is no result of a sweep") from None
            if known[1] != spec.fingerprint:
                raise _unusable(path, "it holds results of another spec, or of an earlier text")
            self.known[key(known[0])] = found
        if not whole:
            write_text(path, "".join(line(found) for found in self.known.values()))

    def add(self, results: Iterable[Result]) -> Iterator[Result]:
        """Yield the results, each after it is written to the file."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                for found in results:
                    file.write(line(found))
                    file.flush()
                    yield found
        except OSError as error:
            raise unwritable(self.path, error) from None


def _unusable(path: Path, why: str) -> SpecError:
    help_ = "name another file with `-o`, or remove this one"
    return spec_error("bad-option", f"{path} can't be continued: {why}", help=(help_,))


def line(found: Result) -> str:
    """A result as a line of JSON."""
    return json.dumps(found) + "\n"


def run(
    spec: Spec,
    points: Sequence[Point],
    store: Store | None = None,
    jobs: int | None = None,
    each: Callable[[Result], None] = lambda _: None,
) -> list[Result]:
    """The results of all points, in their order. `each` sees every one as it comes."""
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
    made = results(spec, missing, jobs)
    for new in store.add(made) if store else made:
        found[key(new["settings"])] = new
        each(new)
    return [found[key(point.settings)] for point in points]


def front(found: Sequence[Result], metrics: tuple[str, str] = ("params", "macs")) -> list[Result]:
    """The Pareto front: results that no other one undercuts in both metrics, by the first."""
    first, second = metrics
    valid = sorted((r for r in found if "error" not in r), key=lambda r: (r[first], r[second]))
    best: list[Result] = []
    for r in valid:
        if not best or r[second] < best[-1][second]:
            best.append(r)
    return best
