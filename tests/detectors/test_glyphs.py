"""Symbols: flat marks found again, light on dark and dark on light."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tapetum.detectors.glyphs import MOST, GlyphDetector, rooted, swapped
from tapetum.gallery.matching.local_features import packed, verified
from tapetum.gallery.shipped import glyphs
from tapetum.imaging.picture import Picture
from tapetum.signals.keypoints import GlyphKeypoints


@pytest.fixture(scope="module")
def detector() -> GlyphDetector:
    return GlyphDetector()


def drawn(seed=0, side=400) -> np.ndarray:
    """Some flat shapes, dark on white: ``uint8[side, side, 3]``."""
    random = np.random.default_rng(seed)
    mark = np.full((side, side, 3), 255, dtype=np.uint8)
    for _ in range(14):
        corners = random.integers(30, side - 30, (3, 2)).astype(np.int32)
        cv2.fillPoly(mark, [corners], (int(random.integers(0, 120)),) * 3)
    return mark


def points(detector, pixels) -> GlyphKeypoints:
    height, width = pixels.shape[:2]
    [found] = detector.detect([Picture(pixels, width, height)])
    return found


def slanted(pixels, ground) -> np.ndarray:
    warp = np.float32([[0.7, 0.08, 40], [-0.06, 0.6, 90]])
    return cv2.warpAffine(pixels, warp, (500, 500), borderValue=ground)


def test_a_mark_is_found_slanted(detector):
    mark = drawn()
    view = points(detector, slanted(mark, (255, 255, 255)))
    match = verified(points(detector, mark).plain, view.plain, 0.75)
    assert match is not None
    assert match.inliers >= 15
    assert match.homography[:2, 2] == pytest.approx([40, 90], abs=8)


def test_light_on_dark_is_found_by_the_swapped_descriptors(detector):
    mark = drawn()
    view = points(detector, 255 - slanted(mark, (255, 255, 255)))
    plain = points(detector, mark).plain
    assert (verified(plain, view.swapped, 0.75) or pytest.fail("not found")).inliers >= 15
    alone = verified(plain, view.plain, 0.75)
    assert alone is None or alone.inliers < 8


def test_swapping_twice_is_no_swap():
    grey = cv2.cvtColor(drawn(), cv2.COLOR_RGB2GRAY)
    _, described = rooted(grey, 50)
    assert np.array_equal(swapped(swapped(described)), described)


def test_another_mark_is_not_found(detector):
    match = verified(points(detector, drawn(0)).plain, points(detector, drawn(5)).plain, 0.75)
    assert match is None or match.inliers < 8


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (300, 300)])
def test_nothing_in_a_blank_picture(detector, shape):
    found = points(detector, np.full((*shape, 3), 77, dtype=np.uint8))
    assert len(found.plain) == len(found.swapped) == 0


def test_the_same_picture_gives_the_same_points_and_not_too_many(detector):
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), dtype=np.uint8)
    first, second = points(detector, noise), points(detector, noise.copy())
    assert len(first.plain) <= MOST
    assert packed(first.plain) == packed(second.plain)
    assert packed(first.swapped) == packed(second.swapped)


def test_what_ships_has_names_and_keypoints():
    shipped = glyphs.load()
    assert len(shipped) > 1000
    assert all(name and 15 <= len(features) <= 60 for name, features in shipped)
    assert {"Google", "Starbucks", "Toyota", "WordPress"} <= {name for name, _ in shipped}
