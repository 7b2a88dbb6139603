"""CROP_HINTS: what a crop keeps, its shape, and the parameters' errors."""

import math

import numpy as np
import pytest
from google.cloud import vision_v1
from hypothesis import given, settings
from hypothesis import strategies as st

from tapetum.detectors.saliency import SaliencyDetector
from tapetum.errors import InvalidImageParameter
from tapetum.features import Ask
from tapetum.features.crop_hints import CropHints, CropSearch
from tapetum.imaging.picture import Picture
from tapetum.signals import Signals
from tapetum.signals.captions import Captions
from tapetum.signals.faces import Faces
from tapetum.signals.objects import Objects
from tapetum.signals.saliency import Saliency

NO_TEXT = Captions(np.zeros((0, 4, 2), dtype=np.float32), 0.0)


def hints(importance, width, height, ratios=(), max_results=10):
    response = vision_v1.AnnotateImageResponse.pb(vision_v1.AnnotateImageResponse())
    context = vision_v1.ImageContext.pb(
        vision_v1.ImageContext(crop_hints_params={"aspect_ratios": list(ratios)})
    )
    signals = Signals([Saliency(importance), Faces(()), Objects(()), NO_TEXT])
    CropHints().describe(Ask(max_results, width, height, context), signals, response)
    return list(response.crop_hints_annotation.crop_hints)


def box(hint) -> tuple[int, int, int, int]:
    top_left, top_right, bottom_right, bottom_left = hint.bounding_poly.vertices
    assert (top_left.x, top_right.x) == (bottom_left.x, bottom_right.x)
    assert (top_left.y, bottom_left.y) == (top_right.y, bottom_right.y)
    return top_left.x, top_left.y, bottom_right.x, bottom_right.y


def uniform(height=12, width=16):
    return np.full((height, width), 1 / (height * width), dtype=np.float32)


def spot(height, width, y, x):
    importance = np.zeros((height, width), dtype=np.float32)
    importance[y, x] = 1
    return importance


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.15, 0.85),
    st.floats(0.15, 0.85),
    st.sampled_from([0.5, 0.8, 1.0, 1.33, 1.77, 3.0]),
    st.sampled_from([(600, 400), (400, 600), (500, 500)]),
)
def test_the_crop_keeps_a_bright_object(u, v, ratio, size):
    width, height = size
    x, y, radius = u * width, v * height, 24
    rows, columns = np.mgrid[:height, :width]
    pixels = np.full((height, width, 3), (70, 80, 70), dtype=np.uint8)
    pixels[np.hypot(rows - y, columns - x) <= radius] = (250, 220, 40)
    (saliency,) = SaliencyDetector().detect([Picture(pixels, width, height)])
    (hint,) = hints(saliency.importance, width, height, [ratio])
    x0, y0, x1, y1 = box(hint)
    assert x0 <= x - radius + 2
    assert x + radius - 2 <= x1
    assert y0 <= y - radius + 2
    assert y + radius - 2 <= y1
    assert hint.importance_fraction > 0.75
    assert hint.confidence >= 0.5


@given(
    st.integers(1, 3000),
    st.integers(1, 3000),
    st.floats(width=32, min_value=0, exclude_min=True, allow_infinity=False, allow_nan=False),
)
def test_any_ratio_gives_a_box_inside_as_large_as_can_be(width, height, ratio):
    (hint,) = hints(uniform(), width, height, [ratio])
    x0, y0, x1, y1 = box(hint)
    assert 0 <= x0 <= x1 < width
    assert 0 <= y0 <= y1 < height
    columns, rows = x1 - x0 + 1, y1 - y0 + 1
    assert columns == width or rows == height
    assert columns == pytest.approx(min(width, max(1, height * ratio)), abs=0.51)
    assert rows == pytest.approx(min(height, max(1, width / ratio)), abs=0.51)
    assert 0 <= hint.confidence <= 1
    assert 0 <= hint.importance_fraction <= 1


@pytest.mark.parametrize("ratio", [1e-6, 1e6, 1e-45, 3e38])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 5000), (5000, 1), (640, 480)])
def test_extreme_ratios_leave_at_least_one_pixel(ratio, width, height):
    (hint,) = hints(uniform(), width, height, [ratio])
    x0, y0, x1, y1 = box(hint)
    assert min(x1 - x0, y1 - y0) == 0
    assert x1 < width
    assert y1 < height


def test_the_pictures_own_ratio_is_the_whole_picture():
    (hint,) = hints(spot(12, 16, 3, 3), 640, 480, [640 / 480])
    assert box(hint) == (0, 0, 639, 479)
    assert hint.importance_fraction == pytest.approx(1)
    assert hint.confidence == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("column", "expected"), [(0, (0, 0, 99, 99)), (8, (120, 0, 219, 99)), (15, (220, 0, 319, 99))]
)
def test_the_box_is_centred_on_what_matters_where_there_is_room(column, expected):
    (hint,) = hints(spot(5, 16, 2, column), 320, 100, [1.0])
    assert box(hint) == expected


