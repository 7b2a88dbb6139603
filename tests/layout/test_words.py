"""Words of scripts that are written without spaces."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapetum.layout.words import segmented, writes_spaces
from tapetum.signals.text import Line, Quad, Symbol, Word


def place(start: int, end: int) -> Quad:
    return (start, 0), (end, 0), (end, 1), (start, 1)


def word(text: str, start: int = 0) -> Word:
    symbols = tuple(Symbol(c, place(start + i, start + i + 1), 0.5) for i, c in enumerate(text))
    return Word(place(start, start + len(text)), symbols, 0.5)


def line(text: str, language: str = "") -> Line:
    words, at = [], 0
    for part in text.split(" "):
        words.append(word(part, at))
        at += len(part) + 1
    return Line(place(0, len(text)), tuple(words), 0.5, language)


def cut(text: str, language: str = "") -> list[str]:
    (found,) = segmented([line(text, language)])
    return [word.text for word in found.words]


@pytest.mark.parametrize(
    "words",
    [
        ["今天", "是", "晴天", "。", "我们", "在", "北京"],
        ["我們", "在", "台北", "的", "國立", "故宮博物院", "看見", "了"],
        ["東京都", "に", "住ん", "で", "いる", "田中", "さん", "は"],
        ["文字列", "を", "表示", "する"],
        ["อากาศ", "ดี"],
    ],
)
def test_words_are_told_apart(words: list[str]) -> None:
    assert cut("".join(words)) == words


@pytest.mark.parametrize(
    "words",
    [
        ["価格", ":", "100", "円", "(", "税込", ")"],
        ["Python3.11", "を", "使う"],
        ["Tel.03-1234-5678", "まで"],
        ["50%", "オフ", "!"],
        ["Ａ４", "サイズ"],
        ["「", "東京", "」"],
    ],
)
def test_scripts_numbers_and_marks_are_told_apart(words: list[str]) -> None:
    assert cut("".join(words)) == words


@pytest.mark.parametrize(
    "text", ["Hello, world", "1,299.95", "한국어 문장", "大韓민국", "été", "。"]
)
def test_what_is_written_with_spaces_stays_whole(text: str) -> None:
    assert cut(text) == text.split(" ")


def test_no_space_is_invented_and_none_is_lost() -> None:
    found = segmented([line("今天是晴天 很好"), line("hello world")])

    assert [line.text for line in found] == ["今天是晴天 很好", "hello world"]
    assert [word.spaced for word in found[0].words] == [False, False, True, False, True]


def test_a_heading_without_kana_is_japanese_among_japanese() -> None:
    body = line("これは日本語の文章でありとても長いものです")
    heading = "国立国会図書館"

    alone = [word.text for word in segmented([line(heading)])[0].words]
    among = [word.text for word in segmented([line(heading), body])[0].words]

    assert among == [heading]
    assert alone != among


def test_the_language_a_line_was_read_as_counts() -> None:
    assert cut("国立国会図書館", "ja") != cut("国立国会図書館", "zh-Hans")


def test_an_accent_stays_with_its_letter() -> None:
    marked = cut("ดีที่นี่")

    assert "".join(marked) == "ดีที่นี่"
    assert all(writes_spaces(text[0]) is False for text in marked)
    assert not any(text[0] in "ีิ่" for text in marked)


def test_boxes_follow_the_symbols() -> None:
    (found,) = segmented([line("今天是晴天")])

    assert [word.quad for word in found.words] == [place(0, 2), place(2, 3), place(3, 5)]


def test_boxes_follow_symbols_that_stand_below_each_other() -> None:
    def square(at: int) -> Quad:
        return (0, at), (1, at), (1, at + 1), (0, at + 1)

    symbols = tuple(Symbol(c, square(at), 0.5) for at, c in enumerate("今天是晴天"))
    whole = ((0, 0), (1, 0), (1, 5), (0, 5))
    (found,) = segmented([Line(whole, (Word(whole, symbols, 0.5),), 0.5)])

    assert found.words[0].quad == ((0, 0), (1, 0), (1, 2), (0, 2))


mixed = st.text(st.sampled_from("今天是晴日本語のカーบาีAb1.,。、(-한"), min_size=1, max_size=30)


@settings(deadline=None)
@given(mixed | st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=30))
def test_every_symbol_stays_in_its_place(text: str) -> None:
    (found,) = segmented([line(text)])

    assert [s for word in found.words for s in word.symbols] == list(word(text).symbols)
    assert all(word.symbols for word in found.words)
    assert found.text == text
