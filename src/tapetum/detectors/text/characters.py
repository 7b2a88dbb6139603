"""Where each character of a line stands, and where its words end."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from itertools import groupby, islice, pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

#: Pixels; the network's input height.
LINE_HEIGHT = 48
#: Pixels of the 48-pixel line behind one column of the network's output.
COLUMN = 8
#: Rows of the 48-pixel line above and below that belong to its surroundings.
INK_MARGIN = 6
#: A column with less of the line's contrast holds no ink.
EMPTY = 0.2
#: Pixels of the 48-pixel line, and times the line's usual empty stretch, by which two characters
#: stand apart that have a space between them, read or not: the recogniser leaves out many before
#: and after colons. Of 19,000 pairs without a space on the development set three stand so, two of
#: them digits: numbers are never cut.
APART, TIMES_AS_FAR = LINE_HEIGHT / 4, 3.0

DIGITS = frozenset("0123456789")
NUMERIC = DIGITS | frozenset(".,/-+")

#: What a pixel of distance counts for beside ink: it decides between columns equally empty.
NEARER = 1e-4


@dataclass(frozen=True, slots=True)
class Character:
    """One visible character; ``start`` < ``end`` are 0..1 along the line's quadrilateral."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Peak:
    """One decoded character, spaces too: its place in pixels of the 48-pixel line."""

    text: str
    centre: float
    confidence: float


def words_of(peaks: list[Peak], line: NDArray[np.uint8]) -> tuple[tuple[Character, ...], ...]:
    """The peaks of a line cut at its spaces, each character with its stretch of the line.

    Peaks miss the middle of their letter by up to one and a half columns (measured), so the line's
    ink has the last word about where words begin and end.
    """
    groups = [list(group) for space, group in groupby(peaks, _is_space) if not space]
    if not groups:
        return ()
    ink = _ink(line)
    width = len(ink)
    runs = _empty_runs(ink)
    groups = _parted(groups, runs)
    starts, ends = [], []
    for before, after in pairwise([None, *groups, None]):
        # Between two words the gap may begin a column before the peaks say; at the ends of the
        # line that would let it slip in between the outermost two letters.
        low = before[-1].centre - (COLUMN if after else 0) if before else 0.0
        high = after[0].centre + (COLUMN if before else 0) if after else float(width)
        left, right = _gap(ink, runs, low, high)
        ends.append(left)
        starts.append(right)
    spans = [_span(*word) for word in zip(groups, starts[:-1], ends[1:], strict=True)]
    between = iter(_borders(groups, spans, ink))
    words = []
    for group, (start, end) in zip(groups, spans, strict=True):
        borders = [start, *islice(between, len(group) - 1), end]
        if any(a >= b for a, b in pairwise(borders)):
            borders = [start + (end - start) * i / len(group) for i in range(len(group) + 1)]
        words.append(
            tuple(
                Character(peak.text, a / width, b / width, peak.confidence)
                for peak, (a, b) in zip(group, pairwise(borders), strict=True)
            )
        )
    return tuple(words)


def _parted(groups: list[list[Peak]], runs: list[tuple[int, int]]) -> list[list[Peak]]:
    """``groups`` cut where the empty ``runs`` of the line leave room for a space too."""
    usual = float(np.median([end - start for start, end in runs[1:-1]] or [0]))
    least = max(APART, TIMES_AS_FAR * usual)
    wide = [(start, end) for start, end in runs if end - start >= least]
    parted = []
    for group in groups:
        parted.append(group[:1])
        for before, after in pairwise(group):
            parts = (min(end, after.centre) - max(start, before.centre) for start, end in wide)
            if _may_part(before.text, after.text) and any(part >= least for part in parts):
                parted.append([])
            parted[-1].append(after)
    return parted


def _may_part(before: str, after: str) -> bool:
    """Whether a space may be missing: not inside a number, nor beside Chinese and Japanese
    characters, which stand apart without one."""
    if any(unicodedata.east_asian_width(text[0]) in "WF" for text in (before, after)):
        return False
    return not (before in NUMERIC and after in NUMERIC) and not (before in DIGITS and after == ":")


