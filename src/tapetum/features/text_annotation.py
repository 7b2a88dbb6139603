"""The page, block, paragraph, word, symbol tree of Vision's ``TextAnnotation``, and its flat twin.

``full_text_annotation.text`` is made of symbols and breaks only: each word's symbols, and after
each word what its last symbol's break stands for (`tapetum.signals.page_layout.Break`).
Languages are said of blocks and of the page, never of single words. The confidence of a symbol is
the recogniser's; that of a word, paragraph, block or page is the mean over its symbols.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tapetum.features import Ask
from tapetum.layout.language_shares import Identify, Share, spoken
from tapetum.signals.page_layout import Block, Break, PageLayout, Paragraph, Piece
from tapetum.signals.text import Quad, Symbol

#: ``google.cloud.vision.v1.Block.BlockType``.
TEXT, TABLE = 1, 2


def annotate(
    layout: PageLayout, ask: Ask, response: Any, identify: Identify, *, confident: bool
) -> None:
    """Write ``layout`` into the two fields of ``response``, which must be unset.

    ``text_annotations[0]`` holds the whole text without the last newline, its language and the box
    around it; the entries after it the words in the same order. ``confident``: with confidences.
    """
    annotation = response.full_text_annotation
    page = annotation.pages.add(width=ask.width, height=ask.height)
    shares = spoken((line for block in layout.blocks for line in block.lines), identify)
    _say(page, shares)
    for block in layout.blocks:
        _add_block(page, block, spoken(block.lines, identify), confident)
    if confident:
        page.confidence = _mean(layout.pieces)
    annotation.text = layout.text

    whole = response.text_annotations.add(description=layout.text.removesuffix("\n"))
    if shares:
        whole.locale = shares[0].code
    _draw(whole.bounding_poly, layout.quad)
    for piece in layout.pieces:
        entry = response.text_annotations.add(description=piece.word.text)
        _draw(entry.bounding_poly, piece.word.quad)


def _add_block(page: Any, block: Block, shares: Iterable[Share], confident: bool) -> None:
    message = page.blocks.add(block_type=TABLE if block.table else TEXT)
    _say(message, shares)
    _draw(message.bounding_box, block.quad)
    for paragraph in block.paragraphs:
        _add_paragraph(message, paragraph, confident)
    if confident:
        message.confidence = _mean(piece for part in block.paragraphs for piece in part.pieces)


def _add_paragraph(block: Any, paragraph: Paragraph, confident: bool) -> None:
    message = block.paragraphs.add()
    _draw(message.bounding_box, paragraph.quad)
    for piece in paragraph.pieces:
        _add_word(message, piece, confident)
    if confident:
        message.confidence = _mean(paragraph.pieces)


def _add_word(paragraph: Any, piece: Piece, confident: bool) -> None:
    message = paragraph.words.add()
    _draw(message.bounding_box, piece.word.quad)
    for symbol in piece.word.symbols:
        _add_symbol(message, symbol, confident)
    if piece.end is not Break.NONE:
        # proto-plus spells the field ``type`` with an underscore, in the raw message as well.
        message.symbols[-1].property.detected_break.type_ = piece.end
    if confident:
        message.confidence = _mean([piece])


def _add_symbol(word: Any, symbol: Symbol, confident: bool) -> None:
    message = word.symbols.add(text=symbol.text)
    _draw(message.bounding_box, symbol.quad)
    if confident:
        message.confidence = symbol.confidence


def _say(message: Any, shares: Iterable[Share]) -> None:
    for share in shares:
        message.property.detected_languages.add(
            language_code=share.code, confidence=share.confidence
        )


def _mean(pieces: Iterable[Piece]) -> float:
    """Mean confidence over all symbols of ``pieces``, 0..1."""
    sure = [symbol.confidence for piece in pieces for symbol in piece.word.symbols]
    return sum(sure) / len(sure)


def _draw(poly: Any, quad: Quad) -> None:
    """The corners of ``quad`` in whole pixels; may be negative where text runs off the image."""
    for x, y in quad:
        poly.vertices.add(x=round(x), y=round(y))
