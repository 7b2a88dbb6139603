"""Which way up a picture lies that holds too little text to vote."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tapetum.detectors.text.lines import LineFinder
from tapetum.detectors.text.other_scripts import ScriptReader
from tapetum.detectors.text.page import PageReader
from tapetum.detectors.text.recognition import LineReader
from tapetum.layout.languages import Languages
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.models.tesseract import Tesseract


@pytest.fixture(scope="module")
def reader() -> PageReader:
    sessions = Sessions(Manifest.packaged())
    scripts = ScriptReader(Tesseract(Manifest.packaged()), Languages())
    return PageReader(LineFinder(sessions), LineReader(sessions), scripts)


def sign(degrees: int) -> NDArray[np.uint8]:
    image = Image.new("RGB", (1280, 720), "#405060")
    draw = ImageDraw.Draw(image)
    draw.text((600, 340), "STATION", font=ImageFont.load_default(size=30), fill="#f0f0e0")
    return np.ascontiguousarray(np.rot90(np.asarray(image), -degrees // 90))


@pytest.mark.parametrize("degrees", [0, 90, 270])
def test_a_sign_tells_the_turn_where_a_speck_of_it_was_found(
    reader: PageReader, degrees: int
) -> None:
    pixels = sign(degrees)
    middle = np.array([pixels.shape[1], pixels.shape[0]], dtype=np.float32) / 2
    speck = middle + np.array([[-9, -8], [9, -8], [9, 8], [-9, 8]], dtype=np.float32)

    assert reader._closer_look(pixels, [(speck, None)]) == degrees


def test_a_sign_on_its_head_tells_it_too(reader: PageReader) -> None:
    pixels = sign(180)
    found = reader.read_upright(pixels)

    assert reader._closer_look(pixels, found) == 180


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_word_as_high_as_wide_is_read_whichever_way_it_lies(
    reader: PageReader, degrees: int
) -> None:
    font = ImageFont.load_default(size=90)
    word = Image.new("RGB", (int(font.getlength("PARK")) + 8, 110), "#405060")
    ImageDraw.Draw(word).text((4, 4), "PARK", font=font, fill="#f0f0e0")
    image = Image.new("RGB", (1280, 720), "#405060")
    image.paste(word.resize((80, 80)), (600, 340))

    found, turn = reader.read(np.ascontiguousarray(np.rot90(np.asarray(image), -degrees // 90)))

    assert turn == degrees
    assert [reading.text for _, reading in found if reading is not None] == ["PARK"]


def test_a_picture_without_text_has_no_turn(reader: PageReader) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (600, 800, 3), dtype=np.uint8)
    speck = np.array([[390, 290], [420, 290], [420, 310], [390, 310]], dtype=np.float32)

    assert reader._closer_look(noise, [(speck, None)]) == 0


def test_the_edge_of_a_picture_can_be_looked_at(reader: PageReader) -> None:
    pixels = np.full((40, 30, 3), 200, dtype=np.uint8)
    speck = np.array([[-4, -4], [3, -4], [3, 3], [-4, 3]], dtype=np.float32)

    assert reader._closer_look(pixels, [(speck, None)]) == 0