def test_a_flat_picture_is_cut_in_the_middle():
    (hint,) = hints(uniform(), 640, 480, [1.0])
    assert box(hint) == (80, 0, 559, 479)
    assert hint.importance_fraction == pytest.approx(0.75)
    assert hint.confidence == pytest.approx(0.5)


def test_a_face_larger_than_the_crop_does_not_move_it():
    density = np.full((10, 40), 1 / 400)
    density[:, 10:20] *= 9
    plain = CropSearch(density, 400, 100).of_ratio(1.0)
    assert CropSearch(density, 400, 100, [(150, 10, 290, 60)]).of_ratio(1.0) == plain
    assert CropSearch(density, 400, 100, [(90, 10, 130, 60)]).of_ratio(1.0) != plain


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 370), st.integers(0, 80), st.integers(5, 60)).map(
            lambda face: (face[0], face[1], min(400, face[0] + face[2]), 100)
        ),
        max_size=4,
    ),
    st.sampled_from([0.5, 1.0, 1.5, 3.0]),
)
def test_no_crop_cuts_a_face_where_another_position_cuts_none(faces, ratio):
    density = np.full((10, 40), 1 / 400)
    crop = CropSearch(density, 400, 100, faces).of_ratio(ratio)
    columns = crop.box[2] - crop.box[0] + 1

    def cuts(left):
        shares = [
            max(0, min(x1, left + columns) - max(x0, left)) / (x1 - x0)
            for x0, _, x1, _ in faces
            if x1 - x0 <= columns
        ]
        return sum(0.05 < share < 0.95 for share in shares)

    assert cuts(crop.box[0]) == min(cuts(left) for left in range(400 - columns + 1))


def test_one_hint_per_ratio_in_order_and_no_limit_by_max_results():
    ratios = [0.5, 2.0, 1.0]
    found = hints(uniform(), 600, 600, ratios, max_results=1)
    sizes = [(x1 - x0 + 1, y1 - y0 + 1) for x0, y0, x1, y1 in map(box, found)]
    assert sizes == [(300, 600), (600, 300), (600, 600)]


def test_further_ratios_than_sixteen_are_ignored_even_wrong_ones():
    assert len(hints(uniform(), 64, 48, [1.0] * 16 + [-1.0, math.nan])) == 16


@pytest.mark.parametrize("bad", [0.0, -0.0, -1.5, math.nan, math.inf, -math.inf])
def test_a_wrong_ratio_is_named(bad):
    with pytest.raises(InvalidImageParameter) as caught:
        hints(uniform(), 64, 48, [1.0, 2.0, bad])
    assert "imageContext.cropHintsParams.aspectRatios[2]" in caught.value.message


def test_a_wrong_ratio_leaves_the_response_untouched():
    response = vision_v1.AnnotateImageResponse.pb(vision_v1.AnnotateImageResponse())
    context = vision_v1.ImageContext.pb(
        vision_v1.ImageContext(crop_hints_params={"aspect_ratios": [1.0, -1.0]})
    )
    with pytest.raises(InvalidImageParameter):
        CropHints().describe(Ask(10, 64, 48, context), Signals([Saliency(uniform())]), response)
    assert response.ByteSize() == 0


def test_without_ratios_one_hint_around_what_matters():
    (hint,) = hints(spot(12, 16, 2, 12), 640, 480)
    x0, y0, x1, y1 = box(hint)
    assert (x1 - x0 + 1, y1 - y0 + 1) == (320, 240)
    assert x0 <= 12 * 40 < 13 * 40 - 1 <= x1
    assert y0 <= 2 * 40 < 3 * 40 - 1 <= y1
    (flat,) = hints(uniform(), 640, 480)
    assert box(flat) == (0, 0, 639, 479)


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 6))
def test_the_share_inside_is_the_sum_inside(seed, columns, rows):
    importance = np.random.default_rng(seed).random((6, 8)).astype(np.float32)
    importance /= importance.sum()
    crop = CropSearch(importance, 8, 6).of_size(columns, rows)
    x0, y0, x1, y1 = crop.box
    inside = importance[y0 : y1 + 1, x0 : x1 + 1].sum()
    assert crop.importance_fraction == pytest.approx(inside, rel=1e-4)
    best = max(
        importance[y : y + rows, x : x + columns].sum()
        for y in range(7 - rows)
        for x in range(9 - columns)
    )
    assert inside >= 0.989 * best
