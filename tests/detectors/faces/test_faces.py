"""Faces: found, shaped, turned, mirrored, alone and in company."""

import json
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from itertools import pairwise

import cv2
import numpy as np
import pytest
from google.cloud import vision_v1
from hypothesis import given, settings
from hypothesis import strategies as st

from tapetum.detectors.faces import boxes
from tapetum.detectors.faces.attributes import light_and_detail
from tapetum.detectors.faces.boxes import FaceFinder, closer_size, first_size
from tapetum.detectors.faces.crops import Square
from tapetum.detectors.faces.detector import FaceDetector
from tapetum.detectors.faces.mesh import FaceMesh, FaceMesher, pose_of, square_of_mesh
from tapetum.imaging.picture import Picture
from tapetum.models.manifest import Manifest
from tapetum.models.packs import maker_of
from tapetum.models.session import Sessions
from tapetum.signals.faces import Face, Faces

KIND = vision_v1.FaceAnnotation.Landmark.Type


def test_the_table_names_each_type_by_its_number():
    rows = json.loads(
        files("tapetum.detectors.faces").joinpath("mesh_landmarks.json").read_text("utf-8")
    )["landmarks"]
    assert all(KIND[row["name"]] == row["type"] for row in rows)
    assert all(0 <= point < 468 for row in rows for point in row["points"])
    pupils = {KIND.LEFT_EYE_PUPIL, KIND.RIGHT_EYE_PUPIL}
    assert [row["type"] for row in rows] == [k for k in sorted(KIND) if k and k not in pupils]


def picture(pixels: np.ndarray) -> Picture:
    pixels = np.ascontiguousarray(pixels)
    return Picture(pixels, pixels.shape[1], pixels.shape[0])


@pytest.fixture(scope="module")
def sessions() -> Sessions:
    return Sessions(Manifest.packaged())


@pytest.fixture(scope="module")
def detector(sessions) -> FaceDetector:
    return maker_of(Faces, sessions)


@pytest.fixture(scope="module")
def astronaut(photos) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(photos / "astronaut.jpg")), cv2.COLOR_BGR2RGB)


@pytest.fixture(scope="module")
def band(photos) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(photos / "mariachi.jpg")), cv2.COLOR_BGR2RGB)


@pytest.fixture(scope="module")
def band_faces(detector, band) -> tuple[Face, ...]:
    return detector.detect([picture(band)])[0].faces


def only(detector: FaceDetector, pixels: np.ndarray) -> Face:
    (face,) = detector.detect([picture(pixels)])[0].faces
    return face


def turned(pixels: np.ndarray, angle: float) -> np.ndarray:
    height, width = pixels.shape[:2]
    to = cv2.getRotationMatrix2D((width / 2, height / 2), -angle, 1.0)
    return cv2.warpAffine(pixels, to, (width, height), borderMode=cv2.BORDER_REPLICATE)


def places(face: Face) -> np.ndarray:
    """x, y, z of all landmarks."""
    return np.array(list(face.landmarks.values()))


def between(face: Face) -> float:
    corners = "LEFT_EYE_LEFT_CORNER", "RIGHT_EYE_RIGHT_CORNER"
    left, right = (np.array(face.landmarks[name]) for name in corners)
    return float(np.linalg.norm(right - left))


def happiest(face: Face) -> str:
    return max(face.expressions, key=face.expressions.__getitem__)


def same(face: Face, other: Face) -> bool:
    return repr(face) == repr(other)  # NaN is like NaN


def shape(sessions: Sessions, pixels: np.ndarray) -> tuple[boxes.FaceBox, FaceMesh]:
    """Box and mesh of the only face."""
    (box,) = FaceFinder(sessions).find(pixels)
    (mesh,) = FaceMesher(sessions).meshes(pixels, [box])
    return box, mesh


