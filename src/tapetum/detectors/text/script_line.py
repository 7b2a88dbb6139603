"""One line as a Tesseract model reads it: cut out of the page, read in up to three ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.detectors.text.quads import Quad, extent
from tapetum.detectors.text.recognition import TALL, Reading
from tapetum.layout.scripts import KnownLanguage, script_of
from tapetum.models.tesseract import Glyph, Tesseract

DOUBTFUL_DENSITY = 0.8
#: Letters and digits per line height: Latin print has 1.6 and more, Han about 1.
LATIN_DENSITY = 1.6

DOUBTFUL_CONFIDENCE = 0.8
#: The second for lines as dense as Latin print: blur and handwriting are read so with 0.6 to 0.8.
#: Of other scripts PP-OCR mostly leaves out letters; where it does not, it stays below (measured on
#: lines of fourteen scripts), or it takes them for Latin capitals (above 0.8).
DOUBTFUL_IF_DENSE = 0.65
#: Width over height of what is read of a line to tell its script: two or three words suffice, and
#: models take several times as long over what they do not know.
PROBE_WIDTH = 12.0
#: Mean word confidence from which a line is not read another way.
GOOD = 0.9
#: Pixels around a line in which its row is looked for.
MARGIN = 10
#: Lines lower than the first, in pixels, are also read enlarged to the second.
SMALL_PRINT, ENLARGED = 32, 48

HIGHEST = 64
#: Most pixels of height that a line is cut out with, and those of one that is read raw; space kept
#: above and below its ink then. The models look at 36 to 48 of them: more only take time.
RAW_MARGIN = 0.1
#: Pixels; longer lines are squeezed.
LONGEST_LINE = 6400

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Placed:
    """A symbol with its stretch of the line, 0..1 from left to right. ``spaced``: a space is read
    before it. Confidences as in `tapetum.models.tesseract.Glyph`."""

    text: str
    start: float
    end: float
    confidence: float
    word_confidence: float
    spaced: bool

    @property
    def script(self) -> str:
        return script_of(self.text[0])


@dataclass(frozen=True, slots=True)
class ScriptLine:
    """A line of ``pixels`` (``uint8`` RGB ``H×W×3``) inside ``quad`` (``float32`` ``4×2``, in the
    order it is read), ``width`` and ``height`` pixels large; ``reading`` is PP-OCR's."""

    pixels: Pixels
    quad: Quad
    reading: Reading | None
    width: float
    height: float

    @classmethod
    def of(cls, pixels: Pixels, quad: Quad, reading: Reading | None) -> ScriptLine:
        """The line of ``quad`` as `LineFinder` gives it. A tall one that PP-OCR made nothing of is
        taken to be turned clockwise, as PP-OCR takes it."""
        quad = quad if reading is None else reading.quad
        width, height = extent(quad)
        if reading is None and height >= TALL * width:
            return cls(pixels, np.roll(quad, -1, axis=0), reading, height, width)
        return cls(pixels, quad, reading, width, height)

    def cut(self, height: int | None = None) -> Pixels:
        """The line as ``uint8`` grey ``H×W``, dark on light, ``height`` pixels high or as it is and
        at most `HIGHEST`."""
        high = max(4, min(HIGHEST, round(self.height)) if height is None else height)
        wide = min(LONGEST_LINE, max(4, round(high * self.width / self.height)))
        # A warp skips pixels where it shrinks: it may only do so by half.
        times = max(1, round(self.height) // high)
        columns, rows = times * wide, times * high
        corners = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], dtype=np.float32)
        half = np.float32(0.5)
        way = cv2.getPerspectiveTransform(np.ascontiguousarray(self.quad) - half, corners - half)
        size = (columns, rows)
        crop = cv2.warpPerspective(
            self.pixels, way, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        crop = cv2.resize(crop, (wide, high), interpolation=cv2.INTER_AREA)
        grey = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        return grey if np.median(grey) >= 128 else 255 - grey

    def beginning(self) -> ScriptLine:
        """The line, at most `PROBE_WIDTH` heights of it."""
        width = min(self.width, PROBE_WIDTH * self.height)
        part = np.float32(width / self.width)
        first, second, third, fourth = self.quad
        quad = np.stack(
            [first, first + part * (second - first), fourth + part * (third - fourth), fourth]
        )
        return ScriptLine(self.pixels, quad, None, width, self.height)

    def over(self) -> ScriptLine:
        """The line read upside down."""
        quad = np.roll(self.quad, -2, axis=0)
        return ScriptLine(self.pixels, quad, None, self.width, self.height)

    def is_doubtful(self) -> bool:
        """Whether PP-OCR read few characters for its length, or some with little confidence."""
        if self.reading is None:
            return True
        seen = sum(character.isalnum() for character in text_of(self.reading))
        density = seen * self.height / self.width
        is_dense = density >= LATIN_DENSITY
        least = DOUBTFUL_IF_DENSE if is_dense else DOUBTFUL_CONFIDENCE
        return density < DOUBTFUL_DENSITY or self.reading.confidence < least


class ModelReader:
    """Reads a line with a model of Tesseract in the way that suits it best."""

    def __init__(self, tesseract: Tesseract) -> None:
        self._tesseract = tesseract

    def read(
        self, line: ScriptLine, language: KnownLanguage, *, once: bool = False
    ) -> tuple[Placed, ...]:
        """The symbols of ``line`` in the order they are read.

        Tesseract first looks for the row inside the line; small print is tried enlarged if that
        went badly. Where marks far above or below mislead it (Arabic, Bengali), the line is cut
        close to its ink and read raw. ``once``: only the first way.
        """
        symbols = self._in_row(line.cut(), language)
        if once or quality(symbols, language) >= GOOD:
            return symbols
        ways = [symbols]
        if line.height < SMALL_PRINT:
            ways.append(self._in_row(line.cut(ENLARGED), language))
        if quality(ways[-1], language) < GOOD:
            close = _close_to_ink(line.cut(HIGHEST))
            raw = self._tesseract.read(close, language.model, raw=True)
            ways.append(_placed(raw, 0, close.shape[1]))
        return max(ways, key=lambda way: quality(way, language))

    def _in_row(self, cut: Pixels, language: KnownLanguage) -> tuple[Placed, ...]:
        framed = cv2.copyMakeBorder(cut, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE)
        row = self._tesseract.read(np.asarray(framed, dtype=np.uint8), language.model)
        return _placed(row, MARGIN, cut.shape[1])


def quality(symbols: Sequence[Placed], language: KnownLanguage) -> float:
    """Mean word confidence, 0..1; letters of other scripts than the model's do not count. 0 where
    there is none of its own."""
    own = [symbol.word_confidence for symbol in symbols if symbol.script in ("", language.script)]
    letters = sum(symbol.script == language.script for symbol in symbols)
    return float(np.mean(own)) if letters else 0.0


def text_of(reading: Reading) -> str:
    """The words of a reading, a space between each two."""
    return " ".join("".join(character.text for character in word) for word in reading.words)


def _placed(glyphs: Sequence[Glyph], margin: int, width: int) -> tuple[Placed, ...]:
    """Glyphs with their stretch of a line ``width`` columns wide that has a ``margin`` around it.

    A glyph ends where its right neighbour begins: Tesseract's boxes overlap now and then.
    """
    order = sorted(range(len(glyphs)), key=lambda at: (glyphs[at].left, at))
    following = dict(pairwise(order))
    placed = []
    for at, glyph in enumerate(glyphs):
        right = glyph.right
        if at in following:
            right = min(right, glyphs[following[at]].left)
        start = min(max((glyph.left - margin) / width, 0.0), 1 - 1 / width)
        end = min(max((right - margin) / width, start + 1 / width), 1.0)
        placed.append(
            Placed(glyph.text, start, end, glyph.confidence, glyph.word_confidence, glyph.spaced)
        )
    return tuple(placed)


def _close_to_ink(line: Pixels) -> Pixels:
    """``line`` (grey ``H×W``, dark on light) without its empty rows above and below."""
    _, ink = cv2.threshold(line, 0, 1, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
    rows = np.flatnonzero(np.asarray(ink).any(axis=1))
    if not len(rows):
        return line
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    margin = round(RAW_MARGIN * (bottom - top))
    return line[max(0, top - margin) : bottom + margin]
