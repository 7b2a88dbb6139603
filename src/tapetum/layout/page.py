"""Lines → blocks → paragraphs → words, in reading order, by geometry alone.

The text is put into the frame it is read in (`text_frame`), cut into flows (`text_columns`), each
flow into rows (`text_rows`) and blocks (`text_blocks`), each block into paragraphs
(`text_paragraphs`). Text that runs another way than most of the page, such as a stamp or the label
of an axis, comes after the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tapetum.layout.blocks import blocks as rows_of_blocks
from tapetum.layout.blocks import is_table
from tapetum.layout.columns import flows
from tapetum.layout.frame import QUARTER, Frame, around, frames
from tapetum.layout.paragraphs import Piece, pieces_of_paragraphs
from tapetum.layout.rows import Row, rows
from tapetum.layout.words import segmented
from tapetum.signals.text import Line, Quad


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
class Layout:
    """A picture's text in reading order: every line is in exactly one of ``blocks``. ``quad`` is
    the upright box around it, its first corner the top left of most of the text."""

    quad: Quad
    blocks: tuple[Block, ...]

    @property
    def text(self) -> str:
        return "".join(block.text for block in self.blocks)

    @property
    def pieces(self) -> Iterator[Piece]:
        return (
            piece for block in self.blocks for part in block.paragraphs for piece in part.pieces
        )


def layout(lines: Sequence[Line]) -> Layout | None:
    """``lines``, in any order, as a page; ``None`` where there are none. The result does not depend
    on their order, but for lines that stand in the same place and say the same."""
    found = frames(segmented(lines))
    if not found:
        return None
    placed = tuple(block for frame in found for block in _blocks(frame))
    way = round(found[0].angle(found[0].slabs) / QUARTER) * QUARTER
    words = (word.quad for block in placed for line in block.lines for word in line.words)
    return Layout(around(words, way), placed)


def _blocks(frame: Frame) -> Iterator[Block]:
    for flow in flows(frame.slabs):
        for block in rows_of_blocks(rows(flow, frame.rtl)):
            yield _block(block, frame)


def _block(block: list[Row], frame: Frame) -> Block:
    slabs = [slab for row in block for slab in row]
    angle = frame.angle(slabs)
    paragraphs = tuple(
        Paragraph(around((piece.word.quad for piece in pieces), angle), pieces)
        for pieces in pieces_of_paragraphs(block)
    )
    quad = around((part.quad for part in paragraphs), angle)
    return Block(quad, paragraphs, tuple(slab.line for slab in slabs), is_table(block))
