"""Where faces are: boxes and five points, by CenterFace.

Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2019. The network
answers at a quarter of its input's size: a heat map of face centres, the logarithm of each face's
height and width in cells, the centre's offset inside its cell, and five points in units of the
box.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.models.session import Session, Sessions

WEIGHTS = "centerface"
#: Lowest score reported. On the development set 0.98 of such boxes from 24 pixels were faces.
SURE = 0.5

#: The network's input is a multiple of this.
_STRIDE = 32
#: Input pixels per cell of the answer.
_CELL = 4
#: Boxes that overlap more than this (IoU) are one face.
_SAME = 0.3
#: A box of which more than this lies in a better one, or the reverse, too.
_INSIDE = 0.8
#: Boxes that enter the suppression; more are not faces but a failure.
_MOST = 1000

#: Of the first look, at most.
_FIRST_PIXELS = 1024 * 1024
#: Of the first look, for large faces.
_HALVINGS = 2
#: Pixels: smaller faces of a halved look were seen better in the one before.
_LARGE = 64.0
#: Of the closer look, at most.
_CLOSER_PIXELS = 8 * _FIRST_PIXELS
#: A closer look that gains less on a side is not worth its time.
_CLOSER = 1.25
#: Pixels of the first look: a face this small has neighbours that were missed.
_SMALL = 32.0
#: Score at which a small box calls for a closer look.
_MAYBE = 0.3
#: Pixels, the side of a tile of the closer look.
_TILE = 1024
#: Of neighbouring tiles: a face no larger is whole in one of them.
_OVERLAP = 128
#: A box this near to a cut is cut.
_EDGE = 2.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FaceBox:
    """One face as the detector sees it, in pixels of the picture it was looked for in.

    ``box``: x0, y0, x1, y1, forehead and chin included; may reach outside the picture.
    ``points``: ``float64[5, 2]``, x and y of the eyes, the nose and the corners of the mouth, the
    viewer's left one first. ``score``: 0..1, height of the heat map; tops out near 0.95.
    """

    box: tuple[float, float, float, float]
    points: Floats
    score: float


class FaceFinder:
    """Finds faces with the manifest's ``centerface``.

    Every picture gets a first look of at most a megapixel, and is seen again at half and a quarter
    of that: the network is weak on faces above 200 pixels and blind to those near 1000 (on the
    development portraits enlarged to 1024 pixels it saw 15 of 69 in one look, 69 in three; nothing
    else changed). Where that shows small faces and the picture holds more detail, it is looked at
    again in overlapping tiles at its own scale: so faces from 24 pixels are found in a group
    photo of up to eight megapixels, and from 24 pixels of a half or a third of a larger one,
    while a portrait costs little.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def find(self, pixels: NDArray[np.uint8], lowest: float = SURE) -> list[FaceBox]:
        """Faces from score ``lowest`` in ``pixels`` (``uint8 H×W×3`` RGB), best first.

        Raises `tapetum.errors.ModelError` when the weights are missing or not the manifest's.
        """
        session = self._sessions.load(WEIGHTS)
        height, width = pixels.shape[:2]
        columns, rows = first_size(width, height)
        small = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA)
        faces = _first(session, np.asarray(small, dtype=np.uint8), min(lowest, _MAYBE))
        sides = _sides(faces)
        scale = np.array([width / columns, height / rows])
        faces[:, :-1] *= np.tile(scale, 7)
        is_crowd = (sides[faces[:, -1] >= _MAYBE] < _SMALL).any()
        if is_crowd and scale.max() >= _CLOSER:
            faces = np.concatenate([faces, *_closer(session, pixels, lowest)])
        faces = suppressed(faces[faces[:, -1] >= lowest])
        return [
            FaceBox(
                (float(row[0]), float(row[1]), float(row[2]), float(row[3])),
                row[4:14].reshape(5, 2),
                float(row[14]),
            )
            for row in faces
        ]


