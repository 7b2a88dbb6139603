"""One task end to end, with real stores and made-up detectors."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tapetum.errors import LeaseLost, OutputNotWritable, TaskStopped
from tapetum.features import Ask
from tapetum.identity.principal import Principal, Principals, Project
from tapetum.imaging.picture import Picture
from tapetum.pipeline.annotator import WINDOW, Annotator
from tapetum.signals.context import RequestContext
from tapetum.stores.router import Stores
from tapetum.tasks.lease import Lease
from tapetum.tasks.plan import Shard, Task
from tapetum.vision import messages

LABEL, LOGO, TEXT = 4, 3, 5


@dataclass(frozen=True)
class Brightness:
    """Mean of all samples."""

    value: float


class BrightnessDetector:
    """Says how bright a picture is; fails on pictures of mid grey."""

    signal = Brightness

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.sides: list[int] = []

    def max_side(self, width: int, height: int) -> int:
        return 8

    def detect(self, pictures: Sequence[Picture], contexts=()) -> list[Brightness]:
        self.batches.append(len(pictures))
        self.sides += [max(picture.pixels.shape) for picture in pictures]
        means = [float(np.mean(picture.pixels)) for picture in pictures]
        if any(100 < mean < 150 for mean in means):
            raise RuntimeError("mid grey")
        return [Brightness(mean) for mean in means]


class BrightnessLabel:
    """LABEL_DETECTION that knows two words."""

    type = LABEL
    needs = (Brightness,)

    def describe(self, ask: Ask, signals, response) -> None:
        bright = signals.of(Brightness).value > 127
        response.label_annotations.add(description="Light" if bright else "Dark", score=0.5)


def png(grey: int, size: tuple[int, int] = (64, 32)) -> bytes:
    file = io.BytesIO()
    Image.new("L", size, grey).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def detector() -> BrightnessDetector:
    return BrightnessDetector()


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    return Stores(tmp_path)


@pytest.fixture
def annotator(stores: Stores, detector: BrightnessDetector) -> Iterator[Annotator]:
    made = Annotator(stores, [detector], [BrightnessLabel()])
    yield made
    made.close()


@dataclass(frozen=True, slots=True)
class Doubled:
    value: int
    project: str


@dataclass(frozen=True, slots=True)
class Quadrupled:
    value: int
    project: str


class Doubler:
    signal = Doubled
    needs = (Brightness,)

    def max_side(self, width: int, height: int) -> int:
        return 1

    def recognise(self, picture, signals, context) -> Doubled:
        return Doubled(2 * round(signals.of(Brightness).value), context.project)


class Quadrupler:
    signal = Quadrupled
    needs = (Doubled,)

    def max_side(self, width: int, height: int) -> int:
        return 1

    def recognise(self, picture, signals, context) -> Quadrupled:
        return Quadrupled(2 * signals.of(Doubled).value, signals.of(Doubled).project)


class QuadrupledLabel:
    type = LABEL
    needs = (Quadrupled,)

    def describe(self, ask: Ask, signals, response) -> None:
        found = signals.of(Quadrupled)
        response.label_annotations.add(description=f"{found.project} {found.value}", score=0.5)


def request(uri: str = "", content: bytes = b"", features: Sequence[int] = (LABEL,)):
    made = messages.AnnotateImageRequest()
    made.image.content = content
    made.image.source.image_uri = uri
    for kind in features:
        made.features.add(type_=kind)
    return made


def task(requests, batch_size: int = 2, **changes) -> Task:
    blob = messages.BatchAnnotateImagesRequest(requests=requests).SerializeToString()
    fields = {"operation": "op", "first": 1, "last": len(requests), "batch_size": batch_size}
    return Task(**(fields | {"output_uri": "gs://out/", "requests": blob} | changes))


class Telling(Lease):
    """Writes down which images were begun, and as negative numbers which are done."""

    def __init__(self, seconds, on_written, positions) -> None:
        super().__init__(seconds, on_written)
        self._positions = positions

    def started(self, position: int) -> None:
        self._positions.append(position)

    def finished(self, position: int) -> None:
        self._positions.append(-position)


@dataclass
class Heard:
    """A lease whose words are written down."""

    written: list[tuple[Shard, int]]
    started: list[int]
    lease: Lease


def heard(on_written: Callable[[Shard], None] = lambda shard: None) -> Heard:
    written: list[tuple[Shard, int]] = []
    started: list[int] = []

    def tell(shard: Shard, failed: int) -> None:
        written.append((shard, failed))
        on_written(shard)

    return Heard(written, started, Telling(60, tell, started))


def shard(folder: Path, name: str):
    return json.loads((folder / "out" / name).read_text())["responses"]


def test_shards_hold_the_answers_in_order_with_errors_in_their_place(annotator, tmp_path, caplog):
    (tmp_path / "in" / "light.png").write_bytes(png(250))
    (tmp_path / "in" / "broken.png").write_bytes(png(250)[:60])
    requests = [
        request("gs://in/light.png"),
        request("gs://in/missing.png"),
        request(content=png(3)),
        request("gs://in/broken.png"),
        request("gs://in/light.png"),
    ]
    line = heard()
    with caplog.at_level(logging.WARNING):
        annotator.run(task(requests), line.lease)
    light = {
        "labelAnnotations": [{"description": "Light", "score": 0.5}],
        "context": {"uri": "gs://in/light.png"},
    }
    assert shard(tmp_path, "output-1-to-2.json") == [
        light,
        {
            "error": {"code": 5, "message": "Error opening file: gs://in/missing.png."},
            "context": {"uri": "gs://in/missing.png"},
        },
    ]
    assert shard(tmp_path, "output-3-to-4.json") == [
        {"labelAnnotations": [{"description": "Dark", "score": 0.5}]},
        {
            "error": {"code": 3, "message": "Bad image data."},
            "context": {"uri": "gs://in/broken.png"},
        },
    ]
    assert shard(tmp_path, "output-5-to-5.json") == [light]
    assert line.written == [(Shard(1, 2), 1), (Shard(3, 4), 1), (Shard(5, 5), 0)]
    assert [record.getMessage() for record in caplog.records] == [
        "image failed: operation=op image=2 uri='gs://in/missing.png' code=5 "
        "Error opening file: gs://in/missing.png.",
        "image failed: operation=op image=4 uri='gs://in/broken.png' code=3 Bad image data.",
    ]


def test_a_log_line_stays_one_line_whatever_the_uri(annotator, caplog):
    annotator.run(task([request("gs://in/a\nERROR forged\x1b[31m.png")]), heard().lease)
    assert len(caplog.messages) == 1
    assert "\n" not in caplog.messages[0]
    assert "\x1b" not in caplog.messages[0]


def test_a_feature_that_is_not_there_fails_only_itself(annotator, tmp_path):
    annotator.run(task([request(content=png(3), features=[LOGO, LABEL, TEXT])]), heard().lease)
    [answer] = shard(tmp_path, "output-1-to-1.json")
    assert answer["labelAnnotations"][0]["description"] == "Dark"
    assert answer["error"] == {
        "code": 12,
        "message": "LOGO_DETECTION is not available on this server yet. "
        "TEXT_DETECTION is not available on this server yet.",
    }


def test_a_detector_that_fails_on_one_picture_fails_only_that_image(annotator, tmp_path, caplog):
    requests = [request(content=png(grey)) for grey in (0, 128, 255)]
    annotator.run(task(requests, batch_size=3), heard().lease)
    first, second, third = shard(tmp_path, "output-1-to-3.json")
    assert (first["labelAnnotations"][0]["description"], "error" in first) == ("Dark", False)
    assert third["labelAnnotations"][0]["description"] == "Light"
    assert second["error"]["code"] == 13
    assert "mid grey" not in second["error"]["message"]
    assert "mid grey" in caplog.text  # the log has the traceback


def test_pictures_go_through_a_detector_in_windows_whatever_the_batch_size(annotator, detector):
    annotator.run(task([request(content=png(0))] * 20, batch_size=1), heard().lease)
    assert detector.batches == [WINDOW, WINDOW, 4]


def test_a_picture_is_decoded_as_large_as_the_detectors_want_it(annotator, detector):
    annotator.run(task([request(content=png(0, (800, 400)))]), heard().lease)
    assert detector.sides == [8]


def test_done_shards_are_not_computed_again(annotator, detector, tmp_path):
    line = heard()
    annotator.run(task([request(content=png(0))] * 5, done=4), line.lease)
    assert line.written == [(Shard(5, 5), 0)]
    assert detector.batches == [1]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["output-5-to-5.json"]


def test_a_lost_lease_stops_the_work_and_writes_nothing_more(annotator, tmp_path):
    line = heard(lambda shard: line.lease.lose())
    with pytest.raises(LeaseLost):
        annotator.run(task([request(content=png(0))] * 40), line.lease)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["output-1-to-2.json"]


def test_a_lease_that_ran_out_is_not_written_under(annotator, tmp_path):
    line = Heard([], [], Lease(-1, lambda shard, failed: None))
    with pytest.raises(LeaseLost):
        annotator.run(task([request(content=png(0))]), line.lease)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_stopped_task_is_given_back(annotator):
    line = heard(lambda shard: line.lease.stop())
    with pytest.raises(TaskStopped):
        annotator.run(task([request(content=png(0))] * 40), line.lease)
    assert len(line.written) < 20


def test_an_output_that_cannot_be_written_is_an_operation_error(annotator):
    with pytest.raises(OutputNotWritable) as caught:
        annotator.run(task([request(content=png(0))], output_uri="gs://none/x"), heard().lease)
    assert caught.value.message == "Error writing final output to: gs://none/x"


def test_each_image_is_announced_and_what_is_known_is_not_looked_at(annotator, detector, tmp_path):
    line = heard()
    requests = [request(content=png(0)) for _ in range(4)]
    known = messages.AnnotateImageResponse()
    known.error.code, known.error.message = 13, "It ends whoever looks at it."
    job = task(requests, first=11, last=14)
    annotator.run(job, line.lease, {12: known.SerializeToString()})
    begun = [11, 12, 13, 14]
    assert line.started == [*begun, *(-position for position in begun)]
    assert detector.batches == [3]
    _, second = shard(tmp_path, "output-11-to-12.json")
    assert second["error"] == {"code": 13, "message": "It ends whoever looks at it."}


def test_prefix_and_name_are_joined_as_plain_strings(annotator, tmp_path):
    for uri in ("gs://out", "gs://out/x.json", "gs://out/deep/er/"):
        annotator.run(task([request(content=png(0))], output_uri=uri), heard().lease)
    written = sorted(
        str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.json")
    )
    assert written == [
        "deep/er/output-1-to-1.json", "output-1-to-1.json", "x.jsonoutput-1-to-1.json",
    ]  # fmt: skip


def test_sync_answers_are_the_same_without_context(annotator, tmp_path):
    requests = [request(content=png(0)), request("gs://in/missing.png"), request(content=b"no")]
    annotator.run(task(requests, batch_size=3), heard().lease)
    of_batch = shard(tmp_path, "output-1-to-3.json")
    blob = messages.BatchAnnotateImagesRequest(requests=requests).SerializeToString()
    answer = messages.BatchAnnotateImagesResponse.FromString(annotator.annotate(blob))
    of_call = json.loads(messages.to_json(answer))["responses"]
    for one in of_batch:
        one.pop("context", None)
    assert of_call == of_batch


def test_two_tasks_side_by_side_do_not_mix(annotator, tmp_path):
    def run(name: str, grey: int) -> None:
        line = task(
            [request(content=png(grey))] * 30, batch_size=30, output_uri=f"gs://out/{name}/"
        )
        annotator.run(line, heard().lease)

    threads = [threading.Thread(target=run, args=(str(grey), grey)) for grey in (0, 255)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    words = {
        name: {
            one["labelAnnotations"][0]["description"]
            for one in shard(tmp_path, f"{name}/output-1-to-30.json")
        }
        for name in ("0", "255")
    }
    assert words == {"0": {"Dark"}, "255": {"Light"}}


def test_recognisers_run_after_what_they_need_and_know_the_project(stores, tmp_path):
    annotator = Annotator(
        stores,
        [BrightnessDetector()],
        [QuadrupledLabel()],
        recognisers=[Quadrupler(), Doubler()],
    )

    def said(project: str) -> str:
        batch = messages.BatchAnnotateImagesRequest(requests=[request(content=png(20))])
        answer = annotator.annotate(batch.SerializeToString(), RequestContext(project=project))
        responses = messages.BatchAnnotateImagesResponse.FromString(answer).responses
        return responses[0].label_annotations[0].description

    try:
        assert said("mine") == "mine 80"
        job = task([request(content=png(30))], operation="projects/other/operations/7")
        annotator.run(job, heard().lease)
        written = shard(tmp_path, "output-1-to-1.json")[0]["labelAnnotations"]
        assert written[0]["description"] == "other 120"
    finally:
        annotator.close()


def test_a_caller_who_is_not_of_the_project_sees_none_of_its_galleries(stores):
    known = {"ann": Principal("ann", Project("mine"))}
    annotator = Annotator(
        stores,
        [BrightnessDetector()],
        [QuadrupledLabel()],
        [Quadrupler(), Doubler()],
        Principals(known, asked=True),
    )
    batch = messages.BatchAnnotateImagesRequest(requests=[request(content=png(20))])
    said = {}
    for principal, project in (("ann", "mine"), ("ann", "other"), ("gone", "mine")):
        context = RequestContext(principal, project)
        answer = annotator.annotate(batch.SerializeToString(), context)
        responses = messages.BatchAnnotateImagesResponse.FromString(answer).responses
        said[principal, project] = responses[0].label_annotations[0].description
    annotator.close()
    assert said == {
        ("ann", "mine"): "mine 80",
        ("ann", "other"): " 80",
        ("gone", "mine"): " 80",
    }


def test_pages_of_a_file_reach_recognisers(stores):
    asked = messages.AnnotateFileRequest()
    asked.input_config.mime_type = "image/tiff"
    file = io.BytesIO()
    Image.new("L", (64, 32), 20).save(file, "TIFF")
    asked.input_config.content = file.getvalue()
    asked.features.add(type_=LABEL)
    annotator = Annotator(
        stores, [BrightnessDetector()], [QuadrupledLabel()], [Quadrupler(), Doubler()]
    )
    answer = annotator.annotate_file(asked.SerializeToString(), RequestContext(project="mine"))
    annotator.close()
    [page] = messages.AnnotateFileResponse.FromString(answer).responses
    assert page.label_annotations[0].description == "mine 80"


class TextFeature:
    type = messages.Feature.TEXT_DETECTION
    needs = (Brightness,)

    def describe(self, ask: Ask, signals, response) -> None:
        response.text_annotations.add(description="text")


class ContextDetector(BrightnessDetector):
    """Notes what it is told of each picture beside the pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[int, RequestContext]] = []

    def detect(self, pictures: Sequence[Picture], contexts=()) -> list[Brightness]:
        signals = super().detect(pictures, contexts)
        means = [round(signal.value) for signal in signals]
        self.told += zip(means, contexts, strict=True)
        return signals


