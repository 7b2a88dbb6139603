"""Lines in scripts that the general recogniser lacks, read by Tesseract.

PP-OCR knows Latin, Han and Kana. On other scripts it sees little or nothing, and says so only in
part: unknown letters come out as blanks, with confidence. So a line is doubtful when it was read
with little confidence *or* with few characters for its length. Doubtful lines are tried with one
model of each script; a script is accepted only where whole words are read with confidence, because
every model reads something into everything. Vietnamese, which PP-OCR reads without its accents, is
known by the language of what was read. Hints stand in for the search.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.detectors.languages import Languages
from tapetum.detectors.scripts import LANGUAGES, RIGHT_TO_LEFT, KnownLanguage, script_of
from tapetum.detectors.text_recognition import TALL, Character, Reading
from tapetum.models.tesseract import Glyph, Tesseract

DOUBTFUL_CONFIDENCE = 0.8
DOUBTFUL_DENSITY = 0.8
"""Letters and digits per line height: Latin print has 1.6 and more, Han about 1."""

SHORTEST_PROBE = 2.0
"""Width over height of a line that may tell the script of its page."""

PROBES, FEWER_PROBES = 3, 2
"""Lines, the longest doubtful ones, that are tried with every script; fewer on a page of which
most was read well."""

WITNESSES = 6
"""Lines by which the language is chosen among those of one script."""

LANGUAGE_WEIGHT = 0.15
"""What the probability of a language counts beside the mean word confidence of its model."""

PROBE_WIDTH = 12.0
"""Width over height of what is read of such a line: two or three words tell the script, and models
take several times as long over what they do not know."""

SECOND_LOOKS = 4
"""Scripts, those that came nearest, for which such a line is read the second way too."""

ACCEPTED = 0.85
"""Mean word confidence from which a script is taken to be that of a line. On the development set
and on pages drawn for the purpose, right models reach 0.9 and wrong ones 0.75."""

FEWEST_LETTERS = 4
"""Of its script, on a line that decides for one."""

FEWEST_AMONG_OTHERS, SHARE_AMONG_OTHERS = 2, 0.1
"""Letters of the script, sure ones, for which a line of Latin letters is read again; and their
share of the line."""

GOOD = 0.9
"""Mean word confidence from which a line is not read a second way."""

KEPT = 0.6
KEPT_AMONG_OTHERS = 0.3
"""Least mean word confidence at which a reading is taken at all; the second on a page that is known
to be in the script: short words in small print are read right with as little."""

SURE_WORD = 0.7
"""Letters of the script in a word with less confidence may be other letters misread."""

MOSTLY = 0.3
"""Share of doubtful lines, by width, from which all lines of a page are read again."""

MOST_SCRIPTS = 2
"""Scripts that are sought on one page besides the general recogniser's."""

SURE_LANGUAGE = 0.5
"""Least probability at which a page of Latin letters is read again as Vietnamese."""

MARGIN = 10
"""Pixels around a line in which its row is looked for."""

SMALL_PRINT, ENLARGED = 32, 48
"""Lines lower than the first, in pixels, are also read enlarged to the second."""

RAW_HEIGHT = 64
RAW_MARGIN = 0.1
"""Height at which a line is cut out to be read raw; space kept above and below its ink."""

LONGEST_LINE = 6400
"""Pixels; longer lines are squeezed."""

PROBED = ("ko", "ru", "ar", "hi", "th", "el", "he", "bn", "ta", "te", "gu", "pa", "km", "si")
"""One language of each script, the most read first."""

VIETNAMESE = frozenset("ăâđêôơưĂÂĐÊÔƠƯ")
"""Letters that PP-OCR does read; French, Portuguese and Romanian have few of them."""

HAVE_LOOKALIKES = frozenset({"Cyrillic", "Greek"})
LOOKALIKES = frozenset("ABCEHIKMNOPTXYZaceiopxyuvnkhm0368")
"""Read by PP-OCR where there are Cyrillic or Greek letters."""

Pixels = NDArray[np.uint8]
Quad = NDArray[np.float32]


class ScriptReading(NamedTuple):
    """What is to be used of one line. ``language`` is that of the model which read it, a BCP-47
    code; empty where it was PP-OCR."""

    reading: Reading | None
    language: str = ""


