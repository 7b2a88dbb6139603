"""Galleries in one SQLite file in WAL mode: the rows are the truth, indexes beside it a cache.

Every change is one transaction that is on disk when the method returns. Any number of processes
may use the file; each sees the others' changes at its next search.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapetum.errors import GalleryBroken
from tapetum.gallery import (
    DIMENSIONS,
    EVERYONE,
    MOST_MENTIONS,
    Calibration,
    Copy,
    Entry,
    Galleries,
    Gallery,
    Kind,
    Mention,
    Near,
    Reference,
    Size,
)
from tapetum.gallery.rules import check_name, exists, merged, no_entry, no_gallery
from tapetum.gallery.search import Search

_VERSION = 1
_PATIENCE = 60  # seconds to wait for another process's transaction
_AT_ONCE = 500  # values in one question


class SqliteGalleries(Galleries):
    """The galleries in the file ``path``, made when missing. ``model`` names the weights whose
    embeddings are compared; rows made with others wait to be added again.

    Raises `GalleryBroken` when the file cannot be opened or is no galleries file, from any method
    when it cannot be read or written.
    """

    def __init__(self, path: Path, model: str) -> None:
        self.path, self.model = path, model
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._searches: dict[int, Search] = {}
        with self._write() as rows:
            version = rows.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                schema = files("tapetum.gallery").joinpath("schema.sql").read_text("utf-8")
                for statement in schema.split(";"):
                    rows.execute(statement)
                rows.execute(f"PRAGMA user_version = {_VERSION}")
            elif version != _VERSION:
                raise GalleryBroken(
                    f"The galleries in {path} are of version {version}, this program reads "
                    f"{_VERSION}: use the program that wrote them."
                )
            self._uid = rows.execute("SELECT uid FROM file").fetchone()[0]

    # --- Galleries ----------------------------------------------------------------------------

    def create(self, gallery: Gallery) -> None:
        check_name(gallery)
        with self._write() as rows:
            added = rows.execute(
                "INSERT OR IGNORE INTO galleries (project, name, kind) VALUES (?, ?, ?)",
                (gallery.project, gallery.name, gallery.kind.value),
            )
            if not added.rowcount:
                raise exists(gallery)

    def drop(self, gallery: Gallery) -> None:
        with self._write() as rows:
            number = _number(rows, gallery)
            rows.execute("DELETE FROM galleries WHERE id = ?", (number,))
        with self._lock:
            search = self._searches.pop(number, None)
        if search is not None:
            search.forget()

    def find(self, project: str, name: str) -> Gallery:
        with self._read() as rows:
            found = rows.execute(
                "SELECT project, name, kind FROM galleries WHERE name = ? AND project IN (?, ?) "
                "ORDER BY project DESC LIMIT 1",
                (name, project, EVERYONE),
            ).fetchone()
        if found is None:
            raise no_gallery(name, project)
        return Gallery(found[1], Kind(found[2]), found[0])

    def visible(self, project: str | None = None, kind: Kind | None = None) -> list[Gallery]:
        with self._read() as rows:
            found = rows.execute(
                "SELECT project, name, kind FROM galleries "
                "WHERE (?1 IS NULL OR project IN (?1, '')) AND (?2 IS NULL OR kind = ?2) "
                "ORDER BY project, name",
                (project, None if kind is None else kind.value),
            ).fetchall()
        return [Gallery(name, Kind(of_kind), owner) for owner, name, of_kind in found]

    # --- Entries ------------------------------------------------------------------------------

    def put(self, gallery: Gallery, entries: Sequence[tuple[Entry, Sequence[Reference]]]) -> int:
        added = 0
        with self._write() as rows:
            number = _number(rows, gallery)
            gone = 0
            for entry, references in entries:
                of_entry = _put_entry(rows, number, entry)
                for reference in references:
                    one, replaced = _put_reference(rows, number, of_entry, reference)
                    added += one
                    gone += replaced
            rows.execute(
                "UPDATE galleries SET revision = revision + 1, removals = removals + ? "
                "WHERE id = ?",
                (gone, number),
            )
        return added

    def remove(self, gallery: Gallery, key: str) -> int:
        with self._write() as rows:
            number = _number(rows, gallery)
            of_entry = _entry_number(rows, gallery, number, key)
            count = "SELECT count(*) FROM reference_images WHERE entry = ?"
            gone = rows.execute(count, (of_entry,)).fetchone()[0]
            rows.execute("DELETE FROM entries WHERE id = ?", (of_entry,))
            rows.execute(
                "UPDATE galleries SET revision = revision + 1, removals = removals + 1 "
                "WHERE id = ?",
                (number,),
            )
        return int(gone)

    def size(self, gallery: Gallery) -> Size:
        with self._read() as rows:
            number = _number(rows, gallery)
            counts = [
                rows.execute(f"SELECT count(*) FROM {table} WHERE gallery = ?", (number,))  # noqa: S608
                for table in ("entries", "reference_images")
            ]
            return Size(*(int(count.fetchone()[0]) for count in counts))

    def entry(self, gallery: Gallery, key: str) -> Entry:
        with self._read() as rows:
            number = _number(rows, gallery)
            of_entry = _entry_number(rows, gallery, number, key)
            found = rows.execute(f"{_ENTRY} WHERE id = ?", (of_entry,)).fetchone()
            mentions = rows.execute(
                "SELECT page_url, title, alt, caption, language FROM mentions "
                "WHERE entry = ? ORDER BY page_url LIMIT ?",
                (of_entry, MOST_MENTIONS),
            ).fetchall()
        return replace(_entry(found), mentions=tuple(Mention(*row) for row in mentions))

    def entries(self, gallery: Gallery, after: str = "", limit: int = 1000) -> list[Entry]:
        with self._read() as rows:
            found = rows.execute(
                f"{_ENTRY} WHERE gallery = ? AND key > ? ORDER BY key LIMIT ?",
                (_number(rows, gallery), after, limit),
            ).fetchall()
        return [_entry(row) for row in found]

    def references(self, gallery: Gallery, key: str) -> list[tuple[int, Reference]]:
        with self._read() as rows:
            number = _number(rows, gallery)
            of_entry = _entry_number(rows, gallery, number, key)
            found = rows.execute(
                "SELECT r.id, digest, source, width, height, embedding, pdq, pdq_quality, "
                "coalesce(features, x''), mean, deviation, highest, model "
                "FROM reference_images r JOIN embeddings e ON e.reference = r.id "
                "LEFT JOIN local_features f ON f.reference = r.id WHERE entry = ? ORDER BY r.id",
                (of_entry,),
            ).fetchall()
        return [(row[0], _reference(row[1:])) for row in found]

    def known(self, gallery: Gallery, digests: Collection[str]) -> Mapping[str, Sequence[str]]:
        found: dict[str, list[str]] = {}
        with self._read() as rows:
            number = _number(rows, gallery)
            for digest, key, model in _each(
                rows,
                "SELECT digest, key, model FROM reference_images r "
                "JOIN entries e ON e.id = r.entry "
                "WHERE r.gallery = {number} AND digest IN ({marks}) ORDER BY r.id",
                digests,
                number,
            ):
                if model == self.model:
                    found.setdefault(digest, []).append(key)
        return found

    def pages(self, gallery: Gallery, limit: int) -> list[Mention]:
        with self._read() as rows:
            number = _number(rows, gallery)
            count = rows.execute(
                "SELECT count(*) FROM mentions m JOIN entries e ON e.id = m.entry "
                "WHERE e.gallery = ?",
                (number,),
            ).fetchone()[0]
            found = rows.execute(
                "SELECT page_url, title, alt, caption, m.language FROM mentions m "
                "JOIN entries e ON e.id = m.entry WHERE e.gallery = ? AND m.entry % ? = 0 LIMIT ?",
                (number, max(1, -(-count // limit)), limit),
            ).fetchall()
        return [Mention(*row) for row in found]

    def local_features(self, gallery: Gallery, references: Collection[int]) -> dict[int, bytes]:
        with self._read() as rows:
            number = _number(rows, gallery)
            return dict(
                _each(
                    rows,
                    "SELECT reference, features FROM local_features JOIN reference_images r "
                    "ON r.id = reference WHERE gallery = {number} AND reference IN ({marks})",
                    references,
                    number,
                )
            )

    # --- Search -------------------------------------------------------------------------------

    def nearest(self, gallery: Gallery, embedding: NDArray[np.float16], limit: int) -> list[Near]:
        with self._read() as rows:
            number = _number(rows, gallery)
            near = dict(self._search(number).nearest(rows, embedding, limit))
            of = {
                row[0]: (row[1], Calibration(*row[2:]))
                for row in _each(
                    rows,
                    "SELECT r.id, key, mean, deviation, highest FROM reference_images r "
                    "JOIN entries e ON e.id = r.entry "
                    "WHERE r.gallery = {number} AND r.id IN ({marks})",
                    near,
                    number,
                )
            }
        return [
            Near(n, of[n][0], similarity, of[n][1]) for n, similarity in near.items() if n in of
        ]

    def copies(
        self, gallery: Gallery, hashes: NDArray[np.uint8], distance: int, limit: int = 100
    ) -> list[Copy]:
        with self._read() as rows:
            number = _number(rows, gallery)
            found = self._search(number).copies(rows, hashes, distance, limit)
            keys = dict(
                _each(
                    rows,
                    "SELECT r.id, key FROM reference_images r JOIN entries e ON e.id = r.entry "
                    "WHERE r.gallery = {number} AND r.id IN ({marks})",
                    [n for n, _, _ in found],
                    number,
                )
            )
        return [Copy(n, keys[n], bits, turn) for n, bits, turn in found if n in keys]

    def tend(self, gallery: Gallery) -> None:
        with self._read() as rows:
            self._search(_number(rows, gallery)).tend(rows)

    def damage(self) -> list[str]:
        """What SQLite finds wrong with the file, as sentences."""
        with self._read() as rows:
            found = [row[0] for row in rows.execute("PRAGMA integrity_check")]
        return [f"{self.path}: {line}" for line in found if line != "ok"]

    def close(self) -> None:
        with self._lock:
            connections, self._connections = self._connections, []
            self._searches = {}
        for connection in connections:
            connection.close()

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
            rows.execute("PRAGMA journal_mode = WAL")
            rows.execute("PRAGMA synchronous = FULL")
            rows.execute("PRAGMA foreign_keys = ON")
            self._local.rows = rows
            with self._lock:
                self._connections.append(rows)
        return rows


_ENTRY = "SELECT key, name, mid, lat, lng, url, licence, credit, aliases FROM entries"


def _entry(row: Sequence[Any]) -> Entry:
    key, name, mid, lat, lng, url, licence, credit, aliases = row
    return Entry(key, name, mid, lat, lng, url, licence, credit, tuple(json.loads(aliases)))


def _reference(row: Sequence[Any]) -> Reference:
    digest, source, width, height, embedding, pdq, quality, features, *calibration, model = row
    return Reference(
        digest, source, width, height, vector_of(embedding), pdq, quality, features,
        Calibration(*calibration), model,
    )  # fmt: skip


def vector_of(blob: bytes) -> NDArray[np.float16]:
    """Little-endian in the file, whatever the machine."""
    return np.frombuffer(blob, dtype="<f2", count=DIMENSIONS).astype(np.float16)


def _number(rows: sqlite3.Connection, gallery: Gallery) -> int:
    found = rows.execute(
        "SELECT id FROM galleries WHERE project = ? AND name = ? AND kind = ?",
        (gallery.project, gallery.name, gallery.kind.value),
    ).fetchone()
    if found is None:
        raise no_gallery(gallery.name, gallery.project)
    return int(found[0])


def _entry_number(rows: sqlite3.Connection, gallery: Gallery, number: int, key: str) -> int:
    found = rows.execute(
        "SELECT id FROM entries WHERE gallery = ? AND key = ?", (number, key)
    ).fetchone()
    if found is None:
        raise no_entry(gallery, key)
    return int(found[0])


def _put_entry(rows: sqlite3.Connection, number: int, entry: Entry) -> int:
    """Add or complete an entry and its mentions; its number."""
    old = rows.execute(f"{_ENTRY} WHERE gallery = ? AND key = ?", (number, entry.key)).fetchone()
    new = merged(Entry(entry.key) if old is None else _entry(old), entry)
    of_entry = rows.execute(
        "INSERT INTO entries (gallery, key, name, mid, lat, lng, url, licence, credit, aliases) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (gallery, key) DO UPDATE SET "
        "name = excluded.name, mid = excluded.mid, lat = excluded.lat, lng = excluded.lng, "
        "url = excluded.url, licence = excluded.licence, credit = excluded.credit, "
        "aliases = excluded.aliases RETURNING id",
        (
            number, new.key, new.name, new.mid, new.lat, new.lng, new.url, new.licence,
            new.credit, json.dumps(new.aliases),
        ),
    ).fetchone()[0]  # fmt: skip
    rows.executemany(
        "INSERT OR REPLACE INTO mentions VALUES (?, ?, ?, ?, ?, ?)",
        [
            (of_entry, said.page_url, said.title, said.alt, said.caption, said.language)
            for said in entry.mentions
        ],
    )
    return int(of_entry)


def _put_reference(
    rows: sqlite3.Connection, number: int, of_entry: int, reference: Reference
) -> tuple[int, int]:
    """(how many were added, how many it takes the place of), 0 or 1 each."""
    old = rows.execute(
        "SELECT id, model FROM reference_images WHERE entry = ? AND digest = ?",
        (of_entry, reference.digest),
    ).fetchone()
    if old is not None:
        if old[1] == reference.model:
            return 0, 0
        rows.execute("DELETE FROM reference_images WHERE id = ?", (old[0],))
    its = reference.calibration
    added = rows.execute(
        "INSERT INTO reference_images (gallery, entry, digest, source, width, height, pdq, "
        "pdq_quality, mean, deviation, highest, model) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            number, of_entry, reference.digest, reference.source, reference.width,
            reference.height, reference.pdq, reference.pdq_quality, its.mean, its.deviation,
            its.highest, reference.model,
        ),
    ).lastrowid  # fmt: skip
    vector = reference.embedding.astype("<f2").tobytes()
    rows.execute("INSERT INTO embeddings VALUES (?, ?)", (added, vector))
    if reference.features:
        rows.execute("INSERT INTO local_features VALUES (?, ?)", (added, reference.features))
    return 1, int(old is not None)


def _each(
    rows: sqlite3.Connection, question: str, values: Collection[Any], number: int
) -> Iterator[Any]:
    """The answers to ``question`` for every one of ``values``, some at a time."""
    wanted = list(values)
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        marks = ", ".join("?" * len(some))
        yield from rows.execute(question.format(number=number, marks=marks), some)
