"""A folder as a bucket.

Plain file calls rather than obstore's ``LocalStore``, which follows links out of its root and
stages half-written objects beside the finished ones, where a killed process leaves them for the
bucket's owner to find.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

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
        with _errors(key), self.open(key) as file:
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise ObjectTooLarge(f"{key} has {size} bytes; the limit is {limit}.")
            content = file.read(limit + 1)
        if len(content) > limit:
            raise ObjectTooLarge(f"{key} has more than {limit} bytes.")
        return content

    def open(self, key: str) -> BinaryIO:
        """The object as a file to read from, for those who cannot hold it whole."""
        with _errors(key):
            descriptor = os.open(self._inside(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            file = os.fdopen(descriptor, "rb")
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                file.close()
                raise ObjectNotFound(f"{key} is not a file.")
            return file

    def put(self, key: str, content: bytes, content_type: str) -> None:
        upload = self.begin(key)
        try:
            upload.write(content)
            upload.commit()
        finally:
            upload.close()

    def begin(self, key: str) -> Upload:
        """Begin to write an object piece by piece."""
        with _errors(key):
            target = self._inside(key)
            if target.is_dir():
                raise ObjectForbidden(f"{key} is a folder.")
            folder = self._scratch
            if folder is None:
                folder = target.parent
                _make_folder(folder, key)
            folder.mkdir(parents=True, exist_ok=True)
            return Upload(key, lambda: self._inside(key), folder)

    def list(self, prefix: str) -> Iterator[str]:
        check_prefix(prefix)
        yield from self.page(prefix)

    def page(self, prefix: str, after: str = "", *, deep: bool = True) -> Iterator[str]:
        """The keys that start with ``prefix`` and come after ``after``, in the order of their
        characters. Without ``deep``, the folders right below the prefix's own, with their slash,
        stand for what is in them."""
        folder = prefix.rpartition("/")[0]
        with _errors(prefix or "."):
            root = self._existing_root()
            top = self._inside(folder) if folder else root
            if not top.is_dir():
                return
        yield from _walk(top, f"{folder}/" if folder else "", root, prefix, after, deep=deep)

    def delete(self, key: str) -> None:
        with _errors(key):
            self._inside(key)
            (self._root / key).unlink()  # of a link, the link

    def exists(self) -> bool:
        """Whether there is such a folder."""
        return self._root.is_dir()

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


class Upload:
    """An object on its way into a bucket: written piece by piece, there whole at `commit`, or
    never. `close` it in any case. ``folder`` holds it meanwhile."""

    def __init__(self, key: str, place: Callable[[], Path], folder: Path) -> None:
        self._key = key
        self._place = place  # asked again at the end: links may have been made meanwhile
        self._staged = folder / f"{_STAGED}{secrets.token_hex(8)}"
        self._file = self._staged.open("xb")
        self.size = 0

    def write(self, piece: bytes) -> None:
        with _errors(self._key):
            self._file.write(piece)
        self.size += len(piece)

    def commit(self) -> None:
        """Put the object in its place, over what was there."""
        with _errors(self._key):
            self._file.flush()
            os.fsync(self._file.fileno())
            target = self._place()
            _make_folder(target.parent, self._key)
            try:
                self._staged.replace(target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                self._cross(target)

    def close(self) -> None:
        """Let go of the file, and of what was not committed."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._staged.unlink(missing_ok=True)

    def _cross(self, target: Path) -> None:
        """Onto the other file system, and only there to its name."""
        beside = target.parent / self._staged.name
        try:
            with self._staged.open("rb") as source, beside.open("xb") as copy:
                shutil.copyfileobj(source, copy)
                copy.flush()
                os.fsync(copy.fileno())
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)


def _make_folder(folder: Path, key: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ObjectForbidden(f"{key}: a part of its folder is a file.") from error


def _walk(
    folder: Path, above: str, root: Path, prefix: str = "", after: str = "", *, deep: bool = True
) -> Iterator[str]:
    """The keys in ``folder``, whose own is ``above``; see `LocalStore.page`."""
    with _errors(above or "."):
        keys = [
            (f"{above}{entry.name}{'/' if entry.is_dir(follow_symlinks=False) else ''}", entry)
            for entry in os.scandir(folder)
        ]
    for key, entry in sorted(keys, key=lambda pair: pair[0]):
        if not key.startswith(prefix):
            continue
        if not key.endswith("/"):
            if key > after and _is_object(entry, root):
                yield key
        elif not deep:
            inside = _walk(Path(entry.path), key, root)
            if key > after and next(inside, None) is not None:
                yield key
        elif key > after or after.startswith(key):
            yield from _walk(Path(entry.path), key, root, "", after)


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
        message = f"{key}: {error.strerror or error}."
        if error.errno in _NOT_FOUND:
            raise ObjectNotFound(message) from error
        if error.errno in _FORBIDDEN:
            raise ObjectForbidden(message) from error
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidObjectName(message) from error
        raise StoreUnavailable(message) from error
