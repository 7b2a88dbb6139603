"""WEB_DETECTION: matches as the message says them."""

from __future__ import annotations

import numpy as np
import pytest
from google.cloud import vision_v1

from tapetum.features import Ask
from tapetum.features.web import WebDetection
from tapetum.signals import Signals
from tapetum.signals.captions import Captions
from tapetum.signals.labels import Labels, Word
from tapetum.signals.objects import Objects
from tapetum.signals.photo_statistics import PhotoStatistics
from tapetum.signals.quick_faces import QuickFaces
from tapetum.signals.web import Mention, WebEntity, WebImage, WebMatches


def image(name: str, *pages: str) -> WebImage:
    said = tuple(Mention(f"https://e.org/{page}", f"<b>{page}</b> & more") for page in pages)
    return WebImage(f"https://e.org/{name}.jpg", 0.9, 30, said)


MATCHES = WebMatches(
    full=(image("full", "one", "two"),),
    partial=(image("part", "two", "three"), image("other")),
    similar=(image("like", "four"),),
    entities=(WebEntity("Bent Pyramid", 4.5, "en", "Q123"), WebEntity("Dahshur", 1.5)),
)


def described(matches: WebMatches, most: int = 10, seen: str | None = None):
    feature = WebDetection()
    signals = Signals(
        [
            matches,
            Labels((Word(seen or "", None, 9.9, narrow=True),), np.array([float(bool(seen))])),
            Objects(()),
            Captions(np.zeros((0, 4, 2), dtype=np.float32), 0.0),
            QuickFaces(np.zeros((0, 4), np.float32), *2 * [np.zeros(0, np.float32)]),
            PhotoStatistics(0.1, 0.9),
        ]
    )
    response = vision_v1.AnnotateImageResponse.pb(vision_v1.AnnotateImageResponse())
    feature.describe(Ask(most, 640, 480, None), signals, response)
    return response


def urls(found) -> list[str]:
    return [one.url.removeprefix("https://e.org/") for one in found]


def test_every_list_is_filled():
    web = described(MATCHES).web_detection
    assert urls(web.full_matching_images) == ["full.jpg"]
    assert urls(web.partial_matching_images) == ["part.jpg", "other.jpg"]
    assert urls(web.visually_similar_images) == ["like.jpg"]
    assert [(e.entity_id, e.description, e.score) for e in web.web_entities] == [
        ("Q123", "Bent Pyramid", 4.5),
        ("", "Dahshur", 1.5),
    ]
    (guess,) = web.best_guess_labels
    assert (guess.label, guess.language_code) == ("bent pyramid", "en")


def test_pages_name_the_images_they_show_and_escape_their_titles():
    pages = described(MATCHES).web_detection.pages_with_matching_images
    assert urls(pages) == ["one", "two", "three"]
    assert [urls(page.full_matching_images) for page in pages] == [["full.jpg"], ["full.jpg"], []]
    assert [urls(page.partial_matching_images) for page in pages] == [
        [],
        ["part.jpg"],
        ["part.jpg"],
    ]
    assert pages[0].page_title == "&lt;b&gt;one&lt;/b&gt; &amp; more"


@pytest.mark.parametrize("most", [1, 2])
def test_at_most_max_results_in_each_list(most):
    web = described(MATCHES, most).web_detection
    assert len(web.partial_matching_images) == most
    assert len(web.web_entities) == most
    assert len(web.pages_with_matching_images) == most


def test_without_matches_the_best_guess_is_the_best_label():
    web = described(WebMatches(), seen="Tabby cat").web_detection
    assert [(guess.label, guess.language_code) for guess in web.best_guess_labels] == [
        ("tabby cat", "en")
    ]
    assert not web.web_entities
    assert not web.full_matching_images
    assert not web.partial_matching_images
    assert not web.pages_with_matching_images
    assert not web.visually_similar_images


def test_nothing_known_says_nothing():
    assert not described(WebMatches()).HasField("web_detection")
