"""PhotoStatistics: photographs apart from drawings and noise."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from tapetum.detectors.photo_statistics import PhotoStatisticsDetector
from tapetum.imaging.decoding import decode
from tapetum.imaging.picture import Picture
from tapetum.signals.photo_statistics import PhotoStatistics


def surface_of(pixels: np.ndarray) -> PhotoStatistics:
    return PhotoStatisticsDetector().detect([Picture(pixels, pixels.shape[1], pixels.shape[0])])[0]


def test_photographs_are_composed_and_grainy(photos: Path):
    for path in sorted(photos.glob("*.jpg")):
        photo = decode(path.read_bytes(), max)
        (statistics,) = PhotoStatisticsDetector().detect([photo])
        assert statistics.composition > 0.4, path.name
        assert statistics.flatness < 0.8, path.name


@pytest.mark.parametrize("level", [0, 127, 255])
def test_a_blank_is_flat_and_nothing_else(level):
    assert surface_of(np.full((300, 400, 3), level, dtype=np.uint8)) == PhotoStatistics(1.0, 0.0)


@pytest.mark.parametrize("grain", [1, 4, 16])
def test_noise_is_not_composed(grain):
    spots = np.random.default_rng(2).integers(0, 256, (480 // grain, 640 // grain, 3), np.uint8)
    assert surface_of(spots.repeat(grain, axis=0).repeat(grain, axis=1)).composition < 0.3


def test_a_drawing_is_flat():
    image = Image.new("RGB", (800, 600), "white")
    ImageDraw.Draw(image).ellipse((200, 100, 600, 500), fill="#d62728")
    statistics = surface_of(np.asarray(image))
    assert statistics.flatness > 0.9
    assert statistics.composition > 0.5


def test_a_step_of_three_levels_is_not_flat():
    ramp = np.repeat(np.arange(0, 255, 3, dtype=np.uint8)[np.newaxis, :, np.newaxis], 50, axis=0)
    assert surface_of(ramp.repeat(3, axis=2)).flatness < 0.05
    assert surface_of((ramp // 3 * 2).repeat(3, axis=2)).flatness == 1


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**32 - 1))
def test_any_picture_has_shares(height, width, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    statistics = surface_of(pixels)
    assert 0 <= statistics.flatness <= 1
    assert 0 <= statistics.composition <= 1
    turned = surface_of(np.ascontiguousarray(pixels.swapaxes(0, 1)))
    assert turned.flatness == pytest.approx(statistics.flatness)
    assert turned.composition == pytest.approx(statistics.composition, abs=1e-5)


def test_a_larger_copy_of_the_picture_changes_nothing():
    # Another detector may have asked for more pixels than 320.
    assert PhotoStatisticsDetector().max_side(4000, 3000) == 320
    assert PhotoStatisticsDetector().max_side(40, 30) == 40
