"""A worker process: an annotator, one task and one call at a time, and a line to the server.

It hears pickled messages, which come from the server, and says JSON, which comes from where hostile
pictures are looked at: ``{"say": "started", "job": 3, "position": 17}`` and so on; ``done`` is
followed by the bytes of the answer. It may be killed at any time.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tapetum.errors import LeaseLost, TapetumError, TaskStopped
from tapetum.executors import faults
from tapetum.executors.jobs import Job
from tapetum.tasks.plan import Shard

if TYPE_CHECKING:
    from tapetum.executors.nursery import Config
    from tapetum.pipeline.annotator import Annotator

log = logging.getLogger(__name__)

#: Exit codes: the server is gone or asked for it; the process cannot go on; memory ran out.
ENDED, BROKEN, EXHAUSTED = 0, 70, 71
#: Signals that end a process for what it did itself, unless somebody sent them.
FATAL = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL})

#: Seconds between two times that free memory is given back while a worker works: a trim takes
#: milliseconds, and what is given back has to be fetched again.
GIVE_BACK_SECONDS = 5.0

_PR_SET_PDEATHSIG = 1


class _Line:
    """What is said to the server, from several threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def say(self, event: str, answer: bytes | None = None, **rest: Any) -> None:
        with self._lock:
            try:
                self._connection.send_bytes(json.dumps({"say": event, **rest}).encode())
                if answer is not None:
                    self._connection.send_bytes(answer)
            except OSError:
                os._exit(ENDED)  # nobody is there to work for


class _Memory:
    """Gives memory that is free back to the kernel (glibc). The C library keeps what lies below
    something in use: after 2000 photographs that was half of what a worker had."""

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._next = 0.0

    def give_back(self, *, at_once: bool = False) -> None:
        """Now and then, or ``at_once``."""
        now = time.monotonic()
        if self._trim is not None and (at_once or now >= self._next):
            self._next = now + GIVE_BACK_SECONDS
            self._trim(0)


class _Control:
    """The `tapetum.tasks.control.Control` of a job at this end of the line."""

    def __init__(self, line: _Line, number: int, memory: _Memory) -> None:
        self._line = line
        self._memory = memory
        self._number = number
        self.stopped = False
        self.lost = False

    def check(self) -> None:
        if self.lost:
            raise LeaseLost("The task's lease ran out or was taken back.")
        if self.stopped:
            raise TaskStopped("The server is shutting down.")

    def started(self, position: int) -> None:
        self._line.say("started", job=self._number, position=position)

    def finished(self, position: int) -> None:
        self._line.say("finished", job=self._number, position=position)
        self._memory.give_back()

    def written(self, shard: Shard, failed: int) -> None:
        self._line.say(
            "written", job=self._number, first=shard.first, last=shard.last, failed=failed
        )


class _Worker:
    """Runs what it is told to, each job in a thread of its own."""

    def __init__(self, line: _Line, annotator: Annotator, niceness: int) -> None:
        self._line = line
        self._annotator = annotator
        self._niceness = niceness
        self._memory = _Memory()
        self._controls: dict[int, _Control] = {}

    def hear(self, message: tuple[Any, ...]) -> None:
        match message:
            case ("run", number, job):
                self._controls[number] = _Control(self._line, number, self._memory)
                threading.Thread(target=self._run, args=(number, job), daemon=True).start()
            case ("stop", number) if control := self._controls.get(number):
                control.stopped = True
            case ("lose", number) if control := self._controls.get(number):
                control.lost = True

    def _run(self, number: int, job: Job) -> None:
        if job.seat == "task" and self._niceness:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._niceness)
        try:
            answer = job.run(self._annotator, self._controls[number])
        except MemoryError:
            self._line.say("exhausted")
            os._exit(EXHAUSTED)
        except Exception as error:
            if not isinstance(error, TapetumError):
                log.exception("a job failed")
            self._line.say("failed", job=number, **faults.to_json(error))
        else:
            self._line.say("done", answer, job=number)
        finally:
            self._controls.pop(number, None)
            self._memory.give_back(at_once=job.seat == "task")


def run(number: int, make: Callable[[], Annotator], config: Config) -> NoReturn:
    """Be a worker on the socket ``number``."""
    connection = Connection(os.dup(number))
    _die_with_parent()
    line = _Line(connection)
    _tell_outside_signals(line)
    try:
        annotator = make()
    except TapetumError as error:
        line.say("broken", **faults.to_json(error))
        os._exit(BROKEN)
    worker = _Worker(line, annotator, config.niceness)
    if config.image_memory:
        _limit_memory(config.image_memory)
    line.say("ready")
    while True:
        try:
            worker.hear(connection.recv())
        except (EOFError, OSError):
            os._exit(ENDED)


def _die_with_parent() -> None:
    """End when the nursery does, whatever this process is doing then (Linux)."""
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it was faster
        os._exit(ENDED)


def _tell_outside_signals(line: _Line) -> None:
    """Die by the signals that others send, but say so first.

    A crash is a signal too. The kernel gives one of its own making to the thread that crashed even
    where it is blocked, and only what somebody sent waits to be taken here.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, FATAL)
    threading.Thread(target=_die_from_outside, args=(line,), daemon=True).start()


def _die_from_outside(line: _Line) -> None:
    number = signal.Signals(signal.sigwaitinfo(FATAL).si_signo)
    line.say("outside", signal=int(number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    signal.raise_signal(number)


def _limit_memory(bytes_more: int) -> None:
    """``bytes_more`` of data beyond what there is now (Linux)."""
    if sys.platform != "linux":
        return
    for row in Path("/proc/self/status").read_text().splitlines():
        if row.startswith("VmData:"):
            now = int(row.split()[1]) * 1024
            _, most = resource.getrlimit(resource.RLIMIT_DATA)
            resource.setrlimit(resource.RLIMIT_DATA, (now + bytes_more, most))
