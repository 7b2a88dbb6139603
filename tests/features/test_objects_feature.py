"""OBJECT_LOCALIZATION: names, probabilities, order, vertices."""

import numpy as np
import pytest
from google.cloud import vision_v1
from hypothesis import given
from hypothesis import strategies as st

from tapetum.features import Ask
from tapetum.features.objects import LOWEST_SCORE, ObjectLocalization
from tapetum.signals import Signals
from tapetum.signals.objects import LocatedObject, Objects

DOG_MID = "/m/0bt9lr"
BOX = (64.0, 48.0, 320.0, 240.0)


def dog(probability: float = 0.9, box: tuple[float, ...] = BOX) -> LocatedObject:
    return LocatedObject("Dog", DOG_MID, probability, box)


def described(*things: LocatedObject, max_results: int = 10, width: int = 640, height: int = 480):
    response = vision_v1.AnnotateImageResponse.pb(vision_v1.AnnotateImageResponse())
    ask = Ask(max_results, width, height, vision_v1.ImageContext.pb(vision_v1.ImageContext()))
    ObjectLocalization().describe(ask, Signals([Objects(things)]), response)
    return response


def test_it_needs_objects_only():
    assert ObjectLocalization().type == vision_v1.Feature.Type.OBJECT_LOCALIZATION
    assert ObjectLocalization().needs == (Objects,)


def test_name_mid_score_and_box():
    (told,) = described(dog(0.9)).localized_object_annotations
    assert (told.name, told.mid) == ("Dog", DOG_MID)
    assert told.score == pytest.approx(0.9)
    vertices = [(v.x, v.y) for v in told.bounding_poly.normalized_vertices]
    np.testing.assert_allclose(
        vertices, [(0.1, 0.1), (0.5, 0.1), (0.5, 0.5), (0.1, 0.5)], rtol=1e-6
    )
    assert not told.bounding_poly.vertices
    assert not told.language_code


def test_vertices_stay_inside_the_picture():
    (told,) = described(dog(box=(-3.0, -0.001, 640.5, 481.0))).localized_object_annotations
    vertices = [(v.x, v.y) for v in told.bounding_poly.normalized_vertices]
    assert vertices == [(0, 0), (1, 0), (1, 1), (0, 1)]


def test_in_the_order_of_the_signal_and_several_of_one_name():
    right, left = (400.0, 0.0, 500.0, 90.0), (10.0, 0.0, 90.0, 90.0)
    things = [LocatedObject("Cat", "", 0.95, BOX), dog(0.8, right), dog(0.7, left)]
    told = described(*things).localized_object_annotations
    assert [thing.name for thing in told] == ["Cat", "Dog", "Dog"]
    lefts = [thing.bounding_poly.normalized_vertices[0].x for thing in told]
    assert lefts == pytest.approx([0.1, 0.625, 10 / 640])


@pytest.mark.parametrize(("limit", "count"), [(1, 1), (3, 3), (50, 20)])
def test_at_most_max_results_and_the_best_of_them(limit, count):
    things = [dog(0.99 - k / 100, (k, 0.0, k + 5.0, 9.0)) for k in range(20)]
    told = described(*things, max_results=limit).localized_object_annotations
    assert len(told) == count
    assert told[0].bounding_poly.normalized_vertices[0].x == 0


def test_only_what_is_likely_and_nothing_when_nothing_is():
    assert not described().ListFields()
    assert not described(dog(0.4), dog(0.02)).ListFields()
    assert len(described(dog(0.5), dog(0.4)).localized_object_annotations) == 1


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 300)), max_size=40))
def test_any_signal_makes_scores_of_half_to_one_in_order(rows):
    rows.sort(key=lambda row: -row[0])
    things = [dog(chance, (x, x, x + 9.0, x + 20.0)) for chance, x in rows]
    told = described(*things, max_results=100).localized_object_annotations
    scores = [thing.score for thing in told]
    assert scores == sorted(scores, reverse=True)
    assert all(LOWEST_SCORE <= score <= 1 for score in scores)
    assert len(scores) == sum(chance >= LOWEST_SCORE for chance, _ in rows)
