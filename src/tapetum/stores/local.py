"""A folder as a bucket.

Plain file calls rather than obstore's ``LocalStore``, which follows links out of its root and
stages half-written objects beside the finished ones, where a killed process leaves them for the
bucket's owner to find.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
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
from tapetum.stores import check_key, check_prefix

#: Start of the names of objects being written; `LocalStore.list` passes them over.
_STAGED = ".tapetum-"


class LocalStore:
    """The files under ``root``; never anything a link in it points to outside.

    A link to a file in the root is an object like any other; `list` does not walk into links to
    folders. ``scratch`` is a folder for objects being written; without one, or when it is on
    another file system, they are written beside their final name.
    """

    def __init__(self, root: Path, scratch: Path | None = None) -> None:
        self._root = root
        self._scratch = scratch

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
            target = self._inside(key)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError) as error:
                raise ObjectForbidden(f"{key}: a part of its folder is a file.") from error
            if target.is_dir():
                raise ObjectForbidden(f"{key} is a folder.")
            try:
                _replace(target, content, self._scratch or target.parent)
            except OSError as error:
                if error.errno != errno.EXDEV or self._scratch is None:
                    raise
                _replace(target, content, target.parent)

    def list(self, prefix: str) -> Iterator[str]:
        folder = check_prefix(prefix).removesuffix("/")
        with _errors(prefix or "."):
            root = self._existing_root()
            top = self._inside(folder) if folder else root
            if not top.is_dir():
                return
        yield from _walk(top, prefix, root)

    def delete(self, key: str) -> None:
        with _errors(key):
            self._inside(key)
            (self._root / key).unlink()  # of a link, the link

    def _existing_root(self) -> Path:
        """The root without links, or `ObjectForbidden`: a bucket that does not exist cannot be
        listed, and that is what a client may know of it."""
        try:
            return _resolved(self._root, strict=True)
        except FileNotFoundError:
            raise ObjectForbidden(f"The bucket folder {self._root.name} does not exist.") from None

    def _inside(self, key: str) -> Path:
        """The path of ``key``, its folders free of links that leave the root."""
        root = self._existing_root()
        path = _resolved(root / check_key(key))
        if not path.is_relative_to(root):
            raise ObjectForbidden(f"{key} leads out of its bucket.")
        return path


def _replace(target: Path, content: bytes, folder: Path) -> None:
    """Write ``target`` whole, by way of a file in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    staged = folder / f"{_STAGED}{secrets.token_hex(8)}"
    try:
        with staged.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(target)
    except BaseException:
        with suppress(OSError):
            staged.unlink(missing_ok=True)
        raise


def _walk(folder: Path, prefix: str, root: Path) -> Iterator[str]:
    with _errors(prefix):
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", root)
        elif _is_object(entry, root):
            yield f"{prefix}{entry.name}"


def _is_object(entry: os.DirEntry[str], root: Path) -> bool:
    if entry.name.startswith(_STAGED):
        return False
    try:
        if entry.is_symlink():
            return entry.is_file() and _resolved(Path(entry.path)).is_relative_to(root)
        return entry.is_file()
    except OSError:  # a link that leads nowhere
        return False


def _resolved(path: Path, *, strict: bool = False) -> Path:
    """``path`` without links. Links in a circle are an `OSError` like everything else."""
    try:
        resolved = path.resolve(strict=strict)
        is_circle = resolved.is_symlink()  # Python 3.13 resolves as far as it can
    except RuntimeError:  # Python 3.11 and 3.12
        is_circle = True
    if is_circle:
        raise OSError(errno.ELOOP, "links in a circle")
    return resolved


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
