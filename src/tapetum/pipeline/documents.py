"""Files of pages: PDF, TIFF, animated GIF. Opened and rendered in a child process each.

PDFium is not safe between threads, and what strangers put into a PDF, TIFF or GIF can crash, hang
or eat memory: `tapetum.imaging.renderer` does that in a process that may be killed, so that it
costs a page and never the server. Pages are rendered when asked for, one at a time.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any

import numpy as np

from tapetum.errors import BadImage, BrokenFile, ImageFailed, InvalidImageParameter
from tapetum.imaging.picture import Picture
from tapetum.pipeline import fetch
from tapetum.stores.router import Stores
from tapetum.vision.formats import FORMATS, HEAD, PDF, is_pdf
from tapetum.vision.limits import MAX_PAGES, MAX_PIXELS

log = logging.getLogger(__name__)

#: Seconds of processor time that a child may take to open the file, and to render a page.
CPU_SECONDS = 30
#: Seconds it may take by the clock, on a busy machine.
PATIENCE = 120.0
#: A file whose pages have stopped this many children is not tried any further.
MAX_FALLS = 3

#: Of files read at the same time, each in memory until it is in its temporary file.
_reading = threading.Semaphore(2)


@dataclass(frozen=True, slots=True)
class Page:
    """A rendered page. ``points`` is its size, width and height, where it has one: in a PDF."""

    picture: Picture
    points: tuple[float, float] | None


class Document:
    """An open file of pages, for one thread at a time. Close it, or use it in a ``with``.

    ``file`` becomes the document's to close. Raises `BrokenFile` when it is not what ``mime_type``
    (a key of `FORMATS`) says, cannot be opened, is encrypted, or has no pages or more than
    `MAX_PAGES`; ``uri`` is what messages call it.
    """

    def __init__(self, file: IO[bytes], mime_type: str, uri: str) -> None:
        self._file = file
        self._mime_type = mime_type
        self._uri = uri or "(inline)"
        self._child: _Child | None = None
        self._falls = 0
        try:
            self._check_format(os.pread(file.fileno(), HEAD, 0))
            self.pages = self._start()
        except BaseException:
            self.close()
            raise

    def numbers(self, pages: Sequence[int], most: int) -> list[int]:
        """``pages`` of a request as numbers from 1: -1 is the last; none are the first ``most``.

        Raises `InvalidImageParameter` for a page there is not.
        """
        if not pages:
            return list(range(1, min(most, self.pages) + 1))
        for index, page in enumerate(pages):
            if not 1 <= abs(page) <= self.pages:
                raise InvalidImageParameter(
                    f"pages[{index}]: there is no page {page}; the file has {self.pages} pages."
                )
        return [page if page > 0 else self.pages + 1 + page for page in pages]

    def page(self, number: int, side_for: Callable[[int, int], int]) -> Page:
        """Page ``number``, 1-based, upright, its longest side what ``side_for(width, height)``
        answers, or as large as it gets.

        Raises `BadImage` for a page that cannot be rendered, `ImageFailed` for one that crashed
        or hung its process.
        """
        if number > self.pages:
            raise BadImage(f"There is no page {number}; the file has {self.pages} pages.")
        if self._falls >= MAX_FALLS:
            raise ImageFailed("The pages of this file stopped the process that renders them.")
        try:
            if self._child is None:
                self._falls += 1  # taken back unless the file stops this child too, as it opens
                self._start()
                self._falls -= 1
            return self._render(number, side_for)
        except _Fallen as error:
            self._falls += 1
            self._drop()
            log.warning("page %d of %s stopped its process", number, ascii(self._uri))
            raise ImageFailed("This page stopped the process that rendered it.") from error

    def close(self) -> None:
        """End the child and let go of the file."""
        self._drop()
        self._file.close()

    def __enter__(self) -> Document:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self) -> int:
        """Begin a child; the number of pages it finds."""
        self._child = _Child(self._file.fileno(), self._mime_type)
        try:
            answer = self._child.hear()
        except _Fallen as error:
            self._drop()
            raise self._broken("it stopped the process that opened it.") from error
        if "wrong" in answer:
            raise self._broken(answer["wrong"])
        pages = int(answer["pages"])
        if pages > MAX_PAGES:
            raise self._broken(f"it has {pages} pages, the limit is {MAX_PAGES}.")
        return pages

    def _render(self, number: int, side_for: Callable[[int, int], int]) -> Page:
        child = self._child
        if child is None:
            raise AssertionError
        size = _page_answer(child.ask(page=number))
        width, height = size["width"], size["height"]
        made = _page_answer(child.ask(side=side_for(width, height)))
        rows, columns = made["rows"], made["columns"]
        if not 0 < rows * columns <= MAX_PIXELS:  # what took over the child is not believed
            raise _Fallen
        pixels = np.frombuffer(child.read(rows * columns * 3), np.uint8)
        picture = Picture(pixels.reshape(rows, columns, 3), width, height)
        points = size.get("points")
        return Page(picture, (points[0], points[1]) if points else None)

    def _drop(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def _check_format(self, head: bytes) -> None:
        name, starts = FORMATS[self._mime_type]
        if not (is_pdf(head) if self._mime_type == PDF else head.startswith(starts)):
            raise self._broken(f"it is no {name}, as its mime_type {self._mime_type} says.")

    def _broken(self, why: str) -> BrokenFile:
        name, _ = FORMATS[self._mime_type]
        return BrokenFile(f"Error in extracting images from {name} file {self._uri}: {why}")


def open_document(config: Any, stores: Stores) -> Document:
    """The file an ``InputConfig`` message means, opened.

    Raises `BrokenFile` as `Document` does, another `ImageError` when it cannot be read.
    """
    return Document(fetched(config, stores), config.mime_type, fetch.uri_of_file(config))


def fetched(config: Any, stores: Stores) -> IO[bytes]:
    """The file an ``InputConfig`` message means, as a temporary one. Raises `ImageError`."""
    with _reading:
        return spooled(fetch.fetch_file(config, stores))


def spooled(content: bytes) -> IO[bytes]:
    """A temporary file, without a name, of ``content``."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 (the caller's to close)
    file.write(content)
    file.flush()
    return file