def first_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the first look at a picture of ``width×height``."""
    scale = min(1.0, math.sqrt(_FIRST_PIXELS / (width * height)))
    return max(1, round(width * scale)), max(1, round(height * scale))


def closer_size(width: int, height: int) -> tuple[int, int]:
    """Width and height at which a picture of ``width×height`` is wanted: all that can be used.

    Whole, a half, a third ...: JPEG is decoded at a half for less, and averaging whole pixels is
    ten times as fast as averaging parts of them.
    """
    part = max(1, math.ceil(math.sqrt(width * height / _CLOSER_PIXELS)))
    return -(-width // part), -(-height // part)


def _first(session: Session, pixels: NDArray[np.uint8], lowest: float) -> Floats:
    """What a picture shows at its own scale and, of large faces, at smaller ones."""
    looks = [look(session, pixels, lowest)]
    height, width = pixels.shape[:2]
    for halvings in range(1, _HALVINGS + 1):
        columns, rows = max(1, width >> halvings), max(1, height >> halvings)
        if max(columns, rows) < _LARGE:
            break
        pixels = np.asarray(
            cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA), dtype=np.uint8
        )
        faces = look(session, pixels, lowest)
        faces = faces[_sides(faces) >= _LARGE]
        faces[:, :-1] *= np.tile([width / columns, height / rows], 7)
        looks.append(faces)
    return np.concatenate(looks)


def _sides(faces: Floats) -> Floats:
    """The longer side of each box."""
    return np.maximum(faces[:, 2] - faces[:, 0], faces[:, 3] - faces[:, 1])


def _closer(session: Session, pixels: NDArray[np.uint8], lowest: float) -> Iterator[Floats]:
    """What each tile shows, in pixels of the whole, less what a cut went through."""
    height, width = pixels.shape[:2]
    for y0, y1 in _cuts(height):
        for x0, x1 in _cuts(width):
            faces = look(session, pixels[y0:y1, x0:x1], lowest)
            faces[:, :-1] += np.tile([float(x0), float(y0)], 7)
            left, top, right, bottom = faces[:, :4].T
            whole = (
                ((left > x0 + _EDGE) | (x0 == 0))
                & ((top > y0 + _EDGE) | (y0 == 0))
                & ((right < x1 - _EDGE) | (x1 == width))
                & ((bottom < y1 - _EDGE) | (y1 == height))
            )
            yield faces[whole & (_sides(faces) <= _OVERLAP)]


def _cuts(length: int) -> list[tuple[int, int]]:
    """First and last-but-one pixel of the tiles along a side of ``length`` pixels."""
    count = max(1, math.ceil((length - _OVERLAP) / (_TILE - _OVERLAP)))
    size = min(length, math.ceil((length + (count - 1) * _OVERLAP) / count))
    starts = np.linspace(0, length - size, count).round().astype(int)
    return [(int(start), int(start) + size) for start in starts]


def look(session: Session, pixels: NDArray[np.uint8], lowest: float) -> Floats:
    """``float64[n, 15]``: box, five points and score of each face from score ``lowest``.

    ``pixels`` (``uint8 H×W×3`` RGB) are seen at their own scale, padded with black to the right
    and below. Best first, none twice.
    """
    height, width = pixels.shape[:2]
    padded = np.zeros((_up(height), _up(width), 3), dtype=np.float32)
    padded[:height, :width] = pixels
    heat, scale, offset, points = session.run(
        np.ascontiguousarray(padded.transpose(2, 0, 1)[np.newaxis])
    )
    return suppressed(_decoded(heat[0, 0], scale[0], offset[0], points[0], lowest))


def _up(length: int) -> int:
    return -(-length // _STRIDE) * _STRIDE


def _decoded(
    heat: NDArray[np.float32],
    scale: NDArray[np.float32],
    offset: NDArray[np.float32],
    points: NDArray[np.float32],
    lowest: float,
) -> Floats:
    """The rows of `look` from the network's maps, before suppression."""
    y, x = np.nonzero(heat >= lowest)
    scores = heat[y, x].astype(np.float64)
    best = np.argsort(-scores, kind="stable")[:_MOST]
    y, x, scores = y[best], x[best], scores[best]
    heights, widths = np.exp(scale[:, y, x].astype(np.float64)) * _CELL
    top = (y + offset[0, y, x] + 0.5) * _CELL - heights / 2
    left = (x + offset[1, y, x] + 0.5) * _CELL - widths / 2
    rows = np.empty((len(scores), 15))
    rows[:, :4] = np.stack([left, top, left + widths, top + heights], axis=1)
    # The network gives y before x, in units of the box.
    at = points[:, y, x].astype(np.float64)
    rows[:, 4:14:2] = (left + at[1::2] * widths).T
    rows[:, 5:14:2] = (top + at[0::2] * heights).T
    rows[:, 14] = scores
    return rows


def suppressed(rows: Floats) -> Floats:
    """``rows`` of `look`, best first, without those that overlap a better one."""
    rows = rows[np.argsort(-rows[:, -1], kind="stable")]
    left, top, right, bottom = rows[:, :4].T
    areas = (right - left) * (bottom - top)
    kept: list[int] = []
    open_ = np.ones(len(rows), dtype=bool)
    for i in range(len(rows)):
        if not open_[i]:
            continue
        kept.append(i)
        wide = np.minimum(right[i], right) - np.maximum(left[i], left)
        high = np.minimum(bottom[i], bottom) - np.maximum(top[i], top)
        shared = np.maximum(wide, 0) * np.maximum(high, 0)
        open_ &= shared <= _SAME * (areas[i] + areas - shared)
        open_ &= shared <= _INSIDE * np.minimum(areas[i], areas)
    return rows[kept]
