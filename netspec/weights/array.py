"""The type of weights, and the names in files that are no weights."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

COUNTERS = ".num_batches_tracked"
"""The end of PyTorch's names for the counters of batch norms, which are no weights."""