def _page_answer(answer: dict[str, Any]) -> dict[str, Any]:
    if "wrong" in answer:
        raise BadImage(f"The page cannot be rendered: {answer['wrong']}")
    return answer


class _Fallen(Exception):
    """The child is gone or has run out of time."""


#: What the child gets of this process's environment: no secret of a store among it.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR")
_SETTINGS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}


class _Child:
    """A `tapetum.imaging.renderer` process over an open file."""

    def __init__(self, file: int, mime_type: str) -> None:
        given = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        self._process = subprocess.Popen(  # noqa: S603 (nothing of the file is in the command)
            [
                *(sys.executable, "-m", "tapetum.imaging.renderer"),
                *(str(file), mime_type, str(CPU_SECONDS)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # libraries grumble about broken files
            pass_fds=[file],
            env=given | _SETTINGS,
            process_group=0,  # Ctrl-C is for the server, which ends its children itself
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError
        self._asking: IO[bytes] = self._process.stdin
        self._answering: IO[bytes] = self._process.stdout

    def ask(self, **question: int) -> dict[str, Any]:
        """The answer to ``question``. Raises `_Fallen`."""
        try:
            self._asking.write(json.dumps(question).encode() + b"\n")
            self._asking.flush()
        except OSError as error:
            raise _Fallen from error
        return self.hear()

    def hear(self) -> dict[str, Any]:
        """The next line of the child. Raises `_Fallen`."""
        with self._patience():
            line = self._answering.readline(4096)
        try:
            answer = json.loads(line)
        except ValueError as error:
            raise _Fallen from error
        if not isinstance(answer, dict):
            raise _Fallen
        return answer

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes of the child. Raises `_Fallen`."""
        with self._patience():
            content = self._answering.read(size)
        if len(content) < size:
            raise _Fallen
        return content

    def end(self) -> None:
        """Kill the process, if it still runs."""
        self._process.kill()
        for pipe in (self._asking, self._answering):
            with suppress(OSError):
                pipe.close()
        self._process.wait()

    @contextmanager
    def _patience(self) -> Iterator[None]:
        timer = threading.Timer(PATIENCE, self._process.kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