class ScriptReader:
    """Reads again, with Tesseract, the lines of a page that are in its scripts.

    May be called from several threads at once. A page of Latin, Chinese or Japanese print that was
    read well costs nothing.
    """

    def __init__(self, tesseract: Tesseract, languages: Languages) -> None:
        self._tesseract = tesseract
        self._languages = languages

    def read(
        self,
        pixels: Pixels,
        lines: Sequence[tuple[Quad, Reading | None]],
        hints: Sequence[str] = (),
    ) -> list[ScriptReading]:
        """One entry per line, in order.

        ``pixels`` are ``uint8`` RGB ``H×W×3``; ``lines`` are the quadrilaterals, ``float32``
        ``4×2`` in them, as `LineFinder` gives them, and what PP-OCR made of each; ``hints`` are
        codes of `tapetum.detectors.scripts.LANGUAGES`. Where all hints are PP-OCR's languages
        nothing is read again. Raises `tapetum.errors.ModelError` when a model is unusable.
        """
        page = _Page(pixels, lines)
        found = [ScriptReading(reading) for _, reading in lines]
        wanted = [LANGUAGES[hint] for hint in hints if hint in LANGUAGES]
        if wanted:
            hinted = [language for language in wanted if language.model]
            for at in range(len(page.lines)):
                found[at] = self._best(page, at, hinted, KEPT_AMONG_OTHERS)
            return found
        if self._is_vietnamese(page):
            for at in range(len(page.lines)):
                found[at] = self._best(page, at, [LANGUAGES["vi"]], KEPT)
            return found
        left, sought = page.doubtful(), _probed()
        for _ in range(MOST_SCRIPTS):
            mostly = page.share(left) > MOSTLY
            probes = page.longest(left, PROBES if mostly else FEWER_PROBES)
            language = self._language(page, probes, sought)
            if language is None:
                break
            language = self._sibling(page, page.longest(left, WITNESSES), language)
            sought = [other for other in sought if other.script != language.script]
            tried = [
                at for at in (range(len(page.lines)) if mostly else left) if not found[at].language
            ]
            for at in tried:
                found[at] = self._best(page, at, [language], KEPT_AMONG_OTHERS if mostly else KEPT)
            left = [at for at in left if not found[at].language]
        return found

    def turned_over(
        self, pixels: Pixels, quads: Sequence[Quad], hints: Sequence[str] = ()
    ) -> tuple[float, float]:
        """How well a page in Tesseract's scripts reads as it stands and upside down, both 0..1.

        The mean word confidence of its longest lines, read by the models of ``hints``, else by one
        model of each script, of which the best counts. (0, 0) where there is no line. What stands
        right way up reaches `ACCEPTED`; on a page of PP-OCR's scripts neither does.
        """
        page = _Page(pixels, [(quad, None) for quad in quads])
        probes = page.longest(range(len(page.lines)), PROBES)
        wanted = [LANGUAGES[hint] for hint in hints if hint in LANGUAGES]
        models = [language for language in wanted if language.model] or _probed()
        upright = self._quality_of(page, probes, models)
        over = _Page(pixels, [(np.roll(quad, 2, axis=0), None) for quad in quads])
        return upright, self._quality_of(over, probes, models)

    def _quality_of(
        self, page: _Page, probes: Sequence[int], models: Sequence[KnownLanguage]
    ) -> float:
        best = 0.0
        for language in models:
            qualities = [_quality(self._probe(page, at, language), language) for at in probes]
            best = max([best, float(np.mean(qualities)) if qualities else 0.0])
        return best

    def _is_vietnamese(self, page: _Page) -> bool:
        text = " ".join(_text(line.reading) for line in page.lines if line.reading)
        if sum(character in VIETNAMESE for character in text) * 50 < len(text):
            return False
        found = self._languages.identify(text)
        return bool(found) and found[0].code == "vi" and found[0].confidence >= SURE_LANGUAGE

    def _language(
        self, page: _Page, probes: Sequence[int], sought: Sequence[KnownLanguage]
    ) -> KnownLanguage | None:
        """The first of the languages ``sought`` in which one of the lines ``probes`` is read."""
        for at in probes:
            nearest = sorted(
                sought,
                key=lambda language, at=at: (
                    -_quality(  # type: ignore[misc]
                        self._probe(page, at, language, 1), language
                    )
                ),
            )
            for looks, languages in ((1, nearest), (2, nearest[:SECOND_LOOKS])):
                for language in languages:
                    glyphs = self._probe(page, at, language, looks)
                    quality = _quality(glyphs, language)
                    if quality >= ACCEPTED and page.is_plausible(at, glyphs, language.script):
                        return language
        return None

    def _sibling(self, page: _Page, lines: Sequence[int], one: KnownLanguage) -> KnownLanguage:
        """The language of those in the script of ``one`` whose model reads the lines best."""
        models: dict[str, KnownLanguage] = {}
        for language in LANGUAGES.values():
            if language.script == one.script and language.model:
                models.setdefault(language.model, language)
        if len(models) == 1:
            return one
        scores: dict[str, float] = {}
        for code, language in ((language.code, language) for language in models.values()):
            glyphs = [self._probe(page, at, language, 1) for at in lines]
            quality = float(np.mean([_quality(some, language) for some in glyphs]))
            text = " ".join(map(_glyph_text, glyphs))
            among = [other.code for other in models.values()]
            # Two witnesses: how sure the model is, and how the letters that it read follow.
            probable = self._languages.among(among, text).get(code, 0.0)
            scores[code] = quality + LANGUAGE_WEIGHT * probable
        best = max(scores, key=lambda code: (scores[code], code))
        return LANGUAGES[best]

    def _best(
        self, page: _Page, at: int, languages: Iterable[KnownLanguage], least: float
    ) -> ScriptReading:
        """Line ``at`` as read by the best of ``languages``, or as it was where that is better."""
        line = page.lines[at]
        best, quality = ScriptReading(line.reading), least
        for language in languages:
            glyphs = self._read(line, language)
            reached = _quality(glyphs, language)
            if reached < quality or not page.is_better(at, glyphs, language, reached):
                continue
            reading = line.merged(glyphs, language.script)
            if reading is not None:
                best, quality = ScriptReading(reading, language.code), reached
        return best

    def _probe(
        self, page: _Page, at: int, language: KnownLanguage, looks: int = 2
    ) -> tuple[_Placed, ...]:
        """The beginning of a line as the model reads it."""
        key = (at, language.model, looks)
        if key not in page.probed:
            page.probed[key] = self._read(page.lines[at].beginning(), language, looks)
        return page.probed[key]

    def _read(self, line: _Line, language: KnownLanguage, looks: int = 2) -> tuple[_Placed, ...]:
        """The line as the model reads it, in the best of up to three ways.

        Tesseract first looks for the row inside the line, small print a second time enlarged.
        Where marks far above or below mislead it (Arabic, Bengali), the line is cut close to its
        ink and read raw.
        """
        best = self._in_row(line.cut(None), language)
        if looks > 1 and _quality(best, language) < GOOD and line.height < SMALL_PRINT:
            best = max(best, self._in_row(line.cut(ENLARGED), language), key=_by(language))
        if looks > 1 and _quality(best, language) < GOOD:
            close = _close_to_ink(line.cut(RAW_HEIGHT))
            raw = _placed(self._tesseract.read(close, language.model, raw=True), 0, close.shape[1])
            best = max(best, raw, key=_by(language))
        return best

    def _in_row(self, cut: Pixels, language: KnownLanguage) -> tuple[_Placed, ...]:
        framed = cv2.copyMakeBorder(cut, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE)
        row = self._tesseract.read(np.asarray(framed, dtype=np.uint8), language.model)
        return _placed(row, MARGIN, cut.shape[1])


