"""Photo statistics: whether a picture has the build of a photograph at all."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PhotoStatistics:
    """Two shares, 0..1, of a small copy of the whole picture.

    ``flatness``: the share of pixels that differ from their neighbours by at most two levels of
    255. A drawn screen or chart is near 1; a photograph is mostly below 0.5 for its grain.

    ``composition``: how much of the picture's variation is left when it is seen as 8×8 squares.
    A photograph of something has light and dark parts (0.4 and more on some 500 photographs);
    noise, stripes and the letters of a page are the same everywhere (0.0 to 0.3). It is 0 where
    all is one colour.
    """

    flatness: float
    composition: float
