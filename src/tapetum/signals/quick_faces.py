"""Quick faces: the large faces of a picture, and whether they smile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class QuickFaces:
    """Large faces by falling size: what a picture is about, if it is about faces.

    ``boxes``: ``float32[n, 4]``, x0 y0 x1 y1 in pixels of the full-size upright image; may reach
    outside. ``confidences``: ``float32[n]``, 0..1, that each is a face. ``happy``: ``float32[m]``,
    0..1, probability that a face is happy, of the first m faces; the others were not looked at.
    """

    boxes: NDArray[np.float32]
    confidences: NDArray[np.float32]
    happy: NDArray[np.float32]
