"""The dispatcher: claim → submit → heartbeat → complete."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from tapetum.errors import (
    LeaseLost,
    OperationError,
    ServerUnavailable,
    StoreUnavailable,
    TapetumError,
    TaskStopped,
)
from tapetum.executors import Executor
from tapetum.ledger import SECOND, Claim, Ledger
from tapetum.tasks.lease import Lease
from tapetum.tasks.plan import Shard, Task

log = logging.getLogger(__name__)

#: Claims of a task that ended in an error of the server or of a store, without a shard recorded
#: between them, after which its operation fails.
MAX_STRIKES = 8
#: Seconds between looks at the ledger when nobody in this process says there is work.
IDLE_POLL = 1.0
#: Seconds before a task that failed is tried again, times its strikes.
RETRY_WAIT = 2.0
#: Seconds before a task is tried again for which no worker could be had.
NO_WORKER_WAIT = 5.0
#: Seconds that an executor has to give back what was taken from it; a lease that is not given
#: back runs out by itself.
ABANDON_WAIT = 3.0
#: Seconds between two clean-ups of the ledger.
PURGE_EVERY = 3600.0
DAY = 86_400


@dataclass(slots=True)
class _Running:
    claim: Claim
    lease: Lease
    future: Future[None]


class Dispatcher:
    """Keeps an executor's slots filled with tasks of a ledger, from threads of its own.

    Several dispatchers, in one process or many, may share a ledger. ``lease`` is in seconds; a
    heartbeat goes out three times as often.
    """

    def __init__(
        self, ledger: Ledger, executor: Executor, lease: float = 30.0, retention_days: float = 30.0
    ) -> None:
        self._ledger = ledger
        self._executor = executor
        self._lease = lease
        self._retention_days = retention_days
        self._owner = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
        self._running: dict[tuple[str, int, int, int], _Running] = {}
        self._changed = threading.Condition()
        self._news = False
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._claim_loop, name="claims", daemon=True),
            threading.Thread(target=self._heartbeat_loop, name="heartbeat", daemon=True),
        ]

    def start(self) -> None:
        """Begin to claim tasks."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """There are new tasks: look now."""
        with self._changed:
            self._news = True
            self._changed.notify_all()

    def recheck(self) -> None:
        """An operation may have ended: stop working on its tasks now."""
        self._heartbeat()

    def stop(self, within: float | None = None) -> None:
        """Claim nothing more, give back what runs after its current images, and return.

        What is not given back ``within`` seconds is taken from the executor; without, there is no
        such limit.
        """
        with self._changed:
            self._stopping = True
            for running in self._running.values():
                running.lease.stop()
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: not self._running, within):
                log.warning("%d tasks do not come to rest: they are cut", len(self._running))
                self._executor.abandon()
                self._changed.wait_for(lambda: not self._running, ABANDON_WAIT)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    # --- claiming -----------------------------------------------------------------------------

    def _claim_loop(self) -> None:
        while self._wait_for_slot():
            try:
                claim = self._ledger.claim(self._owner, self._lease)
            except Exception:
                log.exception("the ledger does not answer; trying again")
                claim = None
            if claim is None:
                self._wait_for_news()
            else:
                self._submit(claim)

    def _wait_for_slot(self) -> bool:
        """Wait until a slot is free; ``False`` when stopping."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping or len(self._running) < self._executor.slots
            )
            self._news = False
            return not self._stopping

    def _wait_for_news(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._news, timeout=IDLE_POLL)

    def _submit(self, claim: Claim) -> None:
        lease = Lease(self._lease, partial(self._written, claim))
        log.info("task claimed: %s attempt=%d", _where(claim.task), claim.attempt)
        with self._changed:
            future = self._executor.submit(claim.task, lease)
            self._running[_key(claim)] = _Running(claim, lease, future)
            if self._stopping:
                lease.stop()
        future.add_done_callback(partial(self._settle, claim))

    # --- while it runs ------------------------------------------------------------------------

    def _written(self, claim: Claim, shard: Shard, failed: int) -> None:
        done = shard.last - claim.task.first + 1
        self._ledger.record(claim, done, len(shard), failed)

    def _heartbeat_loop(self) -> None:
        next_purge = time.monotonic()
        while not self._wait_until_stopping(self._lease / 3):
            self._heartbeat()
            try:
                expired = self._ledger.expire()
                if expired:
                    log.warning("%d tasks were given back: their worker is gone", expired)
                if time.monotonic() >= next_purge:
                    next_purge += PURGE_EVERY
                    oldest = time.time() - self._retention_days * DAY
                    self._ledger.purge(int(oldest * SECOND))
            except Exception:
                log.exception("the ledger does not answer; trying again")

    def _wait_until_stopping(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(
                lambda: self._stopping and not self._running, timeout=seconds
            )

    def _heartbeat(self) -> None:
        """Extend the leases of what runs; what was lost learns it here."""
        with self._changed:
            running = dict(self._running)
        if not running:
            return
        try:
            lost = self._ledger.heartbeat([row.claim for row in running.values()], self._lease)
        except Exception:
            # The leases run out by themselves if this goes on.
            log.exception("the ledger does not answer; trying again")
            return
        gone = {_key(claim) for claim in lost}
        for key, row in running.items():
            if key in gone:
                row.lease.lose()
            else:
                row.lease.extend(self._lease)

    # --- when it ends -------------------------------------------------------------------------

    def _settle(self, claim: Claim, future: Future[None]) -> None:
        try:
            self._tell_ledger(claim, future.exception())
        except Exception:
            log.exception("the end of a task could not be recorded; its lease will run out")
        finally:
            with self._changed:
                self._running.pop(_key(claim), None)
                self._news = True
                self._changed.notify_all()

    def _tell_ledger(self, claim: Claim, error: BaseException | None) -> None:
        where = _where(claim.task)
        if error is None:
            self._complete(claim)
        elif isinstance(error, LeaseLost):
            log.info("task dropped, it is no longer ours: %s", where)
        elif isinstance(error, TaskStopped):
            self._ledger.release(claim)
        elif isinstance(error, OperationError):
            log.error("operation failed: %s: %s (%s)", where, error, error.__cause__)
            self._ledger.fail(claim, error.code, error.message)
        elif isinstance(error, ServerUnavailable):  # which says nothing of the task
            log.warning("task given back: %s: %s", where, error)
            self._ledger.release(claim, wait=NO_WORKER_WAIT)
        elif claim.strikes >= MAX_STRIKES:
            log.error("operation given up: %s", where, exc_info=error)
            self._ledger.fail(claim, *_last_word(error))
        else:
            log.error("task failed and will be tried again: %s", where, exc_info=error)
            self._ledger.release(claim, wait=RETRY_WAIT * claim.strikes, strike=True)

    def _complete(self, claim: Claim) -> None:
        try:
            self._ledger.complete(claim)
        except LeaseLost:
            log.info("a finished task was no longer ours: %s", claim.task.operation)


def _key(claim: Claim) -> tuple[str, int, int, int]:
    return claim.task.operation, claim.task.file, claim.task.first, claim.attempt


def _where(task: Task) -> str:
    unit = f"file={task.file} pages" if task.file else "images"
    return f"operation={task.operation} {unit}={task.first}-{task.last}"


def _last_word(error: BaseException) -> tuple[int, str]:
    """What a client is told of a task that failed again and again."""
    if isinstance(error, StoreUnavailable):
        return error.code, "A store did not answer. Try again later."
    return TapetumError.code, "A fault of this server; its log has the rest."
