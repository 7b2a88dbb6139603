"""Vertical writing: columns of Chinese or Japanese characters, read from top to bottom.

The recogniser reads such a column when it is laid on its side, as it reads a line of a page that
is turned, so reading alone does not tell the one from the other. Standing the characters up one by
one does: of a vertical column that makes a level line, which is read as well as before; of a
turned page it makes characters that lie on their other side, which the network never learnt.
"""

from __future__ import annotations

from collections.abc import Iterable
from unicodedata import east_asian_width

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.layout.scripts import block_of

#: Pixels along the line that are taken for a character at least.
NARROWEST = 4


def may_be_vertical(text: str) -> bool:
    """Whether at least half of ``text`` is Chinese characters or kana of full width, and two of
    them."""
    wide = (character for character in text if east_asian_width(character) == "W")
    count = sum(block_of(character) in ("Han", "Kana") for character in wide)
    return count >= max(2, len(text) / 2)


def stood_up(
    line: NDArray[np.uint8], stretches: Iterable[tuple[float, float]]
) -> NDArray[np.uint8]:
    """``line`` (``uint8`` RGB ``H×W×3``, a column laid on its left side) with each of its
    characters turned a quarter clockwise in its place: ``uint8`` RGB ``H×W'×3``. ``stretches``:
    where each starts and ends, 0..1 along the line; at least one."""
    height, width = line.shape[:2]
    cells = []
    for start, end in stretches:
        first = min(int(start * width), width - 1)
        last = min(width, max(round(end * width), first + NARROWEST))
        cell = np.ascontiguousarray(np.rot90(line[:, first:last], -1)[:height])
        above = (height - cell.shape[0]) // 2
        below = height - cell.shape[0] - above
        cells.append(cv2.copyMakeBorder(cell, above, below, 0, 0, cv2.BORDER_REPLICATE))
    return np.asarray(np.concatenate(cells, axis=1), dtype=np.uint8)
