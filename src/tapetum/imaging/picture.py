"""A decoded picture: what every detector looks at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Picture:
    """Upright pixels, decoded once, possibly smaller than the image they come from.

    ``pixels`` is ``uint8`` RGB ``H×W×3``, already turned upright (EXIF) and laid over white where
    it was transparent. ``width`` and ``height`` are those of the full-size upright image, in
    pixels: every coordinate a detector returns is in that frame. Treat ``pixels`` as read-only.
    What a request says of a picture beside its pixels is a `tapetum.signals.context` of its own.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int

    def resized(self, width: int, height: int) -> NDArray[np.uint8]:
        """``pixels`` at ``height×width``: area averaging when smaller, bicubic when larger."""
        import cv2  # noqa: PLC0415 (a process that only handles pictures has no need of it)

        rows, columns = self.pixels.shape[:2]
        if (columns, rows) == (width, height):
            return self.pixels
        shrinks = width * height < columns * rows
        way = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        resized = cv2.resize(self.pixels, (width, height), interpolation=way)
        return np.asarray(resized, dtype=np.uint8)
