"""Rows: lines of one flow that stand beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from tapetum.layout.frame import Slab

#: Lines beside each other, at least one, in the order they are read.
Row = list[Slab]
#: Lines count as at most this many median heights high, which bounds the work on noise.
TALLEST = 8.0


def rows(slabs: Sequence[Slab], rtl: bool) -> list[Row]:
    """``slabs``, which come from the top, row by row. ``rtl``: their frame's.

    A line belongs to a row when its middle lies at most half the height of the lower of the two
    below the middle of the row's first line: members are held against the first line, never
    against each other, so rows cannot chain down the page.
    """
    if not slabs:
        return []
    tallest = TALLEST * median(slab.height for slab in slabs)
    placed = [False] * len(slabs)
    placed_rows: list[Row] = []
    for at, first in enumerate(slabs):
        if placed[at]:
            continue
        row = []
        for i in range(at, len(slabs)):
            below = slabs[i].middle - first.middle
            if below > min(first.height, tallest) / 2:
                break  # sorted by middle: nothing further down can belong to this row
            if not placed[i] and below <= slabs[i].height / 2:
                placed[i] = True
                row.append(slabs[i])
        placed_rows.append(_in_order(row, rtl))
    return placed_rows


def gap(slab: Slab, other: Slab) -> float:
    """White space between two lines of a row, in pixels; negative where they overlap."""
    return max(slab.left, other.left) - min(slab.right, other.right)


def _in_order(row: Row, rtl: bool) -> Row:
    """From left to right of the frame, or the other way where most of the row's text is read the
    other way than most of the frame's."""
    row.sort(key=lambda slab: slab.left)
    onwards = sum(slab.letters * slab.length for slab in row)
    if onwards > 0 if rtl else onwards < 0:
        row.reverse()
    return row
