"""The worker processes of a server, seen from the server: begun, watched, replaced."""

from __future__ import annotations

import json
import logging
import math
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from tapetum.errors import ServerFailed, ServerUnavailable, TapetumError
from tapetum.executors import faults
from tapetum.executors.blame import Cause
from tapetum.executors.jobs import Job
from tapetum.executors.nursery import MESSAGE_BYTES, Config
from tapetum.executors.nursery_process import NurseryProcess
from tapetum.executors.worker import EXHAUSTED, FATAL

log = logging.getLogger(__name__)

#: Seconds that a worker has to begin: on a very busy machine.
BEGIN_SECONDS = 120.0
#: Seconds to wait for the nursery's word of how a worker ended that was heard to be gone.
NOTICE_SECONDS = 10.0
#: Seconds between two looks at whether a job is still wanted.
TICK = 0.1
#: Workers in a row that may end before they begin; then calls and tasks are told so.
MOST_STILLBORN = 5
#: Seconds to the next try after a worker could not be asked for, and for how long that may go on
#: before calls and tasks are told so.
FORK_PAUSE, FORK_PATIENCE = 1.0, 30.0
#: Seconds to the next try after a nursery could not be started: first, and at most.
NURSERY_PAUSE, NURSERY_LONGEST_PAUSE = 0.5, 10.0


@dataclass(frozen=True, slots=True)
class Died:
    """The worker of a job is gone. ``alone``: the job was all that it had in hand."""

    cause: Cause
    alone: bool


#: What a job hears: messages of the worker, with the bytes of its answer, and at last its death.
Heard = tuple[dict[str, Any], bytes] | Died


#: Who has a job, its number there, and what is heard of it.
Begun = tuple["Worker", int, "queue.SimpleQueue[Heard]"]


