"""What language a text is in, and when nothing is said of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tapetum.layout.languages import LEAST, Languages
from tapetum.layout.scripts import LANGUAGES


@pytest.fixture(scope="module")
def languages() -> Languages:
    return Languages()


TEXTS = {
    "de": "Jeder Mensch hat das Recht auf Bildung.",
    "en": "Everyone has the right to education.",
    "fr": "Toute personne a droit à l'éducation.",
    "vi": "Mọi người đều có quyền được học hành.",
    "ru": "Каждый человек имеет право на образование.",
    "uk": "Кожна людина має право на освіту.",
    "bg": "Всеки човек има право на образование. Образованието трябва да бъде безплатно.",
    "ar": "لكل شخص الحق في التعلم",
    "fa": "هر کس حق دارد که از آموزش و پرورش بهره‌مند شود",
    "ko": "모든 사람은",
    "ja": "すべて人は、教育を受ける権利を有する。",
    "zh": "人人都有受教育的权利",
    "zh-Hant": "人人都有受教育的權利",
    "el": "Καθένας έχει δικαίωμα",
    "he": "כל אדם",
    "th": "ทุกคน",
    "ta": "அனைவருக்கும்",
}


@pytest.mark.parametrize(("code", "text"), TEXTS.items(), ids=TEXTS)
def test_a_sentence_is_known(languages: Languages, code: str, text: str) -> None:
    first = languages.identify(text)[0]
    assert first.code == code
    assert 0.5 < first.confidence <= 1


@pytest.mark.parametrize("text", ["", "12,50 € / 3", "...", "OK", "Total", "привет", "東京", "☃"])
def test_what_could_be_many_languages_is_none(languages: Languages, text: str) -> None:
    assert languages.identify(text) == ()


def test_two_scripts_are_two_languages_by_their_share(languages: Languages) -> None:
    found = languages.identify("모든 사람은 교육을 받을 권리를 가진다. We have the right.")
    assert [one.code for one in found] == ["ko", "en"]
    assert sum(one.confidence for one in found) <= 1.000001
    assert all(one.confidence >= LEAST for one in found)


def test_only_languages_that_are_read_are_named(languages: Languages) -> None:
    for text in (*TEXTS.values(), "Барлық адамдар тумысынан азат", "Bütün insanlar azaddır"):
        assert {one.code for one in languages.identify(text)} <= set(LANGUAGES)


def test_threads_get_the_same_answers(languages: Languages) -> None:
    texts = [*TEXTS.values()] * 3
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(Languages().identify, texts)) == list(map(languages.identify, texts))
