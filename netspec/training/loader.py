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
        """Inputs and labels of each batch, changed at random as the recipe says."""

        def prepare(draws: Sequence[Draw]) -> Tensor:
            rngs = [generator(self.seed, draw) for draw in draws]
            return self.samples.inputs([draw.sample for draw in draws], rngs)

        labels = self.samples.labels
        for draws, x in self._ahead(batches, prepare):
            yield x, torch.from_numpy(labels[[draw.sample for draw in draws]])

    def plain(self, batches: Iterator[Sequence[int]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and labels of each batch as they are."""

        def prepare(indices: Sequence[int]) -> Tensor:
            return self.samples.inputs(indices, None)

        for indices, x in self._ahead(batches, prepare):
            yield x, torch.from_numpy(self.samples.labels[list(indices)])

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)

    def _ahead(
        self, batches: Iterator[Sequence[T]], prepare: Callable[[Sequence[T]], Tensor]
    ) -> Iterator[tuple[Sequence[T], Tensor]]:
        if self.pool is None:
            for batch in batches:
                yield batch, prepare(batch)
            return
        size = CHUNK if self.samples.parallel else 2**31
        waiting: deque[tuple[Sequence[T], list[Future[Tensor]]]] = deque()
        for batch in batches:
            chunks = [batch[i : i + size] for i in range(0, len(batch), size)]
            waiting.append((batch, [self.pool.submit(prepare, chunk) for chunk in chunks]))
            if len(waiting) > AHEAD:
                yield self._done(*waiting.popleft())
        while waiting:
            yield self._done(*waiting.popleft())

    @staticmethod
    def _done(batch: Sequence[T], parts: Sequence[Future[Tensor]]) -> tuple[Sequence[T], Tensor]:
        return batch, torch.cat([part.result() for part in parts])
