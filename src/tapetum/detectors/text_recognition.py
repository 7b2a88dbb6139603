"""Reading one line: the recogniser network, its CTC output, and where each character stands."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.detectors.text_vertical import may_be_vertical, stood_up
from tapetum.errors import ModelError
from tapetum.models.session import Sessions

NETWORK = "ppocr-v6-recogniser"

LINE_HEIGHT = 48
"""Pixels; the network's input height."""

COLUMN = 8
"""Pixels of the 48-pixel line behind one column of the network's output."""

NARROWEST, WIDEST = 48, 6400
"""Bounds of the network's input width, in pixels. A longer line is squeezed into the widest.

It reads lines of 6400 pixels without fault where the same lines squeezed into 3200 lose most of
their letters (measured); a terminal's or a spreadsheet's lines are that long."""

LONG, SQUEEZE = 5.0, 0.9
"""Lines so many times as long as high are read at this part of their length: a tenth less work. On
the development set documents and receipts read no worse for it (a tenth of a point better), short
words in scenes do."""

STEPS = ((320, 16), (1280, 32), (WIDEST, 64))
"""Up to each width, inputs are padded to a multiple of the second number of pixels: few different
shapes, for runtimes keep memory and kernels for each."""

TALL = 1.5
"""Height over width from which a line is taken to be turned by 90 degrees."""

STANDS_UP = 0.8
"""Mean confidence from which a column whose characters were stood up is taken to be vertical. On
rendered columns it is 0.98 and more, on turned lines of print 0.7 and less."""

MAYBE_UPRIGHT = 3.0
"""Up to this height over width a tall line may also be a single upright character ("1", "!")."""

BLANK = 0
"""The CTC class that stands for nothing."""

INK_MARGIN = 6
"""Rows of the 48-pixel line above and below that belong to its surroundings."""

EMPTY = 0.2
"""A column with less of the line's contrast holds no ink."""


@dataclass(frozen=True, slots=True)
class Character:
    """One visible character; ``start`` < ``end`` are 0..1 along the line's quadrilateral."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Reading:
    """What stands on one line.

    ``quad`` is the line's ``float32`` ``4×2`` quadrilateral in the order the text is read: top
    left of the first character, top right of the last, bottom right, bottom left. ``words`` are
    never empty and hold no spaces. ``confidence`` is the mean probability of the characters, 0..1.
    ``vertical``: the characters stand upright below each other, and ``quad`` lies on its side.
    """

    quad: NDArray[np.float32]
    words: tuple[tuple[Character, ...], ...]
    confidence: float
    vertical: bool = False

    @property
    def text(self) -> str:
        return " ".join("".join(character.text for character in word) for word in self.words)


@dataclass(frozen=True, slots=True)
class _Peak:
    """One decoded character, spaces too: its place in pixels of the 48-pixel line."""

    text: str
    centre: float
    confidence: float


class LineReader:
    """Reads lines one by one, each at its own width.

    On a CPU a batch costs what its lines cost one by one (measured), and a line alone reads the
    same whatever else is on the page. May be called from several threads at once.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def read(self, pixels: NDArray[np.uint8], quad: NDArray[np.float32]) -> Reading | None:
        """The text inside ``quad`` (``float32`` ``4×2``, pixels of ``pixels``, as `LineFinder`
        gives them) of ``pixels`` (``uint8`` RGB ``H×W×3``). ``None`` where no character is seen.

        A tall line is read as turned clockwise, top to bottom. No guess is made whether a line
        stands on its head: that is a question for a whole page, single lines often answer it wrong.
        Raises `tapetum.errors.ModelError` when the network does not fit its list of characters.
        """
        width, height = _extent(quad)
        if height < TALL * width:
            return self._read(pixels, quad)
        turned = self._read(pixels, np.roll(quad, -1, axis=0))
        if turned is not None and self.is_vertical(pixels, turned):
            return replace(turned, vertical=True)
        if height > MAYBE_UPRIGHT * width:
            return turned
        upright = self._read(pixels, quad)
        if upright is None or (turned is not None and turned.confidence >= upright.confidence):
            return turned
        return upright

    def is_vertical(self, pixels: NDArray[np.uint8], turned: Reading) -> bool:
        """Whether ``turned``, the reading of a line that runs down the picture, is a column of
        upright characters and not a line that lies on its side."""
        if not may_be_vertical(turned.text.replace(" ", "")):
            return False
        line = _straighten(pixels, turned.quad)
        stretches = [(one.start, one.end) for word in turned.words for one in word]
        peaks = self._peaks(stood_up(line, stretches))
        return bool(peaks) and float(np.mean([p.confidence for p in peaks])) >= STANDS_UP

    def _read(self, pixels: NDArray[np.uint8], quad: NDArray[np.float32]) -> Reading | None:
        line = _straighten(pixels, quad)
        words = _words(self._peaks(line), line)
        if not words:
            return None
        sure = [character.confidence for word in words for character in word]
        return Reading(quad, words, float(np.mean(sure)))

    def _peaks(self, line: NDArray[np.uint8]) -> list[_Peak]:
        (output,) = self._sessions.load(NETWORK).run(_network_input(line))
        return _decode(output[0], self._alphabet)

    @cached_property
    def _alphabet(self) -> list[str]:
        """The text of every class: the blank, the file's own list, and a space."""
        listed = self._sessions.load(NETWORK).metadata.get("character", "")
        return ["", *listed.split("\n"), " "]


