"""What is said of the data before it is trained on: how much of each class, what is there twice."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from netspec.diagnostics import SpecError
from netspec.runtime.classify import picture_bytes
from netspec.training.datasets import Arrays, Samples, TrainingData, in_files, whole_indices
from netspec.training.sampler import Array

MOST_SAID = 10
"""Most classes whose counts are said one by one."""
UNEVEN = 10
"""How many times as frequent as another a class is that is warned of."""
MOST_HASHED = 2**31
"""Most bytes of arrays in which samples are looked for that are there twice."""


def remarks(data: TrainingData) -> Iterator[str]:
    """A line for each part of the data, and warnings."""
    parts = {"trained on": data.train}
    if data.held_out is not None:
        parts["held out"] = data.held_out
    for what, samples in parts.items():
        yield from _counts(what, samples, data.classes)
    yield from _twice(data)


def _counts(what: str, samples: Samples, classes: Sequence[str]) -> Iterator[str]:
    labels = samples.labels
    counts = np.bincount(labels, minlength=len(classes)) if labels.ndim == 1 else labels.sum(0, int)
    names = list(classes) or [f"class {i}" for i in range(len(counts))]
    low, high = int(counts.argmin()), int(counts.argmax())
    kind = "classes" if labels.ndim == 1 else "labels"
    text = f"{what}: {len(labels):,} samples of {len(counts):,} {kind}"
    if len(counts) <= MOST_SAID:
        yield f"{text}: {', '.join(f'{n} {c:,}' for n, c in zip(names, counts, strict=True))}"
    else:
        yield f"{text}, from {counts[low]:,} ({names[low]}) to {counts[high]:,} ({names[high]})"
    missing = [name for name, count in zip(names, counts, strict=True) if not count]
    if missing:
        more = f" and {len(missing) - 5:,} more" if len(missing) > 5 else ""
        yield f"warning: none of what is {what} is {', '.join(missing[:5])}{more}"
    elif what == "trained on" and counts[high] >= UNEVEN * counts[low]:
        advice = ": `--train sampling=balanced` or `class_weights=balanced` may help"
        yield (
            f"warning: {names[high]} is {counts[high] // counts[low]:,} times as frequent as "
            f"{names[low]}{advice if labels.ndim == 1 else ''}"
        )


def _twice(data: TrainingData) -> Iterator[str]:
    """Warnings of samples that stand in two parts, or in two classes."""
    train = _hashes(data.train)
    seen: dict[bytes, int] = {}
    labels = data.train.labels
    two = []
    for i, digest in enumerate(train):
        first = seen.setdefault(digest, i)
        if not np.array_equal(labels[first], labels[i]):
            two.append((first, i))
    if two:
        a, b = (_name(data.train, i) for i in two[0])
        yield f"warning: {_count(len(two))} in two classes, such as {a} and {b}"
    both = []
    if data.held_out is not None:
        both = [
            (seen[digest], i) for i, digest in enumerate(_hashes(data.held_out)) if digest in seen
        ]
    if both:
        a, b = _name(data.train, both[0][0]), _name(data.held_out, both[0][1])
        yield f"warning: {_count(len(both))} among those trained on and held out: {a} and {b}"
    again = [
        (seen[digest], file)
        for file, digest in zip(data.test, _hashed(data.test), strict=True)
        if digest in seen
    ]
    if again:
        a, b = _name(data.train, again[0][0]), str(again[0][1])
        yield f"warning: {_count(len(again))} among those trained on and in the test: {a} and {b}"


def _count(count: int) -> str:
    return "a sample stands" if count == 1 else f"{count:,} samples stand"


def _hashes(samples: Samples) -> list[bytes]:
    """A hash of each sample; none where they are not compared."""
    indices = whole_indices(samples, range(len(samples.labels)))
    files = in_files(samples)
    if files is not None:
        return [entry.tobytes() for entry in files.entries["hash"][indices]]
    whole = getattr(samples, "whole", samples)
    if not isinstance(whole, Arrays) or whole.x.nbytes > MOST_HASHED:
        return []
    return [_digest(whole.x[i]) for i in indices]


def _digest(x: Array) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(x).data).digest()


def _hashed(files: Sequence[Path]) -> list[bytes]:
    """The hash of each file's content, empty for one that can't be read."""

    def one(file: Path) -> bytes:
        try:
            return hashlib.sha256(picture_bytes(file)).digest()
        except SpecError:
            return b""

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(one, files))


def _name(samples: Samples | None, number: int) -> str:
    assert samples is not None, "it has this sample"
    place = whole_indices(samples, [number])[0]
    files = in_files(samples)
    return f"sample {place}" if files is None else str(files.files[place])
