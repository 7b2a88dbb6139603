"""Searching one gallery of a SQLite file: an index on disk for most rows, the rest flat.

Up to `FLAT_ROWS` everything is compared exactly. Beyond, an index proposes four times what is
wanted, rows too new for it are compared flat, and the exact cosines of all of them decide.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tapetum.gallery.matching import index_file
from tapetum.gallery.matching.flat import Flat, best
from tapetum.gallery.matching.pdq import LEAST_QUALITY
from tapetum.signals.embedding import EmbeddingModel

log = logging.getLogger(__name__)

#: Rows that are compared one by one: a flat search of so many takes 2 ms and is exact.
FLAT_ROWS = 10_000
#: Candidates asked of the index per result wanted, and at least.
OVERFETCH, FEWEST = 4, 64
_BATCH = 1000


class Search:
    """What a process knows of one gallery's embeddings and hashes; catches up at each search."""

    def __init__(self, folder: Path, uid: str, number: int, model: EmbeddingModel) -> None:
        self._path = folder / f"{number}-{model.name[:12] or 'none'}.usearch"
        self._source = f"{uid}-{number}"
        self._number, self._model = number, model
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._index: index_file.SavedIndex | None = None
        self._flat = Flat(self._model.dimensions)
        self._seen = -1  # the revision this is of
        self._removals = 0
        self._highest = 0

    def forget(self) -> None:
        """The gallery is gone: so is its index."""
        self._path.unlink(missing_ok=True)

    def nearest(
        self, rows: sqlite3.Connection, embedding: NDArray[np.float16], limit: int
    ) -> list[tuple[int, float]]:
        """(reference number, cosine), best first."""
        with self._lock:
            self._catch_up(rows)
            index, flat = self._index, self._flat
            near = flat.nearest(embedding, limit)
        if index is None or not embedding.any():
            return near
        wanted = max(FEWEST, OVERFETCH * limit)
        proposed = _vectors(rows, self._number, index.candidates(embedding, wanted))
        if proposed:
            numbers = np.array(list(proposed))
            similarity = np.stack(list(proposed.values())).astype(np.float32)
            near += best(numbers, similarity @ embedding.astype(np.float32), limit)
        return sorted(near, key=lambda pair: (-pair[1], pair[0]))[:limit]

    def copies(
        self, rows: sqlite3.Connection, hashes: NDArray[np.uint8], distance: int, limit: int
    ) -> list[tuple[int, int, int]]:
        """(reference number, differing bits, which of ``hashes``), nearest first."""
        with self._lock:
            self._catch_up(rows)
            return self._flat.copies(hashes, distance, limit)

    def tend(self, rows: sqlite3.Connection) -> None:
        """Make or grow the index file where there are rows enough for one."""
        with self._lock:
            self._catch_up(rows)
            if len(self._flat) and (self._index is not None or len(self._flat) > FLAT_ROWS):
                self._grow(rows)

    def _catch_up(self, rows: sqlite3.Connection) -> None:
        """Read what has been added since, everything once something was removed."""
        revision, removals = rows.execute(
            "SELECT revision, removals FROM galleries WHERE id = ?", (self._number,)
        ).fetchone()
        if revision == self._seen:
            return
        if removals != self._removals or self._seen < 0:
            self._forget()
            self._removals = removals
            self._index = self._saved(rows)
        self._read(rows)
        self._seen = revision
        if len(self._flat) > FLAT_ROWS:
            self._grow(rows)

    def _saved(self, rows: sqlite3.Connection) -> index_file.SavedIndex | None:
        """The index on disk, unless most of what it holds has been removed."""
        index = index_file.load(self._path, self._source, self._model)
        if index is None:
            return None
        left = rows.execute(
            "SELECT count(*) FROM reference_images WHERE gallery = ? AND id <= ? AND model = ?",
            (self._number, index.seal.highest, self._model.name),
        ).fetchone()[0]
        if 2 * left < index.seal.count:
            self._path.unlink(missing_ok=True)
            return None
        return index

    def _read(self, rows: sqlite3.Connection) -> None:
        """Into memory: hashes of all new rows, and embeddings of those not in the index."""
        indexed = 0 if self._index is None else self._index.seal.highest
        hashes = rows.execute(
            "SELECT id, pdq, pdq_quality FROM reference_images WHERE gallery = ? AND id > ? "
            "ORDER BY id",
            (self._number, self._highest),
        )
        for number, code, quality in hashes:
            self._flat.add(number, None, code if quality >= LEAST_QUALITY else None)
        for numbers, vectors in self._batches(rows, max(indexed, self._highest)):
            for number, vector in zip(numbers, vectors, strict=True):
                self._flat.add(int(number), vector, None)
        last = rows.execute(
            "SELECT coalesce(max(id), 0) FROM reference_images WHERE gallery = ?", (self._number,)
        )
        self._highest = int(last.fetchone()[0])

    def _grow(self, rows: sqlite3.Connection) -> None:
        indexed = 0 if self._index is None else self._index.seal.highest
        log.info("indexing %d reference images into %s", len(self._flat), self._path.name)
        try:
            grown = index_file.grown(
                self._path, self._source, self._model, self._batches(rows, indexed)
            )
        except (OSError, RuntimeError) as error:
            log.warning("the index %s cannot be saved: %s", self._path.name, error)
            return
        if grown is not None:
            self._index = grown
            self._flat.forget_vectors()

    def _batches(
        self, rows: sqlite3.Connection, after: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """(numbers, vectors) of this model's rows above ``after``, a thousand at a time."""
        embeddings = rows.execute(
            "SELECT id, embedding FROM reference_images JOIN embeddings ON reference = id "
            "WHERE gallery = ? AND id > ? AND model = ? ORDER BY id",
            (self._number, after, self._model.name),
        )
        while batch := embeddings.fetchmany(_BATCH):
            numbers = np.array([number for number, _ in batch], dtype=np.int64)
            blobs = np.frombuffer(b"".join(blob for _, blob in batch), dtype="<f2")
            vectors = blobs.reshape(-1, self._model.dimensions).astype(np.float16)
            shown = vectors.any(axis=1)  # nothing is similar to a picture with nothing in it
            if shown.any():
                yield numbers[shown], vectors[shown]


def _vectors(
    rows: sqlite3.Connection, gallery: int, numbers: list[int]
) -> dict[int, NDArray[np.float16]]:
    """The embeddings of those reference images that are still there."""
    marks = ", ".join("?" * len(numbers))
    embeddings = rows.execute(
        "SELECT id, embedding FROM reference_images JOIN embeddings ON reference = id "  # noqa: S608
        f"WHERE gallery = {gallery:d} AND id IN ({marks})",
        numbers,
    )
    return {number: np.frombuffer(blob, dtype="<f2") for number, blob in embeddings}
