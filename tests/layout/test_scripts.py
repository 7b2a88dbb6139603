"""Hints, and the scripts of letters."""

from __future__ import annotations

import pytest

from tapetum.layout.scripts import LANGUAGES, hinted, script_of, scripts_in
from tapetum.models.manifest import Manifest
from tapetum.models.tesseract import PREFIX


@pytest.mark.parametrize(
    ("hint", "code"),
    [
        ("ko", "ko"),
        ("KO", "ko"),
        ("en-t-i0-handwrit", "en"),
        ("EN-T-I0-HANDWRIT", "en"),
        ("pt-BR", "pt"),
        ("zh", "zh"),
        ("zh-Hans-CN", "zh"),
        ("zh-Hant", "zh-Hant"),
        ("zh-hant-HK", "zh-Hant"),
        ("zh-TW", "zh-Hant"),
        ("iw", "he"),
        ("he", "he"),
        ("sr", "sr"),
        ("sr-Latn-RS", "hr"),
        ("fil", "fil"),
        ("tl", "fil"),
    ],
)
def test_a_hint_means_a_language(hint: str, code: str) -> None:
    language = hinted(hint)
    assert language is not None
    assert language.code == code


@pytest.mark.parametrize(
    "hint", ["", "xx", "klingon", "en_US", "en-", "-en", "e", "日本", "a" * 9999]
)
def test_what_is_not_read_is_no_language(hint: str) -> None:
    assert hinted(hint) is None


def test_every_language_is_its_own_hint() -> None:
    for code, language in LANGUAGES.items():
        assert hinted(code) == language
        assert language.code == code


def test_every_model_is_in_the_manifest_and_used() -> None:
    carried = {row.name.removeprefix(PREFIX) for row in Manifest.packaged() if PREFIX in row.name}
    assert {language.model for language in LANGUAGES.values()} - {""} == carried


@pytest.mark.parametrize(
    ("letter", "script"),
    [
        ("a", "Latin"), ("ế", "Latin"), ("ß", "Latin"), ("я", "Cyrillic"), ("ώ", "Greek"),
        ("한", "Hangul"), ("ア", "Kana"), ("漢", "Han"), ("ש", "Hebrew"), ("ع", "Arabic"),
        ("ก", "Thai"), ("ि", "Devanagari"), ("1", ""), (" ", ""), ("×", ""), ("。", ""),
    ],
)  # fmt: skip
def test_a_letter_has_a_script(letter: str, script: str) -> None:
    assert script_of(letter) == script


def test_letters_are_counted_and_marks_are_not() -> None:
    assert scripts_in("Ab 한1 ि") == {"Latin": 2, "Hangul": 1}
