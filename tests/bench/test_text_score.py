"""The judge is judged: a scorer that flatters would hide every fault of the reader."""

from __future__ import annotations

from typing import Any

import pytest
from bench.quality.text_score import Piece, Score, score, total


def truth(*lines: tuple[str, float], **more: Any) -> dict[str, Any]:
    """Lines of 100×20 pixels at (10, y)."""
    words = [{"text": text, "poly": box(10, y, 110, y + 20)} for text, y in lines]
    text = "\n".join(text for text, _ in lines)
    row = {"category": "document", "script": "Latin", "casefold": False, "ordered": True}
    return {**row, "level": "line", "words": words, "ignore": [], "text": text, **more}


def box(x0: float, y0: float, x1: float, y1: float) -> Any:
    return ((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def piece(text: str, y: float, x0: float = 10, x1: float = 110) -> Piece:
    return Piece(text, box(x0, y, x1, y + 20))


def test_what_is_read_right_has_no_errors_in_any_order() -> None:
    wanted = truth(("one two", 0), ("three", 40))
    found = score(wanted, [piece("three", 40), piece("one two", 0)])
    assert (found.errors, found.extra, found.error_rate, found.f1) == (0, 0, 0, 100)


@pytest.mark.parametrize(
    ("read", "errors"), [("one tvo", 1), ("one tw", 1), ("onetwo", 1), ("one  two", 0), ("", 7)]
)
def test_each_wrong_character_is_an_error(read: str, errors: int) -> None:
    assert score(truth(("one two", 0)), [piece(read, 0)] if read else []).errors == errors


def test_a_line_read_in_two_pieces_is_one_line() -> None:
    halves = [piece("two", 0, 65, 110), piece("one", 0, 10, 50)]
    assert score(truth(("one two", 0)), halves).errors == 0


def test_lettering_where_the_truth_has_none_is_extra() -> None:
    found = score(truth(("one", 0)), [piece("one", 0), piece("noise", 300)])
    assert (found.errors, found.extra) == (0, 5)


def test_lettering_in_an_ignored_place_does_not_count() -> None:
    wanted = truth(("one", 0), ignore=[box(0, 290, 200, 330)])
    assert score(wanted, [piece("one", 0), piece("noise", 300)]).extra == 0


def test_right_to_left_pieces_are_joined_from_the_right() -> None:
    wanted = truth(("אחד שתיים", 0), script="Hebrew")
    assert score(wanted, [piece("שתיים", 0, 10, 55), piece("אחד", 0, 65, 110)]).errors == 0


def test_scripts_without_spaces_are_compared_without_them() -> None:
    found = score(truth(("日本語", 0), script="Japanese"), [piece("日 本 誤", 0)])
    assert (found.errors, found.characters, found.matched, found.words) == (1, 3, 2, 3)


def test_truth_without_places_is_compared_in_its_order_if_that_is_known() -> None:
    words = [{"text": "one", "poly": None}, {"text": "two", "poly": None}]
    ordered = truth(words=words, text="one\ntwo")
    backwards = [piece("two", 0), piece("one", 0)]
    assert score(ordered, backwards).errors > 0
    assert score({**ordered, "ordered": False}, backwards).errors == 0


def test_a_total_weighs_every_character_the_same() -> None:
    assert total([Score(1, 10), Score(0, 90)]).error_rate == 1.0
