"""Calls that wait for their answer: image by image, and everybody in turn.

Each call is done image by image, and after each image it is somebody else's turn: first another
caller's (`tapetum.signals.context.RequestContext.principal`), and among the calls of one caller
another call's; who has had none yet comes before, every other time. So whoever asks for one image
waits for one or two of others, not for all that they ask for. A call whose caller has gone is
dropped, with its bytes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tapetum.errors import ServerUnavailable, TaskStopped
from tapetum.executors.jobs import CallJob
from tapetum.tasks.control import Control, Uncontrolled

T = TypeVar("T")
#: Does one part of a call, and raises what it fails with.
Run = Callable[[CallJob, Control], bytes]


@dataclass(eq=False, slots=True)
class _Call:
    """``parts``: what is left to begin with of ``images``, by number, as ``answers`` are."""

    caller: str
    parts: deque[tuple[int, CallJob]]
    images: int
    answers: dict[int, bytes] = field(default_factory=dict)
    future: Future[bytes] = field(default_factory=Future)


class _Turns(Generic[T]):
    """Whose turn it is. Those that have had none go before those that have, but not twice in a row:
    a stream of new ones stops nobody."""

    def __init__(self) -> None:
        self._fresh: deque[T] = deque()
        self._served: deque[T] = deque()
        self._went_before = False

    def __bool__(self) -> bool:
        return bool(self._fresh or self._served)

    def add(self, member: T) -> None:
        """Another one."""
        self._fresh.append(member)

    def take(self) -> T:
        """The one whose turn it is, which is no member then."""
        is_fresh = bool(self._fresh) and not (self._went_before and self._served)
        self._went_before = is_fresh and bool(self._served)
        return (self._fresh if is_fresh else self._served).popleft()

    def again(self, member: T) -> None:
        """One that was taken wants another turn."""
        self._served.append(member)

    def remove(self, member: T) -> None:
        """One that wants no turn any more."""
        (self._fresh if member in self._fresh else self._served).remove(member)


class _Awaited(Uncontrolled):
    """The control of a call: it is to end when nobody waits for it any more."""

    def __init__(self, future: Future[bytes]) -> None:
        self._future = future

    def check(self) -> None:
        if self._future.done():
            raise TaskStopped("Nobody waits for this call any more.")


class Calls:
    """Runs calls in ``seats`` threads. Used from many threads."""

    def __init__(self, run: Run, seats: int) -> None:
        self._run = run
        self._changed = threading.Condition()
        #: Callers that have something left to begin with, and what.
        self._callers: _Turns[str] = _Turns()
        self._waiting: dict[str, _Turns[_Call]] = {}
        self._calls: set[_Call] = set()
        self._refuses = self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"call_{number}", daemon=True)
            for number in range(seats)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: CallJob) -> Future[bytes]:
        """The answer of ``job``; the future may be cancelled at any time."""
        parts = job.parts()
        call = _Call(job.context.principal, deque(enumerate(parts)), len(parts))
        with self._changed:
            if not self._refuses:
                call.future.add_done_callback(lambda _: self._forget(call))
                self._calls.add(call)
                if call.caller not in self._waiting:
                    self._waiting[call.caller] = _Turns()
                    self._callers.add(call.caller)
                self._waiting[call.caller].add(call)
                self._changed.notify(len(parts))
                return call.future
        call.future.set_exception(_shutting_down())
        return call.future

    def drain(self, seconds: float) -> None:
        """Take no more, and `close` when those there are have answers, or after ``seconds``."""
        with self._changed:
            self._refuses = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._calls, seconds)
        self.close()

    def close(self) -> None:
        """Begin with nothing more; who waits for an answer gets none."""
        with self._changed:
            self._refuses = self._closed = True
            calls = list(self._calls)
            self._changed.notify_all()
        for call in calls:
            with suppress(InvalidStateError):
                call.future.set_exception(_shutting_down())

    def join(self) -> None:
        """Wait for what is under way."""
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while turn := self._next():
            call, number, part = turn
            try:
                answer = self._run(part, _Awaited(call.future))
            except BaseException as error:  # noqa: BLE001 (the caller's, as of any future)
                with suppress(InvalidStateError):
                    call.future.set_exception(error)
            else:
                self._answered(call, number, answer)

    def _next(self) -> tuple[_Call, int, CallJob] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._callers)
            if self._closed:
                return None
            caller = self._callers.take()
            calls = self._waiting[caller]
            call = calls.take()
            number, part = call.parts.popleft()
            if call.parts:
                calls.again(call)
            if calls:
                self._callers.again(caller)
            else:
                del self._waiting[caller]
            return call, number, part

    def _answered(self, call: _Call, number: int, answer: bytes) -> None:
        with self._changed:
            call.answers[number] = answer
            if len(call.answers) < call.images:
                return
        # Messages one after the other are the message with all that they repeat.
        whole = b"".join(call.answers[number] for number in range(call.images))
        with suppress(InvalidStateError):
            call.future.set_result(whole)

    def _forget(self, call: _Call) -> None:
        """``call`` has its answer, or nobody wants it: let go of its bytes."""
        with self._changed:
            self._calls.discard(call)
            self._changed.notify_all()
            if not call.parts:  # it waits for no turn
                return
            call.parts.clear()
            calls = self._waiting[call.caller]
            calls.remove(call)
            if not calls:
                del self._waiting[call.caller]
                self._callers.remove(call.caller)


def _shutting_down() -> ServerUnavailable:
    return ServerUnavailable("The server is shutting down.")
