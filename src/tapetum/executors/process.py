"""Tasks and calls in worker processes, which may die.

A picture can crash a library, never end, or take all memory. Here that costs a worker and some
time: everything that was not in its hands goes on at once in another, and what was is tried again
alone (`tapetum.executors.blame`).
"""

from __future__ import annotations

import logging
import math
import queue
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tapetum.errors import LeaseLost, ServerFailed, TaskStopped
from tapetum.executors import faults
from tapetum.executors.blame import Cause, Record
from tapetum.executors.calls import Calls
from tapetum.executors.jobs import CallJob, Job, TaskJob, answer_of
from tapetum.executors.nursery import Config
from tapetum.executors.workers import TICK, Begun, Died, Heard, Worker, Workers
from tapetum.signals.context import NO_CONTEXT, RequestContext
from tapetum.tasks.control import Control
from tapetum.tasks.plan import Shard, Task

log = logging.getLogger(__name__)

#: Seconds that a worker has to let go of a job that nobody wants any more.
GRACE = 3.0
#: Of an image's time, what each further image in hand adds while several are looked at together.
IN_COMPANY = 0.25
#: Workers in a row that may end without an image in hand, and without having written a shard,
#: before the job is given up.
MOST_UNEXPLAINED = 8


#: `Workers.begin` or `Workers.begin_alone`.
Begin: TypeAlias = Callable[[Job, Callable[[], None]], Begun]


@dataclass(slots=True)
class _InHand:
    """The images that a worker has begun with, and when it last said anything of them."""

    image_seconds: float
    positions: set[int] = field(default_factory=set)
    heard: float = field(default_factory=time.monotonic)

    def note(self, message: dict[str, Any]) -> None:
        """A ``started`` or ``finished``."""
        self.heard = time.monotonic()
        position = int(message["position"])
        if message["say"] == "started":
            self.positions.add(position)
        else:
            self.positions.discard(position)

    @property
    def is_late(self) -> bool:
        """Whether an image has had its time. Waiting for a store is nobody's time."""
        if not self.positions:
            return False
        allowed = self.image_seconds * (1 + IN_COMPANY * (len(self.positions) - 1))
        return time.monotonic() - self.heard > allowed


@dataclass(slots=True)
class _Ended:
    """How a job's stay in one worker ended: with an ``answer``, or with the ``cause`` of the
    worker's death, the ``suspects`` it had in hand and what is left of the ``job``."""

    job: Job
    answer: bytes | None = None
    cause: Cause | None = None
    suspects: frozenset[int] = frozenset()
    was_alone: bool = False


@dataclass(slots=True)
class _Stay:
    """A job in the hands of one worker. ``job`` is what is left of it.

    ``unwanted``: until when the worker is waited for that was told to let go. ``fault``: of whoever
    was told of a shard; it is raised when the worker has let go, so that nothing is begun beside
    what it still writes.
    """

    job: Job
    control: Control
    worker: Worker
    number: int
    in_hand: _InHand
    unwanted: float | None = None
    fault: BaseException | None = None

    def follow(
        self, inbox: queue.SimpleQueue[Heard], kill: Callable[[Worker, Cause | None], None]
    ) -> _Ended:
        """Until the worker is done with it or dead. Raises what it failed with."""
        while True:
            try:
                heard = inbox.get(timeout=TICK)
            except queue.Empty:
                heard = None
            if self.fault is not None and _is_last(heard):
                raise self.fault
            if isinstance(heard, Died):
                suspects = frozenset(self.in_hand.positions)
                alone = heard.alone and len(suspects) == 1
                return _Ended(self.job, None, heard.cause, suspects, alone)
            if heard is not None and (ended := self._take(*heard)):
                return ended
            if self.unwanted is None:
                self.unwanted = _unwanted(self.control, self.worker, self.number)
            elif time.monotonic() > self.unwanted:
                kill(self.worker, None)
            if self.in_hand.is_late:
                log.warning("worker %d is at an image for too long", self.worker.pid)
                kill(self.worker, Cause.OVERRAN)

    def _take(self, message: dict[str, Any], answer: bytes) -> _Ended | None:
        match message["say"]:
            case "started" | "finished":
                self.in_hand.note(message)
            case "written":
                shard = Shard(int(message["first"]), int(message["last"]))
                self._written(shard, int(message["failed"]))
            case "done":
                return _Ended(self.job, answer)
            case "failed":
                raise faults.from_json(message)
        return None

    def _written(self, shard: Shard, failed: int) -> None:
        try:
            self.control.written(shard, failed)
        except Exception as error:  # noqa: BLE001 (raised by `follow`)
            self.fault = self.fault or error
            self.worker.send("lose", self.number)
            self.unwanted = self.unwanted or time.monotonic() + GRACE
        self.job = self.job.after(shard)


