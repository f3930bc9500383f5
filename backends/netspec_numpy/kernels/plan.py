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
from itertools import count, pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from netspec_numpy.kernels.arrays import Array, At, Network, Value, Weights


class Plan:
    """The NumPy calls that a network comes to for one image of a certain size.

    Values and rearranged weights lie in one piece of memory; the network is gone
    through twice, first to find out how much it takes. `phases` follow one another:
    for each thread a task, which is a list of calls.
    """

    def __init__(
        self, network: Network, inputs: Any, weights: Weights, threads: int, made: Any
    ) -> None:
        self.kind, self.weights = inputs[0].dtype, weights
        self.threads, self.made = threads, made
        self.memory: Array | None = None
        self.sizes: dict[Any, int] = {}
        for _ in range(2):
            self.norms: dict[str, tuple[Array, Array]] = {}
            self.phases: list[list[list[Callable[[], Any]]]] = []
            self.busy: list[tuple[Array, bool]] = []
            self.rows: dict[Any, Array] = {}
            shapes = [(*x.shape[1:], len(x)) for x in inputs]
            self.inputs = [self.value(k, shape) for k, shape in enumerate(shapes)]
            self.outputs = network(self, *self.inputs)
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
        bias = np.zeros(shape[-1], kind or self.kind) if bias is None else bias
        return Value(whole[..., first : first + shape[-1]], bias)

    def scratch(self, task: int, *shapes: Sequence[int]) -> list[Array]:
        """Arrays that a task may use until it asks for others."""
        ends = np.cumsum([-(-prod(shape) // 16) * 16 for shape in shapes])
        whole = self.room(("scratch", task), (int(ends[-1]),))
        parts: list[Array] = np.split(whole, ends)
        return [a[: prod(s)].reshape(s) for a, s in zip(parts, shapes, strict=False)]

    def once(self, key: Any, shape: Sequence[int], make: Callable[[], Any]) -> Array:
        """An array that all plans share, made when there is memory for it."""
        if key not in self.made:
            array = self.room(key, shape)
            if self.memory is None:
                return np.broadcast_to(np.zeros(1, self.kind), shape)
            array[...] = make()
            self.made[key] = array
        made: Array = self.made[key]
        return made

    def weight(self, name: str) -> Array:
        """The weights of a layer, with the batch norm after it."""
        weight = self.weights[f"{name}.weight"]
        if name in self.norms:
            factor = self.norms[name][0].reshape(-1, *[1] * (weight.ndim - 1))
            weight = np.multiply(weight, factor, dtype=self.kind)
        return weight

    def layer(
        self, at: At, shape: Sequence[int], name: str, x: Value
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
            bias = self.weights.get(f"{name}.bias", np.zeros(filters))
            factor, shift = self.norms.get(name, (1.0, 0.0))
            if x.bias.any():
                seen = x.bias.astype(np.float64).reshape(-1, channels)
                parts = weight.reshape(len(seen), -1, channels, weight[0, 0].size)
                bias = bias + np.einsum("gfck,gc->gf", parts, seen).ravel()
            return np.asarray(bias * factor + shift)

        bias = self.once((name, "bias"), (filters,), make)
        left = channels > 1 and x.bias.any()  # a depthwise one may pass it on
        return self.value(at, shape, None if left else bias), bias * left

    def tasks(
        self, reads: Sequence[Value], writes: Sequence[Value], size: int, most: int = 0
    ) -> Iterator[tuple[int, int, int]]:
        """Divide `size` things among tasks: the task, and from where to where it goes.

        At most so many things at once. A new phase begins where the step needs what
        the last one has yet to do.
        """
        uses = [(x.data, False) for x in reads] + [(y.data, True) for y in writes]
        pairs = [(a, b) for a, new in uses for b, old in self.busy if new != old]
        if not self.phases or any(np.may_share_memory(a, b) for a, b in pairs):
            self.phases.append([[] for _ in range(self.threads)])
            self.busy = []
        self.busy += uses
        ends = [size * i // self.threads for i in range(self.threads + 1)]
        for task, (a, b) in enumerate(pairwise(ends)):
            for i in range(a, b, max(1, most) if most else size):
                yield task, i, min(i + most, b) if most else b

    def call(self, task: int, function: Callable[..., Any], *a: Any, **k: Any) -> None:
        """Add a call to a task."""
        self.phases[-1][task].append(partial(function, *a, **k))

    def take_in(self, given: list[Array]) -> None:
        """Copy the inputs, whose channels are last from here on."""
        for x, value in zip(given, self.inputs, strict=True):
            for channel, data in enumerate(x):
                value.data[0, ..., channel] = data

    def hand_out(self, wanted: list[Array]) -> None:
        """Copy the outputs, their biases added."""
        for y, value in zip(wanted, self.outputs, strict=True):
            y[...] = np.moveaxis(value.data[0] + value.bias, -1, 0)

    def run(self, thread: int, state: list[Any], failed: list[int]) -> None:
        """Do one's task of each phase, and those that others have not begun; wait.

        `state` has for each phase the tasks left, a list of those done, and how many.
        """
        spare = np.ones(4096)
        for left, done, size in state:
            for i in range(thread, thread + self.threads):
                task = left.pop(i % self.threads, None)
                for call in task or ():
                    call()
                done += [i] if task is not None else []
            for turn in count():
                if failed or len(done) == size:
                    break
                if turn < 60:  # to fall asleep would take longer
                    np.sqrt(spare, out=spare)
                else:
                    time.sleep(5e-5)


class Engine:
    """Runs a network on batches of any size, with a thread for each core."""

    def __init__(
        self, network: Network, shapes: Any, threads: int | None = None, fixed: str = ""
    ) -> None:
        self.network, self.shapes, self.fixed = network, shapes, fixed
        cores = min(os.cpu_count() or 1, 8) if blas_threads(0) else 1
        self.threads = threads or cores
        self.lock, self.pool = threading.Lock(), ThreadPoolExecutor(self.threads)
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
        with self.lock:
            key = [double, *(x.shape[1:] for x in inputs), *map(id, weights.values())]
            if key != self.planned_for:
                self.plans, self.planned_for, self.alive = {}, key, dict(weights)
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
        """Let each thread compute images of its own, and all together what is left."""
        images = len(inputs[0])
        each = images // self.threads if self.threads > 1 else 0
        rest = range(each * self.threads, images)
        for k in range(1 if each and not rest else 0, self.threads + 1 if each else 1):
            if k not in self.plans:
                self.plans[k] = self.plan(1 if k else self.threads, inputs, weights)
        values = next(iter(self.plans.values())).outputs
        shapes = [(images, len(y.bias), *y.data.shape[1:-1]) for y in values]
        kinds = [y.data.dtype for y in values]
        outputs = [np.empty(s, k) for s, k in zip(shapes, kinds, strict=True)]
        failed: list[int] = []

        def job(k: int, i: int) -> tuple[Any, ...]:
            plan = self.plans[k]
            first = partial(plan.take_in, [x[i] for x in inputs])
            last = partial(plan.hand_out, [y[i] for y in outputs])
            phases: list[Any] = [[[first]], *plan.phases, [[last]]]
            state: Any = [(dict(enumerate(p)), [], len(p)) for p in phases]
            return plan, state

        shared = [job(0, i) for i in rest]

        def work(thread: int) -> None:
            own = range(each * thread, each * (thread + 1))
            jobs = [*(job(thread + 1, i) for i in own), *shared]
            try:
                for plan, state in jobs:
                    plan.run(thread % plan.threads, state, failed)
            except BaseException:
                failed.append(thread)
                raise

        list((self.pool.map if self.threads > 1 else map)(work, range(self.threads)))
        return outputs

    def plan(self, threads: int, inputs: list[Array], weights: Weights) -> Plan:
        """A plan for so many threads; rearranged weights are those of the others."""
        made: dict[Any, Array] = {}
        for plan in self.plans.values():
            made = plan.made
        sample = [np.empty(x.shape[1:], x.dtype) for x in inputs]
        try:
            return Plan(self.network, sample, weights, threads, made)
        except (ValueError, IndexError, ZeroDivisionError) as error:
            shapes = ", ".join(str(x.shape) for x in inputs)
            raise ValueError(f"no network for inputs of {shapes}: {error}") from error


def blas_threads(wanted: int) -> int:
    """Let OpenBLAS use so many threads; returns how many it had, 0 if unknown."""
    names = ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath")
    module = next(sys.modules[name] for name in names if name in sys.modules)
    library = ctypes.CDLL(module.__file__)
    for prefix in ("scipy_openblas_", "openblas_"):
        for suffix in ("64_", ""):
            if hasattr(library, f"{prefix}set_num_threads{suffix}"):
                before: int = library[f"{prefix}get_num_threads{suffix}"]()
                if wanted not in (0, before):
                    library[f"{prefix}set_num_threads{suffix}"](wanted)
                return before
    return 0