@dataclass(eq=False, slots=True)
class Worker:
    """One worker process. ``alone``: it is for one job only. ``pid`` is 0 until the nursery has
    told it, ``status`` is what waitpid said of its end. ``unwanted``: it was ended because nothing
    that it has matters any more."""

    number: int
    connection: Connection
    alone: bool = False
    asked: float = field(default_factory=time.monotonic)
    pid: int = 0
    ready: bool = False
    seats: dict[str, int] = field(default_factory=dict)  # seat → job number
    jobs: dict[int, queue.SimpleQueue[Heard]] = field(default_factory=dict)
    killed_for: Cause | None = None
    reported_cause: Cause | None = None
    status: int | None = None
    gone: bool = False
    unwanted: bool = False
    sending: threading.Lock = field(default_factory=threading.Lock)

    def is_free(self, seat: str) -> bool:
        """Whether it can be given a job for ``seat``."""
        return self.ready and not self.alone and seat not in self.seats

    def send(self, *message: Any) -> None:
        """Say something; a worker that is gone need not hear it."""
        with suppress(OSError), self.sending:
            self.connection.send(message)

    def hang_up(self) -> None:
        """End it if it is to be heard of at all: it ends with its line."""
        with suppress(OSError), socket.socket(fileno=os.dup(self.connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)


class Workers:
    """``count`` workers, of a nursery that is started anew when it dies.

    Used from many threads. Raises what keeps the nursery from working (`SettingsError`,
    `ModelError`, `GalleryError`) when made.
    """

    def __init__(self, config: Config, count: int) -> None:
        self._config = config
        self._count = count
        self._lock = threading.Condition()
        self._workers: dict[int, Worker] = {}
        self._numbers = 0
        self._job_numbers = 0
        self._stillborn = 0
        self._closed = False
        self._fault: TapetumError | None = None
        #: Of the monotonic clock: when a worker was first asked for in vain, and the next try.
        self._vain_since, self._next_try = math.inf, 0.0
        try:
            #: Without one, another is not to be had yet.
            self._nursery: NurseryProcess | None = NurseryProcess(config)
        except OSError as error:
            raise ServerFailed(f"No worker processes can be started: {error}.") from error
        _in_thread(self._keep_nursery, self._nursery)
        with self._lock:
            self._first()
            self._fill()

    def _first(self) -> None:
        """The first worker; what keeps it from beginning would keep the others too."""
        self._fork()
        self._lock.wait_for(
            lambda: self._fault or self._stillborn or not self._workers or self._is_begun()
        )
        if not self._is_begun():
            fault = self._fault or ServerFailed("A worker process ended before it began.")
            threading.Thread(target=self.close).start()  # which wants the lock
            raise fault

    def _is_begun(self) -> bool:
        return any(worker.ready for worker in self._workers.values())

    @property
    def pids(self) -> list[int]:
        """Of the nursery and of every worker that has begun."""
        with self._lock:
            workers = [worker.pid for worker in self._workers.values() if worker.pid]
            return [*([self._nursery.pid] if self._nursery else []), *workers]

    # --- jobs ---------------------------------------------------------------------------------

    @property
    def busy(self) -> list[Worker]:
        """Those that have something in hand."""
        with self._lock:
            return [worker for worker in self._workers.values() if worker.jobs]

    def begin(self, job: Job, check: Callable[[], None]) -> Begun:
        """Give ``job`` to a worker whose seat for it is free, when there is one.

        ``check`` may end the wait by raising. Raises `ServerUnavailable` when workers do not begin.
        """
        with self._lock:
            while True:
                self._check_usable()
                free = [w for w in self._workers.values() if w.is_free(job.seat)]
                if free:
                    # The one with the least in hand: a call beside a task slows both.
                    worker = min(free, key=lambda worker: (len(worker.seats), worker.number))
                    number, inbox = self._seat(worker, job)
                    break
                self._fill()
                self._lock.wait(TICK)
                check()
        worker.send("run", number, job)
        return worker, number, inbox

    def begin_alone(self, job: Job, check: Callable[[], None]) -> Begun:
        """Give ``job`` to a new worker in which nothing else ever runs; raises as `begin`."""
        with self._lock:
            worker = None
            try:
                while worker is None or not worker.ready:
                    self._check_usable()
                    if worker is None or worker.gone:
                        worker = self._fork(alone=True)
                    self._lock.wait(TICK)
                    check()
            except BaseException:
                if worker is not None:
                    self.kill(worker, None)
                raise
            number, inbox = self._seat(worker, job)
        worker.send("run", number, job)
        return worker, number, inbox

    def finish(self, worker: Worker, job_number: int) -> None:
        """The job is out of the worker's hands; one that was alone is ended."""
        with self._lock:
            worker.jobs.pop(job_number, None)
            worker.seats = {seat: n for seat, n in worker.seats.items() if n != job_number}
            self._lock.notify_all()
        if worker.alone and not worker.gone:
            self.kill(worker, None)

    def kill(self, worker: Worker, cause: Cause | None) -> None:
        """End ``worker`` at once, for ``cause``; ``None``: nothing of it matters any more."""
        with self._lock:
            worker.killed_for = worker.killed_for or cause
            worker.unwanted = worker.unwanted or cause is None
            if worker.pid and self._nursery is not None:
                self._nursery.kill(worker.pid)
            else:
                worker.hang_up()

    def close(self) -> None:
        """End every process."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
            nursery = self._nursery
        if nursery is not None:
            nursery.end()  # and with it its children

    def _seat(self, worker: Worker, job: Job) -> tuple[int, queue.SimpleQueue[Heard]]:
        self._job_numbers += 1
        number = self._job_numbers
        inbox: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        worker.seats[job.seat] = number
        worker.jobs[number] = inbox
        return number, inbox

    def _check_usable(self) -> None:
        if self._closed:
            raise ServerUnavailable("The server is shutting down.")
        if self._fault is not None and self._nursery is None:
            raise ServerUnavailable(f"Worker processes cannot begin: {self._fault.message}")
        if time.monotonic() - self._vain_since > FORK_PATIENCE:
            raise ServerUnavailable("No worker process can be begun: the log has the rest.")
        if self._stillborn >= MOST_STILLBORN:
            self._stillborn = 0  # so that the next one tries again
            if self._fault is not None:
                raise ServerUnavailable(f"Worker processes cannot begin: {self._fault.message}")
            raise ServerUnavailable("Worker processes end before they begin: the log has the rest.")

    # --- processes ----------------------------------------------------------------------------

    def _keep_nursery(self, nursery: NurseryProcess | None) -> None:
        """Hear ``nursery``, and have another when it ends: workers die with theirs."""
        while nursery is not None:
            for message in nursery.messages():
                self._hear_nursery(message)
            with self._lock:
                self._nursery = None
                self._lock.notify_all()  # there will be no word of its workers any more
            if not self._closed:
                log.error("the nursery of workers ended (%s); starting another", nursery.exit_code)
            nursery = self._renewed_nursery()

    def _hear_nursery(self, message: dict[str, Any]) -> None:
        with self._lock:
            if "forked" in message:
                worker = self._workers.get(message["forked"])
                if worker is not None:
                    worker.pid = message["pid"]
            else:
                for worker in self._workers.values():
                    if worker.pid == message.get("ended"):
                        worker.status = message["status"]
            self._lock.notify_all()

    def _renewed_nursery(self) -> NurseryProcess | None:
        """Another one, however long it takes, unless there is to be none any more. What keeps it
        from beginning may pass: no memory, no file to open, weights that are being replaced."""
        pause = NURSERY_PAUSE
        while not self._closed:
            try:
                nursery = NurseryProcess(self._config)
            except (OSError, RuntimeError, TapetumError) as error:
                fault = error if isinstance(error, TapetumError) else ServerFailed(f"{error}.")
            else:
                with self._lock:
                    self._nursery, self._fault = nursery, None
                    if self._closed:
                        nursery.stop()
                    self._fill()
                    self._lock.notify_all()
                return nursery
            log.error("no nursery can be started, next try in %g s: %s", pause, fault.message)
            with self._lock:
                self._fault = fault
                self._lock.notify_all()
                self._lock.wait_for(lambda: self._closed, timeout=pause)
            pause = min(2 * pause, NURSERY_LONGEST_PAUSE)
        return None

    def _fill(self) -> None:
        """Have as many workers as there should be, unless they keep ending or cannot begin now."""
        usable = not self._closed and self._stillborn < MOST_STILLBORN
        if not usable or self._nursery is None or not self._nursery.is_alive:
            return
        now = time.monotonic()
        if any(not w.pid and now - w.asked > BEGIN_SECONDS for w in self._workers.values()):
            log.error("the nursery of workers does not answer")
            self._nursery.kill_itself()
            return
        for _ in range(self._count - sum(not worker.alone for worker in self._workers.values())):
            if self._fork() is None:
                return

    def _fork(self, *, alone: bool = False) -> Worker | None:
        """Ask for a worker; it is heard of when it is ready. ``None``: not now."""
        now = time.monotonic()
        if self._nursery is None or now < self._next_try:
            return None
        self._numbers += 1
        try:
            worker = self._asked_for(self._nursery, alone=alone)
        except (OSError, RuntimeError) as error:  # no file or thread to be had, or no nursery
            self._vain_since = min(self._vain_since, now)
            self._next_try = now + FORK_PAUSE
            log.warning("no worker can be begun now: %s", error)
            return None
        self._vain_since = math.inf
        return worker

    def _asked_for(self, nursery: NurseryProcess, *, alone: bool) -> Worker:
        ours, theirs = socket.socketpair()
        worker = Worker(self._numbers, Connection(ours.detach()), alone)
        try:
            with theirs:
                # The first says what is wrong before anybody waits for an answer; later ones are
                # to answer what they can.
                nursery.fork(worker.number, theirs, patient=worker.number > 1)
            _in_thread(self._hear_worker, worker, nursery)
        except BaseException:
            worker.hang_up()
            worker.connection.close()
            raise
        self._workers[worker.number] = worker
        return worker

    def _hear_worker(self, worker: Worker, nursery: NurseryProcess) -> None:
        try:
            while True:
                message = json.loads(worker.connection.recv_bytes(MESSAGE_BYTES))
                answer = b""
                if message["say"] == "done":
                    answer = worker.connection.recv_bytes()
                self._heard(worker, message, answer)
        except (EOFError, OSError):
            self._buried(worker, nursery)
        except (ValueError, KeyError, TypeError):
            log.exception("worker %d says what makes no sense", worker.pid)
            self.kill(worker, Cause.CRASHED)
            self._buried(worker, nursery)

    def _heard(self, worker: Worker, message: dict[str, Any], answer: bytes) -> None:
        with self._lock:
            match message["say"]:
                case "ready":
                    worker.ready = True
                    self._stillborn = 0
                    self._lock.notify_all()
                case "broken":
                    self._fault = faults.from_json(message)
                    log.error("worker %d cannot begin: %s", worker.pid, self._fault.message)
                case "outside":
                    worker.reported_cause = Cause.OUTSIDE
                case "exhausted":
                    worker.reported_cause = Cause.EXHAUSTED
                case _:
                    inbox = worker.jobs.get(message["job"])
                    if inbox is not None:
                        inbox.put((message, answer))

    def _buried(self, worker: Worker, nursery: NurseryProcess) -> None:
        """The worker is gone: tell its jobs why, and have another in its place."""
        with self._lock:
            self._lock.wait_for(
                lambda: worker.status is not None or not nursery.is_alive, timeout=NOTICE_SECONDS
            )
            worker.gone = True
            del self._workers[worker.number]
            cause = _cause_of(worker)
            if not (self._closed or worker.unwanted):
                log.warning("worker %d %s", worker.pid, cause.value)
            if not (worker.ready or worker.unwanted) and nursery.is_alive:
                self._stillborn += 1
            for inbox in worker.jobs.values():
                inbox.put(Died(cause, alone=len(worker.jobs) == 1))
            self._fill()
            self._lock.notify_all()
        worker.connection.close()


def _cause_of(worker: Worker) -> Cause:
    if worker.killed_for is not None:
        return worker.killed_for
    if worker.reported_cause is not None:
        return worker.reported_cause
    if worker.status is None:  # the nursery is gone, and its children with it
        return Cause.OUTSIDE
    if os.WIFSIGNALED(worker.status):
        own = os.WTERMSIG(worker.status) in FATAL or os.WTERMSIG(worker.status) == signal.SIGSYS
        return Cause.CRASHED if own else Cause.OUTSIDE
    return Cause.EXHAUSTED if os.WEXITSTATUS(worker.status) == EXHAUSTED else Cause.CRASHED


def _in_thread(work: Callable[..., None], *arguments: Any) -> None:
    threading.Thread(target=work, args=arguments, daemon=True).start()
