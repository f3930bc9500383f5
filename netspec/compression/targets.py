"""The pruning that makes a file no larger than it may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cache

import numpy as np

from netspec.compression.codebooks import Start
from netspec.compression.tensors import compressed, weights_of
from netspec.diagnostics import spec_error
from netspec.ir import Net
from netspec.lazy_dataclasses import replace
from netspec.metrics.compression import Compression, LayerRule
from netspec.weights.array import Array

SHARES = tuple(Fraction(n, 100) for n in (30, 50, 60, 70, 80, 85, 90, 95))
"""The sparsities at which layers are looked at."""
THRESHOLDS = np.linspace(0, 4, 513)
"""Multiples of the standard deviation up to which weights are left out."""
Loss = Callable[[Mapping[str, Array]], float]
Watch = Callable[[int, int], None]
Sensitivity = Mapping[str, Sequence[float]]
"""By layer, how much larger the loss is at each of SHARES where this layer alone is pruned."""


def for_size(
    net: Net,
    arrays: Mapping[str, Array],
    plan: Compression,
    size: int,
    start: Start = "density",
    sensitivity: Sensitivity | None = None,
) -> Compression:
    """A plan with the least pruning that makes a file of at most `size` bytes.

    Layers are pruned up to one multiple of their weights' standard deviation, or by their
    `sensitivity`: where a byte costs the least loss first. Raises SpecError (bad-option) where no
    pruning makes the file as small.
    """
    steps = _steps_of(net, arrays, plan, sensitivity)

    @cache
    def at(step: int) -> tuple[Compression, int]:
        rules = [LayerRule(path, share) for path, share in steps[step].items()]
        found = replace(plan, sparsity=(*plan.sparsity, *rules))
        return found, len(compressed(net, arrays, found, start).content(net.name))

    low, high = 0, len(steps) - 1
    _, least = at(high)
    if least > size:
        message = (
            f"{net.name} can't be made {size:,} bytes: {least:,} are the least with these bits"
        )
        raise spec_error("bad-option", message, help=("give fewer `--bits`",))
    while low < high:
        middle = (low + high) // 2
        if at(middle)[1] > size:
            low = middle + 1
        else:
            high = middle
    return at(high)[0]


def _steps_of(
    net: Net, arrays: Mapping[str, Array], plan: Compression, sensitivity: Sensitivity | None
) -> list[dict[str, Fraction]]:
    """Sparsities by layer, each list entry pruning more than the one before."""
    layers = [(layer.path, names) for layer, _, names in weights_of(net, plan)]
    if sensitivity is None:
        sorted_ = {
            path: np.sort(np.abs(np.concatenate([arrays[n].reshape(-1) for n in names])))
            for path, names in layers
        }
        spread = {p: float(np.sqrt(np.mean(np.square(v)))) for p, v in sorted_.items()}
        found = []
        for threshold in THRESHOLDS:
            below = {p: np.searchsorted(v, threshold * spread[p]) for p, v in sorted_.items()}
            shares = {p: Fraction(int(n), len(sorted_[p])) for p, n in below.items()}
            found.append({p: min(s, Fraction(99, 100)) for p, s in shares.items()})
        return found
    shares = dict.fromkeys((path for path, _ in layers), Fraction(0))
    sizes = {path: sum(arrays[n].size for n in names) for path, names in layers}
    steps = [
        (max(loss, 0.0), path, share)
        for path, losses in sensitivity.items()
        for loss, share in zip(_rising(losses), SHARES, strict=True)
    ]
    found = [dict(shares)]
    # The loss that a weight left out costs, so that large layers go first where all cost as much.
    for _, path, share in sorted(steps, key=lambda s: (s[0] / (sizes[s[1]] * s[2]), s[2])):
        shares[path] = max(shares[path], share)
        found.append(dict(shares))
    return found


def _rising(losses: Sequence[float]) -> Sequence[float]:
    return list(np.maximum.accumulate(losses))


def scan(
    net: Net,
    arrays: Mapping[str, Array],
    plan: Compression,
    loss: Loss,
    watch: Watch = lambda done, total: None,
) -> Sensitivity:
    """How much each layer's pruning adds to the loss of the net, at each of SHARES."""
    layers = [layer.path for layer, _, _ in weights_of(net, plan)]
    before = loss(arrays)
    found: dict[str, list[float]] = {}
    for i, path in enumerate(layers):
        found[path] = []
        for j, share in enumerate(SHARES):
            alone = Compression((LayerRule(path, share),))
            tensors = compressed(net, arrays, alone, exact=True).tensors
            changed = {n: np.asarray(tensors[n]) for n in arrays}
            found[path].append(loss(changed) - before)
            watch(i * len(SHARES) + j + 1, len(layers) * len(SHARES))
    return found
