"""Two readings of one line, a Tesseract model's and PP-OCR's, made one.

A model of one script reads Latin letters badly and PP-OCR reads them well: in "서울 (Seoul)" each
has a part of the line to itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from tapetum.detectors.text.characters import Character
from tapetum.detectors.text.recognition import Reading
from tapetum.detectors.text.script_line import DOUBTFUL_CONFIDENCE, Placed, ScriptLine, text_of
from tapetum.layout.scripts import RIGHT_TO_LEFT, KnownLanguage, script_of

#: Letters of the script in a word with less confidence may be other letters misread.
SURE_WORD = 0.7
#: Mean word confidence from which a script is taken to be that of a line. On the beginnings of some
#: 250 lines in 27 languages, drawn and of the development set, models of another script came to
#: 0.73 at most (Thai's apart), those of the right one mostly to 0.9.
ACCEPTED = 0.78
#: Sure letters of the script, and their share of the line, for which a line that PP-OCR read well
#: is read again on a page of that script.
FEWEST_AMONG_OTHERS, SHARE_AMONG_OTHERS = 2, 0.1
#: Line heights by which the two may disagree on where a character stands.
SLACK = 0.25

HAVE_LOOKALIKES = frozenset({"Cyrillic", "Greek"})
#: What PP-OCR reads where there are Cyrillic or Greek letters.
LOOKALIKES = frozenset("ABCEHIKMNOPTXYZaceiopxyuvnkhm0368")


def is_better(
    line: ScriptLine, symbols: Sequence[Placed], language: KnownLanguage, quality: float
) -> bool:
    """Whether ``symbols``, of mean word confidence ``quality``, have a part in what ``line`` says.

    Only where the line holds letters of the script. A line that PP-OCR read well needs more of
    them, unless all PP-OCR saw may be letters of the script that look like Latin ones.
    """
    if line.reading is None or line.is_doubtful():
        return any(symbol.script == language.script for symbol in symbols)
    own = sum(_is_sure(symbol, language.script) for symbol in symbols)
    if not own:
        return False
    if language.script == "Latin":
        return quality >= min(SURE_WORD, line.reading.confidence)
    if language.script in HAVE_LOOKALIKES:
        letters = (c for c in text_of(line.reading) if script_of(c) == "Latin")
        return all(c in LOOKALIKES for c in letters) or (
            own >= len(symbols) / 2 and quality >= ACCEPTED
        )
    return own >= max(FEWEST_AMONG_OTHERS, SHARE_AMONG_OTHERS * len(symbols))


def merged(line: ScriptLine, symbols: Sequence[Placed], script: str) -> Reading | None:
    """``symbols`` as a reading of ``line``, with PP-OCR's characters where these are not of
    ``script``. ``None`` where there are none."""
    pieces: list[Placed] = []
    runs = [
        (sure, list(run)) for sure, run in groupby(symbols, lambda symbol: _is_sure(symbol, script))
    ]
    for at, (sure, run) in enumerate(runs):
        if sure or line.reading is None or script == "Latin":
            pieces += run
            continue
        left = runs[at - 1][1][-1] if at else None
        right = runs[at + 1][1][0] if at + 1 < len(runs) else None
        if script in RIGHT_TO_LEFT:
            left, right = right, left
        slack = SLACK * line.height / line.width
        low = left.end - slack if left else 0.0
        general = _between(line, low, right.start + slack if right else 1.0)
        pieces += general if _is_general(run, general, script) else run
    words: list[list[Character]] = []
    for piece in pieces:
        character = Character(piece.text, piece.start, piece.end, piece.confidence)
        if piece.spaced or not words:
            words.append([character])
        else:
            words[-1].append(character)
    if not words:
        return None
    mean = float(np.mean([piece.confidence for piece in pieces]))
    return Reading(line.quad, tuple(tuple(word) for word in words), mean)


def _is_sure(symbol: Placed, script: str) -> bool:
    return symbol.script == script and symbol.word_confidence >= SURE_WORD


def _between(line: ScriptLine, low: float, high: float) -> list[Placed]:
    """PP-OCR's characters whose middle lies between ``low`` and ``high``, 0..1 along the line.

    None is wider than the line is high: beside letters that PP-OCR does not see, the first and the
    last of a word are given all of the place.
    """
    widest = line.height / line.width
    placed = []
    for word in line.reading.words if line.reading else ():
        for place, c in enumerate(word):
            start, end = c.start, c.end
            if place == len(word) - 1:
                end = min(end, start + widest)
            elif place == 0:
                start = max(start, end - widest)
            if low <= (start + end) / 2 <= high:
                sure = c.confidence
                placed.append(Placed(c.text, start, end, sure, sure, place == 0))
    return placed


def _is_general(run: Sequence[Placed], general: Sequence[Placed], script: str) -> bool:
    """Whether a stretch without sure letters of ``script`` is what PP-OCR read (``general``),
    rather than what the model did (``run``)."""
    letters = [piece for piece in general if piece.script]
    if not any(piece.text.isalnum() for piece in general):
        return False
    if any(piece.script != "Latin" for piece in letters):
        return False
    foreign = any(symbol.script not in ("", script) for symbol in run)
    alike = script in HAVE_LOOKALIKES and all(piece.text in LOOKALIKES for piece in letters)
    if alike and not foreign:
        return False
    mean = float(np.mean([piece.confidence for piece in general]))
    least = float(np.mean([symbol.word_confidence for symbol in run]))
    return mean >= max(DOUBTFUL_CONFIDENCE, least)
