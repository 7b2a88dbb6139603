"""From the bytes of an image file to an upright `Picture`."""

from __future__ import annotations

import codecs
import functools
import importlib
import io
import logging
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tapetum.errors import BadImage, ImageTooLarge
from tapetum.imaging.picture import Picture
from tapetum.vision.limits import MAX_PIXELS

log = logging.getLogger(__name__)

#: Decoders that may see bytes from outside, by Pillow's names. Everything else is no image.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "ICO")
#: Samples that are stretched together.
_BAND = 4_000_000
#: Where EXIF says how an image is turned.
ORIENTATION_TAG = 0x0112
#: What Pillow imports when some picture first needs it, and Python for texts beside pixels: where
#: no file can be opened any more, it must be there before.
_NEEDED_LATE = ("ImageCms", "ImageColor", "ImageFile", "ImageFilter", "ImagePalette")
_ENCODINGS = ("ascii", "latin-1", "utf-8", "utf-16", "utf-16-be", "utf-16-le", "cp1252")


def decode(content: bytes, side_for: Callable[[int, int], int]) -> Picture:
    """The picture in ``content``, its longest side not much above what is wanted of it.

    ``side_for(width, height)`` answers the longest side, in pixels, wanted of an upright picture
    of that size. JPEG is decoded at a fraction of its size where that suffices (scaled DCT); the
    first frame of an animation counts; EXIF orientation is applied; transparency goes over
    white; 16-bit samples keep their upper 8 bits.

    Raises `BadImage` for anything Pillow cannot read to the end, `ImageTooLarge` above
    `MAX_PIXELS`, before any pixel is decoded.
    """
    prepare()
    with bad_bytes(), Image.open(io.BytesIO(content), formats=FORMATS) as image:
        return _picture(image, side_for)


def pictured(image: Image.Image, side_for: Callable[[int, int], int]) -> Picture:
    """An image that somebody's program made or opened, as `decode` would make a picture of a file
    with the same pixels. Raises as `decode` does; sets nothing of Pillow."""
    with bad_bytes():
        return _picture(image, side_for)


@functools.cache
def prepare() -> None:
    """Set Pillow up for bytes from outside, once in this process, and load all that it may need."""
    # Pillow checks sizes in places ours cannot see (an icon's inner PNG). Its limit is a module
    # global; it raises an error above twice that limit, and before only warns.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
    # What it warns of (large pictures, broken metadata beside good pixels) is nobody's news here.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    Image.init()
    for module in _NEEDED_LATE:
        importlib.import_module(f"PIL.{module}")
    for encoding in _ENCODINGS:
        codecs.lookup(encoding)


class Frames:
    """The pages of a TIFF or the frames of an animated GIF; ``kind`` is ``TIFF`` or ``GIF``.

    Raises `BadImage` and `ImageTooLarge` as `decode` does. Frames are decoded when asked for; one
    that lies before the last one costs a GIF all frames from the first.
    """

    def __init__(self, file: IO[bytes], kind: str) -> None:
        prepare()
        with bad_bytes():
            self._image = Image.open(file, formats=[kind])

    def count(self) -> int:
        """How many there are."""
        with bad_bytes():
            return int(getattr(self._image, "n_frames", 1))

    def picture(self, number: int, side_for: Callable[[int, int], int]) -> Picture:
        """Frame ``number``, 1-based, as `decode` makes it."""
        with bad_bytes():
            self._image.seek(number - 1)
            return _picture(self._image, side_for)


@contextmanager
def bad_bytes() -> Iterator[None]:
    """Turn what Pillow raises over bytes it cannot read into `BadImage` and `ImageTooLarge`."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise _too_large() from error
    except (
        OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, AttributeError,
        ArithmeticError, AssertionError, RuntimeError, struct.error, zlib.error,
    ) as error:  # fmt: skip
        # Pillow's decoders have no error class of their own; all of these come from bad bytes.
        log.debug("undecodable image: %s: %s", type(error).__name__, error)
        raise BadImage("Bad image data.") from error


def _picture(image: Image.Image, side_for: Callable[[int, int], int]) -> Picture:
    if image.width * image.height > MAX_PIXELS:
        raise _too_large()
    view = None
    if image.format in ("JPEG", "MPO"):
        view = _View.of(image, side_for)
        fraction = min(1.0, view.side / max(image.size))
        wanted = (max(1, round(image.width * fraction)), max(1, round(image.height * fraction)))
        image.draft(image.mode, wanted)
    image.load()
    if view is None:  # loading turns a TIFF upright
        view = _View.of(image, side_for)
    if image.mode == "La":  # which Pillow converts to nothing else
        image = image.convert("LA")
    factor = max(image.size) // view.side
    if factor >= 2:
        image = _reducible(image).reduce(factor)
    pixels = _upright(_rgb(image), view.orientation)
    return Picture(np.ascontiguousarray(pixels), view.width, view.height)


@dataclass(frozen=True, slots=True)
class _View:
    """How an image is to be seen: upright size, EXIF orientation, longest side wanted."""

    width: int
    height: int
    orientation: int
    side: int

    @classmethod
    def of(cls, image: Image.Image, side_for: Callable[[int, int], int]) -> _View:
        orientation = orientation_of(image)
        width, height = image.size if orientation < 5 else image.size[::-1]
        return cls(width, height, orientation, max(1, side_for(width, height)))


def _too_large() -> ImageTooLarge:
    return ImageTooLarge("Image too large. Please limit to 75 megapixels.")


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 when there is none or the EXIF block is broken."""
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error):
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo the EXIF orientation: 2 and 4 mirror, 3 half turn, 5 to 8 transpose and more."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _reducible(image: Image.Image) -> Image.Image:
    """``image`` in a mode in which pixels can be averaged."""
    if image.mode in ("L", "RGB", "RGBA", "CMYK", "YCbCr"):
        return image
    if _is_deep(image):
        return Image.fromarray(_from_deep(np.asarray(image)))
    return image.convert("RGBA" if _has_transparency(image) else "RGB")


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def _has_transparency(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    if _is_deep(image):
        return _from_deep(np.asarray(image))
    if _has_transparency(image):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image)
        image = white
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"), dtype=np.uint8)


def _from_deep(samples: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey samples of more than 8 bits as 8-bit RGB: 16-bit by their upper byte, others
    stretched from their smallest to their largest value."""
    if samples.dtype.kind in "iu" and samples.min() >= 0 and samples.max() <= 65535:
        is_deep = samples.dtype.itemsize == 2 or samples.max() > 255
        grey = (samples >> 8 if is_deep else samples).astype(np.uint8)
    else:
        grey = _stretched(samples)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _stretched(samples: NDArray[Any]) -> NDArray[np.uint8]:
    """``samples`` as 0 to 255. In bands: a whole picture of float64 is more than all the rest."""
    bands = np.array_split(samples, max(1, samples.size // _BAND))
    lowest = min(float(np.nan_to_num(band).min()) for band in bands)
    highest = max(float(np.nan_to_num(band).max()) for band in bands)
    factor = 255 / max(highest - lowest, 1e-300)
    return np.concatenate(
        [
            ((np.nan_to_num(band).astype(np.float64) - lowest) * factor).astype(np.uint8)
            for band in bands
        ]
    )
