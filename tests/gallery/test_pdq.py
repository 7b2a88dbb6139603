"""PDQ in numpy against the reference implementation, and what a hash is for."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tapetum.gallery.matching import pdq

SIZES = [(5, 5), (5, 400), (63, 65), (64, 64), (64, 200), (128, 129), (130, 7), (301, 512)]


@pytest.fixture(scope="module")
def reference():
    """The package `pdqhash`. It is compiled at installation, so it is no dependency."""
    if os.environ.get("TAPETUM_REQUIRE_PDQHASH"):
        import pdqhash
    else:
        pdqhash = pytest.importorskip("pdqhash", reason="make extras")
    return pdqhash


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth random blotches with a few hard edges, RGB."""
    random = np.random.default_rng(seed)
    blotches = random.integers(0, 256, (7, 9, 3), dtype=np.uint8)
    made = np.array(Image.fromarray(blotches).resize((width, height), Image.Resampling.BICUBIC))
    made[height // 3 : height // 2, width // 4 : width // 2] //= 3
    return made


def bits(hashes: np.ndarray) -> np.ndarray:
    return np.unpackbits(hashes, axis=1)


@pytest.mark.parametrize("size", SIZES)
def test_bit_for_bit_the_reference(reference, size):
    for seed in range(3):
        pixels = scene(*size, seed)
        hashes, quality = reference.compute_dihedral(pixels)
        ours = pdq.exactly(pixels)
        assert np.array_equal(bits(ours.hashes), np.array(hashes)), seed
        assert ours.quality == quality
        alone, quality = reference.compute(pixels)
        assert np.array_equal(bits(ours.hashes)[0], alone)
        assert ours.quality == quality


def test_bit_for_bit_the_reference_on_photographs(reference, photos):
    for path in sorted(photos.glob("*.jpg"))[:5]:
        pixels = np.array(Image.open(path).convert("RGB"))
        hashes, quality = reference.compute_dihedral(pixels)
        ours = pdq.exactly(pixels)
        assert np.array_equal(bits(ours.hashes), np.array(hashes)), path.name
        assert ours.quality == quality


@settings(max_examples=40, deadline=None)
@given(st.integers(5, 90), st.integers(5, 90), st.integers(0, 2**32 - 1))
def test_bit_for_bit_the_reference_on_noise(reference, height, width, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    hashes, quality = reference.compute_dihedral(pixels)
    ours = pdq.exactly(pixels)
    assert np.array_equal(bits(ours.hashes), np.array(hashes))
    assert ours.quality == quality


def test_hashes_of_a_known_picture():
    # Made by the reference implementation 0.2.8.
    found = pdq.exactly(scene(301, 512))
    assert found.quality == KNOWN_QUALITY
    assert found.hashes[0].tobytes().hex() == KNOWN_HASH


KNOWN_QUALITY = 100
KNOWN_HASH = "4cc67171b939070e8f08f8f344f60256b364b1394c9b4c8fde08b37139dbc5bd"


def test_a_turned_or_mirrored_picture_has_the_hash_of_that_turn():
    pixels = scene(300, 420)
    hashes = pdq.pdq(pixels).hashes
    turned = [
        pixels,
        np.rot90(pixels, 1),
        np.rot90(pixels, 2),
        np.rot90(pixels, 3),
        pixels[::-1],
        pixels[:, ::-1],
        pixels.swapaxes(0, 1),
        np.rot90(pixels, 2).swapaxes(0, 1),
    ]
    for number, form in enumerate(turned):
        its = pdq.pdq(np.ascontiguousarray(form)).hashes[:1]
        assert pdq.distances(hashes, its)[number, 0] <= 16, pdq.TURNS[number]


def test_copies_are_close_and_others_are_not():
    pixels = scene(300, 420)
    small = np.array(Image.fromarray(pixels).resize((140, 100), Image.Resampling.LANCZOS))
    brighter = np.clip(pixels.astype(int) * 1.1 + 9, 0, 255).astype(np.uint8)
    first = pdq.pdq(pixels).hashes[:1]
    for copy in (small, brighter):
        assert pdq.distances(first, pdq.pdq(copy).hashes[:1]).item() <= pdq.COPY
    for seed in range(1, 20):
        other = pdq.pdq(scene(300, 420, seed)).hashes[:1]
        assert pdq.distances(first, other).item() > 45


@pytest.mark.parametrize("size", [(1, 1), (4, 900), (900, 4)])
def test_nothing_to_hash(size):
    found = pdq.exactly(scene(*size))
    assert found.quality == 0
    assert not found.says_something
    assert not found.hashes.any()


def test_a_blank_picture_says_nothing():
    assert not pdq.pdq(np.full((200, 300, 3), 77, dtype=np.uint8)).says_something


def test_large_pictures_are_hashed_small():
    pixels = scene(1500, 2000)
    assert pdq.distances(pdq.pdq(pixels).hashes[:1], pdq.exactly(scene(384, 512)).hashes[:1]) <= 31
