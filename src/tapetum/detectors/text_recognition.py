"""Reading one line: the recogniser network, its CTC output, and where each character stands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, islice, pairwise

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

LENGTHS, SQUEEZES = (5.0, 10.0), (1.0, 0.9)
"""Lines are squeezed along their length, all the more the longer they are beside their height:
from five times on, at ten times and beyond to 0.9. A tenth less work, and prose reads no worse for
it on the development set; the short words of scenes do, and at 0.8 narrow letters begin to merge.
"""

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

NEARER = 1e-4
"""What a pixel of distance counts for beside ink: it decides between columns equally empty."""


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
    """Reads lines one by one, each at its own width or a little more: `padded_width`.

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
    smaller = height > LINE_HEIGHT
    flags = cv2.INTER_LINEAR if smaller else cv2.INTER_CUBIC
    crop = cv2.warpPerspective(
        pixels, way, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    length = exact_width / exact_height
    squeezed = length * float(np.interp(length, LENGTHS, SQUEEZES))
    wide = min(WIDEST, max(COLUMN, round(LINE_HEIGHT * squeezed)))
    # Averaging takes ten times as long, and only skipped pixels would need it.
    kernel = cv2.INTER_AREA if height >= 1.5 * LINE_HEIGHT else cv2.INTER_LINEAR
    line = cv2.resize(crop, (wide, LINE_HEIGHT), interpolation=kernel)
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
    seen = best[starts] != BLANK
    highest = np.maximum.reduceat(sure, starts).clip(max=1)
    return [
        _Peak(alphabet[index], centre, confidence)
        for index, centre, confidence in zip(
            best[starts][seen].tolist(),
            (COLUMN * (starts + ends) / 2)[seen].tolist(),
            highest[seen].tolist(),
            strict=True,
        )
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


def _span(group: list[_Peak], start: float, end: float) -> tuple[float, float]:
    """Where a word starts and ends: as the ink says, unless that contradicts its peaks."""
    count = len(group)
    if end - start < count:
        # Half a column to each side of the peaks is all that is known.
        start = min(start, group[0].centre - COLUMN / 2)
        end = max(end, group[-1].centre + COLUMN / 2, start + count)
    return start, end


def _borders(
    groups: list[list[_Peak]], spans: list[tuple[float, float]], ink: NDArray[np.float32]
) -> list[float]:
    """Where each word's characters meet, the words one after the other: the emptiest column near
    the middle between two peaks; among equals the nearest."""
    pairs = [
        (one.centre, other.centre, start, end)
        for group, (start, end) in zip(groups, spans, strict=True)
        for one, other in pairwise(group)
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
    found: list[float] = np.where(allowed.any(axis=1), best, middle[:, 0]).tolist()
    return found
