"""Spaces that the recogniser leaves out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tapetum.detectors.text.characters import LINE_HEIGHT, Peak, words_of

WIDE = 14


def line_of(text: str, gaps: dict[int, int]) -> tuple[list[Peak], NDArray[np.uint8]]:
    """Black bars for characters, 10 pixels wide, 3 apart, or as far as ``gaps`` says before the
    character of an index; and the peaks of each."""
    line = np.full((LINE_HEIGHT, 600, 3), 255, dtype=np.uint8)
    peaks, left = [], 5
    for index, character in enumerate(text):
        left += gaps.get(index, 3)
        line[10:38, left : left + 10] = 0
        peaks.append(Peak(character, left + 5.0, 0.9))
        left += 10
    return peaks, line[:, : left + 5]


def words(text: str, gaps: dict[int, int]) -> list[str]:
    return ["".join(c.text for c in word) for word in words_of(*line_of(text, gaps))]


def test_a_wide_gap_is_a_space_that_was_not_read() -> None:
    assert words("Tel:0340", {3: WIDE, 4: WIDE}) == ["Tel", ":", "0340"]
    assert words("nogap", {}) == ["nogap"]


@pytest.mark.parametrize("text", ["12345", "12.345", "02:56", "14/05"])
def test_numbers_stay_whole(text: str) -> None:
    at = next((i for i, character in enumerate(text) if not character.isdigit()), 2)
    assert words(text, {at: WIDE, at + 1: WIDE if text[at] != ":" else 3}) == [text]


def test_letters_that_all_stand_apart_are_one_word() -> None:
    assert words("SALE", {1: WIDE, 2: WIDE, 3: WIDE}) == ["SALE"]


def test_chinese_gets_no_spaces() -> None:
    assert words("天地玄黄", {2: 2 * WIDE}) == ["天地玄黄"]


def test_characters_beside_a_gap_end_at_their_ink() -> None:
    peaks, line = line_of("ab:cd", {3: WIDE})
    first, second = words_of(peaks, line)

    assert first[-1].end * line.shape[1] == pytest.approx(5 + 3 * 13, abs=2)
    assert second[0].start * line.shape[1] == pytest.approx(5 + 3 * 13 + WIDE, abs=2)
