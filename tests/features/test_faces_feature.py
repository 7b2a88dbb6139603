"""FACE_DETECTION: the message of one face, order, limits, edges."""

import dataclasses
import json
from importlib.resources import files

import numpy as np
import pytest
from google.cloud import vision_v1
from hypothesis import given
from hypothesis import strategies as st

from tapetum.detectors.faces.attributes import EXPRESSIONS
from tapetum.detectors.faces.detector import Face, Faces
from tapetum.features import Ask
from tapetum.features.faces import FaceDetection, landmarks, skin_box
from tapetum.signals import Signals

KIND = vision_v1.FaceAnnotation.Landmark.Type
CONTEXT = vision_v1.ImageContext.pb(vision_v1.ImageContext())


def face(**changes) -> Face:
    """A made-up face: the eyes 100 pixels apart and level, everything else around them."""
    mesh = np.random.default_rng(3).uniform((240, 240, -60), (460, 460, 160), (468, 3))
    mesh[[33, 133, 159, 145]] = (250, 240, 7)
    mesh[[263, 362, 386, 374]] = (350, 240, 7)
    expression = np.zeros(7, dtype=np.float32)
    expression[EXPRESSIONS.index("neutral")] = 1
    made = Face(
        box=(200, 150, 400, 420),
        points=np.zeros((5, 2)),
        mesh=mesh,
        confidence=0.8,
        landmark_confidence=0.97,
        roll=0.0,
        pan=0.0,
        tilt=-3.0,
        expression=expression,
        sharpness=0.05,
        luma=120.0,
        headwear=0.001,
    )
    return dataclasses.replace(made, **changes)


def feels(**shares) -> np.ndarray:
    return np.array([shares.get(name, 0.0) for name in EXPRESSIONS], dtype=np.float32)


def described(*faces, max_results=10, width=800, height=600):
    response = vision_v1.AnnotateImageResponse.pb(vision_v1.AnnotateImageResponse())
    ask = Ask(max_results, width, height, CONTEXT)
    FaceDetection().describe(ask, Signals([Faces(tuple(faces))]), response)
    return response


def corners(poly) -> list[tuple[int, int]]:
    return [(vertex.x, vertex.y) for vertex in poly.vertices]


def test_all_landmarks_but_the_pupils_in_the_order_of_their_numbers():
    (annotation,) = described(face()).face_annotations
    kinds = [landmark.type_ for landmark in annotation.landmarks]
    pupils = {KIND.LEFT_EYE_PUPIL, KIND.RIGHT_EYE_PUPIL}
    assert kinds == [k for k in sorted(KIND) if k and k not in pupils]
    assert len(kinds) == 34


def test_the_table_names_each_type_by_its_number():
    rows = json.loads(
        files("tapetum.features").joinpath("tables/mesh_landmarks.json").read_text("utf-8")
    )["landmarks"]
    assert all(KIND[row["name"]] == row["type"] for row in rows)
    assert all(0 <= point < 468 for row in rows for point in row["points"])


def test_depth_counts_from_the_left_eye():
    annotated = face()
    (annotation,) = described(annotated).face_annotations
    places = {landmark.type_: landmark.position for landmark in annotation.landmarks}
    left = places[KIND.LEFT_EYE]
    assert (left.x, left.y, left.z) == (250, 240, 0)
    nose = places[KIND.NOSE_TIP]
    assert (nose.x, nose.y, nose.z) == pytest.approx(annotated.mesh[4] - [0, 0, 7], rel=1e-5)
    middle = annotated.mesh[[13, 14]].mean(axis=0)
    assert places[KIND.MOUTH_CENTER].x == pytest.approx(middle[0])


def test_boxes_are_around_the_eyes_and_the_larger_holds_the_smaller():
    (annotation,) = described(face()).face_annotations
    # Eyes at y = 240, 100 apart: skin is 260 wide, its middle 30 below them.
    assert corners(annotation.fd_bounding_poly) == [(170, 140), (430, 140), (430, 400), (170, 400)]
    assert corners(annotation.bounding_poly) == [(136, 46), (464, 46), (464, 429), (136, 429)]


