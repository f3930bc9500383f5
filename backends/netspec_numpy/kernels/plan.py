"""A network as NumPy calls on one piece of memory, and the threads that make them.

Arrays are channels last here: (N, H, W, C), or (N, F).
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
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

    A value lies in a slot of the arena: `at` is its number, or that of a concat with
    its channels and the first of them that is meant. The network runs twice here, first
    without memory, to find out how much it needs. `phases` follow one another; each has
    tasks that the threads share, for each thread the calls that it would make.
    """

    def __init__(
        self,
        network: Callable[..., Sequence[Array]],
        inputs: Sequence[Array],
        weights: Weights,
        threads: int,
        made: dict[Any, Array],
    ) -> None:
        self.kind, self.threads = inputs[0].dtype, threads
        self.memory: Array | None = None
        self.sizes: dict[Any, int] = {}
        self.door, self.asleep = threading.Condition(), 0
        self.failure: BaseException | None = None
        for _ in range(2):
            self.weights, self.made = dict(weights), dict(made)
            self.norms: dict[str, tuple[Array, Array]] = {}
            self.phases: list[list[Any]] = []
            self.read: list[Array] = []
            self.written: list[Array] = []
            self.raw: list[tuple[Array, list[str]]] = []
            shapes = [(1, *x.shape[2:], x.shape[1]) for x in inputs]
            self.inputs = [self.value(i, *shape) for i, shape in enumerate(shapes)]
            self.step((), self.inputs)
            self.outputs = list(network(self, *self.inputs))
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
        array: Array = self.memory[start : start + size].view(kind).reshape(shape)
        return array

    def value(
        self, at: At, *shape: int, kind: Any = None, names: Sequence[str] = ()
    ) -> Array:
        """An array in a slot; `names` are those whose biases are still to be added."""
        slot, channels, first = at if isinstance(at, tuple) else (at, shape[-1], 0)
        whole = self.room(slot, (*shape[:-1], channels), kind)
        part: Array = whole[..., first : first + shape[-1]]
        self.raw.append((part, list(names)))
        return part

    def names(self, x: Array) -> list[str]:
        """The layers whose biases are still to be added."""
        return [n for array, names in self.raw if array is x for n in names]

    def scratch(self, thread: int, *shapes: Sequence[int]) -> list[Array]:
        """Arrays that a thread may use until it asks for others."""
        ends = np.cumsum([-(-prod(shape) // 16) * 16 for shape in shapes])
        whole = self.room(("scratch", thread), (int(ends[-1]),))
        parts: list[Array] = np.split(whole, ends)
        return [a[: prod(s)].reshape(s) for a, s in zip(parts, shapes, strict=False)]

    def weight(self, name: str) -> Array:
        """The weights of a layer, with the batch norm after it."""
        weight = self.weights[f"{name}.weight"]
        if name not in self.norms:
            return weight
        factor = self.norms[name][0].reshape(-1, *[1] * (weight.ndim - 1))
        folded: Array = np.multiply(weight, factor, dtype=self.kind)
        return folded

    def bias(self, name: str) -> Array | None:
        """The bias of a layer, with the batch norm after it; None if it has neither."""
        bias = self.weights.get(f"{name}.bias")
        if name not in self.norms:
            return bias
        factor, shift = self.norms[name]
        folded: Array = shift if bias is None else bias * factor + shift
        return folded

    def once(self, key: Any, make: Callable[[], Any]) -> Array:
        """An array that is made when the plan is."""
        if key not in self.made:
            array = np.asarray(make())
            self.made[key] = self.room(key, array.shape)
            if self.memory is not None:
                self.made[key][...] = array
        made: Array = self.made[key]
        return made

    def step(self, reads: Sequence[Array], writes: Sequence[Array]) -> None:
        """Begin a step: a new phase where it needs what the last one has yet to do."""
        pairs = [(a, b) for a in reads for b in self.written]
        pairs += [(a, b) for a in writes for b in self.read]
        if not self.phases or any(np.may_share_memory(a, b) for a, b in pairs):
            self.phases.append([])
            self.read, self.written = [], []
        self.read += reads
        self.written += writes

    def shares(self, count: int) -> Iterator[tuple[int, int, int]]:
        """Divide `count` things among tasks: the first and the end, for each thread."""
        ends = [count * i // self.threads for i in range(self.threads + 1)]
        for a, b in pairwise(ends):
            self.phases[-1].append([[] for _ in range(self.threads)])
            yield from ((i, a, b) for i in range(self.threads) if a < b)

    def call(
        self, thread: int, function: Callable[..., Any], *a: Any, **k: Any
    ) -> None:
        """Add a call to a thread's part in the task."""
        self.phases[-1][-1][thread].append(partial(function, *a, **k))

    def run(self, inputs: list[Array], image: int, pool: Executor) -> None:
        """Compute an image, the threads of a pool helping."""
        for x, value in zip(inputs, self.inputs, strict=True):
            for channel in range(x.shape[1]):
                value[0, ..., channel] = x[image, channel]
        state = [(len(tasks), iter(tasks), list[int]()) for tasks in self.phases]
        for i in range(1, self.threads):
            pool.submit(self.work, state, i)
        self.work(state, 0)

    def work(self, state: list[Any], thread: int) -> None:
        """Take task by task; between phases, wait for what others are still at."""
        busy = np.ones(4096)
        try:
            for count, tasks, done in state:
                for task in tasks:
                    for call in task[thread]:
                        call()
                    done.append(thread)
                for _ in range(60):
                    if len(done) == count:
                        break
                    np.sqrt(busy, out=busy)  # to fall asleep would take longer
                else:
                    self.sleep(done, count)
                if self.asleep:
                    with self.door:
                        self.door.notify_all()
        except BaseException as error:
            self.failure = error
            raise

    def sleep(self, done: list[int], count: int) -> None:
        """Wait until so many tasks are done."""
        with self.door:
            self.asleep += 1
            while len(done) < count and not self.failure:
                self.door.wait(0.01)
            self.asleep -= 1
        if self.failure:
            raise RuntimeError("another thread has failed") from self.failure


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
                why = f": {self.fixed}" if self.fixed else ""
                raise ValueError(f"inputs are N x {shape}, not {x.shape}{why}")
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
        """Let each thread compute images of its own, and all together what is left."""
        count = len(inputs[0])
        each = count // self.threads if self.threads > 1 else 0
        single = range(self.threads if each else 0)
        plans = [self.plan(inputs, weights, i + 1) for i in single]
        if count > each * self.threads or not plans:
            plans.append(self.plan(inputs, weights, 0))
        shapes = [np.moveaxis(y[0], -1, 0).shape for y in plans[0].outputs]
        kinds = [y.dtype for y in plans[0].outputs]
        outputs = [np.empty((count, *s), k) for s, k in zip(shapes, kinds, strict=True)]

        def compute(plan: Plan, images: range) -> None:
            for image in images:
                plan.run(inputs, image, self.pool)
                for output, y in zip(outputs, plan.outputs, strict=True):
                    output[image] = np.moveaxis(y[0], -1, 0)

        parts = [range(i * each, (i + 1) * each) for i in single]
        jobs = [partial(compute, *job) for job in zip(plans, parts, strict=False)]
        others = [self.pool.submit(job) for job in jobs[1:]]
        for job in jobs[:1]:
            job()
        for other in others:
            other.result()
        compute(plans[-1], range(each * self.threads, count))
        return outputs

    def plan(self, inputs: list[Array], weights: Weights, number: int) -> Plan:
        """Plan 0 is for all threads together, the others for one thread each."""
        if number not in self.plans:
            made = next(iter(self.plans.values())).made if self.plans else {}
            threads = 1 if number else self.threads
            try:
                plan = Plan(self.network, inputs, weights, threads, made)
            except (ValueError, IndexError, ZeroDivisionError) as error:
                sizes = ", ".join(str(x.shape) for x in inputs)
                raise ValueError(
                    f"no network for inputs of {sizes}: {error}"
                ) from error
            self.plans[number] = plan
        return self.plans[number]


@contextmanager
def one_blas_thread() -> Iterator[bool]:
    """Let NumPy's OpenBLAS use one thread; False where its threads are out of reach."""
    ask, tell = openblas()
    before = ask()
    if before > 1:  # else another thread of the program has seen to it
        tell(1)
    try:
        yield before > 0
    finally:
        if before > 1:
            tell(before)


def openblas() -> tuple[Callable[[], int], Callable[[int], Any]]:
    """Functions that get and set the number of OpenBLAS's threads; 0 is unknown."""
    names = ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath")
    module = next(sys.modules[name] for name in names if name in sys.modules)
    library = ctypes.CDLL(module.__file__)
    for form in (
        "scipy_openblas_%s64_",
        "openblas_%s64_",
        "scipy_openblas_%s",
        "openblas_%s",
    ):
        if hasattr(library, form % "set_num_threads"):
            ask = getattr(library, form % "get_num_threads")
            return ask, getattr(library, form % "set_num_threads")
    return lambda: 0, lambda count: None
