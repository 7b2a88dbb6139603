"""The rows of one block → paragraphs, and what divides their words.

A paragraph ends where the next row lies further down than usual, where the next row's first word
would still have fitted on the line, where the next row is indented or begins with a bullet, and at
every row that holds cells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from tapetum.layout.blocks import CLOSE
from tapetum.layout.frame import Slab
from tapetum.layout.rows import Row, gap
from tapetum.layout.words import writes_spaces
from tapetum.signals.page_layout import Break, Piece
from tapetum.signals.text import Word

#: A row this many times further down than usual begins a paragraph.
LOOSE = 1.25
#: What counts as usual, from the middle of one row to the next, is at most this many heights.
WIDEST_PITCH = 2.0
#: A first line stands at least this many heights to the right of the next one.
INDENT = 0.8
#: What a word needs beside its width to fit on a line, in heights: a space, and the jitter of boxes
#: and of ragged margins.
ROOM = 1.0
#: White space, in heights, that is more than the space between two words.
SURE = 1.0

HYPHENS = frozenset("-\u00ad\u2010")

_BULLET = re.compile(r"[•·▪■○●◦‣*–-]|\(?(\d{1,3}|[A-Za-z])[.)]")


def pieces_of_paragraphs(block: Sequence[Row]) -> Iterator[tuple[Piece, ...]]:
    """The words of ``block``, a tuple for each paragraph, none empty."""
    starts = [0, *_starts(block), len(block)]
    for start, end in pairwise(starts):
        pieces: list[Piece] = []
        for at in range(start, end):
            goes_on = block[at + 1] if at + 1 < end else None
            pieces += _pieces(block[at], goes_on)
        yield tuple(pieces)


def _starts(block: Sequence[Row]) -> list[int]:
    """The numbers of the rows, but the first, that begin a paragraph."""
    if len(block) == 1:
        return []
    spans = [_Span.of(row) for row in block]
    pitches = [below.middle - above.middle for above, below in pairwise(spans)]
    height = median(span.height for span in spans)
    usual = min(median(pitches), WIDEST_PITCH * height)
    left, right = min(span.left for span in spans), max(span.right for span in spans)
    starts = []
    for at in range(1, len(block)):
        above, row = spans[at - 1], spans[at]
        below = spans[at + 1] if at + 1 < len(block) else None
        if (
            above.cells
            or row.cells
            or row.bullet
            or pitches[at - 1] > LOOSE * usual
            or above.right + row.first + ROOM * height <= right
            or (not above.bullet and _is_indented(above, row, below, left))
        ):
            starts.append(at)
    return starts


def _is_indented(above: _Span, row: _Span, below: _Span | None, left: float) -> bool:
    indent = INDENT * row.height
    comes_back = below is None or row.left - below.left >= indent
    return row.left - max(above.left, left) >= indent and comes_back


@dataclass(frozen=True, slots=True)
class _Span:
    """A row as a whole. ``first``: the length of its first word; ``cells``: it has wide gaps;
    ``bullet``: it begins with one. Lengths in pixels, in the frame."""

    left: float
    right: float
    middle: float
    height: float
    first: float
    cells: bool
    bullet: bool

    @classmethod
    def of(cls, row: Row) -> _Span:
        word = row[0].line.words[0]
        return cls(
            min(slab.left for slab in row),
            max(slab.right for slab in row),
            median(slab.middle for slab in row),
            median(slab.height for slab in row),
            row[0].stretch(word),
            any(_is_wide(slab, other) for slab, other in pairwise(row)),
            _BULLET.fullmatch(word.text) is not None,
        )


def _is_wide(slab: Slab, other: Slab) -> bool:
    return gap(slab, other) > CLOSE * max(slab.height, other.height)


def _pieces(row: Row, goes_on: Row | None) -> Iterator[Piece]:
    """The words of ``row``; ``goes_on`` is the paragraph's next row, if there is one."""
    for slab, after in zip(row, [*row[1:], None], strict=True):
        words = slab.line.words
        for word, following in pairwise(words):
            yield Piece(word, _within(slab, word, following))
        last = words[-1]
        if after is not None:
            yield Piece(last, _between(slab, after))
        elif goes_on is None:
            yield Piece(last, Break.END)
        elif _divides(last, goes_on[0].line.words[0]):
            yield Piece(replace(last, symbols=last.symbols[:-1]), Break.HYPHEN)
        else:
            yield Piece(last, Break.WRAP)


def _within(slab: Slab, word: Word, following: Word) -> Break:
    """What divides two words of a line."""
    if not word.spaced:
        return Break.NONE
    wide = slab.distance(word, following) > SURE * slab.height
    return Break.SURE_SPACE if wide else Break.SPACE


def _between(slab: Slab, after: Slab) -> Break:
    """What divides two lines of a row. Scripts without spaces get one only where it is wide."""
    if gap(slab, after) > SURE * max(slab.height, after.height):
        return Break.SURE_SPACE
    joined = not writes_spaces(slab.line.text[-1]) and not writes_spaces(after.line.text[0])
    return Break.NONE if joined else Break.SPACE


def _divides(last: Word, following: Word) -> bool:
    """Whether ``last`` is the first part of a word that goes on, in small letters, as
    ``following``."""
    text = last.text
    return (
        last.symbols[-1].text in HYPHENS
        and len(last.symbols) > 2
        and text[-2].isalpha()
        and text[-3].isalpha()
        and following.text[0].islower()
    )
