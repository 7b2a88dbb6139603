"""Local features of a picture: kept as bytes, matched with another picture's, verified by geometry.

Two pictures show the same flat thing, or the same thing from far enough, when many of their
keypoints pair up and one homography carries them over.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.errors import InvalidGallery
from tapetum.signals.keypoints import LocalFeatures

#: Numbers of a descriptor that is kept as bytes.
CHANNELS = 64

#: Of the packed bytes.
_FORMAT = 1
#: Format, width, height, count.
_HEADER = struct.Struct("<BIIH")
#: Keypoints that packed bytes may hold.
_MOST = 4096
#: Of a packed coordinate along a side.
_STEPS = 65535
#: A descriptor's numbers beyond this are cut off; in practice there are none.
_REACH = 0.5
_LEVELS = 127

#: Pixels of the longest side in which geometry is judged.
_SIDE = 640
#: Pixels of those that a keypoint may be off.
_TOLERANCE = 4.0
#: Pairs below which no homography is tried: four fit always.
_LEAST = 5
_ROUNDS, _CONFIDENCE = 2000, 0.999
#: A homography that turns a square into something longer than this is no view of it.
_SQUASH = 12.0
#: How many times the area may grow.
_SMALLEST, _LARGEST = 1e-3, 1e3

Floats = NDArray[np.float32]


def packed(features: LocalFeatures, most: int = _MOST) -> bytes:
    """The best ``most`` keypoints in 68 bytes each: positions in 16 bits, descriptors in 8."""
    count = min(len(features), most, _MOST)
    steps = features.points[:count] / np.array(features.size) * _STEPS
    places = np.clip(np.round(steps), 0, _STEPS).astype("<u2")
    levels = np.clip(features.descriptors[:count] / _REACH, -1, 1) * _LEVELS
    width, height = features.size
    vectors = np.round(levels).astype(np.int8)
    parts = _HEADER.pack(_FORMAT, width, height, count), places.tobytes(), vectors.tobytes()
    return b"".join(parts)


def unpacked(content: bytes) -> LocalFeatures:
    """What `packed` kept. Raises `InvalidGallery` for bytes it did not make."""
    if len(content) < _HEADER.size:
        raise InvalidGallery("Local features are too short to be any: add the image again.")
    form, width, height, count = _HEADER.unpack_from(content)
    places_end = _HEADER.size + count * 4
    is_whole = len(content) == places_end + count * CHANNELS and count <= _MOST
    if form != _FORMAT or not is_whole or not width or not height:
        raise InvalidGallery(
            f"Local features of format {form}, {len(content)} bytes for {count} keypoints, "
            "are not of this version: add the image again."
        )
    places = np.frombuffer(content[_HEADER.size : places_end], dtype="<u2").reshape(-1, 2)
    levels = np.frombuffer(content[places_end:], dtype=np.int8).reshape(-1, CHANNELS)
    vectors = levels.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    step = np.array([width, height], dtype=np.float32) / np.float32(_STEPS)
    points = np.asarray(places * step, dtype=np.float32)
    unit = np.asarray(vectors / np.maximum(lengths, 1e-6), dtype=np.float32)
    return LocalFeatures(points, unit, (width, height))


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """How two pictures agree.

    ``homography``: ``float64[3, 3]``, from pixels of the first picture to pixels of the second.
    ``first``, ``second``: ``float32[n, 2]``, the n keypoints it carries over, at most one per
    pixel, in pixels of either picture.
    """

    homography: NDArray[np.float64]
    first: Floats
    second: Floats

    @property
    def inliers(self) -> int:
        return len(self.first)


def paired(
    first: LocalFeatures, second: LocalFeatures, similarity: float = 0.0
) -> NDArray[np.intp]:
    """``intp[n, 2]``: the keypoints of either picture that are each other's most similar, by at
    least ``similarity`` (cosine)."""
    if not len(first) or not len(second):
        return np.zeros((0, 2), dtype=np.intp)
    cosines = first.descriptors @ second.descriptors.T
    forward, back = cosines.argmax(axis=1), cosines.argmax(axis=0)
    own = np.arange(len(forward))
    mutual = (back[forward] == own) & (cosines[own, forward] >= similarity)
    return np.stack([own[mutual], forward[mutual]], axis=1)


def verified(first: LocalFeatures, second: LocalFeatures, similarity: float = 0.0) -> Match | None:
    """The homography that most pairs agree on (MAGSAC++, Barath et al., CVPR 2020), or none.

    The same pictures give the same answer: OpenCV's sampler starts from a fixed state.
    """
    pairs = paired(first, second, similarity)
    if len(pairs) < _LEAST:
        return None
    here, there = first.points[pairs[:, 0]], second.points[pairs[:, 1]]
    near, far = _scale(first.size), _scale(second.size)
    a, b = here * near, there * far
    estimate, mask = cv2.findHomography(
        a, b, cv2.USAC_MAGSAC, _TOLERANCE, maxIters=_ROUNDS, confidence=_CONFIDENCE
    )
    if estimate is None or mask is None:
        return None
    homography = np.asarray(estimate, dtype=np.float64)
    agree = mask.ravel().astype(bool)
    agree &= _apart(a, agree) & _apart(b, agree)
    if agree.sum() < _LEAST or not _is_view(homography, a[agree]):
        return None
    scaled = np.diag([1 / far, 1 / far, 1]) @ homography @ np.diag([near, near, 1])
    return Match(scaled / scaled[2, 2], here[agree], there[agree])


def _scale(size: tuple[int, int]) -> float:
    return _SIDE / max(size)


def _apart(points: Floats, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The ``wanted`` of ``points`` without those that share a pixel with an earlier one."""
    chosen = np.flatnonzero(wanted)
    _, firsts = np.unique(np.round(points[chosen]), axis=0, return_index=True)
    apart = np.zeros(len(points), dtype=bool)
    apart[chosen[firsts]] = True
    return apart


def _is_view(homography: NDArray[np.float64], points: Floats) -> bool:
    """Whether ``homography`` could be one flat thing seen twice around ``points``: not mirrored,
    not turned inside out, not squashed to a line."""
    centre = points.mean(axis=0)
    reach = max(1.0, float(np.abs(points - centre).max()))
    square = centre + reach * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float32)
    depth = np.c_[square, np.ones(4)] @ homography[2]
    if (depth <= 0).any() and (depth >= 0).any():
        return False
    corners = cv2.perspectiveTransform(square[np.newaxis].astype(np.float64), homography)[0]
    corners = np.asarray(corners, dtype=np.float32)
    area = cv2.contourArea(corners, oriented=True) / (4 * reach * reach)
    if not _SMALLEST < area < _LARGEST or not cv2.isContourConvex(corners):
        return False
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
    return bool(sides.max() < _SQUASH * sides.min())
