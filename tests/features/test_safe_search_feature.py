"""SAFE_SEARCH_DETECTION: five likelihoods, and memes that are drawn here."""

from pathlib import Path

import numpy as np
import pytest
from google.cloud import vision_v1
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from tapetum.detectors.adult import AdultScores
from tapetum.detectors.classes import ImageClasses
from tapetum.detectors.safety import adult, racy
from tapetum.features import Ask
from tapetum.features.safe_search import SafeSearchDetection
from tapetum.features.safe_search import told as likelihood_of
from tapetum.imaging.decoding import decode
from tapetum.imaging.picture import Picture
from tapetum.models import packs
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.recognisers import signals_of
from tapetum.signals import Signals
from tapetum.signals.captions import Captions
from tapetum.signals.photo_statistics import PhotoStatistics
from tapetum.signals.safety import Basis, Evidence, Safety

VERY_UNLIKELY, UNLIKELY, POSSIBLE, LIKELY, VERY_LIKELY = range(1, 6)
RIFLE, SYRINGE, BIKINI, TABBY, COMIC_BOOK, NOTHING = 764, 845, 445, 281, 917, 398
HARMLESS = AdultScores(0.01, 0.0, 0.0, 0.99, 0.005, 0.005)
SAFETY = packs.maker_of(Safety, Sessions(Manifest.packaged()))
PICTURE = Picture(np.zeros((1, 1, 3), dtype=np.uint8), 600, 400)
NO_CAPTIONS = Captions(np.zeros((0, 4, 2), dtype=np.float32), 0.0)
PHOTOGRAPH = PhotoStatistics(0.2, 0.7)
FIELDS = ("adult", "spoof", "medical", "violence", "racy")


@pytest.fixture(scope="module")
def detectors() -> list:
    sessions = Sessions(Manifest.packaged())
    kinds = (AdultScores, ImageClasses, *SafeSearchDetection.needs)
    return [packs.maker_of(kind, sessions) for kind in kinds]


def answered(signals: Signals, width: int = 600, height: int = 400):
    response = vision_v1.AnnotateImageResponse.pb(vision_v1.AnnotateImageResponse())
    SafeSearchDetection().describe(Ask(10, width, height, None), signals, response)
    return response.safe_search_annotation


def looked(detectors, picture: Picture):
    return answered(signals_of(picture, detectors), picture.width, picture.height)


def told(scores=HARMLESS, shown=NOTHING, captions=NO_CAPTIONS, statistics=PHOTOGRAPH):
    logits = np.zeros(1000, dtype=np.float32)
    logits[shown] = 20
    classes = ImageClasses(logits, np.zeros(1280, dtype=np.float32))
    safety = SAFETY.recognise(PICTURE, Signals([scores, classes]))
    return answered(Signals([safety, captions, statistics]))


def of_adult(unsafe: float, porn: float, sexy: float = 0.0) -> AdultScores:
    return AdultScores(unsafe, 0.0, 0.0, 1 - porn - sexy, porn, sexy)


def caption(x: float, y: float, wide: float, high: float, rise: float = 0.0) -> list:
    """A line around (x, y) as shares of 600×400."""
    x0, x1, y0, y1 = (x - wide / 2) * 600, (x + wide / 2) * 600, y - high / 2, y + high / 2
    return [[x0, y0 * 400], [x1, y0 * 400 + rise], [x1, y1 * 400 + rise], [x0, y1 * 400]]


def captions(*lines: list, share: float = 0.15) -> Captions:
    return Captions(np.array(lines, dtype=np.float32).reshape(-1, 4, 2), share)


TOP, BOTTOM = caption(0.5, 0.1, 0.7, 0.1), caption(0.5, 0.9, 0.7, 0.1)


