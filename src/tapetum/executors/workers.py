"""The worker processes of a server, seen from the server: begun, watched, replaced."""

from __future__ import annotations

import json
import logging
import os
import pickle
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import IO, Any

from tapetum.errors import ServerFailed, TapetumError
from tapetum.executors import faults
from tapetum.executors.blame import Cause
from tapetum.executors.jobs import Job
from tapetum.executors.nursery import MESSAGE_BYTES, Config
from tapetum.executors.worker import EXHAUSTED, FATAL

log = logging.getLogger(__name__)

#: Seconds that a nursery has to load everything, and a worker to begin: on a very busy machine.
START_SECONDS = 300.0
#: Seconds to wait for the nursery's word of how a worker ended that was heard to be gone.
NOTICE_SECONDS = 10.0
#: Seconds between two looks at whether a job is still wanted.
TICK = 0.1
#: Workers in a row that may end before they begin; then calls and tasks are told so.
MOST_STILLBORN = 5


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
    told it, ``status`` is what waitpid said of its end."""

    number: int
    connection: Connection
    alone: bool = False
    pid: int = 0
    ready: bool = False
    seats: dict[str, int] = field(default_factory=dict)  # seat → job number
    jobs: dict[int, queue.SimpleQueue[Heard]] = field(default_factory=dict)
    killed_for: Cause | None = None
    reported_cause: Cause | None = None
    status: int | None = None
    gone: bool = False
    sending: threading.Lock = field(default_factory=threading.Lock)

    def is_free(self, seat: str) -> bool:
        """Whether it can be given a job for ``seat``."""
        return self.ready and not self.alone and seat not in self.seats

    def send(self, *message: Any) -> None:
        """Say something; a worker that is gone need not hear it."""
        with suppress(OSError), self.sending:
            self.connection.send(message)


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
        self._channel, self._nursery = self._start_nursery()
        self._fault: TapetumError | None = None
        with self._lock:
            self._first()
            self._fill()

    def _first(self) -> None:
        """The first worker; what keeps it from beginning would keep the others too."""
        self._fork()
        self._lock.wait_for(lambda: self._fault or self._stillborn or self._is_begun())
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
            return [self._nursery.pid, *workers]

    # --- jobs ---------------------------------------------------------------------------------

    @property
    def busy(self) -> list[Worker]:
        """Those that have something in hand."""
        with self._lock:
            return [worker for worker in self._workers.values() if worker.jobs]

    def begin(self, job: Job, check: Callable[[], None]) -> Begun:
        """Give ``job`` to a worker whose seat for it is free, when there is one.

        ``check`` may end the wait by raising. Raises `ServerFailed` when workers do not begin.
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
                self._lock.wait(TICK)
                check()
        worker.send("run", number, job)
        return worker, number, inbox

    def begin_alone(self, job: Job, check: Callable[[], None]) -> Begun:
        """Give ``job`` to a new worker in which nothing else ever runs; raises as `begin`."""
        with self._lock:
            worker = None
            while worker is None or not worker.ready:
                self._check_usable()
                if (worker is None or worker.gone) and self._nursery.poll() is None:
                    worker = self._fork(alone=True)
                self._lock.wait(TICK)
                check()
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
            self._tell_nursery({"kill": worker.pid})

    def close(self) -> None:
        """End every process."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)  # the nursery ends its children and itself
        try:
            self._nursery.wait(timeout=NOTICE_SECONDS)
        except subprocess.TimeoutExpired:
            self._nursery.kill()
            self._nursery.wait()

    def _seat(self, worker: Worker, job: Job) -> tuple[int, queue.SimpleQueue[Heard]]:
        self._job_numbers += 1
        number = self._job_numbers
        inbox: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        worker.seats[job.seat] = number
        worker.jobs[number] = inbox
        return number, inbox

    def _check_usable(self) -> None:
        if self._closed:
            raise ServerFailed("The server is shutting down.")
        if self._stillborn >= MOST_STILLBORN:
            self._stillborn = 0  # so that the next one tries again
            self._fill()
            if self._fault is not None:
                raise ServerFailed(f"Worker processes cannot begin: {self._fault.message}")
            raise ServerFailed("Worker processes end before they begin: the log has the rest.")

    # --- processes ----------------------------------------------------------------------------

    def _start_nursery(self) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            nursery = subprocess.Popen(  # noqa: S603 (nothing in it is from outside)
                [sys.executable, "-m", "tapetum.executors.nursery", str(theirs.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                # Nothing is imported from the folder that somebody happens to work in.
                env=os.environ | {"PYTHONSAFEPATH": "1"},
                process_group=0,  # Ctrl-C is for the server, which ends its children itself
            )
        if nursery.stdin is None or nursery.stderr is None:
            raise AssertionError
        with suppress(BrokenPipeError), nursery.stdin as configuration:
            pickle.dump(self._config, configuration)
        _in_thread(_forward, nursery.stderr)
        channel.settimeout(START_SECONDS)
        try:
            answer = json.loads(channel.recv(MESSAGE_BYTES) or b"{}")
        except TimeoutError:
            answer = {}
        if "ready" not in answer:
            nursery.kill()
            nursery.wait()
            channel.close()
            raise faults.from_json(answer or {"error": "it ended while it began"})
        channel.settimeout(None)
        _in_thread(self._hear_nursery, channel, nursery)
        return channel, nursery

    def _hear_nursery(self, channel: socket.socket, nursery: subprocess.Popen[bytes]) -> None:
        while message := _received(channel):
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
        nursery.wait()
        channel.close()
        with self._lock:
            self._lock.notify_all()  # there will be no word of its workers any more
            if self._closed or self._channel is not channel:
                return
            log.error("the nursery of workers ended (%s); starting another", nursery.returncode)
        self._renew_nursery()

    def _renew_nursery(self) -> None:
        """In its own thread: workers die with their nursery, and new ones need one."""
        try:
            channel, nursery = self._start_nursery()
        except Exception:
            log.exception("no nursery can be started")
            with self._lock:
                self._stillborn = MOST_STILLBORN
                self._lock.notify_all()
            return
        with self._lock:
            self._channel, self._nursery = channel, nursery
            self._fill()

    def _fill(self) -> None:
        """Have as many workers as there should be, unless they keep ending or cannot begin now."""
        usable = not self._closed and self._stillborn < MOST_STILLBORN
        if not usable or self._nursery.poll() is not None:
            return
        for _ in range(self._count - sum(not worker.alone for worker in self._workers.values())):
            self._fork()

    def _fork(self, *, alone: bool = False) -> Worker:
        """Ask for a worker; it is heard of when it is ready."""
        self._numbers += 1
        ours, theirs = socket.socketpair()
        worker = Worker(self._numbers, Connection(ours.detach()), alone)
        self._workers[worker.number] = worker
        with theirs, suppress(OSError):  # without a nursery it is gone at once
            order = json.dumps({"fork": worker.number}).encode()
            socket.send_fds(self._channel, [order], [theirs.fileno()])
        _in_thread(self._hear_worker, worker)
        return worker

    def _hear_worker(self, worker: Worker) -> None:
        try:
            while True:
                message = json.loads(worker.connection.recv_bytes(MESSAGE_BYTES))
                answer = b""
                if message["say"] == "done":
                    answer = worker.connection.recv_bytes()
                self._heard(worker, message, answer)
        except (EOFError, OSError):
            self._buried(worker)
        except (ValueError, KeyError, TypeError):
            log.exception("worker %d says what makes no sense", worker.pid)
            self.kill(worker, Cause.CRASHED)
            self._buried(worker)

    def _heard(self, worker: Worker, message: dict[str, Any], answer: bytes) -> None:
        with self._lock:
            match message["say"]:
                case "ready":
                    worker.ready = True
                    self._stillborn = 0
                    self._lock.notify_all()
                case "broken":
                    self._fault = faults.from_json(message)
                case "outside":
                    worker.reported_cause = Cause.OUTSIDE
                case "exhausted":
                    worker.reported_cause = Cause.EXHAUSTED
                case _:
                    inbox = worker.jobs.get(message["job"])
                    if inbox is not None:
                        inbox.put((message, answer))

    def _buried(self, worker: Worker) -> None:
        """The worker is gone: tell its jobs why, and have another in its place."""
        with self._lock:
            nursery = self._nursery
            self._lock.wait_for(
                lambda: worker.status is not None or nursery.poll() is not None,
                timeout=NOTICE_SECONDS,
            )
            worker.gone = True
            del self._workers[worker.number]
            cause = _cause_of(worker)
            if not self._closed and (worker.jobs or cause is not Cause.OUTSIDE):
                log.warning("worker %d %s", worker.pid, cause.value)
            if not worker.ready and nursery.poll() is None:
                self._stillborn += 1
            for inbox in worker.jobs.values():
                inbox.put(Died(cause, alone=len(worker.jobs) == 1))
            self._fill()
            self._lock.notify_all()
        worker.connection.close()

    def _tell_nursery(self, message: dict[str, Any]) -> None:
        with suppress(OSError):  # then its children are gone as well
            self._channel.send(json.dumps(message).encode())


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


def _received(channel: socket.socket) -> dict[str, Any]:
    """The next message; empty when there are no more."""
    try:
        message = channel.recv(MESSAGE_BYTES)
    except OSError:
        return {}
    return dict(json.loads(message)) if message else {}


def _forward(errors: IO[bytes]) -> None:
    """What workers log goes where this process logs, and above a bar if one is drawn there."""
    with errors:
        for line in errors:
            with suppress(ValueError, OSError):  # nobody reads standard error any more
                sys.stderr.write(line.decode(errors="backslashreplace"))
                sys.stderr.flush()


def _in_thread(work: Callable[..., None], *arguments: Any) -> None:
    threading.Thread(target=work, args=arguments, daemon=True).start()
