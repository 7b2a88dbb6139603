"""Objects: what is found on photographs, the order of things, odd pictures, determinism."""

import json
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapetum.detectors.calibration import BetaCalibration
from tapetum.detectors.objects import (
    CLASSES,
    LIMIT,
    LOWEST_SCORE,
    SAME_OBJECT,
    WEIGHTS,
    Boxes,
    ObjectDetector,
    ObjectName,
    chosen,
    network_input,
    read_names,
    without_repeats,
)
from tapetum.imaging.decoding import decode
from tapetum.imaging.picture import Picture
from tapetum.models import packs
from tapetum.models.manifest import Manifest, PackRow
from tapetum.models.packs import maker_of
from tapetum.models.session import Sessions
from tapetum.signals.objects import Objects

PERSON, CAT, DOG, HORSE, COW, CUP = 0, 15, 16, 17, 19, 41


def noise(height: int, width: int, seed: int = 0) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Picture(pixels, width, height)


@pytest.fixture(scope="module")
def sessions() -> Sessions:
    return Sessions(Manifest.packaged())


@pytest.fixture(scope="module")
def detector(sessions) -> ObjectDetector:
    return maker_of(Objects, sessions)


@pytest.fixture(scope="module")
def dog(photos, detector) -> Picture:
    return decode((photos / "dog.jpg").read_bytes(), detector.max_side)


def overlap(box, other) -> float:
    x0, y0 = np.maximum(box[:2], other[:2])
    x1, y1 = np.minimum(box[2:], other[2:])
    shared = max(0.0, x1 - x0) * max(0.0, y1 - y0)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)]
    return shared / (sum(areas) - shared)


def check(objects: Boxes, picture: Picture) -> None:
    count = len(objects.scores)
    assert count <= LIMIT
    assert objects.corners.shape == (count, 4)
    assert objects.corners.dtype == np.float32
    assert objects.scores.shape == objects.classes.shape == (count,)
    assert objects.scores.dtype == np.float32
    assert objects.classes.dtype == np.int64
    assert ((objects.classes >= 0) & (objects.classes < 80)).all()
    assert ((objects.scores >= LOWEST_SCORE) & (objects.scores <= 1)).all()
    assert (np.diff(objects.scores) <= 0).all()
    assert (objects.corners[:, :2] >= 0).all()
    assert (objects.corners[:, 2:] <= (picture.width, picture.height)).all()
    assert (objects.corners[:, 2:] > objects.corners[:, :2]).all()


def equal(one: Boxes, other: Boxes) -> bool:
    return (
        np.array_equal(one.corners, other.corners)
        and np.array_equal(one.scores, other.scores)
        and np.array_equal(one.classes, other.classes)
    )


@pytest.mark.parametrize(
    ("name", "kind", "box"),  # boxes drawn by hand, pixels of the file
    [
        ("dog.jpg", DOG, (40, 35, 885, 735)),
        ("cat.jpg", CAT, (185, 80, 1024, 560)),
        ("coffee.jpg", CUP, (175, 22, 412, 290)),
        ("astronaut.jpg", PERSON, (20, 10, 372, 512)),
    ],
)
def test_the_best_box_is_the_subject(photos, detector, name, kind, box):
    picture = decode((photos / name).read_bytes(), detector.max_side)
    objects = detector.boxes(picture)
    check(objects, picture)
    assert objects.classes[0] == kind
    assert objects.scores[0] > 0.6
    assert overlap(objects.corners[0], box) > 0.75


def test_several_objects_of_one_class(photos, detector):
    objects = detector.boxes(decode((photos / "horses.jpg").read_bytes(), detector.max_side))
    horses = objects.corners[(objects.classes == HORSE) & (objects.scores > 0.6)]
    assert len(horses) == 3
    assert max(overlap(horses[j], horses[k]) for j, k in ((0, 1), (0, 2), (1, 2))) < 0.3


def test_coordinates_are_those_of_the_full_size(detector, dog):
    objects = detector.boxes(dog)
    large = detector.boxes(Picture(dog.pixels, dog.width * 5, dog.height * 3))
    assert np.array_equal(large.scores, objects.scores)
    np.testing.assert_allclose(large.corners, objects.corners * (5, 3, 5, 3), rtol=1e-5)


def test_a_mirrored_picture_has_mirrored_boxes(detector, dog):
    flipped = Picture(np.ascontiguousarray(dog.pixels[:, ::-1]), dog.width, dog.height)
    objects, mirrored = detector.boxes(dog), detector.boxes(flipped)
    assert mirrored.classes[0] == objects.classes[0] == DOG
    x0, y0, x1, y1 = objects.corners[0]
    assert overlap(mirrored.corners[0], (dog.width - x1, y0, dog.width - x0, y1)) > 0.9


def test_neighbours_do_not_change_a_picture(detector, dog):
    pictures = [noise(300, 300), dog, noise(40, 900, 1)]
    together = detector.detect(pictures)
    for picture, among in zip(pictures, together, strict=True):
        assert detector.detect([picture]) == [among]


