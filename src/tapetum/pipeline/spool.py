"""Files that several tasks read, fetched once: temporary files, shared while there is use for them.

A PDF of 2000 pages is some 35 tasks. What is shared is named by a *key* that says whose file it is
and which operation it is for, so that nobody is given a file that they may not read, and no
operation one that was fetched for another and may have changed since.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

#: Bytes of files that no task uses just now, kept for the next: two of the largest there may be.
IDLE_BYTES = 512 * 1024 * 1024
#: Seconds that such a file is kept. The next task of an operation begins right after the last one.
IDLE_SECONDS = 30.0


@dataclass(slots=True)
class _Entry:
    """One file and how many use it. ``ready`` is held while it is fetched."""

    key: Hashable
    users: int = 0
    file: IO[bytes] | None = None
    size: int = 0
    ready: threading.Lock = field(default_factory=threading.Lock)
    expiry: threading.Timer | None = None


class Spool:
    """Temporary files by key, for any number of threads.

    A file is there as long as somebody uses it and ``idle_seconds`` longer; of those that nobody
    uses, the least recently used go first when they are more than ``idle_bytes`` together.
    """

    def __init__(self, idle_bytes: int = IDLE_BYTES, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle_bytes = idle_bytes
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        #: By key, the least recently used first.
        self._entries: dict[Hashable, _Entry] = {}

    def __len__(self) -> int:
        """How many files are there."""
        with self._lock:
            return len(self._entries)

    @contextmanager
    def using(self, key: Hashable, fetch: Callable[[], IO[bytes]]) -> Iterator[IO[bytes]]:
        """The file of ``key``, opened anew for reading; the caller may close it.

        ``fetch`` makes the file where it is not there yet, once for all who ask meanwhile. What it
        raises is raised to the one it was called for; who waited for it tries for themselves.
        """
        entry = self._taken(key)
        try:
            with entry.ready:
                if entry.file is None:
                    file = fetch()
                    entry.file, entry.size = file, os.fstat(file.fileno()).st_size
                mine = _reopened(entry.file)
            with mine:
                yield mine
        finally:
            self._give_back(entry)

    def close(self) -> None:
        """Forget every file; one in use stays its user's until that is done."""
        with self._lock:
            for entry in list(self._entries.values()):
                self._drop(entry)

    def _taken(self, key: Hashable) -> _Entry:
        with self._lock:
            entry = self._entries.pop(key, None) or _Entry(key)
            self._entries[key] = entry  # now the most recently used
            entry.users += 1
            if entry.expiry is not None:
                entry.expiry.cancel()
                entry.expiry = None
            return entry

    def _give_back(self, entry: _Entry) -> None:
        with self._lock:
            entry.users -= 1
            if entry.users:
                return
            if entry.file is None or self._entries.get(entry.key) is not entry:
                self._drop(entry)  # it could not be fetched, or the spool was closed meanwhile
                return
            entry.expiry = threading.Timer(self._idle_seconds, self._expire, [entry])
            entry.expiry.daemon = True
            entry.expiry.start()
            self._make_room()

    def _make_room(self) -> None:
        idle = [entry for entry in self._entries.values() if not entry.users]
        excess = sum(entry.size for entry in idle) - self._idle_bytes
        for entry in idle:
            if excess <= 0:
                break
            excess -= entry.size
            self._drop(entry)

    def _expire(self, entry: _Entry) -> None:
        with self._lock:
            if not entry.users:
                self._drop(entry)

    def _drop(self, entry: _Entry) -> None:
        if self._entries.get(entry.key) is entry:
            del self._entries[entry.key]
        if entry.expiry is not None:
            entry.expiry.cancel()
        if entry.file is not None and not entry.users:
            entry.file.close()


def _reopened(file: IO[bytes]) -> IO[bytes]:
    """``file`` with a position of its own and for reading only: whoever parses it may be taken over
    by what is in it."""
    try:
        return Path(f"/proc/self/fd/{file.fileno()}").open("rb")
    except OSError:  # no Linux: a copy does as well
        copy = tempfile.TemporaryFile()  # noqa: SIM115
        with os.fdopen(os.dup(file.fileno()), "rb") as whole:
            whole.seek(0)
            shutil.copyfileobj(whole, copy)
        copy.flush()
        return copy
