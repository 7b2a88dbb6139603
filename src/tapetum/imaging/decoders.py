"""Bytes → pixels, in children that may die: the only way this house decodes anything.

This module and what it imports call no decoder. A child serves the pictures of one *owner* and no
other's; it may crash, hang or be killed, which costs nobody but the picture it holds.
"""

from __future__ import annotations

import atexit
import functools
import json
import logging
import math
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tapetum.errors import BadImage, ImageFailed, ImageTooLarge, InvalidGallery
from tapetum.imaging import messages
from tapetum.imaging.messages import Silent
from tapetum.imaging.picture import Picture
from tapetum.vision.limits import MAX_PIXELS

log = logging.getLogger(__name__)

T = TypeVar("T")
#: Width and height of an upright picture → the longest side wanted of it, all in pixels.
MaxSideFor = Callable[[int, int], int]

#: What a zygote gets of this process's environment: no secret of a store among it.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR")
_SETTINGS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}
#: Children kept for the next picture of their owner, in each process.
MOST_IDLE = 8
#: Pictures after which a child is replaced: what a library leaks goes with it.
MOST_PICTURES = 200
#: Seconds of processor time for a picture or drawing, and for opening a file of pages or a page.
PICTURE_SECONDS, PAGE_SECONDS = 10, 30
#: Seconds by the clock that a child may be silent: it has less of processor time, and the machine
#: may be busy.
PATIENCE = 120.0
#: Seconds by the clock for a child to be there, and for its zygote if that has to begin first; well
#: below what an image has, for it is not the image's fault.
BIRTH_SECONDS = 25.0
#: Children in a row that a picture may end by crashing them before it is blamed, and children that
#: somebody else may kill meanwhile.
MOST_CRASHES, MOST_KILLS = 3, 6
#: Bytes of the drawing of an SVG, as PNG.
_MOST_DRAWN = 64 * 2**20
#: Seconds to wait for word of how a child ended.
_NOTICE = 10.0

#: What the kernel sends a process for what it did itself.
_CRASHES = frozenset(
    {
        signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGSYS,
        signal.SIGXFSZ,
    }
)  # fmt: skip


class TooLong(Exception):
    """A child was at a question for longer than it may be."""


class Fallen(Exception):
    """A child ended before it had answered. ``crashed``: of its own doing."""

    def __init__(self, *, crashed: bool) -> None:
        super().__init__()
        self.crashed = crashed


@dataclass(slots=True)
class Falls:
    """The children that one picture has ended."""

    crashes: int = 0
    kills: int = 0

    def is_blamed(self, fallen: Fallen) -> bool:
        """Another one; whether it is the picture's fault now. Nobody is to blame that somebody
        kills decoders, unless it never ends."""
        self.crashes += fallen.crashed
        self.kills += not fallen.crashed
        return self.crashes >= MOST_CRASHES or self.crashes + self.kills >= MOST_KILLS


@dataclass(frozen=True, slots=True)
class Sheet:
    """A rendered page. ``points`` is its size, width and height, where it has one: in a PDF."""

    picture: Picture
    points: tuple[float, float] | None


