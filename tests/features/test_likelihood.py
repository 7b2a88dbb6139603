"""The Likelihood scale."""

import math

import pytest
from google.cloud import vision_v1
from hypothesis import given
from hypothesis import strategies as st

from tapetum.features.likelihood import (
    LIKELY,
    POSSIBLE,
    UNLIKELY,
    VERY_LIKELY,
    VERY_UNLIKELY,
    likelihood,
)

RISING, FALLING = (0.1, 0.2, 0.5, 0.9), (60.0, 45.0, 35.0, 25.0)


def test_the_numbers_are_the_services():
    names = vision_v1.Likelihood
    assert (VERY_UNLIKELY, UNLIKELY, POSSIBLE) == (
        names.VERY_UNLIKELY, names.UNLIKELY, names.POSSIBLE,
    )  # fmt: skip
    assert (LIKELY, VERY_LIKELY) == (names.LIKELY, names.VERY_LIKELY)


@pytest.mark.parametrize(
    ("value", "number"),
    [(-1, 1), (0.09, 1), (0.1, 2), (0.3, 3), (0.5, 4), (0.89, 4), (0.9, 5), (math.inf, 5)],
)
def test_rising_cuts(value, number):
    assert likelihood(value, RISING) == number


@pytest.mark.parametrize(
    ("value", "number"), [(200, 1), (60.1, 1), (60, 2), (44, 3), (35, 4), (25, 5), (0, 5)]
)
def test_falling_cuts(value, number):
    assert likelihood(value, FALLING) == number


def test_what_was_not_measured_is_very_unlikely():
    assert likelihood(math.nan, RISING) == likelihood(math.nan, FALLING) == VERY_UNLIKELY


@pytest.mark.parametrize("cuts", [(0.1, 0.3, 0.2, 0.4), (1, 1, 1, 1), (0.1, 0.2, 0.2, 0.4)])
def test_cuts_must_rise_or_fall(cuts):
    with pytest.raises(ValueError, match="rise or fall"):
        likelihood(0.5, cuts)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_never_unknown_and_monotone(one, other):
    low, high = sorted((one, other))
    assert 1 <= likelihood(low, RISING) <= likelihood(high, RISING) <= 5
    assert 5 >= likelihood(low, FALLING) >= likelihood(high, FALLING) >= 1