def meme(path: Path, above: str, below: str, size: float = 0.11) -> Picture:
    """The photograph with white lettering, edged in black."""
    image = Image.open(path).convert("RGB")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=round(size * image.height))
    for text, y in ((above, 0.1), (below, 0.9)):
        place = (image.width / 2, y * image.height)
        edge = max(2, image.height // 120)
        draw.text(place, text, "white", font, "mm", stroke_width=edge, stroke_fill="black")
    return Picture(np.asarray(image), image.width, image.height)


@pytest.mark.parametrize("name", ["cat", "coffee", "horses", "eiffel-tower", "astronaut"])
def test_a_meme_is_a_spoof_and_its_photograph_is_not(detectors, photos: Path, name):
    path = photos / f"{name}.jpg"
    plain = looked(detectors, decode(path.read_bytes(), max))
    assert plain.spoof <= UNLIKELY
    assert looked(detectors, meme(path, "ONE DOES NOT", "SIMPLY TEST")).spoof >= LIKELY


@pytest.mark.parametrize("field", FIELDS)
def test_ordinary_photographs_are_unlikely_to_be_anything(detectors, photos: Path, field):
    for path in sorted(photos.glob("*.jpg")):
        answer = looked(detectors, decode(path.read_bytes(), max))
        assert getattr(answer, field) in (VERY_UNLIKELY, UNLIKELY), path.name


def test_a_page_is_no_spoof(detectors, photos: Path):
    page = decode((photos / "page.png").read_bytes(), max)
    assert looked(detectors, page).spoof == VERY_UNLIKELY


@pytest.mark.parametrize(
    ("lines", "statistics", "expected"),
    [
        (captions(TOP, BOTTOM), PHOTOGRAPH, VERY_LIKELY),
        (captions(caption(0.5, 0.1, 0.3, 0.1), BOTTOM), PHOTOGRAPH, LIKELY),
        (captions(TOP), PHOTOGRAPH, UNLIKELY),
        (captions(BOTTOM), PHOTOGRAPH, UNLIKELY),
        (captions(TOP, caption(0.5, 0.5, 0.7, 0.1)), PHOTOGRAPH, UNLIKELY),
        (captions(TOP, caption(0.2, 0.9, 0.3, 0.1)), PHOTOGRAPH, UNLIKELY),  # to one side
        (captions(TOP, caption(0.5, 0.9, 0.7, 0.03)), PHOTOGRAPH, UNLIKELY),  # small print
        (captions(TOP, caption(0.5, 0.85, 0.7, 0.1, rise=60)), PHOTOGRAPH, UNLIKELY),  # slanted
        (captions(TOP, caption(0.5, 0.9, 0.1, 0.1)), PHOTOGRAPH, UNLIKELY),  # one letter
        (captions(TOP, BOTTOM), PhotoStatistics(0.95, 0.6), VERY_UNLIKELY),  # a slide
        (captions(TOP, BOTTOM, share=0.7), PHOTOGRAPH, VERY_UNLIKELY),  # a poster
        (captions(*[TOP, BOTTOM] * 6), PHOTOGRAPH, VERY_UNLIKELY),  # a page
        (NO_CAPTIONS, PHOTOGRAPH, VERY_UNLIKELY),
    ],
)
def test_the_layout_of_a_meme(lines, statistics, expected):
    assert told(captions=lines, statistics=statistics).spoof == expected


@pytest.mark.parametrize(
    ("unsafe", "porn", "expected"),
    [
        (1.0, 0.0, VERY_UNLIKELY),
        (0.0, 1.0, VERY_UNLIKELY),
        (0.2, 0.2, UNLIKELY),
        (0.4, 0.4, POSSIBLE),
        (0.9, 0.4, LIKELY),
        (0.95, 0.95, VERY_LIKELY),
    ],
)
def test_adult_wants_both_networks(unsafe, porn, expected):
    answer = told(of_adult(unsafe, porn))
    assert answer.adult == expected
    assert answer.racy >= answer.adult


def test_racy_wants_sexy_and_believes_in_swimwear():
    scores = of_adult(0.01, 0.0, sexy=0.9)
    assert told(scores, BIKINI).racy == VERY_LIKELY
    assert told(scores, NOTHING).racy == POSSIBLE
    assert told(scores, TABBY).racy == VERY_UNLIKELY
    assert told(HARMLESS, BIKINI).racy == VERY_UNLIKELY


def test_violence_and_medical_are_possible_at_most():
    assert (told(shown=RIFLE).violence, told(shown=RIFLE).medical) == (POSSIBLE, VERY_UNLIKELY)
    assert (told(shown=SYRINGE).violence, told(shown=SYRINGE).medical) == (VERY_UNLIKELY, POSSIBLE)
    assert told(shown=COMIC_BOOK).spoof == UNLIKELY


def test_what_was_seen_of_a_scene_counts_in_full():
    assert likelihood_of(Evidence(0.95, Basis.SCENE)) == VERY_LIKELY
    assert likelihood_of(Evidence(0.95, Basis.THINGS)) == POSSIBLE


@given(st.tuples(*[st.floats(0, 1)] * 5), st.integers(0, 999))
def test_every_field_is_always_told(shares, shown):
    unsafe, porn, sexy, flat, share = shares
    scores = AdultScores(unsafe, 0.0, 0.0, 0.0, porn * (1 - sexy), sexy)
    answer = told(scores, shown, captions(TOP, BOTTOM, share=share), PhotoStatistics(flat, 0.5))
    assert all(VERY_UNLIKELY <= getattr(answer, field) <= VERY_LIKELY for field in FIELDS)
    assert max(answer.violence, answer.medical) <= POSSIBLE
    assert 0 <= adult(scores) <= 1
    assert adult(scores) <= racy(scores, 0.5, 0.5) <= 1


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (75, 5000)])
def test_odd_pictures_are_answered(detectors, size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    answer = looked(detectors, Picture(pixels, size[1], size[0]))
    assert all(getattr(answer, field) >= VERY_UNLIKELY for field in FIELDS)


def test_it_is_feature_six():
    assert SafeSearchDetection().type == vision_v1.Feature.Type.SAFE_SEARCH_DETECTION
    assert SafeSearchDetection().needs == (Safety, Captions, PhotoStatistics)
