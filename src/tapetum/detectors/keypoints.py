"""Keypoints: places of a picture that are found again in another picture of the same thing.

XFeat (Potje et al., "XFeat: Accelerated Features for Lightweight Image Matching", CVPR 2024): one
small network gives a map of keypoints, a map of how reliable each place is, and a map of
descriptors. Selection and sampling here are those of the published code, in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.gallery.matching.local_features import CHANNELS
from tapetum.imaging.picture import Picture
from tapetum.models.session import Sessions
from tapetum.signals.context import RequestContext
from tapetum.signals.keypoints import Keypoints, LocalFeatures

WEIGHTS = "xfeat"
#: Longest side of the copy that is looked at, pixels.
SIDE = 640
#: Keypoints kept of one picture, those with the highest scores.
MOST = 1500

#: Pixels of the copy per entry of the network's maps.
_CELL = 8
#: Both sides of the copy are multiples of this.
_MULTIPLE = 32
#: Of the keypoint map; the published default.
_THRESHOLD = 0.05
#: Pixels: one keypoint, the highest, in such a square.
_WINDOW = 5
#: A small picture is enlarged at most so many times.
_LARGER = 4.0
#: The free number of the cubic kernel that the network's users sample with.
_CUBIC = -0.75
#: Standard deviation of grey levels below which a picture shows nothing.
_FLAT = 1.0

Floats = NDArray[np.float32]


class KeypointDetector:
    """Makes `Keypoints` with the manifest's ``xfeat``."""

    signal = Keypoints

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def max_side(self, width: int, height: int) -> int:
        """The longest side of the copy."""
        return min(SIDE, max(width, height))

    def detect(
        self, pictures: Sequence[Picture], contexts: Sequence[RequestContext] = ()
    ) -> list[Keypoints]:
        """One `Keypoints` per picture, without any where there is nothing to see.

        Raises `tapetum.errors.ModelError` when the network is unusable.
        """
        return [self._keypoints(picture) for picture in pictures]

    def _keypoints(self, picture: Picture) -> Keypoints:
        columns, rows = copy_size(picture.width, picture.height)
        pixels = picture.resized(columns, rows)
        size = (picture.width, picture.height)
        if float(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).std()) < _FLAT:
            nothing = np.zeros((0, 2), dtype=np.float32)
            return Keypoints(LocalFeatures(nothing, np.zeros((0, CHANNELS), np.float32), size))
        scale = np.array([picture.width / columns, picture.height / rows], dtype=np.float32)
        session = self._sessions.load(WEIGHTS)
        outputs = dict(zip(session.outputs, session.run(network_input(pixels)), strict=True))
        places = _select(_heat(outputs["keypoints"][0]), outputs["reliability"][0, 0])
        descriptors = _sampled(_normalized(outputs["features"][0]), places, (columns, rows))
        # The centre of the copy's pixel (x, y) is at (x + 0.5, y + 0.5) of its width and height.
        points = (places.astype(np.float32) + 0.5) * scale - 0.5
        return Keypoints(LocalFeatures(points, descriptors, size))


def copy_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the copy that is looked at, multiples of 32, longest side 640."""
    scale = min(_LARGER, SIDE / max(width, height))
    wide, high = (
        max(_MULTIPLE, int(length * scale + 0.5) // _MULTIPLE * _MULTIPLE)
        for length in (width, height)
    )
    return wide, high


def network_input(pixels: NDArray[np.uint8]) -> Floats:
    """``float32[1, 3, h, w]``, RGB, 0..1."""
    scaled = np.asarray(pixels, dtype=np.float32) / 255
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[np.newaxis])


def _heat(logits: Floats) -> Floats:
    """``float32[8h, 8w]``, how much of a keypoint each pixel is, from logits ``[65, h, w]``.

    Each entry's 65 are its 8×8 pixels and "none of them".
    """
    exponentials = np.exp(logits - logits.max(axis=0))
    chances = exponentials[:64] / exponentials.sum(axis=0)
    rows, columns = logits.shape[1:]
    cells = chances.reshape(_CELL, _CELL, rows, columns).transpose(2, 0, 3, 1)
    return np.ascontiguousarray(cells.reshape(rows * _CELL, columns * _CELL))


def _select(heat: Floats, reliability: Floats) -> NDArray[np.intp]:
    """x and y of the keypoints (``intp[n, 2]``): the highest of their square of the heat, by its
    product with reliability (``[h, w]``). Equal ones keep the order of reading."""
    highest = cv2.dilate(heat, np.ones((_WINDOW, _WINDOW), dtype=np.uint8))
    y, x = np.nonzero((heat == highest) & (heat > _THRESHOLD))
    rows, columns = heat.shape
    # The published sampling falls off the map at the last row and column.
    inside = (x < columns - 1) & (y < rows - 1)
    x, y = x[inside], y[inside]
    places = np.stack([x, y], axis=1)
    trust = _sampled(reliability[np.newaxis], places, (columns, rows), linear=True)[:, 0]
    scores = heat[y, x] * trust
    order = np.argsort(-scores, kind="stable")[:MOST]
    return np.asarray(places[order[scores[order] > 0]], dtype=np.intp)


def _sampled(
    maps: Floats, places: NDArray[np.intp], size: tuple[int, int], *, linear: bool = False
) -> Floats:
    """``maps`` (``[c, h, w]``) at ``places`` of a picture of ``size`` (width, height), zeros
    beyond the border: ``float32[n, c]``, bilinear as it is, or bicubic and of length 1."""
    _, rows, columns = maps.shape
    # Positions run over W - 1 but entries over W: the published code's mapping, kept for parity.
    last = np.array(size, dtype=np.float32) - 1
    at = places / last * np.array([columns, rows], dtype=np.float32) - 0.5
    low = np.floor(at).astype(np.intp)
    taps, reach = (2, 0) if linear else (4, 1)
    margin = 2
    padded = np.zeros((rows + 2 * margin, columns + 2 * margin, len(maps)), dtype=np.float32)
    padded[margin:-margin, margin:-margin] = maps.transpose(1, 2, 0)
    weights = (_linear if linear else _cubic)((at - low).astype(np.float32))
    corner = low - reach + margin
    total = np.zeros((len(places), len(maps)), dtype=np.float32)
    for j in range(taps):
        for i in range(taps):
            weight = weights[i][:, 0] * weights[j][:, 1]
            total += weight[:, np.newaxis] * padded[corner[:, 1] + j, corner[:, 0] + i]
    return total if linear else _unit(total)


def _linear(part: Floats) -> list[Floats]:
    return [1 - part, part]


def _cubic(part: Floats) -> list[Floats]:
    """Weights of the four entries around a place ``part`` (0..1) behind the second of them."""

    def near(x: Floats) -> Floats:
        return np.asarray(((_CUBIC + 2) * x - (_CUBIC + 3)) * x * x + 1)

    def far(x: Floats) -> Floats:
        return np.asarray(((_CUBIC * x - 5 * _CUBIC) * x + 8 * _CUBIC) * x - 4 * _CUBIC)

    return [far(part + 1), near(part), near(1 - part), far(2 - part)]


def _normalized(features: Floats) -> Floats:
    """``features`` (``[64, h, w]``) of length 1 at each place."""
    return np.asarray(features / np.maximum(np.linalg.norm(features, axis=0), 1e-12))


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