def test_threads_agree(detector, dog):
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: detector.boxes(dog), range(8)))
    assert all(equal(answers[0], answer) for answer in answers)


def test_one_run_of_the_network_per_picture(sessions, detector):
    session = sessions.load(WEIGHTS)
    before = session.runs
    detector.detect([noise(64, 64), noise(64, 64)])
    assert session.runs == before + 2
    assert detector.detect([]) == []


@settings(max_examples=20, deadline=None)
@given(
    st.one_of(
        st.tuples(st.integers(1, 400), st.integers(1, 400)),
        st.sampled_from([(1, 1), (8, 8), (75, 5000), (5000, 75), (16, 16), (1300, 1)]),
    ),
    st.sampled_from(["black", "white", "grey", "noise", "grain"]),
    st.integers(0, 2**32 - 1),
)
def test_odd_pictures_have_sane_signals(detector, size, kind, seed):
    height, width = size
    picture = noise(height, width, seed)
    if kind == "grain":  # a picture without colour
        picture = Picture(np.repeat(picture.pixels[:, :, :1], 3, axis=2), width, height)
    elif kind != "noise":
        value = {"black": 0, "white": 255, "grey": 128}[kind]
        picture = Picture(np.full_like(picture.pixels, value), width, height)
    objects = detector.boxes(picture)
    check(objects, picture)
    if min(size) < 16:
        assert len(objects.scores) == 0
    elif min(size) >= 64 or kind in ("black", "white", "grey"):
        assert not (objects.scores > 0.45).any()


@pytest.mark.parametrize(
    ("width", "height", "side"),
    [(300, 300, 300), (640, 480, 400), (4000, 3000, 400), (100, 50, 100), (75, 5000, 5000)],
)
def test_the_side_leaves_300_pixels_to_the_short_side(detector, width, height, side):
    assert detector.max_side(width, height) == side


def test_the_network_sees_the_whole_picture_in_minus_one_to_one():
    pixels = np.zeros((450, 600, 3), dtype=np.uint8)
    pixels[:225, :300] = (255, 0, 0)
    pixels[225:, 300:] = (0, 255, 51)
    tensor = network_input(Picture(pixels, 600, 450))
    assert tensor.shape == (1, 300, 300, 3)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    np.testing.assert_allclose(tensor[0, 149, 149], (1, -1, -1), atol=1e-6)
    np.testing.assert_allclose(tensor[0, 299, 299], (-1, 1, -0.6), atol=1e-6)
    np.testing.assert_allclose(tensor[0, 149, 150], (-1, -1, -1), atol=1e-6)


def test_up_to_900_pixels_are_sampled_as_in_training_and_more_are_averaged():
    for side, largest in ((600, 1.0), (1200, 0.0)):
        pixels = np.zeros((side, side, 3), dtype=np.uint8)
        pixels[:, ::2] = 255  # one-pixel stripes: every second pixel is white, the mean is grey
        assert np.abs(network_input(Picture(pixels, side, side))).max() == pytest.approx(
            largest, abs=0.01
        )


def outputs(*rows: tuple[tuple[float, ...], int, float]) -> tuple[np.ndarray, np.ndarray]:
    """Network outputs: one anchor per row of (y0 x0 y1 x1), COCO id, score."""
    corners = np.array([row[0] for row in rows], dtype=np.float32)
    sigmoids = np.zeros((len(rows), 90), dtype=np.float32)
    for anchor, (_, coco_id, score) in enumerate(rows):
        sigmoids[anchor, coco_id - 1] = score
    return corners, sigmoids


def test_outputs_become_boxes_by_falling_score():
    boxes, scores, classes = chosen(
        *outputs(
            ((0.1, 0.2, 0.3, 0.6), 1, 0.5),
            ((-0.5, 0.25, 0.5, 1.5), 90, 0.75),
            ((0.1, 0.2, 0.3, 0.6), 13, 0.625),
            ((0.1, 0.2, 0.3, 0.6), 3, 0.019),
        )
    )
    assert classes.tolist() == [79, 11, 0]
    assert scores.tolist() == [0.75, 0.625, 0.5]
    np.testing.assert_allclose(boxes[0], (0.25, 0, 1, 0.5), atol=1e-6)
    np.testing.assert_allclose(boxes[1], (0.2, 0.1, 0.6, 0.3), atol=1e-6)


@pytest.mark.parametrize("unused", [12, 26, 29, 30, 45, 66, 68, 69, 71, 83])
def test_ids_that_coco_dropped_are_no_class(unused):
    assert len(chosen(*outputs(((0, 0, 1, 1), unused, 0.9)))[1]) == 0


@pytest.mark.parametrize("corners", [(0, 1.1, 1, 1.4), (-2, 0, -1, 1), (0.5, 0.2, 0.5, 0.9)])
def test_a_box_without_area_inside_the_picture_is_none(corners):
    assert len(chosen(*outputs((corners, 1, 0.9)))[1]) == 0


