"""Asking for every feature decodes each image once and runs each network as often as one does."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from tapetum import wiring
from tapetum.gallery.shipped import glyphs, landmarks
from tapetum.gallery.shipped.brands import Brands
from tapetum.layout import page
from tapetum.models import packs
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.pipeline.annotator import Annotator
from tapetum.stores.router import Stores
from tapetum.vision import messages

#: Networks that see a picture once. The others see each line of text or each face.
ONCE = {
    "efficientnet-lite2",
    "ssdlite-mobilenet-v2",
    "nsfwjs-mobilenet-v2",
    "open-nsfw",
    "xfeat",
}


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(Manifest.packaged())


@pytest.fixture
def annotator(sessions: Sessions, tmp_path: Path):
    makers = packs.makers(sessions)
    recognisers = wiring.recognisers(makers, landmarks.load(), Brands.packaged(), glyphs.load())
    made = Annotator(Stores(tmp_path), wiring.detectors(makers), wiring.features(), recognisers)
    yield made
    made.close()


def answered(annotator: Annotator, contents: list[bytes], features: list[int]) -> None:
    request = messages.BatchAnnotateImagesRequest()
    for content in contents:
        item = request.requests.add()
        item.image.content = content
        for kind in features:
            item.features.add(type_=kind)
    answer = messages.BatchAnnotateImagesResponse.FromString(
        annotator.annotate(request.SerializeToString())
    )
    assert not any(one.HasField("error") for one in answer.responses)


def test_all_features_together_decode_and_look_once(annotator, sessions, photos, monkeypatch):
    decodes = []

    inner = annotator._decoders.decode

    def counted(content, max_side_for, owner):
        decodes.append(len(content))
        return inner(content, max_side_for, owner)

    monkeypatch.setattr(annotator._decoders, "decode", counted)
    contents = [(photos / name).read_bytes() for name in ("cat.jpg", "coffee.jpg", "horses.jpg")]
    answered(annotator, contents, [feature.type for feature in wiring.features()])
    assert len(decodes) == len(contents)
    runs = sessions.runs()
    assert runs.keys() >= ONCE
    assert {name: runs[name] for name in ONCE} == dict.fromkeys(ONCE, len(contents))


def test_a_feature_runs_no_network_it_does_not_need(annotator, sessions, photos):
    answered(annotator, [(photos / "cat.jpg").read_bytes()], [7])  # colours
    assert sessions.runs() == {}


def test_the_layout_of_a_page_is_made_once_for_everyone_who_reads_it(annotator, monkeypatch):
    made = []

    def counted(lines):
        made.append([line.text for line in lines])
        return frames(lines)

    frames = page.frames
    monkeypatch.setattr(page, "frames", counted)
    file = io.BytesIO()
    image = Image.new("RGB", (640, 240), "white")
    font = ImageFont.load_default(72)
    ImageDraw.Draw(image).text((40, 70), "WELCOME", fill="black", font=font)
    image.save(file, "PNG")
    answered(annotator, [file.getvalue()], [3, 5, 11])  # logos, text, documents
    assert made == [["WELCOME"]]
    made.clear()
    answered(annotator, [file.getvalue()], [7])  # colours
    assert made == []
