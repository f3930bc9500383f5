"""Models that are compiled from C and called through ctypes."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from netspec.codegen.backend import get, load_model
from netspec.ir import Net
from netspec_c.c_file import CFile
from netspec_c.compiler import MOST_THREADS, library
from netspec_c.files import arguments, memory_bytes
from netspec_c.source import written


class CModel:
    """A net in C: called on arrays (N, C, H, W) of float32, it gives the outputs.

    A batch is computed sample by sample, with `threads` threads each. Calls from several threads
    wait for each other.
    """

    def __init__(self, net: Net, threads: int = 1) -> None:
        self.net = net
        self._file = CFile(net)
        source, _ = written(self._file)
        self._library = library(source)
        self._arguments = arguments(self._file)
        self._threads = threads
        self._lock = threading.Lock()
        self._weights: Mapping[str, Any] = {}
        self._context: Any = None
        self._memory: Any = None

    @property
    def weights(self) -> Mapping[str, Any]:
        """The tensors by their names in weight files; RuntimeError for those of another net."""
        return self._weights

    @weights.setter
    def weights(self, weights: Mapping[str, Any]) -> None:
        wanted = {name: shape for name, (_, shape) in self._file.tensors.items()}
        if wanted != {name: array.shape for name, array in weights.items()}:
            raise RuntimeError("model and net differ in their weights")
        with self._lock:
            self._stop()
            self._weights, self._context = dict(weights), None

    @property
    def threads(self) -> int:
        """How many threads compute a sample, up to 64."""
        return self._threads

    @threads.setter
    def threads(self, threads: int) -> None:
        if not 1 <= threads <= MOST_THREADS:
            raise ValueError(f"there may be 1 to {MOST_THREADS} threads, not {threads}")
        with self._lock:
            self._stop()
            self._threads, self._context = threads, None

    @property
    def preprocess(self) -> Callable[[Any], Any]:
        """A function that makes an input of a picture, as the NumPy model does."""
        prepares: Callable[[Any], Any] = load_model(self.net, get("numpy")).preprocess
        return prepares

    def load(self, path: str | Path) -> None:
        """Take all weights from a .npz or .safetensors file; ValueError if any is amiss."""
        model = load_model(self.net, get("numpy"))
        model.load(path)
        self.weights = model.weights

    def run(self, *inputs: Any) -> tuple[Any, ...]:
        """All outputs, in order; ValueError for inputs of another shape."""
        count = len(self.net.body.inputs)
        given = [np.ascontiguousarray(x, np.float32) for x in inputs]
        if len(given) != count:
            raise TypeError(f"{self.net.name} takes {count} inputs, not {len(given)}")
        for x, (name, shape, _) in zip(given, self._arguments, strict=False):
            if list(x.shape[1:]) != shape or len(x) != len(given[0]):
                wanted = " x ".join(map(str, ("N", *shape)))
                raise ValueError(f"{name} is {wanted}, not {' x '.join(map(str, x.shape))}")
        batch = len(given[0])
        results = [
            np.empty((batch, *shape), np.int32 if index else np.float32)
            for _, shape, index in self._arguments[count:]
        ]
        with self._lock:
            self._begin()
            function = getattr(self._library, f"{self._file.prefix}_run")
            for i in range(batch):
                pointers = (ctypes.c_void_p(a[i].ctypes.data) for a in (*given, *results))
                self._check(function(self._context, *pointers))
        return tuple(
            r.astype(np.int64) if index else r
            for r, (_, _, index) in zip(results, self._arguments[count:], strict=True)
        )

    def __call__(self, *inputs: Any) -> Any:
        """The output, or a tuple of several."""
        results = self.run(*inputs)
        return results[0] if len(results) == 1 else results

    def __del__(self) -> None:
        self._stop()

    def prepare(self) -> None:
        """Pack the weights, as the first run does otherwise."""
        with self._lock:
            self._begin()

    @property
    def workspace(self) -> Any:
        """The memory of values, float32, of a model that has been prepared."""
        packed = self._file.packed_floats
        return self._memory[packed : packed + self._file.values + self._file.scratch]

    def _begin(self) -> None:
        if self._context is not None:
            return
        file = self._file
        weights = np.frombuffer(file.binary(self._weights), np.uint8)
        size = memory_bytes(file, MOST_THREADS) // 4
        memory = np.empty(size + 16, np.float32)
        self._memory = memory[-memory.ctypes.data % 64 // 4 :]
        context = (ctypes.c_void_p * file.context_pointers)()
        init = getattr(self._library, f"{file.prefix}_init")
        place, given = (ctypes.c_void_p(a.ctypes.data) for a in (self._memory, weights))
        self._check(init(context, place, given, ctypes.c_size_t(weights.size)))
        if self._threads > 1:
            start = getattr(self._library, f"{file.prefix}_start_threads")
            self._check(start(context, self._threads))
        self._context = context

    def _stop(self) -> None:
        if getattr(self, "_context", None) is not None and self._threads > 1:
            getattr(self._library, f"{self._file.prefix}_stop_threads")(self._context)

    def _check(self, code: int) -> None:
        if code:
            raise RuntimeError(f"the C model of {self.net.name} gives error {code}")
