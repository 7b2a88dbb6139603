"""A decoder: a child that turns bytes of one owner into pixels, locked into `tapetum.imaging.jail`.

It answers on its socket (`tapetum.imaging.messages`) what is asked there::

    ▶ {"decode": true} + the file           ◀ {"width": 4000, "height": 3000}   upright, full size
    ▶ {"side": 960}                         ◀ {"columns": 960, "rows": 720} + RGB pixels
    ▶ {"open": "application/pdf"} + file    ◀ {"pages": 3}
    ▶ {"page": 2}                           ◀ {"width": .., "height": .., "points": [595.3, 841.9]}
    ▶ {"side": 960}                         ◀ {"columns": 679, "rows": 960} + RGB pixels
    ▶ {"draw": true} + an SVG file          ◀ {"bytes": 1234} + a PNG
    ▶ {"layers": true}                      ◀ {"seccomp": true, ...}    what the jail is made of

``points`` is there for PDF only. ``{"wrong": KIND, "text": ...}`` takes the place of any answer and
ends what was asked. Each question says in ``seconds`` how much processor time there is for it,
after which the kernel ends the process.
"""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from PIL import Image

from tapetum.errors import BadImage, ImageTooLarge, InvalidGallery
from tapetum.imaging import decoding, drawing, jail, messages, pages
from tapetum.imaging.picture import Picture

#: Where PDFium looks for the fonts that a PDF names and does not bring.
FONTS = (
    Path("/usr/share/fonts"),
    Path("/usr/share/X11/fonts"),
    Path("/usr/local/share/fonts"),
)


class _Decoder:
    def __init__(self, line: socket.socket, memory_taken: int, held: dict[str, bool]) -> None:
        self._line = line
        self._held = held
        self._memory_taken = memory_taken
        self._pages: pages.Source | None = None

    def answer(self, question: dict[str, Any], file: int | None) -> None:
        """One question, to its end."""
        jail.limit_time(float(question["seconds"]))
        with self._wrong():
            if "decode" in question and file is not None:
                self._give(decoding.decode(_content(file), self._side))
            elif "draw" in question and file is not None:
                drawn = drawing.rendered(_content(file))
                self._hand_over({"bytes": len(drawn)}, memoryview(drawn))
            elif "open" in question and file is not None:
                # The file is mapped as a whole, and takes no memory that way.
                size = os.fstat(file).st_size
                jail.limit_memory(self._memory_taken + jail.MEMORY + size)
                self._pages = pages.opened(file, question["open"])
                messages.send(self._line, {"pages": self._pages.pages})
            elif "layers" in question:
                messages.send(self._line, self._held)
            elif "page" in question and self._pages is not None:
                columns, rows, pixels = self._pages.page(int(question["page"]), self._ask)
                self._hand_over({"columns": columns, "rows": rows}, pixels)

    def _side(self, width: int, height: int) -> int:
        return self._ask({"width": width, "height": height})

    def _ask(self, size: dict[str, Any]) -> int:
        messages.send(self._line, size)
        return max(1, int(messages.receive(self._line)[0]["side"]))

    def _give(self, picture: Picture) -> None:
        rows, columns = picture.pixels.shape[:2]
        self._hand_over({"columns": columns, "rows": rows}, picture.pixels.data.cast("B"))

    def _hand_over(self, answer: dict[str, Any], content: memoryview) -> None:
        file = messages.sealed(content)
        try:
            messages.send(self._line, answer, file)
        finally:
            os.close(file)

    @contextmanager
    def _wrong(self) -> Iterator[None]:
        """Say what is wrong with what was given."""
        try:
            yield
        except (BadImage, ImageTooLarge, InvalidGallery, pages.Unusable) as error:
            self._say(type(error).__name__, str(error))
        except MemoryError:
            self._say("MemoryError", "it needs too much memory.")
        except messages.Silent:
            raise
        except Exception as error:  # noqa: BLE001 (who asked logs it; there is no log in here)
            self._say("Fault", f"{type(error).__name__}: {error}")

    def _say(self, kind: str, text: str) -> None:
        messages.send(self._line, {"wrong": kind, "text": text[:1000]})


def serve(line: socket.socket, *, paged: bool) -> NoReturn:
    """Lock this process in and answer until the other end of ``line`` is closed. ``paged``: it is
    for a file of pages, for which fonts may be read."""
    memory_taken = jail.memory_taken()
    held = jail.enter(FONTS if paged else ())
    decoder = _Decoder(line, memory_taken, held)
    try:
        while True:
            question, file = messages.receive(line)
            try:
                decoder.answer(question, file)
            finally:
                if file is not None:
                    os.close(file)
    except messages.Silent:
        os._exit(0)


def warm() -> None:
    """Load what decoding loads when it is first needed: in the jail it could not.

    Only pictures of this module's own making are looked at.
    """
    decoding.prepare()
    for kind, mode in (("JPEG", "RGB"), ("PNG", "RGBA"), ("GIF", "P"), ("BMP", "RGB"),
                       ("WEBP", "RGB"), ("TIFF", "I;16"), ("ICO", "RGBA")):  # fmt: skip
        file = io.BytesIO()
        Image.new(mode, (9, 9)).save(file, kind)
        decoding.decode(file.getvalue(), _whole)
    pages.warm()
    drawing.rendered(b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"/>')


_whole: Callable[[int, int], int] = max


def _content(file: int) -> bytes:
    with os.fdopen(os.dup(file), "rb") as whole:
        whole.seek(0, io.SEEK_SET)
        return whole.read()
