"""FACE_DETECTION: the message of one face, order, limits, edges."""

import dataclasses

import numpy as np
import pytest
from google.cloud import vision_v1
from hypothesis import given
from hypothesis import strategies as st

from tapetum.features import Ask
from tapetum.features.faces import FaceDetection, skin_box
from tapetum.signals import Signals
from tapetum.signals.faces import Face, Faces

KIND = vision_v1.FaceAnnotation.Landmark.Type
#: All but the two pupils.
NAMES = [kind.name for kind in sorted(KIND) if kind and not kind.name.endswith("PUPIL")]
EXPRESSIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
CONTEXT = vision_v1.ImageContext.pb(vision_v1.ImageContext())


def face(**changes) -> Face:
    """A made-up face: the eyes 100 pixels apart and level, everything else around them."""
    places = np.random.default_rng(3).uniform((240, 240, -60), (460, 460, 160), (34, 3))
    landmarks = dict(zip(NAMES, map(tuple, places.tolist()), strict=True))
    made = Face(
        box=(200, 150, 400, 420),
        landmarks=landmarks | {"LEFT_EYE": (250, 240, 7), "RIGHT_EYE": (350, 240, 7)},
        confidence=0.8,
        landmark_confidence=0.97,
        roll=0.0,
        pan=0.0,
        tilt=-3.0,
        expressions=feels(neutral=1.0),
        sharpness=0.05,
        luma=120.0,
        headwear=0.001,
    )
    return dataclasses.replace(made, **changes)


def moved(scale: float, *by: float) -> dict[str, tuple[float, ...]]:
    """The landmarks of `face`, enlarged and then moved."""
    return {
        name: tuple(scale * number + step for number, step in zip(place, by, strict=True))
        for name, place in face().landmarks.items()
    }


def feels(**shares) -> dict[str, float]:
    return dict.fromkeys(EXPRESSIONS, 0.0) | shares


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


def test_depth_counts_from_the_left_eye():
    annotated = face()
    (annotation,) = described(annotated).face_annotations
    places = {landmark.type_: landmark.position for landmark in annotation.landmarks}
    left = places[KIND.LEFT_EYE]
    assert (left.x, left.y, left.z) == (250, 240, 0)
    nose = places[KIND.NOSE_TIP]
    assert (nose.x, nose.y, nose.z) == pytest.approx(
        np.subtract(annotated.landmarks["NOSE_TIP"], (0, 0, 7)), rel=1e-5
    )


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
    left_above = face(landmarks=moved(1, -300, -300, 0))
    (annotation,) = described(left_above, width=120, height=70).face_annotations
    assert corners(annotation.fd_bounding_poly) == [(0, 0), (119, 0), (119, 69), (0, 69)]
    assert corners(annotation.bounding_poly) == [(0, 0), (119, 0), (119, 69), (0, 69)]
    assert min(landmark.position.x for landmark in annotation.landmarks) < 0


def test_the_skin_box_leans_with_the_head_and_away_from_where_it_looks():
    positions = face().landmarks
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
        ({"expressions": feels(happy=1.0)}, "joy"),
        ({"expressions": feels(sad=1.0)}, "sorrow"),
        ({"expressions": feels(angry=1.0)}, "anger"),
        ({"expressions": feels(surprised=1.0)}, "surprise"),
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


def test_in_the_order_of_the_signal_and_at_most_max_results():
    faces = [face(confidence=score) for score in (0.9, 0.7, 0.6)]
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
        landmarks=moved(scale, shift, shift, shift),
        expressions=dict(zip(EXPRESSIONS, shares, strict=True)),
        luma=luma,
        sharpness=luma,
    )
    (annotation,) = described(odd, width=width, height=height).face_annotations
    for poly in (annotation.bounding_poly, annotation.fd_bounding_poly):
        assert all(0 <= x < width and 0 <= y < height for x, y in corners(poly))
    assert all(1 <= getattr(annotation, f"{name}_likelihood") <= 5 for name in FIELDS)
