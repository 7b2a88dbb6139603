"""Tasks about pages of a file, with the real annotator and a cheap feature."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapetum.detectors.colours import ColourDetector
from tapetum.errors import FileLost, TaskStopped
from tapetum.executors.blame import Cause
from tapetum.executors.jobs import TaskJob
from tapetum.features.properties import ImageProperties
from tapetum.identity.principal import Principal, Principals, Project
from tapetum.pipeline import annotator as annotator_module
from tapetum.pipeline.annotator import WINDOW, Annotator
from tapetum.stores.router import Stores
from tapetum.tasks.lease import Lease
from tapetum.tasks.plan import Shard, Task
from tapetum.vision import messages

PDF = "application/pdf"


@pytest.fixture
def annotator(tmp_path: Path, make) -> Iterator[Annotator]:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "a.pdf").write_bytes(make.numbered(9))
    made = Annotator(Stores(tmp_path), [ColourDetector()], [ImageProperties()])
    yield made
    made.close()


def task(first: int = 1, last: int = 9, **changes) -> Task:
    asked = messages.AnnotateFileRequest()
    asked.input_config.gcs_source.uri = "gs://in/a.pdf"
    asked.input_config.mime_type = PDF
    asked.features.add(type_=7)
    made = Task("op", first, last, 2, "gs://out/", asked.SerializeToString(), file=1)
    return Task(**{name: getattr(made, name) for name in made.__slots__} | changes)


def written(tmp_path: Path) -> dict[str, list[int]]:
    """Page numbers by shard."""
    return {
        path.name: [
            one["context"]["pageNumber"] for one in json.loads(path.read_text())["responses"]
        ]
        for path in sorted((tmp_path / "out").iterdir())
    }


class Heard(Lease):
    """A lease that writes down what it is told."""

    def __init__(self) -> None:
        self.shards: list[tuple[Shard, int]] = []
        self.positions: list[int] = []
        super().__init__(60, lambda shard, failed: self.shards.append((shard, failed)))

    def started(self, position: int) -> None:
        self.positions.append(position)


def test_a_task_writes_its_pages_and_no_others(annotator, tmp_path):
    line = Heard()
    annotator.run(task(5, 9, done=2), line)
    assert written(tmp_path) == {"output-7-to-8.json": [7, 8], "output-9-to-9.json": [9]}
    assert line.shards == [(Shard(7, 8), 0), (Shard(9, 9), 0)]
    answer = json.loads((tmp_path / "out" / "output-9-to-9.json").read_text())
    assert answer["totalPages"] == 9


def test_clients_of_old_versions_get_no_field_they_do_not_know(annotator, tmp_path):
    annotator.run(task(9, 9, api_version="v1p2beta1"), Heard())
    answer = json.loads((tmp_path / "out" / "output-9-to-9.json").read_text())
    assert list(answer) == ["inputConfig", "responses"]


class Hoarder(ColourDetector):
    """Notes how many pictures are in memory whenever it looks at some."""

    def __init__(self) -> None:
        self.seen: list[weakref.ref] = []
        self.alive: list[int] = []

    def detect(self, pictures, contexts):
        self.seen += [weakref.ref(picture.pixels) for picture in pictures]
        self.alive.append(sum(pixels() is not None for pixels in self.seen))
        return super().detect(pictures, contexts)


def test_no_more_pages_are_in_memory_than_are_looked_at_together(annotator, tmp_path, make):
    (tmp_path / "in" / "a.pdf").write_bytes(make.numbered(3 * WINDOW))
    detector = Hoarder()
    made = Annotator(Stores(tmp_path), [detector], [ImageProperties()])
    made.run(task(1, 3 * WINDOW), Heard())
    made.close()
    assert detector.alive == [WINDOW] * 3


def test_a_window_of_large_pages_is_smaller(annotator, tmp_path, make, monkeypatch):
    monkeypatch.setattr(annotator_module, "WINDOW_PIXELS", 20_000)
    detector = Hoarder()
    made = Annotator(Stores(tmp_path), [detector], [ImageProperties()])
    made.run(task(1, 9), Heard())
    made.close()
    assert detector.alive == [2, 2, 2, 2, 1]


def test_a_page_that_is_known_is_not_looked_at(annotator, tmp_path):
    line = Heard()
    blamed = TaskJob(task(5, 8)).blamed(6, Cause.CRASHED)
    annotator.run(task(5, 8), line, {6: blamed})
    assert line.positions == [5, 6, 7, 8]
    assert line.shards == [(Shard(5, 6), 1), (Shard(7, 8), 0)]
    answer = json.loads((tmp_path / "out" / "output-5-to-6.json").read_text())
    assert answer["responses"][1] == {
        "error": {"code": 13, "message": "This image stopped the process that looked at it."},
        "context": {"uri": "gs://in/a.pdf", "pageNumber": 6},
    }


def test_a_file_that_went_away_fails_the_operation(annotator, tmp_path):
    (tmp_path / "in" / "a.pdf").unlink()
    with pytest.raises(FileLost) as caught:
        annotator.run(task(), Heard())
    assert (caught.value.code, caught.value.message) == (5, "Error opening file: gs://in/a.pdf.")


def test_pages_a_file_lost_since_the_call_are_errors_in_their_place(annotator, tmp_path, make):
    (tmp_path / "in" / "a.pdf").write_bytes(make.numbered(2))
    line = Heard()
    annotator.run(task(1, 4), line)
    assert line.shards == [(Shard(1, 2), 0), (Shard(3, 4), 2)]


class CountingStores(Stores):
    """Notes what was read, and as whom."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.reads: list[str] = []

    def read(self, uri: str, limit: int) -> bytes:
        self.reads.append(uri)
        return super().read(uri, limit)


@pytest.fixture
def counted(annotator, tmp_path):
    stores = CountingStores(tmp_path)
    made = Annotator(stores, [ColourDetector()], [ImageProperties()])
    yield made, stores
    made.close()


def test_tasks_of_one_file_fetch_it_once(counted, tmp_path):
    made, stores = counted
    for first in (1, 3, 5, 7, 9):
        made.run(task(first, min(first + 1, 9)), Heard())
    assert stores.reads == ["gs://in/a.pdf"]
    assert len(written(tmp_path)) == 5


def test_the_next_operation_sees_the_file_as_it_is_then(counted, tmp_path, make):
    made, stores = counted
    made.run(task(1, 2), Heard())
    (tmp_path / "in" / "a.pdf").write_bytes(make.numbered(4))
    made.run(task(1, 4, operation="another"), Heard())
    assert stores.reads == ["gs://in/a.pdf"] * 2
    answer = json.loads((tmp_path / "out" / "output-3-to-4.json").read_text())
    assert answer["totalPages"] == 4


def test_a_caller_is_not_given_a_file_that_was_fetched_for_another(annotator, tmp_path):
    known = {
        "ann": Principal("ann", Project("anns", ("gs://in", "gs://out"))),
        "bea": Principal("bea", Project("beas", ("gs://out",))),
    }
    made = Annotator(
        Stores(tmp_path),
        [ColourDetector()],
        [ImageProperties()],
        principals=Principals(known, asked=True),
    )
    made.run(task(1, 2, principal="ann"), Heard())
    with pytest.raises(FileLost, match="Error opening file"):  # even in the same operation
        made.run(task(3, 4, principal="bea"), Heard())
    made.close()


def test_a_stopped_task_is_given_back(annotator, tmp_path):
    line = Heard()
    line.stop()
    with pytest.raises(TaskStopped):
        annotator.run(task(), line)
    assert written(tmp_path) == {}
