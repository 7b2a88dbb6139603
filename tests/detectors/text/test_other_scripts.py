"""Scripts that the general recogniser lacks: found, read, placed, and never made up."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from importlib.resources import files

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tapetum.detectors.text.detector import TextDetector
from tapetum.detectors.text.other_scripts import ScriptReader
from tapetum.imaging.picture import Picture
from tapetum.layout.languages import Languages
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.models.tesseract import Tesseract
from tapetum.signals.context import RequestContext
from tapetum.signals.text import Line

Pixels = NDArray[np.uint8]

KOREAN = [
    "모든 사람은 교육을 받을 권리를 가진다",
    "초등교육은 무상으로 실시되어야 한다",
    "누구든지 자유롭게 문화생활에 참여한다",
]
RUSSIAN = [
    "Каждый человек имеет право на образование",
    "Начальное образование должно быть бесплатным",
    "Каждый имеет право свободно участвовать в жизни",
]
HEBREW = ["כל אדם זכאי לחינוך חינם", "הספר מונח על השולחן בבית", "השמש זורחת בבוקר מעל העיר"]
ENGLISH = ["Everyone has the right to education", "It shall be free of charge for all"]


def font(package: str, name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(files(package).joinpath(name)), size)


def page(texts: Sequence[str], size: int = 32, dark: bool = False) -> Pixels:
    """``texts`` below each other in a font that has Korean, Cyrillic and Latin letters."""
    ground, ink = ("#202428", "#e8e8e8") if dark else ("white", "black")
    image = Image.new("RGB", (900, 120 + 80 * len(texts)), ground)
    draw = ImageDraw.Draw(image)
    letters = font("pylopdf_fonts_ko", "NotoSansKR-Regular.otf", size)
    for row, text in enumerate(texts):
        draw.text((60, 60 + 80 * row), text, font=letters, fill=ink)
    return np.asarray(image)


def hebrew_page(texts: Sequence[str]) -> Pixels:
    """Hebrew letters do not join: drawn backwards they stand as they are written."""
    image = Image.new("RGB", (900, 120 + 80 * len(texts)), "white")
    draw = ImageDraw.Draw(image)
    path = str(files("pylopdf_fonts_he").joinpath("NotoSansHebrew-Variable.ttf"))
    letters = ImageFont.truetype(path, 36, layout_engine=ImageFont.Layout.BASIC)
    for row, text in enumerate(texts):
        draw.text((840, 60 + 80 * row), text[::-1], font=letters, fill="black", anchor="ra")
    return np.asarray(image)


@pytest.fixture(scope="module")
def detector() -> TextDetector:
    return TextDetector(Sessions(Manifest.packaged()))


def read(detector: TextDetector, pixels: Pixels, languages: tuple[str, ...] = ()) -> list[Line]:
    height, width = pixels.shape[:2]
    context = RequestContext(languages=languages)
    (signal,) = detector.detect([Picture(pixels, width, height)], [context])
    return list(signal.lines)


def test_korean_is_read_without_a_hint(detector: TextDetector) -> None:
    lines = read(detector, page(KOREAN))
    assert [line.text for line in lines] == KOREAN
    assert {line.language for line in lines} == {"ko"}


def test_light_letters_on_a_dark_ground_are_read(detector: TextDetector) -> None:
    lines = read(detector, page(KOREAN, dark=True))
    found, drawn = " ".join(line.text for line in lines), " ".join(KOREAN)
    assert SequenceMatcher(None, found, drawn, autojunk=False).ratio() > 0.95


def test_cyrillic_is_read_and_its_language_told(detector: TextDetector) -> None:
    lines = read(detector, page(RUSSIAN))
    assert [line.text for line in lines] == RUSSIAN
    assert {line.language for line in lines} == {"ru"}


def test_lines_of_two_scripts_on_one_page_each_have_their_reader(detector: TextDetector) -> None:
    lines = read(detector, page([*ENGLISH, *KOREAN]))
    assert [line.text for line in lines] == [*ENGLISH, *KOREAN]
    assert [line.language for line in lines] == ["", "", "ko", "ko", "ko"]


def test_latin_words_inside_a_line_are_kept(detector: TextDetector) -> None:
    mixed = "서울특별시 (Seoul Station) 지하철 노선도"
    lines = read(detector, page([*KOREAN, mixed]))
    assert lines[-1].text == mixed


def test_a_hint_is_enough_for_a_single_word(detector: TextDetector) -> None:
    (line,) = read(detector, page(["도서관"], size=40), ("ko",))
    assert (line.text, line.language) == ("도서관", "ko")


def test_hints_for_the_general_recogniser_stop_the_search(detector: TextDetector) -> None:
    assert not any(line.language for line in read(detector, page(KOREAN), ("en", "ja")))


def test_symbols_stand_where_they_were_drawn(detector: TextDetector) -> None:
    (line, *_) = read(detector, page(KOREAN))
    letters = font("pylopdf_fonts_ko", "NotoSansKR-Regular.otf", 32)
    at = 0
    for word in line.words:
        for symbol in word.symbols:
            left = 60 + letters.getlength(KOREAN[0][:at])
            right = 60 + letters.getlength(KOREAN[0][: at + 1])
            assert left - 10 < (symbol.quad[0][0] + symbol.quad[1][0]) / 2 < right + 10
            assert 0 <= symbol.confidence <= 1
            at += 1
        at += 1  # the space


def test_right_to_left_text_is_in_the_order_it_is_read(detector: TextDetector) -> None:
    lines = read(detector, hebrew_page(HEBREW))
    assert [line.text for line in lines] == HEBREW
    for line in lines:
        rights = [word.quad[1][0] for word in line.words]
        assert rights == sorted(rights, reverse=True)
        for word in line.words:
            assert word.quad[0][0] < word.quad[1][0]  # a box, not its mirror image
            lefts = [symbol.quad[0][0] for symbol in word.symbols]
            assert lefts == sorted(lefts, reverse=True)


@pytest.mark.parametrize("turns", [1, 2])
def test_a_turned_page_is_read_too(detector: TextDetector, turns: int) -> None:
    lines = read(detector, np.ascontiguousarray(np.rot90(page(KOREAN), -turns)))
    assert [line.text for line in lines] == KOREAN


def test_a_page_of_latin_print_costs_nothing(detector: TextDetector) -> None:
    tesseract = Tesseract(Manifest.packaged())
    reader = ScriptReader(tesseract, Languages())
    pixels = page(ENGLISH)
    lines = detector._pages.read_upright(pixels)
    assert [one.reading for one in reader.read(pixels, lines)] == [one for _, one in lines]
    assert tesseract.runs == 0


def test_noise_does_not_become_text() -> None:
    reader = ScriptReader(Tesseract(Manifest.packaged()), Languages())
    noise = np.random.default_rng(0).integers(0, 256, (300, 600, 3), dtype=np.uint8)
    quads = [
        np.array([[20, y], [560, y], [560, y + 40], [20, y + 40]], dtype=np.float32)
        for y in (20, 100, 180)
    ]
    assert [one.reading for one in reader.read(noise, [(quad, None) for quad in quads])] == [
        None
    ] * 3
    assert reader.turn(noise, quads, [None] * 3) is None
