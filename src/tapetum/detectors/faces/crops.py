"""Levelled square cuts of faces."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

#: Beyond this factor bilinear interpolation skips pixels.
_SHRINKS_MUCH = 2.0
#: Times the wanted size that is left after averaging areas.
_SPARE = 1.5

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Square:
    """A square in a picture, turned so that the eyes of the face in it are level.

    ``x``, ``y``: its centre, ``side``: its length, in pixels of that picture, where the first
    pixel reaches from 0 to 1. ``angle``: radians, clockwise in the image, of its upper side.
    """

    x: float
    y: float
    side: float
    angle: float

    @classmethod
    def around(cls, points: Floats, left: Floats, right: Floats, larger: float) -> Square:
        """``larger`` times the smallest square that holds ``points`` (``n×2``), level along the
        line from ``left`` to ``right`` (x, y)."""
        angle = math.atan2(right[1] - left[1], right[0] - left[0])
        turn = _turn(-angle)
        level = points @ turn.T
        low, high = level.min(axis=0), level.max(axis=0)
        x, y = turn.T @ ((low + high) / 2)
        return cls(float(x), float(y), max(1.0, float((high - low).max()) * larger), angle)

    def cut(self, pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        """The square's content at ``size×size``; beyond the picture its border goes on."""
        if self.side <= _SHRINKS_MUCH * size:
            return self._warped(pixels, size)
        # Only the part around the square is shrunk: a crowd has many squares.
        reach = self.side * math.sqrt(0.5) + 4
        height, width = pixels.shape[:2]
        x0, x1 = _span(self.x, reach, width)
        y0, y1 = _span(self.y, reach, height)
        factor = _SPARE * size / self.side
        columns = max(1, round((x1 - x0) * factor))
        rows = max(1, round((y1 - y0) * factor))
        part = cv2.resize(pixels[y0:y1, x0:x1], (columns, rows), interpolation=cv2.INTER_AREA)
        scale = np.array([columns / (x1 - x0), rows / (y1 - y0)])
        return self._warped(np.asarray(part, dtype=np.uint8), size, np.array([x0, y0]), scale)

    def to_picture(self, points: Floats, size: int) -> Floats:
        """``points`` (``n×2``) of the cut at ``size`` as points of the picture."""
        centred = (points - size / 2) * (self.side / size)
        return np.asarray(centred @ _turn(self.angle).T + [self.x, self.y], dtype=np.float64)

    def _warped(
        self,
        pixels: NDArray[np.uint8],
        size: int,
        origin: Floats | NDArray[np.int64] | None = None,
        scale: Floats | None = None,
    ) -> NDArray[np.uint8]:
        """The cut from ``pixels``, whose corner is at ``origin`` and that are ``scale`` as large
        as the picture."""
        start = np.zeros(2) if origin is None else origin
        zoom = np.ones(2) if scale is None else scale
        # From the cut to ``pixels``; OpenCV counts from the middle of the first pixel.
        to = _turn(self.angle) * (self.side / size) * zoom[:, np.newaxis]
        centre = (np.array([self.x, self.y]) - start) * zoom
        shift = centre - to @ np.full(2, size / 2 - 0.5) - 0.5
        cut = cv2.warpAffine(
            pixels,
            np.concatenate([to, shift[:, np.newaxis]], axis=1),
            (size, size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(cut, dtype=np.uint8)


def _turn(angle: float) -> Floats:
    """Turns column vectors by ``angle`` radians, clockwise where y points down."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def _span(middle: float, reach: float, length: int) -> tuple[int, int]:
    """First and last-but-one pixel within ``reach`` of ``middle``, at least one."""
    first = min(max(math.floor(middle - reach), 0), length - 1)
    last = min(max(math.ceil(middle + reach), first + 1), length)
    return first, last