def padded_width(width: int) -> int:
    """The width, in pixels, of the network's input for a line ``width`` pixels wide."""
    step = next(step for most, step in STEPS if width <= most)
    return max(NARROWEST, width + -width % step)


def _extent(quad: NDArray[np.float32]) -> tuple[float, float]:
    """Width and height of a quadrilateral, in its own pixels, at least 1: the longer of two."""
    top, right, bottom, left = (np.hypot(*(quad[i] - quad[(i + 1) % 4])) for i in range(4))
    return max(1.0, float(max(top, bottom))), max(1.0, float(max(left, right)))


def _straighten(pixels: NDArray[np.uint8], quad: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The line as ``uint8`` RGB ``48×W×3``; what lies outside the picture repeats its border."""
    exact_width, exact_height = _extent(quad)
    width, height = round(exact_width), round(exact_height)
    # Pixel centres sit at half coordinates, warpPerspective counts from the centre of the first.
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    half = np.float32(0.5)
    way = cv2.getPerspectiveTransform(np.ascontiguousarray(quad) - half, corners - half)
    crop = cv2.warpPerspective(
        pixels, way, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    squeeze = SQUEEZE if exact_width > LONG * exact_height else 1.0
    wide = min(WIDEST, max(COLUMN, round(squeeze * LINE_HEIGHT * exact_width / exact_height)))
    smaller = height > LINE_HEIGHT
    line = cv2.resize(
        crop, (wide, LINE_HEIGHT), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    )
    return np.asarray(line, dtype=np.uint8)


def _network_input(line: NDArray[np.uint8]) -> NDArray[np.float32]:
    """``1×3×48×W`` BGR in -1..1, padded on the right with mid grey: `padded_width`."""
    width = line.shape[1]
    planes = np.zeros((1, 3, LINE_HEIGHT, padded_width(width)), dtype=np.float32)
    planes[:, :, :, :width] = cv2.dnn.blobFromImage(line, 2 / 255, mean=(127.5,) * 3, swapRB=True)
    return planes


def _decode(output: NDArray[np.float32], alphabet: list[str]) -> list[_Peak]:
    """Greedy CTC decoding of ``T×C`` probabilities: repeats merged, blanks dropped.

    A character's confidence is the highest probability of its columns, its centre their middle.
    """
    if output.shape[1] != len(alphabet):
        raise ModelError(
            f"{NETWORK} knows {output.shape[1]} classes, its list names {len(alphabet)}."
        )
    best = output.argmax(axis=1)
    sure = output[np.arange(len(best)), best]
    starts = np.flatnonzero(np.diff(best, prepend=-1))
    ends = np.append(starts[1:], len(best))
    return [
        _Peak(alphabet[best[a]], COLUMN * (a + b) / 2, min(1.0, float(sure[a:b].max())))
        for a, b in zip(starts.tolist(), ends.tolist(), strict=True)
        if best[a] != BLANK
    ]


def _words(peaks: list[_Peak], line: NDArray[np.uint8]) -> tuple[tuple[Character, ...], ...]:
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
    starts, ends = [], []
    for before, after in pairwise([None, *groups, None]):
        # Between two words the gap may begin a column before the peaks say; at the ends of the
        # line that would let it slip in between the outermost two letters.
        low = before[-1].centre - (COLUMN if after else 0) if before else 0.0
        high = after[0].centre + (COLUMN if before else 0) if after else float(width)
        left, right = _gap(ink, runs, low, high)
        ends.append(left)
        starts.append(right)
    return tuple(
        tuple(
            Character(peak.text, a / width, b / width, peak.confidence)
            for peak, (a, b) in zip(group, pairwise(_borders(group, start, end, ink)), strict=True)
        )
        for group, start, end in zip(groups, starts[:-1], ends[1:], strict=True)
    )


def _is_space(peak: _Peak) -> bool:
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


def _borders(group: list[_Peak], start: float, end: float, ink: NDArray[np.float32]) -> list[float]:
    """The ``len(group) + 1`` ascending borders of a word's characters from ``start`` to ``end``."""
    count = len(group)
    if end - start < count:
        # The ink contradicts the peaks: half a column to each side of them is all that is known.
        start = min(start, group[0].centre - COLUMN / 2)
        end = max(end, group[-1].centre + COLUMN / 2, start + count)
    borders = [start]
    for one, other in pairwise(group):
        middle = (one.centre + other.centre) / 2
        reach = min(COLUMN, (other.centre - one.centre) / 2)
        first = max(int(middle - reach), int(start) + 1)
        last = min(int(middle + reach) + 1, math.ceil(end - 1))
        if first < last:
            # Emptiest first; among equals the one nearest to the middle.
            near = ink[first:last].tolist()
            middle = 0.5 + min(
                range(first, last), key=lambda at: (near[at - first], abs(at + 0.5 - middle))
            )
        borders.append(middle)
    borders.append(end)
    if min(b - a for a, b in pairwise(borders)) <= 0:
        return [start + (end - start) * i / count for i in range(count + 1)]
    return borders
