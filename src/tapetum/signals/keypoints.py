"""Keypoints: places of a picture that are found again in another picture of the same thing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class LocalFeatures:
    """``points``: ``float32[n, 2]``, x and y in pixels of the full-size upright image of ``size``
    (width, height). ``descriptors``: ``float32[n, c]``, each of length 1; a high cosine says that
    two show the same. Best keypoints first.
    """

    points: NDArray[np.float32]
    descriptors: NDArray[np.float32]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True, slots=True, eq=False)
class Keypoints:
    """``features``: keypoints by falling score, how likely a place is found again."""

    features: LocalFeatures


@dataclass(frozen=True, slots=True, eq=False)
class GlyphKeypoints:
    """Keypoints of flat marks, as they are, and as they would be with light and dark swapped: the
    same points, other descriptors. A mark is as often light on dark as dark on light."""

    plain: LocalFeatures
    swapped: LocalFeatures
