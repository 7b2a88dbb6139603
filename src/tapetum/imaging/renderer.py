"""The child process that opens one file of pages: PDF by PDFium, TIFF and GIF by Pillow.

``python -m tapetum.imaging.renderer FD MIME_TYPE SECONDS`` reads the file from the descriptor
``FD`` and answers on standard output, one JSON object a line, to what standard input asks::

    ◀ {"pages": 3}                                  the file is open
    ▶ {"page": 2}                                   1-based
    ◀ {"width": 1654, "height": 2339, "points": [595.3, 841.9]}    the page at full size
    ▶ {"side": 960}                                 the longest side wanted of it
    ◀ {"columns": 679, "rows": 960}                 and then columns x rows x 3 bytes of RGB

``points`` is there for PDF only. ``{"wrong": "..."}`` takes the place of any answer and ends what
was asked. The process ends when standard input does. It parses what strangers wrote, so it has
limits of its own (``SECONDS`` of processor time for each page and for opening the file, `MEMORY`)
and nothing worth stealing, and may be killed at any time.
"""

from __future__ import annotations

import ctypes
import json
import math
import mmap
import os
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

DOTS_PER_INCH = 200
POINTS_PER_INCH = 72
#: Largest picture made of a PDF page, in pixels: A2 at 200 dpi has half of it. A larger page is
#: rendered at fewer dots per inch.
MAX_PAGE_PIXELS = 32_000_000
#: Longest side of that picture, in pixels: a page may be a line.
MAX_PAGE_SIDE = 20_000
#: Bytes of address space beyond those that the opened libraries and the file take.
MEMORY = 3 * 2**29

_SideFor = Callable[[int, int], int]
#: columns, rows, samples in RGB order without padding
_Pixels = tuple[int, int, memoryview]


class Unusable(Exception):
    """The file or page cannot be rendered; the text is for the client, after a colon."""


class _Source(Protocol):
    pages: int

    def page(self, number: int, ask: Callable[[dict[str, Any]], int]) -> _Pixels:
        """Page ``number``, 1-based. ``ask`` says how large it is and hears the side wanted."""
        ...


class _Pdf:
    """Pages as PDFium draws them, with annotations and filled-in forms. Never the text layer."""

    def __init__(self, file: int) -> None:
        import pypdfium2  # noqa: PLC0415 (a TIFF does not need it)

        self._pdfium = pypdfium2
        _limit_memory(file)
        # The file stays on disk: PDFium reads it through the page cache, copies nothing.
        mapped = mmap.mmap(file, 0, access=mmap.ACCESS_COPY)
        content = (ctypes.c_char * len(mapped)).from_buffer(mapped)
        try:
            self._document = pypdfium2.PdfDocument(content)
        except pypdfium2.PdfiumError as error:
            raise Unusable(_why(error.err_code)) from error
        if self._document.get_formtype():
            with suppress(pypdfium2.PdfiumError):  # then the page is drawn without its form
                self._document.init_forms()
        self.pages = len(self._document)

    def page(self, number: int, ask: Callable[[dict[str, Any]], int]) -> _Pixels:
        try:
            page = self._document[number - 1]
        except self._pdfium.PdfiumError as error:
            raise Unusable("the page is damaged.") from error
        try:
            points = page.get_size()
            width, height = full_size(*points)
            side = ask({"width": width, "height": height, "points": points})
            scale = min(1.0, side / max(width, height))
            return self._draw(
                page, max(1, math.ceil(width * scale)), max(1, math.ceil(height * scale))
            )
        finally:
            page.close()

    def _draw(self, page: Any, columns: int, rows: int) -> _Pixels:
        raw = self._pdfium.raw
        bitmap = self._pdfium.PdfBitmap.new_native(
            columns, rows, raw.FPDFBitmap_BGR, rev_byteorder=True, stride=columns * 3
        )
        bitmap.fill_rect((255, 255, 255, 255), 0, 0, columns, rows)
        how = (bitmap, page, 0, 0, columns, rows, 0, raw.FPDF_ANNOT | raw.FPDF_REVERSE_BYTE_ORDER)
        raw.FPDF_RenderPageBitmap(*how)
        if self._document.formenv:
            raw.FPDF_FFLDraw(self._document.formenv, *how)
        return columns, rows, memoryview(bitmap.buffer).cast("B")


