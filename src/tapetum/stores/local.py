"""A folder as a bucket.

Plain file calls rather than obstore's ``LocalStore``, which follows links out of its root and
stages half-written objects beside the finished ones, where a killed process leaves them for the
bucket's owner to find.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tapetum.errors import (
    InvalidObjectName,
    ObjectForbidden,
    ObjectNotFound,
    ObjectTooLarge,
    StoreUnavailable,
)
from tapetum.stores import check_key


class LocalStore:
    """The files under ``root``; never anything a link in it points to outside.

    ``scratch`` is a folder on the same file system for objects being written; without one they
    are written beside their final name, under a name that starts with a dot. With ``create``,
    ``root`` is made when it is first written to.
    """

    def __init__(self, root: Path, scratch: Path | None = None, *, create: bool = False) -> None:
        self._root = root
        self._scratch = scratch
        self._create = create

    def get(self, key: str, limit: int) -> bytes:
        with _errors(key):
            descriptor = os.open(self._inside(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise ObjectNotFound(f"{key} is not a file.")
                if status.st_size > limit:
                    raise ObjectTooLarge(f"{key} has {status.st_size} bytes; the limit is {limit}.")
                content = file.read(limit + 1)
        if len(content) > limit:
            raise ObjectTooLarge(f"{key} has more than {limit} bytes.")
        return content

    def put(self, key: str, content: bytes, content_type: str) -> None:
        with _errors(key):
            if self._create:
                self._root.mkdir(parents=True, exist_ok=True)
            target = self._inside(key)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir():
                raise ObjectForbidden(f"{key} is a folder.")
            staged = self._staging_path(target)
            try:
                with staged.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                staged.replace(target)
            except OSError:
                with suppress(OSError):
                    staged.unlink(missing_ok=True)
                raise

    def list(self, prefix: str) -> Iterator[str]:
        folder = prefix.rstrip("/")
        with _errors(prefix or "."):
            top = self._inside(folder) if folder else self._existing_root()
            if not top.is_dir():
                return
        yield from self._walk(top, f"{folder}/" if folder else "")

    def delete(self, key: str) -> None:
        with _errors(key):
            self._inside(key).unlink()

    def _walk(self, folder: Path, prefix: str) -> Iterator[str]:
        with _errors(prefix):
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(Path(entry.path), f"{prefix}{entry.name}/")
            elif entry.is_file(follow_symlinks=False):
                yield f"{prefix}{entry.name}"

    def _existing_root(self) -> Path:
        """The root without links, or `ObjectForbidden`: a bucket that does not exist cannot be
        listed, and that is what a client may know of it."""
        try:
            return self._root.resolve(strict=True)
        except FileNotFoundError:
            raise ObjectForbidden(f"The bucket folder {self._root.name} does not exist.") from None

    def _inside(self, key: str) -> Path:
        """The path of ``key``, its folders free of links that leave the root."""
        root = self._existing_root()
        path = (root / check_key(key)).resolve()
        if not path.is_relative_to(root):
            raise ObjectForbidden(f"{key} leads out of its bucket.")
        return path

    def _staging_path(self, target: Path) -> Path:
        unique = f"{os.getpid()}-{threading.get_ident()}"
        if self._scratch is None:
            return target.with_name(f".{target.name}.{unique}")
        self._scratch.mkdir(parents=True, exist_ok=True)
        return self._scratch / unique


_NOT_FOUND = {errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENXIO}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP}


@contextmanager
def _errors(key: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        said = f"{key}: {error.strerror or error}."
        if error.errno in _NOT_FOUND:
            raise ObjectNotFound(said) from error
        if error.errno in _FORBIDDEN:
            raise ObjectForbidden(said) from error
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidObjectName(said) from error
        raise StoreUnavailable(said) from error
