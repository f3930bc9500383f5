"""Programs over tensors, drawn at random: the net computes what PyTorch computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.importers.tensors.programs import RandomProgram, computed, interpreted, net_of

SEEDS = 40


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_net_computes_what_its_program_does(seed: int) -> None:
    drawn = RandomProgram(seed)
    for _ in range(3 + seed % 8):
        drawn.step()
    program = drawn.program()
    net, weights, found = net_of(program)
    if net is None:
        # What can't be said is an error with a place, and no other kind of error.
        (error,) = found
        assert error.code in ("unsupported-layer", "missing-value")
        return
    x = np.random.default_rng(seed).normal(0, 1, drawn.input.shape).astype(np.float32)
    (wanted,) = interpreted(program, torch.from_numpy(x))
    result = computed(net, weights, x)
    assert np.prod(result.shape) == np.prod(wanted.shape)
    np.testing.assert_allclose(
        result.reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-4 * float(abs(wanted).max() + 1e-6)
    )
