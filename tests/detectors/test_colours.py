"""Dominant colours: exact shares, order, determinism."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tapetum.detectors.colours import ColourDetector, thumbnail_size
from tapetum.imaging.picture import Picture
from tapetum.signals.colours import DominantColours


def picture(pixels: np.ndarray) -> Picture:
    return Picture(pixels, pixels.shape[1], pixels.shape[0])


def colours_of(pixels: np.ndarray) -> DominantColours:
    return ColourDetector().detect([picture(pixels)])[0]


def photo(height: int, width: int) -> np.ndarray:
    """Smooth colour ramps with noise: as many colours as a photograph."""
    y, x = np.mgrid[:height, :width]
    ramps = np.stack([255 * x / width, 255 * y / height, 255 * (1 - x / width)], axis=2)
    grain = np.random.default_rng(1).normal(0, 10, (height, width, 3))
    return np.clip(ramps + grain, 0, 255).astype(np.uint8)


def test_two_colours_have_their_shares():
    pixels = np.full((100, 100, 3), (10, 20, 200), dtype=np.uint8)
    pixels[:, :25] = (250, 240, 30)
    dominant = colours_of(pixels)
    assert dominant.pixels == 10_000
    shares = {(c.red, c.green, c.blue): c.pixel_fraction for c in dominant.colours}
    assert shares == {(10, 20, 200): 0.75, (250, 240, 30): 0.25}


@pytest.mark.parametrize("rgb", [(0, 0, 0), (255, 255, 255), (127, 127, 127), (201, 14, 77)])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (5000, 1), (1, 60_000), (300, 200)])
def test_a_flat_picture_has_one_colour(rgb, height, width):
    (colour,) = colours_of(np.full((height, width, 3), rgb, dtype=np.uint8)).colours
    assert (colour.red, colour.green, colour.blue) == rgb
    assert colour.pixel_fraction == 1
    assert colour.score == pytest.approx(1)


def test_unnoticeable_differences_are_one_colour():
    pixels = np.full((60, 60, 3), 200, dtype=np.uint8)
    pixels[::2] += 1
    assert len(colours_of(pixels).colours) == 1


def test_a_photograph_has_ten_colours_in_falling_score():
    dominant = colours_of(photo(480, 640))
    assert len(dominant.colours) == 10
    scores = [c.score for c in dominant.colours]
    assert scores == sorted(scores, reverse=True)


def test_the_clusters_are_tight():
    pixels = photo(110, 145)
    centres = np.array([(c.red, c.green, c.blue) for c in colours_of(pixels).colours])
    away = np.linalg.norm(pixels.reshape(-1, 1, 3) - centres.astype(float), axis=2).min(axis=1)
    spread = np.linalg.norm(pixels.reshape(-1, 3) - pixels.mean(axis=(0, 1)), axis=1)
    assert away.mean() < 0.45 * spread.mean()


@given(
    arrays.arrays(
        np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3)), fill=st.nothing()
    )
)
def test_shares_are_whole_pixels_and_add_up(pixels):
    dominant = colours_of(pixels)
    counts = [c.pixel_fraction * dominant.pixels for c in dominant.colours]
    assert counts == pytest.approx([round(count) for count in counts], abs=1e-9)
    assert sum(round(count) for count in counts) == dominant.pixels
    assert sum(c.score for c in dominant.colours) == pytest.approx(1)
    assert 1 <= len(dominant.colours) <= 10
    assert all(0 <= value <= 255 for c in dominant.colours for value in (c.red, c.green, c.blue))


def test_vivid_and_central_scores_more_than_its_share():
    pixels = np.full((120, 120, 3), 128, dtype=np.uint8)
    pixels[45:75, 45:75] = (220, 20, 20)
    red, grey = colours_of(pixels).colours
    assert (red.red, red.green, red.blue) == (220, 20, 20)
    assert red.pixel_fraction < 0.1
    assert red.score > 0.7
    assert grey.pixel_fraction > 0.9
    assert grey.score < 0.3


def test_the_middle_counts_more_than_the_edge():
    pixels = np.zeros((120, 120, 3), dtype=np.uint8)
    pixels[:, :40] = pixels[:, 80:] = (200, 0, 0)
    pixels[:, 40:80] = (0, 120, 0)
    share = {c.red: c.score / c.pixel_fraction for c in colours_of(pixels).colours}
    edge = np.full((120, 120, 3), (0, 120, 0), dtype=np.uint8)
    edge[:, 40:80] = (200, 0, 0)
    swapped = {c.red: c.score / c.pixel_fraction for c in colours_of(edge).colours}
    assert swapped[200] > share[200]
    assert swapped[0] < share[0]


def test_calls_and_threads_agree_and_the_global_generator_is_left_alone():
    detector, pixels = ColourDetector(), photo(400, 300)
    np.random.seed(7)
    expected = np.random.random()
    np.random.seed(7)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: detector.detect([picture(pixels)])[0], range(8)))
    assert np.random.random() == expected
    assert all(answer == answers[0] for answer in answers)
    batch = detector.detect([picture(photo(50, 60)), picture(pixels)])
    assert batch[1] == answers[0]


@given(st.integers(1, 100_000), st.integers(1, 100_000))
def test_the_thumbnail_is_small_and_in_shape(width, height):
    columns, rows = thumbnail_size(width, height)
    assert 1 <= columns <= width
    assert 1 <= rows <= height
    assert columns * rows <= 18_000 or min(columns, rows) <= 4
    assert ColourDetector().max_side(width, height) == max(columns, rows)
    if width * height >= 16_000 and min(columns, rows) > 20:
        assert columns / rows == pytest.approx(width / height, rel=0.05)


def test_coordinates_come_from_the_full_size():
    # A picture decoded smaller is counted on the thumbnail of its full size.
    small = Picture(photo(300, 400), 1600, 1200)
    (dominant,) = ColourDetector().detect([small])
    assert dominant.pixels == 146 * 110
