"""Packs: which row makes which signal, what is refused, and a second pack by one row."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from tapetum import wiring
from tapetum.cli import flags, main
from tapetum.errors import ModelError, SettingsError
from tapetum.gallery.backends.memory import MemoryGalleries
from tapetum.gallery.shipped.landmarks import MODEL
from tapetum.imaging.decoding import decode
from tapetum.imaging.picture import Picture
from tapetum.models import packs
from tapetum.models.manifest import Manifest, PackRow
from tapetum.models.session import Sessions
from tapetum.pipeline.annotator import Annotator
from tapetum.settings import Settings, resolve
from tapetum.signals.context import RequestContext
from tapetum.signals.objects import LocatedObject, Objects
from tapetum.stores.router import Stores
from tapetum.vision import messages

EMBEDDED = files("tapetum.models").joinpath("manifest.toml").read_text(encoding="utf-8")
TOY = """
[[pack]]
name = "toy"
signal = "Objects"
detector = "toy_of_the_test:ToyDetector"
calibration = { probability = 0.75 }
"""


class ToyDetector:
    """Says that the left half of every picture is a Brick. Runs no network."""

    signal = Objects

    def __init__(self, calibration: dict[str, float]) -> None:
        self._probability = calibration["probability"]

    def max_side(self, width: int, height: int) -> int:
        return 8

    def detect(
        self, pictures: Sequence[Picture], contexts: Sequence[RequestContext] = ()
    ) -> list[Objects]:
        boxes = [(0.0, 0.0, picture.width / 2, float(picture.height)) for picture in pictures]
        return [
            Objects((LocatedObject("Brick", "/m/toy", self._probability, box),)) for box in boxes
        ]


@pytest.fixture(autouse=True)
def toy_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ToyDetector`, importable by the name in the row."""
    module = ModuleType("toy_of_the_test")
    module.ToyDetector = ToyDetector  # type: ignore[attr-defined]
    module.Idle = Idle  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_of_the_test", module)


@pytest.fixture(scope="module")
def rows() -> tuple[PackRow, ...]:
    return Manifest.of_text(EMBEDDED + TOY).packs


def row(name: str, signal: str, detector: str = "toy_of_the_test:ToyDetector") -> PackRow:
    return PackRow(name, signal, detector)


def png() -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((64, 48)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def objects_of(tmp_path: Path) -> Callable[[str], list[dict]]:
    """The objects of a picture, as JSON, by the packs that are chosen of the manifest with the toy
    row: nothing else says that there is a toy."""

    def annotated(choice: str) -> list[dict]:
        makers = packs.makers(Sessions(Manifest.of_text(EMBEDDED + TOY)), choice)
        annotator = Annotator(
            Stores(tmp_path),
            wiring.detectors(makers),
            wiring.features(),
            wiring.recognisers(makers, MemoryGalleries(MODEL)),
        )
        request = messages.BatchAnnotateImagesRequest()
        asked = request.requests.add()
        asked.image.content = png()
        asked.features.add(type_=messages.Feature.Type.OBJECT_LOCALIZATION)
        asked.features.add(type_=messages.Feature.Type.CROP_HINTS)  # of the same signal
        answer = annotator.annotate(request.SerializeToString())
        annotator.close()
        said = messages.BatchAnnotateImagesResponse.FromString(answer)
        (response,) = json.loads(messages.to_json(said))["responses"]
        assert "error" not in response
        assert response["cropHintsAnnotation"]
        return response.get("localizedObjectAnnotations", [])

    return annotated


@pytest.mark.parametrize("choice", ["toy", "Objects=toy", "embedded, Objects = toy"])
def test_one_row_is_a_second_maker_of_objects_from_the_manifest_to_the_json(objects_of, choice):
    corners = [{}, {"x": 0.5}, {"x": 0.5, "y": 1}, {"y": 1}]
    assert objects_of(choice) == [
        {
            "mid": "/m/toy",
            "name": "Brick",
            "score": 0.75,
            "boundingPoly": {"normalizedVertices": corners},
        }
    ]


def test_who_does_not_choose_it_does_not_get_it(objects_of):
    assert objects_of("embedded") == []
    assert objects_of("toy,Objects=embedded") == []


def test_the_embedded_pack_makes_what_no_chosen_pack_makes(rows):
    chosen = packs.chosen(rows, "toy")
    assert chosen["Objects"].name == "toy"
    assert {row.name for signal, row in chosen.items() if signal != "Objects"} == {"embedded"}
    assert chosen.keys() == packs.chosen(rows).keys()


def test_two_chosen_packs_that_make_one_signal_are_refused_by_name(rows):
    both = [*rows, row("brick", "Objects")]
    with pytest.raises(SettingsError, match="toy and brick both make Objects") as caught:
        packs.chosen(both, "toy,brick")
    assert "Objects=toy" in caught.value.message
    assert packs.chosen(both, "toy,brick,Objects=brick")["Objects"].name == "brick"
    with pytest.raises(SettingsError, match="toy and brick are both chosen for Objects"):
        packs.chosen(both, "Objects=toy,Objects=brick")


def test_a_pack_with_two_makers_of_one_signal_is_refused_by_name(rows):
    with pytest.raises(ModelError, match=r"toy has two makers of Objects: toy_.*Toy.* and x:Y"):
        packs.chosen([*rows, row("toy", "Objects", "x:Y")])


def test_two_makers_that_are_wired_are_refused_by_name(tmp_path):
    embedded = packs.maker_of(Objects, Sessions(Manifest.packaged()))
    with pytest.raises(ModelError, match="ObjectDetector and ToyDetector both make Objects"):
        Annotator(Stores(tmp_path), [embedded, ToyDetector({"probability": 1})], [])


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("strong", "No pack is named 'strong'; there are embedded, toy."),
        ("Objects=strong", "No pack is named 'strong'"),
        ("Things=toy", "No pack makes a signal named 'Things'; there are .*Objects"),
        ("Faces=toy", "The pack toy does not make Faces; embedded does."),
        ("=toy", "No pack makes a signal named ''"),
        ("Objects=", "No pack is named ''"),
    ],
)
def test_a_choice_that_cannot_be_is_a_helpful_error(rows, choice, message):
    with pytest.raises(SettingsError, match=message):
        packs.chosen(rows, choice)


