"""Reading one line: the recogniser network and its CTC output."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.detectors.text.characters import COLUMN, LINE_HEIGHT, Character, Peak, words_of
from tapetum.detectors.text.quads import extent
from tapetum.detectors.text.vertical import may_be_vertical, stood_up
from tapetum.errors import ModelError
from tapetum.models.session import Sessions

NETWORK = "ppocr-v6-recogniser"

#: Bounds of the network's input width, in pixels. A longer line is squeezed into the widest.
#:
#: It reads lines of 6400 pixels without fault where the same lines squeezed into 3200 lose most of
#: their letters (measured); a terminal's or a spreadsheet's lines are that long.
NARROWEST, WIDEST = 48, 6400
#: Lines are squeezed along their length, all the more the longer they are beside their height: from
#: five times on, at ten times and beyond to 0.9. A tenth less work, and prose reads no worse for it
#: on the development set; the short words of scenes do, and at 0.8 narrow letters begin to merge.
LENGTHS, SQUEEZES = (5.0, 10.0), (1.0, 0.9)
#: Up to each width, inputs are padded to a multiple of the second number of pixels: few different
#: shapes, for runtimes keep memory and kernels for each.
STEPS = ((320, 16), (1280, 32), (WIDEST, 64))
#: Height over width from which a line is taken to be turned by 90 degrees.
TALL = 1.5
#: Mean confidence from which a column whose characters were stood up is taken to be vertical. On
#: rendered columns it is 0.98 and more, on turned lines of print 0.7 and less.
STANDS_UP = 0.8
#: Up to this height over width a tall line may also be a single upright character ("1", "!").
MAYBE_UPRIGHT = 3.0
#: The CTC class that stands for nothing.
BLANK = 0


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
        width, height = extent(quad)
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
        stretches = [
            (character.start, character.end) for word in turned.words for character in word
        ]
        peaks = self._peaks(stood_up(line, stretches))
        return bool(peaks) and float(np.mean([p.confidence for p in peaks])) >= STANDS_UP

    def _read(self, pixels: NDArray[np.uint8], quad: NDArray[np.float32]) -> Reading | None:
        line = _straighten(pixels, quad)
        words = words_of(self._peaks(line), line)
        if not words:
            return None
        sure = [character.confidence for word in words for character in word]
        return Reading(quad, words, float(np.mean(sure)))

    def _peaks(self, line: NDArray[np.uint8]) -> list[Peak]:
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


def _straighten(pixels: NDArray[np.uint8], quad: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The line as ``uint8`` RGB ``48×W×3``; what lies outside the picture repeats its border."""
    exact_width, exact_height = extent(quad)
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


def _decode(output: NDArray[np.float32], alphabet: list[str]) -> list[Peak]:
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
        Peak(alphabet[index], centre, confidence)
        for index, centre, confidence in zip(
            best[starts][seen].tolist(),
            (COLUMN * (starts + ends) / 2)[seen].tolist(),
            highest[seen].tolist(),
            strict=True,
        )
    ]
