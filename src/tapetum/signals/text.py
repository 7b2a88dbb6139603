"""Text: the lines, words and symbols of a picture."""

from __future__ import annotations

from dataclasses import dataclass

Point = tuple[float, float]

#: Top-left, top-right, bottom-right, bottom-left as the text is read: (x, y) in pixels of the
#: full-size upright image. Any angle; a corner may lie outside the image.
Quad = tuple[Point, Point, Point, Point]


@dataclass(frozen=True, slots=True)
class Symbol:
    """One character. ``confidence`` is the recogniser's probability, 0..1."""

    text: str
    quad: Quad
    confidence: float


@dataclass(frozen=True, slots=True)
class Word:
    """Symbols that belong together. ``confidence`` is their mean. ``spaced``: a space follows on
    the word's line, or its line ends; Chinese, Japanese and Thai words follow without one."""

    quad: Quad
    symbols: tuple[Symbol, ...]
    confidence: float
    spaced: bool = True

    @property
    def text(self) -> str:
        return "".join(symbol.text for symbol in self.symbols)


@dataclass(frozen=True, slots=True)
class Line:
    """Words on one line, at least one, in the order they are read. ``confidence`` is the mean over
    the line's symbols. ``language`` is the BCP-47 code of the language it was read as, where the
    reader had to choose one; empty otherwise."""

    quad: Quad
    words: tuple[Word, ...]
    confidence: float
    language: str = ""

    @property
    def text(self) -> str:
        spaced = (word.text + " " * word.spaced for word in self.words)
        return "".join(spaced).rstrip(" ")


@dataclass(frozen=True, slots=True)
class TextLines:
    """The text of one picture: its lines in no promised order, none where there is no text.

    ``turn``: how far most of the text is turned clockwise, in degrees: 0, 90, 180 or 270.
    """

    lines: tuple[Line, ...]
    turn: int = 0
