"""Batches, prepared ahead of their use by threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from netspec.training.datasets import Samples
from netspec.training.sampler import Draw, generator

T = TypeVar("T")
Batch = tuple[Tensor, Tensor]
AHEAD = 3
"""How many batches are prepared ahead."""
CHUNK = 4
"""Samples that one thread prepares at a time."""


class Loader:
    """Prepares batches in `workers` threads; with 0, when they are asked for.

    What a sample looks like depends on its draw and the seed alone, never on the threads.
    """

    def __init__(self, samples: Samples, seed: int, workers: int) -> None:
        self.samples = samples
        self.seed = seed
        self.pool = ThreadPoolExecutor(workers) if workers else None

    def training(self, batches: Iterator[Sequence[Draw]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets of each batch, changed at random as the recipe says."""

        def prepare(draws: Sequence[Draw]) -> Batch:
            rngs = [generator(self.seed, draw) for draw in draws]
            return self.samples.batch([draw.sample for draw in draws], rngs)

        yield from self._ahead(batches, prepare)

    def plain(self, batches: Iterator[Sequence[int]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets of each batch as they are."""

        def prepare(indices: Sequence[int]) -> Batch:
            return self.samples.batch(indices, None)

        yield from self._ahead(batches, prepare)

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)

    def _ahead(
        self, batches: Iterator[Sequence[T]], prepare: Callable[[Sequence[T]], Batch]
    ) -> Iterator[Batch]:
        if self.pool is None:
            yield from map(prepare, batches)
            return
        size = CHUNK if self.samples.parallel else 2**31
        waiting: deque[list[Future[Batch]]] = deque()
        for batch in batches:
            chunks = [batch[i : i + size] for i in range(0, len(batch), size)]
            waiting.append([self.pool.submit(prepare, chunk) for chunk in chunks])
            if len(waiting) > AHEAD:
                yield self._done(waiting.popleft())
        while waiting:
            yield self._done(waiting.popleft())

    @staticmethod
    def _done(parts: Sequence[Future[Batch]]) -> Batch:
        inputs, targets = zip(*(part.result() for part in parts), strict=True)
        return torch.cat(inputs), torch.cat(targets)
