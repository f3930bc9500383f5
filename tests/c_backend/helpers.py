"""Models in C beside those of NumPy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from netspec.codegen.backend import get, load_model
from netspec.ir import Net
from netspec.runtime.verify import random_inputs
from netspec.weights import fresh

QUICK = "-Os -DNETSPEC_ONE_TARGET"
"""Options of the compiler for tests in which speed is no matter."""


def varied(net: Net) -> dict[str, Any]:
    """Weights of a net, all of them random."""
    return fresh(net.tensors, 1, varied=True)


def model(net: Net, weights: Mapping[str, Any] | None = None) -> Any:
    """A model in C whose memory holds NaN where nothing has been written."""
    backend = get("c")
    built = load_model(net, backend)
    backend.set_weights(built, varied(net) if weights is None else weights)
    built.prepare()
    built.workspace[:] = np.nan
    return built


def compare(net: Net, tolerance: float = 1e-5, share: float = 1.0) -> None:
    """Compare a net's outputs in C with those of the NumPy model."""
    weights, inputs, backend = varied(net), random_inputs(net, 3), get("numpy")
    reference = load_model(net, backend)
    backend.set_weights(reference, weights)
    wanted = backend.run(reference, *inputs)
    found = get("c").run(model(net, weights), *inputs)
    values = net.body.outputs
    for value, ours, theirs in zip(values, found, wanted, strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        apart = np.abs(ours.astype(np.float64) - theirs)
        near = apart <= tolerance * np.abs(theirs).max(initial=1e-30)
        assert near.mean() >= share, (value.name, apart.max())


def side_by_side(cases: Sequence[tuple[str, str]]) -> str:
    """A net that has each body and shape as a module with an input of its own."""
    modules, lines, uses = [], [], []
    for i, (body, shape) in enumerate(cases):
        inputs = {"data": shape}
        for name, size in re.findall(r"\binput (\w+): (\S+)", body):
            inputs[name] = size
        body = re.sub(r"\binput \w+: \S+", "", body)
        heads = "\n".join(f"input {name}" for name in inputs)
        modules.append(f"module part{i} {{\n{heads}\n{body}\n}}")
        lines += [f"input {name}_{i}: {size}" for name, size in inputs.items()]
        uses.append(f"use{i}: part{i}({', '.join(f'{name}_{i}' for name in inputs)})")
    outputs = ", ".join(f"use{i}" for i in range(len(cases)))
    net = "\n".join([*lines, *uses, f"output {outputs}"])
    return "\n".join([*modules, f"net every {{\n{net}\n}}\n"])
