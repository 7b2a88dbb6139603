"""Captions: lettering is found where it was drawn, and not in photographs without any."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from tapetum.detectors.captions import MOST_PIXELS, CaptionDetector, copy_size
from tapetum.imaging.decoding import decode
from tapetum.imaging.picture import Picture
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.signals.captions import Captions


@pytest.fixture(scope="module")
def detector() -> CaptionDetector:
    return CaptionDetector(Sessions(Manifest.packaged()))


def seen(detector: CaptionDetector, pixels: np.ndarray) -> Captions:
    (captions,) = detector.detect([Picture(pixels, pixels.shape[1], pixels.shape[0])])
    return captions


def lettered(ground: Image.Image, *texts: tuple[int, int, int, str]) -> np.ndarray:
    draw = ImageDraw.Draw(ground)
    for x, y, size, text in texts:
        draw.text((x, y), text, font=ImageFont.load_default(size=size), fill="black", anchor="mm")
    return np.asarray(ground)


def test_two_lines_from_the_top(detector):
    ground = Image.new("RGB", (800, 600), "white")
    pixels = lettered(ground, (400, 520, 60, "BELOW THIS"), (400, 80, 60, "ABOVE THAT"))
    captions = seen(detector, pixels)
    assert captions.quads.shape == (2, 4, 2)
    assert captions.quads.dtype == np.float32
    for quad, y in zip(captions.quads, (80, 520), strict=True):
        assert quad.mean(axis=0) == pytest.approx([400, y], abs=12)
        assert 40 < quad[3, 1] - quad[0, 1] < 110
    assert 0.08 < captions.share < 0.25


def test_a_page_has_its_lines(detector, photos: Path):
    page = decode((photos / "page.png").read_bytes(), max)
    (captions,) = detector.detect([page])
    assert len(captions.quads) > 15
    assert captions.share > 0.4


def test_photographs_have_hardly_any(detector, photos: Path):
    for name in ("cat", "dog", "coffee", "horses", "colosseum", "rocket", "astronaut"):
        photo = decode((photos / f"{name}.jpg").read_bytes(), max)
        (captions,) = detector.detect([photo])
        assert captions.share < 0.02, name


def test_more_pixels_than_asked_for_change_little(detector, photos: Path):
    content = (photos / "page.png").read_bytes()
    few = decode(content, detector.max_side)
    many = decode(content, max)
    one, other = detector.detect([few, many])
    assert one.share == pytest.approx(other.share, abs=0.1)
    assert np.array_equal(detector.detect([many])[0].quads, other.quads)


@settings(max_examples=10, deadline=None)
@given(
    st.sampled_from([(1, 1), (8, 8), (5000, 75), (75, 5000), (300, 400)]),
    st.sampled_from(["black", "white", "noise"]),
)
def test_any_picture_is_sane(detector, size, what):
    pixels = np.full((*size, 3), 255 if what == "white" else 0, dtype=np.uint8)
    if what == "noise":
        pixels = np.random.default_rng(1).integers(0, 256, pixels.shape, dtype=np.uint8)
    captions = seen(detector, pixels)
    assert 0 <= captions.share <= 1
    assert captions.quads.shape[1:] == (4, 2)
    assert np.isfinite(captions.quads).all()
    if what != "noise":
        assert len(captions.quads) == 0


@given(st.integers(1, 60_000), st.integers(1, 60_000))
def test_the_copy_is_small_and_in_shape(width, height):
    columns, rows = copy_size(width, height)
    assert 1 <= columns <= width
    assert 1 <= rows <= height
    assert columns * rows <= 1.02 * MOST_PIXELS
