"""What a program gives as a picture: a path, a URI, bytes, a PIL image or an array.

Whatever it is, it becomes a source: what cannot be used is an error in its place.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tapetum.errors import BadImage, ImageError, InvalidImageParameter, InvalidImageUri
from tapetum.imaging.child import MaxSideFor
from tapetum.imaging.picture import Picture
from tapetum.pipeline import fetch
from tapetum.pipeline.image_sources import Source
from tapetum.stores.router import Stores, scheme_of
from tapetum.vision import messages

if TYPE_CHECKING:
    from PIL import Image

#: What bytes may be given as.
BYTES = (bytes, bytearray, memoryview)
#: What a picture may be given as, in words.
WANTED = "a path, a URI, bytes, a PIL image or a NumPy array of uint8"


@dataclass(slots=True)
class MeasuredSource:
    """A source that remembers how large its picture is.

    ``size``: width and height of the upright picture, in pixels, once it was decoded. ``weight``:
    bytes that it holds from the beginning.
    """

    source: Source
    weight: int = 0
    size: tuple[int, int] | None = None
    answer: None = None

    @property
    def request(self) -> Any:
        return self.source.request

    @property
    def uri(self) -> str:
        return self.source.uri

    def prepare(self, fetchers: ThreadPoolExecutor, stores: Stores) -> None:
        self.source.prepare(fetchers, stores)

    @property
    def is_here(self) -> bool:
        return self.source.is_here

    def wait(self) -> None:
        self.source.wait()

    def cancel(self) -> None:
        self.source.cancel()

    def picture(self, side_for: MaxSideFor) -> Picture:
        picture = self.source.picture(side_for)
        self.size = picture.width, picture.height
        return picture

    def finish(self, response: Any) -> None:
        self.source.finish(response)
        if self.uri:
            response.context.uri = self.uri


class _Here:
    """A source of which nothing has to be fetched."""

    answer = None

    def __init__(self, request: Any, uri: str = "") -> None:
        self.request = request
        self.uri = uri

    def prepare(self, fetchers: ThreadPoolExecutor, stores: Stores) -> None:
        """Nothing is needed."""

    @property
    def is_here(self) -> bool:
        return True

    def wait(self) -> None:
        """Nothing is under way."""

    def cancel(self) -> None:
        """Nothing is under way."""

    def finish(self, response: Any) -> None:
        """Nothing is left to say."""


class PixelsSource(_Here):
    """A picture that is decoded."""

    def __init__(self, request: Any, image: Image.Image) -> None:
        super().__init__(request)
        self._image: Image.Image | None = image

    def picture(self, side_for: MaxSideFor) -> Picture:
        from tapetum.imaging import decoding  # noqa: PLC0415 (Pillow is there: it made the image)

        image, self._image = self._image, None  # in memory no longer than needed
        if image is None:
            raise AssertionError
        return decoding.pictured(image, side_for)


class RefusedSource(_Here):
    """What cannot be used as a picture, and why."""

    def __init__(self, request: Any, error: ImageError, uri: str = "") -> None:
        super().__init__(request, uri)
        self._error = error

    def picture(self, side_for: MaxSideFor) -> Picture:
        raise self._error


def source_of(given: object, asked: Any, made: Callable[[Any], Source]) -> MeasuredSource:
    """The picture ``given``, of which ``asked``, an ``AnnotateImageRequest`` without an image, says
    which features want what. ``made`` is the source of a request with an image. Never raises over
    what is given."""
    request = messages.AnnotateImageRequest()
    request.CopyFrom(asked)
    uri = named(given)
    try:
        if uri is not None:
            request.image.source.image_uri = checked_uri(uri)
        elif isinstance(given, BYTES):
            request.image.content = checked_bytes(given)
        else:
            return _pixels(given, request)
    except ImageError as error:
        shown = uri if uri is not None and _is_text(uri) else ""
        return MeasuredSource(RefusedSource(request, error, shown))
    return MeasuredSource(made(request), len(request.image.content))


def is_one_picture(given: object) -> bool:
    """Whether ``given`` is one picture, and not many or none. An array of one dimension holds
    pictures, or their paths, and so does one of four."""
    is_text = isinstance(given, (str, os.PathLike, *BYTES))
    return is_text or (is_pixels(given) and getattr(given, "ndim", 3) not in (1, 4))


def named(given: object) -> str | None:
    """The path or URI that ``given`` is, if it is one."""
    if isinstance(given, str | os.PathLike):
        name = os.fspath(given)
        return name if isinstance(name, str) else os.fsdecode(name)
    return None


def advice_about(given: object) -> str:
    """What to do with an open file, with a space before it; nothing of anything else."""
    return " Read it: file.read()." if hasattr(given, "read") else ""


def is_pixels(given: object) -> bool:
    """Whether ``given`` is a PIL image or an array. Loads neither library: if it is not loaded,
    nobody has any."""
    return _is(given, "PIL.Image", "Image") or _is(given, "numpy", "ndarray")


def checked_uri(uri: str) -> str:
    """``uri`` if it can name a picture, else `InvalidImageUri`."""
    if not uri.strip():
        raise InvalidImageUri("The path is empty.")
    if not _is_text(uri):
        raise InvalidImageUri(f"The file name {uri!a} is not UTF-8; rename the file.")
    if not scheme_of(uri) and Path(uri).is_dir():
        raise InvalidImageUri(
            f"{uri} is a folder. Give the files in it, as sorted(Path({uri!r}).glob('*.jpg')) does."
        )
    return uri


def _pixels(given: object, request: Any) -> MeasuredSource:
    if not is_pixels(given):
        name = type(given).__name__
        raise InvalidImageParameter(
            f"An object of type {name} is not {WANTED}.{advice_about(given)}"
        )
    from tapetum.imaging import held_images  # noqa: PLC0415 (Pillow, which may not be needed)

    image = held_images.copied(given)  # type: ignore[arg-type]
    weight = image.width * image.height * len(image.getbands())
    return MeasuredSource(PixelsSource(request, image), weight)


def checked_bytes(given: bytes | bytearray | memoryview) -> bytes:
    size = memoryview(given).nbytes
    if not size:
        raise BadImage("Bad image data. There are no bytes.")
    if size > fetch.MAX_BYTES:
        raise fetch.too_large("Image", f"{size} bytes")
    return bytes(given)


def _is_text(uri: str) -> bool:
    """A file name on Linux may be any bytes."""
    try:
        uri.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is(given: object, module: str, name: str) -> bool:
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(given, kind)
