"""A ledger that lives as long as the process: for `tapetum annotate` and for tests."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tapetum.errors import LeaseLost
from tapetum.ledger import (
    CANCELLED,
    SECOND,
    Claim,
    Clock,
    OperationRecord,
    OperationState,
)
from tapetum.tasks.plan import Task


def _now() -> int:
    return time.time_ns() // 1000


@dataclass(slots=True)
class _TaskRow:
    task: Task
    waits_until: int = 0
    owner: str | None = None
    lease_until: int = 0
    attempt: int = 0
    strikes: int = 0


def _key(task: Task) -> tuple[int, int]:
    return task.file, task.first


class MemoryLedger:
    """Operations and tasks in dicts, under one lock."""

    def __init__(self, clock: Clock = _now) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._serial = 0
        self._operations: dict[str, OperationRecord] = {}
        self._hidden: set[str] = set()
        # Insertion order is the order in which a project's tasks are claimed.
        self._tasks: dict[str, dict[tuple[int, int], _TaskRow]] = {}
        self._turns: Counter[str] = Counter()  # project → the number of its last turn

    def create(self, record: OperationRecord, tasks: Sequence[Task]) -> OperationRecord:
        with self._lock:
            self._serial += 1
            record = replace(record, serial=self._serial, updated=record.created)
            self._operations[record.name] = record
            if not record.state.ended:
                self._tasks[record.name] = {
                    _key(task): _TaskRow(replace(task, api_version=record.api_version))
                    for task in tasks
                }
            return record

    def get(self, name: str) -> OperationRecord | None:
        with self._lock:
            return None if name in self._hidden else self._operations.get(name)

    def recent(
        self, project: str | None, done: bool | None, before: int | None, limit: int
    ) -> list[OperationRecord]:
        with self._lock:
            rows = [
                record
                for record in reversed(self._operations.values())
                if record.name not in self._hidden
                and (project is None or record.project == project)
                and (done is None or record.state.ended == done)
                and (before is None or record.serial < before)
            ]
        return rows[:limit]

    def cancel(self, name: str) -> None:
        with self._lock:
            self._end(name, OperationState.CANCELLED, CANCELLED.code, CANCELLED.message)

    def delete(self, name: str) -> None:
        with self._lock:
            record = self._operations.get(name)
            if record is not None and record.state.ended:
                del self._operations[name]
            elif record is not None:
                self._hidden.add(name)

    def claim(self, owner: str, lease: float) -> Claim | None:
        with self._lock:
            now = self._clock()
            waiting: dict[str, _TaskRow] = {}  # project → its oldest task
            for name, rows in self._tasks.items():
                project = self._operations[name].project
                if project not in waiting:
                    free = (row for row in rows.values() if row.owner is None)
                    if row := next((row for row in free if row.waits_until <= now), None):
                        waiting[project] = row
            if not waiting:
                return None
            project = min(waiting, key=self._turns.__getitem__)
            self._turns[project] = max(self._turns.values(), default=0) + 1
            row = waiting[project]
            self._update(row.task.operation, state=OperationState.RUNNING)
            return self._lease(row, owner, now + int(lease * SECOND))

    def heartbeat(self, claims: Sequence[Claim], lease: float) -> list[Claim]:
        with self._lock:
            lost = []
            for claim in claims:
                row = self._held(claim)
                if row is None:
                    lost.append(claim)
                else:
                    row.lease_until = self._clock() + int(lease * SECOND)
            return lost

    def record(self, claim: Claim, done: int, images: int, failed: int) -> None:
        with self._lock:
            row = self._held_or_lost(claim)
            row.task = replace(row.task, done=done)
            row.strikes = 0
            record = self._operations[claim.task.operation]
            self._update(
                record.name,
                images_done=record.images_done + images,
                images_failed=record.images_failed + failed,
            )

    def complete(self, claim: Claim) -> None:
        with self._lock:
            self._held_or_lost(claim)
            name = claim.task.operation
            del self._tasks[name][_key(claim.task)]
            if not self._tasks[name]:
                self._end(name, OperationState.DONE, 0, "")

    def release(self, claim: Claim, *, wait: float = 0.0, strike: bool = False) -> None:
        with self._lock:
            row = self._held(claim)
            if row is not None:
                row.owner = None
                row.waits_until = self._clock() + int(wait * SECOND)
                if not strike and row.strikes > 0:  # a recorded shard wiped this claim's already
                    row.strikes -= 1

    def fail(self, claim: Claim, code: int, message: str) -> None:
        with self._lock:
            if self._held(claim) is not None:
                self._end(claim.task.operation, OperationState.DONE, code, message)

    def expire(self) -> int:
        return self._give_back(self._clock())

    def reclaim(self) -> int:
        return self._give_back(None)

    def _give_back(self, now: int | None) -> int:
        """The tasks whose lease ran out before ``now``, or all that are leased."""
        with self._lock:
            given_back = 0
            for rows in self._tasks.values():
                for row in rows.values():
                    if row.owner is not None and (now is None or row.lease_until < now):
                        row.owner = None
                        row.strikes = max(0, row.strikes - 1)
                        given_back += 1
            return given_back

    def purge(self, before: int) -> int:
        with self._lock:
            old = [
                record.name
                for record in self._operations.values()
                if record.state.ended and record.updated < before
            ]
            for name in old:
                del self._operations[name]
            return len(old)

    def close(self) -> None:
        """Nothing to let go of."""

    def _lease(self, row: _TaskRow, owner: str, until: int) -> Claim:
        row.owner, row.lease_until = owner, until
        row.attempt += 1
        row.strikes += 1
        return Claim(row.task, owner, row.attempt, row.strikes)

    def _held(self, claim: Claim) -> _TaskRow | None:
        row = self._tasks.get(claim.task.operation, {}).get(_key(claim.task))
        if row is None or (row.owner, row.attempt) != (claim.owner, claim.attempt):
            return None
        return row

    def _held_or_lost(self, claim: Claim) -> _TaskRow:
        row = self._held(claim)
        if row is None:
            raise LeaseLost(f"{claim.task.operation} from {claim.task.first}: the lease is lost.")
        return row

    def _update(self, name: str, **changes: object) -> None:
        record = self._operations[name]
        self._operations[name] = replace(record, updated=self._clock(), **changes)  # type: ignore[arg-type]

    def _end(self, name: str, state: OperationState, code: int, message: str) -> None:
        record = self._operations.get(name)
        if record is None or record.state.ended:
            return
        self._update(name, state=state, error_code=code, error_message=message)
        del self._tasks[name]
        if name in self._hidden:
            self._hidden.discard(name)
            del self._operations[name]
