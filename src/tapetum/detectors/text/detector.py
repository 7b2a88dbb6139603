"""From a picture to its lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from tapetum.detectors.text.lines import LineFinder, input_size
from tapetum.detectors.text.orientation import as_it_lay, upright
from tapetum.detectors.text.other_scripts import ScriptReader
from tapetum.detectors.text.page import PageReader
from tapetum.detectors.text.recognition import LineReader, Reading
from tapetum.imaging.picture import Picture
from tapetum.layout.languages import Languages
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.models.tesseract import Tesseract
from tapetum.signals.context import NO_CONTEXT, RequestContext
from tapetum.signals.text import Line, Quad, Symbol, TextLines, Word

#: Lines read with less mean confidence are dropped (PP-OCR's own default).
CONFIDENT = 0.5
#: Lines of so few symbols must be read with more confidence: twigs, stones and window bars read as
#: a character or two. On the development set this drops no line that was read right.
SHORT, SHORT_CONFIDENT = 4, 0.75
#: Lines are found in a small picture and read in one this much larger, if there are pixels.
CROP_SCALE = 1.5


class TextDetector:
    """Finds and reads lines with `PageReader`; `ScriptReader` then reads again what is in none of
    the scripts that the recogniser knows.

    The networks are loaded at the first picture.
    """

    signal = TextLines

    def __init__(self, sessions: Sessions) -> None:
        self._scripts = ScriptReader(Tesseract(Manifest.packaged()), Languages())
        self._pages = PageReader(LineFinder(sessions), LineReader(sessions), self._scripts)

    def max_side(self, width: int, height: int) -> int:
        """`CROP_SCALE` times what the line finder looks at, never more than the image has."""
        return max(_reading_size(width, height))

    def detect(
        self, pictures: Sequence[Picture], contexts: Sequence[RequestContext] = ()
    ) -> list[TextLines]:
        """One signal per picture; the languages of ``contexts`` are a hint at what to read it as.

        Raises `tapetum.errors.ModelError` when a network is unusable.
        """
        contexts = contexts or [NO_CONTEXT] * len(pictures)
        return [
            self._lines(picture, context.languages)
            for picture, context in zip(pictures, contexts, strict=True)
        ]

    def _lines(self, picture: Picture, languages: tuple[str, ...]) -> TextLines:
        rows, columns = picture.pixels.shape[:2]
        wanted = _reading_size(picture.width, picture.height)
        # Other detectors may have asked for a larger picture: what is read must not depend on it.
        pixels = picture.resized(*wanted) if wanted[0] < columns else picture.pixels
        rows, columns = pixels.shape[:2]
        scale = np.array([picture.width / columns, picture.height / rows], dtype=np.float64)
        readings, degrees = self._pages.read(pixels, languages)
        page = upright(pixels, degrees)
        lines = []
        for reading, language in self._scripts.read(page, readings, languages):
            if reading is not None and _is_sure(reading):
                lying = replace(reading, quad=as_it_lay(reading.quad, degrees, columns, rows))
                lines.append(replace(_line(lying, scale), language=language))
        return TextLines(tuple(lines), degrees)


def _is_sure(reading: Reading) -> bool:
    symbols = sum(map(len, reading.words))
    return reading.confidence >= (SHORT_CONFIDENT if symbols <= SHORT else CONFIDENT)


def _reading_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the picture lines are read in, for an image of ``width×height``."""
    wide, _ = input_size(width, height)
    scale = min(1.0, CROP_SCALE * wide / width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _line(reading: Reading, scale: NDArray[np.float64]) -> Line:
    characters = [character for word in reading.words for character in word]
    # Every symbol, then every word, then the line, each with where it starts and ends.
    stretches = [(c.start, c.end) for c in characters]
    # A word that is read from right to left ends at its left.
    stretches += [(min(c.start for c in w), max(c.end for c in w)) for w in reading.words]
    quads = _stretches(reading.quad * scale, [*stretches, (0.0, 1.0)])
    if reading.vertical:  # the column lies on its side, its characters stand
        quads = [(d, a, b, c) for a, b, c, d in quads]
    *quads, whole = quads
    symbols = iter(
        [Symbol(c.text, q, c.confidence) for c, q in zip(characters, quads, strict=False)]
    )
    words = []
    for word, quad in zip(reading.words, quads[len(characters) :], strict=True):
        own = tuple(islice(symbols, len(word)))
        confidence = sum(symbol.confidence for symbol in own) / len(own)
        words.append(Word(quad, own, confidence))
    return Line(whole, tuple(words), reading.confidence)


def _stretches(quad: NDArray[np.float64], stretches: list[tuple[float, float]]) -> list[Quad]:
    """The parts of ``quad`` (``4×2``) from start to end, 0..1 along the way it is read."""
    top_left, top_right, bottom_right, bottom_left = quad
    ends = np.array(stretches)[:, :, np.newaxis]
    top = top_left + ends * (top_right - top_left)
    bottom = bottom_left + ends * (bottom_right - bottom_left)
    corners = np.concatenate([top, bottom[:, ::-1]], axis=1).tolist()
    return [((a, b), (c, d), (e, f), (g, h)) for (a, b), (c, d), (e, f), (g, h) in corners]
