"""OBJECT_LOCALIZATION: names, probabilities, order, vertices."""

import json
from importlib.resources import files

import numpy as np
import pytest
from google.cloud import vision_v1
from hypothesis import given
from hypothesis import strategies as st

from tapetum.detectors.objects import CLASSES, Objects
from tapetum.features import Ask
from tapetum.features.calibration import BetaCalibration
from tapetum.features.objects import (
    CALIBRATION,
    LOWEST_SCORE,
    ObjectLocalization,
    ObjectName,
    ObjectVocabulary,
)
from tapetum.signals import Signals

PERSON, DOG, COW, CUP = 0, 16, 19, 41
BOX = (64.0, 48.0, 320.0, 240.0)


def objects(*rows: tuple[int, float, tuple[float, ...]]) -> Objects:
    """A signal of (class, raw score, box)."""
    return Objects(
        boxes=np.array([row[2] for row in rows], dtype=np.float32).reshape(-1, 4),
        scores=np.array([row[1] for row in rows], dtype=np.float32),
        classes=np.array([row[0] for row in rows], dtype=np.int64),
    )


def described(signal: Objects, max_results: int = 10, width: int = 640, height: int = 480):
    response = vision_v1.AnnotateImageResponse.pb(vision_v1.AnnotateImageResponse())
    ask = Ask(max_results, width, height, vision_v1.ImageContext.pb(vision_v1.ImageContext()))
    ObjectLocalization().describe(ask, Signals([signal]), response)
    return response


def test_it_needs_objects_only():
    assert ObjectLocalization().type == vision_v1.Feature.Type.OBJECT_LOCALIZATION
    assert ObjectLocalization().needs == (Objects,)


def test_name_mid_score_and_box():
    (dog,) = described(objects((DOG, 0.9, BOX))).localized_object_annotations
    assert (dog.name, dog.mid) == ("Dog", "/m/0bt9lr")
    assert dog.score == pytest.approx(float(CALIBRATION.probability(np.float32(0.9))), abs=1e-6)
    vertices = [(v.x, v.y) for v in dog.bounding_poly.normalized_vertices]
    np.testing.assert_allclose(
        vertices, [(0.1, 0.1), (0.5, 0.1), (0.5, 0.5), (0.1, 0.5)], rtol=1e-6
    )
    assert not dog.bounding_poly.vertices
    assert not dog.language_code


def test_vertices_stay_inside_the_picture():
    signal = objects((DOG, 0.9, (-3.0, -0.001, 640.5, 481.0)))
    (dog,) = described(signal).localized_object_annotations
    vertices = [(v.x, v.y) for v in dog.bounding_poly.normalized_vertices]
    assert vertices == [(0, 0), (1, 0), (1, 1), (0, 1)]


def test_by_falling_score_then_name_then_box_and_several_of_one_name():
    right, left = (400.0, 0.0, 500.0, 90.0), (10.0, 0.0, 90.0, 90.0)
    signal = objects((PERSON, 0.6, right), (DOG, 0.6, right), (PERSON, 0.6, left), (COW, 0.95, BOX))
    found = described(signal).localized_object_annotations
    assert [one.name for one in found] == ["Cattle", "Dog", "Person", "Person"]
    lefts = [one.bounding_poly.normalized_vertices[0].x for one in found]
    assert lefts == pytest.approx([0.1, 0.625, 10 / 640, 0.625])


@pytest.mark.parametrize(("limit", "count"), [(1, 1), (3, 3), (50, 20)])
def test_at_most_max_results_and_the_best_of_them(limit, count):
    rows = [(PERSON, 0.99 - k / 100, (k, 0.0, k + 5.0, 9.0)) for k in range(20)]
    found = described(objects(*rows[::-1]), limit).localized_object_annotations
    assert len(found) == count
    assert found[0].bounding_poly.normalized_vertices[0].x == 0


def test_only_what_is_likely_and_nothing_when_nothing_is():
    assert not described(objects()).ListFields()
    assert not described(objects((DOG, 0.4, BOX), (PERSON, 0.02, BOX))).ListFields()
    some = described(objects((DOG, 0.5, BOX), (PERSON, 0.4, BOX))).localized_object_annotations
    assert [one.name for one in some] == ["Dog"]


@given(
    st.lists(
        st.tuples(st.integers(0, 79), st.floats(0.03125, 1, width=32), st.integers(0, 300)),
        max_size=40,
    )
)
def test_any_signal_makes_scores_of_half_to_one_in_order(rows):
    signal = objects(*((kind, score, (x, x, x + 9.0, x + 20.0)) for kind, score, x in rows))
    found = described(signal, max_results=100).localized_object_annotations
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    assert all(LOWEST_SCORE <= score <= 1 for score in scores)
    chances = CALIBRATION.probability(signal.scores)
    assert len(scores) == int((chances >= LOWEST_SCORE).sum())


def test_the_table_names_every_class_once():
    names = ObjectVocabulary.packaged().names
    assert len(names) == CLASSES
    assert len({name.name for name in names}) == len({name.mid for name in names}) == CLASSES
    assert all(name.mid.startswith("/m/") and name.name[0].isupper() for name in names)
    assert names[PERSON] == ObjectName("Person", "/m/01g317")
    assert names[COW].name == "Cattle"
    assert names[CUP] == ObjectName("Coffee cup", "/m/02p5f1q")
    assert names[79] == ObjectName("Toothbrush", "/m/012xff")


def test_objects_and_labels_call_a_thing_by_the_same_mid():
    table = files("tapetum.features").joinpath("tables/imagenet1k.json")
    words = json.loads(table.read_text(encoding="utf-8"))
    of_labels = {
        word["name"].casefold(): word["mid"]
        for word in words["leaves"] + words["ancestors"]
        if word["mid"]
    }
    of_objects = {name.name.casefold(): name.mid for name in ObjectVocabulary.packaged().names}
    shared = of_labels.keys() & of_objects.keys()
    assert len(shared) > 30
    assert {name: of_labels[name] for name in shared} == {name: of_objects[name] for name in shared}


def test_other_features_may_ask_for_less_likely_objects():
    vocabulary = ObjectVocabulary.packaged()
    signal = objects((DOG, 0.9, BOX), (PERSON, 0.3, BOX))
    assert [one.name for one in vocabulary.found(signal)] == ["Dog"]
    dog, person = vocabulary.found(signal, lowest=0.1)
    assert (dog.name, person.name) == ("Dog", "Person")
    assert dog.box == BOX
    assert 0.1 < person.score < 0.5 < dog.score


def test_a_probability_is_a_rising_function_of_the_score():
    scores = np.linspace(0, 1, 1001, dtype=np.float32)
    chances = CALIBRATION.probability(scores)
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
