"""Pictures that somebody's program holds: PIL images and arrays. Copied as they are taken, for the
program may go on with them meanwhile."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tapetum.errors import ImageTooLarge, InvalidImageParameter
from tapetum.imaging import decoding
from tapetum.imaging.picture import Picture
from tapetum.vision.limits import MAX_PIXELS

#: Where Pillow looks for an orientation: what the file said, not what the program made of it.
_OF_THE_FILE = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")
_SHAPES = "H×W, H×W×1, H×W×3 (RGB) or H×W×4 (RGBA)"


def copied(held: Image.Image | NDArray[Any]) -> Image.Image:
    """A copy of a PIL image, loaded, or of an array, as an image. Turned as the program has it.

    Raises `InvalidImageParameter` for an array that is no picture, `BadImage` for a PIL image that
    cannot be loaded, `ImageTooLarge` above 75 megapixels.
    """
    if isinstance(held, Image.Image):
        _check_size(held.width, held.height)
        with decoding.bad_bytes():
            image = held.copy()  # loads it, which turns a TIFF upright
            for name in _OF_THE_FILE:
                image.info.pop(name, None)
            image.getexif()[decoding.ORIENTATION_TAG] = decoding.orientation_of(held)
            return image
    samples = _checked(held)
    return Image.fromarray(np.array(samples))


def whole(held: Image.Image | NDArray[Any]) -> Picture:
    """The upright picture of a PIL image or array at full size. Raises as `copied` does."""
    return decoding.pictured(copied(held), max)


def _checked(array: NDArray[Any]) -> NDArray[np.uint8]:
    """``array`` if it is a picture, a single channel as H×W."""
    shown = f"this one is {array.dtype} of {'×'.join(map(str, array.shape)) or 'one number'}"
    wanted = f"An array must be uint8 of {_SHAPES}; {shown}"
    if array.ndim == 4:
        raise InvalidImageParameter(f"{wanted}. Give the pictures of a stack one by one.")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise InvalidImageParameter(f"{wanted}.")
    if not array.size:
        raise InvalidImageParameter(f"{wanted}: it is empty.")
    if array.dtype != np.uint8:
        advice = "(array * 255).astype('uint8')" if array.dtype.kind == "f" else "astype('uint8')"
        raise InvalidImageParameter(f"{wanted}. Scale to 0..255 and convert, as by {advice}.")
    _check_size(array.shape[1], array.shape[0])
    return array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageTooLarge("Image too large. Please limit to 75 megapixels.")
