"""Files of pages: PDF by PDFium, TIFF and GIF by Pillow. Only a decoder calls this."""

from __future__ import annotations

import ctypes
import math
import mmap
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import pypdfium2

from tapetum.errors import ImageError
from tapetum.imaging import decoding

DOTS_PER_INCH = 200
POINTS_PER_INCH = 72
#: Largest picture made of a PDF page, in pixels: A2 at 200 dpi has half of it. A larger page is
#: rendered at fewer dots per inch.
MAX_PAGE_PIXELS = 32_000_000
#: Longest side of that picture, in pixels: a page may be a line.
MAX_PAGE_SIDE = 20_000

_SideFor = Callable[[int, int], int]
#: columns, rows, samples in RGB order without padding
_Pixels = tuple[int, int, memoryview]


class Unusable(Exception):
    """The file or page cannot be rendered; the text is for the client, after a colon."""


class Source(Protocol):
    """An open file."""

    pages: int

    def page(self, number: int, ask: Callable[[dict[str, Any]], int]) -> _Pixels:
        """Page ``number``, 1-based. ``ask`` says how large it is and hears the side wanted."""
        ...


class _Pdf:
    """Pages as PDFium draws them, with annotations and filled-in forms. Never the text layer."""

    def __init__(self, file: int) -> None:
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
        except pypdfium2.PdfiumError as error:
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
        raw = pypdfium2.raw
        bitmap = pypdfium2.PdfBitmap.new_native(
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
        try:
            self._frames = decoding.Frames(os.fdopen(os.dup(file), "rb"), kind)
            self.pages = self._frames.count()
        except ImageError as error:
            raise Unusable(error.message) from error

    def page(self, number: int, ask: Callable[[dict[str, Any]], int]) -> _Pixels:
        try:
            picture = self._frames.picture(
                number, lambda width, height: ask({"width": width, "height": height})
            )
        except ImageError as error:
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


def opened(file: int, mime_type: str) -> Source:
    """The pages of the descriptor ``file``. Raises `Unusable`."""
    if mime_type == "application/pdf":
        return _Pdf(file)
    return _Frames(file, mime_type.removeprefix("image/").upper())


def warm() -> None:
    """Load what drawing a page loads when it is first needed."""
    document = pypdfium2.PdfDocument.new()
    document.new_page(9, 9).render()
    document.close()
