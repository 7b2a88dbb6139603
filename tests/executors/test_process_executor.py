"""Worker processes that die of a picture, of a signal, of time or of memory."""

from __future__ import annotations

import json
import os
import random
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from worker_toys import (
    CYAN,
    DIED,
    EXHAUSTED,
    GREEN,
    MAGENTA,
    OVERRAN,
    PATIENCE,
    RED,
    YELLOW,
    Listening,
    answers,
    expected,
    requests,
    task,
    wait_for,
)  # fmt: skip

from tapetum.errors import LeaseLost, SettingsError, TaskStopped
from tapetum.executors import process
from tapetum.executors.nursery import Config
from tapetum.executors.process import ProcessExecutor
from tapetum.tasks.plan import Shard
from tapetum.vision import messages


def greys(count: int) -> list[tuple[int, int, int]]:
    return [(n % 200, n % 200, n % 200) for n in range(count)]


def called(executor: ProcessExecutor, colours) -> list:
    answer = executor.annotate(requests(colours).SerializeToString()).result(PATIENCE)
    response = messages.BatchAnnotateImagesResponse.FromString(answer)
    return json.loads(messages.to_json(response))["responses"]


def test_a_task_is_run_and_told_of(make_executor, folder: Path):
    line = Listening()
    make_executor().submit(task(greys(5)), line).result(PATIENCE)
    assert answers(folder) == [expected(colour) for colour in greys(5)]
    assert line.shards == [(Shard(1, 2), 0), (Shard(3, 4), 0), (Shard(5, 5), 0)]


@pytest.mark.parametrize(
    ("poison", "blame"),
    [(RED, DIED), (MAGENTA, DIED), (CYAN, EXHAUSTED)],
    ids=["crash", "killed", "memory"],
)
def test_an_image_that_ends_its_worker_is_named_and_the_others_are_answered(
    make_executor, folder: Path, poison, blame
):
    colours = [*greys(3), poison, *greys(9), poison]
    line = Listening()
    executor = make_executor(image_memory=2**29)
    executor.submit(task(colours), line).result(PATIENCE)
    assert answers(folder) == [blame if c == poison else expected(c) for c in colours]
    assert sum(failed for _, failed in line.shards) == 2
    assert [shard.first for shard, _ in line.shards] == [1, 3, 5, 7, 9, 11, 13]


def test_a_call_whose_image_ends_its_worker_has_the_other_answers(make_executor):
    colours = [*greys(2), RED, *greys(2)]
    answer = called(make_executor(), colours)
    assert answer == [DIED if colour == RED else expected(colour) for colour in colours]


def test_an_image_that_never_ends_is_cut(make_executor, folder: Path):
    colours = [*greys(2), YELLOW, *greys(1)]
    executor = make_executor(image_seconds=5.0)
    executor.submit(task(colours), Listening()).result(PATIENCE)
    assert answers(folder) == [OVERRAN if c == YELLOW else expected(c) for c in colours]


def test_calls_are_answered_beside_a_task_that_is_stuck(make_executor, folder: Path):
    executor = make_executor(workers=1)
    line = Listening()
    stuck = executor.submit(task([YELLOW]), line)
    wait_for((folder / "stuck").exists)
    assert called(executor, greys(1)) == [expected(greys(1)[0])]
    line.raises = LeaseLost("cancelled")
    with pytest.raises(LeaseLost):
        stuck.result(PATIENCE)
    assert called(executor, greys(1)) == [expected(greys(1)[0])]


def test_a_task_that_is_cancelled_lets_go_of_its_worker(make_executor, folder: Path):
    executor = make_executor(workers=1)
    line = Listening()
    stuck = executor.submit(task([YELLOW]), line)
    wait_for((folder / "stuck").exists)
    line.raises = LeaseLost("cancelled")
    with pytest.raises(LeaseLost):
        stuck.result(PATIENCE)
    again = Listening()
    executor.submit(task(greys(2)), again).result(PATIENCE)
    assert again.shards == [(Shard(1, 2), 0)]


def test_a_task_that_is_stopped_ends_after_its_image(make_executor, folder: Path):
    executor = make_executor(workers=1)
    line = Listening()
    running = executor.submit(task([GREEN, *greys(20)], batch_size=1), line)
    wait_for((folder / "waiting").exists)
    line.raises = TaskStopped("stop")
    (folder / "go").touch()
    with pytest.raises(TaskStopped):
        running.result(PATIENCE)
    assert len(line.shards) < 21


def test_what_does_not_stop_is_abandoned(make_executor, folder: Path):
    executor = make_executor(workers=1)
    line = Listening()
    stuck = executor.submit(task([YELLOW]), line)
    wait_for((folder / "stuck").exists)
    line.raises = TaskStopped("stop")
    executor.abandon()
    with pytest.raises(TaskStopped):
        stuck.result(PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGTERM])
def test_nobody_is_blamed_for_signals_from_outside(make_executor, folder: Path, number):
    """Fifty of them over a batch of two hundred, to whichever process comes."""
    executor = make_executor(workers=2)
    colours = greys(200)
    line = Listening()
    running = executor.submit(task(colours, batch_size=4), line)
    choice, sent = random.Random(7), 0
    while not running.done() and sent < 50:
        written = len(line.shards)
        _, *workers = executor.pids
        if workers:
            try:
                os.kill(choice.choice(workers), number)
                sent += 1
            except ProcessLookupError:
                continue
        wait_for(lambda so_far=written: running.done() or len(line.shards) > so_far)
    running.result(PATIENCE)
    assert sent > 20
    assert answers(folder) == [expected(colour) for colour in colours]


def test_a_job_that_goes_on_is_not_given_up(make_executor, folder: Path, monkeypatch):
    """However many workers it takes, as long as something is written in between."""
    monkeypatch.setattr(process, "MOST_UNEXPLAINED", 3)
    executor = make_executor(workers=1)
    colours = greys(60)

    class Killing(Listening):
        def written(self, shard, failed):
            super().written(shard, failed)
            for pid in executor.pids[1:]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    executor.submit(task(colours, batch_size=2), Killing()).result(PATIENCE)
    assert answers(folder) == [expected(colour) for colour in colours]


def test_a_nursery_that_dies_is_replaced_and_nobody_is_blamed(make_executor, folder: Path):
    executor = make_executor(workers=2)
    line = Listening()
    running = executor.submit(task([GREEN, *greys(5)]), line)
    wait_for((folder / "waiting").exists)
    first, *_ = executor.pids
    os.kill(first, signal.SIGKILL)
    (folder / "go").touch()
    running.result(PATIENCE)
    assert answers(folder) == [expected(colour) for colour in [GREEN, *greys(5)]]
    assert executor.pids[0] != first
    assert called(executor, greys(1)) == [expected(greys(1)[0])]


def test_a_worker_ends_with_its_server(make_executor):
    executor = make_executor(workers=2)
    assert called(executor, greys(1))
    pids = executor.pids
    assert len(pids) == 3
    executor.close()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def test_what_keeps_workers_from_beginning_is_said_at_once():
    with pytest.raises(SettingsError, match="no toys today"):
        ProcessExecutor(Config("worker_toys:broken"), 1, 60)
    with pytest.raises(SettingsError, match="no toys today"):
        ProcessExecutor(Config("worker_toys:broken_later"), 1, 60)
