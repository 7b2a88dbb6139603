"""TEXT_DETECTION: words with their boxes, and the text they make."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tapetum.detectors import Signals
from tapetum.detectors.text import Line, Quad, TextLines, Word
from tapetum.detectors.text_layout import Block, Paragraph, blocks
from tapetum.features import Ask

TEXT_DETECTION = 5
"""``google.cloud.vision.v1.Feature.Type``."""

SPACE, EOL_SURE_SPACE, LINE_BREAK = 1, 3, 5
"""``google.cloud.vision.v1.TextAnnotation.DetectedBreak.BreakType``."""

TEXT = 1
"""``google.cloud.vision.v1.Block.BlockType``."""

BREAK_TEXT = {SPACE: " ", EOL_SURE_SPACE: "\n", LINE_BREAK: "\n"}
"""What each break stands for in ``full_text_annotation.text``."""


class TextDetection:
    """Fills ``text_annotations`` and ``full_text_annotation``.

    The text follows from the symbols and their breaks: a space after each word of a line, a
    newline after each line. ``text_annotations[0]`` holds the same text without the last newline,
    the entries after it the words in the same order. `Ask.max_results` does not bound text.
    """

    type = TEXT_DETECTION
    needs = (TextLines,)

    def describe(self, ask: Ask, signals: Signals, response: Any) -> None:
        """Fill both fields of ``response``, or leave both unset where there is no text.

        Confidences are filled only where ``image_context`` of the request asks for them.
        """
        found = blocks(signals.of(TextLines).lines)
        if not found:
            return
        parameters = ask.image_context.text_detection_params
        confident = bool(parameters.enable_text_detection_confidence_score)
        annotation = response.full_text_annotation
        page = annotation.pages.add(width=ask.width, height=ask.height)
        text: list[str] = []
        for block in found:
            _add_block(page, block, text, confident)
        if confident:
            page.confidence = _mean(_words(found))
        annotation.text = "".join(text)

        whole = response.text_annotations.add(description=annotation.text.removesuffix("\n"))
        _draw(whole.bounding_poly, _around(line.quad for line in _lines(found)))
        for word in _words(found):
            entry = response.text_annotations.add(description=word.text)
            _draw(entry.bounding_poly, word.quad)


def _add_block(page: Any, block: Block, text: list[str], confident: bool) -> None:
    message = page.blocks.add(block_type=TEXT)
    _draw(message.bounding_box, _around(line.quad for line in _lines([block])))
    for paragraph in block.paragraphs:
        _add_paragraph(message, paragraph, text, confident)
    if confident:
        message.confidence = _mean(_words([block]))


def _add_paragraph(block: Any, paragraph: Paragraph, text: list[str], confident: bool) -> None:
    message = block.paragraphs.add()
    _draw(message.bounding_box, _around(line.quad for line in paragraph.lines))
    for line in paragraph.lines:
        end = LINE_BREAK if line is paragraph.lines[-1] else EOL_SURE_SPACE
        for at, word in enumerate(line.words, start=1):
            _add_word(message, word, end if at == len(line.words) else SPACE, text, confident)
    if confident:
        message.confidence = _mean(word for line in paragraph.lines for word in line.words)


def _add_word(paragraph: Any, word: Word, end: int, text: list[str], confident: bool) -> None:
    """``end`` is the break after the word; what was added is appended to ``text``."""
    message = paragraph.words.add()
    _draw(message.bounding_box, word.quad)
    for symbol in word.symbols:
        character = message.symbols.add(text=symbol.text)
        _draw(character.bounding_box, symbol.quad)
        if confident:
            character.confidence = symbol.confidence
    # proto-plus spells the field ``type`` with an underscore, in the raw message as well.
    character.property.detected_break.type_ = end
    if confident:
        message.confidence = word.confidence
    text += [word.text, BREAK_TEXT[end]]


def _lines(found: Iterable[Block]) -> Iterable[Line]:
    return (line for block in found for part in block.paragraphs for line in part.lines)


def _words(found: Iterable[Block]) -> Iterable[Word]:
    return (word for line in _lines(found) for word in line.words)


def _mean(words: Iterable[Word]) -> float:
    """Mean confidence over all symbols of ``words``, 0..1."""
    sure = [symbol.confidence for word in words for symbol in word.symbols]
    return sum(sure) / len(sure)


def _around(quads: Iterable[Quad]) -> Quad:
    """The smallest upright box around ``quads``."""
    xs, ys = zip(*(point for quad in quads for point in quad), strict=True)
    left, top, right, bottom = min(xs), min(ys), max(xs), max(ys)
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _draw(poly: Any, quad: Quad) -> None:
    """The corners of ``quad`` in whole pixels; may be negative where text runs off the image."""
    for x, y in quad:
        poly.vertices.add(x=round(x), y=round(y))
