"""Text that is drawn here must be read back, where it was drawn."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tapetum.detectors.text.detector import TextDetector
from tapetum.detectors.text.lines import LONGEST_SIDE, MOST_PIXELS, input_size, reading_order
from tapetum.detectors.text.recognition import NARROWEST, WIDEST, padded_width
from tapetum.imaging.picture import Picture
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.signals.text import Line, Quad, TextLines

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def detector() -> TextDetector:
    return TextDetector(Sessions(Manifest.packaged()))


def page(width: int, height: int, *texts: tuple[int, int, int, str]) -> Pixels:
    """White ``width×height`` with ``(x, y, size, text)`` in black."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for x, y, size, text in texts:
        draw.text((x, y), text, font=ImageFont.load_default(size=size), fill="black")
    return np.asarray(image)


def picture(pixels: Pixels) -> Picture:
    return Picture(pixels, pixels.shape[1], pixels.shape[0])


def read(detector: TextDetector, pixels: Pixels) -> list[Line]:
    (signal,) = detector.detect([picture(pixels)])
    assert isinstance(signal, TextLines)
    return list(signal.lines)


def bounds(quad: Quad) -> tuple[float, float, float, float]:
    xs, ys = zip(*quad, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def ink(pixels: Pixels) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(pixels.min(axis=2) < 128)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (18, "Small print is read too"),
        (24, "The quick brown fox jumps over the lazy dog"),
        (32, "Invoice No. 2024-0117, total: $1,299.95"),
        (60, "A-Z & a-z: 100% (50 + 50)"),
        (140, "HEADLINE"),
    ],
)
def test_drawn_text_is_read_back(detector: TextDetector, size: int, text: str) -> None:
    (line,) = read(detector, page(1000, 300, (40, 60, size, text)))

    assert line.text == text
    assert [word.text for word in line.words] == text.split()
    assert line.confidence > 0.9


def test_light_text_on_dark_is_read(detector: TextDetector) -> None:
    (line,) = read(detector, 255 - page(600, 120, (30, 30, 40, "white on black")))

    assert line.text == "white on black"


@pytest.mark.parametrize("size", [20, 40, 80])
def test_boxes_hold_the_ink_of_their_words(detector: TextDetector, size: int) -> None:
    words = ["Wide", "iii", "mast", "12.50", "(x)", "END"]
    font = ImageFont.load_default(size=size)
    (line,) = read(detector, page(1400, 200, (40, 50, size, " ".join(words))))

    assert [word.text for word in line.words] == words
    slack = size / 10
    for at, word in enumerate(line.words):
        before = " ".join([*words[:at], ""]) if at else ""
        drawn = page(1400, 200, (40 + round(font.getlength(before)), 50, size, words[at]))
        left, top, right, bottom = ink(drawn)
        x0, y0, x1, y1 = bounds(word.quad)
        assert x0 <= left + slack
        assert x1 >= right - slack
        assert y0 <= top
        assert y1 >= bottom
        # ... and little else: not the next word's ink, not a line above or below.
        assert abs(x0 - left) < size / 3
        assert abs(x1 - right) < size / 3
        assert y1 - y0 < 2 * size


def test_symbols_fill_their_word_from_left_to_right(detector: TextDetector) -> None:
    size, text = 48, "WATERFALL"
    font = ImageFont.load_default(size=size)
    ((word,),) = (line.words for line in read(detector, page(500, 150, (50, 40, size, text))))

    assert [symbol.text for symbol in word.symbols] == list(text)
    assert word.symbols[0].quad[0] == word.quad[0]
    assert word.symbols[-1].quad[1] == word.quad[1]
    for one, other in zip(word.symbols, word.symbols[1:], strict=False):
        assert one.quad[1] == other.quad[0]
    for at, symbol in enumerate(word.symbols):
        middle = 50 + (font.getlength(text[:at]) + font.getlength(text[: at + 1])) / 2
        x0, _, x1, _ = bounds(symbol.quad)
        assert x0 < middle < x1


def test_lines_come_in_reading_order(detector: TextDetector) -> None:
    pixels = page(
        900,
        400,
        (500, 40, 30, "second"),
        (40, 46, 30, "first"),
        (40, 150, 30, "third"),
        (500, 156, 30, "fourth"),
        (260, 260, 30, "fifth"),
    )

    found = [line.text for line in read(detector, pixels)]

    assert found == ["first", "second", "third", "fourth", "fifth"]


@pytest.mark.parametrize("angle", [-10, 10])
def test_slanted_text_keeps_its_angle_and_order(detector: TextDetector, angle: int) -> None:
    straight = page(
        1000,
        500,
        (200, 180, 40, "LEFT SIDE"),
        (600, 180, 40, "RIGHT SIDE"),
        (200, 270, 40, "BELOW HERE"),
    )
    turn = cv2.getRotationMatrix2D((500, 250), angle, 1)
    pixels = cv2.warpAffine(
        straight, turn, (1000, 500), flags=cv2.INTER_CUBIC, borderValue=(255,) * 3
    )

    lines = read(detector, np.asarray(pixels, dtype=np.uint8))

    assert [line.text for line in lines] == ["LEFT SIDE", "RIGHT SIDE", "BELOW HERE"]
    for word in (word for line in lines for word in line.words):
        (x0, y0), (x1, y1) = word.quad[:2]
        assert math.degrees(math.atan2(y0 - y1, x1 - x0)) == pytest.approx(angle, abs=2)


