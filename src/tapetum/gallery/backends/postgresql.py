"""Galleries in PostgreSQL with pgvector: an optional extra, ``pip install tapetum[postgresql]``.

Any number of processes on any number of machines may use the database; each sees the others'
changes at once. The server searches: all images of a gallery up to `FLAT_ROWS` of them, beyond
that through HNSW indexes, two per gallery, which `tend` makes and the server keeps up. What an
index of embeddings proposes is ranked by the exact similarity.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import files
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg import sql
from psycopg.pq import TransactionStatus

from tapetum.errors import GalleryBroken, InvalidGallery
from tapetum.gallery import Gallery, Reference
from tapetum.gallery.backends.search import FEWEST, FLAT_ROWS, OVERFETCH
from tapetum.gallery.backends.sql import Answer, SqlGalleries, number_of
from tapetum.gallery.matching.flat import each_once
from tapetum.gallery.matching.pdq import LEAST_QUALITY
from tapetum.observe.redaction import said, shown_url
from tapetum.signals.embedding import EmbeddingModel

log = logging.getLogger(__name__)

_VERSION = 1
#: The first that searches on where its index gave fewer than were asked for.
_PGVECTOR = (0, 8)
_CONNECT_SECONDS = 10
#: Milliseconds after which a server that acknowledges nothing is lost.
_SILENCE = 30_000
#: As of the index on disk (`tapetum.gallery.matching.index_file`).
_EFFORT = 128
_READ, _WRITE = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", b"BEGIN"
#: Advisory locks.
_MAKING, _INDEXING = 20_250_001, 20_250_002


class PostgresqlGalleries(SqlGalleries):
    """The galleries in the database at ``url`` (``postgresql://...``, as libpq reads it), in a
    schema of their own, made when missing.

    Raises `GalleryBroken` when the database cannot be reached or has no pgvector, from any method
    when it cannot be read or written; `InvalidGallery` when it was made for embeddings of other
    dimensions, which its indexes are for.
    """

    def __init__(self, url: str, model: EmbeddingModel) -> None:
        super().__init__(model)
        self._url, self._shown = url, shown_url(url)
        self._idle: list[psycopg.Connection[Any]] = []
        self._lock = threading.Lock()
        self._session = ""
        try:
            with self._write() as rows:
                extensions = self._pgvector(rows)
                self._made(rows, extensions)
        finally:
            self.close()  # what was opened without the settings of a session
        self._session = (
            f"SET search_path TO tapetum_galleries, {extensions}; SET hnsw.ef_search = {_EFFORT}; "
            "SET hnsw.iterative_scan = relaxed_order"
        )

    def _pgvector(self, rows: _Rows) -> str:
        """The schema pgvector is in, quoted; pgvector is taken in where that is only to be
        asked for."""
        asked = (
            "SELECT extversion, quote_ident(nspname) FROM pg_extension "
            "JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'vector'"
        )
        row = rows.execute(asked).fetchone()
        if row is None:
            rows.execute("SELECT pg_advisory_xact_lock(?)", (_MAKING,))
            try:
                rows.execute("CREATE EXTENSION IF NOT EXISTS vector")
            except psycopg.Error as error:
                raise GalleryBroken(
                    f"The database {self._shown} has no pgvector ({_line(error)}). Have its "
                    "administrator install pgvector and run CREATE EXTENSION vector in it."
                ) from error
            row = rows.execute(asked).fetchone()
        version, schema = row
        if tuple(map(int, version.split(".")[:2])) < _PGVECTOR:
            raise GalleryBroken(
                f"The database {self._shown} has pgvector {version}, galleries need 0.8: have its "
                "administrator install it and run ALTER EXTENSION vector UPDATE."
            )
        return str(schema)

    def _made(self, rows: _Rows, extensions: str) -> None:
        """Make the tables where there are none. Raises `GalleryBroken` for another version's, and
        `InvalidGallery` where they keep embeddings of other dimensions than the model's."""
        is_made = "SELECT to_regclass('tapetum_galleries.file') IS NOT NULL"
        if not rows.execute(is_made).fetchone()[0]:
            rows.execute("SELECT pg_advisory_xact_lock(?)", (_MAKING,))
            if not rows.execute(is_made).fetchone()[0]:
                script = files("tapetum.gallery").joinpath("postgresql.sql").read_text("utf-8")
                for statement in script.format(
                    extensions=extensions, dimensions=self.model.dimensions
                ).split(";"):
                    rows.execute(statement)
                rows.execute("INSERT INTO file VALUES (?)", (_VERSION,))
        version = rows.execute("SELECT version FROM tapetum_galleries.file").fetchone()[0]
        if version != _VERSION:
            raise GalleryBroken(
                f"The galleries in {self._shown} are of version {version}, this program reads "
                f"{_VERSION}: use the program that wrote them."
            )
        dimensions = rows.execute(
            "SELECT atttypmod FROM pg_attribute WHERE attname = 'embedding' "
            "AND attrelid = 'tapetum_galleries.embeddings'::regclass"
        ).fetchone()[0]
        if dimensions != self.model.dimensions:
            raise InvalidGallery(
                f"The galleries in {self._shown} keep embeddings of {dimensions} numbers, the "
                f"model in use makes {self.model.dimensions}: choose the pack that they were made "
                "with, or another place for galleries (gallery_store)."
            )

    def tend(self, gallery: Gallery) -> None:
        """Make the indexes of a gallery that has grown beyond `FLAT_ROWS`."""
        count = self.size(gallery).references
        with self._read() as rows:
            number = number_of(rows, gallery)
        if count <= FLAT_ROWS:
            return
        wanted = {
            f"near_{number}_{self.model.name[:12]}": sql.SQL(
                "embeddings USING hnsw (embedding halfvec_cosine_ops) "
                "WHERE gallery = {} AND model = {}"
            ).format(number, self.model.name),
            f"copies_{number}": sql.SQL(
                "reference_images USING hnsw (code bit_hamming_ops) "
                "WHERE gallery = {} AND pdq_quality >= {}"
            ).format(number, LEAST_QUALITY),
        }
        with self._errors(), self._connected() as connection:
            # Nobody waits: a transaction that waits would be waited for by the making of an index.
            locked = connection.execute("SELECT pg_try_advisory_lock(%s)", (_INDEXING,)).fetchone()
            if locked != (True,):
                log.info("another process is making indexes of galleries")
                return
            valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"
            for name, definition in wanted.items():
                if connection.execute(valid, (name,)).fetchone() == (True,):
                    continue
                log.info("indexing %d reference images into %s", count, name)
                index = sql.Identifier(name)
                connection.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(index))
                connection.execute(
                    sql.SQL("CREATE INDEX CONCURRENTLY {} ON ").format(index) + definition
                )
            connection.execute("ANALYZE embeddings, reference_images")

    def damage(self) -> list[str]:
        """PostgreSQL looks after its files itself."""
        return []

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    # --- Search -------------------------------------------------------------------------------

    def _keep(self, rows: _Rows, number: int, added: int, reference: Reference) -> None:
        rows.execute(
            "INSERT INTO embeddings VALUES (?, ?, ?, ?)",
            (added, number, reference.model, HalfVector(reference.embedding)),
        )

    def _vector(self, kept: HalfVector) -> NDArray[np.float16]:
        return np.asarray(kept.to_numpy(), dtype=np.float16)

    def _near(
        self, rows: _Rows, number: int, embedding: NDArray[np.float16], limit: int
    ) -> list[tuple[int, float]]:
        if not embedding.any():
            return []
        # Found by the cosine, which has an index, and ranked by the product, as everywhere.
        near = rows.execute(
            "SELECT reference, similarity FROM (SELECT ?::halfvec AS embedding) asked "
            "CROSS JOIN LATERAL (SELECT reference, -(e.embedding <#> asked.embedding) AS similarity"
            " FROM embeddings e WHERE gallery = ? AND model = ?"
            " ORDER BY e.embedding <=> asked.embedding LIMIT ?) near "
            "WHERE similarity <> 0 ORDER BY similarity DESC, reference LIMIT ?",
            (HalfVector(embedding), number, self.model.name, max(FEWEST, OVERFETCH * limit), limit),
        )
        return near.fetchall()

    def _copied(
        self, rows: _Rows, number: int, hashes: NDArray[np.uint8], distance: int, limit: int
    ) -> list[tuple[int, int, int]]:
        copies = rows.execute(
            "WITH asked AS MATERIALIZED (SELECT ('x' || code)::bit(256) AS code, turn "
            "FROM unnest(?::text[]) WITH ORDINALITY AS given (code, turn)) "
            "SELECT id, bits::int, turn::int - 1 FROM asked CROSS JOIN LATERAL ("
            "SELECT id, r.code <~> asked.code AS bits FROM reference_images r "
            "WHERE gallery = ? AND pdq_quality >= ? "
            "ORDER BY r.code <~> asked.code LIMIT ?) near WHERE bits <= ?",
            ([code.tobytes().hex() for code in hashes], number, LEAST_QUALITY, limit, distance),
        )
        return each_once(copies, limit)

    def _dropped(self, number: int) -> None:
        with self._write() as rows:
            indexes = rows.execute(
                "SELECT indexname FROM pg_indexes "
                "WHERE schemaname = 'tapetum_galleries' AND indexname ~ ?",
                (f"^(near|copies)_{number:d}(_|$)",),
            ).fetchall()
            for (name,) in indexes:
                rows.execute(f'DROP INDEX IF EXISTS "{name}"')

    # --- Connections --------------------------------------------------------------------------

    @contextmanager
    def _read(self) -> Iterator[_Rows]:
        with self._transaction(_READ) as rows:
            yield rows

    @contextmanager
    def _write(self) -> Iterator[_Rows]:
        with self._transaction(_WRITE) as rows:
            yield rows

    @contextmanager
    def _transaction(self, begin: bytes) -> Iterator[_Rows]:
        with self._errors():
            connection = self._begun(begin)
            try:
                yield _Rows(connection)
                connection.execute("COMMIT")
            except BaseException:
                with suppress(psycopg.Error):
                    connection.execute("ROLLBACK")
                raise
            finally:
                self._keep_open(connection)

    def _begun(self, begin: bytes) -> psycopg.Connection[Any]:
        """A connection in a transaction: one that is idle, unless the server has closed it."""
        while True:
            with self._lock:
                idle = self._idle.pop() if self._idle else None
            connection = idle or self._connected()
            try:
                connection.execute(begin)
            except psycopg.OperationalError:
                connection.close()
                if idle is None:
                    raise
            else:
                return connection

    def _keep_open(self, connection: psycopg.Connection[Any]) -> None:
        if connection.closed or connection.info.transaction_status != TransactionStatus.IDLE:
            connection.close()
            return
        with self._lock:
            self._idle.append(connection)

    def _connected(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(
            self._url,
            autocommit=True,  # transactions are begun here, in one go with their settings
            prepare_threshold=None,  # a partial index is found by the values it is asked with
            connect_timeout=_CONNECT_SECONDS,
            tcp_user_timeout=_SILENCE,
        )
        if self._session:
            connection.execute(self._session.encode())
            register_vector(connection)
        return connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise GalleryBroken(
                f"The galleries in {self._shown} cannot be used: {_line(error)}."
            ) from error


class _Rows:
    """A connection that takes the statements of `tapetum.gallery.backends.sql`."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Answer:
        answer: Answer = self._connection.execute(_spelled(statement), values, binary=True)
        return answer

    def executemany(self, statement: str, values: Iterable[Sequence[Any]]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(_spelled(statement), values)


def _spelled(statement: str) -> bytes:
    """``statement`` with values where psycopg wants them."""
    return statement.replace("%", "%%").replace("?", "%s").encode()


def _line(error: Exception) -> str:
    """The first line of what PostgreSQL says."""
    return said(error).rstrip(".")