@dataclass(eq=False, slots=True)
class Child:
    """A decoder, for one thread at a time. Ends when it is closed."""

    owner: str
    line: socket.socket
    life: socket.socket
    handle: int = -1
    pid: int = 0
    pictures: int = 0

    def born(self) -> None:
        """Wait until it is there. Raises `Silent`."""
        self.life.settimeout(BIRTH_SECONDS)
        answer, handle = messages.receive(self.life)
        if handle is None:
            raise Silent
        self.handle, self.pid = handle, int(answer["born"])

    def decode(self, content: bytes, max_side_for: MaxSideFor) -> Picture:
        """The picture in ``content``. Raises `ImageError`, `Fallen`, `TooLong`."""
        self.pictures += 1
        with self._watched():
            file = messages.written(content)
            try:
                messages.send(self.line, {"decode": True, "seconds": PICTURE_SECONDS}, file)
            finally:
                os.close(file)
            return self._picture(max_side_for)[0]

    def drawn(self, content: bytes) -> bytes:
        """The SVG file ``content`` as PNG. Raises as `decode`, and `InvalidGallery`."""
        self.pictures += 1
        with self._watched():
            file = messages.written(content)
            try:
                messages.send(self.line, {"draw": True, "seconds": PICTURE_SECONDS}, file)
            finally:
                os.close(file)
            answer, result = self._answer()
            size = _number(answer, "bytes", _MOST_DRAWN)
            return bytes(_taken(result, size))

    def open(self, file: int, mime_type: str) -> int:
        """How many pages ``file`` has. Raises as `decode`."""
        with self._watched():
            messages.send(self.line, {"open": mime_type, "seconds": PAGE_SECONDS}, file)
            return _number(self._answer()[0], "pages", 2**31, least=0)

    def page(self, number: int, max_side_for: MaxSideFor) -> Sheet:
        """Page ``number``, 1-based, of the open file. Raises as `decode`."""
        with self._watched():
            messages.send(self.line, {"page": number, "seconds": PAGE_SECONDS})
            picture, answer = self._picture(max_side_for)
            points = answer.get("points")
            if points is None:
                return Sheet(picture, None)
            wide, high = (float(point) for point in points)
            if not (0 < wide < math.inf and 0 < high < math.inf):
                raise Silent
            return Sheet(picture, (wide, high))

    def layers(self) -> dict[str, bool]:
        """What its jail is made of, by name: whether this kernel has it. Raises as `decode`."""
        with self._watched():
            messages.send(self.line, {"layers": True, "seconds": PICTURE_SECONDS})
            return {str(name): bool(held) for name, held in self._answer()[0].items()}

    def close(self) -> None:
        """End the child, whatever it does."""
        if self.handle >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.handle, signal.SIGKILL)
        self.forget()

    def forget(self) -> None:
        """Let go of it without a word: it is another process's."""
        self.line.close()
        self.life.close()
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1

    def _picture(self, max_side_for: MaxSideFor) -> tuple[Picture, dict[str, Any]]:
        size, _ = self._answer()
        width, height = _number(size, "width", MAX_PIXELS), _number(size, "height", MAX_PIXELS)
        if width * height > MAX_PIXELS:
            raise Silent
        messages.send(self.line, {"side": int(max_side_for(width, height))})
        answer, file = self._answer()
        columns, rows = _number(answer, "columns", width), _number(answer, "rows", height)
        pixels = _taken(file, rows * columns * 3).reshape(rows, columns, 3)
        return Picture(pixels, width, height), size

    def _answer(self) -> tuple[dict[str, Any], int | None]:
        answer, file = messages.receive(self.line)
        if "wrong" in answer:
            raise _error(str(answer["wrong"]), str(answer.get("text", ""))[:1000])
        return answer, file

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Turn silence into what it means."""
        until = time.monotonic() + PATIENCE
        self.line.settimeout(PATIENCE)
        try:
            yield
        except (Silent, KeyError, TypeError, ValueError) as error:
            if time.monotonic() >= until:
                raise TooLong from error
            raise self._fallen() from error

    def _fallen(self) -> Fallen | TooLong:
        """What became of a child that does not answer as it should."""
        self.life.settimeout(_NOTICE)
        try:
            if not select.select([self.life], [], [], _NOTICE)[0]:
                return Fallen(crashed=True)  # it is alive, and talks nonsense
            status = int(messages.receive(self.life)[0]["status"])
        except (Silent, KeyError, TypeError, ValueError):
            return Fallen(crashed=False)  # nobody is there to tell: its zygote is gone too
        if not os.WIFSIGNALED(status):
            return Fallen(crashed=True)
        number = os.WTERMSIG(status)
        return TooLong() if number == signal.SIGXCPU else Fallen(crashed=number in _CRASHES)


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


def _number(answer: dict[str, Any], name: str, most: int, least: int = 1) -> int:
    value = answer[name]
    if not isinstance(value, int) or not least <= value <= most:
        raise Silent  # what took over the child is not believed
    return value


def _taken(file: int | None, size: int) -> Any:
    if file is None:
        raise Silent
    try:
        return messages.opened(file, size)
    finally:
        os.close(file)


def _error(kind: str, text: str) -> Exception:
    match kind:
        case "ImageTooLarge":
            return ImageTooLarge("Image too large. Please limit to 75 megapixels.")
        case "InvalidGallery":
            return InvalidGallery(text)
        case "Unusable":
            return BadImage(text)
        case "Fault":
            log.error("a decoder failed: %s", ascii(text))
            return ImageFailed("The image could not be decoded: a fault of this server.")
        case "MemoryError":
            return BadImage("Bad image data. It needs too much memory to decode.")
        case _:
            return BadImage("Bad image data.")
