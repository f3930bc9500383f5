"""A tiny net, and data that it can learn: which half of a picture is brighter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from netspec.ir import Net, Training
from netspec.training import TrainingOptions, TrainingResult, train

from ..helpers import net_of

LAYERS = """
  input data: 1x6x6 { scale: 1/255 }
  c: conv { filters: 4  kernel: 3 } -> relu
  last: conv { filters: 2  kernel: 1 } -> global_avgpool -> softmax
"""
FIELDS = "learning_rate: 0.5  schedule: poly  batch_size: 8  iterations: 24"


def tiny(fields: str = FIELDS, layers: str = LAYERS) -> Net:
    return net_of(f"net tiny {{ {layers}\n train {{ {fields} }} }}")


def recipe(net: Net) -> Training:
    assert net.training is not None
    return net.training


def pictures(count: int = 40, seed: int = 0) -> tuple[Any, Any]:
    """Grey pictures (N, 6, 6) of bytes, label 1 where the upper half is brighter than the lower."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=count)
    x = rng.integers(0, 120, (count, 6, 6))
    x[:, :3] += (100 * y)[:, None, None]
    x[:, 3:] += (100 * (1 - y))[:, None, None]
    return x.astype(np.uint8), y


def saved(path: Path, count: int = 40) -> Path:
    x, y = pictures(count)
    np.savez(path, x=x, y=y)
    return path


def trained(net: Net, folder: Path, **options: Any) -> TrainingResult:
    """Train on `folder/data.npz`, which is made, into `folder/out`."""
    data = folder / "data.npz"
    if not data.exists():
        saved(data)
    given: dict[str, Any] = {"data": data, "out": folder / "out", "quiet": True, **options}
    return train(net, recipe(net), TrainingOptions(**given))
