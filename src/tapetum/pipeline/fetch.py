"""From an ``Image`` or ``InputConfig`` message to the bytes of a file."""

from __future__ import annotations

from typing import Any

from tapetum.errors import (
    ImageForbidden,
    ImageNotFound,
    ImageTooLarge,
    InvalidImageUri,
    InvalidObjectName,
    ObjectForbidden,
    ObjectNotFound,
    ObjectTooLarge,
    StoreUnavailable,
    UrlNotAccessible,
    UrlNotAvailable,
)
from tapetum.stores.router import Stores, scheme_of

#: Largest image file, in bytes (Google: 20 MB).
MAX_BYTES = 20 * 1024 * 1024
#: Largest PDF, TIFF or GIF that a URI names, in bytes. It is in memory while it is copied to a
#: temporary file.
MAX_FILE_BYTES = 256 * 1024 * 1024

_URL_NO = (
    "The URL does not appear to be accessible by us. "
    "Please double check or download the content and pass it in."
)
_URL_NOT_NOW = "We can not access the URL currently. Please download the content and pass it in."


def uri_of(image: Any) -> str:
    """The URI an ``Image`` names, as given; empty for inline content. ``imageUri`` wins."""
    if image.content:
        return ""
    return str(image.source.image_uri or image.source.gcs_image_uri)


def fetch(image: Any, stores: Stores) -> bytes:
    """The bytes of ``image``: its inline content, else what its URI names.

    Raises `tapetum.errors.ImageError`, in Google's words where they are known.
    """
    if image.content:
        if len(image.content) > MAX_BYTES:
            raise too_large("Image", f"{len(image.content)} bytes")
        return bytes(image.content)
    uri = uri_of(image)
    if not image.source.image_uri and scheme_of(uri) != "gs":
        raise InvalidImageUri(f"Invalid GCS path specified: {uri}")
    return _read("Image", uri, stores, MAX_BYTES)


def uri_of_file(config: Any) -> str:
    """The URI an ``InputConfig`` names, as given; empty for inline content."""
    return "" if config.content else str(config.gcs_source.uri)


def fetch_file(config: Any, stores: Stores) -> bytes:
    """The bytes of the file that ``config``, an ``InputConfig``, means. Raises `ImageError`."""
    if config.content:
        return bytes(config.content)
    return _read("File", uri_of_file(config), stores, MAX_FILE_BYTES)


def _read(kind: str, uri: str, stores: Stores, limit: int) -> bytes:
    is_web = scheme_of(uri) in ("http", "https")
    try:
        return stores.read(uri, limit)
    except ObjectTooLarge as error:
        raise too_large(kind, error.message.removesuffix(".")) from error
    except InvalidObjectName as error:
        raise InvalidImageUri(f"Invalid {kind.lower()} URI specified: {error.message}") from error
    except ObjectNotFound as error:
        if is_web:
            raise UrlNotAccessible(_URL_NO) from error
        raise ImageNotFound(f"Error opening file: {uri}.") from error
    except ObjectForbidden as error:
        if is_web:
            raise ImageForbidden(f"The URL may not be fetched: {error.message}") from error
        raise ImageForbidden(f"Error opening file: {uri}.") from error
    except StoreUnavailable as error:
        if is_web:
            raise UrlNotAvailable(_URL_NOT_NOW) from error
        raise UrlNotAvailable(f"Error opening file: {uri}. The store does not answer.") from error


def too_large(kind: str, size: str) -> ImageTooLarge:
    """The error of an ``Image`` or a ``File`` that is too large; ``size`` says how large it is."""
    name, most = {"Image": ("Image file", "20 MB"), "File": ("File", "256 MB")}[kind]
    return ImageTooLarge(f"{name} too large: {size}. Please limit to {most}.")
