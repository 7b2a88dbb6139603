"""What every ledger must do, over every ledger."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tapetum.errors import LeaseLost
from tapetum.ledger import (
    SECOND,
    Claim,
    Ledger,
    OperationRecord,
    OperationState,
)
from tapetum.ledger.memory import MemoryLedger
from tapetum.ledger.sql import SqlLedger
from tapetum.tasks.plan import Task

LEASE = 30.0


class Clock:
    """Time stands still until told otherwise."""

    def __init__(self) -> None:
        self.now = 1_700_000_000 * SECOND

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    made: Ledger
    if request.param == "memory":
        made = MemoryLedger(clock)
    else:
        made = SqlLedger(tmp_path / "ledger.sqlite", clock)
    yield made
    made.close()


Create = Callable[..., OperationRecord]


@pytest.fixture
def create(ledger: Ledger, clock: Clock) -> Create:
    """Creates an operation of ``tasks`` tasks of two images each."""

    def make(
        name: str = "projects/p/operations/1",
        tasks: int = 2,
        project: str = "p",
        version: str = "v1",
    ):
        record = OperationRecord(
            name, project, version, b"response", 2 * tasks, clock(), principal="alice"
        )
        rows = [
            Task(name, first, first + 1, 1, "gs://out/", b"requests %d" % first, principal="alice")
            for first in range(1, 2 * tasks + 1, 2)
        ]
        return ledger.create(record, rows)

    return make


def claim(ledger: Ledger, owner: str = "worker") -> Claim:
    claimed = ledger.claim(owner, LEASE)
    assert claimed is not None
    return claimed


def found(ledger: Ledger, name: str = "projects/p/operations/1") -> OperationRecord:
    record = ledger.get(name)
    assert record is not None
    return record


def test_an_operation_goes_from_created_to_done(ledger: Ledger, create: Create, clock: Clock):
    created = create(tasks=2)
    assert found(ledger) == created
    assert created.state is OperationState.CREATED
    assert created.updated == created.created

    clock.advance(1)
    first = claim(ledger)
    assert found(ledger).state is OperationState.RUNNING
    assert found(ledger).updated == clock()
    second = claim(ledger)
    assert ledger.claim("worker", LEASE) is None
    ledger.record(first, done=1, images=1, failed=0)
    ledger.record(first, done=2, images=1, failed=1)
    assert (found(ledger).images_done, found(ledger).images_failed) == (2, 1)
    ledger.complete(first)
    assert found(ledger).state is OperationState.RUNNING
    ledger.record(second, done=2, images=2, failed=0)
    ledger.complete(second)

    done = found(ledger)
    assert done.state is OperationState.DONE
    assert (done.error_code, done.images_done, done.response) == (0, 4, b"response")


def test_tasks_are_claimed_oldest_first_with_all_a_worker_needs(ledger: Ledger, create: Create):
    create("projects/p/operations/a", tasks=2)
    create("projects/p/operations/b", tasks=1)
    claims = [claim(ledger) for _ in range(3)]
    assert [(one.task.operation[-1], one.task.first) for one in claims] == [
        ("a", 1), ("a", 3), ("b", 1),
    ]  # fmt: skip
    assert claims[1].task == Task(
        "projects/p/operations/a", 3, 4, 1, "gs://out/", b"requests 3", done=0, principal="alice"
    )
    assert (claims[0].owner, claims[0].attempt, claims[0].strikes) == ("worker", 1, 1)


def test_projects_take_turns(ledger: Ledger, create: Create):
    """However much one has queued, and with one worker as with many."""

    def served(count: int) -> str:
        names = []
        for _ in range(count):
            held = claim(ledger)
            names.append(held.task.operation[-2:])
            ledger.complete(held)
        return " ".join(names)

    create("projects/a/operations/a1", tasks=6, project="a")
    assert served(2) == "a1 a1"
    create("projects/a/operations/a2", tasks=1, project="a")
    create("projects/b/operations/b1", tasks=2, project="b")
    create("projects/c/operations/c1", tasks=1, project="c")
    assert served(4) == "b1 c1 a1 b1"
    assert served(2) == "a1 a1"
    create("projects/c/operations/c2", tasks=2, project="c")  # what was away does not catch up
    held = claim(ledger)
    ledger.release(held)
    assert held.task.operation[-2:] == "c2"
    assert served(4) == "a1 c2 a2 c2"
    assert ledger.claim("worker", LEASE) is None


def test_a_project_whose_tasks_wait_misses_its_turn(ledger: Ledger, create: Create, clock: Clock):
    create("projects/a/operations/1", tasks=1, project="a")
    create("projects/b/operations/2", tasks=1, project="b")
    ledger.release(claim(ledger), wait=5, strike=True)
    held = claim(ledger)
    assert held.task.project == "b"
    assert ledger.claim("worker", LEASE) is None
    ledger.purge(clock() + 1)  # nothing has ended
    clock.advance(5)
    assert claim(ledger).task.project == "a"


def test_many_threads_never_claim_the_same_task(ledger: Ledger, create: Create):
    create(tasks=40)
    taken: list[int] = []

    def work() -> None:
        while (claimed := ledger.claim(threading.current_thread().name, LEASE)) is not None:
            taken.append(claimed.task.first)
            ledger.complete(claimed)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 81, 2))
    assert found(ledger).state is OperationState.DONE


def test_an_expired_lease_is_taken_over_and_the_old_owner_is_not_heard(
    ledger: Ledger, create: Create, clock: Clock
):
    create(tasks=1)
    old = claim(ledger, "old")
    ledger.record(old, done=1, images=1, failed=0)
    clock.advance(LEASE - 1)
    assert ledger.expire() == 0
    clock.advance(2)
    assert ledger.expire() == 1

    new = claim(ledger, "new")
    assert (new.task.first, new.task.done, new.attempt) == (1, 1, 2)
    with pytest.raises(LeaseLost):
        ledger.record(old, done=2, images=1, failed=0)
    with pytest.raises(LeaseLost):
        ledger.complete(old)
    ledger.release(old)
    ledger.fail(old, 7, "no")
    assert ledger.heartbeat([old, new], LEASE) == [old]
    assert found(ledger).images_done == 1
    assert found(ledger).error_code == 0
    ledger.complete(new)
    assert found(ledger).state is OperationState.DONE


def test_a_second_claim_by_the_same_owner_fences_off_the_first(
    ledger: Ledger, create: Create, clock: Clock
):
    create(tasks=1)
    first = claim(ledger)
    clock.advance(LEASE + 1)
    ledger.expire()
    second = claim(ledger)
    with pytest.raises(LeaseLost):
        ledger.complete(first)
    ledger.complete(second)


def test_a_heartbeat_keeps_the_lease(ledger: Ledger, create: Create, clock: Clock):
    create(tasks=1)
    held = claim(ledger)
    for _ in range(5):
        clock.advance(LEASE - 1)
        assert ledger.heartbeat([held], LEASE) == []
        assert ledger.expire() == 0
    ledger.complete(held)


def test_a_released_task_can_be_claimed_again_without_a_strike(ledger: Ledger, create: Create):
    create(tasks=1)
    for attempt in range(1, 7):
        held = claim(ledger)
        assert (held.attempt, held.strikes) == (attempt, 1)
        ledger.release(held)


def test_a_failed_task_waits_and_keeps_its_strike(ledger: Ledger, create: Create, clock: Clock):
    create(tasks=1)
    ledger.release(claim(ledger), wait=5, strike=True)
    assert ledger.claim("worker", LEASE) is None
    clock.advance(5)
    assert claim(ledger).strikes == 2


def test_a_recorded_shard_wipes_the_strikes(ledger: Ledger, create: Create):
    create(tasks=1)
    ledger.release(claim(ledger), strike=True)
    held = claim(ledger)
    ledger.record(held, done=1, images=1, failed=0)
    ledger.release(held, strike=True)
    assert claim(ledger).strikes == 1


def test_a_lease_that_runs_out_is_no_strike(ledger: Ledger, create: Create, clock: Clock):
    """That a server died says nothing of the tasks that it held."""
    create(tasks=1)
    for _ in range(20):
        assert claim(ledger).strikes == 1
        clock.advance(LEASE + 1)
        assert ledger.expire() == 1
    ledger.release(claim(ledger), strike=True)
    assert claim(ledger).strikes == 2
    clock.advance(LEASE + 1)
    ledger.expire()
    assert claim(ledger).strikes == 2


def test_a_lone_server_takes_back_every_lease_at_once(ledger: Ledger, create: Create):
    create(tasks=3)
    held = [claim(ledger), claim(ledger)]
    assert ledger.reclaim() == 2
    assert ledger.heartbeat(held, LEASE) == held
    with pytest.raises(LeaseLost):
        ledger.record(held[0], done=1, images=1, failed=0)
    again = claim(ledger)
    assert (again.task.first, again.strikes) == (held[0].task.first, 1)
    assert ledger.reclaim() == 1
    assert ledger.reclaim() == 0


def test_cancel_ends_the_operation_and_takes_the_leases(ledger: Ledger, create: Create):
    create(tasks=2)
    held = claim(ledger)
    ledger.cancel("projects/p/operations/1")
    record = found(ledger)
    assert record.state is OperationState.CANCELLED
    assert (record.error_code, record.error_message) == (1, "The operation was cancelled.")
    assert ledger.heartbeat([held], LEASE) == [held]
    with pytest.raises(LeaseLost):
        ledger.record(held, done=1, images=1, failed=0)
    assert ledger.claim("worker", LEASE) is None


def test_cancel_changes_nothing_that_has_ended(ledger: Ledger, create: Create):
    create(tasks=1)
    ledger.complete(claim(ledger))
    before = found(ledger)
    ledger.cancel(before.name)
    assert found(ledger) == before
    ledger.cancel("projects/p/operations/unknown")


def test_fail_ends_the_operation_with_the_error(ledger: Ledger, create: Create):
    create(tasks=2)
    first, second = claim(ledger), claim(ledger)
    ledger.fail(first, 7, "no bucket")
    record = found(ledger)
    assert record.state is OperationState.DONE
    assert (record.error_code, record.error_message) == (7, "no bucket")
    with pytest.raises(LeaseLost):
        ledger.complete(second)


def test_delete_forgets_what_ended_and_hides_what_runs(ledger: Ledger, create: Create):
    create(tasks=1)
    held = claim(ledger)
    ledger.delete("projects/p/operations/1")
    assert ledger.get("projects/p/operations/1") is None
    assert ledger.recent(None, None, None, 10) == []
    ledger.record(held, done=2, images=2, failed=0)  # the work goes on
    ledger.complete(held)
    assert ledger.get("projects/p/operations/1") is None
    create(tasks=1)  # the name is free: nothing is left of the first
    ledger.complete(claim(ledger))
    ledger.delete("projects/p/operations/1")
    assert ledger.get("projects/p/operations/1") is None
    ledger.delete("projects/p/operations/unknown")


def test_recent_lists_newest_first_by_project_and_end(ledger: Ledger, create: Create):
    names = [f"projects/{'ab'[n % 2]}/operations/{n}" for n in range(6)]
    records = [create(name, tasks=1, project=name[9]) for name in names]
    for _ in range(2):
        ledger.complete(claim(ledger))
    assert [row.name for row in ledger.recent(None, None, None, 10)] == names[::-1]
    assert [row.name for row in ledger.recent("a", None, None, 10)] == names[4::-2]
    assert [row.name for row in ledger.recent(None, True, None, 10)] == names[1::-1]
    assert [row.name for row in ledger.recent(None, False, None, 2)] == names[:3:-1]
    assert [row.name for row in ledger.recent(None, None, records[2].serial, 10)] == names[1::-1]


def test_purge_forgets_what_ended_long_ago(ledger: Ledger, create: Create, clock: Clock):
    create("projects/p/operations/old", tasks=1)
    ledger.complete(claim(ledger))
    clock.advance(10)
    between = clock()
    clock.advance(10)
    create("projects/p/operations/new", tasks=1)
    ledger.complete(claim(ledger))
    create("projects/p/operations/running", tasks=1)
    assert ledger.purge(between) == 1
    assert [row.name[-3:] for row in ledger.recent(None, None, None, 10)] == ["ing", "new"]


def test_an_unknown_operation_is_none(ledger: Ledger):
    assert ledger.get("projects/p/operations/none") is None


def test_a_task_knows_the_version_of_its_operation(ledger: Ledger, create: Create) -> None:
    create(version="v1p4beta1")
    assert found(ledger).api_version == "v1p4beta1"
    assert claim(ledger).task.api_version == "v1p4beta1"


def test_the_rate_counts_from_the_start_to_the_last_news(
    ledger: Ledger, create: Create, clock: Clock
) -> None:
    create(tasks=2)
    assert (found(ledger).images_per_second, found(ledger).seconds_left) == (None, None)
    clock.advance(3)
    held = claim(ledger)
    clock.advance(5)
    ledger.record(held, 1, 1, 0)
    clock.advance(100)  # no news in the meantime
    assert found(ledger).images_per_second == 1 / 8
    assert found(ledger).seconds_left == 24
    ledger.cancel(held.task.operation)
    assert found(ledger).seconds_left is None


def test_tasks_of_several_files_are_kept_apart(ledger: Ledger, clock: Clock):
    name = "projects/p/operations/files"
    method = "AsyncBatchAnnotateFiles"
    record = OperationRecord(name, "p", "v1p4beta1", b"", 5, clock(), method)
    rows = [
        Task(name, first, last, 1, f"gs://out/{file}/", b"asked %d" % file, file=file)
        for file, first, last in ((1, 1, 2), (1, 3, 3), (2, 1, 2))
    ]
    ledger.create(record, rows)
    held = [claim(ledger) for _ in range(3)]
    assert [(one.task.file, one.task.first) for one in held] == [(1, 1), (1, 3), (2, 1)]
    assert [one.task.output_uri for one in held] == ["gs://out/1/"] * 2 + ["gs://out/2/"]
    assert held[2].task.requests == b"asked 2"
    assert held[0].task.api_version == "v1p4beta1"

    ledger.record(held[2], done=1, images=1, failed=0)
    for one in held[:2]:
        ledger.complete(one)
    with pytest.raises(LeaseLost):
        ledger.complete(held[0])
    ledger.release(held[2])
    again = claim(ledger)
    assert (again.task.file, again.task.first, again.task.done) == (2, 1, 1)
    ledger.complete(again)
    assert (found(ledger, name).state, found(ledger, name).method) == (OperationState.DONE, method)


def test_an_operation_may_have_ended_when_it_is_written_down(ledger: Ledger, clock: Clock):
    name = "projects/p/operations/1"
    ended = OperationRecord(
        name, "p", "v1", b"", 0, clock(), state=OperationState.DONE, error_code=3,
        error_message="broken",
    )  # fmt: skip
    assert ledger.create(ended, []).state is OperationState.DONE
    assert (found(ledger).error_code, found(ledger).error_message) == (3, "broken")
    assert ledger.claim("worker", LEASE) is None
    assert [row.name for row in ledger.recent(None, True, None, 10)] == [name]
    ledger.cancel(name)
    assert found(ledger).error_code == 3
    ledger.delete(name)
    assert ledger.get(name) is None