def test_the_astronaut_smiles_at_us(detector, astronaut):
    face = only(detector, astronaut)
    x0, y0, x1, y1 = face.box
    assert (x0, y0, x1, y1) == pytest.approx((181, 58, 270, 178), abs=8)
    assert face.confidence > 0.8
    assert face.landmark_confidence > 0.95
    assert places(face).shape == (34, 3)
    nose = face.landmarks["NOSE_TIP"]
    assert nose[2] < min(face.landmarks[f"{side}_EYE"][2] for side in ("LEFT", "RIGHT"))  # nearer
    assert abs(face.roll) < 6
    assert abs(face.pan) < 6
    assert abs(face.tilt) < 12
    assert happiest(face) == "happy"
    assert sum(face.expressions.values()) == pytest.approx(1, abs=1e-4)
    assert 60 < face.luma < 200
    assert face.sharpness > 0.02
    assert face.headwear < 0.04


def test_two_networks_agree_on_the_shape(sessions, astronaut):
    box, mesh = shape(sessions, astronaut)
    assert mesh.points.shape == (468, 3)
    assert box.points.shape == (5, 2)
    # Eyes, tip of the nose, corners of the mouth, the viewer's left first.
    flat = mesh.points[:, :2]
    seen = [flat[[33, 133]].mean(axis=0), flat[[263, 362]].mean(axis=0), *flat[[4, 61, 291]]]
    assert np.abs(box.points - seen).max() < 0.15 * np.linalg.norm(flat[263] - flat[33])
    assert box.points[0, 0] < box.points[1, 0]


def test_the_band_looks_to_the_left(band_faces):
    large = [face for face in band_faces if face.box[3] - face.box[1] > 60]
    assert len(large) == 5
    assert all(face.pan < -20 for face in large)
    scores = [face.confidence for face in band_faces]
    assert scores == sorted(scores, reverse=True)
    # The one at the right throws his head down to the left, laughing.
    right = max(large, key=lambda face: face.box[0])
    assert right.roll == pytest.approx(-30, abs=10)
    assert happiest(right) == "happy"


@pytest.mark.parametrize("photo", ["cat", "dog", "horses", "coffee", "colosseum"])
def test_no_faces_where_no_people_are(detector, photos, photo):
    pixels = cv2.imread(str(photos / f"{photo}.jpg"))
    assert detector.detect([picture(pixels[..., ::-1])])[0].faces == ()


def mirrored(name: str) -> str:
    """LEFT_OF_RIGHT_EYEBROW for RIGHT_OF_LEFT_EYEBROW: the viewer's sides change places."""
    sides = {"LEFT": "RIGHT", "RIGHT": "LEFT"}
    return "_".join(sides.get(part, part) for part in name.split("_"))


def mirror_distances(face: Face, others: tuple[Face, ...], width: int) -> list[float]:
    """How far each landmark of ``face`` is from its counterpart on the same face of the mirrored
    picture, in distances between the eyes."""
    twins = [{k: (width - x, y) for k, (x, y, _) in f.landmarks.items()} for f in others]
    here = {k: (x, y) for k, (x, y, _) in face.landmarks.items()}
    away = [[np.subtract(twin[mirrored(k)], here[k]) for k in here] for twin in twins]
    distances = np.linalg.norm(away, axis=2) / between(face)
    return min(distances.tolist(), key=sum)


def test_a_mirrored_picture_has_mirrored_faces(detector, astronaut, band, band_faces):
    face, twin = only(detector, astronaut), only(detector, astronaut[:, ::-1])
    distances = mirror_distances(face, (twin,), astronaut.shape[1])
    assert np.mean(distances) < 0.03
    assert max(distances) < 0.08
    assert twin.roll == pytest.approx(-face.roll, abs=2)
    assert twin.pan == pytest.approx(-face.pan, abs=4)
    assert twin.tilt == pytest.approx(face.tilt, abs=4)
    sure = [face for face in band_faces if face.landmark_confidence > 0.9]
    others = detector.detect([picture(band[:, ::-1])])[0].faces
    assert len(sure) >= 4
    for face in sure:
        distances = mirror_distances(face, others, band.shape[1])
        assert np.mean(distances) < 0.06
        assert max(distances) < 0.15


