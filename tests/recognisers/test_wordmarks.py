"""Word-marks: where a brand's name is a logo, and where it is only mentioned."""

from __future__ import annotations

import pytest

from tapetum.gallery.shipped.brands import Brand, Brands
from tapetum.layout.page import layout
from tapetum.recognisers.wordmarks import wordmarks
from tapetum.signals.text import Line, Symbol, Word

BRANDS = Brands(
    [
        Brand("Under Armour"),
        Brand("Coca-Cola", ("Coke",)),
        Brand("Visa"),
        Brand("Target", (), True),
        Brand("Nestlé"),
        Brand("H&M"),
        Brand("Starbucks", ("Starbucks Coffee",)),
    ]
)


def line(text, x, y, height=60, confidence=0.95) -> Line:
    words = []
    for part in text.split(" "):
        width = 0.6 * height * len(part)
        quad = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
        words.append(Word(quad, tuple(Symbol(c, quad, confidence) for c in part), confidence))
        x += width + 0.4 * height
    first, last = words[0].quad, words[-1].quad
    return Line((first[0], last[1], last[2], first[3]), tuple(words), confidence)


def names(*lines, width=800, height=800):
    return [mark.name for mark in wordmarks(layout(lines), BRANDS, width, height)]


def test_a_large_name_by_itself_is_a_logo():
    [mark] = wordmarks(layout([line("COCA-COLA", 50, 60)]), BRANDS, 800, 800)
    assert mark.name == "Coca-Cola"
    assert mark.score == pytest.approx(0.95)
    assert mark.quad[0] == (50, 60)
    assert not mark.is_word


@pytest.mark.parametrize("text", ["Nestle", "NESTLÉ", "nestlé", "H&M", "visa"])
def test_spelling_does_not_matter_but_for_short_names(text):
    assert len(names(line(text, 10, 10))) == 1


@pytest.mark.parametrize("text", ["hm", "HM", "Vista", "Nest", "Armour"])
def test_what_is_nearly_a_name_is_none(text):
    assert names(line(text, 10, 10)) == []


def test_small_print_is_no_logo():
    assert names(line("VISA", 50, 60, height=20)) == []


def test_a_mention_in_a_paragraph_is_no_logo():
    menu = [
        line("we accept Visa and", 50, 100),
        line("Discover in all of our", 50, 170),
        line("shops every day", 50, 240),
    ]
    assert names(*menu) == []


def test_two_lines_make_one_name():
    below = wordmarks(layout([line("UNDER", 50, 60), line("ARMOUR", 50, 130)]), BRANDS, 800, 800)
    assert [mark.name for mark in below] == ["Under Armour"]
    assert below[0].quad[0] == (50, 60)
    assert below[0].quad[2][1] == 190
    assert names(line("COCA", 50, 60), line("COLA", 220, 60)) == ["Coca-Cola"]


def test_far_lines_and_unlike_letters_make_no_name():
    assert names(line("UNDER", 50, 60), line("ARMOUR", 50, 500)) == []
    assert names(line("UNDER", 50, 60, height=120), line("ARMOUR", 50, 200, height=30)) == []


def test_a_name_with_more_around_it():
    assert names(line("COCA-COLA ZERO", 50, 60)) == ["Coca-Cola"]
    assert names(line("VISA ACCEPTED", 50, 60)) == []  # too short to be part of something


def test_the_longer_name_wins():
    [mark] = wordmarks(layout([line("STARBUCKS COFFEE", 20, 60)]), BRANDS, 900, 900)
    assert mark.name == "Starbucks"
    assert mark.quad[1][0] > 500


def test_one_letter_misread_costs_score():
    [mark] = wordmarks(layout([line("STARBUCK5", 20, 60)]), BRANDS, 900, 900)
    assert mark.name == "Starbucks"
    assert mark.score < 0.9


def test_an_ordinary_word_says_so():
    [mark] = wordmarks(layout([line("TARGET", 20, 60)]), BRANDS, 900, 900)
    assert mark.is_word


def test_what_ships_knows_the_best_known():
    shipped = Brands.packaged()
    assert len(shipped) > 4000
    known = "Google|Microsoft|IBM|Disney|Pepsi|Lexus|Gucci|Chanel|Nestlé|Heineken|Walmart|Lego"
    for name in known.split("|"):
        brand, exactness = shipped.named(name) or (None, 0)
        assert brand is not None, name
        assert brand.name == name
        assert exactness == 1
        assert not brand.is_word
    for word in ["Apple", "Target", "Shell", "Signal", "Notion", "Discover", "Orange"]:
        brand, _ = shipped.named(word) or (None, 0)
        assert brand is None or brand.is_word, word
    for word in ["the", "open", "menu", "exit", "police", "hotel", "restaurant", "welcome", "sale"]:
        found = shipped.named(word)
        assert found is None or found[0].is_word, word
