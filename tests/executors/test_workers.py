"""Workers come back, whatever happens to them or to their nursery, and none is left over."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from worker_toys import BLUE, MUCH, PATIENCE, RED, Listening, expected, requests, task, wait_for

from tapetum.errors import LeaseLost, ServerUnavailable, SettingsError
from tapetum.executors.nursery import Config
from tapetum.executors.process import ProcessExecutor
from tapetum.vision import messages

GREY = (9, 9, 9)


def is_answered(executor: ProcessExecutor) -> bool:
    blob = executor.annotate(requests([GREY]).SerializeToString()).result(PATIENCE)
    [answer] = messages.BatchAnnotateImagesResponse.FromString(blob).responses
    return (
        answer.label_annotations[0].description
        == expected(GREY)["labelAnnotations"][0]["description"]
    )


def answering(make_executor) -> ProcessExecutor:
    """An executor of one worker that has been asked something."""
    executor: ProcessExecutor = make_executor(workers=1)
    assert is_answered(executor)
    return executor


def nurseries() -> list[psutil.Process]:
    mine = []
    for process in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if "tapetum.executors.nursery" in process.cmdline():
                mine.append(process)
    return mine


@contextmanager
def no_file_to_be_had() -> Iterator[None]:
    """No further file, socket or pipe can be opened in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open(os.devnull, os.O_RDONLY)]
    # Not lower than what is open: others' threads could not even wait for theirs.
    highest = max(int(file.name) for file in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.dup(taken[0]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for file in taken:
            os.close(file)


def test_a_nursery_that_is_killed_while_it_begins_is_replaced_too(make_executor):
    executor = answering(make_executor)
    killed: set[int] = set()
    for _ in range(3):
        wait_for(lambda: [n for n in nurseries() if n.pid not in killed])
        for nursery in nurseries():
            killed.add(nursery.pid)
            nursery.kill()
    wait_for(lambda: (n := executor._workers._nursery) and n.pid not in killed)
    assert is_answered(executor)


def test_a_worker_that_dies_while_no_file_can_be_opened_is_replaced_later(make_executor):
    executor = answering(make_executor)
    _, worker = executor.pids
    with no_file_to_be_had():
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: len(executor.pids) == 1)
    assert is_answered(executor)


def test_a_nursery_that_dies_while_no_file_can_be_opened_is_replaced_later(make_executor):
    executor = answering(make_executor)
    first, *_ = executor.pids
    with no_file_to_be_had():
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: executor._workers._fault)
        with pytest.raises(ServerUnavailable, match="cannot begin"):
            executor.annotate(b"").result(PATIENCE)
    wait_for(lambda: executor._workers._nursery)
    assert is_answered(executor)


def test_a_worker_for_one_image_is_not_left_over_when_nobody_wants_it(make_executor):
    executor = make_executor(workers=1)

    class Fickle(Listening):
        """Wants the work no more once there is a worker for one image."""

        def check(self) -> None:
            if len(executor.pids) > 2:
                raise LeaseLost("cancelled")

    with pytest.raises(LeaseLost):
        executor.submit(task([RED]), Fickle()).result(PATIENCE)
    wait_for(lambda: len(executor.pids) == 2)
    assert is_answered(executor)


def test_executors_that_are_closed_while_a_nursery_begins_leave_nothing(folder: Path):
    executor = ProcessExecutor(
        Config("worker_toys:ToyWorkshop", (folder,), log_level="error"), 1, 60
    )
    first, *_ = executor.pids
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: [nursery for nursery in nurseries() if nursery.pid != first])
    executor.close()
    wait_for(lambda: not nurseries())
    with pytest.raises(ServerUnavailable, match="shutting down"):
        executor.annotate(b"").result(PATIENCE)


def test_a_fault_that_passes_is_got_over(make_executor, folder: Path, monkeypatch):
    executor = make_executor(workers=1)
    executor._workers._config = Config("worker_toys:broken")
    os.kill(executor.pids[0], signal.SIGKILL)
    wait_for(lambda: isinstance(executor._workers._fault, SettingsError))
    with pytest.raises(ServerUnavailable, match="no toys today"):
        executor.annotate(b"").result(PATIENCE)
    executor._workers._config = Config("worker_toys:ToyWorkshop", (folder,), log_level="error")
    wait_for(lambda: executor._workers._nursery)
    assert is_answered(executor)


def test_a_nursery_that_does_not_listen_stops_nobody(make_executor):
    """It is stopped, and its socket full: who wants something of it does not wait."""
    executor = make_executor(workers=1)
    nursery = psutil.Process(executor.pids[0])
    nursery.suspend()
    try:
        [worker] = executor._workers._workers.values()
        done = threading.Event()

        def ask() -> None:
            for _ in range(2000):
                executor._workers.kill(worker, None)
            done.set()

        threading.Thread(target=ask, daemon=True).start()
        assert done.wait(PATIENCE)
    finally:
        nursery.resume()
    wait_for(lambda: worker.gone)
    assert is_answered(executor)


def test_a_worker_gives_back_the_memory_that_is_free(make_executor):
    executor = answering(make_executor)
    _, number = executor.pids
    worker = psutil.Process(number)
    before = worker.memory_full_info().uss
    executor.submit(task([BLUE]), Listening()).result(PATIENCE)
    # It does so after it has said that it is done.
    wait_for(lambda: worker.memory_full_info().uss < before + MUCH / 4)
    assert executor.pids[1:] == [number], "the same worker"
