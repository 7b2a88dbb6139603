"""Web matches on photographs: copies, parts and nothing else."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tapetum.gallery import ENTITY_PREFIX, Entry, Gallery, Kind
from tapetum.gallery.backends.memory import MemoryGalleries
from tapetum.gallery.matching.pdq import pdq
from tapetum.gallery.shipped.landmarks import MODEL
from tapetum.imaging.picture import Picture
from tapetum.models.manifest import Manifest
from tapetum.models.packs import maker_of
from tapetum.models.session import Sessions
from tapetum.recognisers.references import ReferenceMaker
from tapetum.recognisers.web import WebMatcher
from tapetum.signals import Signals
from tapetum.signals.context import RequestContext
from tapetum.signals.embedding import Embedding
from tapetum.signals.keypoints import Keypoints
from tapetum.signals.web import Mention, WebMatches

CRAWL = Gallery("crawl", Kind.WEB, "mine")
MINE = RequestContext(project="mine")
SHOWN = {"colosseum": "Colosseum in Rome", "brandenburg-gate": "Brandenburg Gate", "cat": "A cat",
         "rocket": "Rocket on its pad"}  # fmt: skip


def url(name: str) -> str:
    return f"https://e.org/{name}.jpg"


@pytest.fixture(scope="module")
def sessions() -> Sessions:
    return Sessions(Manifest.packaged())


def lookers(sessions: Sessions) -> tuple:
    """What makes embeddings and keypoints."""
    return maker_of(Embedding, sessions), maker_of(Keypoints, sessions)


@pytest.fixture(scope="module")
def galleries(sessions, photos):
    maker = ReferenceMaker(*lookers(sessions))
    found = MemoryGalleries(MODEL)
    found.create(CRAWL)
    for name, title in SHOWN.items():
        content = (photos / f"{name}.jpg").read_bytes()
        said = Mention(f"https://e.org/{name}.html", f"{title} - Travel notes", language="en")
        reference = maker.make(content, name, f"{name}.jpg", Kind.WEB)
        found.put(CRAWL, [(Entry(url(name), url=url(name), mentions=(said,)), [reference])])
    word = Entry(f"{ENTITY_PREFIX}brandenburg gate", "Brandenburg Gate", "Q82425")
    found.put(CRAWL, [(word, [])])
    return found


@pytest.fixture(scope="module")
def matches(sessions, galleries):
    embedder, keypoints = lookers(sessions)
    matcher = WebMatcher(galleries, embedder, keypoints)

    def match(image: Image.Image, project: str = "mine") -> WebMatches:
        pixels = np.array(image.convert("RGB"))
        picture = Picture(pixels, image.width, image.height)
        signals = Signals(embedder.embed([picture]))
        return matcher.recognise(picture, signals, RequestContext(project=project))

    return match


def opened(photos, name: str) -> Image.Image:
    return Image.open(photos / f"{name}.jpg").convert("RGB")


def urls(images) -> list[str]:
    return [image.url for image in images]


def test_a_smaller_copy_is_full(matches, photos):
    image = opened(photos, "colosseum")
    file = io.BytesIO()
    image.resize((image.width // 2, image.height // 2)).save(file, "JPEG", quality=50)
    found = matches(Image.open(file))
    assert urls(found.full) == [url("colosseum")]
    assert not found.partial
    assert url("colosseum") not in urls(found.similar)
    assert found.full[0].mentions[0].title == "Colosseum in Rome - Travel notes"


def test_a_symmetric_picture_is_a_full_copy_of_itself(sessions, photos):
    half = np.array(opened(photos, "colosseum").resize((300, 400)))
    whole = np.hstack((half, half[:, ::-1]))
    file = io.BytesIO()
    Image.fromarray(whole).save(file, "PNG")
    galleries = MemoryGalleries(MODEL)
    galleries.create(CRAWL)
    reference = ReferenceMaker(*lookers(sessions)).make(file.getvalue(), "d", "x", Kind.WEB)
    galleries.put(CRAWL, [(Entry("x"), [reference])])
    embedder, keypoints = lookers(sessions)
    matcher = WebMatcher(galleries, embedder, keypoints)
    # Of the mirrored picture the hash is the same, or nearer.
    for pixels in (whole, np.ascontiguousarray(whole[:, ::-1])):
        picture = Picture(pixels, 600, 400)
        found = matcher.recognise(picture, Signals(embedder.embed([picture])), MINE)
        assert urls(found.full) == ["x"]
        assert not found.partial


def test_copies_of_a_picture_with_little_in_it_are_full_its_parts_are_not(sessions, photos):
    hazy = opened(photos, "eiffel-tower").point(lambda level: round(level * 0.25 + 180))
    assert not pdq(np.array(hazy)).says_something
    file = io.BytesIO()
    hazy.save(file, "PNG")
    galleries = MemoryGalleries(MODEL)
    galleries.create(CRAWL)
    reference = ReferenceMaker(*lookers(sessions)).make(file.getvalue(), "d", "x", Kind.WEB)
    galleries.put(CRAWL, [(Entry("x"), [reference])])
    embedder, keypoints = lookers(sessions)
    matcher = WebMatcher(galleries, embedder, keypoints)
    wide, high = hazy.size
    captioned = hazy.copy()
    captioned.paste("yellow", (0, high * 3 // 4, wide, high))
    for image, is_full in (
        (hazy.filter(ImageFilter.GaussianBlur(3)), True),
        (captioned, False),
    ):
        picture = Picture(np.array(image), image.width, image.height)
        found = matcher.recognise(picture, Signals(embedder.embed([picture])), MINE)
        assert urls(found.full if is_full else found.partial) == ["x"]
        assert not (found.partial if is_full else found.full)


def test_parts_are_partial(matches, photos):
    image = opened(photos, "brandenburg-gate")
    wide, high = image.size
    crop = image.crop((wide // 5, high // 5, wide * 4 // 5, high * 4 // 5))
    bordered = Image.new("RGB", (wide + 160, high + 160), "black")
    bordered.paste(image, (80, 80))
    captioned = image.copy()
    captioned.paste("yellow", (0, high * 2 // 3, wide, high))
    for part in (crop, bordered, captioned, image.rotate(8)):
        found = matches(part)
        assert not found.full
        assert urls(found.partial) == [url("brandenburg-gate")]
        assert found.partial[0].inliers >= 16


def test_mirrored_copies_are_partial_whole_or_cropped(matches, photos):
    mirrored = opened(photos, "colosseum").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    wide, high = mirrored.size
    for picture in (mirrored, mirrored.crop((0, 0, wide * 2 // 3, high * 2 // 3))):
        found = matches(picture)
        assert not found.full
        assert urls(found.partial) == [url("colosseum")]


def test_a_collage_shows_both_its_parts(matches, photos):
    ground = opened(photos, "brandenburg-gate").resize((900, 600))
    ground.paste(opened(photos, "colosseum").resize((400, 267)), (40, 300))
    found = matches(ground)
    assert not found.full
    assert set(urls(found.partial)) == {url("colosseum"), url("brandenburg-gate")}


@pytest.mark.parametrize("name", ["coffee", "horses", "eiffel-tower", "summer-festival", "dog"])
def test_other_pictures_match_nothing(matches, photos, name):
    found = matches(opened(photos, name))
    assert not found.full
    assert not found.partial


@pytest.mark.parametrize("size", [(1, 1), (5, 900), (300, 300)])
def test_blank_and_tiny_pictures_match_nothing(matches, size):
    assert matches(Image.new("RGB", size, "teal")) == WebMatches()


def test_a_blank_reference_image_matches_nothing(sessions):
    teal = Image.new("RGB", (300, 300), "teal")
    file = io.BytesIO()
    teal.save(file, "PNG")
    galleries = MemoryGalleries(MODEL)
    galleries.create(CRAWL)
    reference = ReferenceMaker(*lookers(sessions)).make(file.getvalue(), "d", "x", Kind.WEB)
    galleries.put(CRAWL, [(Entry("x"), [reference])])
    embedder, keypoints = lookers(sessions)
    matcher = WebMatcher(galleries, embedder, keypoints)
    picture = Picture(np.array(teal), 300, 300)
    assert matcher.recognise(picture, Signals(embedder.embed([picture])), MINE) == WebMatches()


def test_pages_say_what_it_is_and_tables_give_ids(matches, photos):
    first = matches(opened(photos, "brandenburg-gate")).entities[0]
    assert (first.description, first.mid, first.language) == ("Brandenburg Gate", "Q82425", "en")
    assert first.score > 0
    rocket = matches(opened(photos, "rocket")).entities
    assert "Travel notes" not in [entity.description for entity in rocket]  # on every page


def test_another_project_sees_nothing(matches, photos):
    assert matches(opened(photos, "colosseum"), project="other") == WebMatches()


def test_without_web_images_no_network_runs(photos):
    sessions = Sessions(Manifest.packaged())
    empty = MemoryGalleries(MODEL)
    empty.create(CRAWL)
    matcher = WebMatcher(empty, *lookers(sessions))
    picture = Picture(np.array(opened(photos, "cat")), 600, 400)
    embedding = Embedding(MODEL, np.ones(1280, np.float32))
    assert matcher.recognise(picture, Signals([embedding]), MINE) == WebMatches()
    assert sessions.runs() == {}


def test_local_features_of_another_version_are_passed_over(sessions, galleries, photos, caplog):
    broken = MemoryGalleries(MODEL)
    broken.create(CRAWL)
    for entry in galleries.entries(CRAWL):
        held = [
            replace(reference, features=b"\x63old", pdq_quality=0)
            for _, reference in galleries.references(CRAWL, entry.key)
        ]
        broken.put(CRAWL, [(entry, held)])
    embedder, keypoints = lookers(sessions)
    matcher = WebMatcher(broken, embedder, keypoints)
    pixels = np.array(opened(photos, "cat"))
    picture = Picture(pixels, pixels.shape[1], pixels.shape[0])
    found = matcher.recognise(picture, Signals(embedder.embed([picture])), MINE)
    assert (found.full, found.partial) == ((), ())
    assert urls(found.similar) == [url("cat")]
    assert "add the image again" in caplog.text
