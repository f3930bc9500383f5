"""The type of weights, and which names of a file stand for none."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

COUNTERS = ".num_batches_tracked"
"""The end of PyTorch's names for the counters of batch norms, which are no weights."""