@pytest.mark.parametrize("angle", [-30, -15, 15, 30])
def test_the_roll_follows_the_picture(detector, astronaut, angle):
    straight = only(detector, astronaut).roll
    assert only(detector, turned(astronaut, angle)).roll - straight == pytest.approx(angle, abs=5)


def test_neighbours_do_not_change_a_face(detector, sessions, astronaut, band, band_faces):
    together = detector.detect([picture(astronaut), picture(band), picture(astronaut)])
    assert [len(found.faces) for found in together] == [1, len(band_faces), 1]
    assert all(same(a, b) for a, b in zip(together[1].faces, band_faces, strict=True))
    assert same(together[0].faces[0], only(detector, astronaut))
    # Nor do those of the same picture: the rows of a run do not touch each other.
    boxes = FaceFinder(sessions).find(band)
    mesher = FaceMesher(sessions)
    for box, mesh in zip(boxes, mesher.meshes(band, boxes), strict=True):
        (alone,) = mesher.meshes(band, [box])
        assert np.array_equal(alone.points, mesh.points)
        assert alone.confidence == mesh.confidence


def test_two_mesh_runs_for_all_faces_of_a_picture(detector, sessions, band):
    before = sessions.runs()
    count = len(detector.detect([picture(band)])[0].faces)
    after = sessions.runs()
    assert count > 2
    assert after["facemesh"] - before["facemesh"] == 2
    assert after["face-expression"] - before["face-expression"] == 1
    assert after["efficientnet-lite2"] - before["efficientnet-lite2"] == count


def test_threads_agree(detector, astronaut):
    with ThreadPoolExecutor(4) as pool:
        faces = list(pool.map(lambda _: only(detector, astronaut), range(6)))
    assert all(same(faces[0], face) for face in faces)


def test_coordinates_are_of_the_full_size(detector, astronaut):
    face = only(detector, astronaut)
    large = Picture(astronaut, 2048, 2048)
    (enlarged,) = detector.detect([large])[0].faces
    assert np.allclose(places(enlarged), places(face) * 4)
    assert np.allclose(enlarged.box, np.array(face.box) * 4)
    assert (enlarged.roll, enlarged.pan) == (face.roll, face.pan)


def test_a_face_that_fills_a_large_picture_is_found(detector, astronaut):
    close = cv2.resize(astronaut[40:190, 150:300], (1024, 1024), interpolation=cv2.INTER_CUBIC)
    face = only(detector, close)
    assert face.box[3] - face.box[1] > 700


def crowd(astronaut: np.ndarray, side: int = 2048, face: int = 26) -> np.ndarray:
    """Heads of the astronaut, faces ``face`` pixels high, all over a picture of ``side``."""
    head = astronaut[0:230, 110:340]
    cell = round(230 * face / 120)
    small = cv2.resize(head, (cell, cell), interpolation=cv2.INTER_AREA)
    heads = np.full((side, side, 3), 120, dtype=np.uint8)
    for y in range(60, side - cell, 400):
        for x in range(60, side - cell, 400):
            heads[y : y + cell, x : x + cell] = small
    return heads


def test_small_faces_of_a_large_picture_call_for_a_closer_look(sessions, astronaut):
    heads = crowd(astronaut)
    found = FaceFinder(sessions).find(heads)
    assert len(found) == 25
    middles = np.array([[(f.box[0] + f.box[2]) / 2, (f.box[1] + f.box[3]) / 2] for f in found])
    grid = np.sort(middles.round(-1), axis=0)
    assert np.abs(np.diff(grid[::5, 0])).min() > 380


def test_a_face_on_the_cut_of_two_tiles_is_found_once(sessions, astronaut):
    head = cv2.resize(astronaut[0:230, 110:340], (60, 60), interpolation=cv2.INTER_AREA)
    (first, second, _) = boxes._cuts(2048)
    assert second[0] < first[1]
    pixels = np.full((2048, 2048, 3), 120, dtype=np.uint8)
    pixels[300:360, second[0] - 30 : second[0] + 30] = head
    pixels[700:760, first[1] - 30 : first[1] + 30] = head
    assert len(FaceFinder(sessions).find(pixels)) == 2


