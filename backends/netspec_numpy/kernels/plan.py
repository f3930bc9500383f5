"""Plans: the NumPy calls of a network in one allocation of memory, divided among threads."""

from __future__ import annotations

import time
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate, count, pairwise, product
from math import inf, prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from netspec.planning.memory_slots import memory_slots
from netspec_numpy.kernels.arrays import Array, Value, Weights
from netspec_numpy.kernels.windows import Window


class Plan:
    """The NumPy calls that a network comes to for one image of a certain size.

    A dry run finds out the weights' shapes and the memory that values take. Then, unless `cache`
    (for rearranged weights) is None, each thread gets calls for some rows of each step, and waits
    for others only where one reads or overwrites what is another's.
    """

    def __init__(
        self, network: Any, sizes: Any, dtype: Any, weights: Weights, threads: int, cache: Any
    ) -> None:
        self.dtype, self.weights, self.threads = dtype, weights, threads
        self.cache: dict[Any, Array] = cache
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.sizes: dict[Any, int] = {}
        self.values: list[Any] = []  # bytes, inputs, where these lie inside, channels
        for self.dry_run in (True, False)[: 1 + (cache is not None)]:
            self.numbers = count()
            self.folded: dict[str, tuple[str, Callable[..., tuple[Array, Array]]]] = {}
            self.ends = np.cumsum([0, *self.sizes.values()]).tolist()
            self.starts = dict(zip(self.sizes, self.ends, strict=False))
            whole = np.empty(self.ends[-1] + 128, np.uint8)
            self.memory = whole[-whole.ctypes.data % 64 :]
            self.steps: list[list[Any]] = []
            outputs = network(self, *map(self.load_input, count(), sizes))
            self.outputs = list(map(self.store_output, count(len(sizes)), outputs))
            if self.dry_run:
                self.places = memory_slots(self.values, [y.number for y in outputs])
                for slot, owner, _ in self.places:
                    self.buffer(slot, [self.values[owner][0]], np.uint8)
        self.find_dependencies()

    def weight(self, name: str, *shape: int) -> Array:
        """A tensor of the weights; ValueError if it is missing or its shape another."""
        self.shapes[name] = shape
        weight = np.broadcast_to(np.float32(0), shape) if self.dry_run else self.weights.get(name)
        if weight is None or weight.shape != shape:
            raise ValueError(f"{name} is {getattr(weight, 'shape', 'missing')}, not {shape}")
        return weight

    def cached(self, key: Any, shape: tuple[int, ...], make: Callable[[], Any]) -> Array:
        """An array that all plans share: weights as they are rearranged."""
        if self.dry_run:
            return np.broadcast_to(self.dtype.type(0), shape)
        if key not in self.cache:
            self.cache[key] = np.ascontiguousarray(make(), self.dtype).reshape(shape)
        return self.cache[key]

    def buffer(self, key: Any, shape: Sequence[int], dtype: Any = None) -> Array:
        """Memory for a key, large enough for all that is ever wanted there."""
        dtype = np.dtype(dtype or self.dtype)
        size = -(-prod(shape) * dtype.itemsize // 64) * 64
        self.sizes[key] = max(size, self.sizes.get(key, 0))
        start, strides = self.starts.get(key, 0), np.cumprod([dtype.itemsize, *shape[:0:-1]])[::-1]
        return as_strided(self.memory[start : start + dtype.itemsize].view(dtype), shape, strides)

    def value(
        self, xs: Sequence[Value], shape: Any, bias: Any = None, dtype: Any = None, inside: int = 0
    ) -> Value:
        """A value computed from others, of which the first may lie in it, one behind the other."""
        number, dtype, channels = next(self.numbers), np.dtype(dtype or self.dtype), shape[-1]
        bias = np.zeros(channels, dtype) if bias is None else bias
        if self.dry_run:
            data = self.buffer(number, shape, dtype)
            reads, starts = [x.number for x in xs], [0, *accumulate(len(x.bias) for x in xs)]
            self.values.append((self.sizes.pop(number), reads, starts[:inside], channels))
            return Value(data, bias, number)
        slot, owner, first = self.places[number]
        whole = self.buffer(slot, (*shape[:-1], self.values[owner][-1]), dtype)
        return Value(whole[..., first : first + channels], bias, number)

    def layer(
        self, x: Value, name: str, filters: int, window: Window, groups: int = 1
    ) -> tuple[Value, Array, Array]:
        """The value of a layer, its weight, and what is to be added to the value at once."""
        shape = (filters, len(x.bias) // groups, *window.kernel)[: x.data.ndim + 1]
        after, folded = self.folded.pop(name, ("", None))
        self.key = name, after, x.data.shape, x.bias.tobytes()  # what its weight is cached by
        if folded:
            weight, own = folded(*shape)
        else:
            weight = self.weight(f"{name}.weight", *shape)
            own = self.weight(f"{name}.bias", filters)
        parts = weight.reshape(groups, -1, shape[1], weight[0, 0].size)
        add_up = partial(np.einsum, "gfck,gc->gf", parts, x.bias.astype(float).reshape(groups, -1))
        bias = self.cached((*self.key, 0), (filters,), lambda: add_up().ravel() + own)
        now = shape[1] > 1 and x.bias.any()  # unless depthwise, biases are deferred once
        sizes = window.counts(*x.data.shape[:-1])
        return self.value([x], (*sizes, filters), None if now else bias), weight, bias * now

    def parts(
        self, y: Array, most: int = 2**31, unit: int = 1, across: bool = False
    ) -> Iterator[tuple[int, int, slice]]:
        """Divide the rows of (H, W, C) among the threads; yield rows and channels to add calls for.

        They are at most so many units of rows at once. With `across`, channels are divided if they
        are more than pixels: then a thread fetches only its own weights.
        """
        self.steps.append([([], {}, {}) for _ in range(self.threads)])
        size = rows = len(y) if y.ndim == 3 else 1
        across = across and y[..., 0].size <= y.shape[-1]
        if across:
            size, most, unit = y.shape[-1], 2**31, 1
        ends = [-(-size * i // self.threads) for i in range(self.threads + 1)]
        for self.task, (first, end) in enumerate(pairwise(ends)):
            units = -(-(end - first) // unit)
            step = unit * -(-units // max(1, -(-units // max(1, most))))
            for i in range(first, end, max(1, step)):
                j = min(i + step, end)
                yield (0, rows, np.s_[i:j]) if across else (i, j, np.s_[:])

    def call(self, function: Callable[..., Any], *a: Any, **k: Any) -> None:
        """Add a call to the task; it writes to `out`, or else to its first array."""
        calls, spans, _ = self.steps[-1][self.task]
        calls.append(partial(function, *a, **k))
        for x in (x for x in (*a, *k.values()) if isinstance(x, np.ndarray)):
            first = x.__array_interface__["data"][0] - self.memory.ctypes.data
            if 0 <= first < self.ends[-1]:  # else it is no value, but weights
                last = first + sum((n - 1) * s for n, s in zip(x.shape, x.strides, strict=True))
                slot = bisect(self.ends, first)
                low, high, written = spans.get(slot, (first, last, False))
                written |= x is k.get("out", a[0])
                spans[slot] = min(low, first), max(high, last), written

    def find_dependencies(self) -> None:
        """Find out how many steps of the others each thread must wait for."""
        for number, tasks in enumerate(self.steps):
            last = max(0, number - 20)  # to wait so far back takes no time
            for thread, (_, spans, needs) in enumerate(tasks):
                for other in {*range(self.threads)} - {thread}:
                    before = range(number, last, -1)
                    found = (s for s in before if conflicts(self.steps[s - 1][other][1], spans))
                    needs[other] = next(found, last)

    def load_input(self, number: int, size: tuple[int, ...]) -> Value:
        """The value of an input, whose channels are last from here on."""
        y = self.value([], (*size[1:], size[0]))
        for i, j, _ in self.parts(y.data):
            part = np.s_[:, i:j] if len(size) == 3 else np.s_[:]
            target = np.moveaxis(y.data, -1, 0)[part]
            self.call(lambda y, part: np.positive(self.image[number][part], out=y), target, part)
        return y

    def store_output(self, number: int, x: Value) -> Array:
        """Add a step that writes an output where it is wanted; returns a sample."""
        whole, bias = x.channels_first()
        for _ in self.parts(x.bias):
            self.call(lambda y: np.add(y, bias, out=self.image[number]), whole[0])
        return np.asarray(whole[0])

    def run(self, image: Sequence[Array], done: list[float], *threads: int) -> None:
        """Compute some threads' parts of an image's outputs; `done` are the steps of each."""
        self.image, spare = image, np.ones(16384)
        try:
            for (number, step), thread in product(enumerate(self.steps, 1), threads):
                calls, _, needs = step[thread]
                for other, steps in needs.items():
                    tries = count()
                    while done[other] < steps:
                        if next(tries) < 6:  # to fall asleep would take longer
                            np.sqrt(spare, out=spare)
                        else:
                            time.sleep(1e-5)
                for call in calls:
                    call()
                done[thread] = number
        finally:
            for thread in threads:
                done[thread] = inf  # after an error, too: others wait for it
            if min(done) == inf:
                self.image = ()  # lets go of the images


def conflicts(a: dict[int, Any], b: dict[int, Any]) -> bool:
    """Whether one touches memory that the other writes."""
    both = [(*a[slot], *b[slot]) for slot in a.keys() & b.keys()]
    return any(c <= h and g <= d and (w or v) for c, d, w, g, h, v in both)
