"""Captions: how much lettering a picture carries and where, unread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Captions:
    """Lines of lettering in reading order from the top, as seen at low resolution.

    ``quads``: ``float32[n, 4, 2]``, corners x, y in pixels of the full-size upright image:
    top-left, top-right, bottom-right, bottom-left; may reach outside. ``share``: 0..1, the area of
    all lines together over the picture's.
    """

    quads: NDArray[np.float32]
    share: float
