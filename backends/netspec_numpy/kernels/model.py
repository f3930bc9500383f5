"""The base class of emitted models: weights, threads, and plans for the inputs that come."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache, partial
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from netspec_numpy.kernels.arrays import Array
from netspec_numpy.kernels.plan import Plan
from netspec_numpy.kernels.weights import check_weights, initial_weights, read_weights


class Model:
    """A network that takes batches of any size, with a thread for each core (8 at most).

    With images for all, each has a plan of its own; else they share one, or one does it all.
    """

    network: Callable[..., list[Any]]  # writes the steps of a plan
    sizes: Sequence[tuple[int, ...]]  # of the inputs
    fixed = ""  # why these sizes are the only ones
    inits: Mapping[str, Any] = {"*": ("normal", 2**0.5, "in")}  # He et al., arXiv:1502.01852

    def __init__(self, seed: int = 0, threads: int | None = None) -> None:
        self.threads = threads or (min(os.cpu_count() or 1, 8) if openblas() else 1)
        self.lock, self.pool = threading.Lock(), ThreadPoolExecutor(self.threads)
        self.shapes = Plan(self.network, self.sizes, np.dtype(np.float32), {}, 1, None).shapes
        self.weights = initial_weights(self.shapes, seed, self.inits)
        self.key: list[Any] = []  # of the plans: types, sizes, weights
        self.calls = 0

    def load(self, path: str | Path) -> None:
        """Take all weights from a .npz or .safetensors file; ValueError if any is amiss."""
        self.weights = check_weights(read_weights(path), self.shapes)

    def run(self, *data: Any) -> list[Array]:
        """The outputs for inputs (N, C, H, W) or (N, F); ValueError for those it can't take."""
        double = any(np.asarray(x).dtype == np.float64 for x in data)
        inputs = [np.asarray(x, np.float64 if double else np.float32) for x in data]
        for x, size in zip(inputs, self.sizes, strict=True):
            given = x.shape[1:] if self.fixed else x.shape[1:2]
            if x.ndim != len(size) + 1 or given != size[: len(given)]:
                raise ValueError(f"inputs are N x {size}, not {x.shape}{self.fixed}")
            if len(x) != len(inputs[0]):
                raise ValueError(f"there are {len(inputs[0])} and {len(x)} images")
        with self.lock:
            weights = dict(self.weights)
            key = [double, *(x.shape[1:] for x in inputs), {n: id(weights[n]) for n in weights}]
            if key != self.key:
                self.plans: dict[bool, list[Plan]] = {}
                self.seconds: dict[tuple[bool, bool], float] = {}
                self.cache: dict[Any, Array] = {}
                self.key, self.planned = key, weights
            get, set_ = openblas() or (int, int)
            before = get()
            set_(1)
            try:
                return self.compute(inputs)
            finally:
                if before > 1:  # else another thread of the program sees to it
                    set_(before)

    def compute(self, inputs: list[Array]) -> list[Array]:
        """Plan what has not been planned, and let threads work, or one: what has been faster."""
        apart = len(inputs[0]) >= self.threads
        if apart not in self.plans:
            sizes, number = [x.shape[1:] for x in inputs], self.threads if apart else 1
            arguments = sizes, inputs[0].dtype, self.planned, self.threads // number, self.cache
            try:
                self.plans[apart] = [Plan(self.network, *arguments) for _ in range(number)]
            except (ValueError, IndexError, ZeroDivisionError) as error:
                message = f"made for inputs of {self.sizes}, got {sizes}: {error}"
                raise ValueError(message) from error
        plans = self.plans[apart]
        outputs = [np.empty((len(inputs[0]), *y.shape), y.dtype) for y in plans[0].outputs]
        images = list(zip(*inputs, *outputs, strict=True))

        def run_images(*threads: int) -> None:
            for thread in threads:
                for image in images[thread :: self.threads]:
                    plans[thread].run(image, [0], 0)

        self.calls += 1
        trial = self.calls > 4 and not (self.calls & (self.calls - 1) and self.calls % 50)
        one, all_ = (self.seconds.get((apart, alone), inf) for alone in (True, False))
        alone, start = trial ^ (one < all_), time.perf_counter()
        shared = (partial(plans[0].run, image, [0] * self.threads) for image in images)
        for work in [run_images] if apart else shared:
            self.run_threads(work, alone)
        if images:
            took = (time.perf_counter() - start) / len(images)
            self.seconds[apart, alone] = min(took, 1.02 * (one if alone else all_))
        return outputs

    def run_threads(self, work: Callable[..., None], alone: bool) -> None:
        """Let each thread do its part, this one too, or this one alone all of them."""
        others = [] if alone else [self.pool.submit(work, i) for i in range(1, self.threads)]
        try:
            work(*range(self.threads - len(others)))
        finally:
            wait(others)
        for other in others:
            other.result()


@cache
def openblas() -> list[Any]:
    """The functions of OpenBLAS that get and set how many threads it uses, if any."""
    library = ctypes.CDLL(np.linalg._umath_linalg.__file__)
    for form in [f"{a}openblas_{{}}{b}" for a in ("scipy_", "") for b in ("64_", "")]:
        if hasattr(library, form.format("set_num_threads")):
            return [library[form.format(f"{do}_num_threads")] for do in ("get", "set")]
    return []
