"""Quadrilaterals as the detectors have them: ``float32`` arrays ``4×2`` of corners, pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Top-left, top-right, bottom-right, bottom-left as the text is read.
Quad = NDArray[np.float32]


def size(quad: Quad) -> tuple[float, float]:
    """Width and height by the sides that meet in the first corner, at least 1."""
    top, side = quad[1] - quad[0], quad[3] - quad[0]
    return max(1.0, float(np.hypot(*top))), max(1.0, float(np.hypot(*side)))


def extent(quad: Quad) -> tuple[float, float]:
    """Width and height, at least 1: of two sides the longer one."""
    top, right, bottom, left = (np.hypot(*(quad[i] - quad[(i + 1) % 4])) for i in range(4))
    return max(1.0, float(max(top, bottom))), max(1.0, float(max(left, right)))
