"""Galleries in a database that speaks SQL: what SQLite and PostgreSQL do alike.

A driver (`tapetum.gallery.backends.sqlite`, `.postgresql`) brings the connections, the form
embeddings are kept in, and the search. Statements are written for both: ``?`` stands for a value,
``key`` sorts by code points.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tapetum.gallery import (
    MOST_MENTIONS,
    Calibration,
    Copy,
    Entry,
    Galleries,
    Gallery,
    Kind,
    Near,
    Reference,
    Size,
)
from tapetum.gallery.backends.rules import (
    check_embedding,
    check_name,
    check_references,
    exists,
    merged,
    named,
    no_entry,
    no_gallery,
    other_model,
    seen,
)
from tapetum.signals.embedding import EmbeddingModel
from tapetum.signals.web import Mention

#: Values in one question.
_AT_ONCE = 500


class Answer(Protocol):
    """The rows that answer a statement."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def fetchmany(self, size: int = ..., /) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Rows(Protocol):
    """A connection inside a transaction."""

    def execute(self, statement: str, values: Sequence[Any] = ..., /) -> Answer: ...
    def executemany(self, statement: str, values: Iterable[Sequence[Any]], /) -> Any: ...


class SqlGalleries(Galleries):
    """The rows are the truth; every change is one transaction, lasting when the method returns.
    Rows made with another than ``model`` wait to be added again."""

    def __init__(self, model: EmbeddingModel) -> None:
        self._model = model
        self._sizes: dict[int, tuple[int, Size]] = {}

    @property
    def model(self) -> EmbeddingModel:
        return self._model

    # --- What a driver brings -----------------------------------------------------------------

    @abstractmethod
    def _read(self) -> AbstractContextManager[Rows]:
        """One view of the rows for the whole block."""

    @abstractmethod
    def _write(self) -> AbstractContextManager[Rows]:
        """All or nothing of the block's changes, lasting at its end."""

    @abstractmethod
    def _keep(self, rows: Any, number: int, added: int, reference: Reference) -> None:
        """Insert the embedding of reference image number ``added`` of gallery ``number``."""

    @abstractmethod
    def _vector(self, kept: Any) -> NDArray[np.float16]:
        """The embedding that the value ``kept`` of its column is."""

    @abstractmethod
    def _near(
        self, rows: Any, number: int, embedding: NDArray[np.float16], limit: int
    ) -> list[tuple[int, float]]:
        """(reference number, cosine) in gallery ``number``, best first."""

    @abstractmethod
    def _copied(
        self, rows: Any, number: int, hashes: NDArray[np.uint8], distance: int, limit: int
    ) -> list[tuple[int, int, int]]:
        """(reference number, differing bits, which of ``hashes``), nearest first."""

    @abstractmethod
    def _dropped(self, number: int) -> None:
        """Gallery ``number`` is gone, and what made searching it faster with it."""

    # --- Galleries ----------------------------------------------------------------------------

    def create(self, gallery: Gallery) -> None:
        check_name(gallery)
        with self._write() as rows:
            added = rows.execute(
                "INSERT INTO galleries (project, name, kind) VALUES (?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                (gallery.project, gallery.name, gallery.kind.value),
            )
            if not added.rowcount:
                raise exists(gallery)

    def drop(self, gallery: Gallery) -> None:
        with self._write() as rows:
            number = _changing(rows, gallery)
            rows.execute("DELETE FROM galleries WHERE id = ?", (number,))
        self._dropped(number)

    def find(self, project: str, name: str) -> Gallery:
        return named(self.visible(project), project, name)

    def visible(self, project: str | None = None, kind: Kind | None = None) -> list[Gallery]:
        with self._read() as rows:
            records = rows.execute("SELECT project, name, kind FROM galleries").fetchall()
        galleries = (Gallery(name, Kind(of_kind), owner) for owner, name, of_kind in records)
        return seen(galleries, project, kind)

    # --- Entries ------------------------------------------------------------------------------

    def put(self, gallery: Gallery, entries: Sequence[tuple[Entry, Sequence[Reference]]]) -> int:
        check_references(entries, self.model)
        added, gone = 0, 0
        with self._write() as rows:
            number = _changing(rows, gallery)
            for entry, references in entries:
                of_entry = _put_entry(rows, number, entry)
                for reference in references:
                    inserted, replaced = self._put_reference(rows, number, of_entry, reference)
                    added += inserted
                    gone += replaced
            _count_removals(rows, number, gone)
        return added

    def remove(self, gallery: Gallery, key: str) -> int:
        with self._write() as rows:
            number = _changing(rows, gallery)
            of_entry = _entry_number(rows, gallery, number, key)
            count = "SELECT count(*) FROM reference_images WHERE entry = ?"
            gone = rows.execute(count, (of_entry,)).fetchone()[0]
            rows.execute("DELETE FROM entries WHERE id = ?", (of_entry,))
            _count_removals(rows, number, 1)
        return int(gone)

    def size(self, gallery: Gallery) -> Size:
        with self._read() as rows:
            number, revision = _number_and_revision(rows, gallery)
            known = self._sizes.get(number)
            if known is None or known[0] != revision:
                counts = [
                    rows.execute(f"SELECT count(*) FROM {table} WHERE gallery = ?", (number,))  # noqa: S608
                    for table in ("entries", "reference_images")
                ]
                known = revision, Size(*(int(count.fetchone()[0]) for count in counts))
                self._sizes[number] = known
            return known[1]

    def entry(self, gallery: Gallery, key: str) -> Entry:
        with self._read() as rows:
            number = number_of(rows, gallery)
            of_entry = _entry_number(rows, gallery, number, key)
            record = rows.execute(f"{_ENTRY} WHERE id = ?", (of_entry,)).fetchone()
            mentions = rows.execute(
                "SELECT page_url, title, alt, caption, language FROM mentions "
                "WHERE entry = ? ORDER BY page_url LIMIT ?",
                (of_entry, MOST_MENTIONS),
            ).fetchall()
        return replace(_entry(record), mentions=tuple(Mention(*row) for row in mentions))

    def entries(self, gallery: Gallery, after: str = "", limit: int = 1000) -> list[Entry]:
        with self._read() as rows:
            number = number_of(rows, gallery)
            records = rows.execute(
                f"{_ENTRY} WHERE gallery = ? AND key > ? ORDER BY key LIMIT ?",
                (number, after, limit),
            ).fetchall()
        return [_entry(row) for row in records]

    def references(self, gallery: Gallery, key: str) -> list[tuple[int, Reference]]:
        with self._read() as rows:
            number = number_of(rows, gallery)
            of_entry = _entry_number(rows, gallery, number, key)
            records = rows.execute(
                "SELECT r.id, digest, source, width, height, embedding, pdq, pdq_quality, "
                "features, mean, deviation, highest, r.model "
                "FROM reference_images r JOIN embeddings e ON e.reference = r.id "
                "LEFT JOIN local_features f ON f.reference = r.id WHERE entry = ? ORDER BY r.id",
                (of_entry,),
            ).fetchall()
        return [(row[0], self._reference(row[1:])) for row in records]

    def _reference(self, row: Sequence[Any]) -> Reference:
        digest, source, width, height, embedding, pdq, quality, features, *calibration, model = row
        return Reference(
            digest, source, width, height, self._vector(embedding), pdq, quality, features or b"",
            Calibration(*calibration), model,
        )  # fmt: skip

    def known(self, gallery: Gallery, digests: Collection[str]) -> Mapping[str, Sequence[str]]:
        keys: dict[str, list[str]] = {}
        with self._read() as rows:
            number = number_of(rows, gallery)
            for digest, key, model in _answers(
                rows,
                "SELECT digest, key, model FROM reference_images r "
                "JOIN entries e ON e.id = r.entry "
                "WHERE r.gallery = {number} AND digest IN ({marks}) ORDER BY r.id",
                digests,
                number,
            ):
                if model == self.model.name:
                    keys.setdefault(digest, []).append(key)
        return keys

    def pages(self, gallery: Gallery, limit: int) -> list[Mention]:
        with self._read() as rows:
            number = number_of(rows, gallery)
            count = rows.execute(
                "SELECT count(*) FROM mentions m JOIN entries e ON e.id = m.entry "
                "WHERE e.gallery = ?",
                (number,),
            ).fetchone()[0]
            records = rows.execute(
                "SELECT page_url, title, alt, caption, m.language FROM mentions m "
                "JOIN entries e ON e.id = m.entry WHERE e.gallery = ? AND m.entry % ? = 0 LIMIT ?",
                (number, max(1, -(-count // limit)), limit),
            ).fetchall()
        return [Mention(*row) for row in records]

    def local_features(self, gallery: Gallery, references: Collection[int]) -> dict[int, bytes]:
        with self._read() as rows:
            number = number_of(rows, gallery)
            return dict(
                _answers(
                    rows,
                    "SELECT reference, features FROM local_features JOIN reference_images r "
                    "ON r.id = reference WHERE gallery = {number} AND reference IN ({marks})",
                    references,
                    number,
                )
            )

    # --- Search -------------------------------------------------------------------------------

    def nearest(self, gallery: Gallery, embedding: NDArray[np.float16], limit: int) -> list[Near]:
        check_embedding(embedding, self.model)
        with self._read() as rows:
            number = number_of(rows, gallery)
            near = dict(self._near(rows, number, embedding, limit))
            if not near and self._is_of_others(rows, number):
                raise other_model(gallery, self.model)
            of = {
                row[0]: (row[1], Calibration(*row[2:]))
                for row in _answers(
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
            number = number_of(rows, gallery)
            copies = self._copied(rows, number, hashes, distance, limit)
            keys = dict(
                _answers(
                    rows,
                    "SELECT r.id, key FROM reference_images r JOIN entries e ON e.id = r.entry "
                    "WHERE r.gallery = {number} AND r.id IN ({marks})",
                    [n for n, _, _ in copies],
                    number,
                )
            )
        return [Copy(n, keys[n], bits, turn) for n, bits, turn in copies if n in keys]

    def _is_of_others(self, rows: Rows, number: int) -> bool:
        """Whether gallery ``number`` has images, none of them looked at by this model."""
        asked = "SELECT 1 FROM reference_images WHERE gallery = ? AND model {} ? LIMIT 1"
        mine, others = (
            rows.execute(asked.format(way), (number, self.model.name)).fetchone()
            for way in ("=", "<>")
        )
        return mine is None and others is not None

    # --- Rows ---------------------------------------------------------------------------------

    def _put_reference(
        self, rows: Rows, number: int, of_entry: int, reference: Reference
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
        calibration = reference.calibration
        added = rows.execute(
            "INSERT INTO reference_images (gallery, entry, digest, source, width, height, pdq, "
            "pdq_quality, mean, deviation, highest, model) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                number, of_entry, reference.digest, reference.source, reference.width,
                reference.height, reference.pdq, reference.pdq_quality, calibration.mean,
                calibration.deviation, calibration.highest, reference.model,
            ),
        ).fetchone()[0]  # fmt: skip
        self._keep(rows, number, added, reference)
        if reference.features:
            rows.execute("INSERT INTO local_features VALUES (?, ?)", (added, reference.features))
        return 1, int(old is not None)


_ENTRY = "SELECT key, name, mid, lat, lng, url, licence, credit, aliases FROM entries"


def _entry(row: Sequence[Any]) -> Entry:
    key, name, mid, lat, lng, url, licence, credit, aliases = row
    return Entry(key, name, mid, lat, lng, url, licence, credit, tuple(json.loads(aliases)))


def number_of(rows: Rows, gallery: Gallery) -> int:
    """The gallery's number."""
    return _number_and_revision(rows, gallery)[0]


def _number_and_revision(rows: Rows, gallery: Gallery) -> tuple[int, int]:
    """The gallery's number and revision."""
    record = rows.execute(
        "SELECT id, revision FROM galleries WHERE project = ? AND name = ? AND kind = ?",
        (gallery.project, gallery.name, gallery.kind.value),
    ).fetchone()
    if record is None:
        raise no_gallery(gallery.name, gallery.project)
    return int(record[0]), int(record[1])


def _changing(rows: Rows, gallery: Gallery) -> int:
    """The gallery's number; nobody else changes the gallery until the transaction ends."""
    record = rows.execute(
        "UPDATE galleries SET revision = revision + 1 "
        "WHERE project = ? AND name = ? AND kind = ? RETURNING id",
        (gallery.project, gallery.name, gallery.kind.value),
    ).fetchone()
    if record is None:
        raise no_gallery(gallery.name, gallery.project)
    return int(record[0])


def _count_removals(rows: Rows, number: int, count: int) -> None:
    rows.execute("UPDATE galleries SET removals = removals + ? WHERE id = ?", (count, number))


def _entry_number(rows: Rows, gallery: Gallery, number: int, key: str) -> int:
    record = rows.execute(
        "SELECT id FROM entries WHERE gallery = ? AND key = ?", (number, key)
    ).fetchone()
    if record is None:
        raise no_entry(gallery, key)
    return int(record[0])


def _put_entry(rows: Rows, number: int, entry: Entry) -> int:
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
        "INSERT INTO mentions VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (entry, page_url) DO UPDATE SET title = excluded.title, "
        "alt = excluded.alt, caption = excluded.caption, language = excluded.language",
        [
            (
                of_entry,
                mention.page_url,
                mention.title,
                mention.alt,
                mention.caption,
                mention.language,
            )
            for mention in entry.mentions
        ],
    )
    return int(of_entry)


def _answers(rows: Rows, question: str, values: Collection[Any], number: int) -> Iterator[Any]:
    """The answers to ``question`` for every one of ``values``, some at a time."""
    wanted = list(values)
    for start in range(0, len(wanted), _AT_ONCE):
        batch = wanted[start : start + _AT_ONCE]
        marks = ", ".join("?" * len(batch))
        yield from rows.execute(question.format(number=number, marks=marks), batch)