@dataclass(frozen=True, slots=True)
class _Placed:
    """A glyph with its stretch of the line, 0..1 from left to right."""

    text: str
    start: float
    end: float
    confidence: float
    word_confidence: float
    spaced: bool


@dataclass(frozen=True, slots=True)
class _Line:
    pixels: Pixels
    quad: Quad
    reading: Reading | None
    width: float
    height: float

    def cut(self, height: int | None) -> Pixels:
        """The line as ``uint8`` grey ``H×W``, ``height`` pixels high, else as high as it is."""
        high = max(4, round(self.height) if height is None else height)
        wide = min(LONGEST_LINE, max(4, round(high * self.width / self.height)))
        corners = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], dtype=np.float32)
        half = np.float32(0.5)
        way = cv2.getPerspectiveTransform(np.ascontiguousarray(self.quad) - half, corners - half)
        crop = cv2.warpPerspective(
            self.pixels, way, (wide, high), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), dtype=np.uint8)

    def beginning(self) -> _Line:
        """The line, at most `PROBE_WIDTH` heights of it."""
        width = min(self.width, PROBE_WIDTH * self.height)
        part = np.float32(width / self.width)
        first, second, third, fourth = self.quad
        quad = np.stack(
            [first, first + part * (second - first), fourth + part * (third - fourth), fourth]
        )
        return _Line(self.pixels, quad, None, width, self.height)

    def is_doubtful(self) -> bool:
        if self.reading is None or self.reading.confidence < DOUBTFUL_CONFIDENCE:
            return True
        seen = sum(character.isalnum() for character in _text(self.reading))
        return seen * self.height / self.width < DOUBTFUL_DENSITY

    def merged(self, glyphs: Sequence[_Placed], script: str) -> Reading | None:
        """``glyphs`` as a reading, with PP-OCR's characters where these are not of the script.

        Models of one script read Latin letters badly; PP-OCR reads them well.
        """
        pieces: list[_Placed] = []
        runs = [
            (sure, list(run))
            for sure, run in groupby(glyphs, lambda glyph: _is_sure(glyph, script))
        ]
        for at, (sure, run) in enumerate(runs):
            if sure or self.reading is None or script == "Latin":
                pieces += run
                continue
            before = runs[at - 1][1][-1] if at else None
            after = runs[at + 1][1][0] if at + 1 < len(runs) else None
            if script in RIGHT_TO_LEFT:
                before, after = after, before
            low = before.end if before else 0.0
            high = after.start if after else 1.0
            pieces += _better_run(run, self._general(low, high), script)
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
        return Reading(self.quad, tuple(tuple(word) for word in words), mean)

    def _general(self, low: float, high: float) -> list[_Placed]:
        """PP-OCR's characters whose middle lies between ``low`` and ``high``."""
        assert self.reading is not None
        found = []
        for word in self.reading.words:
            spaced = True
            for character in word:
                if low <= (character.start + character.end) / 2 <= high:
                    sure = character.confidence
                    found.append(
                        _Placed(character.text, character.start, character.end, sure, sure, spaced)
                    )
                spaced = False
        return found


