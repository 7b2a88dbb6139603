"""Saliency: how much each part of a picture stands out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Saliency:
    """``importance``: ``float32[h, w]``, a coarse map in the shape of the picture; non-negative,
    sums to 1. Each entry is the importance of that part of the whole picture."""

    importance: NDArray[np.float32]
