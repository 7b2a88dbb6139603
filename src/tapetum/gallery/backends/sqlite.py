"""Galleries in one SQLite file in WAL mode: the rows are the truth, indexes beside it a cache.

Every change is one transaction that is on disk when the method returns. Any number of processes
may use the file; each sees the others' changes at its next search.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tapetum.errors import GalleryBroken
from tapetum.gallery import Gallery, Reference
from tapetum.gallery.backends.search import Search
from tapetum.gallery.backends.sql import SqlGalleries, number_of
from tapetum.signals.embedding import EmbeddingModel

_VERSION = 1
#: Seconds to wait for another process's transaction.
_PATIENCE = 60


class SqliteGalleries(SqlGalleries):
    """The galleries in the file ``path``, made when missing.

    Raises `GalleryBroken` when the file cannot be opened or is no galleries file, from any method
    when it cannot be read or written.
    """

    def __init__(self, path: Path, model: EmbeddingModel) -> None:
        super().__init__(model)
        self.path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._searches: dict[int, Search] = {}
        try:
            self._uid = self._opened()
        except BaseException:
            self.close()
            raise

    def _opened(self) -> str:
        """The file's own name, after its tables were made if need be."""
        with self._write() as rows:
            version = rows.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                schema = files("tapetum.gallery").joinpath("schema.sql").read_text("utf-8")
                for statement in schema.split(";"):
                    rows.execute(statement)
                rows.execute(f"PRAGMA user_version = {_VERSION}")
            elif version != _VERSION:
                raise GalleryBroken(
                    f"The galleries in {self.path} are of version {version}, this program reads "
                    f"{_VERSION}: use the program that wrote them."
                )
            return str(rows.execute("SELECT uid FROM file").fetchone()[0])

    def tend(self, gallery: Gallery) -> None:
        with self._read() as rows:
            self._search(number_of(rows, gallery)).tend(rows)

    def damage(self) -> list[str]:
        with self._read() as rows:
            lines = [row[0] for row in rows.execute("PRAGMA integrity_check")]
        return [f"{self.path}: {line}" for line in lines if line != "ok"]

    def close(self) -> None:
        with self._lock:
            connections, self._connections = self._connections, []
            self._searches = {}
        for connection in connections:
            connection.close()

    # --- Search -------------------------------------------------------------------------------

    def _keep(
        self, rows: sqlite3.Connection, number: int, added: int, reference: Reference
    ) -> None:
        vector = reference.embedding.astype("<f2").tobytes()
        rows.execute("INSERT INTO embeddings VALUES (?, ?)", (added, vector))

    def _vector(self, kept: bytes) -> NDArray[np.float16]:
        """Little-endian in the file, whatever the machine."""
        return np.frombuffer(kept, dtype="<f2").astype(np.float16)

    def _near(
        self, rows: sqlite3.Connection, number: int, embedding: NDArray[np.float16], limit: int
    ) -> list[tuple[int, float]]:
        return self._search(number).nearest(rows, embedding, limit)

    def _copied(
        self,
        rows: sqlite3.Connection,
        number: int,
        hashes: NDArray[np.uint8],
        distance: int,
        limit: int,
    ) -> list[tuple[int, int, int]]:
        return self._search(number).copies(rows, hashes, distance, limit)

    def _dropped(self, number: int) -> None:
        with self._lock:
            search = self._searches.pop(number, None)
        if search is not None:
            search.forget()

    def _search(self, number: int) -> Search:
        with self._lock:
            search = self._searches.get(number)
            if search is None:
                folder = self.path.with_name(f"{self.path.name}-index")
                search = Search(folder, self._uid, number, self.model)
                self._searches[number] = search
            return search

    # --- Connections --------------------------------------------------------------------------

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """One view of the rows for the whole block."""
        with self._transaction("BEGIN") as rows:
            yield rows

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """All or nothing of the block's changes, on disk at its end."""
        with self._transaction("BEGIN IMMEDIATE") as rows:
            yield rows

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        try:
            rows = self._connection()
            rows.execute(begin)
            try:
                yield rows
            except BaseException:
                rows.execute("ROLLBACK")
                raise
            rows.execute("COMMIT")
        except sqlite3.Error as error:
            raise GalleryBroken(f"The galleries in {self.path} cannot be used: {error}.") from error

    def _connection(self) -> sqlite3.Connection:
        """The one of the calling thread."""
        rows: sqlite3.Connection | None = getattr(self._local, "rows", None)
        if rows is None:
            rows = sqlite3.connect(
                self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
            try:
                rows.execute("PRAGMA journal_mode = WAL")
                rows.execute("PRAGMA synchronous = FULL")
                rows.execute("PRAGMA foreign_keys = ON")
            except sqlite3.Error:
                rows.close()
                raise
            self._local.rows = rows
            with self._lock:
                self._connections.append(rows)
        return rows
