"""A child that decodes, as its user sees it: asked, watched, ended.

What it says is not believed: it has looked at what strangers sent.
"""

from __future__ import annotations

import logging
import math
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tapetum.errors import BadImage, ImageFailed, ImageTooLarge, InvalidGallery
from tapetum.imaging import messages
from tapetum.imaging.messages import Silent
from tapetum.imaging.picture import Picture
from tapetum.vision.limits import MAX_PIXELS

log = logging.getLogger(__name__)

#: Width and height of an upright picture → the longest side wanted of it, all in pixels.
MaxSideFor = Callable[[int, int], int]

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
        with self._watched():
            self._hand_over("decode", content)
            return self._picture(max_side_for)[0]

    def drawn(self, content: bytes) -> bytes:
        """The SVG file ``content`` as PNG. Raises as `decode`, and `InvalidGallery`."""
        with self._watched():
            self._hand_over("draw", content)
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

    def _hand_over(self, question: str, content: bytes) -> None:
        """Ask ``question`` of a picture."""
        self.pictures += 1
        file = messages.written(content)
        try:
            messages.send(self.line, {question: True, "seconds": PICTURE_SECONDS}, file)
        finally:
            os.close(file)

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
