"""Glyphs: keypoints of flat marks, which a network trained on photographs hardly sees.

RootSIFT (Lowe, IJCV 2004; Arandjelović and Zisserman, CVPR 2012), its 128 numbers projected to 64.
A mark is as often light on dark as dark on light: that turns every gradient around, so the same
keypoint is described both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.gallery.matching.local_features import CHANNELS
from tapetum.imaging.picture import Picture
from tapetum.signals.context import RequestContext
from tapetum.signals.keypoints import GlyphKeypoints, LocalFeatures

#: Longest side of the copy that is looked at; small pictures are enlarged to it, at most twice.
SIDE = 960
#: Keypoints kept of one picture, those with the highest contrast.
MOST = 1000

#: Of SIFT: 15 instead of 10, because strokes have edges.
_CONTRAST, _EDGE = 0.03, 15

Floats = NDArray[np.float32]


class GlyphDetector:
    """Makes `GlyphKeypoints`."""

    signal = GlyphKeypoints

    def __init__(self) -> None:
        self._projection = projection()

    def max_side(self, width: int, height: int) -> int:
        """The longest side of the copy, never more than the image has."""
        return min(SIDE, max(width, height))

    def detect(
        self, pictures: Sequence[Picture], contexts: Sequence[RequestContext] = ()
    ) -> list[GlyphKeypoints]:
        """One `GlyphKeypoints` per picture."""
        return [self._points(picture) for picture in pictures]

    def _points(self, picture: Picture) -> GlyphKeypoints:
        scale = min(2.0, SIDE / max(picture.width, picture.height))
        columns, rows = (max(1, round(n * scale)) for n in (picture.width, picture.height))
        grey = cv2.cvtColor(picture.resized(columns, rows), cv2.COLOR_RGB2GRAY)
        points, described = rooted(np.asarray(grey, dtype=np.uint8), MOST)
        points = points * np.array(
            [picture.width / columns, picture.height / rows], dtype=np.float32
        )
        size = (picture.width, picture.height)
        return GlyphKeypoints(
            LocalFeatures(points, projected(described, self._projection), size),
            LocalFeatures(points, projected(swapped(described), self._projection), size),
        )


def rooted(grey: NDArray[np.uint8], most: int) -> tuple[Floats, Floats]:
    """The best ``most`` keypoints of ``grey``: ``float32[n, 2]`` x, y and ``float32[n, 128]``."""
    sift = cv2.SIFT.create(nfeatures=most, contrastThreshold=_CONTRAST, edgeThreshold=_EDGE)
    keypoints, described = sift.detectAndCompute(grey, None)
    if described is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32)
    order = sorted(range(len(keypoints)), key=lambda k: (-keypoints[k].response, *keypoints[k].pt))[
        :most
    ]
    points = np.array([keypoints[k].pt for k in order], dtype=np.float32)
    sums = np.abs(described).sum(axis=1, keepdims=True)
    return points, np.sqrt(described / np.maximum(sums, 1e-7), dtype=np.float32)[order]


def swapped(described: Floats) -> Floats:
    """The descriptors of the same keypoints with light and dark swapped.

    Their orientation turns by half a circle and their 4×4 cells with it; directions are relative
    to it and stay.
    """
    cells = described.reshape(-1, 4, 4, 8)[:, ::-1, ::-1]
    return np.ascontiguousarray(cells.reshape(-1, 128))


def projected(described: Floats, basis: Floats) -> Floats:
    """``described`` (``[n, 128]``) in 64 numbers of length 1. ``basis``: ``float32[129, 64]``, the
    last row is what to add."""
    numbers = described @ basis[:-1] + basis[-1]
    lengths = np.linalg.norm(numbers, axis=1, keepdims=True)
    return np.asarray(numbers / np.maximum(lengths, 1e-6), dtype=np.float32)


def projection() -> Floats:
    """The projection that ships with the symbols."""
    with files("tapetum.gallery.shipped").joinpath("symbols.npz").open("rb") as file:
        basis = np.load(file)["basis"]
    return np.asarray(basis, dtype=np.float32).reshape(129, CHANNELS)
