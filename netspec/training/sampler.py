"""Which samples an iteration sees: a function of the seed and the iteration alone.

So a run can go on from any iteration, and processes need not exchange it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np


class Draw(NamedTuple):
    """A sample as one epoch sees it."""

    epoch: int
    sample: int


class Sampler:
    """The samples one after the other, in a new random order each epoch.

    Iterations run across the ends of epochs, so all have `batch` samples.
    """

    def __init__(self, samples: int, batch: int, seed: int) -> None:
        self.samples = samples
        self.batch = batch
        self.seed = seed
        self._epochs: OrderedDict[int, Any] = OrderedDict()

    def draws(self, iteration: int) -> list[Draw]:
        """The samples of an iteration, counted from 0."""
        first = iteration * self.batch
        return [self._draw(place) for place in range(first, first + self.batch)]

    def _draw(self, place: int) -> Draw:
        epoch, position = divmod(place, self.samples)
        if epoch not in self._epochs:
            rng = np.random.default_rng((self.seed, 0, epoch))
            self._epochs[epoch] = rng.permutation(self.samples)
            while len(self._epochs) > 3:
                self._epochs.popitem(last=False)
        return Draw(epoch, int(self._epochs[epoch][position]))


def generator(seed: int, draw: Draw) -> np.random.Generator:
    """The random numbers that change a sample, the same wherever and whenever it is prepared."""
    return np.random.default_rng((seed, 1, draw.epoch, draw.sample))
