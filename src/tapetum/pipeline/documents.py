"""Files of pages: PDF, TIFF, animated GIF. Opened and rendered in a child process each.

PDFium is not safe between threads, and what strangers put into a PDF, TIFF or GIF can crash, hang
or eat memory: a decoder does that (`tapetum.imaging.decoders`), a process that may be killed, so
that it costs a page and never the server. Pages are rendered when asked for, one at a time.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import IO, Any, TypeVar

from tapetum.errors import BadImage, BrokenFile, ImageFailed, InvalidImageParameter
from tapetum.imaging.child import Child, Fallen, Falls, MaxSideFor, Sheet, TooLong
from tapetum.imaging.decoders import Decoders
from tapetum.pipeline import fetch
from tapetum.stores.router import Stores
from tapetum.vision.formats import FORMATS, HEAD, PDF, is_pdf
from tapetum.vision.limits import MAX_PAGES

log = logging.getLogger(__name__)

#: A file whose pages have stopped this many children is not tried any further.
MAX_FALLS = 3

#: Of files read at the same time, each in memory until it is in its temporary file.
_reading = threading.Semaphore(2)


T = TypeVar("T")


class Document:
    """An open file of pages, for one thread at a time. Close it, or use it in a ``with``.

    ``file`` becomes the document's to close. Raises `BrokenFile` when it is not what ``mime_type``
    (a key of `FORMATS`) says, cannot be opened, is encrypted, or has no pages or more than
    `MAX_PAGES`; ``uri`` is what messages call it.
    """

    def __init__(
        self, file: IO[bytes], mime_type: str, uri: str, decoders: Decoders, owner: str = ""
    ) -> None:
        self._file = file
        self._mime_type = mime_type
        self._uri = uri or "(inline)"
        self._decoders = decoders
        self._owner = owner
        self._child: Child | None = None
        self._pages = 0
        self._falls = 0
        try:
            self._check_format(os.pread(file.fileno(), HEAD, 0))
            self.pages = self._open()
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

    def page(self, number: int, side_for: MaxSideFor) -> Sheet:
        """Page ``number``, 1-based, upright, its longest side what ``side_for(width, height)``
        answers, or as large as it gets.

        Raises `BadImage` for a page that cannot be rendered, `ImageFailed` for one that takes too
        long or goes on ending the process that renders it.
        """
        if number > self.pages:
            raise BadImage(f"There is no page {number}; the file has {self.pages} pages.")
        if self._falls >= MAX_FALLS:
            raise ImageFailed("The pages of this file stopped the process that renders them.")
        try:
            return self._asked(lambda child: child.page(number, side_for))
        except (Fallen, TooLong) as error:
            self._falls += 1
            log.warning("page %d of %s stopped its process", number, ascii(self._uri))
            raise ImageFailed("This page stopped the process that rendered it.") from error
        except BadImage as error:
            raise BadImage(f"The page cannot be rendered: {error.message}") from error

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

    def _open(self) -> int:
        """The number of pages."""
        try:
            pages = self._asked(lambda child: self._pages)
        except (Fallen, TooLong) as error:
            raise self._broken("it stopped the process that opened it.") from error
        except BadImage as error:
            raise self._broken(error.message) from error
        if pages > MAX_PAGES:
            raise self._broken(f"it has {pages} pages, the limit is {MAX_PAGES}.")
        return pages

    def _asked(self, question: Callable[[Child], T]) -> T:
        """The answer of a child that has the file open. One that ends before it answers is
        replaced, and the question asked again, until it is its own fault: then `Fallen`."""
        falls = Falls()
        while True:
            try:
                if self._child is None:
                    self._child = self._decoders.child(self._owner, paged=True)
                    self._pages = self._child.open(self._file.fileno(), self._mime_type)
                return question(self._child)
            except Fallen as error:
                self._drop()
                if falls.is_blamed(error):
                    raise
            except TooLong:
                self._drop()
                raise
            except BaseException:
                if self._pages == 0:
                    self._drop()
                raise

    def _drop(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _check_format(self, head: bytes) -> None:
        name, starts = FORMATS[self._mime_type]
        if not (is_pdf(head) if self._mime_type == PDF else head.startswith(starts)):
            raise self._broken(f"it is no {name}, as its mime_type {self._mime_type} says.")

    def _broken(self, why: str) -> BrokenFile:
        name, _ = FORMATS[self._mime_type]
        return BrokenFile(f"Error in extracting images from {name} file {self._uri}: {why}")


def open_document(config: Any, stores: Stores, decoders: Decoders, owner: str = "") -> Document:
    """The file an ``InputConfig`` message means, opened for ``owner``.

    Raises `BrokenFile` as `Document` does, another `ImageError` when it cannot be read.
    """
    file, uri = fetched(config, stores), fetch.uri_of_file(config)
    return Document(file, config.mime_type, uri, decoders, owner)


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
