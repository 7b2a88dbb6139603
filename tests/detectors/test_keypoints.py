"""Keypoints: they are found again, where they were, and only where there is something to see."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tapetum.detectors.keypoints import MOST, KeypointDetector, copy_size
from tapetum.gallery.matching.local_features import packed, verified
from tapetum.imaging.decoding import decode
from tapetum.imaging.picture import Picture
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions


@pytest.fixture(scope="module")
def detector() -> KeypointDetector:
    return KeypointDetector(Sessions(Manifest.packaged()))


@pytest.fixture(scope="module")
def pixels(photos) -> np.ndarray:
    return decode((photos / "coffee.jpg").read_bytes(), lambda w, h: 640).pixels


def found(detector, pixels, size=None):
    height, width = pixels.shape[:2]
    [signal] = detector.detect([Picture(pixels, *(size or (width, height)))])
    return signal.features


def test_shapes_lengths_and_places(detector, pixels):
    features = found(detector, pixels)
    assert 300 < len(features) <= MOST
    assert features.points.shape == (len(features), 2)
    assert features.descriptors.dtype == features.points.dtype == np.float32
    assert np.linalg.norm(features.descriptors, axis=1) == pytest.approx(1, abs=1e-5)
    height, width = pixels.shape[:2]
    assert (features.points >= -0.5).all()
    assert (features.points <= [width, height]).all()


def test_a_warped_copy_is_recognised_with_its_homography(detector, pixels):
    height, width = pixels.shape[:2]
    before = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    after = before * 0.8 + np.float32([[30, 10], [60, 40], [20, 20], [40, 60]])
    warp = cv2.getPerspectiveTransform(before, after)
    copy = cv2.warpPerspective(pixels, warp, (width, height), borderValue=(90, 90, 90))
    match = verified(found(detector, pixels), found(detector, np.asarray(copy, dtype=np.uint8)))
    assert match is not None
    assert match.inliers > 100
    carried = cv2.perspectiveTransform(before[np.newaxis], match.homography)[0]
    assert np.abs(carried - after).max() < 4


def test_unrelated_pictures_hardly_agree(detector, pixels, photos):
    other = decode((photos / "horses.jpg").read_bytes(), lambda w, h: 640).pixels
    match = verified(found(detector, pixels), found(detector, other))
    assert match is None or match.inliers < 16


def test_points_are_in_pixels_of_the_full_size_image(detector, pixels):
    height, width = pixels.shape[:2]
    small, large = found(detector, pixels), found(detector, pixels, (3 * width, 3 * height))
    assert large.size == (3 * width, 3 * height)
    assert large.points == pytest.approx(small.points * 3 + 1, abs=0.01)


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("shape", [(1, 1), (3, 900), (240, 320)])
def test_nothing_in_a_blank_picture(detector, level, shape):
    assert len(found(detector, np.full((*shape, 3), level, dtype=np.uint8))) == 0


def test_noise_and_thin_strips_do_no_harm(detector):
    random = np.random.default_rng(0)
    for shape in ((2, 2), (4, 4000), (4000, 4), (64, 64)):
        pixels = random.integers(0, 256, (*shape, 3), dtype=np.uint8)
        features = found(detector, pixels)
        assert np.isfinite(features.points).all()
        assert np.isfinite(features.descriptors).all()


def test_the_same_picture_gives_the_same_bytes(detector, pixels):
    assert packed(found(detector, pixels)) == packed(found(detector, pixels.copy()))


@pytest.mark.parametrize(
    ("size", "copy"),
    [
        ((1024, 768), (640, 480)),
        ((320, 213), (640, 416)),
        ((100, 100), (384, 384)),
        ((1, 9000), (32, 640)),
    ],
)
def test_the_copy_has_sides_of_32_and_640_at_most(size, copy):
    assert copy_size(*size) == copy
