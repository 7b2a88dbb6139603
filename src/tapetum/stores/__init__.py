"""Stores: URI → bytes and bytes → URI.

A *store* holds the objects of one bucket under keys like ``folder/photo.jpg``. `Stores`
(`tapetum.stores.router`) finds the store of a URI. Every store answers with the same errors:
`InvalidObjectName`, `ObjectNotFound`, `ObjectForbidden`, `ObjectTooLarge`, `StoreUnavailable`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from tapetum.errors import InvalidObjectName

#: Control characters, and what is no text (a file name that is not UTF-8).
_UNFIT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Store(Protocol):
    """The objects of one bucket."""

    def get(self, key: str, limit: int) -> bytes:
        """The object's bytes; `ObjectTooLarge` when it has more than ``limit``."""
        ...

    def put(self, key: str, content: bytes, content_type: str) -> None:
        """Write the object whole and atomically, replacing what was there."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """The keys in the folder ``prefix`` (``""`` or ending in ``/``) and below it."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; `ObjectNotFound` when there is none."""
        ...


def check_key(key: str) -> str:
    """``key`` if it can name an object in every store, else `InvalidObjectName`."""
    parts = key.split("/")
    size = len(key.encode(errors="surrogatepass"))
    if any(part in ("", ".", "..") for part in parts) or _UNFIT.search(key) or size > 1024:
        raise InvalidObjectName(
            f"{_shown(key)} is not an object name: it must be 1 to 1024 bytes of UTF-8, with no "
            "control character and no empty, '.' or '..' part between its slashes."
        )
    return key


def check_prefix(prefix: str) -> str:
    """``prefix`` if it names a folder (``""``, or a key and ``/``), else `InvalidObjectName`."""
    if prefix:
        check_key(prefix.removesuffix("/"))
        if not prefix.endswith("/"):
            raise InvalidObjectName(f"{_shown(prefix)} is not a folder: it must end in a slash.")
    return prefix


def _shown(key: str) -> str:
    return repr(key if len(key) <= 200 else f"{key[:200]}…")