class _Page:
    """The lines of one page, and what models read of those that tell its script."""

    def __init__(self, pixels: Pixels, lines: Sequence[tuple[Quad, Reading | None]]) -> None:
        self.lines = [_line(pixels, quad, reading) for quad, reading in lines]
        self.probed: dict[tuple[int, str, int], tuple[_Placed, ...]] = {}

    def doubtful(self) -> list[int]:
        return [at for at, line in enumerate(self.lines) if line.is_doubtful()]

    def share(self, lines: Iterable[int]) -> float:
        """The share of ``lines``, by width, of all."""
        whole = sum(line.width for line in self.lines)
        return sum(self.lines[at].width for at in lines) / whole if whole else 0.0

    def longest(self, lines: Iterable[int], most: int) -> list[int]:
        """The ``most`` longest of ``lines`` for their height, longest first."""
        long = [
            at for at in lines if self.lines[at].width >= SHORTEST_PROBE * self.lines[at].height
        ]
        return sorted(long, key=lambda at: -self.lines[at].width / self.lines[at].height)[:most]

    def is_plausible(self, at: int, glyphs: Sequence[_Placed], script: str) -> bool:
        """Whether line ``at`` may be in ``script``: most glyphs are its letters, and enough."""
        own = sum(script_of(glyph.text[0]) == script for glyph in glyphs)
        line = self.lines[at].beginning()
        dense = len(glyphs) * line.height / line.width >= DOUBTFUL_DENSITY / 2
        return own >= max(FEWEST_LETTERS, len(glyphs) / 2) and dense

    def is_better(
        self, at: int, glyphs: Sequence[_Placed], language: KnownLanguage, quality: float
    ) -> bool:
        """Whether ``glyphs`` are a better reading of line ``at`` than PP-OCR's."""
        line = self.lines[at]
        own = sum(_is_sure(glyph, language.script) for glyph in glyphs)
        if not own:
            return False
        if line.reading is None or line.is_doubtful():
            return True
        if language.script == "Latin":
            return quality >= min(SURE_WORD, line.reading.confidence)
        if language.script in HAVE_LOOKALIKES:
            text = _text(line.reading)
            if all(c in LOOKALIKES for c in text if script_of(c) == "Latin"):
                return True
            return own >= len(glyphs) / 2 and quality >= ACCEPTED
        return own >= max(FEWEST_AMONG_OTHERS, SHARE_AMONG_OTHERS * len(glyphs))


