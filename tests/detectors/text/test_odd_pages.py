"""Pages that reading must survive, and pages it must not read more into than there is."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tapetum.detectors.text.detector import TextDetector
from tapetum.detectors.text.lines import LineFinder
from tapetum.imaging.decoding import decode
from tapetum.imaging.picture import Picture
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions

Pixels = NDArray[np.uint8]

MOST_IMAGINED = 5
"""Characters that may be seen where there are none."""


@pytest.fixture(scope="module")
def sessions() -> Sessions:
    return Sessions(Manifest.packaged())


@pytest.fixture(scope="module")
def detector(sessions: Sessions) -> TextDetector:
    return TextDetector(sessions)


@pytest.fixture(scope="module")
def finder(sessions: Sessions) -> LineFinder:
    return LineFinder(sessions)


def page(width: int, height: int, *texts: tuple[int, int, int, str]) -> Pixels:
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for x, y, size, text in texts:
        draw.text((x, y), text, font=ImageFont.load_default(size=size), fill="black")
    return np.asarray(image)


def texts(detector: TextDetector, pixels: Pixels) -> list[str]:
    """The lines as the annotator would have them: a picture no larger than asked for."""
    rows, columns = pixels.shape[:2]
    side = detector.max_side(columns, rows)
    scale = min(1.0, side / max(rows, columns))
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    picture = Picture(Picture(pixels, columns, rows).resized(*size), columns, rows)
    (signal,) = detector.detect([picture])
    return [line.text for line in signal.lines]


def characters(lines: list[str]) -> int:
    return sum(len(line.replace(" ", "")) for line in lines)


@pytest.mark.parametrize("shape", [(1, 700), (700, 1), (2, 1300), (9, 9)])
def test_slivers_of_a_page_have_no_text(detector: TextDetector, shape: tuple[int, int]) -> None:
    whole = page(1400, 800, *((10, 40 * row, 24, "some line of text " * 6) for row in range(20)))

    assert characters(texts(detector, whole[: shape[0], : shape[1]])) <= MOST_IMAGINED


def test_text_too_small_to_be_read_is_not_made_up(detector: TextDetector) -> None:
    drawn = page(1200, 80, (10, 10, 40, "You will not be able to make this out at all"))
    small = cv2.resize(drawn, (24, 2), interpolation=cv2.INTER_AREA)
    pixels = np.full((200, 300, 3), 255, dtype=np.uint8)
    pixels[100:102, 100:124] = small

    assert characters(texts(detector, pixels)) <= MOST_IMAGINED


def test_letters_as_high_as_the_picture_are_read(detector: TextDetector) -> None:
    assert texts(detector, page(4600, 2600, (100, 100, 2000, "BIG"))) == ["BIG"]


@pytest.mark.parametrize("size", [(1000, 800), (300, 2000)])
@pytest.mark.parametrize("what", ["white noise", "soft noise", "coloured blocks", "stripes"])
def test_patterns_are_not_read(detector: TextDetector, size: tuple[int, int], what: str) -> None:
    chance = np.random.default_rng(11)
    width, height = size
    if what == "stripes":
        pixels = np.full((height, width, 3), 240, dtype=np.uint8)
        pixels[:, ::14] = 20
        pixels[:, 1::14] = 20
    else:
        cell = {"white noise": 1, "soft noise": 3, "coloured blocks": 12}[what]
        grain = chance.integers(0, 256, (height // cell + 1, width // cell + 1, 3), dtype=np.uint8)
        way = cv2.INTER_CUBIC if what == "soft noise" else cv2.INTER_NEAREST
        pixels = np.asarray(cv2.resize(grain, (width, height), interpolation=way), dtype=np.uint8)

    assert characters(texts(detector, pixels)) <= MOST_IMAGINED


@pytest.mark.parametrize("name", ["cat", "colosseum", "horses", "rocket"])
def test_fur_stone_and_leaves_are_not_read(detector: TextDetector, photos: Path, name: str) -> None:
    photo = decode((photos / f"{name}.jpg").read_bytes(), detector.max_side)
    (signal,) = detector.detect([photo])

    assert characters([line.text for line in signal.lines]) <= MOST_IMAGINED


def test_mirror_writing_is_survived(detector: TextDetector) -> None:
    drawn = page(900, 200, (40, 60, 48, "Objects in the mirror"))

    for mirrored in (drawn[:, ::-1], drawn[::-1], drawn[::-1, ::-1]):
        for line in texts(detector, np.ascontiguousarray(mirrored)):
            assert len(line) < 60


def test_ten_pixels_are_enough_in_a_small_strip(detector: TextDetector) -> None:
    (line,) = texts(detector, page(240, 16, (4, 1, 11, "net weight 500 g, batch 12")))

    assert line.replace(" ", "") == "netweight500g,batch12"


@pytest.mark.parametrize("angle", [-15, 15])
def test_a_page_askew_is_read(detector: TextDetector, angle: int) -> None:
    lines = ["A page that lies askew on the glass", "of the copier is still a page."]
    straight = page(1100, 700, (150, 300, 34, lines[0]), (150, 360, 34, lines[1]))
    turn = cv2.getRotationMatrix2D((550, 350), angle, 1)
    askew = cv2.warpAffine(straight, turn, (1100, 700), borderValue=(255,) * 3)

    assert texts(detector, np.asarray(askew, dtype=np.uint8)) == lines


def test_small_print_below_a_headline_is_not_overlooked(detector: TextDetector) -> None:
    small = "Offer ends 31 March. Terms apply, see page 4."
    pixels = page(2000, 1500, (100, 100, 300, "HUGE SALE"), (900, 1400, 17, small))

    assert texts(detector, pixels) == ["HUGE SALE", small]


def test_a_page_of_36_megapixels_is_read(detector: TextDetector) -> None:
    rows = [(400, 700 * row + 300, 160, f"Line {row} of a very large page") for row in range(8)]

    assert texts(detector, page(6000, 6000, *rows)) == [text for *_, text in rows]


def test_no_line_of_a_dense_page_is_lost(finder: LineFinder) -> None:
    cells = [
        (8 + 40 * column, 6 + 25 * row, 17, f"{(row * 7 + column) % 90 + 10}")
        for row in range(60)
        for column in range(50)
    ]

    assert len(finder.find(page(2010, 1510, *cells))) == pytest.approx(3000, abs=30)


def test_large_print_is_looked_at_in_few_pixels() -> None:
    sessions = Sessions(Manifest.packaged())
    finder = LineFinder(sessions)
    large = page(2400, 1800, (200, 300, 120, "Large print"), (200, 600, 120, "on a large page"))

    assert len(finder.find(large)) == 2
    assert sessions.runs() == {"ppocr-v6-detector": 1}
    smaller = page(2400, 1800, (200, 300, 120, "Large print"), (200, 600, 22, "and small print"))
    assert len(finder.find(smaller)) == 2
    assert sessions.runs() == {"ppocr-v6-detector": 3}
