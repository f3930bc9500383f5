"""A network as NumPy calls on one piece of memory, and the threads that make them."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import count, pairwise, product
from math import inf, prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from netspec_numpy.kernels.arrays import (
    Array,
    At,
    Network,
    Pads,
    Pair,
    Value,
    Weights,
)
from netspec_numpy.kernels.windows import windows


class Plan:
    """The NumPy calls that a network comes to for one image of a certain size.

    Values lie in one piece of memory; the network is gone through twice, first to find
    out how much it takes. Of each step each thread has some rows: a list of calls, the
    memory that they touch, and how many steps the others must have done before. So
    threads wait only where one reads or overwrites what is another's.
    """

    def __init__(
        self, network: Network, inputs: Any, weights: Weights, threads: int, made: Any
    ) -> None:
        self.kind, self.threads, self.made = inputs[0].dtype, threads, made
        self.sizes: dict[Any, int] = {}
        for _ in range(2):
            self.weights = dict(weights)
            self.ends = np.cumsum([0, *self.sizes.values()]).tolist()
            self.starts = dict(zip(self.sizes, self.ends, strict=False))
            whole = np.empty(self.ends[-1] + 128, np.uint8)
            self.memory = whole[-whole.ctypes.data % 64 :]
            self.steps: list[list[Any]] = []
            outputs = network(self, *map(self.enter, range(len(inputs)), inputs))
            self.outputs = list(map(self.leave, count(len(inputs)), outputs))
        self.order()

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

    def like(self, at: At, x: Array) -> Value:
        """A value in a slot for an array (N, C, H, W) or (N, F)."""
        return self.value(at, (*x.shape[2:], x.shape[1]), kind=x.dtype)

    def once(self, key: Any, make: Callable[[], Any]) -> Array:
        """An array that all plans share: weights as they are rearranged."""
        if key not in self.made:
            self.made[key] = np.ascontiguousarray(make(), self.kind)
        made: Array = self.made[key]
        return made

    def layer(
        self,
        at: At,
        name: str,
        x: Value,
        stride: Pair = (1, 1),
        pads: Pads = (0, 0, 0, 0),
        dilation: Pair = (1, 1),
    ) -> tuple[Value, Array]:
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

        bias = self.once((name, "bias"), make)
        left = channels > 1 and x.bias.any()  # a depthwise one may pass it on
        kh, kw = weight.shape[2:] or (1, 1)
        kernel = dilation[0] * (kh - 1) + 1, dilation[1] * (kw - 1) + 1
        shape = (*windows(x.data.shape[1:-1], kernel, stride, pads), filters)
        return self.value(at, shape, None if left else bias), bias * left

    def tasks(
        self, size: int, most: int = 2**31, unit: int = 1
    ) -> Iterator[tuple[int, int]]:
        """Divide `size` things among the threads, at most so many units at once.

        Yields from where to where each goes, whose calls are then to be added.
        """
        self.steps.append([([], {}, {}) for _ in range(self.threads)])
        ends = [-(-size * i // self.threads) for i in range(self.threads + 1)]
        for self.task, (first, end) in enumerate(pairwise(ends)):
            units = -(-(end - first) // unit)
            parts = -(-units // max(1, most))
            some = unit * -(-units // max(1, parts))
            for i in range(first, end, max(1, some)):
                yield i, min(i + some, end)

    def rows(self, x: Array, *parts: int) -> Iterator[tuple[int, int]]:
        """Divide the rows of (1, H, W, C); (1, F) has one."""
        return self.tasks(x.shape[1] if x.ndim == 4 else 1, *parts)

    def shares(self, x: Array, *parts: int) -> Iterator[tuple[int, int, slice]]:
        """Divide the rows, or the channels where they are more than the pixels.

        Then a thread fetches only the weights of its own. Yields rows and channels.
        """
        if x[..., 0].size > x.shape[-1]:
            yield from ((i, j, np.s_[:]) for i, j in self.rows(x, *parts))
        else:
            for i, j in self.tasks(x.shape[-1]):
                yield 0, x.shape[1], np.s_[i:j]

    def call(self, function: Callable[..., Any], *a: Any, **k: Any) -> None:
        """Add a call to the task; it writes to `out`, or else to its first array."""
        calls, spans, _ = self.steps[-1][self.task]
        calls.append(partial(function, *a, **k))
        for x in (*a, *k.values()):
            if isinstance(x, np.ndarray):
                first = x.__array_interface__["data"][0] - self.memory.ctypes.data
                if 0 <= first < self.ends[-1]:  # else it is no value, but weights
                    last = first + sum(
                        (n - 1) * s for n, s in zip(x.shape, x.strides, strict=True)
                    )
                    slot = bisect(self.ends, first)
                    low, high, written = spans.get(slot, (first, last, False))
                    written |= x is k.get("out", a[0])
                    spans[slot] = min(low, first), max(high, last), written

    def order(self) -> None:
        """Find out how many steps of the others each thread must wait for."""
        for number, tasks in enumerate(self.steps):
            last = max(0, number - 20)  # to wait so far back takes no time
            for thread, (_, spans, needs) in enumerate(tasks):
                for other in {*range(self.threads)} - {thread}:
                    step = number
                    while step > last and not meet(
                        self.steps[step - 1][other][1], spans
                    ):
                        step -= 1
                    needs[other] = step

    def enter(self, number: int, x: Array) -> Value:
        """The value of an input, whose channels are last from here on."""

        def copy(y: Array, i: int, j: int) -> None:
            data = np.moveaxis(self.given[number], 0, -1)[i:j]
            for channel in range(y.shape[-1]):
                y[..., channel] = data[..., channel]

        y = self.like(number, x)
        for i, j in self.tasks(y.data.shape[1]):
            self.call(copy, y.data[0, i:j], i, j)
        return y

    def leave(self, number: int, x: Value) -> Array:
        """Add a step that writes an output where it is wanted; returns a sample."""
        whole, bias = x.channels_first()
        y: Array = whole[0]

        def copy(y: Array) -> None:
            np.add(y, bias, out=self.given[number])

        for _ in self.tasks(1):
            self.call(copy, y)
        return y

    def begin(self, *given: Array) -> None:
        """Take an image, and where its results are wanted."""
        self.given, self.done = given, [0.0] * self.threads

    def run(self, *threads: int) -> None:
        """Do the parts of some threads, one or all, of an image."""
        spare = np.ones(16384)
        try:
            for (number, step), thread in product(enumerate(self.steps, 1), threads):
                calls, _, needs = step[thread]
                for other, steps in needs.items():
                    for turn in count():
                        if self.done[other] >= steps:
                            break
                        if turn < 60:  # to fall asleep would take longer
                            np.sqrt(spare, out=spare)
                        else:
                            time.sleep(5e-5)
                for call in calls:
                    call()
                self.done[thread] = number
        finally:
            for thread in threads:
                self.done[thread] = inf  # after a fault, too: others wait for it


def meet(a: dict[int, Any], b: dict[int, Any]) -> bool:
    """Whether one touches memory that the other writes."""
    both = [(*a[slot], *b[slot]) for slot in a.keys() & b.keys()]
    return any(c <= h and g <= d and (w or v) for c, d, w, g, h, v in both)


class Engine:
    """Runs a network on batches of any size, with a thread for each core.

    Where there are images for all threads, each has a plan of its own; else they
    share one. Where other programs keep the processors busy, threads that wait for
    Python's interpreter lose their turn: then one thread alone does it all.
    """

    def __init__(
        self, network: Network, shapes: Any, threads: int | None = None, fixed: str = ""
    ) -> None:
        self.network, self.shapes, self.fixed = network, shapes, fixed
        self.threads = threads or (min(os.cpu_count() or 1, 8) if openblas() else 1)
        self.lock, self.pool = threading.Lock(), ThreadPoolExecutor(self.threads)
        self.plans: dict[bool, list[Plan]] = {}
        self.planned_for: list[Any] = []
        self.seconds: dict[tuple[bool, bool], float] = {}
        self.calls = 0

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
        key = [double, *(x.shape[1:] for x in inputs), *map(id, weights.values())]
        with self.lock:
            if key != self.planned_for:
                self.plans.clear()
                self.seconds.clear()
                self.made: dict[Any, Array] = {}
                self.planned_for, self.alive = key, dict(weights)
            get, set_ = openblas() or (int, int)
            before = get()
            set_(1)
            try:
                return self.compute(inputs, weights)
            except BaseException:
                self.plans = {}
                raise
            finally:
                if before > 1:  # else another thread of the program sees to it
                    set_(before)

    def compute(self, inputs: list[Array], weights: Weights) -> list[Array]:
        """Plan what has not been planned, and let all threads work."""
        size = len(inputs[0])
        apart = size >= self.threads
        if apart not in self.plans:
            number = self.threads if apart else 1
            given = self.network, inputs, weights, self.threads // number, self.made
            try:
                self.plans[apart] = [Plan(*given) for _ in range(number)]
            except (ValueError, IndexError, ZeroDivisionError) as error:
                text = f"no network for inputs of {[x.shape for x in inputs]}: {error}"
                raise ValueError(text) from error
        plans = self.plans[apart]
        outputs = [np.empty((size, *y.shape), y.dtype) for y in plans[0].outputs]
        images = list(zip(*inputs, *outputs, strict=True))

        def own(*threads: int) -> None:
            for thread in threads:
                for image in images[thread :: self.threads]:
                    plans[thread].begin(*image)
                    plans[thread].run(0)

        alone, start = self.choose(apart), time.perf_counter()
        if apart:
            self.together(own, alone)
        for image in () if apart else images:
            plans[0].begin(*image)
            self.together(plans[0].run, alone)
        took = (time.perf_counter() - start) / max(size, 1)
        if size:
            known = self.seconds.get((apart, alone), inf)
            self.seconds[apart, alone] = min(took, 1.1 * known)
        for plan in plans:
            plan.begin()  # lets go of the images
        return outputs

    def choose(self, apart: bool) -> bool:
        """Whether one thread has been faster than all; now and then, try the other."""
        self.calls += 1
        trial = not (self.calls & (self.calls - 1) and self.calls % 50)
        alone = min((False, True), key=lambda a: self.seconds.get((apart, a), 0.0))
        return alone ^ trial

    def together(self, work: Callable[..., None], alone: bool) -> None:
        """Let each thread do its part, this one too, or this one alone all of them."""
        if alone:
            work(*range(self.threads))
            return
        others = [self.pool.submit(work, i) for i in range(1, self.threads)]
        try:
            work(0)
        finally:
            for other in others:
                other.result()


@cache
def openblas() -> list[Any]:
    """The functions of OpenBLAS that get and set how many threads it uses, if any."""
    names = ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath")
    module = next(sys.modules[name] for name in names if name in sys.modules)
    library = ctypes.CDLL(module.__file__)
    for form in [f"{a}openblas_{{}}{b}" for a in ("scipy_", "") for b in ("64_", "")]:
        if hasattr(library, form.format("set_num_threads")):
            return [library[form.format(f"{do}_num_threads")] for do in ("get", "set")]
    return []
