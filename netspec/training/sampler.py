"""Which samples an iteration sees: a function of the seed and the iteration alone.

So a run can go on from any iteration, and processes need not exchange it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import numpy as np

from netspec.lazy_dataclasses import dataclass

Array = np.ndarray[Any, np.dtype[Any]]
_STEP = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Draws:
    """Samples, and their places among all that a run sees: numbers of shape (N,)."""

    places: Array
    samples: Array

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, part: slice) -> Draws:
        return Draws(self.places[part], self.samples[part])


class Sampler:
    """The samples one after the other, in a new random order each epoch.

    Iterations run across the ends of epochs, so all have `batch` samples. With `classes`, the class
    of each sample, an epoch has as many of each class: those of rare classes several times, not
    all of frequent ones.
    """

    def __init__(self, samples: int, batch: int, seed: int, classes: Array | None = None) -> None:
        self.samples = samples
        self.batch = batch
        self.seed = seed
        self.members = (
            None if classes is None else [np.flatnonzero(classes == c) for c in np.unique(classes)]
        )
        self._epochs: OrderedDict[int, Array] = OrderedDict()

    def draws(self, iteration: int) -> Draws:
        """The samples of an iteration, counted from 0."""
        places = np.arange(iteration * self.batch, (iteration + 1) * self.batch)
        epochs, positions = np.divmod(places, self.samples)
        found = np.empty(self.batch, np.int64)
        for epoch in range(epochs[0], epochs[-1] + 1):
            own = epochs == epoch
            found[own] = self._epoch(epoch)[positions[own]]
        return Draws(places, found)

    def _epoch(self, epoch: int) -> Array:
        """The samples of an epoch in their order."""
        if epoch not in self._epochs:
            rng = np.random.default_rng((self.seed, 0, epoch))
            if self.members is None:
                order = rng.permutation(self.samples)
            else:
                order = rng.permutation(np.concatenate([*self._balanced(rng, self.members)]))
            self._epochs[epoch] = order
            while len(self._epochs) > 3:
                self._epochs.popitem(last=False)
        return self._epochs[epoch]

    def _balanced(self, rng: np.random.Generator, members: list[Array]) -> Iterator[Array]:
        """So many of each class; what does not divide evenly goes to random ones."""
        least, rest = divmod(self.samples, len(members))
        more = rng.permutation(len(members)) < rest
        for own, one in zip(members, more, strict=True):
            count = least + int(one)
            rounds = [rng.permutation(own) for _ in range(-(-count // len(own)))]
            yield np.concatenate([own[:0], *rounds])[:count]


class Rolls:
    """The random numbers that change samples, the same wherever and whenever these are prepared.

    Those of a sample depend on the seed, on its place in the run, and on what they are for.
    Iterating gives a generator for each sample.
    """

    def __init__(self, seed: int, places: Array) -> None:
        self.seed = seed
        self.places = np.asarray(places, np.uint64)
        self._keys = _mixed(_mixed(np.full(1, seed % 2**64, np.uint64) + _STEP) ^ self.places)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, part: slice) -> Rolls:
        return Rolls(self.seed, self.places[part])

    def __iter__(self) -> Iterator[np.random.Generator]:
        return map(self.generator, range(len(self)))

    def generator(self, sample: int) -> np.random.Generator:
        """More numbers for one of the samples."""
        return np.random.default_rng((self.seed, 1, int(self.places[sample])))

    def uniform(self, what: str) -> Array:
        """A number from 0 to below 1 for each sample, of float64."""
        salt = np.full(1, crc32(what.encode()), np.uint64) * _STEP
        return (_mixed(self._keys + salt) >> np.uint64(11)) * 2.0**-53

    def below(self, what: str, bounds: Array | int) -> Array:
        """A whole number from 0 to below a bound for each sample."""
        return (self.uniform(what) * bounds).astype(np.int64)

    def between(self, what: str, low: float, high: float) -> Array:
        """A number between two for each sample."""
        return low + (high - low) * self.uniform(what)

    def of_all(self) -> np.random.Generator:
        """The numbers for what changes these samples together."""
        return np.random.default_rng((self.seed, 2, int(self.places[0])))


def _mixed(keys: Array) -> Array:
    """Numbers of 64 bits, mixed as SplitMix64 does (Steele, Lea and Flood, OOPSLA 2014)."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Array = keys ^ (keys >> np.uint64(31))
    return mixed
