"""Nets in Keras beside their NumPy models.

Keras runs on one engine a process: here on PyTorch, on JAX in a process of its own:

    KERAS_BACKEND=jax python -m tests.keras_backend.helpers NET...
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netspec.codegen.backend import get, load_model
from netspec.ir import Net
from netspec.runtime.verify import random_inputs
from netspec.weights import fresh
from tests.backends.nets import BODIES, POOLINGS, net_of, smaller

os.environ.setdefault("KERAS_BACKEND", "torch")

OF_KERAS = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning",  # Keras on PyTorch with NumPy 2
    "ignore:`build..` was called on layer:UserWarning",  # layers that nothing reads
)
LACKING = ("indices", "only_indices", "unpool", "unpool_up", "unpool_stated")
"""Ops on the places of maxima."""


def results(net: Net, name: str, inputs: list[Any]) -> tuple[Any, ...]:
    """What the model of a backend gives, with varied weights."""
    pytest.importorskip("keras", reason="keras is not installed")
    backend = get(name)
    model = load_model(net, backend)
    backend.set_weights(model, fresh(net.tensors, 1, varied=True))
    if name == "keras" and os.environ["KERAS_BACKEND"] == "jax":
        model = Jitted(model)
    return backend.run(model, *inputs)


class Jitted:
    """A model on JAX, compiled as a whole: its operations one by one take JAX much longer."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.variables = model.variables

    def probabilities(self, inputs: Any) -> Any:
        import jax
        import keras

        def computed(values: list[Any], x: Any) -> Any:
            with keras.StatelessScope(state_mapping=zip(self.variables, values, strict=True)):
                return self.model.probabilities(x)

        return jax.jit(computed)([v.value for v in self.variables], inputs)


def difference(net: Net) -> float:
    """The largest difference of the Keras model's outputs to NumPy's, of their largest values."""
    inputs = random_inputs(net, 3)
    found = 0.0
    pairs = zip(results(net, "numpy", inputs), results(net, "keras", inputs), strict=True)
    for wanted, given in pairs:
        assert wanted.shape == given.shape
        apart = np.abs(wanted.astype(np.float64) - given).max(initial=0)
        found = max(found, float(apart / np.abs(wanted).max(initial=1e-30)))
    return found


def _joined() -> dict[str, str]:
    """The bodies that tests of all backends take, in a net for each size of input.

    Each body is a module; bodies with inputs of their own stand alone.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    texts = {}
    for name, (body, shape) in [*BODIES.items(), *[*POOLINGS.items()][::5]]:
        if name in LACKING:
            continue
        if "input " in body:
            texts[name] = f"net single {{ input data: {shape}\n {body} }}"
        else:
            groups[shape].append(body)
    for shape, bodies in groups.items():
        modules = [f"module m{i} {{ input data\n {body} }}" for i, body in enumerate(bodies)]
        uses = [f"a{i}: m{i}(data)" for i in range(len(bodies))]
        outputs = ", ".join(f"a{i}" for i in range(len(bodies)))
        lines = [f"input data: {shape}", *uses, f"output {outputs}"]
        texts[f"bodies {shape}"] = "\n".join([*modules, "net joined {", *lines, "}"])
    # The ends of parts, where a product of a quotient is all but a whole number.
    regions = "input data: 3x30x30\n input r: 4x6x6\n roi_pool(data, r) { size: 3x7  scale: 10 }"
    return {**texts, "regions": f"net regions {{ {regions} }}"}


JOINED = _joined()


def on_jax(nets: Iterable[str]) -> dict[str, float]:
    """The differences of nets (of `JOINED`, or bundled) on JAX."""
    pytest.importorskip("jax", reason="jax is not installed")
    command = [sys.executable, "-m", "tests.keras_backend.helpers", *nets]
    flags = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_backend_optimization_level=0"}
    env = {**os.environ, "KERAS_BACKEND": "jax", **flags}
    root = Path(__file__).parents[2]
    done = subprocess.run(command, env=env, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    named = {n: net_of(JOINED[n]) if n in JOINED else smaller(n) for n in sys.argv[1:]}
    print(json.dumps({name: difference(net) for name, net in named.items()}))
