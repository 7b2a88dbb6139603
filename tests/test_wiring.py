"""What a nursery prepares."""

from __future__ import annotations

from contextlib import closing

import pytest

from tapetum import wiring
from tapetum.imaging.decoders import Decoders
from tapetum.settings import Settings
from tapetum.vision.messages import Feature


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.mark.parametrize(
    ("types", "loaded"),
    [
        ([Feature.OBJECT_LOCALIZATION], {"ssdlite-mobilenet-v2"}),
        ([Feature.TEXT_DETECTION], {"ppocr-v6-detector", "ppocr-v6-recogniser"}),
        ([Feature.IMAGE_PROPERTIES], set()),
    ],
    ids=["objects", "text", "colours"],
)
def test_only_what_the_features_need_is_loaded(settings, types, loaded):
    with closing(Decoders()) as decoders:
        workshop = wiring.Workshop(settings, preload=types, decoders=decoders)
    assert workshop.sessions.runs().keys() == loaded


def test_all_features_need_every_network_of_the_pack(settings):
    with closing(Decoders()) as decoders:
        types = [feature.type for feature in wiring.features()]
        sessions = wiring.Workshop(settings, preload=types, decoders=decoders).sessions
    named = {name for row in sessions.manifest.packs for name in row.weights}
    assert sessions.runs().keys() == named


def test_layers_that_are_lacking_are_in_the_log_of_a_server(settings, monkeypatch, caplog):
    monkeypatch.setattr(Decoders, "layers", lambda _: {"seccomp": False, "Landlock": True})
    types = [Feature.IMAGE_PROPERTIES]
    for local_files in (True, False):
        wiring.workshop(settings, local_files, types).decoders.close()
    [line] = [record.getMessage() for record in caplog.records]
    assert line.endswith("no seccomp")
