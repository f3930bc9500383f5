"""A network as NumPy calls on one piece of memory, and the threads that make them.

Arrays are channels last here: (N, H, W, C), or (N, F).
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from netspec_numpy.kernels.arrays import Array, At, Weights


class Plan:
    """The NumPy calls that a network comes to, for inputs of certain shapes.

    `images` are computed at once, each by a thread of its own; a single image is
    divided among the threads. A value lies in a slot of the arena: `at` is its number,
    or that of a concat with its channels and the first of them that is meant. The
    network runs twice here, first without memory, to find out how much it needs.
    """

    def __init__(
        self,
        network: Callable[..., Sequence[Array]],
        inputs: Sequence[Array],
        weights: Weights,
        threads: int,
        images: int,
    ) -> None:
        self.kind, self.threads, self.images = inputs[0].dtype, threads, images
        self.memory: Array | None = None
        self.sizes: dict[Any, int] = {}
        self.starts: dict[Any, int] = {}
        self.arrived, self.asleep, self.broken = [0] * threads, 0, False
        self.door, self.busy = threading.Condition(), np.ones((threads, 4096))
        for _ in range(2):
            self.weights = dict(weights)
            self.calls: list[list[Callable[[], Any]]] = [[] for _ in range(threads)]
            self.made: dict[Any, Array] = {}
            self.raw: list[tuple[Array, list[str]]] = []
            self.read: list[Array] = []
            self.written: list[Array] = []
            self.ports = []
            for self.image in range(images):
                shapes = [(1, *x.shape[2:], x.shape[1]) for x in inputs]
                values = [self.value(i, *shape) for i, shape in enumerate(shapes)]
                self.step((), values)
                self.ports.append((values, list(network(self, *values))))
                self.step(self.ports[-1][1], ())
            if self.memory is None:
                ends = np.cumsum([-(-size // 64) * 64 for size in self.sizes.values()])
                self.starts = dict(zip(self.sizes, [0, *ends.tolist()], strict=False))
                whole = np.empty(int(ends[-1]) + 64, np.uint8)
                self.memory = whole[-whole.ctypes.data % 64 :]

    def room(self, key: Any, shape: Sequence[int], kind: Any = None) -> Array:
        """Memory for a key, large enough for all that is ever wanted there."""
        kind = np.dtype(kind or self.kind)
        size = prod(shape) * kind.itemsize
        if self.memory is None:
            self.sizes[key] = max(size, self.sizes.get(key, 0))
            # Nothing to read or write, but of the right shape.
            strides = [kind.itemsize * prod(shape[i + 1 :]) for i in range(len(shape))]
            return as_strided(np.zeros(1, kind), shape, strides)
        start = self.starts[key]
        return self.memory[start : start + size].view(kind).reshape(shape)

    def value(
        self, at: At, *shape: int, kind: Any = None, names: Sequence[str] = ()
    ) -> Array:
        """An array in a slot; `names` are those whose biases are still to be added."""
        slot, channels, first = at if isinstance(at, tuple) else (at, shape[-1], 0)
        whole = self.room((self.image, slot), (*shape[:-1], channels), kind)
        part = whole[..., first : first + shape[-1]]
        self.raw.append((part, list(names)))
        return part

    def names(self, x: Array) -> list[str]:
        """The layers whose biases are still to be added."""
        return next(names for array, names in self.raw[::-1] if array is x)

    def scratch(self, thread: int, *shapes: Sequence[int]) -> list[Array]:
        """Arrays that a thread may use until it asks for others."""
        ends = np.cumsum([-(-prod(shape) // 16) * 16 for shape in shapes])
        parts = np.split(self.room(("scratch", thread), (int(ends[-1]),)), ends)
        return [a[: prod(s)].reshape(s) for a, s in zip(parts, shapes, strict=False)]

    def once(self, key: Any, make: Callable[[], Any]) -> Array:
        """An array that is made when the plan is."""
        if key not in self.made:
            array = np.asarray(make())
            self.made[key] = self.room(key, array.shape)
            if self.memory is not None:
                self.made[key][...] = array
        return self.made[key]

    def call(
        self, thread: int, function: Callable[..., Any], *a: Any, **k: Any
    ) -> None:
        """Add a call to those of a thread."""
        self.calls[thread].append(partial(function, *a, **k))

    def shares(self, count: int) -> list[tuple[int, int, int]]:
        """Each thread with the first and the end of its share of `count` things."""
        if self.images > 1:
            return [(self.image, 0, count)]
        ends = [count * i // self.threads for i in range(self.threads + 1)]
        return [(i, a, b) for i, (a, b) in enumerate(pairwise(ends)) if a < b]

    def step(self, reads: Sequence[Array], writes: Sequence[Array]) -> None:
        """Begin a step: threads meet first where it needs what others have still to do."""
        pairs = [(a, b) for a in reads for b in self.written]
        pairs += [(a, b) for a in writes for b in self.read]
        if self.images == 1 and any(np.may_share_memory(a, b) for a, b in pairs):
            self.read, self.written = [], []
            for thread in range(self.threads):
                self.call(thread, self.meet, thread)
        self.read += reads
        self.written += writes

    def meet(self, thread: int) -> None:
        """Wait until all threads have come here as often as this one.

        Awake at first, for others are seldom far: to fall asleep takes longer.
        """
        self.arrived[thread] += 1
        if self.asleep:
            with self.door:
                self.door.notify_all()
        for _ in range(60):
            if min(self.arrived) >= self.arrived[thread]:
                return
            np.sqrt(self.busy[thread], out=self.busy[thread])  # others may go on
        with self.door:
            self.asleep += 1
            while min(self.arrived) < self.arrived[thread]:
                self.door.wait(0.1)
                if self.broken:
                    raise RuntimeError("another thread has failed")
            self.asleep -= 1

    def work(
        self, inputs: list[Array], outputs: list[Array], images: range, thread: int
    ) -> None:
        """Do a thread's part in computing images, one after another."""
        alone = self.images > 1
        values, results = self.ports[thread if alone else 0]
        first, step = (0, 1) if alone else (thread, self.threads)
        try:
            for image in images[thread :: self.images] if alone else images:
                for x, value in zip(inputs, values, strict=True):
                    for channel in (
                        range(first, x.shape[1], step) if x.ndim == 4 else ()
                    ):
                        value[0, :, :, channel] = x[image, channel]
                    if x.ndim == 2:
                        value[0] = x[image]
                for call in self.calls[thread]:
                    call()
                for y, value in zip(outputs, results, strict=True):
                    if first == 0:
                        y[image] = np.moveaxis(value[0], -1, 0)
                if not alone:
                    self.meet(thread)
        except BaseException:
            self.broken = True
            raise


