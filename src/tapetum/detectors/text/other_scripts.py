"""Which lines of a page are in scripts that the general recogniser lacks, and what they say.

PP-OCR knows Latin, Han and Kana. On other scripts it sees little or nothing, and says so only in
part: unknown letters come out as blanks, with confidence. So a line is doubtful when few characters
were read for its length, or some with little confidence. Doubtful lines are tried with one model of
each script; a script is accepted only where whole words are read with confidence, because
every model reads something into everything. Vietnamese, which PP-OCR reads without its accents, is
known by the language of what was read. Hints stand in for the search.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from tapetum.detectors.text.quads import Quad, size
from tapetum.detectors.text.recognition import Reading
from tapetum.detectors.text.script_line import (
    DOUBTFUL_DENSITY,
    PROBE_WIDTH,
    ModelReader,
    Pixels,
    Placed,
    ScriptLine,
    quality,
    text_of,
)
from tapetum.detectors.text.script_merge import ACCEPTED, is_better, merged
from tapetum.layout.languages import Languages
from tapetum.layout.scripts import LANGUAGES, KnownLanguage
from tapetum.models.tesseract import Tesseract

#: Width over height of a line that may tell the script of its page. Shorter ones, to the second,
#: are asked only where no line is longer: they hold one word at most.
LONG_ENOUGH, SCRAP = 3.0, 2.0
#: Lines, those of which PP-OCR left most unread, that are tried with every script; fewer on a page
#: of which most was read well, and to tell which way up it lies.
PROBES, FEWER_PROBES = 4, 2
#: Scripts, those that came nearest, with which such a line is read in the other ways too.
SECOND_LOOKS = 4
#: Of its script, on a line that decides for one.
FEWEST_LETTERS = 4

ACCEPTED_AGAIN = 0.85
#: As `ACCEPTED`, where the best of several ways to read the line counts, and for Thai, whose model
#: is the one that is sure of other scripts too (0.86 on Armenian, which none reads).
ACCEPTED_THAI = 0.88
#: How much better lines must read one way up than the other where neither way is accepted.
CLEARLY = 0.3
#: Lines by which the language is chosen among those of one script.
WITNESSES = 8
#: Least mean word confidence at which a reading is taken at all; the second on a page that is known
#: to be in the script: short words in small print are read right with as little.
KEPT, KEPT_AMONG_OTHERS = 0.6, 0.3
#: Share of doubtful lines, by width, from which all lines of a page are read again.
MOSTLY = 0.3
#: Scripts that are sought on one page besides the general recogniser's.
MOST_SCRIPTS = 2
#: Languages of the hints, in their order, with which every line is read: bounds the work.
MOST_HINTED = 4

VIETNAMESE = frozenset("ăâđêôơưĂÂĐÊÔƠƯ")
#: Letters that PP-OCR does read, and their share from which the language of a page is asked.
VIETNAMESE_SHARE = 0.02
#: Least probability at which a page of Latin letters is read again as Vietnamese.
SURE_LANGUAGE = 0.5
#: One language of each script.
PROBED = tuple(
    language
    for code, language in LANGUAGES.items()
    if code in {"ko", "ru", "ar", "hi", "th", "el", "he", "bn", "ta", "te", "gu", "pa", "km", "si"}
)
#: A line as `tapetum.detectors.text.lines.LineFinder` gives it, and what PP-OCR made of it.
Found = tuple[Quad, Reading | None]


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
        self._reader = ModelReader(tesseract)
        self._languages = languages

    def read(
        self, pixels: Pixels, lines: Sequence[Found], hints: Sequence[str] = ()
    ) -> list[ScriptReading]:
        """One entry per line, in order.

        ``pixels`` are ``uint8`` RGB ``H×W×3``, the ``lines`` stand in them; ``hints`` are codes of
        `tapetum.layout.scripts.LANGUAGES`. Where all hints are PP-OCR's languages nothing is
        read again. Raises `tapetum.errors.ModelError` when a model is unusable.
        """
        page = _Page(self._reader, pixels, lines)
        every = range(len(page.lines))
        if hints:
            for at in every:
                page.settle(at, _by_tesseract(hints), KEPT_AMONG_OTHERS)
        elif self._is_vietnamese(page):
            for at in every:
                page.settle(at, [LANGUAGES["vi"]], KEPT)
        else:
            sought = PROBED
            for _ in range(MOST_SCRIPTS):
                left = page.unsettled()
                mostly = page.share(left) > MOSTLY
                language = page.language(sought, left, PROBES if mostly else FEWER_PROBES)
                if language is None:
                    break
                language = self._sibling(page, left, language)
                sought = tuple(
                    candidate for candidate in sought if candidate.script != language.script
                )
                for at in every if mostly else left:
                    page.settle(at, [language], KEPT_AMONG_OTHERS if mostly else KEPT)
        return page.readings

    def turn(
        self,
        pixels: Pixels,
        quads: Sequence[Quad],
        readings: Sequence[Reading | None],
        hints: Sequence[str] = (),
        *,
        is_sideways: bool = False,
        in_doubt: bool = True,
    ) -> int | None:
        """How far a page in Tesseract's scripts is turned clockwise, in degrees; ``None`` where it
        seems to be in others.

        ``quads`` as in `read`, of all its lines; ``readings`` are what PP-OCR made of some: where
        it read half of them well nothing is done. ``is_sideways``: the text runs up or down.
        ``in_doubt``: nothing else tells the turn, so that reading clearly better one way will do.
        """
        unread = sum(
            reading is None or ScriptLine.of(pixels, reading.quad, reading).is_doubtful()
            for reading in readings
        )
        if 2 * unread <= len(readings):
            return None
        corners = [np.roll(quad, -1 if is_sideways else 0, axis=0) for quad in quads]
        ahead, over = self.stands(pixels, corners, hints)
        is_clear = in_doubt and abs(ahead - over) >= CLEARLY
        if max(ahead, over) < ACCEPTED and not is_clear:
            return None
        return (90 if is_sideways else 0) + (0 if ahead >= over else 180)

    def stands(
        self, pixels: Pixels, quads: Sequence[Quad], hints: Sequence[str] = ()
    ) -> tuple[float, float]:
        """How well lines read as their corners say and upside down, both 0..1.

        ``quads`` as in `read`, each just as its corners say. Mean word confidence of one of the
        longest, by a model of ``hints``, else of any script. What stands right way up reaches
        `ACCEPTED` if it is in one of Tesseract's scripts; print in PP-OCR's scripts does neither
        way. Where neither way does, the means over the lines by the model that came nearest.
        (0, 0) where no line is long enough, or none may be in such a script.
        """
        models = _by_tesseract(hints) if hints else PROBED
        page = _Page(self._reader, pixels, [])
        page.lines = [ScriptLine(pixels, quad, None, *size(quad)) for quad in quads]
        lines = page.telling(range(len(quads)), FEWER_PROBES)
        sums: dict[str, list[float]] = {}
        for at in lines:
            line = page.lines[at].beginning()
            for language in models:
                both = [
                    self._reader.read(shown, language, once=True) for shown in (line, line.over())
                ]
                ahead, over = (quality(symbols, language) for symbols in both)
                if any(_is_accepted(line, symbols, language, once=True) for symbols in both):
                    return ahead, over
                if language.script != "Thai":  # its model is sure of other scripts too
                    total = sums.setdefault(language.code, [0.0, 0.0])
                    total[0] += ahead / len(lines)
                    total[1] += over / len(lines)
        ahead, over = max(sums.values(), key=max, default=[0.0, 0.0])
        return ahead, over

    def _is_vietnamese(self, page: _Page) -> bool:
        text = " ".join(text_of(line.reading) for line in page.lines if line.reading)
        if sum(character in VIETNAMESE for character in text) <= VIETNAMESE_SHARE * len(text):
            return False
        languages = self._languages.identify(text)
        return (
            bool(languages)
            and languages[0].code == "vi"
            and languages[0].confidence >= SURE_LANGUAGE
        )

    def _sibling(self, page: _Page, left: Sequence[int], known: KnownLanguage) -> KnownLanguage:
        """The language of those in the script of ``one`` whose model reads the lines best."""
        codes = {
            code: language.model
            for code, language in LANGUAGES.items()
            if language.script == known.script and language.model
        }
        if len(codes) == 1:
            return known
        lines = page.telling(left, WITNESSES)
        readings = {model: page.reads(lines, model, known.script) for model in codes.values()}
        # Two witnesses: how sure a model is, and, better, how the letters follow in what any of
        # them read: a model of another language writes most words of its neighbour's right.
        scores = {code: readings[model][0] for code, model in codes.items()}
        for _, text in readings.values():
            for code, probable in self._languages.among(codes, text).items():
                scores[code] += probable / len(readings)
        return LANGUAGES[max(scores, key=lambda code: scores[code])]


class _Page:
    """The lines of one page, what is found of each, and what models read of those that tell its
    script."""

    def __init__(self, reader: ModelReader, pixels: Pixels, lines: Sequence[Found]) -> None:
        self._reader = reader
        self._probed: dict[tuple[int, str, bool], tuple[Placed, ...]] = {}
        self.lines = [ScriptLine.of(pixels, quad, reading) for quad, reading in lines]
        self.readings = [ScriptReading(reading) for _, reading in lines]

    def unsettled(self) -> list[int]:
        """The doubtful lines that no model has read."""
        return [
            at
            for at, line in enumerate(self.lines)
            if not self.readings[at].language and line.is_doubtful()
        ]

    def share(self, lines: Iterable[int]) -> float:
        """The share of ``lines``, by width, of all."""
        whole = sum(line.width for line in self.lines)
        return sum(self.lines[at].width for at in lines) / whole if whole else 0.0

    def telling(self, lines: Iterable[int], most: int) -> list[int]:
        """The ``most`` of ``lines`` of which most is unread, those first."""
        shapes = {at: line.width / line.height for at, line in enumerate(self.lines)}
        least = LONG_ENOUGH if max(shapes.values(), default=0.0) >= LONG_ENOUGH else SCRAP
        long = [at for at in lines if shapes[at] >= least]
        return sorted(long, key=lambda at: -self._unread(at))[:most]

    def _unread(self, at: int) -> float:
        """How much of the beginning of line ``at`` PP-OCR made nothing of, in line heights."""
        line = self.lines[at]
        shape = line.width / line.height
        seen = sum(map(str.isalnum, text_of(line.reading))) if line.reading else 0
        return min(PROBE_WIDTH, shape) * (1 - seen / shape)

    def probe(self, at: int, language: KnownLanguage, *, once: bool) -> tuple[Placed, ...]:
        """The beginning of a line as the model reads it."""
        key = (at, language.model, once)
        if key not in self._probed:
            line = self.lines[at].beginning()
            self._probed[key] = self._reader.read(line, language, once=once)
        return self._probed[key]

    def reads(self, lines: Iterable[int], model: str, script: str) -> tuple[float, str]:
        """How sure the model is of the beginnings of ``lines`` (mean `quality`), and their text."""
        language = KnownLanguage("", script, model)
        read = [self.probe(at, language, once=True) for at in lines]
        sure = float(np.mean([quality(symbols, language) for symbols in read]))
        text = ("".join(" " * symbol.spaced + symbol.text for symbol in line) for line in read)
        return sure, " ".join(text)

    def language(
        self, sought: Sequence[KnownLanguage], left: Sequence[int], most: int
    ) -> KnownLanguage | None:
        """The language of ``sought`` in which one of the ``most`` most telling of the lines
        ``left`` is read."""
        for at in self.telling(left, most):
            reached = {
                language: quality(self.probe(at, language, once=True), language)
                for language in sought
            }
            nearest = sorted(reached, key=lambda language: -reached[language])
            for once, languages in ((True, nearest), (False, nearest[:SECOND_LOOKS])):
                for language in languages:
                    symbols = self.probe(at, language, once=once)
                    if _is_accepted(self.lines[at].beginning(), symbols, language, once=once):
                        return language
        return None

    def settle(self, at: int, languages: Iterable[KnownLanguage], least: float) -> None:
        """Read line ``at`` with the models of ``languages``; keep the best reading of a mean word
        confidence of at least ``least``, if it is better than what there is."""
        line = self.lines[at]
        if self.readings[at].language:
            return
        for language in languages:
            symbols = self._reader.read(line, language)
            reached = quality(symbols, language)
            if reached < least or not is_better(line, symbols, language, reached):
                continue
            reading = merged(line, symbols, language.script)
            if reading is not None:
                self.readings[at], least = ScriptReading(reading, language.code), reached


def _by_tesseract(hints: Iterable[str]) -> list[KnownLanguage]:
    return [LANGUAGES[hint] for hint in hints if LANGUAGES[hint].model][:MOST_HINTED]


def _is_accepted(
    line: ScriptLine, symbols: Sequence[Placed], language: KnownLanguage, *, once: bool
) -> bool:
    """Whether ``line`` is in the script of ``language``: its model read words with confidence, most
    symbols are its letters, and there are as many as the line is long for."""
    own = sum(symbol.script == language.script for symbol in symbols)
    dense = len(symbols) * line.height / line.width >= DOUBTFUL_DENSITY / 2
    least = ACCEPTED if once else ACCEPTED_AGAIN
    if language.script == "Thai":
        least = ACCEPTED_THAI
    return (
        dense
        and own >= max(FEWEST_LETTERS, len(symbols) / 2)
        and quality(symbols, language) >= least
    )
