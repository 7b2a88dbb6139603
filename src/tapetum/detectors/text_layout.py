"""Lines → paragraphs → blocks, by geometry alone.

A line continues a block when it lies below the block's last line at a gap of at most one and a half
line heights, overlaps it sideways by half the shorter of the two, and is of like height. That is
the line before in reading order, so that the cells of a table row stay together, with one
exception: rows of long lines only are columns of prose, and each column is followed down.
Within a block a paragraph ends where the next line is a quarter further down than lines of this
block usually are. A plain rule of thumb: nothing here is learnt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tapetum.detectors.text import Line

BLOCK_GAP = 1.5
"""Largest gap between two lines of a block, in line heights."""

LOOSE = 1.25
"""A line this many times further down than usual begins a paragraph."""

WIDEST_PITCH = 2.0
"""What counts as usual, from the middle of one line to the next, is at most this many heights."""

OVERLAP = 0.5
"""Least part of the shorter line that lies above or below the longer one."""

LIKE_HEIGHT = 1.6
"""Largest ratio of two neighbouring heights in one block: a heading is a block of its own."""

PROSE = 8.0
"""A line of prose is at least this many times as long as it is high; a price is not."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Lines that wrap into each other, at least one."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Paragraphs that stand below each other, at least one."""

    paragraphs: tuple[Paragraph, ...]


def blocks(lines: Sequence[Line]) -> tuple[Block, ...]:
    """``lines``, which are in reading order, as blocks. Every line is in exactly one of them."""
    found: list[list[_Slab]] = []
    for slab in _slabs(lines):
        for block in reversed(found) if slab.by_prose else found[-1:]:
            last = block[-1]
            follows = block is found[-1] or last.in_column
            if follows and last.continues(slab):
                block.append(slab)
                break
        else:
            found.append([slab])
    return tuple(Block(_paragraphs(block)) for block in found)


def _paragraphs(block: list[_Slab]) -> tuple[Paragraph, ...]:
    """The lines of one block, cut where one lies further down than usual."""
    pitches = [one.offset(other)[1] for one, other in pairwise(block)]
    height = float(np.median([slab.height for slab in block]))
    usual = min(float(np.median(pitches)), WIDEST_PITCH * height) if pitches else 0.0
    cuts = [at for at, pitch in enumerate(pitches, start=1) if pitch > LOOSE * usual]
    return tuple(
        Paragraph(tuple(slab.line for slab in block[start:end]))
        for start, end in pairwise([0, *cuts, len(block)])
    )


@dataclass(frozen=True, slots=True)
class _Slab:
    """A line with what the rule asks of it. ``in_column``: its row holds nothing but prose;
    ``by_prose``: its row holds some. Lengths in pixels."""

    line: Line
    centre: NDArray[np.float64]
    along: NDArray[np.float64]
    length: float
    height: float
    in_column: bool = False
    by_prose: bool = False

    def offset(self, other: _Slab) -> tuple[float, float]:
        """How far along and how far below this line's middle the middle of ``other`` lies."""
        across = np.array([-self.along[1], self.along[0]])
        way = other.centre - self.centre
        return float(way @ self.along), float(way @ across)

    def continues(self, below: _Slab) -> bool:
        """Whether ``below`` may come after this line in one block."""
        aside, down = self.offset(below)
        low, high = sorted((self.height, below.height))
        mean = (low + high) / 2
        overlap = min((self.length + below.length) / 2 - abs(aside), self.length, below.length)
        return (
            low / 2 < down <= mean * (1 + BLOCK_GAP)
            and overlap >= OVERLAP * min(self.length, below.length)
            and high <= LIKE_HEIGHT * low
        )


def _slab(line: Line) -> _Slab:
    corners = np.array(line.quad, dtype=np.float64)
    top, side = corners[1] - corners[0], corners[3] - corners[0]
    length, height = max(float(np.hypot(*top)), 1e-6), max(float(np.hypot(*side)), 1e-6)
    return _Slab(line, corners.mean(axis=0), top / length, length, height)


def _slabs(lines: Iterable[Line]) -> list[_Slab]:
    """The lines measured, each compared with its neighbours on the same row."""
    rows: list[list[_Slab]] = []
    for slab in map(_slab, lines):
        if rows:
            first = rows[-1][0]
            if abs(first.offset(slab)[1]) <= min(first.height, slab.height) / 2:
                rows[-1].append(slab)
                continue
        rows.append([slab])
    measured: list[_Slab] = []
    for row in rows:
        prose = [slab.length >= PROSE * slab.height for slab in row]
        measured += [
            _Slab(s.line, s.centre, s.along, s.length, s.height, all(prose), any(prose))
            for s in row
        ]
    return measured
