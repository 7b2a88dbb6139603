"""The second engine: the same answer every time, from any thread, and only from checked files."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tapetum.errors import ModelError
from tapetum.models.manifest import Manifest
from tapetum.models.tesseract import PREFIX, Tesseract


def line(text: str) -> np.ndarray:
    image = Image.new("L", (40 + 20 * len(text), 60), 255)
    ImageDraw.Draw(image).text((20, 10), text, font=ImageFont.load_default(size=32), fill=0)
    return np.asarray(image)


LINES = [line(text) for text in ("Good morning", "1234 567", "Two words here", "")]


def test_symbols_come_in_order_with_places_and_confidences() -> None:
    glyphs = Tesseract(Manifest.packaged()).read(LINES[0], "vie")
    assert "".join(" " * glyph.spaced + glyph.text for glyph in glyphs).strip() == "Good morning"
    assert [glyph.left for glyph in glyphs] == sorted(glyph.left for glyph in glyphs)
    for glyph in glyphs:
        assert 0 <= glyph.left < glyph.right <= LINES[0].shape[1]
        assert 0.5 < glyph.confidence <= 1
        assert 0.5 < glyph.word_confidence <= 1


def test_every_model_of_the_manifest_reads() -> None:
    tesseract = Tesseract(Manifest.packaged())
    for row in Manifest.packaged():
        if row.name.startswith(PREFIX):
            assert tesseract.read(LINES[1], row.name.removeprefix(PREFIX))


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (4, 4), (40, 400)])
def test_of_an_empty_line_of_any_shape_it_is_never_sure(shape: tuple[int, int], raw: bool) -> None:
    empty = np.full(shape, 255, dtype=np.uint8)
    glyphs = Tesseract(Manifest.packaged()).read(empty, "kor", raw=raw)
    assert all(glyph.word_confidence < 0.3 for glyph in glyphs)


def test_what_was_read_before_or_beside_changes_nothing() -> None:
    first = [Tesseract(Manifest.packaged()).read(one, "vie") for one in LINES]
    shared = Tesseract(Manifest.packaged())
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda one: shared.read(one, "vie"), LINES * 6))
    assert again == first * 6
    assert shared.runs == len(LINES) * 6


def test_a_file_that_is_not_the_manifests_is_refused() -> None:
    weight = dataclasses.replace(Manifest.packaged()["tesseract-kor"], sha256="0" * 64)
    with pytest.raises(ModelError, match="tesseract-kor"):
        Tesseract(Manifest({"tesseract-kor": weight})).read(LINES[0], "kor")
