"""Bytes → pixels, in children that may die: the only way this house decodes anything.

This module and what it imports call no decoder. A child serves the pictures of one *owner* and no
other's; it may crash, hang or be killed, which costs nobody but the picture it holds.
"""

from __future__ import annotations

import atexit
import functools
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from tapetum.errors import BadImage, ImageFailed, ImageTooLarge, InvalidGallery
from tapetum.imaging.child import MOST_KILLS, Child, Fallen, Falls, MaxSideFor, TooLong
from tapetum.imaging.messages import Silent
from tapetum.imaging.picture import Picture

log = logging.getLogger(__name__)

T = TypeVar("T")

#: What a zygote gets of this process's environment: no secret of a store among it.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR")
#: Of libraries' threads, and of malloc: a picture of some megapixels goes where the one before was.
#: New pages from the kernel cost about as much as decoding (`python -m bench --only decoding`).
_SETTINGS = {
    "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(48 * 2**20),
}  # fmt: skip
#: Children kept for the next picture of their owner, in each process.
MOST_IDLE = 8
#: Pictures after which a child is replaced: what a library leaks goes with it.
MOST_PICTURES = 200
#: Seconds to wait for a zygote to end.
_NOTICE = 10.0


@dataclass(slots=True)
class _Zygote:
    """How this process reaches a zygote. ``process`` is there where this process began it."""

    channel: socket.socket
    process: subprocess.Popen[bytes] | None


@dataclass(slots=True)
class _Idle:
    lock: threading.Lock = field(default_factory=threading.Lock)
    children: list[Child] = field(default_factory=list)  # the longest idle first


class Decoders:
    """Children by owner, begun when they are needed. Used from many threads.

    After a fork both processes may use it, with children of their own. ``shares_with_forks``: the
    forks use one zygote, which ends with the last of them; else each begins its own, and `close`
    waits for no fork that lives on.
    """

    def __init__(self, *, shares_with_forks: bool = False) -> None:
        self._shares_with_forks = shares_with_forks
        self._starting = threading.Lock()
        self._zygote: _Zygote | None = None
        self._idle = _Idle()
        reference = weakref.ref(self)
        os.register_at_fork(after_in_child=functools.partial(_after_fork, reference))

    def start(self) -> None:
        """Begin the zygote now, so that the first picture does not wait for it."""
        with self._starting:
            if self._zygote is None:
                self._zygote = _started()

    def decode(self, content: bytes, max_side_for: MaxSideFor, owner: str = "") -> Picture:
        """The picture in ``content``, its longest side not much above what is wanted of it: see
        `tapetum.imaging.decoding.decode`.

        Raises `BadImage` for what cannot be read or takes too long, `ImageTooLarge` above 75
        megapixels, and `ImageFailed` when it goes on ending the process that decodes it.
        """
        return self._asked(owner, lambda child: child.decode(content, max_side_for))

    def drawn(self, content: bytes, owner: str = "") -> bytes:
        """An SVG file as PNG: see `tapetum.imaging.drawing.rendered`. Raises `InvalidGallery`."""
        try:
            return self._asked(owner, lambda child: child.drawn(content))
        except (BadImage, ImageFailed) as error:
            raise InvalidGallery(f"The SVG cannot be drawn: {error.message}") from error

    def child(self, owner: str = "", *, paged: bool = False) -> Child:
        """A new child, the caller's to close. Raises `ImageFailed` when none can be begun."""
        for _ in range(MOST_KILLS):
            self.start()
            zygote = self._zygote
            if zygote is None:
                continue
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            life, told = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            child = Child(owner, ours, life)
            try:
                with theirs, told:
                    request = json.dumps({"paged": paged}).encode()
                    ends = [theirs.fileno(), told.fileno()]
                    socket.send_fds(zygote.channel, [request], ends)
                child.born()
            except (OSError, Silent) as error:
                child.forget()
                self._bury(zygote, is_stuck=isinstance(error.__cause__, TimeoutError))
            else:
                return child
        raise ImageFailed("No process that decodes images can be begun: a fault of this server.")

    def layers(self) -> dict[str, bool]:
        """What the jail of a decoder is made of here, by name: whether this kernel has it."""
        return self._asked("", lambda child: child.layers())

    def close(self) -> None:
        """End every idle child, and the zygote with the last process that uses it."""
        with self._idle.lock:
            children, self._idle.children = self._idle.children, []
        for child in children:
            child.close()
        with self._starting:
            zygote, self._zygote = self._zygote, None
        if zygote is not None:
            _let_go(zygote)

    def _asked(self, owner: str, question: Callable[[Child], T]) -> T:
        falls = Falls()
        while True:
            child = self._taken(owner)
            keep = False
            try:
                answer = question(child)
                keep = True
            except Fallen as error:
                log.warning("decoder %d ended before it had answered", child.pid)
                if falls.is_blamed(error):
                    raise ImageFailed("This image stopped the process that decoded it.") from error
            except TooLong as error:
                raise BadImage("Bad image data. It takes too long to decode.") from error
            except (BadImage, ImageTooLarge, ImageFailed, InvalidGallery):
                keep = True  # it said so itself, and goes on
                raise
            else:
                return answer
            finally:
                self._given_back(child, keep=keep)

    def _taken(self, owner: str) -> Child:
        with self._idle.lock:
            for child in reversed(self._idle.children):
                if child.owner == owner:
                    self._idle.children.remove(child)
                    return child
        return self.child(owner)

    def _given_back(self, child: Child, *, keep: bool) -> None:
        leaving = [child]
        if keep and child.pictures < MOST_PICTURES:
            with self._idle.lock:
                self._idle.children.append(child)
                leaving = self._idle.children[:-MOST_IDLE]
                del self._idle.children[:-MOST_IDLE]
        for old in leaving:
            old.close()

    def _bury(self, zygote: _Zygote, *, is_stuck: bool) -> None:
        """``zygote`` does not answer: whoever needs one next begins another."""
        with self._starting:
            if self._zygote is zygote:
                self._zygote = None
                log.warning("the zygote of decoders does not answer; starting another")
                if is_stuck and zygote.process is not None:
                    zygote.process.kill()
                _let_go(zygote)

    def _after_fork(self) -> None:
        self._starting = threading.Lock()
        for child in self._idle.children:
            child.forget()
        self._idle = _Idle()
        if self._zygote is not None:
            self._zygote.process = None  # the parent's to wait for
            if not self._shares_with_forks:
                self._zygote.channel.close()
                self._zygote = None


@functools.cache
def shared() -> Decoders:
    """Those of this process, for whoever is not given others; closed as it ends."""
    decoders = Decoders()
    atexit.register(decoders.close)
    return decoders


def _after_fork(reference: weakref.ref[Decoders]) -> None:
    decoders = reference()
    if decoders is not None:
        decoders._after_fork()


def _started() -> _Zygote:
    channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    given = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    with theirs:
        process = subprocess.Popen(  # noqa: S603 (nothing in it is from outside)
            [sys.executable, "-m", "tapetum.imaging.zygote", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # libraries grumble about broken files
            pass_fds=[theirs.fileno()],
            env=given | _SETTINGS,
            process_group=0,  # Ctrl-C is for the server, which ends its children itself
        )
    return _Zygote(channel, process)


def _let_go(zygote: _Zygote) -> None:
    zygote.channel.close()
    if zygote.process is not None:
        with suppress(subprocess.TimeoutExpired):  # other processes use it still
            zygote.process.wait(timeout=_NOTICE)