def test_detectors_are_told_of_each_picture_who_asks_and_its_languages(stores: Stores) -> None:
    detector = ContextDetector()
    annotator = Annotator(stores, [detector], [TextFeature()])
    asked = [
        request(content=content, features=[TextFeature.type])
        for content in (png(20), b"no picture", png(220), png(240))
    ]
    asked[0].image_context.language_hints.append("ko")
    asked[3].image_context.language_hints.extend(["ja", "th"])
    batch = messages.BatchAnnotateImagesRequest(requests=asked).SerializeToString()
    annotator.annotate(batch, RequestContext("ann", "mine"))
    annotator.close()
    assert detector.told == [
        (20, RequestContext("ann", "mine", ("ko",))),
        (220, RequestContext("ann", "mine")),
        (240, RequestContext("ann", "mine", ("ja", "th"))),
    ]


def test_a_language_hint_that_is_not_read_is_the_error_of_text_alone(stores: Stores) -> None:
    annotator = Annotator(stores, [BrightnessDetector()], [TextFeature(), BrightnessLabel()])
    wanted = [
        ("xx", [TextFeature.type]),
        ("xx", [TextFeature.type, LABEL]),
        ("xx", [LABEL]),  # hints are no concern of labels
        ("ko", [TextFeature.type]),
    ]
    asked = []
    for hint, features in wanted:
        asked.append(request(content=png(200), features=features))
        asked[-1].image_context.language_hints.append(hint)
    batch = messages.BatchAnnotateImagesRequest(requests=asked).SerializeToString()
    answers = messages.BatchAnnotateImagesResponse.FromString(annotator.annotate(batch)).responses
    annotator.close()
    for answer in answers[:2]:
        assert answer.error.code == 3
        assert "image_context.language_hints[0]: the language 'xx'" in answer.error.message
        assert not answer.text_annotations
    assert [len(answer.label_annotations) for answer in answers] == [0, 1, 1, 0]
    assert not answers[2].HasField("error")
    assert answers[3].text_annotations[0].description == "text"
