"""Which way up a page lies, asked of the real reader."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tapetum.detectors.text.characters import Character
from tapetum.detectors.text.lines import LineFinder
from tapetum.detectors.text.orientation import Quad, as_it_lay, page_orientation, upright
from tapetum.detectors.text.recognition import LineReader, Reading
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions

LINES = (
    "A page has one way up,",
    "and so have all its lines.",
    "Ask them together:",
    "4711, or 1174?",
)


@pytest.fixture(scope="module")
def sessions() -> Sessions:
    return Sessions(Manifest.packaged())


def page(lines: Sequence[str] = LINES) -> NDArray[np.uint8]:
    image = Image.new("RGB", (520, 80 + 60 * len(lines)), "white")
    pen = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        pen.text((40, 40 + 60 * row), line, fill="black", font=ImageFont.load_default(32))
    return np.asarray(image)


def turn_of(pixels: NDArray[np.uint8], sessions: Sessions) -> int | None:
    reader = LineReader(sessions)
    quads = LineFinder(sessions).find(pixels)
    return page_orientation(quads, lambda some: [reader.read(pixels, q) for q in some]).degrees


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_page_of_text_tells_its_turn(degrees: int, sessions: Sessions) -> None:
    turned = np.ascontiguousarray(np.rot90(page(), -degrees // 90))
    assert turn_of(turned, sessions) == degrees


@pytest.mark.parametrize("degrees", [0, 180])
def test_one_line_is_a_page_too(degrees: int, sessions: Sessions) -> None:
    turned = np.ascontiguousarray(np.rot90(page(LINES[:1]), -degrees // 90))
    assert turn_of(turned, sessions) == degrees


def test_noise_has_no_way_up(sessions: Sessions) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    assert turn_of(noise, sessions) is None


def line(x: float, y: float, width: float, height: float) -> Quad:
    corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
    return np.array(corners, dtype=np.float32)


def reading(quad: Quad, confidence: float, symbols: int = 10) -> Reading:
    characters = tuple(Character("x", i / symbols, (i + 1) / symbols, 1) for i in range(symbols))
    return Reading(quad, (characters,), confidence)


def test_a_page_that_reads_well_is_read_once_and_its_readings_are_kept() -> None:
    quads = [line(0, 30 * i, 200, 20) for i in range(8)]
    asked = []

    def read(some: list[Quad]) -> list[Reading]:
        asked.append(some)
        return [reading(quad, 0.97) for quad in some]

    turn = page_orientation(quads, read)
    assert (turn.degrees, len(asked)) == (0, 1)
    assert len(turn.upright) == 5
    for index, read_before in turn.upright.items():
        assert read_before is not None
        assert np.array_equal(read_before.quad, quads[index])


def test_doubt_both_ways_is_no_answer() -> None:
    quads = [line(0, 30 * i, 200, 20) for i in range(8)]
    turn = page_orientation(quads, lambda some: [reading(quad, 0.6) for quad in some])
    assert turn.degrees is None


def test_of_two_doubtful_ways_the_clearer_counts() -> None:
    quads = [line(30 * i, 0, 20, 200) for i in range(8)]

    def read(some: list[Quad]) -> list[Reading]:
        runs_up = some[0][1][1] < some[0][0][1]
        return [reading(quad, 0.7 if runs_up else 0.5) for quad in some]

    assert page_orientation(quads, read).degrees == 270


def test_no_lines_no_answer() -> None:
    assert page_orientation([], lambda some: []).degrees is None
    assert page_orientation([line(0, 0, 20, 20)], lambda some: [None] * len(some)).degrees is None


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_what_is_found_upright_is_told_where_it_lay(degrees: int) -> None:
    page = np.zeros((300, 500, 3), dtype=np.uint8)
    page[40:60, 100:200] = 255
    lying = np.ascontiguousarray(np.rot90(page, -degrees // 90))
    assert np.array_equal(upright(lying, degrees), page)
    height, width = lying.shape[:2]
    (x0, y0), _, (x1, y1), _ = as_it_lay(line(100, 40, 100, 20), degrees, width, height)
    there = lying[int(min(y0, y1)) : int(max(y0, y1)), int(min(x0, x1)) : int(max(x0, x1))]
    assert there.size == 20 * 100 * 3
    assert there.all()
