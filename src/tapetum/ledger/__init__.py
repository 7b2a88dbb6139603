"""The ledger: operations and their tasks as rows, the only truth there is.

States of an operation (the numbers of ``OperationMetadata.State``)::

    CREATED ──first claim──▶ RUNNING ──last task──▶ DONE        response set
       │                        ├────output fails──▶ DONE        error set
       └────────cancel──────────┴──────────────────▶ CANCELLED   error set (code 1)

States of a task::

    PENDING ──claim──▶ RUNNING ──complete──▶ (gone)
       ▲                  │
       └──release, lease expired

A finished task has no row, and neither has any task of an operation that ended: what a worker
still does for such a task is refused as `LeaseLost` at its next word. A claim is a lease with a
heartbeat, fenced on (owner, attempt), so that of two workers that believe they hold a task only
the later one is heard.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tapetum.errors import OperationCancelled
from tapetum.tasks.plan import Task

#: Microseconds since 1970, UTC.
Clock = Callable[[], int]
SECOND = 1_000_000


class OperationState(enum.IntEnum):
    """``OperationMetadata.State``."""

    CREATED = 1
    RUNNING = 2
    DONE = 3
    CANCELLED = 4

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in (OperationState.DONE, OperationState.CANCELLED)


#: What an operation that was cancelled ends with.
CANCELLED = OperationCancelled("The operation was cancelled.")


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """One operation as the ledger knows it. Times are microseconds since 1970.

    ``response`` is the serialized response message of ``method``, made when the operation was: it
    is the answer once the operation is done without an error. ``images`` counts pages where the
    method is about files. ``principal`` is who started it, empty where nobody was asked.
    """

    name: str
    project: str
    api_version: str
    response: bytes
    images: int
    created: int
    method: str = "AsyncBatchAnnotateImages"
    serial: int = 0
    state: OperationState = OperationState.CREATED
    updated: int = 0
    images_done: int = 0
    images_failed: int = 0
    error_code: int = 0
    error_message: str = ""
    principal: str = ""

    @property
    def images_per_second(self) -> float | None:
        """Images done in the time from the operation's start to its last news, waiting for
        others included; ``None`` as long as none is."""
        seconds = (self.updated - self.created) / SECOND
        return self.images_done / seconds if self.images_done and seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """What the images that remain take at that rate; ``None`` if it cannot be said."""
        rate = self.images_per_second
        if rate is None or self.state.ended:
            return None
        return (self.images - self.images_done) / rate


@dataclass(frozen=True, slots=True)
class Claim:
    """A task and the right to work on it until the lease runs out.

    ``strikes`` counts the claims of this task that ended in an error, and this one, since a shard
    of it was last recorded.
    """

    task: Task
    owner: str
    attempt: int
    strikes: int


class Ledger(Protocol):
    """Where operations and tasks are kept. Every method is atomic and safe between threads."""

    def create(self, record: OperationRecord, tasks: Sequence[Task]) -> OperationRecord:
        """Write a new operation and its tasks; answers it with its ``serial``. One that has
        ended, with the error it has, has no tasks."""
        ...

    def get(self, name: str) -> OperationRecord | None:
        """The operation called ``name``, or ``None``."""
        ...

    def recent(
        self, project: str | None, done: bool | None, before: int | None, limit: int
    ) -> list[OperationRecord]:
        """Operations, newest first: of one project, (not) ended, of a serial below ``before``."""
        ...

    def cancel(self, name: str) -> None:
        """End the operation with error code 1, unless it has ended. Unknown names are ignored."""
        ...

    def delete(self, name: str) -> None:
        """Forget the operation once it has ended, and hide it until then."""
        ...

    def claim(self, owner: str, lease: float) -> Claim | None:
        """A waiting task, leased to ``owner`` for ``lease`` seconds; ``None`` if none waits.

        Projects take turns, a task each, so that none waits for all that another has queued; a
        project's own tasks go oldest first.
        """
        ...

    def heartbeat(self, claims: Sequence[Claim], lease: float) -> list[Claim]:
        """Extend the leases of ``claims``; answers those that are lost."""
        ...

    def record(self, claim: Claim, done: int, images: int, failed: int) -> None:
        """A shard of ``images`` images, ``failed`` of them with an error, is written: the first
        ``done`` images of the task need never be computed again. `LeaseLost` if the claim is."""
        ...

    def complete(self, claim: Claim) -> None:
        """The task is done; with the last one its operation is. `LeaseLost` if the claim is."""
        ...

    def release(self, claim: Claim, *, wait: float = 0.0, strike: bool = False) -> None:
        """Give the task back, to be claimed again after ``wait`` seconds. Not a strike unless
        said: nothing is wrong with the task. A lost claim is ignored."""
        ...

    def fail(self, claim: Claim, code: int, message: str) -> None:
        """End the operation with an error. A lost claim is ignored."""
        ...

    def expire(self) -> int:
        """Give back the tasks whose lease ran out; answers how many. Not a strike: that their
        server died says nothing of them."""
        ...

    def reclaim(self) -> int:
        """Give back every task that is leased, as `expire` does: for a server that knows that it
        is the only one, and has just begun."""
        ...

    def purge(self, before: int) -> int:
        """Forget the operations that ended before the time ``before``; answers how many."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
