"""Words of scripts that are written without spaces.

A line of Chinese, Japanese or Thai comes as one long word. It is cut where the script changes,
around punctuation, and between words as BudouX's models for the three languages see them
(https://github.com/google/budoux, Apache-2.0; a few tens of kilobytes each, no dictionary). No
space is invented: the words follow each other without one.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from enum import Enum
from functools import cache
from importlib import resources
from itertools import pairwise

import budoux

from tapetum.layout.scripts import KANA_SHARE, block_of
from tapetum.signals.text import Line, Quad, Symbol, Word

#: Characters given to a model at once; more in one line without a mark are cut there.
LONGEST = 400
#: Punctuation that stays with the letters and digits beside it.
_IN_NUMBERS = frozenset("%#&@*_")


class _Script(Enum):
    HAN = "Chinese characters"
    KANA = "hiragana and katakana"
    THAI = "Thai"
    HANGUL = "Hangul"
    MARK = "punctuation"
    OTHER = "everything that is written with spaces"


#: By the names of `block_of`.
_SCRIPTS = {
    "Han": _Script.HAN,
    "Kana": _Script.KANA,
    "Thai": _Script.THAI,
    "Hangul": _Script.HANGUL,
}
_UNSPACED = frozenset({_Script.HAN, _Script.KANA, _Script.THAI})


def writes_spaces(character: str) -> bool:
    """Whether words are written apart in the script of ``character``, a letter or a mark."""
    script = _script(character)
    if script is _Script.HANGUL:
        return True
    return script not in _UNSPACED and unicodedata.east_asian_width(character[0]) not in "FW"


def segmented(lines: Sequence[Line]) -> list[Line]:
    """``lines`` with the words of Chinese, Japanese and Thai apart; all others as they are."""
    japanese = _is_japanese(lines)
    return [_segmented(line, japanese) for line in lines]


def _segmented(line: Line, japanese: bool) -> Line:
    if not any(_is_unspaced(word) for word in line.words):
        return line
    language = line.language or ("ja" if japanese else _chinese(line.text))
    words = (piece for word in line.words for piece in _cut(word, language))
    return replace(line, words=tuple(words))


def _is_unspaced(word: Word) -> bool:
    text = word.text
    if len(text) < 2 or text.isascii():
        return False
    scripts = {_script(character) for character in text}
    return bool(scripts & _UNSPACED) and _Script.HANGUL not in scripts


def _cut(word: Word, language: str) -> Iterator[Word]:
    if not _is_unspaced(word):
        yield word
        return
    cuts = set(_cuts(word.text, language))
    starts, at = [], 0
    for number, symbol in enumerate(word.symbols):
        if at in cuts or number == 0:
            starts.append(number)
        at += len(symbol.text)
    for start, end in pairwise([*starts, len(word.symbols)]):
        symbols = word.symbols[start:end]
        confidence = sum(symbol.confidence for symbol in symbols) / len(symbols)
        last = end == len(word.symbols)
        yield Word(_around(symbols), symbols, confidence, word.spaced if last else False)


def _around(symbols: Sequence[Symbol]) -> Quad:
    """From the first symbol's box to the last one's, beside or below it."""
    first, last = symbols[0].quad, symbols[-1].quad
    (x0, y0), (x1, y1), _, (x3, y3) = first
    way_x, way_y = last[0][0] - x0, last[0][1] - y0
    beside = way_x * (x1 - x0) + way_y * (y1 - y0)
    below = way_x * (x3 - x0) + way_y * (y3 - y0)
    if below > abs(beside):
        return first[0], first[1], last[2], last[3]
    return first[0], last[1], last[2], first[3]


def _cuts(text: str, language: str) -> Iterator[int]:
    """Where a word of ``text`` begins, but for the first."""
    runs = list(_runs(text))
    for start, end in runs:
        if start:
            yield start
        script = _script(text[start])
        run = text[start:end]
        if script is _Script.THAI:
            cuts = _model_cuts(run, "th")
        elif script in _UNSPACED:
            cuts = _japanese_cuts(run) if language == "ja" else _model_cuts(run, language)
        else:
            continue
        yield from (start + cut for cut in sorted(cuts))


def _runs(text: str) -> Iterator[tuple[int, int]]:
    """Stretches of one script. Marks stand alone, except within a number or a Latin word."""
    kinds = [_kind(text, at) for at in range(len(text))]
    start = 0
    for at in range(1, len(text)):
        if unicodedata.category(text[at])[0] == "M":
            kinds[at] = kinds[at - 1]  # an accent stays with its letter
        elif kinds[at] is not kinds[at - 1] or kinds[at] is _Script.MARK:
            yield start, at
            start = at
    yield start, len(text)


def _kind(text: str, at: int) -> _Script:
    """The script of one character; kana and Chinese characters count as one."""
    script = _script(text[at])
    if script is _Script.MARK and 0 < at < len(text) - 1 and text[at].isascii():
        beside = {_script(text[at - 1]), _script(text[at + 1])}
        return _Script.OTHER if beside == {_Script.OTHER} else script
    return _Script.HAN if script is _Script.KANA else script


def _script(character: str) -> _Script:
    if character[0] < "\u0e00":  # no script that matters here begins before Thai
        marked = unicodedata.category(character[0])[0] == "P" and character not in _IN_NUMBERS
        return _Script.MARK if marked else _Script.OTHER
    # The sign for prolonged vowels is a letter, the middle dot of the same block is not.
    if unicodedata.category(character[0])[0] == "P":
        return _Script.MARK
    return _SCRIPTS.get(block_of(character[0]), _Script.OTHER)


def _is_japanese(lines: Iterable[Line]) -> bool:
    kana = han = 0
    for line in lines:
        text = line.text
        if not text.isascii():
            scripts = [_script(character) for character in text]
            kana += scripts.count(_Script.KANA)
            han += scripts.count(_Script.HAN)
    return kana > KANA_SHARE * (kana + han)


def _chinese(text: str) -> str:
    """``zh-Hant`` where more of the characters are missing from the mainland's set of 1980 than
    from Taiwan's Big5, else ``zh-Hans``."""
    han = [character for character in text if _script(character) is _Script.HAN]
    foreign = [sum(not _has(encoding, c) for c in han) for encoding in ("gb2312", "big5")]
    return "zh-Hant" if foreign[0] > foreign[1] else "zh-Hans"


