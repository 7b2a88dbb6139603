"""The layout of a page: its text as words in paragraphs in blocks, in reading order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from tapetum.signals.text import Line, Quad, Word


class Break(IntEnum):
    """What follows a word. The numbers are Vision's ``DetectedBreak.BreakType``."""

    NONE = 0
    SPACE = 1
    SURE_SPACE = 2
    WRAP = 3  # EOL_SURE_SPACE: the line ends, the paragraph goes on
    HYPHEN = 4  # the line ends within a word
    END = 5  # LINE_BREAK: the paragraph ends

    @property
    def text(self) -> str:
        return ("", " ", " ", "\n", "-\n", "\n")[self]


@dataclass(frozen=True, slots=True)
class Piece:
    """A word in its place. The hyphen of a `Break.HYPHEN` is not among the word's symbols."""

    word: Word
    end: Break

    @property
    def text(self) -> str:
        return self.word.text + self.end.text


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Words that are read in one go, at least one; ``quad`` is around them."""

    quad: Quad
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Paragraphs that belong together, at least one, and the lines they were made of; ``quad`` is
    around the paragraphs. ``table``: its paragraphs are rows of cells."""

    quad: Quad
    paragraphs: tuple[Paragraph, ...]
    lines: tuple[Line, ...]
    table: bool

    @property
    def text(self) -> str:
        return "".join(piece.text for part in self.paragraphs for piece in part.pieces)


@dataclass(frozen=True, slots=True)
class PageLayout:
    """A picture's text in reading order: every line is in exactly one of ``blocks``, of which there
    are none where there is no text. ``quad`` is the upright box around it, its first corner the top
    left of most of the text; without text it has no size."""

    quad: Quad = ((0.0, 0.0),) * 4
    blocks: tuple[Block, ...] = ()

    @property
    def text(self) -> str:
        return "".join(block.text for block in self.blocks)

    @property
    def pieces(self) -> Iterator[Piece]:
        return (
            piece for block in self.blocks for part in block.paragraphs for piece in part.pieces
        )