def test_what_a_cut_goes_through_does_not_count(monkeypatch):
    def everywhere(session, pixels, lowest):
        width = pixels.shape[1]
        rows = np.zeros((3, 15))
        rows[:, :4] = [[0, 300, 60, 360], [width - 60, 300, width, 360], [300, 300, 360, 360]]
        return rows

    monkeypatch.setattr(boxes, "look", everywhere)
    found = boxes._closer(None, np.zeros((900, 2048, 3), dtype=np.uint8), 0.5)
    (first, second, third) = boxes._cuts(2048)
    lefts = sorted(int(x) for x in np.concatenate(list(found))[:, 0])
    assert lefts == sorted([0, 2048 - 60, *(start + 300 for start, _ in (first, second, third))])


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_looks_are_bounded_and_keep_the_shape(detector, width, height):
    first, closer = first_size(width, height), closer_size(width, height)
    for (columns, rows), most in ((first, 1 << 20), (closer, 1 << 23)):
        assert 1 <= columns <= width
        assert 1 <= rows <= height
        assert columns * rows <= 1.01 * most + 20_000
    assert detector.max_side(width, height) == max(closer)
    cuts = boxes._cuts(closer[0])
    assert cuts[0][0] == 0
    assert cuts[-1][1] == closer[0]
    assert all(b[0] <= a[1] - min(128, closer[0]) for a, b in pairwise(cuts))
    assert all(end - start <= 1024 for start, end in cuts)


def test_suppression_keeps_the_best_of_one_place():
    rows = np.zeros((4, 15))
    rows[:, :4] = [[0, 0, 10, 10], [1, 1, 11, 11], [2, 2, 6, 6], [20, 0, 30, 10]]
    rows[:, 14] = [0.6, 0.9, 0.7, 0.5]
    kept = boxes.suppressed(rows)
    assert kept[:, 14].tolist() == [0.9, 0.5]


@given(st.floats(-200, 1200), st.floats(-200, 1200), st.floats(2, 3000), st.floats(-3.1, 3.1))
def test_a_cut_is_where_it_says(x, y, side, angle):
    square = Square(x, y, side, angle)
    assert square.to_picture(np.array([[56.0, 56.0]]), 112)[0] == pytest.approx((x, y))
    corner, right = square.to_picture(np.array([[0.0, 0.0], [112.0, 0.0]]), 112)
    assert np.hypot(*(right - corner)) == pytest.approx(side)
    assert np.arctan2(*(right - corner)[::-1]) == pytest.approx(angle, abs=1e-6)


@pytest.mark.parametrize("side", [60.0, 150.0, 500.0])
@pytest.mark.parametrize("angle", [0.0, 0.5, -2.0])
def test_a_cut_shows_what_is_there(side, angle):
    # A ramp shows its own place: red says x, green says y.
    y, x = np.mgrid[:900, :900]
    ramp = np.stack([x / 4, y / 4, np.zeros_like(x)], axis=2)
    square = Square(430.0, 470.0, side, angle)
    cut = square.cut(np.round(ramp).astype(np.uint8), 64).astype(float)
    at = np.array([[10.5, 20.5], [32.5, 32.5], [60.5, 5.5]])
    there = square.to_picture(at, 64)
    seen = np.array([cut[int(v), int(u), :2] * 4 + 0.5 for u, v in at])
    assert np.abs(seen - there).max() < 4


@pytest.mark.parametrize("angle", [0.0, 0.4, -1.3, 3.0])
def test_a_square_is_level_with_the_eyes(angle):
    cos, sin = np.cos(angle), np.sin(angle)
    flat = np.array([[-40, -60], [40, -60], [40, 60], [-40, 60], [-20, -20], [20, -20]])
    points = flat @ np.array([[cos, sin], [-sin, cos]]) + [500, 300]
    square = Square.around(points, points[4], points[5], 1.5)
    assert (square.x, square.y, square.side) == pytest.approx((500, 300, 180))
    assert square.angle == pytest.approx(angle)