def _has(encoding: str, character: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _model_cuts(text: str, language: str) -> set[int]:
    """Where BudouX's model for ``language`` sees a word begin, but for the first."""
    model = _MODELS.get(language, "zh-hans")
    cuts: set[int] = set()
    for start in range(0, len(text), LONGEST):
        at = start
        for chunk in _parser(model).parse(text[start : start + LONGEST]):
            if at:
                cuts.add(at)
            at += len(chunk)
    return cuts


def _japanese_cuts(text: str) -> set[int]:
    """The model for words cuts well around particles and endings but also within compounds, the
    one for phrases hardly ever there: between Chinese characters both must agree."""
    words, phrases = _model_cuts(text, "ja-word"), _model_cuts(text, "ja")
    return {
        cut
        for cut in words
        if cut in phrases or {_script(c) for c in text[cut - 1 : cut + 1]} != {_Script.HAN}
    }


_MODELS = {
    "ja": "ja",
    "ja-word": "ja_word",
    "th": "th",
    "zh-Hans": "zh-hans",
    "zh-Hant": "zh-hant",
    "zh-TW": "zh-hant",
    "zh-HK": "zh-hant",
}


@cache
def _parser(model: str) -> budoux.Parser:
    folder = resources.files(budoux) / "models"
    return budoux.Parser(json.loads((folder / f"{model}.json").read_text(encoding="utf-8")))
