"""Scripts and languages: what a letter belongs to, which engine reads what, what a hint means."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass

#: First and last code point, script: the blocks of Unicode that hold letters the engines read.
_RANGES = (
    (0x0041, 0x024F, "Latin"),
    (0x0370, 0x03FF, "Greek"),
    (0x0400, 0x052F, "Cyrillic"),
    (0x0590, 0x05FF, "Hebrew"),
    (0x0600, 0x06FF, "Arabic"),
    (0x0750, 0x077F, "Arabic"),
    (0x08A0, 0x08FF, "Arabic"),
    (0x0900, 0x097F, "Devanagari"),
    (0x0980, 0x09FF, "Bengali"),
    (0x0A00, 0x0A7F, "Gurmukhi"),
    (0x0A80, 0x0AFF, "Gujarati"),
    (0x0B80, 0x0BFF, "Tamil"),
    (0x0C00, 0x0C7F, "Telugu"),
    (0x0D80, 0x0DFF, "Sinhala"),
    (0x0E00, 0x0E7F, "Thai"),
    (0x1100, 0x11FF, "Hangul"),
    (0x1780, 0x17FF, "Khmer"),
    (0x1E00, 0x1EFF, "Latin"),
    (0x1F00, 0x1FFF, "Greek"),
    (0x2E80, 0x2FDF, "Han"),
    (0x3005, 0x3007, "Han"),
    (0x3040, 0x30FF, "Kana"),
    (0x3130, 0x318F, "Hangul"),
    (0x31F0, 0x31FF, "Kana"),
    (0x3400, 0x4DBF, "Han"),
    (0x4E00, 0x9FFF, "Han"),
    (0xAC00, 0xD7AF, "Hangul"),
    (0xF900, 0xFAFF, "Han"),
    (0xFB1D, 0xFB4F, "Hebrew"),
    (0xFB50, 0xFDFF, "Arabic"),
    (0xFE70, 0xFEFF, "Arabic"),
    (0xFF21, 0xFF5A, "Latin"),
    (0xFF66, 0xFF9F, "Kana"),
    (0x20000, 0x3FFFF, "Han"),
)

_FIRSTS = [first for first, _, _ in _RANGES]

RIGHT_TO_LEFT = frozenset({"Arabic", "Hebrew"})

#: From this share of kana among its Chinese characters and kana, all of a text is Japanese: a
#: heading may hold none.
KANA_SHARE = 0.05

#: The first letter of the scripts of East Asia: one of them may be a word.
FIRST_OF_EAST_ASIA = "\u2e80"


@dataclass(frozen=True, slots=True)
class KnownLanguage:
    """A language that is read. ``model`` is Tesseract's name of the model that reads it; empty
    where the general recogniser (PP-OCR: Latin, Han, Kana) does."""

    code: str
    script: str
    model: str = ""


_GENERAL = {
    "Latin": "af az sq eu bs br ca ceb co hr cs da nl en eo et fil fi fr fy gl de ht hu is id ga "
    "it jv la lv lt lb ms mt mi nb nn no oc pl pt ro gd sk sl so es su sw sv tr cy xh zu",
    "Kana": "ja",
    "Han": "zh zh-Hant",
}

_BY_TESSERACT = (
    ("ko", "Hangul", "kor"),
    ("ru", "Cyrillic", "rus"),
    ("uk", "Cyrillic", "ukr"),
    ("bg", "Cyrillic", "bul"),
    ("sr", "Cyrillic", "srp"),
    ("mk", "Cyrillic", "srp"),
    ("be", "Cyrillic", "bel"),
    ("el", "Greek", "ell"),
    ("ar", "Arabic", "ara"),
    ("fa", "Arabic", "fas"),
    ("ur", "Arabic", "urd"),
    ("he", "Hebrew", "heb"),
    ("hi", "Devanagari", "hin"),
    ("mr", "Devanagari", "hin"),
    ("ne", "Devanagari", "nep"),
    ("bn", "Bengali", "ben"),
    ("th", "Thai", "tha"),
    ("vi", "Latin", "vie"),
    ("ta", "Tamil", "tam"),
    ("te", "Telugu", "tel"),
    ("gu", "Gujarati", "guj"),
    ("pa", "Gurmukhi", "pan"),
    ("km", "Khmer", "khm"),
    ("si", "Sinhala", "sin"),
)

#: Every language that is read, by its code as it appears in answers.
LANGUAGES: dict[str, KnownLanguage] = {
    **{
        code: KnownLanguage(code, script)
        for script, codes in _GENERAL.items()
        for code in codes.split()
    },
    **{code: KnownLanguage(code, script, model) for code, script, model in _BY_TESSERACT},
}
#: Hints whose code in `LANGUAGES` is not their own or their first part. Serbian in Latin letters is
#: written as Croatian is.
_OTHER_NAMES = {
    "iw": "he",
    "in": "id",
    "tl": "fil",
    "zh-hans": "zh",
    "zh-hk": "zh-Hant",
    "zh-mo": "zh-Hant",
    "zh-tw": "zh-Hant",
    "sr-latn": "hr",
}

_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")
_EXTENSION = re.compile(r"-[a-z0-9]-.*", re.DOTALL)


def script_of(character: str) -> str:
    """The script of a letter or of a mark on one; empty for everything else."""
    return block_of(character) if unicodedata.category(character)[0] in "LM" else ""


def block_of(character: str) -> str:
    """The script whose blocks hold ``character``, letter or not; empty for all others."""
    code = ord(character)
    at = bisect_right(_FIRSTS, code) - 1
    return _RANGES[at][2] if at >= 0 and code <= _RANGES[at][1] else ""


def scripts_in(text: str) -> Counter[str]:
    """How many letters of each script ``text`` has; marks are not counted."""
    letters = (c for c in text if unicodedata.category(c)[0] == "L")
    return Counter(script for script in map(script_of, letters) if script)


def hinted(hint: str) -> KnownLanguage | None:
    """The language that a BCP-47 hint means, ``None`` where it is not read.

    Upper and lower case are one. Extensions say nothing here (``en-t-i0-handwrit`` is ``en``); a
    region, or whatever else follows a language, narrows what is read alike (``pt-BR`` is ``pt``).
    """
    tag = _EXTENSION.sub("", hint.lower())
    if not _TAG.fullmatch(tag):
        return None
    parts = tag.split("-")
    for end in range(len(parts), 0, -1):
        prefix = "-".join(parts[:end])
        code = _OTHER_NAMES.get(prefix, prefix)
        code = "zh-Hant" if code == "zh-hant" else code
        if code in LANGUAGES:
            return LANGUAGES[code]
    return None