def _is_space(peak: Peak) -> bool:
    return peak.text.isspace()


def _ink(line: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Contrast of each column of ``line``, 0 (empty) to 1 (a stroke as strong as the line has).

    The outer rows are left out: they hold the lines above and below.
    """
    grey = np.asarray(cv2.cvtColor(line, cv2.COLOR_RGB2GRAY), dtype=np.float32)
    grey = grey[INK_MARGIN:-INK_MARGIN]
    contrast = grey.max(axis=0) - grey.min(axis=0)
    ordered = np.sort(contrast)
    weak, strong = ordered[len(ordered) // 50], ordered[len(ordered) * 9 // 10]
    ink = (contrast - weak) / max(float(strong - weak), 1.0)
    return np.asarray(ink.clip(0, 1), dtype=np.float32)


def _empty_runs(ink: NDArray[np.float32]) -> list[tuple[int, int]]:
    """The stretches of empty columns, (start, end) each; beyond its ends a line is empty."""
    empty = np.concatenate(([True], ink < EMPTY, [True]))
    turns = np.flatnonzero(np.diff(empty, prepend=False, append=False)).tolist()
    return [(start - 1, end - 1) for start, end in zip(turns[::2], turns[1::2], strict=True)]


def _gap(
    ink: NDArray[np.float32], runs: list[tuple[int, int]], low: float, high: float
) -> tuple[float, float]:
    """Where the empty stretch around ``low`` to ``high``, in columns of ``ink``, starts and ends.

    The widest of the empty ``runs`` of which a part lies between the two. Where there is none,
    the emptiest column.
    """
    width = len(ink)
    first = min(max(int(low), 0), width - 1)
    last = min(max(int(high), first + 1), width)
    # The empty surroundings count as one column at each end.
    first, last = first - (first == 0), last + (last == width)
    inside = [(start, end) for start, end in runs if start < last and end > first]
    if inside:
        start, end = max(inside, key=lambda run: run[1] - run[0])
        return max(0.0, float(start)), min(float(width), float(end))
    emptiest = float(first + np.argmin(ink[first:last]))
    return emptiest, emptiest


def _span(group: list[Peak], start: float, end: float) -> tuple[float, float]:
    """Where a word starts and ends: as the ink says, unless that contradicts its peaks."""
    count = len(group)
    if end - start < count:
        # Half a column to each side of the peaks is all that is known.
        start = min(start, group[0].centre - COLUMN / 2)
        end = max(end, group[-1].centre + COLUMN / 2, start + count)
    return start, end


def _borders(
    groups: list[list[Peak]], spans: list[tuple[float, float]], ink: NDArray[np.float32]
) -> list[float]:
    """Where each word's characters meet, the words one after the other: the emptiest column near
    the middle between two peaks; among equals the nearest."""
    pairs = [
        (peak.centre, following.centre, start, end)
        for group, (start, end) in zip(groups, spans, strict=True)
        for peak, following in pairwise(group)
    ]
    if not pairs:
        return []
    before, after, start, end = np.array(pairs)[:, :, np.newaxis].swapaxes(0, 1)
    middle = (before + after) / 2
    reach = np.minimum(COLUMN, (after - before) / 2)
    near = np.floor(middle).astype(int) + np.arange(-COLUMN, COLUMN + 1)
    allowed = (near > start) & (near + 1 < end) & (near >= 0) & (near < len(ink))
    allowed &= (near > middle - reach - 1) & (near <= middle + reach)
    away = np.abs(near + 0.5 - middle)
    cost = np.where(allowed, ink[near.clip(0, len(ink) - 1)] + NEARER * away, np.inf)
    best = near[np.arange(len(near)), cost.argmin(axis=1)] + 0.5
    places: list[float] = np.where(allowed.any(axis=1), best, middle[:, 0]).tolist()
    return places
