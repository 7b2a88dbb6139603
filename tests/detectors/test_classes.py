"""Image classes: shapes, determinism, independence from neighbours."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tapetum.detectors.classes import ImageClassifier, centre_square, network_input
from tapetum.imaging.picture import Picture
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions


def noise(height: int, width: int, seed: int = 0) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Picture(pixels, width, height)


@pytest.fixture(scope="module")
def sessions() -> Sessions:
    return Sessions(Manifest.packaged())


def test_the_signal_has_a_thousand_logits_and_an_embedding(sessions):
    (classes,) = ImageClassifier(sessions).detect([noise(300, 400)])
    assert classes.logits.shape == (1000,)
    assert classes.logits.dtype == np.float32
    assert classes.embedding.shape == (1280,)
    assert classes.embedding.dtype == np.float32
    assert np.isfinite(classes.logits).all()


def test_neighbours_do_not_change_a_picture(sessions):
    classifier = ImageClassifier(sessions)
    pictures = [noise(300, 300, seed) for seed in range(3)]
    together = classifier.detect(pictures)
    for picture, among in zip(pictures, together, strict=True):
        (alone,) = classifier.detect([picture])
        assert np.array_equal(alone.logits, among.logits)
        assert np.array_equal(alone.embedding, among.embedding)


def test_threads_agree(sessions):
    classifier = ImageClassifier(sessions)
    picture = noise(320, 280)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: classifier.detect([picture])[0], range(8)))
    assert all(np.array_equal(answers[0].logits, answer.logits) for answer in answers)


def test_one_run_of_the_network_per_picture(sessions):
    session = sessions.load("efficientnet-lite2")
    before = session.runs
    ImageClassifier(sessions).detect([noise(64, 64), noise(64, 64)])
    assert session.runs == before + 2


def test_no_pictures_no_signals(sessions):
    assert ImageClassifier(sessions).detect([]) == []


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 5000), (5000, 1), (2, 3)])
def test_tiny_and_thin_pictures(sessions, width, height):
    picture = Picture(np.full((height, width, 3), 90, dtype=np.uint8), width, height)
    (classes,) = ImageClassifier(sessions).detect([picture])
    assert np.isfinite(classes.logits).all()


@pytest.mark.parametrize(
    ("width", "height", "side"),
    [(292, 292, 292), (584, 292, 584), (4000, 3000, 390), (100, 50, 100), (1, 5000, 5000)],
)
def test_the_side_leaves_292_pixels_to_the_short_side(sessions, width, height, side):
    assert ImageClassifier(sessions).max_side(width, height) == side


def test_the_network_sees_the_centre_square():
    pixels = np.zeros((292, 500, 3), dtype=np.uint8)
    pixels[16:276, 120:380] = (255, 127, 0)
    square = centre_square(pixels)
    assert square.shape == (260, 260, 3)
    assert (square == (255, 127, 0)).all()
    tensor = network_input(Picture(pixels, 500, 292))
    assert tensor.shape == (1, 3, 260, 260)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    assert tensor[0, :, 0, 0].tolist() == [1.0, 0.0, -127 / 128]


def test_a_large_picture_is_averaged_not_skipped():
    # One-pixel stripes: picking pixels would give black or white, averaging gives grey.
    pixels = np.zeros((1752, 1752, 3), dtype=np.uint8)
    pixels[:, ::2] = 255
    tensor = network_input(Picture(pixels, 1752, 1752))
    assert np.abs(tensor).max() < 0.05
