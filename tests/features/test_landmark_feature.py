"""LANDMARK_DETECTION: from a gallery of made pictures to the message."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from google.cloud import vision_v1

from tapetum.detectors.classes import ImageClasses
from tapetum.features import Ask
from tapetum.features.landmark import LandmarkDetection
from tapetum.gallery import Calibration, Entry, Gallery, Kind, Near, Reference, unit
from tapetum.gallery.backends.memory import MemoryGalleries
from tapetum.gallery.matching.local_features import packed
from tapetum.gallery.shipped import landmarks as shipped
from tapetum.imaging.decoding import decode
from tapetum.imaging.picture import Picture
from tapetum.models.manifest import Manifest
from tapetum.models.packs import chosen, embedding_model, maker_of
from tapetum.models.session import Sessions
from tapetum.recognisers import signals_of
from tapetum.recognisers.landmarks import LandmarkRecogniser, candidates, probability
from tapetum.signals import Signals
from tapetum.signals.context import RequestContext
from tapetum.signals.embedding import Embedding
from tapetum.signals.keypoints import Keypoints
from tapetum.signals.landmarks import Landmark, Landmarks

COFFEE = Entry("coffee", "Coffee House", mid="Q1", lat=1.5, lng=-2.25)
HORSES = Entry("horses", "Horse Fountain")
PLACES = Gallery("places", Kind.LANDMARK)


@pytest.fixture(scope="module")
def look():
    sessions = Sessions(Manifest.packaged())
    makers = [maker_of(kind, sessions) for kind in (ImageClasses, Embedding, Keypoints)]

    def looked(pixels: np.ndarray) -> tuple[Picture, Signals]:
        height, width = pixels.shape[:2]
        picture = Picture(np.asarray(pixels, dtype=np.uint8), width, height)
        return picture, signals_of(picture, makers)

    return looked


@pytest.fixture(scope="module")
def pixels(photos):
    return {
        name: decode((photos / f"{name}.jpg").read_bytes(), lambda w, h: 640).pixels
        for name in ("coffee", "horses", "cat")
    }


def reference(look, pixels, name="one") -> Reference:
    picture, signals = look(pixels)
    embedding = unit(signals.of(Embedding).vector)
    blob = packed(signals.of(Keypoints).features)
    return Reference(
        name,
        name,
        picture.width,
        picture.height,
        embedding,
        bytes(32),
        0,
        blob,
        model=shipped.MODEL.name,
    )


@pytest.fixture(scope="module")
def galleries(look, pixels):
    made = MemoryGalleries(shipped.MODEL)
    made.create(PLACES)
    made.put(PLACES, [(COFFEE, [reference(look, pixels["coffee"])])])
    private = Gallery("private", Kind.LANDMARK, "theirs")
    made.create(private)
    made.put(private, [(HORSES, [reference(look, pixels["horses"])])])
    return made


def seen_from_the_side(pixels):
    height, width = pixels.shape[:2]
    before = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    after = before * 0.6 + np.float32([[90, 40], [60, 60], [50, 30], [80, 50]])
    warp = cv2.getPerspectiveTransform(before, after)
    return cv2.warpPerspective(pixels, warp, (width, height), borderValue=(120, 130, 140)), after


def answered(recogniser, look, pixels, project="") -> Landmarks:
    picture, signals = look(pixels)
    return recogniser.recognise(picture, signals, RequestContext(project=project))


def described(found, max_results=10):
    response = vision_v1.AnnotateImageResponse.pb(vision_v1.AnnotateImageResponse())
    ask = Ask(max_results, 640, 480, None)
    LandmarkDetection().describe(ask, Signals([Landmarks(tuple(found))]), response)
    return list(response.landmark_annotations)


def test_a_place_is_recognised_from_another_side_and_outlined(galleries, look, pixels):
    view, corners = seen_from_the_side(pixels["coffee"])
    [found] = answered(LandmarkRecogniser(galleries), look, view).landmarks
    assert (found.name, found.mid, found.location) == ("Coffee House", "Q1", (1.5, -2.25))
    assert found.inliers > 60
    outline = np.array(found.outline)
    assert cv2.contourArea(outline.astype(np.float32)) > 0.3 * cv2.contourArea(corners)
    assert (outline.min(axis=0) > corners.min(axis=0) - 8).all()
    assert (outline.max(axis=0) < corners.max(axis=0) + 8).all()


def test_other_pictures_are_no_landmark(galleries, look, pixels):
    assert answered(LandmarkRecogniser(galleries), look, pixels["cat"]).landmarks == ()
    blank = np.full((300, 400, 3), 128, dtype=np.uint8)
    assert answered(LandmarkRecogniser(galleries), look, blank).landmarks == ()


def test_a_project_sees_its_own_galleries_and_everyones(galleries, look, pixels):
    recogniser = LandmarkRecogniser(galleries)
    assert answered(recogniser, look, pixels["horses"]).landmarks == ()
    assert answered(recogniser, look, pixels["horses"], "other").landmarks == ()
    [found] = answered(recogniser, look, pixels["horses"], "theirs").landmarks
    assert found.name == "Horse Fountain"
    assert (
        answered(recogniser, look, pixels["coffee"], "theirs").landmarks[0].name == "Coffee House"
    )


def test_an_empty_gallery_and_a_blank_reference_say_nothing(look, pixels):
    made = MemoryGalleries(shipped.MODEL)
    assert answered(LandmarkRecogniser(made), look, pixels["coffee"]).landmarks == ()
    made.create(PLACES)
    assert answered(LandmarkRecogniser(made), look, pixels["coffee"]).landmarks == ()
    blank = reference(look, np.full((200, 200, 3), 200, dtype=np.uint8))
    made.put(PLACES, [(Entry("nothing"), [blank])])
    assert answered(LandmarkRecogniser(made), look, pixels["coffee"]).landmarks == ()


def test_references_vote_for_their_entry():
    near = [
        Near(k, entry, similarity, Calibration())
        for k, (entry, similarity) in enumerate(
            [
                ("lone", 0.9),
                ("many", 0.8),
                ("many", 0.79),
                ("many", 0.78),
                ("many", 0.77),
                ("x", 0.5),
            ]
        )
    ]
    assert [one.reference for one in candidates(near)] == [1, 2, 3, 0, 5]
    assert len(candidates([Near(k, str(k), 0.5, Calibration()) for k in range(40)])) == 12


def test_the_message():
    outline = ((10.4, 20.6), (30.0, 20.0), (30.0, 50.0))
    found = [
        Landmark("Coffee House", "Q1", 0.9, outline, (1.5, -2.25)),
        Landmark("no-name", "", 0.6, outline),
    ]
    first, second = described(found)
    assert (first.mid, first.description) == ("Q1", "Coffee House")
    assert [(v.x, v.y) for v in first.bounding_poly.vertices] == [(10, 21), (30, 20), (30, 50)]
    assert first.locations[0].lat_lng.latitude == 1.5
    assert first.locations[0].lat_lng.longitude == -2.25
    assert (second.mid, second.description, len(second.locations)) == ("", "no-name", 0)
    assert 0.5 < second.score < first.score < 1
    assert len(described(found, max_results=1)) == 1
    assert described([]) == []


def test_the_score_grows_with_the_keypoints_that_agree():
    scores = [probability(n) for n in (5, 20, 30, 100, 1500)]
    assert scores == sorted(scores)
    assert scores[1] > 0.5
    assert scores[-1] < 1


def test_what_ships_was_looked_at_by_the_pack_that_ships():
    manifest = Manifest.packaged()
    assert embedding_model(chosen(manifest.packs)["Embedding"], manifest) == shipped.MODEL


def test_what_ships_is_whole_credited_and_found():
    galleries = shipped.load()
    entries = galleries.entries(shipped.GALLERY)
    assert len(entries) == 65
    for entry in entries:
        assert entry.name
        assert entry.licence in entry.credit
        assert entry.url.startswith("https://")
        assert -90 <= entry.lat <= 90
        assert -180 <= entry.lng <= 180
        assert not entry.mid or entry.mid[0] in "Q/"
        references = galleries.references(shipped.GALLERY, entry.key)
        for number, one in references:
            near = galleries.nearest(shipped.GALLERY, one.embedding, 1)
            assert near[0].reference == number
            assert len(one.features) > 20_000
    assert galleries.size(shipped.GALLERY).references == 72