def _line(pixels: Pixels, quad: Quad, reading: Reading | None) -> _Line:
    if reading is not None:
        quad = reading.quad
    width, height = _extent(quad)
    if reading is None and height >= TALL * width:
        quad = np.roll(quad, -1, axis=0)
        width, height = height, width
    return _Line(pixels, quad, reading, width, height)


def _extent(quad: Quad) -> tuple[float, float]:
    """Width and height of a quadrilateral in its own pixels, at least 1: the longer of two."""
    top, right, bottom, left = (np.hypot(*(quad[i] - quad[(i + 1) % 4])) for i in range(4))
    return max(1.0, float(max(top, bottom))), max(1.0, float(max(left, right)))


def _probed() -> list[KnownLanguage]:
    return [LANGUAGES[code] for code in PROBED]


def _text(reading: Reading) -> str:
    return " ".join("".join(character.text for character in word) for word in reading.words)


def _glyph_text(glyphs: Iterable[_Placed]) -> str:
    return "".join(" " * glyph.spaced + glyph.text for glyph in glyphs)


def _quality(glyphs: Sequence[_Placed], language: KnownLanguage) -> float:
    """Mean word confidence; glyphs of other scripts than the model's do not count."""
    own = [g.word_confidence for g in glyphs if script_of(g.text[0]) in ("", language.script)]
    letters = sum(script_of(glyph.text[0]) == language.script for glyph in glyphs)
    return float(np.mean(own)) if letters else 0.0


def _by(language: KnownLanguage) -> Callable[[Sequence[_Placed]], float]:
    return lambda glyphs: _quality(glyphs, language)


def _is_sure(glyph: _Placed, script: str) -> bool:
    return script_of(glyph.text[0]) == script and glyph.word_confidence >= SURE_WORD


def _placed(glyphs: Sequence[Glyph], margin: int, width: int) -> tuple[_Placed, ...]:
    """Glyphs with their stretch of a line ``width`` columns wide that has a ``margin`` around it.

    A glyph ends where its right neighbour begins: Tesseract's boxes overlap now and then.
    """
    order = sorted(range(len(glyphs)), key=lambda at: (glyphs[at].left, at))
    ends: dict[int, float] = {}
    for place, at in enumerate(order):
        right = float(glyphs[at].right)
        if place + 1 < len(order):
            right = min(right, float(glyphs[order[place + 1]].left))
        ends[at] = max(right, glyphs[at].left + 1.0)
    placed = []
    for at, glyph in enumerate(glyphs):
        start = min(max((glyph.left - margin) / width, 0.0), 1 - 1 / width)
        end = min(max((ends[at] - margin) / width, start + 1 / width), 1.0)
        placed.append(
            _Placed(glyph.text, start, end, glyph.confidence, glyph.word_confidence, glyph.spaced)
        )
    return tuple(placed)


def _better_run(
    run: Sequence[_Placed], general: Sequence[_Placed], script: str
) -> Sequence[_Placed]:
    """What stands between letters of the script: as its model reads it, or as PP-OCR does."""
    letters = [piece for piece in general if script_of(piece.text)]
    if not any(piece.text.isalnum() for piece in general):
        return run
    if any(script_of(piece.text) != "Latin" for piece in letters):
        return run
    foreign = [glyph for glyph in run if script_of(glyph.text[0]) not in ("", script)]
    alike = script in HAVE_LOOKALIKES and all(piece.text in LOOKALIKES for piece in letters)
    if alike and not foreign:
        return run
    mean = float(np.mean([piece.confidence for piece in general]))
    if mean < max(DOUBTFUL_CONFIDENCE, float(np.mean([glyph.word_confidence for glyph in run]))):
        return run
    return [
        _Placed(
            p.text,
            p.start,
            p.end,
            p.confidence,
            p.word_confidence,
            p.spaced if at else run[0].spaced,
        )
        for at, p in enumerate(general)
    ]


def _close_to_ink(line: Pixels) -> Pixels:
    """``line`` (grey ``H×W``) without its empty rows above and below, dark on light."""
    dark_ground = float(np.median(line)) < 128
    light = np.asarray(255 - line if dark_ground else line, dtype=np.uint8)
    _, ink = cv2.threshold(light, 0, 1, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
    rows = np.flatnonzero(np.asarray(ink).any(axis=1))
    if not len(rows):
        return light
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    margin = round(RAW_MARGIN * (bottom - top))
    return light[max(0, top - margin) : bottom + margin]
