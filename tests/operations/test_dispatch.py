"""Claim, submit, heartbeat, complete: with a real ledger, executor and annotator."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from tapetum.errors import ServerUnavailable, StoreUnavailable
from tapetum.executors.local import LocalExecutor
from tapetum.imaging.picture import Picture
from tapetum.ledger import OperationRecord, OperationState
from tapetum.ledger.memory import MemoryLedger
from tapetum.operations import dispatch
from tapetum.operations.dispatch import Dispatcher
from tapetum.pipeline.annotator import Annotator
from tapetum.stores.router import Stores
from tapetum.tasks.control import Control
from tapetum.tasks.plan import Task, task_bounds
from tapetum.vision import messages

NAME = "projects/p/operations/1"


@dataclass(frozen=True)
class Seen:
    """That somebody looked."""


class Gate:
    """A detector that waits until it is let through."""

    signal = Seen

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.opened = threading.Event()

    def max_side(self, width: int, height: int) -> int:
        return 1

    def detect(self, pictures: Sequence[Picture], contexts=()) -> list[Seen]:
        self.entered.release()
        assert self.opened.wait(30)
        return [Seen()] * len(pictures)


class SeenLabel:
    type = 4
    needs = (Seen,)

    def describe(self, ask, signals, response) -> None:
        response.label_annotations.add(description="Seen", score=1)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return Stores(tmp_path)


@pytest.fixture
def executor(stores: Stores, gate: Gate) -> Iterator[LocalExecutor]:
    annotator = Annotator(stores, [gate], [SeenLabel()])
    made = LocalExecutor(annotator, workers=2)
    yield made
    gate.opened.set()
    made.close()
    annotator.close()


@pytest.fixture
def dispatcher(ledger: MemoryLedger, executor: LocalExecutor, gate: Gate) -> Iterator[Dispatcher]:
    made = Dispatcher(ledger, executor, lease=3)
    made.start()
    yield made
    gate.opened.set()
    made.stop()


def create(ledger: MemoryLedger, images: int = 32, output: str = "gs://out/") -> None:
    file = io.BytesIO()
    Image.new("L", (4, 4)).save(file, "PNG")
    request = messages.AnnotateImageRequest()
    request.image.content = file.getvalue()
    request.features.add(type_=4)
    tasks = [
        Task(
            NAME, first, last, 1, output,
            messages.BatchAnnotateImagesRequest(
                requests=[request] * (last - first + 1)
            ).SerializeToString(),
        )
        for first, last in task_bounds(images, 1)
    ]  # fmt: skip
    ledger.create(OperationRecord(NAME, "p", "v1", b"", images, 1), tasks)


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.005)


def ended(ledger: MemoryLedger) -> OperationRecord:
    wait_for(lambda: ledger._operations[NAME].state.ended)
    return ledger._operations[NAME]


def test_every_task_is_run_and_recorded(ledger, dispatcher, gate, bucket):
    gate.opened.set()
    create(ledger)
    dispatcher.wake()
    record = ended(ledger)
    assert (record.state, record.error_code, record.images_done) == (OperationState.DONE, 0, 32)
    assert len(list(bucket.iterdir())) == 32


def test_no_more_tasks_are_claimed_than_there_are_slots(ledger, dispatcher, gate, bucket):
    create(ledger)
    dispatcher.wake()
    gate.entered.acquire()
    gate.entered.acquire()
    running = [row for row in ledger._tasks[NAME].values() if row.owner is not None]
    assert len(running) == 2


def test_a_cancelled_operation_stops_and_frees_its_slots(ledger, dispatcher, gate, bucket):
    create(ledger)
    dispatcher.wake()
    gate.entered.acquire()
    ledger.cancel(NAME)
    dispatcher.recheck()
    gate.opened.set()
    wait_for(lambda: not dispatcher._running)
    assert ledger.get(NAME).state is OperationState.CANCELLED
    assert list(bucket.iterdir()) == []  # nothing is written after the end


def test_an_unwritable_output_ends_the_operation_with_code_7(ledger, dispatcher, gate):
    gate.opened.set()
    create(ledger, output="gs://none/")
    dispatcher.wake()
    record = ended(ledger)
    assert (record.state, record.error_code) == (OperationState.DONE, 7)
    assert record.error_message == "Error writing final output to: gs://none/"


def test_stop_gives_back_what_runs_and_keeps_what_is_written(ledger, dispatcher, gate, bucket):
    create(ledger)
    dispatcher.wake()
    gate.entered.acquire()
    stopping = threading.Thread(target=dispatcher.stop)
    stopping.start()
    wait_for(lambda: dispatcher._stopping)
    gate.opened.set()
    stopping.join(30)
    assert not stopping.is_alive()
    rows = ledger._tasks[NAME].values()
    assert all(row.owner is None for row in rows)
    assert all(row.strikes == 0 for row in rows)
    assert ledger.get(NAME).state is OperationState.RUNNING


def test_another_dispatcher_finishes_what_a_stopped_one_gave_back(
    ledger, executor, dispatcher, gate, bucket
):
    create(ledger)
    dispatcher.wake()
    gate.entered.acquire()
    gate.opened.set()
    dispatcher.stop()
    second = Dispatcher(ledger, executor, lease=3)
    second.start()
    record = ended(ledger)
    second.stop()
    assert (record.state, record.images_done) == (OperationState.DONE, 32)
    assert len(list(bucket.iterdir())) == 32


def test_a_slow_task_is_kept_by_its_heartbeat(ledger, dispatcher, gate, bucket):
    create(ledger, images=1)
    dispatcher.wake()
    gate.entered.acquire()
    [row] = ledger._tasks[NAME].values()
    first_until = row.lease_until
    wait_for(lambda: row.lease_until > first_until + 2_500_000)  # two heartbeats at least
    gate.opened.set()
    record = ended(ledger)
    assert (record.state, row.attempt) == (OperationState.DONE, 1)


class FailingStores(Stores):
    """A store that does not answer the first times."""

    failures = 0

    def write(self, uri: str, content: bytes, content_type: str) -> None:
        if self.failures > 0:
            self.failures -= 1
            raise StoreUnavailable("not now")
        super().write(uri, content, content_type)


class TestAStoreThatDoesNotAnswer:
    @pytest.fixture
    def stores(self, tmp_path: Path) -> FailingStores:
        return FailingStores(tmp_path)

    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dispatch, "RETRY_WAIT", 0.01)
        monkeypatch.setattr(dispatch, "IDLE_POLL", 0.02)

    def test_is_tried_again(self, ledger, dispatcher, stores, gate, bucket):
        stores.failures = 3
        gate.opened.set()
        create(ledger, images=1)
        dispatcher.wake()
        record = ended(ledger)
        assert (record.error_code, record.images_done) == (0, 1)

    def test_fails_the_operation_in_the_end(self, ledger, dispatcher, stores, gate, bucket):
        stores.failures = 1000
        gate.opened.set()
        create(ledger, images=1)
        dispatcher.wake()
        record = ended(ledger)
        assert record.error_code == 14
        assert "not now" not in record.error_message


class NoWorkers(LocalExecutor):
    """No worker can be had the first times."""

    refusals = 0

    def submit(self, task: Task, control: Control) -> Future[None]:
        if not self.refusals:
            return super().submit(task, control)
        self.refusals -= 1
        refused: Future[None] = Future()
        refused.set_exception(ServerUnavailable("no worker now"))
        return refused


class TestAnExecutorWithoutWorkers:
    @pytest.fixture
    def executor(self, stores: Stores, gate: Gate) -> Iterator[NoWorkers]:
        annotator = Annotator(stores, [gate], [SeenLabel()])
        made = NoWorkers(annotator, workers=2)
        yield made
        made.close()
        annotator.close()

    @pytest.fixture(autouse=True)
    def _soon(self, bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dispatch, "NO_WORKER_WAIT", 0.01)
        monkeypatch.setattr(dispatch, "IDLE_POLL", 0.02)

    def test_is_waited_for_and_no_task_is_given_up(self, ledger, dispatcher, executor, gate):
        executor.refusals = 3 * dispatch.MAX_STRIKES
        gate.opened.set()
        create(ledger, images=1)
        dispatcher.wake()
        record = ended(ledger)
        assert (record.error_code, record.images_done, executor.refusals) == (0, 1, 0)
