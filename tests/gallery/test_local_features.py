"""Local features as bytes, as pairs and as a homography."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapetum.errors import InvalidGallery
from tapetum.gallery.matching.local_features import packed, paired, unpacked, verified
from tapetum.signals.keypoints import LocalFeatures

SIZE = (800, 600)


def made(count=300, seed=0, size=SIZE) -> LocalFeatures:
    random = np.random.default_rng(seed)
    descriptors = random.standard_normal((count, 64)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    points = (random.random((count, 2)) * size).astype(np.float32)
    return LocalFeatures(points, descriptors, size)


def seen(features: LocalFeatures, homography, keep: int, seed=1) -> LocalFeatures:
    """The first ``keep`` keypoints through a homography, the others anywhere."""
    other = made(len(features), seed=seed)
    moved = cv2.perspectiveTransform(features.points[np.newaxis], homography)[0]
    points, descriptors = other.points.copy(), other.descriptors.copy()
    points[:keep], descriptors[:keep] = moved[:keep], features.descriptors[:keep]
    return LocalFeatures(points, descriptors, SIZE)


SHIFT = np.array([[0.8, 0.1, 40], [-0.1, 0.9, 70], [1e-4, 0, 1]])


def test_packed_features_come_back_nearly_the_same():
    features = made()
    content = packed(features)
    assert len(content) == 11 + 68 * len(features)
    back = unpacked(content)
    assert back.size == SIZE
    assert np.abs(back.points - features.points).max() < 0.01
    assert (back.descriptors * features.descriptors).sum(axis=1).min() > 0.999
    assert packed(back) == content


def test_only_the_best_are_packed_when_asked():
    back = unpacked(packed(made(), 100))
    assert back.points == pytest.approx(made().points[:100], abs=0.01)


def test_nothing_packs_to_nothing():
    assert len(unpacked(packed(made(0)))) == 0


WHOLE = packed(made(3))


@pytest.mark.parametrize(
    "bad", [b"", b"\0", WHOLE[:-1], b"\2" + WHOLE[1:], WHOLE[:1] + bytes(8) + WHOLE[9:]]
)
def test_other_bytes_are_refused(bad):
    with pytest.raises(InvalidGallery, match="add the image again"):
        unpacked(bad)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(content):
    try:
        features = unpacked(content)
    except InvalidGallery:
        return
    assert np.isfinite(features.descriptors).all()


def test_pairs_are_mutual():
    features = made(50)
    order = np.random.default_rng(3).permutation(50)
    other = LocalFeatures(features.points[order], features.descriptors[order], SIZE)
    pairs = paired(features, other)
    assert len(pairs) == 50
    assert (order[pairs[:, 1]] == pairs[:, 0]).all()
    assert len(paired(features, made(50, seed=9), similarity=0.9)) == 0
    assert len(paired(features, made(0))) == 0


def test_the_homography_is_found_among_wrong_pairs():
    features = made()
    match = verified(features, seen(features, SHIFT, keep=60))
    assert match is not None
    assert 55 <= match.inliers <= 70
    assert match.homography == pytest.approx(SHIFT, rel=0.02, abs=1)
    carried = cv2.perspectiveTransform(match.first[np.newaxis], match.homography)[0]
    assert np.abs(carried - match.second).max() < 8


def test_chance_agrees_on_little():
    match = verified(made(seed=0), made(seed=1))
    assert match is None or match.inliers < 12


def test_the_same_pictures_give_the_same_answer_whatever_ran_before():
    features = made()
    other = seen(features, SHIFT, keep=40)
    first = verified(features, other)
    cv2.setRNGSeed(12345)
    verified(made(seed=5), made(seed=6))
    second = verified(features, other)
    assert first is not None
    assert second is not None
    assert np.array_equal(first.homography, second.homography)
    assert np.array_equal(first.first, second.first)


@pytest.mark.parametrize(
    "impossible",
    [
        np.array([[-1.0, 0, 700], [0, 1, 0], [0, 0, 1]]),  # mirrored
        np.array([[1.0, 0, 0], [0, 0.01, 300], [0, 0, 1]]),  # squashed to a line
    ],
)
def test_what_no_camera_sees_is_no_match(impossible):
    features = made()
    assert verified(features, seen(features, impossible, keep=150)) is None


def test_keypoints_that_pile_up_on_one_pixel_count_once():
    features = made(100)
    here = np.full((100, 2), 200, dtype=np.float32)
    assert verified(LocalFeatures(here, features.descriptors, SIZE), features) is None
