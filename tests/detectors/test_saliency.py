"""Saliency: where the importance lies, and that nothing upsets it."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tapetum.detectors.saliency import SaliencyDetector
from tapetum.imaging.picture import Picture


def importance_of(pixels: np.ndarray) -> np.ndarray:
    picture = Picture(pixels, pixels.shape[1], pixels.shape[0])
    return SaliencyDetector().detect([picture])[0].importance


def disc(size, centre, radius: float, ground, colour) -> np.ndarray:
    (width, height), (x, y) = size, centre
    rows, columns = np.mgrid[:height, :width]
    pixels = np.full((height, width, 3), ground, dtype=np.uint8)
    pixels[np.hypot(rows - y, columns - x) <= radius] = colour
    return pixels


@settings(max_examples=40)
@given(st.floats(0.12, 0.88), st.floats(0.12, 0.88), st.integers(12, 40))
def test_importance_gathers_on_a_bright_object(u, v, radius):
    x, y = u * 480, v * 320
    importance = importance_of(disc((480, 320), (x, y), radius, (60, 60, 60), (255, 230, 40)))
    rows, columns = np.mgrid[: importance.shape[0], : importance.shape[1]] * 3
    near = np.hypot(rows - y, columns - x) <= radius + 30
    peak = np.unravel_index(importance.argmax(), importance.shape)
    assert near[peak]
    assert importance[near].sum() > 0.8


def test_colour_counts_where_lightness_is_the_same():
    importance = importance_of(disc((240, 240), (60, 180), 20, (0, 128, 0), (226, 0, 30)))
    y, x = np.unravel_index(importance.argmax(), importance.shape)
    assert np.hypot(x * 1.5 - 60, y * 1.5 - 180) < 40


@pytest.mark.parametrize("level", [0, 1, 128, 255])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (200, 300), (5000, 1), (1, 5000), (2, 2)])
def test_a_flat_picture_is_equally_important_everywhere(level, height, width):
    importance = importance_of(np.full((height, width, 3), level, dtype=np.uint8))
    assert importance.sum() == pytest.approx(1, abs=1e-5)
    assert importance.min() == importance.max()


@settings(max_examples=40, suppress_health_check=[HealthCheck.data_too_large])
@given(
    arrays.arrays(
        np.uint8, st.tuples(st.integers(1, 90), st.integers(1, 90), st.just(3)), fill=st.nothing()
    )
)
def test_the_map_is_a_distribution(pixels):
    importance = importance_of(pixels)
    assert importance.dtype == np.float32
    assert importance.shape == pixels.shape[:2]
    assert np.isfinite(importance).all()
    assert importance.min() >= 0
    assert importance.sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("height", "width", "shape"),
    [(480, 640, (120, 160)), (640, 480, (160, 120)), (5000, 1, (160, 1)), (40, 30, (40, 30))],
)
def test_the_map_has_the_shape_of_the_picture(height, width, shape):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert importance_of(pixels).shape == shape


def test_the_map_has_the_shape_of_the_full_size():
    pixels = np.zeros((150, 200, 3), dtype=np.uint8)
    (saliency,) = SaliencyDetector().detect([Picture(pixels, 4000, 3000)])
    assert saliency.importance.shape == (120, 160)


def test_calls_and_threads_agree():
    pixels = np.random.default_rng(3).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: importance_of(pixels), range(8)))
    assert all(np.array_equal(answers[0], answer) for answer in answers)


@pytest.mark.parametrize(
    ("width", "height", "side"),
    [(640, 480, 160), (100, 50, 100), (1, 5000, 5000), (6400, 640, 640)],
)
def test_the_side(width, height, side):
    assert SaliencyDetector().max_side(width, height) == side