class Engine:
    """Runs a network on batches of any size, with a thread for each core."""

    def __init__(
        self,
        network: Callable[..., Sequence[Array]],
        shapes: Sequence[tuple[int, ...]],
        threads: int | None = None,
        fixed: str = "",
    ) -> None:
        self.network, self.shapes, self.fixed = network, shapes, fixed
        with one_blas_thread() as single:
            self.threads = threads or (min(os.cpu_count() or 1, 8) if single else 1)
        self.pool = ThreadPoolExecutor(self.threads)
        self.lock = threading.Lock()
        self.plans: dict[int, Plan] = {}
        self.planned_for: list[Any] = []

    def run(self, weights: Weights, *data: Any) -> list[Array]:
        """The outputs for inputs (N, C, H, W) or (N, F), in float32 or float64.

        Raises ValueError for inputs that the network cannot take.
        """
        double = any(np.asarray(x).dtype == np.float64 for x in data)
        inputs = [np.asarray(x, np.float64 if double else np.float32) for x in data]
        for x, shape in zip(inputs, self.shapes, strict=True):
            free = len(shape) == 3 == x.ndim - 1 and not self.fixed
            given = (*x.shape[1:2], *shape[1:]) if free else x.shape[1:]
            if given != shape or len(x) != len(inputs[0]):
                raise ValueError(f"inputs are N x {shape}, not {x.shape}{self.fixed}")
        with self.lock, one_blas_thread():
            state = [double, *(x.shape[1:] for x in inputs), *map(id, weights.values())]
            if state != self.planned_for:
                self.plans, self.planned_for, self.alive = {}, state, dict(weights)
            try:
                return self.compute(inputs, weights)
            except BaseException:
                self.plans = {}
                raise

    def compute(self, inputs: list[Array], weights: Weights) -> list[Array]:
        """Divide the images among the threads, and the left over ones by rows."""
        outputs: list[Array] = []
        count = len(inputs[0])
        even = count - count % self.threads
        for images, at_once in ((range(even), self.threads), (range(even, count), 1)):
            if not images and (outputs or count):
                continue
            if at_once not in self.plans:
                arguments = (inputs, weights, self.threads, at_once)
                self.plans[at_once] = planned(self.network, *arguments)
            plan = self.plans[at_once]
            for value in plan.ports[0][1] if not outputs else ():
                shape = np.moveaxis(value[0], -1, 0).shape
                outputs.append(np.empty((count, *shape), value.dtype))
            work = partial(plan.work, inputs, outputs, images)
            others = [self.pool.submit(work, i) for i in range(1, self.threads)]
            work(0)
            for other in others:
                other.result()
        return outputs


def planned(network: Callable[..., Any], inputs: list[Array], *rest: Any) -> Plan:
    """A plan; ValueError where the network cannot take inputs of their size."""
    try:
        return Plan(network, inputs, *rest)
    except (ValueError, IndexError, ZeroDivisionError) as error:
        sizes = ", ".join(str(x.shape) for x in inputs)
        raise ValueError(
            f"the network cannot take inputs of {sizes}: {error}"
        ) from error


@contextmanager
def one_blas_thread() -> Iterator[bool]:
    """Let NumPy's OpenBLAS use one thread; False where its threads are out of reach."""
    names = ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath")
    module = next(sys.modules[name] for name in names if name in sys.modules)
    library = ctypes.CDLL(module.__file__)
    forms = [
        f"{a}openblas_%s_num_threads{b}" for a in ("scipy_", "") for b in ("64_", "")
    ]
    form = next((form for form in forms if hasattr(library, form % "set")), None)
    if form is None:
        yield False
        return
    before = getattr(library, form % "get")()
    tell = getattr(library, form % "set")
    tell(1)
    try:
        yield True
    finally:
        tell(before)
