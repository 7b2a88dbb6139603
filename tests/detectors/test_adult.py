"""AdultScores: inputs as the networks want them, sane scores, independence from neighbours."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapetum.detectors.adult import AdultDetector, nsfwjs_input, open_nsfw_input
from tapetum.imaging.decoding import decode
from tapetum.imaging.picture import Picture
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions


@pytest.fixture(scope="module")
def detector() -> AdultDetector:
    return AdultDetector(Sessions(Manifest.packaged()))


def picture(pixels: np.ndarray) -> Picture:
    return Picture(pixels, pixels.shape[1], pixels.shape[0])


def test_open_nsfw_sees_blue_first_less_its_mean():
    tensor = open_nsfw_input(picture(np.full((300, 500, 3), (200, 150, 100), dtype=np.uint8)))
    assert tensor.shape == (1, 224, 224, 3)
    assert tensor.dtype == np.float32
    assert tensor[0, 7, 9].tolist() == [100 - 104, 150 - 117, 200 - 123]


def test_open_nsfw_sees_the_middle_of_256():
    pixels = np.zeros((256, 256, 3), dtype=np.uint8)
    pixels[16:240, 16:240] = 255
    assert (open_nsfw_input(picture(pixels)) > 100).all()
    assert not (nsfwjs_input(picture(pixels)) == 1).all()


def test_nsfwjs_sees_red_first_from_0_to_1():
    tensor = nsfwjs_input(picture(np.full((300, 500, 3), (255, 51, 0), dtype=np.uint8)))
    assert tensor.shape == (1, 224, 224, 3)
    assert tensor.dtype == np.float32
    assert tensor[0, 7, 9].tolist() == pytest.approx([1, 0.2, 0])


def test_ordinary_photographs_are_harmless(detector, photos: Path):
    for name in ("cat", "coffee", "horses", "eiffel-tower", "astronaut"):
        photo = decode((photos / f"{name}.jpg").read_bytes(), max)
        (scores,) = detector.detect([photo])
        assert scores.open_nsfw < 0.1
        assert scores.neutral + scores.drawing > 0.8


def test_neighbours_do_not_change_a_picture(detector):
    generator = np.random.default_rng(3)
    pictures = [picture(generator.integers(0, 256, (80, 90, 3), dtype=np.uint8)) for _ in range(3)]
    assert detector.detect(pictures) == [detector.detect([one])[0] for one in pictures]
    assert detector.detect([]) == []


@settings(max_examples=8, deadline=None)
@given(st.sampled_from([(1, 1), (8, 8), (5000, 75), (75, 5000), (300, 400)]), st.booleans())
def test_any_picture_has_shares(detector, size, is_noise):
    pixels = np.zeros((*size, 3), dtype=np.uint8)
    if is_noise:
        pixels = np.random.default_rng(1).integers(0, 256, pixels.shape, dtype=np.uint8)
    (scores,) = detector.detect([picture(pixels)])
    five = (scores.drawing, scores.hentai, scores.neutral, scores.porn, scores.sexy)
    assert sum(five) == pytest.approx(1, abs=1e-4)
    assert 0 <= scores.open_nsfw <= 1


@pytest.mark.parametrize(
    ("width", "height", "side"), [(1000, 500, 512), (100, 50, 100), (1, 9000, 9000)]
)
def test_the_side_leaves_256_pixels_to_the_short_side(detector, width, height, side):
    assert detector.max_side(width, height) == side