def test_depth_grows_with_the_picture(detector, astronaut):
    face = only(detector, astronaut)
    large = only(detector, cv2.resize(astronaut, (1024, 1024), interpolation=cv2.INTER_CUBIC))
    away = np.abs(places(large) - 2 * places(face)).mean(axis=0)
    assert (away < 0.06 * between(large)).all()


def test_detail_is_measured_at_the_size_a_face_has():
    noise = np.random.default_rng(5).integers(0, 256, (100, 100, 1), dtype=np.uint8)
    noise = np.repeat(noise, 3, axis=2)
    small, luma = light_and_detail(noise, Square(50, 50, 40, 0))
    whole, _ = light_and_detail(noise, Square(50, 50, 100, 0))
    assert small == pytest.approx(whole, rel=0.2)
    assert luma == pytest.approx(127, abs=10)


def test_a_pose_is_read_from_the_mesh(sessions, astronaut):
    mesh = shape(sessions, astronaut)[1].points
    base = pose_of(mesh)
    centre = mesh.mean(axis=0)

    def about(axis: int, degrees: float) -> np.ndarray:
        angle = np.radians(degrees)
        turn = np.eye(3)
        a, b = [(1, 2), (2, 0), (0, 1)][axis]
        turn[[a, a, b, b], [a, b, a, b]] = (
            np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle),
        )  # fmt: skip
        return (mesh - centre) @ turn.T + centre

    assert pose_of(about(2, 20)).roll == pytest.approx(base.roll + 20, abs=0.1)
    # To the right of the image is positive: the nose moves there.
    right = about(1, -25)
    assert (right[4] - right[[33, 263]].mean(0))[0] > (mesh[4] - mesh[[33, 263]].mean(0))[0]
    assert pose_of(right).pan == pytest.approx(base.pan + 25, abs=1)
    up = about(0, -15)
    assert (up[4] - up[[33, 263]].mean(0))[1] < (mesh[4] - mesh[[33, 263]].mean(0))[1]
    assert pose_of(up).tilt == pytest.approx(base.tilt + 15, abs=1)


def test_blur_and_darkness_are_measured(detector, sessions, astronaut):
    face = only(detector, astronaut)
    soft = only(detector, cv2.GaussianBlur(astronaut, (0, 0), 3))
    dark = only(detector, (astronaut * 0.25).astype(np.uint8))
    assert soft.sharpness < 0.2 * face.sharpness
    assert dark.luma == pytest.approx(0.25 * face.luma, rel=0.1)
    assert square_of_mesh(shape(sessions, astronaut)[1].points, 1.1).side == pytest.approx(
        120, abs=15
    )


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([(1, 1), (8, 8), (1, 700), (700, 1), (31, 33), (75, 2000), (300, 200)]),
    st.sampled_from(["black", "white", "grey noise", "noise"]),
    st.integers(0, 1000),
)
def test_odd_pictures_have_no_faces(detector, size, kind, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    pixels = {
        "black": np.zeros_like(noise),
        "white": np.full_like(noise, 255),
        "grey noise": np.repeat(noise[:, :, :1], 3, axis=2),
        "noise": noise,
    }[kind]
    for face in detector.detect([picture(pixels)])[0].faces:
        assert np.isfinite(places(face)).all()


def test_a_long_strip_and_no_pictures(detector):
    assert detector.detect([]) == []
    strip = np.random.default_rng(2).integers(0, 256, (75, 5000, 3), dtype=np.uint8)
    assert detector.detect([picture(strip)])[0].faces == ()


def test_at_most_two_hundred_faces(detector, astronaut, monkeypatch):
    monkeypatch.setattr("tapetum.detectors.faces.detector.MOST", 3)
    monkeypatch.setattr("tapetum.detectors.faces.attributes.HEADS", 2)
    faces = detector.detect([picture(crowd(astronaut, side=1000, face=40))])[0].faces
    assert len(faces) == 3
    assert sum(np.isnan(face.headwear) for face in faces) == 1
