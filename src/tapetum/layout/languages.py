"""In what language a text is: by its script first, then by its letter sequences."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from tapetum.layout.scripts import KANA_SHARE, LANGUAGES, script_of, scripts_in

#: Languages less probable than this are not named.
LEAST = 0.3
#: Of a script that several languages share; a text of fewer letters is said to be in none.
FEWEST_LETTERS = 6
#: Of a text that are looked at: far more than the decision needs.
MOST_CHARACTERS = 20_000
#: Codes of py3langid that are others here.
_OUR_CODES = {"no": "nb", "tl": "fil"}


@dataclass(frozen=True, slots=True)
class Language:
    """A language a text may be in. ``confidence`` is 0..1: the share of the letters that are in
    its script times the probability of the language among those of that script."""

    code: str
    confidence: float


class Languages:
    """Identifies languages. May be called from several threads at once; the same text gets the
    same answer. The statistics are loaded at the first text that needs them, once in a process
    (0.7 s, 150 MB).
    """

    def identify(self, text: str) -> tuple[Language, ...]:
        """The languages of ``text`` by falling confidence, at most one of each script.

        Codes are BCP-47 as Google writes them: ``zh`` is Chinese in simplified letters, ``zh-Hant``
        in traditional ones. Only languages of `tapetum.layout.scripts.LANGUAGES` are named.
        Nothing is named below `LEAST`, nor for a few letters that could be many languages: a
        single word in Latin letters gives ``()``, a single word in Hangul ``ko``. Text without
        letters gives ``()``.
        """
        text = text[:MOST_CHARACTERS]
        letters = scripts_in(text)
        total = sum(letters.values())
        if letters["Kana"] and letters["Kana"] >= KANA_SHARE * (letters["Kana"] + letters["Han"]):
            letters["Kana"] += letters.pop("Han", 0)
        languages = []
        for script, count in letters.items():
            code, probability = self._among(script, text, count)
            confidence = probability * count / total
            if code and confidence >= LEAST:
                languages.append(Language(code, round(confidence, 6)))
        return tuple(sorted(languages, key=lambda language: (-language.confidence, language.code)))

    def among(self, codes: Iterable[str], text: str) -> dict[str, float]:
        """The probability of each of ``codes`` for ``text`` when it is in one of them; of those
        that the statistics know."""
        wanted = set(codes)
        scores: dict[str, float] = {}
        for known, score in _statistics().rank(text[:MOST_CHARACTERS]):
            code = _OUR_CODES.get(known, known)
            if code in wanted:
                scores[code] = max(score, scores.get(code, 0.0))
        whole = sum(scores.values())
        return {code: score / whole for code, score in scores.items()} if whole else {}

    def _among(self, script: str, text: str, letters: int) -> tuple[str, float]:
        """The language of the ``letters`` letters of ``text`` that are in ``script``."""
        if script == "Han":
            return _chinese(text, letters), 1.0
        codes = [code for code, language in LANGUAGES.items() if language.script == script]
        if len(codes) < 2:
            return (codes[0] if codes else ""), 1.0
        if letters < FEWEST_LETTERS:
            return "", 0.0
        own = "".join(c if script_of(c) in ("", script) else " " for c in text)
        probable = self.among(codes, own)
        if not probable:
            return "", 0.0
        best = max(probable, key=lambda code: (probable[code], code))
        return best, probable[best]


_loading = threading.Lock()
_loaded: list[LanguageIdentifier] = []


def _statistics() -> LanguageIdentifier:
    with _loading:
        if not _loaded:
            _loaded.append(LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True))
        return _loaded[0]


def _chinese(text: str, letters: int) -> str:
    """``zh`` or ``zh-Hant``, by which letters only the mainland's or only Taiwan's old character
    set has; ``zh`` where neither has more. Empty for a few that may as well be Japanese."""
    han = [character for character in text if script_of(character) == "Han"]
    simplified = sum(_is_in(c, "gb2312") and not _is_in(c, "big5") for c in han)
    traditional = sum(_is_in(c, "big5") and not _is_in(c, "gb2312") for c in han)
    if letters < FEWEST_LETTERS and not simplified and all(_is_in(c, "shift_jis") for c in han):
        return ""
    return "zh-Hant" if traditional > simplified else "zh"


def _is_in(character: str, charset: str) -> bool:
    try:
        character.encode(charset)
    except UnicodeEncodeError:
        return False
    return True