class _Frames:
    """Pages of a TIFF, frames of a GIF."""

    def __init__(self, file: int, kind: str) -> None:
        from tapetum import errors  # noqa: PLC0415 (a PDF does not need them)
        from tapetum.imaging import decoding  # noqa: PLC0415 (a PDF does not need them)

        self._bad = errors.ImageError
        _limit_memory(file)
        try:
            self._frames = decoding.Frames(os.fdopen(os.dup(file), "rb"), kind)
            self.pages = self._frames.count()
        except self._bad as error:
            raise Unusable(error.message) from error

    def page(self, number: int, ask: Callable[[dict[str, Any]], int]) -> _Pixels:
        try:
            picture = self._frames.picture(
                number, lambda width, height: ask({"width": width, "height": height})
            )
        except self._bad as error:
            raise Unusable(error.message) from error
        rows, columns = picture.pixels.shape[:2]
        return columns, rows, picture.pixels.data.cast("B")


def full_size(width: float, height: float) -> tuple[int, int]:
    """Pixels of a page of ``width×height`` points at `DOTS_PER_INCH`, or at as many as its size
    allows. Raises `Unusable` for a page that has no size."""
    if not (math.isfinite(width) and math.isfinite(height) and width > 0 and height > 0):
        raise Unusable("the page has no size.")
    scale = min(
        DOTS_PER_INCH / POINTS_PER_INCH,
        MAX_PAGE_SIDE / max(width, height),
        math.sqrt(MAX_PAGE_PIXELS / width / height),
    )
    return max(1, round(width * scale)), max(1, round(height * scale))


def _why(code: int | None) -> str:
    # PDFium's FPDF_ERR_*: 0 success (there are no pages), 4 password, 5 security.
    if code in (4, 5):
        return "it is encrypted and needs a password."
    return "it has no pages." if code == 0 else "it is damaged or no PDF."


def main(file: int, mime_type: str, seconds: int) -> None:
    """Answer until standard input ends."""
    answers = sys.stdout.buffer
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(limit, (0, 0))

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()

    def ask(size: dict[str, Any]) -> int:
        say(size)
        return int(json.loads(sys.stdin.buffer.readline())["side"])

    _limit_time(seconds)
    try:
        source = _open(file, mime_type)
    except (Unusable, MemoryError) as error:
        say({"wrong": str(error) or "it needs too much memory."})
        return
    say({"pages": source.pages})
    while line := sys.stdin.buffer.readline():
        _limit_time(seconds)
        try:
            columns, rows, pixels = source.page(json.loads(line)["page"], ask)
        except (Unusable, MemoryError) as error:
            say({"wrong": str(error) or "the page needs too much memory."})
            continue
        say({"columns": columns, "rows": rows})
        answers.write(pixels)
        answers.flush()


def _open(file: int, mime_type: str) -> _Source:
    if mime_type == "application/pdf":
        return _Pdf(file)
    return _Frames(file, mime_type.removeprefix("image/").upper())


def _limit_time(seconds: int) -> None:
    """``seconds`` of processor time from now on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime) + seconds)


def _limit_memory(file: int) -> None:
    """`MEMORY` beyond what there is now and the bytes of ``file``."""
    status = Path("/proc/self/statm")
    if status.exists():  # Linux
        taken = int(status.read_text().split()[0]) * mmap.PAGESIZE
        _lower(resource.RLIMIT_AS, taken + os.fstat(file).st_size + MEMORY)


def _lower(limit: int, value: int) -> None:
    _, most = resource.getrlimit(limit)
    resource.setrlimit(limit, (value if most == resource.RLIM_INFINITY else min(value, most), most))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