class ProcessExecutor:
    """``workers`` processes; each runs a task and, beside it, a call that waits for its answer,
    which therefore never queues behind a batch.

    An image has ``image_seconds`` from the moment its bytes are there until its answer; the memory
    limit is the `Config`'s. Raises as `Workers` does.
    """

    def __init__(self, config: Config, workers: int, image_seconds: float) -> None:
        self._slots = workers
        self._image_seconds = image_seconds
        self._workers = Workers(config, workers)
        self._tasks = ThreadPoolExecutor(workers, thread_name_prefix="task")
        self._calls = Calls(self._run, workers)

    @property
    def slots(self) -> int:
        return self._slots

    @property
    def pids(self) -> list[int]:
        """The processes there are, the nursery first."""
        return self._workers.pids

    def submit(self, task: Task, control: Control) -> Future[None]:
        def work() -> None:
            self._run(TaskJob(task), control)

        return self._tasks.submit(work)

    def annotate(self, requests: bytes, context: RequestContext = NO_CONTEXT) -> Future[bytes]:
        return self._calls.submit(CallJob("images", requests, context))

    def annotate_file(self, request: bytes, context: RequestContext = NO_CONTEXT) -> Future[bytes]:
        return self._calls.submit(CallJob("file", request, context))

    def drain(self, seconds: float) -> None:
        self._calls.drain(seconds)

    def abandon(self) -> None:
        """Kill the workers that have something in hand; their tasks are given back."""
        for worker in self._workers.busy:
            self._workers.kill(worker, None)

    def close(self) -> None:
        self._tasks.shutdown(wait=False, cancel_futures=True)
        self._calls.close()
        self._workers.close()
        self._tasks.shutdown()
        self._calls.join()

    def _run(self, job: Job, control: Control) -> bytes:
        """The answer of ``job``, however many workers it takes."""
        unexplained = 0
        while True:
            control.check()
            ended = self._try(job, control, self._workers.begin)
            if ended.answer is not None:
                return ended.answer
            control.check()
            went_on = ended.job is not job
            unexplained = 0 if ended.suspects or went_on else unexplained + 1
            if unexplained >= MOST_UNEXPLAINED:
                raise ServerFailed("Worker processes keep ending: the log has the rest.")
            job = ended.job
            for position in sorted(ended.suspects):
                record = Record()
                if ended.was_alone and ended.cause is not None:
                    record.died(ended.cause)
                answer = self._alone(job, position, control, record)
                if answer is not None:
                    job = job.knowing({position: answer})

    def _alone(self, job: Job, position: int, control: Control, record: Record) -> bytes | None:
        """The answer of one image, looked at where nothing else runs; the blame if it goes on
        ending its worker. ``None`` if its file cannot be opened: the job itself will say so."""
        call = job.alone(position)
        while not record.is_blamed:
            control.check()
            ended = self._try(call, control, self._workers.begin_alone)
            if ended.answer is not None:
                return answer_of(call, ended.answer)
            if ended.cause is not None:
                record.died(ended.cause)
        log.error("an image ends its workers (it %s): position %d", record.cause.value, position)
        return job.blamed(position, record.cause)

    def _try(
        self, job: Job, control: Control, begin: Callable[[Job, Callable[[], None]], Begun]
    ) -> _Ended:
        """Have one worker do ``job``."""
        worker, number, inbox = begin(job, control.check)
        stay = _Stay(job, control, worker, number, _InHand(self._image_seconds))
        try:
            return stay.follow(inbox, self._workers.kill)
        finally:
            self._workers.finish(worker, number)


def _is_last(heard: Heard | None) -> bool:
    """Whether the worker has nothing more to say of the job."""
    if heard is None:
        return False
    return isinstance(heard, Died) or heard[0]["say"] in ("done", "failed")


def _unwanted(control: Control, worker: Worker, number: int) -> float | None:
    """Until when to wait for a job that nobody wants any more, if so; then the worker is told."""
    try:
        control.check()
    except LeaseLost:
        worker.send("lose", number)
        return time.monotonic() + GRACE
    except TaskStopped:
        worker.send("stop", number)
        return math.inf  # whoever stops it says when there is no more time: `abandon`
    return None
