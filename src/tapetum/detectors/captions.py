"""Captions: how much lettering a picture carries and where, at a glance and unread.

The network of the text detector on a copy of 110,000 pixels, a fifth of the first look that reading
takes. It tells a page from a picture and finds lettering of about a twentieth of the picture's
height; the small print of a photograph is not seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tapetum.detectors.text.lines import LineFinder
from tapetum.imaging.picture import Picture
from tapetum.models.session import Sessions
from tapetum.signals.captions import Captions
from tapetum.signals.context import RequestContext

#: Of the copy. At 320 pixels on the long side a typewritten page and two dark screens of the
#: development set showed no lines at all.
MOST_PIXELS = 384 * 288
#: Of the copy: a strip keeps letters.
LONGEST_SIDE = 1024
#: Of the picture's height: fur, foliage and façades look like a "line" of half the picture.
TALLEST = 0.2
#: A picture so many times as wide as high may be one line of text, as high as itself.
STRIP = 3.0


class CaptionDetector:
    """Makes `Captions` with the manifest's ``ppocr-v6-detector``, at a fifth of what a look for
    text to read costs.

    What is found is counted, never read: lettering here does not mean that a word can be made out.
    """

    signal = Captions

    def __init__(self, sessions: Sessions) -> None:
        self._lines = LineFinder(sessions)

    def max_side(self, width: int, height: int) -> int:
        """The longest side of the copy."""
        return max(copy_size(width, height))

    def detect(
        self, pictures: Sequence[Picture], contexts: Sequence[RequestContext] = ()
    ) -> list[Captions]:
        """One `Captions` per picture.

        Raises `tapetum.errors.ModelError` when the network is unusable.
        """
        return [self._captions(picture) for picture in pictures]

    def _captions(self, picture: Picture) -> Captions:
        columns, rows = copy_size(picture.width, picture.height)
        # Other detectors may have asked for a larger picture: what is found must not depend on it.
        small = picture.resized(columns, rows)
        quads = [
            quad
            for quad in self._lines.find_at(small, columns, rows)
            if columns >= STRIP * rows or np.hypot(*(quad[3] - quad[0])) <= TALLEST * rows
        ]
        if not quads:
            return Captions(np.zeros((0, 4, 2), dtype=np.float32), 0.0)
        lines = np.stack(quads)
        x, y = lines.mean(axis=1).T
        lines = lines[np.lexsort((x, y))]
        along, across = (lines[:, 1] - lines[:, 0]), (lines[:, 3] - lines[:, 0])
        area = float((np.hypot(*along.T) * np.hypot(*across.T)).sum())
        scale = np.array([picture.width / columns, picture.height / rows], dtype=np.float32)
        return Captions(lines * scale, min(1.0, area / (columns * rows)))


def copy_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the copy that is looked at; never larger than the image."""
    scale = min(1.0, math.sqrt(MOST_PIXELS / (width * height)), LONGEST_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
