"""LOGO_DETECTION: names, galleries, and the message."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from google.cloud import vision_v1

from tapetum.features import Ask
from tapetum.features.logo import LogoDetection
from tapetum.gallery import Entry, Gallery, Kind, Reference
from tapetum.gallery.backends.memory import MemoryGalleries
from tapetum.gallery.matching.local_features import packed
from tapetum.gallery.shipped.brands import Brand, Brands
from tapetum.imaging.picture import Picture
from tapetum.layout.page import layout
from tapetum.recognisers.logos import LogoRecogniser
from tapetum.signals import Signals
from tapetum.signals.context import RequestContext
from tapetum.signals.embedding import EmbeddingModel
from tapetum.signals.keypoints import GlyphKeypoints, Keypoints, LocalFeatures
from tapetum.signals.logos import Logo, Logos
from tapetum.signals.page_layout import PageLayout
from tapetum.signals.text import Line, Symbol, TextLines, Word

MODEL = EmbeddingModel("m", 8)
OURS = Gallery("ours", Kind.LOGO)
BRANDS = Brands([Brand("Visa"), Brand("Target", (), True)])
PLACE = np.array([[0.8, 0.1, 300], [-0.1, 0.9, 200], [0, 0, 1]])


def features(seed: int, count=200, size=(300, 300)) -> LocalFeatures:
    random = np.random.default_rng(seed)
    descriptors = random.standard_normal((count, 64)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    points = (random.random((count, 2)) * size).astype(np.float32)
    return LocalFeatures(points, descriptors, size)


def reference(seed: int) -> Reference:
    nothing = np.zeros(MODEL.dimensions, dtype=np.float16)
    name = f"{seed}"
    return Reference(name, name, 300, 300, nothing, bytes(32), 0, packed(features(seed)))


def seen(*seeds: int, keep=60) -> LocalFeatures:
    """A picture of 900×900 with the logos ``seeds`` at `PLACE`, among other things."""
    others = features(99, 800, (900, 900))
    points, descriptors = [others.points], [others.descriptors]
    for seed in seeds:
        logo = features(seed)
        points.append(cv2.perspectiveTransform(logo.points[np.newaxis], PLACE)[0][:keep])
        descriptors.append(logo.descriptors[:keep])
    return LocalFeatures(np.concatenate(points), np.concatenate(descriptors), (900, 900))


def text(*words: str) -> TextLines:
    lines = []
    for k, word in enumerate(words):
        quad = ((10.0, 10 + 200.0 * k), (300.0, 10 + 200.0 * k), (300.0, 80 + 200.0 * k))
        quad = (*quad, (10.0, 80 + 200.0 * k))
        symbols = tuple(Symbol(c, quad, 0.9) for c in word)
        lines.append(Line(quad, (Word(quad, symbols, 0.9),), 0.9))
    return TextLines(tuple(lines))


@pytest.fixture
def galleries():
    made = MemoryGalleries(MODEL)
    made.create(OURS)
    entries = [Entry("acme", "Acme", mid="Q7"), Entry("target", "Target"), Entry("none")]
    made.put(OURS, [(entry, [reference(k)]) for k, entry in enumerate(entries)])
    return made


SYMBOLS = [("Visa", features(20)), ("Target", features(21))]
NOTHING_FLAT = GlyphKeypoints(seen(), seen())


def found(galleries, local=None, lines=None, project="", flat=None):
    picture = Picture(np.zeros((9, 9, 3), dtype=np.uint8), 900, 900)
    lines = lines or text()
    made = [lines, layout(lines.lines), Keypoints(local or seen()), flat or NOTHING_FLAT]
    signals = Signals(made)
    recogniser = LogoRecogniser(galleries, BRANDS, SYMBOLS)
    return recogniser.recognise(picture, signals, RequestContext(project=project)).logos


def test_a_reference_image_is_found_where_it_is(galleries):
    [logo] = found(galleries, seen(0))
    assert (logo.name, logo.mid) == ("Acme", "Q7")
    corners = np.float64([[[0, 0], [300, 0], [300, 300], [0, 300]]])
    assert np.abs(cv2.perspectiveTransform(corners, PLACE)[0] - logo.outline).max() < 8
    assert logo.probability > 0.9


def test_nothing_is_found_in_other_pictures(galleries):
    assert found(galleries) == ()
    assert found(galleries, seen(5)) == ()
    assert (
        found(galleries, LocalFeatures(*(np.zeros((0, n), np.float32) for n in (2, 64)), (9, 9)))
        == ()
    )


def test_names_need_no_gallery():
    [logo] = found(MemoryGalleries(MODEL), lines=text("VISA"))
    assert (logo.name, logo.mid, logo.probability) == ("Visa", "", pytest.approx(0.9))
    assert logo.outline[0] == (10, 10)


def test_an_ordinary_word_needs_its_symbol_too(galleries):
    assert found(galleries, lines=text("TARGET")) == ()
    both = found(galleries, seen(1), text("TARGET"))
    assert [logo.name for logo in both] == ["Target", "Target"]


@pytest.mark.parametrize("swapped", [False, True])
def test_a_symbol_is_found_light_on_dark_and_dark_on_light(galleries, swapped):
    mark = seen(21, keep=30)
    flat = GlyphKeypoints(seen(), mark) if swapped else GlyphKeypoints(mark, seen())
    [logo] = found(galleries, flat=flat)
    assert (logo.name, logo.mid) == ("Target", "")
    corners = np.float64([[[32, 32], [268, 32], [268, 268], [32, 268]]])  # without the margin
    assert np.abs(cv2.perspectiveTransform(corners, PLACE)[0] - logo.outline).max() < 8
    assert found(galleries, flat=GlyphKeypoints(seen(21, keep=4), seen())) == ()


def test_the_score_grows_with_the_keypoints_that_agree(galleries):
    flat = [
        found(galleries, flat=GlyphKeypoints(seen(21, keep=keep), seen()))[0].probability
        for keep in (9, 14, 40)
    ]
    assert 0.9 < flat[0] < flat[1] < flat[2] < 1
    own = [found(galleries, seen(0, keep=keep))[0].probability for keep in (16, 24, 60)]
    assert 0.5 < own[0] < own[1] < own[2] < 1


@pytest.mark.parametrize(("moved", "names"), [(0, ["Visa"]), (400, ["Visa", "Target"])])
def test_a_symbol_inside_a_surer_one_is_a_part_of_it(galleries, moved, names):
    sure, weak = features(20), features(21)
    there = np.array([[1, 0, moved], [0, 1, 0], [0, 0, 1]]) @ PLACE
    parts = [(sure, PLACE, 60), (weak, there, 20)]
    places = [
        cv2.perspectiveTransform(mark.points[np.newaxis], place)[0][:keep]
        for mark, place, keep in parts
    ]
    described = np.concatenate([mark.descriptors[:keep] for mark, _, keep in parts])
    flat = LocalFeatures(np.concatenate(places), described, (900, 900))
    found_names = [logo.name for logo in found(galleries, flat=GlyphKeypoints(flat, seen()))]
    assert found_names == names


@pytest.mark.parametrize(
    ("word", "confidence", "is_named"),
    [
        ("TARBELL", 0.95, False),
        ("TARGET", 0.95, True),
        ("TARGFT", 0.95, True),
        ("TARG", 0.95, True),
        ("O", 0.95, True),
        ("TARBELL", 0.6, True),
    ],
)
def test_letters_that_are_read_are_no_symbol_of_another_name(galleries, word, confidence, is_named):
    around = ((0.0, 0.0), (900.0, 0.0), (900.0, 900.0), (0.0, 900.0))
    symbols = tuple(Symbol(c, around, confidence) for c in word)
    lines = TextLines((Line(around, (Word(around, symbols, confidence),), confidence),))
    flat = GlyphKeypoints(seen(21, keep=30), seen())
    logos = found(galleries, lines=lines, flat=flat)
    assert ("Target" in [logo.name for logo in logos]) == is_named


def test_a_word_mark_that_is_a_symbol_too_is_one_logo(galleries):
    home = features(20)
    moved = cv2.perspectiveTransform(home.points[np.newaxis], np.diag([1.0, 0.25, 1.0]))[0]
    flat = LocalFeatures(moved.astype(np.float32), home.descriptors, (900, 900))
    both = found(galleries, lines=text("VISA"), flat=GlyphKeypoints(flat, seen()))
    assert [logo.name for logo in both] == ["Visa"]


def test_entries_added_later_are_found_too(galleries):
    recogniser = LogoRecogniser(galleries, BRANDS)
    picture = Picture(np.zeros((9, 9, 3), dtype=np.uint8), 900, 900)
    signals = Signals([text(), PageLayout(), Keypoints(seen(3)), NOTHING_FLAT])
    assert recogniser.recognise(picture, signals).logos == ()
    galleries.put(OURS, [(Entry("late", "Late"), [reference(3)])])
    assert [logo.name for logo in recogniser.recognise(picture, signals).logos] == ["Late"]


def test_a_damaged_row_does_not_silence_the_others(galleries, caplog):
    damaged = replace(reference(7), digest="x", features=b"not features")
    galleries.put(OURS, [(Entry("damaged"), [damaged])])
    assert [logo.name for logo in found(galleries, seen(0))] == ["Acme"]
    assert "add the image again" in caplog.text


def test_an_empty_gallery_and_a_blank_reference_say_nothing():
    galleries = MemoryGalleries(MODEL)
    galleries.create(OURS)
    assert found(galleries, seen(0)) == ()
    galleries.put(OURS, [(Entry("blank"), [replace(reference(0), features=b"")])])
    assert found(galleries, seen(0)) == ()
    galleries.put(OURS, [(Entry("acme"), [reference(0)])])
    assert [logo.name for logo in found(galleries, seen(0))] == ["acme"]


def test_a_project_sees_its_own_logos_and_everyones(galleries):
    private = Gallery("private", Kind.LOGO, "theirs")
    galleries.create(private)
    galleries.put(private, [(Entry("secret", "Secret"), [reference(4)])])
    assert found(galleries, seen(4)) == ()
    assert [logo.name for logo in found(galleries, seen(4), project="theirs")] == ["Secret"]


def test_the_message():
    outline = ((1.4, 2.6), (30.0, 2.0), (30.0, 50.0), (1.0, 50.0))
    logos = Logos((Logo("Acme", "Q7", 0.9, outline), Logo("Visa", "", 0.5, outline)))
    response = vision_v1.AnnotateImageResponse.pb(vision_v1.AnnotateImageResponse())
    LogoDetection().describe(Ask(1, 900, 900, None), Signals([logos]), response)
    [logo] = response.logo_annotations
    assert (logo.mid, logo.description, logo.score) == ("Q7", "Acme", pytest.approx(0.9))
    assert [(v.x, v.y) for v in logo.bounding_poly.vertices] == [(1, 3), (30, 2), (30, 50), (1, 50)]
