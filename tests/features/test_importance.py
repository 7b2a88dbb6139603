"""What the map of importance makes of faces, objects and saliency."""

from __future__ import annotations

import numpy as np
import pytest
from google.cloud import vision_v1
from hypothesis import given
from hypothesis import strategies as st

from tapetum.detectors.saliency import SaliencyDetector
from tapetum.features import Ask
from tapetum.features.crop_hints import CropHints
from tapetum.features.importance import importance
from tapetum.imaging.decoding import decode
from tapetum.models.manifest import Manifest
from tapetum.models.packs import maker_of
from tapetum.models.session import Sessions
from tapetum.signals import Signals
from tapetum.signals.captions import Captions
from tapetum.signals.faces import Face, Faces
from tapetum.signals.objects import LocatedObject, Objects
from tapetum.signals.saliency import Saliency

WIDTH, HEIGHT = 400, 300


def face(box, confidence=0.9) -> Face:
    angles, looks = (0.0, 0.0, 0.0), ({}, 1.0, 100.0, 0.0)
    return Face(box, {}, confidence, 1.0, *angles, *looks)


def captions(*quads) -> Captions:
    return Captions(np.array(quads, dtype=np.float32).reshape(-1, 4, 2), 0.0)


def signals(faces=(), boxes=(), scores=(), quads=()) -> Signals:
    flat = np.full((30, 40), 1 / 1200, dtype=np.float32)
    objects = Objects(
        tuple(LocatedObject("Dog", "", *of) for of in zip(scores, boxes, strict=True))
    )
    found = Faces(tuple(face(box) for box in faces))
    return Signals([Saliency(flat), found, objects, captions(*quads)])


def inside(density, box) -> float:
    x0, y0, x1, y1 = (round(edge / 10) for edge in box)
    return float(density[y0:y1, x0:x1].sum())


def test_without_faces_and_objects_it_is_the_saliency():
    density = importance(signals(), WIDTH, HEIGHT)
    assert density == pytest.approx(np.full((30, 40), 1 / 1200))


def test_a_face_outweighs_an_object_and_an_object_the_rest():
    face_box, object_box = (50, 50, 100, 100), (250, 150, 300, 200)
    density = importance(signals([face_box], [object_box], [0.95]), WIDTH, HEIGHT)
    assert density.sum() == pytest.approx(1)
    assert inside(density, (40, 40, 110, 110)) > 0.5
    assert 0.15 < inside(density, object_box) < 0.3
    assert inside(density, (320, 220, 370, 270)) < 0.01


def test_an_unlikely_object_counts_for_nothing():
    density = importance(signals([], [(0, 0, 50, 50)], [0.03]), WIDTH, HEIGHT)
    assert density == pytest.approx(importance(signals(), WIDTH, HEIGHT))


def test_text_counts_as_much_as_an_object_and_less_than_a_face():
    face_box, line = (50, 50, 100, 100), [(250, 150), (300, 150), (300, 200), (250, 200)]
    alone = importance(signals(quads=[line]), WIDTH, HEIGHT)
    assert inside(alone, (250, 150, 300, 200)) > 0.5
    beside = importance(signals([face_box], quads=[line]), WIDTH, HEIGHT)
    assert 0.15 < inside(beside, (250, 150, 300, 200)) < inside(beside, (40, 40, 110, 110)) / 2


def test_a_turned_line_counts_as_the_box_around_it():
    line = [(100, 100), (150, 150), (140, 160), (90, 110)]
    density = importance(signals(quads=[line]), WIDTH, HEIGHT)
    assert inside(density, (90, 100, 150, 160)) > 0.5


coordinates = st.floats(-500, 900)


@given(st.lists(st.tuples(coordinates, coordinates, coordinates, coordinates), max_size=4))
def test_any_boxes_give_a_map(boxes):
    density = importance(signals(boxes), WIDTH, HEIGHT)
    assert density.sum() == pytest.approx(1)
    assert density.min() >= 0


@pytest.mark.parametrize("name", ["astronaut.jpg", "mariachi.jpg"])
@pytest.mark.parametrize("ratio", [0.6, 1.0, 1.6, 2.2])
def test_no_face_is_cut_in_two(photos, name, ratio):
    sessions = Sessions(Manifest.packaged())
    faces_of, saliency_of = maker_of(Faces, sessions), SaliencyDetector()
    picture = decode((photos / name).read_bytes(), faces_of.max_side)
    [faces], [saliency] = faces_of.detect([picture]), saliency_of.detect([picture])
    assert faces.faces
    context = vision_v1.ImageContext.pb(
        vision_v1.ImageContext(crop_hints_params={"aspect_ratios": [ratio]})
    )
    response = vision_v1.AnnotateImageResponse.pb(vision_v1.AnnotateImageResponse())
    ask = Ask(10, picture.width, picture.height, context)
    CropHints().describe(ask, Signals([faces, saliency, Objects(()), captions()]), response)
    [hint] = response.crop_hints_annotation.crop_hints
    corners = hint.bounding_poly.vertices
    for one in faces.faces:
        x0, y0, x1, y1 = one.box
        wide = min(corners[1].x, x1) - max(corners[0].x, x0)
        high = min(corners[2].y, y1) - max(corners[0].y, y0)
        share = max(0, wide) * max(0, high) / ((x1 - x0) * (y1 - y0))
        assert share < 0.05 or share > 0.95, one.box
