"""Geometry of quadrilaterals."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapetum.signals.quads import (
    area,
    box_around,
    centre,
    height_of,
    quad_of,
    shared,
    weighted_median,
)

numbers = st.integers(-1000, 1000).map(float)
boxes = st.tuples(numbers, numbers, numbers, numbers).map(
    lambda ends: (*map(min, ends[:2], ends[2:]), *map(max, ends[:2], ends[2:]))
)
weighed = st.lists(st.tuples(numbers, st.integers(1, 50).map(float)), min_size=1, max_size=30)


@given(boxes)
def test_a_box_is_around_its_own_corners(box):
    assert box_around(quad_of(box)) == box
    assert area(shared(box, box)) == area(box)
    assert height_of(quad_of(box)) == box[3] - box[1]
    assert centre(quad_of(box)) == ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)


@given(boxes, boxes)
def test_what_two_boxes_share_is_in_both(box, other):
    both = shared(box, other)
    assert both == shared(other, box)
    assert area(both) <= min(area(box), area(other))
    is_apart = box[2] <= other[0] or other[2] <= box[0] or box[3] <= other[1] or other[3] <= box[1]
    assert not (is_apart and area(both))


def test_the_height_of_a_slanted_quad_is_that_of_its_first_side():
    assert height_of(((0, 0), (8, 6), (5, 10), (-3, 4))) == math.hypot(3, 4)


@given(weighed)
def test_half_of_the_weight_lies_on_either_side_of_the_median(pairs):
    values, weights = zip(*pairs, strict=True)
    middle = weighted_median(values, weights)
    below = sum(weight for value, weight in pairs if value < middle)
    above = sum(weight for value, weight in pairs if value > middle)
    assert middle in values
    assert below < sum(weights) / 2 or below == 0
    assert above <= sum(weights) / 2


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_the_order_of_the_values_is_of_no_account(order):
    values, weights = (1.0, 2.0, 2.0, 9.0), (1.0, 0.5, 3.0, 4.0)
    assert weighted_median([values[i] for i in order], [weights[i] for i in order]) == 2.0
