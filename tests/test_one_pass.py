"""Asking for every feature decodes each image once and runs each network as often as one does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tapetum import app, sources, vision
from tapetum.annotator import Annotator
from tapetum.decode import decode
from tapetum.gallery.shipped import landmarks, symbols
from tapetum.gallery.shipped.brands import Brands
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.stores.router import Stores

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
    recognisers = app.recognisers(sessions, landmarks.load(), Brands.packaged(), symbols.load())
    made = Annotator(Stores(tmp_path), app.detectors(sessions), app.features(), recognisers)
    yield made
    made.close()


def answered(annotator: Annotator, contents: list[bytes], features: list[int]) -> None:
    request = vision.BatchAnnotateImagesRequest()
    for content in contents:
        item = request.requests.add()
        item.image.content = content
        for kind in features:
            item.features.add(type_=kind)
    answer = vision.BatchAnnotateImagesResponse.FromString(
        annotator.annotate(request.SerializeToString())
    )
    assert not any(one.HasField("error") for one in answer.responses)


def test_all_features_together_decode_and_look_once(annotator, sessions, photos, monkeypatch):
    decodes = []

    def counted(content, side_for):
        decodes.append(len(content))
        return decode(content, side_for)

    monkeypatch.setattr(sources, "decode", counted)
    contents = [(photos / name).read_bytes() for name in ("cat.jpg", "coffee.jpg", "horses.jpg")]
    answered(annotator, contents, [feature.type for feature in app.features()])
    assert len(decodes) == len(contents)
    runs = sessions.runs()
    assert runs.keys() >= ONCE
    assert {name: runs[name] for name in ONCE} == dict.fromkeys(ONCE, len(contents))


def test_a_feature_runs_no_network_it_does_not_need(annotator, sessions, photos):
    answered(annotator, [(photos / "cat.jpg").read_bytes()], [7])  # colours
    assert sessions.runs() == {}