@pytest.mark.parametrize(
    ("detector", "message"),
    [
        ("no_such_module:X", "names no detector of Objects: No module"),
        ("toy_of_the_test:Nothing", "names no detector of Objects: .*Nothing"),
        ("tapetum.detectors.saliency:SaliencyDetector", "makes Objects, but it makes Saliency"),
    ],
)
def test_a_row_that_names_no_maker_of_its_signal(detector, message):
    with pytest.raises(ModelError, match=message):
        packs.made(row("toy", "Objects", detector), Sessions(Manifest.packaged()))


class Idle:
    """Is no detector."""

    signal = Objects


LABELS = "tapetum.detectors.labels:LabelDetector"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"vocabulary": "no_such_package:a.json"}, "in no package: No module"),
        ({"vocabulary": "tapetum.detectors:tables/none.json"}, "tables/none.json is no file"),
        ({"calibration": {"temperature": 1.0}}, "does not take .*TypeError: .*vocabulary"),
        ({"vocabulary": "tapetum.detectors:tables/imagenet1k.json"}, "TypeError: .*calibration"),
        (
            {
                "vocabulary": "tapetum.detectors:tables/imagenet1k.json",
                "calibration": {"a": 1.0},
            },
            "KeyError: 'temperature'",
        ),
        ({"detector": "toy_of_the_test:Idle", "signal": "Objects"}, "no max_side and no detect"),
        ({"dimensions": 3}, "of no weights"),
    ],
)
def test_a_row_that_gives_its_detector_the_wrong_things(given, message):
    wrong = PackRow(**{"name": "toy", "signal": "Labels", "detector": LABELS} | given)
    with pytest.raises(ModelError, match=message) as caught:
        packs.made(wrong, Sessions(Manifest.packaged()))
    assert "toy" in caught.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[pack", "The manifest is not TOML: "),
        ("[pack]", r"are written \[\[pack\]\]"),
        (TOY + "vocab = 'a:b'", r"Row 1 of \[\[pack\]\] .*\(toy Objects\) has 'vocab'"),
        (TOY + "weights = 'a'", r"\(toy Objects\): weights is no list: 'a'"),
        ("[[pack]]\nname = 'toy'", r"\(toy\) has no signal"),
        ("[[weight]]\nname = 'net'", r"Row 1 of \[\[weight\]\] .*\(net\) has no purpose"),
    ],
)
def test_a_manifest_that_is_none_names_the_row(text, message):
    with pytest.raises(ModelError, match=message):
        Manifest.of_text(text)


def test_a_row_with_weights_that_are_not_there():
    with pytest.raises(ModelError, match="'no-such'"):
        Manifest.of_text(EMBEDDED + TOY + 'weights = ["no-such"]')


def test_every_signal_that_a_feature_needs_has_an_embedded_row():
    makers = packs.makers(Sessions(Manifest.packaged()))
    recognisers = wiring.recognisers(makers, MemoryGalleries(MODEL))
    made = {maker.signal for maker in [*makers, *recognisers]}
    assert {need for feature in wiring.features() for need in feature.needs} <= made
    assert {need for recogniser in recognisers for need in recogniser.needs} <= made


def test_rows_name_the_weights_that_their_detectors_run(photos):
    pixels = decode((photos / "mariachi.jpg").read_bytes(), max)
    for embedded in Manifest.packaged().packs:
        if not embedded.weights or embedded.signal in ("Embedding", "TextLines"):
            continue
        sessions = Sessions(Manifest.packaged())
        packs.made(embedded, sessions).detect([pixels])
        assert sorted(sessions.runs()) == sorted(embedded.weights), embedded.signal


def test_the_settings_file_chooses_by_a_table(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text('[packs]\nall = "toy"\nLabels = "embedded"\n')
    assert resolve({}, {}, file).pack == "toy,Labels=embedded"
    assert resolve({"pack": "embedded"}, {}, file).pack == "embedded"
    file.write_text("[packs]\nall = 3\n")
    with pytest.raises(SettingsError, match=r"\[packs\]: a pack is written like"):
        resolve({}, {}, file)
    file.write_text('pack = "toy"\n[packs]\nall = "toy"\n')
    with pytest.raises(SettingsError, match="once"):
        resolve({}, {}, file)


def test_the_flag_may_be_repeated():
    parser = argparse.ArgumentParser()
    flags.add_settings(parser, ["pack"])
    options = parser.parse_args(["--pack", "toy", "--pack", "Labels=embedded"])
    assert flags.settings_of(options).pack == "toy,Labels=embedded"


def test_what_cannot_be_chosen_ends_the_command_when_it_is_wired(tmp_path):
    with pytest.raises(SettingsError, match="No pack is named 'strong'"):
        wiring.Workshop(Settings(pack="strong", data_dir=tmp_path))


def test_the_command_lists_packs(capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if "embedded" in line and "Objects" in line]
    assert "ssdlite-mobilenet-v2" in line
    assert "tapetum.detectors.objects:ObjectDetector" in line
