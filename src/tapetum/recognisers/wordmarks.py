"""Word-marks: names of brands among the lines of text, where they stand as a logo does.

A brand mentioned in a paragraph is not a logo: what counts is large and stands by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tapetum.gallery.shipped.brands import Brands, key
from tapetum.signals.page_layout import PageLayout
from tapetum.signals.quads import area, box_around, height_of, quad_of, shared
from tapetum.signals.text import Line, Quad

#: Of the picture's shorter side: lettering less high than this is small print.
LEAST_SHARE = 0.03
#: Of a block of text that may be a logo with what belongs to it.
MOST_WORDS = 4
#: A name that is only part of what stands there has at least so many letters.
PART_LETTERS = 5
#: Largest ratio of the heights of two lines that make one name.
LIKE_HEIGHT = 1.8
#: Largest gap between two lines that make one name, in heights of the taller.
APART = 1.0


@dataclass(frozen=True, slots=True)
class Wordmark:
    """``name`` of a brand that is written at ``quad``. ``score``: 0..1, the reader's confidence
    times how exactly the name was read. ``is_word``: it may as well be the ordinary word.
    """

    name: str
    score: float
    quad: Quad
    is_word: bool


@dataclass(frozen=True, slots=True)
class _Span:
    text: str
    quad: Quad
    confidence: float
    whole: bool  # all of its line or lines


def wordmarks(page: PageLayout, brands: Brands, width: int, height: int) -> list[Wordmark]:
    """The word-marks of a picture of ``width×height``, no two at the same place, best first."""
    least = LEAST_SHARE * min(width, height)
    lines = [line for line in _isolated(page) if height_of(line.quad) >= least]
    marks = []
    for span in _spans(lines):
        named = brands.named(span.text)
        if named is None or (not span.whole and len(key(span.text)) < PART_LETTERS):
            continue
        brand, exactness = named
        is_word = brand.is_word or (not span.whole and exactness < 1)
        marks.append(Wordmark(brand.name, span.confidence * exactness, span.quad, is_word))
    # The longest name wins: "Coca-Cola Zero" over "Coca-Cola", both lines over one.
    marks.sort(key=lambda mark: (-area(box_around(mark.quad)), -mark.score))
    kept: list[Wordmark] = []
    for mark in marks:
        if not any(_inside(mark.quad, other.quad) for other in kept):
            kept.append(mark)
    return sorted(kept, key=lambda mark: -mark.score)


def _isolated(page: PageLayout) -> list[Line]:
    """The lines of short blocks."""
    return [
        line
        for block in page.blocks
        if sum(len(line.words) for line in block.lines) <= MOST_WORDS
        for line in block.lines
    ]


def _spans(lines: Sequence[Line]) -> Iterator[_Span]:
    """Runs of words of one line, and two neighbouring lines as one."""
    for line in lines:
        count = len(line.words)
        for first in range(count):
            for last in range(first, count):
                words = line.words[first : last + 1]
                text = "".join(word.text + " " * word.spaced for word in words).strip()
                quad = (
                    words[0].quad[0],
                    words[-1].quad[1],
                    words[-1].quad[2],
                    words[0].quad[3],
                )
                confidence = float(np.mean([word.confidence for word in words]))
                yield _Span(text, quad, confidence, len(words) == count)
    for earlier in lines:
        for other in lines:
            if earlier is not other and _continues(earlier.quad, other.quad):
                quad = quad_of(box_around((*earlier.quad, *other.quad)))
                confidence = min(earlier.confidence, other.confidence)
                yield _Span(f"{earlier.text} {other.text}", quad, confidence, whole=True)


def _continues(quad: Quad, other: Quad) -> bool:
    """Whether ``other`` stands right below or right after ``quad``, in letters of like size."""
    low, high = sorted((height_of(quad), height_of(other)))
    if low <= 0 or high > LIKE_HEIGHT * low:
        return False
    x0, y0, x1, y1 = box_around(quad)
    u0, v0, u1, v1 = box_around(other)
    across, down = min(x1, u1) - max(x0, u0), min(y1, v1) - max(y0, v0)
    below = across > 0.5 * min(x1 - x0, u1 - u0) and v0 > y0 and -0.5 * high < v0 - y1
    after = down > 0.5 * low and u0 > x0 and -0.5 * high < u0 - x1
    return (below and v0 - y1 < APART * high) or (after and u0 - x1 < APART * high)


def _inside(quad: Quad, other: Quad) -> bool:
    """Whether most of ``quad`` is within ``other``."""
    box = box_around(quad)
    return area(shared(box, box_around(other))) > 0.5 * area(box)
