"""Batches on the device that trains, prepared ahead of their use."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from netspec.pictures.cutting import Job
from netspec.pictures.readers import POSSIBLE, PictureReaders
from netspec.training.datasets import Samples, in_files, whole_indices
from netspec.training.sampler import Draws, Rolls
from netspec.training.transforms import to_device

Batch = tuple[Tensor, Tensor]
Mix = Callable[[Tensor, Tensor, Rolls], Batch]
"""What changes the inputs and targets of a batch together."""
Wanted = tuple[Sequence[int], Rolls | None]
"""Numbers of samples, and the random numbers that change them."""
AHEAD = 3
"""How many batches are prepared ahead."""
CHUNK = 4
"""Samples that one thread prepares at a time."""
CPU = torch.device("cpu")


class Loader:
    """Prepares batches in `workers` processes, those that are no pictures in files in threads; with
    0, when they are asked for.

    What a sample looks like depends on its draw and the seed alone, never on the workers. No batch
    has more than `largest` samples.
    """

    def __init__(
        self,
        samples: Samples,
        seed: int,
        workers: int,
        device: torch.device = CPU,
        mix: Mix | None = None,
        largest: int = 0,
    ) -> None:
        self.samples = samples
        self.seed = seed
        self.device = device
        self.mix = mix
        self.pool: ThreadPoolExecutor | None = None
        self.readers: PictureReaders | None = None
        samples.place(device)
        files = in_files(samples)
        if workers and files is not None and POSSIBLE:
            stored = str(files.stored) if files.stored is not None else None
            self.readers = PictureReaders(workers, files.form, largest, stored)
        elif workers and samples.parallel:
            self.pool = ThreadPoolExecutor(workers)

    def beside(self, samples: Samples) -> Loader:
        """A loader of other samples of the same kind, which has the same workers."""
        other = Loader(samples, self.seed, 0, self.device)
        other.pool, other.readers = self.pool, self.readers
        return other

    def training(self, batches: Iterable[Draws]) -> Iterator[Batch]:
        """Inputs and targets of each batch, changed at random as the recipe says."""
        wanted = ((d.samples.tolist(), Rolls(self.seed, d.places)) for d in batches)
        for (_, rolls), (x, y) in self._ahead(wanted):
            yield self.mix(x, y, rolls) if self.mix is not None and rolls is not None else (x, y)

    def plain(self, batches: Iterable[Sequence[int]]) -> Iterator[Batch]:
        """Inputs and targets of each batch as they are."""
        for _, batch in self._ahead((indices, None) for indices in batches):
            yield batch

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)
        if self.readers is not None:
            self.readers.close()

    def _ahead(self, batches: Iterable[Wanted]) -> Iterator[tuple[Wanted, Batch]]:
        if self.readers is not None:
            yield from self._read(self.readers, batches)
            return
        if self.pool is None:
            for wanted in batches:
                yield wanted, self._moved(self.samples.batch(*wanted))
            return
        waiting: deque[tuple[Wanted, list[Future[Batch]]]] = deque()
        for indices, rolls in batches:
            parts = [slice(i, i + CHUNK) for i in range(0, len(indices), CHUNK)]
            futures = [
                self.pool.submit(
                    self.samples.batch, indices[p], None if rolls is None else rolls[p]
                )
                for p in parts
            ]
            waiting.append(((indices, rolls), futures))
            if len(waiting) > AHEAD:
                yield self._done(*waiting.popleft())
        while waiting:
            yield self._done(*waiting.popleft())

    def _read(
        self, readers: PictureReaders, batches: Iterable[Wanted]
    ) -> Iterator[tuple[Wanted, Batch]]:
        """Batches of pictures in files, which processes cut out."""
        files = in_files(self.samples)
        assert files is not None, "readers are of pictures in files"

        def given() -> Iterator[tuple[tuple[Wanted, Sequence[int]], Sequence[Job]]]:
            for indices, rolls in batches:
                places = whole_indices(self.samples, indices)
                yield ((indices, rolls), places), files.jobs(places, rolls)

        for (wanted, places), pixels in readers.stream(given()):
            yield wanted, self._moved((files.made(pixels, wanted[1]), files.targets(places)))

    def _done(self, wanted: Wanted, parts: Sequence[Future[Batch]]) -> tuple[Wanted, Batch]:
        inputs, targets = zip(*(part.result() for part in parts), strict=True)
        return wanted, self._moved((torch.cat(inputs), torch.cat(targets)))

    def _moved(self, batch: Batch) -> Batch:
        x, y = (to_device(tensor, self.device) for tensor in batch)
        return x, y
