"""IMAGE_PROPERTIES, alone and beside CROP_HINTS."""

import numpy as np
import pytest
from google.cloud import vision_v1

from tapetum.features import Ask
from tapetum.features.crop_hints import CropHints
from tapetum.features.properties import ImageProperties
from tapetum.signals import Signals
from tapetum.signals.captions import Captions
from tapetum.signals.colours import Colour, DominantColours
from tapetum.signals.faces import Faces
from tapetum.signals.objects import Objects
from tapetum.signals.saliency import Saliency

COLOURS = DominantColours(
    tuple(Colour(250 - k, k, 7, 0.4 / (k + 1), 0.1) for k in range(10)), pixels=100
)


def described(*features, max_results=10, ratios=(1.0,)):
    response = vision_v1.AnnotateImageResponse.pb(vision_v1.AnnotateImageResponse())
    context = vision_v1.ImageContext.pb(
        vision_v1.ImageContext(crop_hints_params={"aspect_ratios": list(ratios)})
    )
    importance = np.full((6, 8), 1 / 48, dtype=np.float32)
    text = Captions(np.zeros((0, 4, 2), dtype=np.float32), 0.0)
    signals = Signals([COLOURS, Saliency(importance), Faces(()), Objects(()), text])
    for feature in features:
        feature.describe(Ask(max_results, 640, 480, context), signals, response)
    return response


def corners(hint) -> list[tuple[int, int]]:
    return [(vertex.x, vertex.y) for vertex in hint.bounding_poly.vertices]


def test_colours_are_in_0_to_255_without_alpha():
    colours = described(ImageProperties()).image_properties_annotation.dominant_colors.colors
    assert len(colours) == 10
    assert (colours[3].color.red, colours[3].color.green, colours[3].color.blue) == (247, 3, 7)
    assert not colours[3].color.HasField("alpha")
    assert colours[3].score == pytest.approx(0.1)
    assert colours[3].pixel_fraction == pytest.approx(0.1)


@pytest.mark.parametrize(("limit", "count"), [(1, 1), (4, 4), (10, 10), (50, 10)])
def test_at_most_max_results(limit, count):
    response = described(ImageProperties(), max_results=limit)
    assert len(response.image_properties_annotation.dominant_colors.colors) == count


def test_the_answer_carries_the_whole_image_as_crop_hint():
    (hint,) = described(ImageProperties()).crop_hints_annotation.crop_hints
    assert corners(hint) == [(0, 0), (639, 0), (639, 479), (0, 479)]
    assert np.float32(hint.confidence) == np.float32(0.79999995)
    assert hint.importance_fraction == 1


def test_crop_hints_win_in_either_order():
    alone = described(CropHints(), ratios=(1.0, 0.5)).crop_hints_annotation
    assert len(alone.crop_hints) == 2
    for order in ((CropHints(), ImageProperties()), (ImageProperties(), CropHints())):
        both = described(*order, ratios=(1.0, 0.5))
        assert both.crop_hints_annotation == alone
        assert len(both.image_properties_annotation.dominant_colors.colors) == 10


def test_it_needs_only_colours():
    assert ImageProperties().needs == (DominantColours,)
    assert ImageProperties().type == vision_v1.Feature.Type.IMAGE_PROPERTIES
