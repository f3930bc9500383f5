"""A network as NumPy calls on one piece of memory, and the threads that make them."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from netspec_numpy.kernels.arrays import Array, At, Network, Value, Weights


class Plan:
    """The NumPy calls that a network comes to for one image of a certain size.

    Values lie in one piece of memory; the network is gone through twice, first to find
    out how much it takes. `phases` follow one another: for each thread a task, which is
    a list of calls. `made` are the weights as they are rearranged, for all plans.
    """

    def __init__(
        self, network: Network, inputs: Any, weights: Weights, threads: int, made: Any
    ) -> None:
        self.kind, self.threads, self.made = inputs[0].dtype, threads, made
        self.sizes: dict[Any, int] = {}
        for _ in range(2):
            self.weights = dict(weights)
            ends = np.cumsum([0, *self.sizes.values()]).tolist()
            self.starts = dict(zip(self.sizes, ends, strict=False))
            whole = np.empty(ends[-1] + 128, np.uint8)
            self.memory = whole[-whole.ctypes.data % 64 :]
            self.phases: list[list[list[Callable[[], Any]]]] = []
            self.read: list[Array | None] = [None, None]
            shapes = [(*x.shape[2:], x.shape[1]) for x in inputs]
            self.inputs = [self.value(k, shape) for k, shape in enumerate(shapes)]
            self.outputs = network(self, *self.inputs)

    def room(self, key: Any, shape: Sequence[int], kind: Any = None) -> Array:
        """Memory for a key, large enough for all that is ever wanted there."""
        kind = np.dtype(kind or self.kind)
        strides = np.cumprod([kind.itemsize, *shape[:0:-1]])[::-1]
        size = -(-prod(shape) * kind.itemsize // 64) * 64
        self.sizes[key] = max(size, self.sizes.get(key, 0))
        start = self.starts.get(key, 0)  # nothing is read or written the first time
        first = self.memory[start : start + kind.itemsize].view(kind)
        return as_strided(first, shape, strides)

    def value(
        self, at: At, shape: Sequence[int], bias: Array | None = None, kind: Any = None
    ) -> Value:
        """A value in a slot: its number, or a concat's, its channels and the first."""
        slot, channels, first = at if isinstance(at, tuple) else (at, shape[-1], 0)
        whole = self.room(slot, (1, *shape[:-1], channels), kind)
        bias = np.zeros(shape[-1], kind or self.kind) if bias is None else bias
        return Value(whole[..., first : first + shape[-1]], bias)

    def once(self, key: Any, make: Callable[[], Any]) -> Array:
        """An array that all plans share."""
        if key not in self.made:
            self.made[key] = np.ascontiguousarray(make(), self.kind)
        made: Array = self.made[key]
        return made

    def layer(self, at: At, name: str, x: Value, *sizes: int) -> tuple[Value, Array]:
        """The value of a layer, and what is to be added to it at once.

        Its bias is left to the next layer, unless it has been left one itself: else
        they would pile up.
        """
        weight = self.weights[f"{name}.weight"]
        filters, channels = weight.shape[:2]
        if len(x.bias) % channels:
            raise ValueError(f"{name} takes {channels} elements, not {len(x.bias)}")

        def make() -> Array:
            seen = x.bias.astype(np.float64).reshape(-1, channels)
            parts = weight.reshape(len(seen), -1, channels, weight[0, 0].size)
            bias: Array = np.einsum("gfck,gc->gf", parts, seen).ravel()
            return bias + self.weights.get(f"{name}.bias", np.zeros(1))

        self.read[1] = x.data
        bias = self.once((name, "bias"), make)
        left = channels > 1 and x.bias.any()  # a depthwise one may pass it on
        return self.value(at, (*sizes, filters), None if left else bias), bias * left

    def tasks(self, size: int, most: int = 2**31) -> Iterator[tuple[int, int]]:
        """Divide `size` things, at most so many at once, among the tasks of a phase.

        Yields from where to where each goes, whose calls are then to be added.
        """
        last, new = self.read
        self.read = [new, None]
        if new is None or last is not new:  # else two layers read the same: none waits
            self.phases.append([[] for _ in range(self.threads)])
        ends = [size * i // self.threads for i in range(self.threads + 1)]
        for self.task, (first, end) in enumerate(pairwise(ends)):
            for i in range(first, end, max(1, most)):
                yield i, min(i + max(1, most), end)

    def call(self, function: Callable[..., Any], *a: Any, **k: Any) -> None:
        """Add a call to the task."""
        self.phases[-1][self.task].append(partial(function, *a, **k))

    def work(self, inputs: Any, outputs: Any) -> Callable[[int], None]:
        """The work on an image, which each thread does its part of."""

        def first() -> None:  # channels are last from here on
            for x, value in zip(inputs, self.inputs, strict=True):
                for channel, data in enumerate(x):
                    value.data[0, ..., channel] = data

        def last() -> None:
            for y, value in zip(outputs, self.outputs, strict=True):
                y[...] = np.moveaxis(value.data[0] + value.bias, -1, 0)

        phases: list[Any] = [[[first]], *self.phases, [[last]]]
        return partial(self.run, [(dict(enumerate(p)), len(p)) for p in phases], [])

    def run(self, phases: Any, done: list[int], thread: int) -> None:
        """Do one's task of each phase, and those that others have not begun; wait."""
        spare, size = np.ones(16384), 0
        for left, tasks in phases:
            for i in range(thread, thread + self.threads):
                task = left.pop(i % self.threads, None)
                if task is not None:
                    try:
                        for call in task:
                            call()
                    finally:  # after a fault, too: others wait for it
                        done.append(i)
            size, turn = size + tasks, 0
            while len(done) < size:
                turn += 1
                if turn < 60:  # to fall asleep would take longer
                    np.sqrt(spare, out=spare)
                else:
                    time.sleep(5e-5)


class Engine:
    """Runs a network on batches of any size, with a thread for each core.

    Where there are images for all threads, each has a plan of its own; else they
    share one.
    """

    def __init__(
        self, network: Network, shapes: Any, threads: int | None = None, fixed: str = ""
    ) -> None:
        self.network, self.shapes, self.fixed = network, shapes, fixed
        cores = min(os.cpu_count() or 1, 8) if blas_threads(0) else 1
        self.threads = threads or cores
        self.lock, self.pool = threading.Lock(), ThreadPoolExecutor(self.threads)
        self.plans: dict[int, list[Plan]] = {}
        self.made: dict[Any, Array] = {}
        self.planned_for: list[Any] = []

    def run(self, weights: Weights, *data: Any) -> list[Array]:
        """The outputs for inputs (N, C, H, W) or (N, F), in float32 or float64.

        Raises ValueError for inputs that the network cannot take.
        """
        double = any(np.asarray(x).dtype == np.float64 for x in data)
        inputs = [np.asarray(x, np.float64 if double else np.float32) for x in data]
        for x, shape in zip(inputs, self.shapes, strict=True):
            given = x.shape[1:] if self.fixed else x.shape[1:2]
            fits = x.ndim == len(shape) + 1 and given == shape[: len(given)]
            if not fits or len(x) != len(inputs[0]):
                raise ValueError(f"inputs are N x {shape}, not {x.shape}{self.fixed}")
        with self.lock:
            key = [double, *(x.shape[1:] for x in inputs), *map(id, weights.values())]
            if key != self.planned_for:
                self.plans, self.made = {}, {}
                self.planned_for, self.alive = key, dict(weights)
            before = blas_threads(1)
            try:
                return self.compute(inputs, weights)
            except BaseException:
                self.plans = {}
                raise
            finally:
                if before > 1:  # else another thread of the program sees to it
                    blas_threads(before)

    def compute(self, inputs: list[Array], weights: Weights) -> list[Array]:
        """Plan what has not been planned, and let all threads work."""
        images = len(inputs[0])
        count = self.threads if images >= self.threads else 1
        if count not in self.plans:
            given = self.network, inputs, weights, self.threads // count, self.made
            try:
                self.plans[count] = [Plan(*given) for _ in range(count)]
            except (ValueError, IndexError, ZeroDivisionError) as error:
                text = f"no network for inputs of {[x.shape for x in inputs]}: {error}"
                raise ValueError(text) from error
        plans = self.plans[count]
        found = [np.moveaxis(y.data, -1, 1) for y in plans[0].outputs]
        outputs = [np.empty((images, *y.shape[1:]), y.dtype) for y in found]
        pairs = zip(zip(*inputs, strict=True), zip(*outputs, strict=True), strict=True)
        works = [plans[i % count].work(x, y) for i, (x, y) in enumerate(pairs)]

        def run(thread: int) -> None:
            for work in works[thread % count :: count]:
                work(thread)

        others = [self.pool.submit(run, i) for i in range(1, self.threads)]
        try:
            run(0)  # by this thread: to wake one up takes time
        finally:
            for other in others:
                other.result()
        return outputs


def blas_threads(wanted: int) -> int:
    """Let OpenBLAS use so many threads; returns how many it had, 0 if unknown."""
    names = ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath")
    module = next(sys.modules[name] for name in names if name in sys.modules)
    library = ctypes.CDLL(module.__file__)
    for form in [f"{a}openblas_{{}}{b}" for a in ("scipy_", "") for b in ("64_", "")]:
        if hasattr(library, form.format("set_num_threads")):
            before: int = library[form.format("get_num_threads")]()
            if wanted:
                library[form.format("set_num_threads")](wanted)
            return before
    return 0
