"""Every feature answers every picture, however odd, with nothing or with something sane."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tapetum import wiring
from tapetum.gallery.shipped import glyphs, landmarks
from tapetum.gallery.shipped.brands import Brands
from tapetum.models import packs
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.pipeline.annotator import Annotator
from tapetum.stores.router import Stores
from tapetum.vision import messages


@pytest.fixture(scope="module")
def annotator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Annotator]:
    sessions = Sessions(Manifest.packaged())
    folder = tmp_path_factory.mktemp("stores")
    makers = packs.makers(sessions)
    recognisers = wiring.recognisers(makers, landmarks.load(), Brands.packaged(), glyphs.load())
    made = Annotator(Stores(folder), wiring.detectors(makers), wiring.features(), recognisers)
    yield made
    made.close()


def answered(annotator: Annotator, content: bytes):
    request = messages.BatchAnnotateImagesRequest()
    item = request.requests.add()
    item.image.content = content
    for feature in wiring.features():
        item.features.add(type_=feature.type)
    answer = annotator.annotate(request.SerializeToString())
    [found] = messages.BatchAnnotateImagesResponse.FromString(answer).responses
    return found


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def check(found) -> None:
    """What holds for any picture."""
    assert not found.HasField("error"), found.error
    safe = found.safe_search_annotation
    for name in ("adult", "spoof", "medical", "violence", "racy"):
        assert 1 <= getattr(safe, name) <= 5
    assert 1 <= len(found.image_properties_annotation.dominant_colors.colors) <= 10
    assert len(found.crop_hints_annotation.crop_hints) == 1
    for label in found.label_annotations:
        assert 0.5 <= label.score <= 1
    for thing in found.localized_object_annotations:
        assert 0.5 <= thing.score <= 1
        assert all(0 <= v.x <= 1 and 0 <= v.y <= 1 for v in thing.bounding_poly.normalized_vertices)
    for face in found.face_annotations:
        assert len(face.landmarks) == 34
        assert np.isfinite(
            [p.position.x + p.position.y + p.position.z for p in face.landmarks]
        ).all()


noise = np.random.default_rng(3).integers(0, 256, (480, 640, 3), dtype=np.uint8)
BLANK = {
    "black": np.zeros((480, 640, 3), np.uint8),
    "white": np.full((480, 640, 3), 255, np.uint8),
    "noise": noise,
    "8 by 8": np.full((8, 8, 3), 90, np.uint8),
    "1 by 1": np.zeros((1, 1, 3), np.uint8),
    "20000 by 300": np.full((300, 20_000, 3), 130, np.uint8),
    "16-bit": np.full((300, 400), 30_000, np.uint16),
    "RGBA": np.zeros((300, 400, 4), np.uint8),
    "grey": np.full((300, 400), 128, np.uint8),
}


@pytest.mark.parametrize("name", BLANK)
def test_a_picture_of_nothing_has_nothing_in_it(annotator, name, caplog, capfd):
    with caplog.at_level(logging.WARNING):
        found = answered(annotator, png(BLANK[name]))
    check(found)
    assert not found.label_annotations
    assert not found.localized_object_annotations
    assert not found.face_annotations
    assert not found.HasField("full_text_annotation")
    safe = found.safe_search_annotation
    assert max(safe.adult, safe.spoof, safe.medical, safe.violence, safe.racy) <= 2
    assert caplog.records == []
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK"])
def test_a_cat_is_a_cat_in_any_mode(annotator, photos: Path, mode):
    with Image.open(photos / "cat.jpg") as photo:
        changed = photo.resize((640, 480)).convert(mode)
    file = io.BytesIO()
    changed.save(file, "TIFF" if mode == "CMYK" else "PNG")
    found = answered(annotator, file.getvalue())
    check(found)
    if mode != "1":
        assert {"Cat", "Animal"} & {label.description for label in found.label_annotations}


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 400), st.integers(1, 400), st.sampled_from(["L", "RGB", "RGBA", "I;16"]),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_any_size_and_mode(annotator, width, height, mode, seed):
    chance = np.random.default_rng(seed)
    shape = {"L": (), "RGB": (3,), "RGBA": (4,), "I;16": ()}[mode]
    kind = np.uint16 if mode == "I;16" else np.uint8
    top = np.iinfo(kind).max
    small = chance.integers(0, top, (6, 6, *shape), dtype=kind, endpoint=True)
    pixels = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    check(answered(annotator, png(pixels)))
