"""QuickFaces: large faces and smiles, nothing else."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapetum.detectors.faces.quick_faces import LOOKED_AT, QuickFaceDetector
from tapetum.imaging.decoding import decode
from tapetum.imaging.picture import Picture
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.signals.quick_faces import QuickFaces


@pytest.fixture(scope="module")
def detector() -> QuickFaceDetector:
    return QuickFaceDetector(Sessions(Manifest.packaged()))


def photo(path: Path, side: int = 4000) -> Picture:
    return decode(path.read_bytes(), lambda w, h: min(side, max(w, h)))


def quick_faces(detector: QuickFaceDetector, picture: Picture) -> QuickFaces:
    (found,) = detector.detect([picture])
    return found


def test_a_smiling_portrait(detector, photos: Path):
    found = quick_faces(detector, photo(photos / "astronaut.jpg"))
    assert found.boxes.shape == (1, 4)
    x0, y0, x1, y1 = found.boxes[0]
    assert 160 < x0 < 230 < x1 < 290
    assert 40 < y0 < 110 < y1 < 200
    assert found.confidences[0] > 0.7
    assert found.happy[0] > 0.9


def test_no_face_where_there_is_none(detector, photos: Path):
    for name in ("cat", "coffee", "eiffel-tower", "rocket"):
        found = quick_faces(detector, photo(photos / f"{name}.jpg"))
        assert found.boxes.shape == (0, 4), name
        assert found.confidences.shape == found.happy.shape == (0,)


def test_small_faces_are_left_out(detector, photos: Path):
    astronaut = photo(photos / "astronaut.jpg")
    wide = np.zeros((1600, 2000, 3), dtype=np.uint8)
    wide[:512, :512] = astronaut.pixels
    assert len(quick_faces(detector, Picture(wide, 2000, 1600)).boxes) == 0


def test_a_face_that_fills_the_picture_is_found(detector, photos: Path):
    astronaut = photo(photos / "astronaut.jpg").pixels
    # The first look, at 320 pixels, misses this one.
    face = np.asarray(cv2.resize(astronaut[80:165, 180:265], (960, 960)), dtype=np.uint8)
    found = quick_faces(detector, Picture(face, 960, 960))
    assert len(found.boxes) == 1
    assert (found.boxes[0, 2:] - found.boxes[0, :2]).max() > 700


def test_largest_first_and_at_most_three_expressions(detector, photos: Path):
    face = photo(photos / "astronaut.jpg").pixels[30:230, 130:330]
    many = np.zeros((600, 800, 3), dtype=np.uint8)
    for k, (x, y) in enumerate(((0, 0), (200, 0), (400, 0), (0, 250), (200, 250))):
        size = 200 if k else 100
        step = 200 // size
        many[y : y + size, x : x + size] = face[::step, ::step]
    found = quick_faces(detector, Picture(many, 800, 600))
    sides = (found.boxes[:, 2:] - found.boxes[:, :2]).max(axis=1)
    assert len(sides) >= 4
    assert [-side for side in sides] == sorted(-side for side in sides)
    assert len(found.happy) == LOOKED_AT


def test_neighbours_and_pixels_to_spare_change_nothing(detector, photos: Path):
    pictures = [photo(photos / f"{name}.jpg") for name in ("astronaut", "mariachi")]
    together = detector.detect(pictures)
    for picture, among in zip(pictures, together, strict=True):
        alone = quick_faces(detector, picture)
        assert np.array_equal(alone.boxes, among.boxes)
        assert np.array_equal(alone.happy, among.happy)
    assert detector.max_side(4000, 3000) == 640
    assert detector.max_side(40, 30) == 40


@settings(max_examples=8, deadline=None)
@given(
    st.sampled_from([(1, 1), (8, 8), (5000, 75), (75, 5000), (300, 400)]),
    st.sampled_from(["black", "white", "noise"]),
)
def test_any_picture_is_sane(detector, size, what):
    pixels = np.full((*size, 3), 255 if what == "white" else 0, dtype=np.uint8)
    if what == "noise":
        pixels = np.random.default_rng(1).integers(0, 256, pixels.shape, dtype=np.uint8)
    found = quick_faces(detector, Picture(pixels, size[1], size[0]))
    assert found.boxes.shape == (0, 4)