def test_doubtful_landmarks_leave_the_boxes_to_the_detector():
    (annotation,) = described(face(landmark_confidence=0.2)).face_annotations
    # The detector's box is 200 wide and 270 high, its middle at (300, 285).
    assert corners(annotation.fd_bounding_poly) == [(165, 150), (435, 150), (435, 420), (165, 420)]
    assert len(annotation.landmarks) == 34


def test_boxes_end_at_the_image_and_landmarks_do_not():
    moved = face(mesh=face().mesh - [300, 300, 0])
    (annotation,) = described(moved, width=120, height=70).face_annotations
    assert corners(annotation.fd_bounding_poly) == [(0, 0), (119, 0), (119, 69), (0, 69)]
    assert corners(annotation.bounding_poly) == [(0, 0), (119, 0), (119, 69), (0, 69)]
    assert min(landmark.position.x for landmark in annotation.landmarks) < 0


def test_the_skin_box_leans_with_the_head_and_away_from_where_it_looks():
    positions = landmarks(face().mesh)
    straight = skin_box(positions, 0, 0)
    assert skin_box(positions, 0, -30)[0] > straight[0] + 15
    assert skin_box(positions, 0, 30)[2] < straight[2] - 15
    assert skin_box(positions, 30, 0)[0] < straight[0] - 10


def test_angles_and_confidences():
    (annotation,) = described(face(roll=-12.5, pan=4.25, tilt=-7.5)).face_annotations
    assert (annotation.roll_angle, annotation.pan_angle, annotation.tilt_angle) == (
        -12.5, 4.25, -7.5,
    )  # fmt: skip
    assert annotation.detection_confidence == pytest.approx(0.8)
    assert annotation.landmarking_confidence == pytest.approx(0.97)


FIELDS = ("joy", "sorrow", "anger", "surprise", "under_exposed", "blurred", "headwear")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"expression": feels(happy=1.0)}, "joy"),
        ({"expression": feels(sad=1.0)}, "sorrow"),
        ({"expression": feels(angry=1.0)}, "anger"),
        ({"expression": feels(surprised=1.0)}, "surprise"),
        ({"luma": 10.0}, "under_exposed"),
        ({"sharpness": 0.001}, "blurred"),
        ({"headwear": 0.9}, "headwear"),
        ({"headwear": float("nan")}, None),
        ({}, None),
    ],
)
def test_each_likelihood_says_its_own_thing(changes, field):
    (annotation,) = described(face(**changes)).face_annotations
    said = {name: getattr(annotation, f"{name}_likelihood") for name in FIELDS}
    assert said == {name: 5 if name == field else 1 for name in FIELDS}


def test_the_most_confident_first_and_at_most_max_results():
    faces = [face(confidence=score) for score in (0.6, 0.9, 0.7)]
    scores = [a.detection_confidence for a in described(*faces).face_annotations]
    assert scores == pytest.approx([0.9, 0.7, 0.6])
    assert len(described(*faces, max_results=2).face_annotations) == 2


def test_no_face_no_field():
    assert described() == vision_v1.AnnotateImageResponse.pb(vision_v1.AnnotateImageResponse())


def test_it_needs_only_faces():
    assert FaceDetection().needs == (Faces,)
    assert FaceDetection().type == vision_v1.Feature.Type.FACE_DETECTION


@given(
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    st.floats(-1e4, 1e4),
    st.floats(0.01, 50),
    st.lists(st.floats(0, 1, width=32), min_size=7, max_size=7),
    st.floats(0, 255),
)
def test_any_face_makes_a_sane_message(size, shift, scale, shares, luma):
    width, height = size
    odd = face(
        mesh=face().mesh * scale + shift,
        expression=np.array(shares, dtype=np.float32),
        luma=luma,
        sharpness=luma,
    )
    (annotation,) = described(odd, width=width, height=height).face_annotations
    for poly in (annotation.bounding_poly, annotation.fd_bounding_poly):
        assert all(0 <= x < width and 0 <= y < height for x, y in corners(poly))
    assert all(1 <= getattr(annotation, f"{name}_likelihood") <= 5 for name in FIELDS)