def test_text_turned_clockwise_is_read_along_its_own_top(detector: TextDetector) -> None:
    pixels = np.rot90(page(600, 150, (60, 40, 48, "Book spine")), k=-1)

    (line,) = read(detector, np.ascontiguousarray(pixels))

    assert line.text == "Book spine"
    top_left, top_right, _, bottom_left = line.quad
    assert top_right[1] > top_left[1] + 150  # read downwards
    assert bottom_left[0] < top_left[0]


def test_a_tall_single_digit_is_not_laid_on_its_side(detector: TextDetector) -> None:
    for digit in "147":
        (line,) = read(detector, page(200, 200, (80, 60, 60, digit)))
        assert line.text == digit


def test_a_long_line_is_read_whole(detector: TextDetector) -> None:
    text = " ".join(["2024-01-17 12:33:01 INFO server started on port 8080;"] * 8)

    (line,) = read(detector, page(4000, 60, (20, 20, 16, text)))

    assert line.text.replace(" ", "") == text.replace(" ", "")
    assert abs(len(line.words) - len(text.split())) <= 1


def test_a_line_beyond_the_widest_does_not_fail(detector: TextDetector) -> None:
    text = "on and on " * 100

    lines = read(detector, page(5900, 30, (4, 6, 12, text)))

    assert all(math.isfinite(x) for line in lines for point in line.quad for x in point)


@pytest.mark.parametrize("value", [0, 127, 255])
def test_a_blank_picture_has_no_text(detector: TextDetector, value: int) -> None:
    assert read(detector, np.full((300, 400, 3), value, dtype=np.uint8)) == []


def test_noise_and_gradients_have_no_text(detector: TextDetector) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (400, 500, 3)).astype(np.uint8)
    ramp = np.broadcast_to(np.linspace(0, 255, 500)[np.newaxis, :, np.newaxis], (400, 500, 3))

    assert read(detector, noise) == []
    assert read(detector, ramp.astype(np.uint8)) == []


@pytest.mark.parametrize("shape", [(1, 1), (10, 3000), (3000, 10), (2, 2), (1, 5000)])
def test_odd_shapes_are_looked_at(detector: TextDetector, shape: tuple[int, int]) -> None:
    assert read(detector, np.full((*shape, 3), 200, dtype=np.uint8)) == []


def test_a_tight_strip_is_read(detector: TextDetector) -> None:
    (line,) = read(detector, page(520, 34, (4, 2, 24, "a strip cut close to its text")))

    assert line.text == "a strip cut close to its text"


def test_the_same_picture_gives_the_same_signal_in_any_batch(detector: TextDetector) -> None:
    one = picture(page(500, 200, (20, 20, 30, "Alone or not,"), (20, 90, 30, "the same text")))
    other = picture(page(800, 100, (20, 20, 40, "A neighbour in the batch")))

    alone = detector.detect([one])[0]
    again = detector.detect([one])[0]
    among = detector.detect([other, one, other])[1]

    assert repr(alone) == repr(again) == repr(among)
    assert len(alone.lines) == 2


def test_a_line_reads_the_same_without_its_neighbours(detector: TextDetector) -> None:
    finder, reader = detector._pages._finder, detector._pages._reader
    pixels = page(600, 300, (20, 20, 30, "One line"), (20, 150, 30, "and another, longer one"))
    quads = finder.find(pixels)

    together = [reader.read(pixels, quad) for quad in quads]
    backwards = [reader.read(pixels, quad) for quad in reversed(quads)]

    assert [repr(r) for r in together] == [repr(r) for r in reversed(backwards)]


def test_the_recogniser_sees_few_different_widths() -> None:
    widths = range(1, WIDEST + 1)
    padded = [padded_width(width) for width in widths]

    assert all(
        width <= wide <= width + 63 + NARROWEST for width, wide in zip(widths, padded, strict=True)
    )
    assert all(wide % 8 == 0 for wide in padded)
    assert len(set(padded)) < 130


def test_coordinates_are_those_of_the_full_size_image(detector: TextDetector) -> None:
    pixels = page(600, 200, (60, 60, 40, "Scaled down"))
    (line,) = read(detector, pixels)

    (signal,) = detector.detect([Picture(pixels, 1800, 600)])

    assert np.allclose(np.array(signal.lines[0].quad), 3 * np.array(line.quad), atol=3)


def test_an_empty_batch_gives_nothing(detector: TextDetector) -> None:
    assert detector.detect([]) == []


@given(width=st.integers(1, 60_000), height=st.integers(1, 60_000))
def test_the_network_input_is_bounded(width: int, height: int) -> None:
    wide, high = input_size(width, height)

    assert 1 <= wide <= LONGEST_SIDE + 1
    assert 1 <= high <= LONGEST_SIDE + 1
    assert wide * high <= MOST_PIXELS + LONGEST_SIDE


@given(width=st.integers(1, 20_000), height=st.integers(1, 20_000))
def test_no_more_pixels_are_wanted_than_there_are(width: int, height: int) -> None:
    side = TextDetector(Sessions(Manifest({}))).max_side(width, height)

    assert 1 <= side <= max(width, height)


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900)), max_size=30))
def test_reading_order_loses_no_line(corners: list[tuple[int, int]]) -> None:
    quads = [np.float32([[x, y], [x + 90, y], [x + 90, y + 20], [x, y + 20]]) for x, y in corners]

    order = reading_order(quads)

    assert sorted(id(quad) for quad in order) == sorted(id(quad) for quad in quads)


def test_rows_do_not_chain_down_a_staircase() -> None:
    steps = [
        np.float32([[x, y], [x + 90, y], [x + 90, y + 20], [x, y + 20]])
        for x, y in [(900, 0), (700, 9), (500, 18), (300, 27), (100, 36)]
    ]

    tops = [float(quad[0, 1]) for quad in reading_order(steps)]

    assert tops == [9, 0, 27, 18, 36]
