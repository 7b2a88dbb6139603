"""The frame a text is read in: its lines as level boxes, whatever way they run in the picture.

A page may lie on its side, at a slant, or be written in columns from right to left. Seen along the
direction most of its lines run in, all of these are lines of boxes that are read downwards. What
asks about the order of lines asks it here, and never about pixels.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tapetum.signals.quads import centre, weighted_median
from tapetum.signals.text import Line, Quad, Word

#: Text that leans less than this is taken to be level: its boxes stay upright.
STRAIGHT = math.radians(0.5)

QUARTER = math.pi / 2

#: ``unicodedata.bidirectional`` of Hebrew and of Arabic letters.
_RIGHT_TO_LEFT = frozenset({"R", "AL"})


@dataclass(frozen=True, slots=True)
class Slab:
    """A line as a level box in its frame: x grows along the reading, y downwards; pixels.

    In a frame that is read from right to left x grows to the left. ``lean``: how far the line is
    turned clockwise beyond the quarter turns of its frame, radians. ``height`` is at least 1.
    ``letters``: 1 when most of its letters are read from left to right, -1 when from right to left,
    0 when it has none. ``upended``: its symbols stand below each other in its own box, as in a
    column of Chinese or Japanese whose box stands upright.
    """

    line: Line
    lean: float
    left: float
    right: float
    middle: float
    height: float
    letters: int
    upended: bool

    @property
    def length(self) -> float:
        return self.right - self.left

    @property
    def top(self) -> float:
        return self.middle - self.height / 2

    @property
    def bottom(self) -> float:
        return self.middle + self.height / 2

    def stretch(self, word: Word) -> float:
        """The length of one of the line's words along the reading, in pixels."""
        start, end = word.quad[0], word.quad[3 if self.upended else 1]
        return math.dist(start, end)

    def distance(self, word: Word, other: Word) -> float:
        """The white space between two words of the line, in pixels."""
        reach = (self.stretch(word) + self.stretch(other)) / 2
        return math.dist(centre(word.quad), centre(other.quad)) - reach


@dataclass(frozen=True, slots=True)
class Frame:
    """Lines that run the same way, within 45 degrees. ``quarter``: that way as a number of quarter
    turns clockwise, 0..3; upended lines run downwards. ``rtl``: most of them are read from right to
    left."""

    slabs: tuple[Slab, ...]
    quarter: int
    rtl: bool

    def angle(self, slabs: Sequence[Slab]) -> float:
        """How far most of the text on ``slabs`` is turned clockwise in the picture, radians."""
        lengths = [slab.length for slab in slabs]
        lean = weighted_median([slab.lean for slab in slabs], lengths)
        upended = 2 * sum(slab.length for slab in slabs if slab.upended) > sum(lengths)
        return (self.quarter - upended) * QUARTER + lean


def frames(lines: Iterable[Line]) -> list[Frame]:
    """The lines by the way they run, the longest text first. The order of ``lines`` is of no
    account; slabs come from the top, and among equals from the left, of their frame."""
    by_quarter: dict[int, list[_Way]] = {}
    for line in sorted(lines, key=_place):
        way = _Way.of(line)
        by_quarter.setdefault(way.quarter, []).append(way)
    by_way = [_frame(quarter, ways) for quarter, ways in by_quarter.items()]
    return sorted(by_way, key=lambda f: (-sum(slab.length for slab in f.slabs), f.quarter))


def _place(line: Line) -> tuple[Quad, str, list[Quad]]:
    """Where a line stands and what it says, to the symbol."""
    return line.quad, line.text, [symbol.quad for word in line.words for symbol in word.symbols]


def around(quads: Iterable[Quad], angle: float) -> Quad:
    """The smallest box around ``quads`` among those turned by ``angle`` (radians, clockwise), its
    first corner the top left of text that runs this way."""
    points = np.array([point for quad in quads for point in quad], dtype=np.float64)
    quarter = round(angle / QUARTER)
    if abs(angle - quarter * QUARTER) < STRAIGHT:
        left, top = points.min(axis=0).tolist()
        right, bottom = points.max(axis=0).tolist()
        return _rolled(((left, top), (right, top), (right, bottom), (left, bottom)), quarter)
    way = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    (left, top), (right, bottom) = (points @ way).min(axis=0), (points @ way).max(axis=0)
    box = np.array([[left, top], [right, top], [right, bottom], [left, bottom]]) @ way.T
    first, second, third, fourth = ((float(x), float(y)) for x, y in box)
    return first, second, third, fourth


def _letters(text: str) -> int:
    """`Slab.letters` of a line's text."""
    if text.isascii():
        return int(any(map(str.isalpha, text)))
    kinds = [unicodedata.bidirectional(character) for character in text]
    left, right = kinds.count("L"), sum(kind in _RIGHT_TO_LEFT for kind in kinds)
    return -1 if right > left else int(left > 0)


def _rolled(quad: Quad, by: int) -> Quad:
    """``quad`` with its corner number ``by`` (modulo 4) first."""
    by %= 4
    first, second, third, fourth = (*quad[by:], *quad[:by])
    return first, second, third, fourth


@dataclass(frozen=True, slots=True)
class _Way:
    """A line with the way it runs: ``quarter`` turns clockwise and ``lean``, -45..45 degrees as
    radians, beyond them; ``length`` and ``height`` in pixels."""

    line: Line
    quarter: int
    lean: float
    length: float
    height: float
    upended: bool

    @classmethod
    def of(cls, line: Line) -> _Way:
        upended = _is_upended(line)
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = _rolled(line.quad, upended)
        # Both edges count: they need not be parallel.
        along = (x1 - x0 + x2 - x3) / 2, (y1 - y0 + y2 - y3) / 2
        across = (x3 - x0 + x2 - x1) / 2, (y3 - y0 + y2 - y1) / 2
        angle = math.atan2(along[1], along[0])
        quarter = round(angle / QUARTER)
        lean = angle - quarter * QUARTER
        height = max(1.0, math.hypot(*across))
        return cls(line, quarter % 4, lean, math.hypot(*along), height, upended)


def _is_upended(line: Line) -> bool:
    (ax, ay), (bx, by) = (
        centre(symbol.quad) for symbol in (line.words[0].symbols[0], line.words[-1].symbols[-1])
    )
    (x0, y0), (x1, y1), _, (x3, y3) = line.quad
    top, side = (x1 - x0, y1 - y0), (x3 - x0, y3 - y0)
    length, height = math.hypot(*top), math.hypot(*side)
    along = abs((bx - ax) * top[0] + (by - ay) * top[1])
    across = (bx - ax) * side[0] + (by - ay) * side[1]
    return height > length and across * length > along * height


def _frame(quarter: int, ways: Sequence[_Way]) -> Frame:
    lean = weighted_median([way.lean for way in ways], [way.length for way in ways])
    angle = quarter * QUARTER + lean
    cosine, sine = math.cos(angle), math.sin(angle)
    slabs = []
    for way in ways:
        x, y = centre(way.line.quad)
        along, down = x * cosine + y * sine, y * cosine - x * sine
        left, right = along - way.length / 2, along + way.length / 2
        text = _letters(way.line.text)
        slabs.append(Slab(way.line, way.lean, left, right, down, way.height, text, way.upended))
    rtl = sum(slab.letters * slab.length for slab in slabs) < 0
    if rtl:
        slabs = [replace(slab, left=-slab.right, right=-slab.left) for slab in slabs]
    slabs.sort(key=lambda slab: (slab.middle, slab.left))
    return Frame(tuple(slabs), quarter, rtl)
