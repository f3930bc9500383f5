"""The types that kernels speak of."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
At = int | tuple[int, int, int]
Weights = dict[str, Array]