def test_one_object_is_reported_once_but_under_each_of_its_classes():
    near, nearer = (0.0, 0.0, 0.5, 0.5), (0.0, 0.0, 0.5, 0.4)
    _, scores, classes = chosen(*outputs((near, 1, 0.9), (nearer, 1, 0.8), (nearer, 2, 0.7)))
    assert classes.tolist() == [0, 1]
    assert scores.tolist() == pytest.approx([0.9, 0.7])


def naive(boxes: np.ndarray, classes: np.ndarray) -> list[int]:
    kept: list[int] = []
    for k, box in enumerate(boxes):
        rivals = [j for j in kept if classes[j] == classes[k]]
        if len(kept) < LIMIT and all(overlap(boxes[j], box) <= SAME_OBJECT for j in rivals):
            kept.append(k)
    return kept


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 260), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_suppression_agrees_with_the_plain_way(count, kinds, seed):
    random = np.random.default_rng(seed)
    corner, size = random.random((count, 2)) * 0.2, random.random((count, 2)) * 0.5 + 0.2
    boxes = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
    classes = random.integers(0, kinds, count)
    assert without_repeats(boxes, classes) == naive(boxes.astype(np.float64), classes)


def test_at_most_100_boxes():
    corners = [(0.0, k / 200, 1.0, (k + 1) / 200) for k in range(150)]
    _, scores, _ = chosen(*outputs(*((c, 1, 0.9 - k / 1000) for k, c in enumerate(corners))))
    assert len(scores) == LIMIT
    assert scores[-1] == pytest.approx(0.9 - 0.099)


@pytest.fixture(scope="module")
def row() -> PackRow:
    return packs.chosen(Manifest.packaged().packs)["Objects"]


@pytest.fixture(scope="module")
def calibration(row) -> BetaCalibration:
    return BetaCalibration(**row.calibration)


def test_boxes_become_things_by_falling_probability(detector, calibration, dog):
    (objects,) = detector.detect([dog])
    boxes = detector.boxes(dog)
    assert len(objects.objects) == len(boxes.scores)
    best = objects.objects[0]
    assert (best.name, best.mid) == ("Dog", "/m/0bt9lr")
    assert best.box == tuple(boxes.corners[0].tolist())
    assert best.probability == calibration.probability(boxes.scores)[0]
    order = [(-thing.probability, thing.name, thing.box) for thing in objects.objects]
    assert order == sorted(order)
    assert [thing.name for thing in objects.likely(0.5)] == ["Dog"]


def test_the_table_names_every_class_once():
    names = read_names(files("tapetum.detectors").joinpath("tables/coco_objects.csv"))
    assert len(names) == CLASSES
    assert len({name.name for name in names}) == len({name.mid for name in names}) == CLASSES
    assert all(name.mid.startswith("/m/") and name.name[0].isupper() for name in names)
    assert names[PERSON] == ObjectName("Person", "/m/01g317")
    assert names[COW].name == "Cattle"
    assert names[CUP] == ObjectName("Coffee cup", "/m/02p5f1q")
    assert names[79] == ObjectName("Toothbrush", "/m/012xff")


def test_objects_and_labels_call_a_thing_by_the_same_mid():
    tables = files("tapetum.detectors").joinpath("tables")
    words = json.loads(tables.joinpath("imagenet1k.json").read_text(encoding="utf-8"))
    of_labels = {
        word["name"].casefold(): word["mid"]
        for word in words["leaves"] + words["ancestors"]
        if word["mid"]
    }
    names = read_names(tables.joinpath("coco_objects.csv"))
    of_objects = {name.name.casefold(): name.mid for name in names}
    shared = of_labels.keys() & of_objects.keys()
    assert len(shared) > 30
    assert {name: of_labels[name] for name in shared} == {name: of_objects[name] for name in shared}


def test_a_probability_is_a_rising_function_of_the_score(calibration):
    scores = np.linspace(0, 1, 1001, dtype=np.float32)
    chances = calibration.probability(scores)
    assert chances.dtype == np.float64
    assert (np.diff(chances) >= 0).all()
    assert chances[0] == pytest.approx(0, abs=1e-4)
    assert chances[-1] == pytest.approx(1, abs=1e-2)
    assert scores[np.searchsorted(chances, 0.5)] == pytest.approx(0.46, abs=0.01)


def test_the_neutral_calibration_changes_nothing():
    scores = np.array([0.001, 0.3, 0.5, 0.999])
    np.testing.assert_allclose(BetaCalibration(1, 1, 0).probability(scores), scores, rtol=1e-9)
    assert BetaCalibration(1, 1, 0).probability(np.array([-1.0, 2.0])) == pytest.approx(
        [0, 1], abs=1e-5
    )
    assert BetaCalibration(2, 1, 0).probability(np.zeros((0,))).shape == (0,)
