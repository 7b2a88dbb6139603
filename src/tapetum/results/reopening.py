"""Reading a picture again, to draw on it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tapetum.imaging.decoders import shared
from tapetum.pipeline import fetch, given_images
from tapetum.settings import Settings, resolve
from tapetum.stores.wiring import stores_of
from tapetum.vision import messages

if TYPE_CHECKING:
    from tapetum.stores.router import Stores


class Reopening:
    """Where pictures are read from a second time. Pickled, it is without its settings, in which
    there may be keys; those of the environment take their place."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings
        self._stores: Stores | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Reopening, ()

    def picture(self, given: Any) -> NDArray[np.uint8]:
        """The upright pixels, ``uint8`` RGB ``H×W×3``, of whatever ``annotate`` takes. Raises
        `tapetum.errors.ImageError`."""
        if given_images.is_pixels(given):
            from tapetum.imaging import held_images  # noqa: PLC0415 (Pillow, which is slow)

            return held_images.whole(given).pixels
        image = messages.AnnotateImageRequest().image
        uri = given_images.named(given)
        if uri is not None:
            image.source.image_uri = given_images.checked_uri(uri)
        elif isinstance(given, given_images.BYTES):
            image.content = given_images.checked_bytes(given)
        else:
            raise TypeError(f"A picture is {given_images.WANTED}, not {type(given).__name__}.")
        content = fetch.fetch(image, self._opened())
        return shared().decode(content, max).pixels

    def _opened(self) -> Stores:
        if self._stores is None:
            settings = self._settings if self._settings is not None else resolve({}, os.environ)
            self._stores = stores_of(settings, local_files=True)
        return self._stores
