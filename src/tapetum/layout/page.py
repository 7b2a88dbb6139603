"""Lines → blocks → paragraphs → words, in reading order, by geometry alone.

The text is put into the frame it is read in (`frame`), cut into flows (`columns`), each flow into
rows (`rows`) and blocks (`blocks`), each block into paragraphs (`paragraphs`). Text that runs
another way than most of the page, such as a stamp or the label of an axis, comes after the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tapetum.layout.blocks import blocks as rows_of_blocks
from tapetum.layout.blocks import is_table
from tapetum.layout.columns import flows
from tapetum.layout.frame import QUARTER, Frame, around, frames
from tapetum.layout.paragraphs import pieces_of_paragraphs
from tapetum.layout.rows import Row, rows
from tapetum.layout.words import segmented
from tapetum.signals.page_layout import Block, PageLayout, Paragraph
from tapetum.signals.text import Line


def layout(lines: Sequence[Line]) -> PageLayout:
    """``lines``, in any order, as a page. The result does not depend on their order, but for lines
    that stand in the same place and say the same."""
    ways = frames(segmented(lines))
    if not ways:
        return PageLayout()
    placed = tuple(block for frame in ways for block in _blocks(frame))
    turn = round(ways[0].angle(ways[0].slabs) / QUARTER) * QUARTER
    words = (word.quad for block in placed for line in block.lines for word in line.words)
    return PageLayout(around(words, turn), placed)


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
