"""The right to work on a task, kept by the dispatcher that claimed it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from tapetum.errors import LeaseLost, TaskStopped
from tapetum.tasks.plan import Shard


class Lease:
    """The `tapetum.tasks.control.Control` of a claimed task; extended, lost or stopped from another
    thread than the worker's.

    `check` raises `LeaseLost` when the task is no longer the worker's and `TaskStopped` when the
    process is to stop; `written` raises `LeaseLost` as ``on_written`` does.
    """

    def __init__(self, seconds: float, on_written: Callable[[Shard, int], None]) -> None:
        self._lock = threading.Lock()
        self._until = time.monotonic() + seconds
        self._stopped = False
        self._on_written = on_written

    def extend(self, seconds: float) -> None:
        """The lease lasts ``seconds`` from now, unless it ran out or was lost before."""
        with self._lock:
            now = time.monotonic()
            if now <= self._until:
                self._until = now + seconds

    def lose(self) -> None:
        """Another worker has the task, or nobody wants it any more."""
        with self._lock:
            self._until = float("-inf")

    def stop(self) -> None:
        """Ask the worker to give the task back soon."""
        self._stopped = True

    def check(self) -> None:
        """Raise unless the work may go on."""
        with self._lock:
            if time.monotonic() > self._until:
                raise LeaseLost("The task's lease ran out or was taken back.")
        if self._stopped:
            raise TaskStopped("The server is shutting down.")

    def started(self, position: int) -> None:
        """Nothing: how long an image takes is the executor's business."""

    def finished(self, position: int) -> None:
        """Nothing, as `started`."""

    def written(self, shard: Shard, failed: int) -> None:
        """``shard`` is in the bucket; ``failed`` of its images have an error."""
        self._on_written(shard, failed)
