"""A store that lives as long as the process: what the contract of stores says, and no more."""

from __future__ import annotations

from collections.abc import Iterator

from tapetum.errors import ObjectNotFound, ObjectTooLarge
from tapetum.stores import check_key, check_prefix


class MemoryStore:
    """One bucket's objects in a dict."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    def get(self, key: str, limit: int) -> bytes:
        try:
            content = self._objects[check_key(key)]
        except KeyError:
            raise ObjectNotFound(f"There is no object {key}.") from None
        if len(content) > limit:
            raise ObjectTooLarge(f"{key} has {len(content)} bytes; the limit is {limit}.")
        return content

    def put(self, key: str, content: bytes, content_type: str) -> None:
        self._objects[check_key(key)] = bytes(content)

    def list(self, prefix: str) -> Iterator[str]:
        check_prefix(prefix)
        return iter(sorted(key for key in self._objects if key.startswith(prefix)))

    def delete(self, key: str) -> None:
        try:
            del self._objects[check_key(key)]
        except KeyError:
            raise ObjectNotFound(f"There is no object {key}.") from None
