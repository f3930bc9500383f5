"""A network as NumPy calls on one piece of memory, and the threads that make them."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count, pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from netspec_numpy.kernels.arrays import Array, At, Value, Weights


class Plan:
    """The NumPy calls that a network comes to for one image of a certain size.

    Values and rearranged weights lie in one piece of memory; the network is gone
    through twice, first to find out how much it takes. `phases` follow one another:
    lists of tasks, which threads may do at the same time, each a list of calls.
    """

    def __init__(
        self,
        network: Callable[..., Sequence[Value]],
        inputs: Sequence[Array],
        weights: Weights,
        threads: int,
        made: dict[Any, Array],
    ) -> None:
        self.kind, self.weights = inputs[0].dtype, weights
        self.threads, self.made = threads, made
        self.memory: Array | None = None
        self.sizes: dict[Any, int] = {}
        self.given: list[Array] = []
        self.wanted: list[Array] = []
        for _ in range(2):
            self.norms: dict[str, tuple[Array, Array]] = {}
            self.phases: list[list[list[Callable[[], Any]]]] = []
            self.read: list[Array] = []
            self.written: list[Array] = []
            shapes = [(*x.shape[2:], x.shape[1]) for x in inputs]
            self.inputs = [self.value(i, shape) for i, shape in enumerate(shapes)]
            for k, value in enumerate(self.inputs):
                for task, i, j in self.tasks([], [value], len(value.bias)):
                    self.call(task, self.take_in, k, i, j)
            self.outputs = list(network(self, *self.inputs))
            for task, i, j in self.tasks(self.outputs, [], len(self.outputs)):
                self.call(task, self.hand_out, i, j)
            if self.memory is None:
                ends = np.cumsum([-(-size // 64) * 64 for size in self.sizes.values()])
                self.starts = dict(zip(self.sizes, [0, *ends.tolist()], strict=False))
                whole = np.empty(int(ends[-1]) + 64, np.uint8)
                self.memory = whole[-whole.ctypes.data % 64 :]

    def room(self, key: Any, shape: Sequence[int], kind: Any = None) -> Array:
        """Memory for a key, large enough for all that is ever wanted there."""
        kind = np.dtype(kind or self.kind)
        size = prod(shape) * kind.itemsize
        if self.memory is None:  # nothing to read or write yet, but of the right shape
            self.sizes[key] = max(size, self.sizes.get(key, 0))
            strides = [kind.itemsize * prod(shape[i + 1 :]) for i in range(len(shape))]
            return as_strided(np.zeros(1, kind), shape, strides)
        start = self.starts[key]
        array: Array = self.memory[start : start + size].view(kind).reshape(shape)
        return array

    def value(
        self, at: At, shape: Sequence[int], bias: Array | None = None, kind: Any = None
    ) -> Value:
        """A value in a slot: its number, or a concat's, its channels and the first."""
        slot, channels, first = at if isinstance(at, tuple) else (at, shape[-1], 0)
        whole = self.room(slot, (1, *shape[:-1], channels), kind)
        bias = np.zeros(shape[-1], self.kind) if bias is None else bias
        return Value(whole[..., first : first + shape[-1]], bias)

    def scratch(self, task: int, *shapes: Sequence[int]) -> list[Array]:
        """Arrays that a task may use until it asks for others."""
        ends = np.cumsum([-(-prod(shape) // 16) * 16 for shape in shapes])
        whole = self.room(("scratch", task), (int(ends[-1]),))
        parts: list[Array] = np.split(whole, ends)
        return [a[: prod(s)].reshape(s) for a, s in zip(parts, shapes, strict=False)]

    def once(self, key: Any, shape: Sequence[int], make: Callable[[], Any]) -> Array:
        """An array that all plans share, made when there is memory for it."""
        if key in self.made:
            return self.made[key]
        array = self.room(key, shape)
        if self.memory is None:
            return np.zeros(shape, self.kind)
        array[...] = make()
        self.made[key] = array
        return array

    def weight(self, name: str) -> Array:
        """The weights of a layer, with the batch norm after it."""
        weight = self.weights[f"{name}.weight"]
        if name not in self.norms:
            return weight
        factor = self.norms[name][0].reshape(-1, *[1] * (weight.ndim - 1))
        folded: Array = np.multiply(weight, factor, dtype=self.kind)
        return folded

    def bias(self, name: str, x: Value) -> Array:
        """What a layer adds: its bias, and its weights times that of its input."""
        weight = self.weights[f"{name}.weight"]
        filters, channels = weight.shape[:2]
        if len(x.bias) % channels:
            raise ValueError(f"{name} takes {channels} elements, not {len(x.bias)}")

        def make() -> Array:
            bias = self.weights.get(f"{name}.bias", np.zeros(filters))
            factor, shift = self.norms.get(name, (1.0, 0.0))
            biases = x.bias.reshape(-1, channels, 1)
            seen = weight.reshape(len(biases), -1, channels, weight[0, 0].size).sum(3)
            return ((seen @ biases).ravel() + bias) * factor + shift

        return self.once((name, "bias"), (filters,), make)

    def tasks(
        self, reads: Sequence[Value], writes: Sequence[Value], size: int, most: int = 0
    ) -> Iterator[tuple[int, int, int]]:
        """Divide `size` things among tasks: the task, and from where to where it goes.

        At most so many things at once. A new phase begins where the step needs what
        the last one has yet to do.
        """
        ins, outs = [x.data for x in reads], [y.data for y in writes]
        pairs = [(a, b) for a in ins for b in self.written]
        pairs += [(a, b) for a in outs for b in self.read]
        if not self.phases or any(np.may_share_memory(a, b) for a, b in pairs):
            self.phases.append([[] for _ in range(self.threads)])
            self.read, self.written = [], []
        self.read += ins
        self.written += outs
        ends = [size * i // self.threads for i in range(self.threads + 1)]
        for task, (a, b) in enumerate(pairwise(ends)):
            for i in range(a, b, max(1, most) if most else size):
                yield task, i, min(i + most, b) if most else b

    def call(self, task: int, function: Callable[..., Any], *a: Any, **k: Any) -> None:
        """Add a call to a task."""
        self.phases[-1][task].append(partial(function, *a, **k))

    def take_in(self, k: int, first: int, end: int) -> None:
        """Copy channels of an input."""
        for channel in range(first, end):
            self.inputs[k].data[0, ..., channel] = self.given[k][channel]

    def hand_out(self, first: int, end: int) -> None:
        """Copy outputs, their biases added."""
        for y, wanted in list(zip(self.outputs, self.wanted, strict=True))[first:end]:
            wanted[...] = np.moveaxis(y.data[0] + y.bias, -1, 0)

    def state(self) -> list[Any]:
        """Nothing is done yet: what `run` takes."""
        return [(dict(enumerate(tasks)), []) for tasks in self.phases]

    def run(self, thread: int, state: list[Any], failed: list[BaseException]) -> None:
        """Do tasks of each phase, one's own and what others have not begun; then wait.

        `state` has for each phase the tasks that are left, and a list of those done.
        """
        busy = np.ones(4096)
        for left, done in state:
            for i in range(thread, thread + self.threads):
                task = left.pop(i % self.threads, None)
                for call in task or ():
                    call()
                if task is not None:
                    done.append(i)
            for turn in count():
                if failed:
                    return
                if len(done) == self.threads:
                    break
                if turn < 60:  # to fall asleep would take longer
                    np.sqrt(busy, out=busy)
                else:
                    time.sleep(5e-5)


class Engine:
    """Runs a network on batches of any size, with a thread for each core."""

    def __init__(
        self,
        network: Callable[..., Sequence[Value]],
        shapes: Sequence[tuple[int, ...]],
        threads: int | None = None,
        fixed: str = "",
    ) -> None:
        self.network, self.shapes, self.fixed = network, shapes, fixed
        with one_blas_thread() as single:
            self.threads = threads or (min(os.cpu_count() or 1, 8) if single else 1)
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
            return self.compute(inputs, weights)

    def compute(self, inputs: list[Array], weights: Weights) -> list[Array]:
        """Let each thread compute images of its own, and all together what is left."""
        images = len(inputs[0])
        each = images // self.threads if self.threads > 1 else 0
        together = range(each * self.threads, images)
        numbers = [0] if together or not each else []
        numbers += range(1, self.threads + 1) if each else []
        plans = {k: self.plan(k, inputs, weights) for k in numbers}
        values = next(iter(plans.values())).outputs
        outputs = [
            np.empty((images, *np.moveaxis(y.data[0], -1, 0).shape), y.data.dtype)
            for y in values
        ]
        shared = [(0, image, plans[0].state()) for image in together]
        failed: list[BaseException] = []

        def work(thread: int) -> None:
            own = range(thread * each, (thread + 1) * each)
            jobs = [(thread + 1, image, plans[thread + 1].state()) for image in own]
            try:
                for k, image, state in (*jobs, *shared):
                    plans[k].given = [x[image] for x in inputs]
                    plans[k].wanted = [y[image] for y in outputs]
                    plans[k].run(thread if k == 0 else 0, state, failed)
            except BaseException as error:
                failed.append(error)

        helpers = [
            threading.Thread(target=work, args=(i,), daemon=True)
            for i in range(1, self.threads)
        ]
        for helper in helpers:
            helper.start()
        work(0)
        for helper in helpers:
            helper.join()
        if failed:
            self.plans = {}
            raise failed[0]
        return outputs

    def plan(self, number: int, inputs: list[Array], weights: Weights) -> Plan:
        """Plan 0 is for all threads together, the others for one thread each."""
        if number not in self.plans:
            made = next(iter(self.plans.values())).made if self.plans else {}
            threads = 1 if number else self.threads
            try:
                plan = Plan(self.network, inputs, weights, threads, made)
            except (ValueError, IndexError, ZeroDivisionError) as error:
                sizes = ", ".join(str(x.shape) for x in inputs)
                why = f"no network for inputs of {sizes}: {error}"
                raise ValueError(why) from error
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
