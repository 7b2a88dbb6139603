"""Galleries in LanceDB, in a folder or on object storage: an optional extra, ``pip install
tapetum[lancedb]``.

Nothing runs but the processes that read and write. A gallery is one table, so that a put is one
commit: its rows are entries, mentions and reference images, told apart by ``what`` and named by
``id``, a hash of what makes them one of a kind. Writers that meet try again, and of two that add
the same row the second finds it there (`WINS` says which of two rows stays).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
from lancedb.index import Bitmap, BTree, HnswSq
from lancedb.query import ColumnOrdering
from numpy.typing import NDArray

from tapetum.errors import InvalidGallery
from tapetum.gallery import (
    MOST_MENTIONS,
    Copy,
    Entry,
    Galleries,
    Gallery,
    Kind,
    Near,
    Reference,
    Size,
)
from tapetum.gallery.backends.lance_hashes import Hashes
from tapetum.gallery.backends.lance_place import ERRORS, LancePlace
from tapetum.gallery.backends.lance_rows import (
    ENTRY,
    REFERENCE,
    WINS,
    Row,
    Rows,
    calibration_of,
    dimensions_of,
    entry_of,
    id_of,
    mention_of,
    reference_of,
)
from tapetum.gallery.backends.rules import (
    check_embedding,
    check_name,
    check_references,
    merged,
    named,
    no_entry,
    other_model,
    seen,
)
from tapetum.gallery.backends.search import FEWEST, FLAT_ROWS, OVERFETCH
from tapetum.gallery.matching.flat import best
from tapetum.signals.embedding import EmbeddingModel
from tapetum.signals.web import Mention

log = logging.getLogger(__name__)

#: How long files of versions that are no longer the newest stay, for those who still read them.
_KEPT = timedelta(hours=1)
#: Commits after which a process first makes large files of small ones.
PUTS_TENDED = 100
#: With other writers.
_PATIENCE = timedelta(minutes=2)
#: By column. Of embeddings it is found by eight bits a number, which the whole ones then rank.
_INDEXES = {
    "what": Bitmap(), "model": Bitmap(),
    "id": BTree(), "entry": BTree(), "number": BTree(), "digest": BTree(),
    "embedding": HnswSq(distance_type="cosine", m=16, ef_construction=100),
}  # fmt: skip


class LanceGalleries(Galleries):
    """The galleries in the `LancePlace` at ``url``; ``model`` makes the embeddings that are
    compared. A gallery is for embeddings of the dimensions of the model it was made with. Any
    method raises `GalleryBroken` when the place cannot be read or written."""

    def __init__(self, url: str, options: Mapping[str, str], model: EmbeddingModel) -> None:
        self._model = model
        self._place = LancePlace(url, options, model.dimensions)
        self._lock = threading.Lock()
        self._hashes: dict[str, Hashes] = {}
        self._sizes: dict[str, tuple[int, Size]] = {}
        self._puts: dict[str, tuple[int, int]] = {}
        self._rows = Rows()

    @property
    def model(self) -> EmbeddingModel:
        return self._model

    # --- Galleries ----------------------------------------------------------------------------

    def create(self, gallery: Gallery) -> None:
        check_name(gallery)
        self._place.create(gallery)

    def drop(self, gallery: Gallery) -> None:
        self._place.drop(gallery)

    def find(self, project: str, name: str) -> Gallery:
        return named(self.visible(project), project, name)

    def visible(self, project: str | None = None, kind: Kind | None = None) -> list[Gallery]:
        return seen(self._place.names(), project, kind)

    # --- Entries ------------------------------------------------------------------------------

    def put(self, gallery: Gallery, entries: Sequence[tuple[Entry, Sequence[Reference]]]) -> int:
        wanted: dict[str, list[Entry]] = {}
        rows: dict[str, dict[str, Any]] = {}
        for entry, references in entries:
            wanted.setdefault(id_of(entry.key), []).append(entry)
            for mention in entry.mentions:
                row = self._rows.mention(entry, mention)
                rows[row["id"]] = row
            for reference in references:
                row = self._rows.reference(entry, reference)
                rows.setdefault(row["id"], row)
        images = {row["id"]: row["number"] for row in rows.values() if row["what"] == "reference"}
        check_references(entries, self.model)
        with self._place.table(gallery) as table:
            self._check_dimensions(gallery, table, images)
            while wanted:
                changed = self._completed(table, wanted)
                if changed or rows:
                    self._merge(table, [*changed.values(), *rows.values()])
                there = {
                    row["id"]: row["number"]
                    for row in _rows_where(table, _among("id", [*wanted, *images]), "id", "number")
                }
                lost = {name for name in wanted if name not in there} | {
                    name for name, row in changed.items() if there.get(name) != row["number"]
                }
                if not lost:  # else somebody changed an entry between reading and writing it
                    return sum(there.get(name) == number for name, number in images.items())
        return 0

    def _check_dimensions(self, gallery: Gallery, table: Any, images: Collection[str]) -> None:
        kept = dimensions_of(table.schema)
        if images and kept != self.model.dimensions:
            raise InvalidGallery(
                f"The gallery {gallery.name!r} keeps embeddings of {kept} numbers, the model in "
                f"use makes {self.model.dimensions}: add the images to a new gallery."
            )

    def _completed(self, table: Any, wanted: Mapping[str, list[Entry]]) -> dict[str, Row]:
        """The rows of those entries that are new or say something new, by id."""
        table.checkout_latest()
        old = {row["id"]: row for row in _rows_where(table, _among("id", wanted), *ENTRY)}
        changed = {}
        for name, entries in wanted.items():
            before = entry_of(old[name]) if name in old else Entry(entries[0].key)
            after = reduce(merged, entries, before)
            if name not in old or after != before:
                revision = old[name]["revision"] + 1 if name in old else 1
                changed[name] = self._rows.entry(after, revision)
        return changed

    def _merge(self, table: Any, rows: list[Row]) -> None:
        merge = table.merge_insert("id").when_matched_update_all(where=WINS)
        # Without an index: through one, rows that another writer adds meanwhile go unnoticed.
        merge = merge.when_not_matched_insert_all().use_index(False)
        merge.execute(
            pa.Table.from_pylist(rows, schema=table.schema),
            on_bad_vectors="null",
            timeout=_PATIENCE,
        )
        puts, due = self._puts.get(table.name, (0, PUTS_TENDED))
        self._puts[table.name] = puts + 1, due
        if puts + 1 >= due:  # each time all is written anew: twice as late the next time
            self._puts[table.name] = 0, 2 * due
            self._optimise(table)

    def remove(self, gallery: Gallery, key: str) -> int:
        where, gone = _among("entry", [id_of(key)]), 0
        with self._place.table(gallery) as table:
            table.checkout_latest()
            if not table.count_rows(f"{where} AND what = 'entry'"):
                raise no_entry(gallery, key)
            while table.count_rows(where):  # somebody may add to it meanwhile
                gone += table.count_rows(f"{where} AND what = 'reference'")
                table.delete(where)
        return gone

    def size(self, gallery: Gallery) -> Size:
        with self._place.table(gallery) as table:
            version = table.version
            known = self._sizes.get(table.name)
            if known is None or known[0] != version:
                counts = (table.count_rows(f"what = '{kind}'") for kind in ("entry", "reference"))
                known = self._sizes[table.name] = version, Size(*counts)
            return known[1]

    def entry(self, gallery: Gallery, key: str) -> Entry:
        where = _among("entry", [id_of(key)])
        with self._place.table(gallery) as table:
            rows = _rows_where(table, f"{where} AND what <> 'reference'", "what", *ENTRY)
        entries = [entry_of(row) for row in rows if row["what"] == "entry"]
        if not entries:
            raise no_entry(gallery, key)
        mentions = [mention_of(row) for row in rows if row["what"] == "mention"]
        mentions.sort(key=lambda mention: mention.page_url)
        return replace(entries[0], mentions=tuple(mentions[:MOST_MENTIONS]))

    def entries(self, gallery: Gallery, after: str = "", limit: int = 1000) -> list[Entry]:
        later = after.replace("'", "''")
        with self._place.table(gallery) as table:
            rows = _rows_where(
                table, f"what = 'entry' AND key > '{later}'", *ENTRY, order="key", limit=limit
            )
        return [entry_of(row) for row in rows]

    def references(self, gallery: Gallery, key: str) -> list[tuple[int, Reference]]:
        where = _among("entry", [id_of(key)])
        with self._place.table(gallery) as table:
            if not table.count_rows(f"{where} AND what = 'entry'"):
                raise no_entry(gallery, key)
            rows = _rows_where(table, f"{where} AND what = 'reference'", *REFERENCE)
            dimensions = dimensions_of(table.schema)
        rows.sort(key=lambda row: row["number"])
        return [(row["number"], reference_of(row, dimensions)) for row in rows]

    def known(self, gallery: Gallery, digests: Collection[str]) -> Mapping[str, Sequence[str]]:
        keys: dict[str, list[str]] = {}
        if digests:
            where = f"{_among('digest', digests)} AND model = '{self.model.name}'"
            with self._place.table(gallery) as table:
                rows = _rows_where(table, where, "digest", "key", "number")
            for row in sorted(rows, key=lambda row: row["number"]):
                keys.setdefault(row["digest"], []).append(row["key"])
        return keys

    def pages(self, gallery: Gallery, limit: int) -> list[Mention]:
        with self._place.table(gallery) as table:
            step = max(1, -(-table.count_rows("what = 'mention'") // limit))
            where = f"what = 'mention' AND number / {Rows.STEP} % {step} = 0"
            rows = _rows_where(table, where, "about", limit=limit)
        return [mention_of(row) for row in rows]

    def local_features(self, gallery: Gallery, references: Collection[int]) -> dict[int, bytes]:
        with self._place.table(gallery) as table:
            rows = _rows_where(table, _numbered(references), "number", "features")
        return {row["number"]: row["features"] for row in rows if row["features"]}

    # --- Search -------------------------------------------------------------------------------

    def nearest(self, gallery: Gallery, embedding: NDArray[np.float16], limit: int) -> list[Near]:
        check_embedding(embedding, self.model)
        with self._place.table(gallery) as table:
            if not self._has_mine(table):
                raise other_model(gallery, self.model)
            if not embedding.any():
                return []
            hits = (
                table.search(embedding, vector_column_name="embedding")
                .distance_type("cosine")
                .where(f"model = '{self.model.name}'", prefilter=True)
                .select(["number", "key", "about", "embedding", "_distance"])
                .limit(max(FEWEST, OVERFETCH * limit))
                .to_arrow()
            )
        vectors = hits["embedding"].combine_chunks().flatten().to_numpy()
        similarity = vectors.reshape(-1, self.model.dimensions).astype(
            np.float32
        ) @ embedding.astype(np.float32)
        rows = {row["number"]: row for row in hits.drop(["embedding"]).to_pylist()}
        near = best(np.array(list(rows), dtype=np.int64), similarity, limit)
        return [Near(n, rows[n]["key"], cosine, calibration_of(rows[n])) for n, cosine in near]

    def _has_mine(self, table: Any) -> bool:
        """Whether a table has images that this model looked at, or none at all."""
        mine = f"what = 'reference' AND model = '{self.model.name}'"
        if dimensions_of(table.schema) == self.model.dimensions and table.count_rows(mine):
            return True
        return not table.count_rows("what = 'reference'")

    def copies(
        self, gallery: Gallery, hashes: NDArray[np.uint8], distance: int, limit: int = 100
    ) -> list[Copy]:
        with self._place.table(gallery) as table:
            with self._lock:
                index = self._hashes.setdefault(table.name, Hashes(table))
            copies = index.copies(hashes, distance, limit)
            rows = _rows_where(table, _numbered([n for n, _, _ in copies]), "number", "key")
        keys = {row["number"]: row["key"] for row in rows}
        return [Copy(n, keys[n], bits, turn) for n, bits, turn in copies if n in keys]

    # --- Upkeep -------------------------------------------------------------------------------

    def tend(self, gallery: Gallery) -> None:
        """Make few large files of many small ones, and indexes beyond `FLAT_ROWS` images."""
        count = self.size(gallery).references
        with self._place.table(gallery) as table:
            indexed = {index.columns[0] for index in table.list_indices()}
            if count > FLAT_ROWS:
                log.info("tending %d reference images of %s", count, gallery.name)
                for column, index in _INDEXES.items():
                    if column not in indexed:
                        table.create_index(column, config=index)
            self._optimise(table)

    def _optimise(self, table: Any) -> None:
        try:
            table.optimize(cleanup_older_than=_KEPT)
        except ERRORS as error:  # another process is at it
            log.info("galleries are tended another time: %s", self._place.said(error))

    def damage(self) -> list[str]:
        """Rows that are there twice, which a writer of another kind must have added."""
        problems = []
        for gallery in self.visible():
            with self._place.table(gallery) as table:
                names = table.search().select(["id"]).limit(None).to_arrow()["id"]
            twice = len(names) - len(names.unique())
            if twice:
                problems.append(f"{gallery.name}: {twice} rows are there twice.")
        return problems

    def close(self) -> None:
        self._hashes = {}
        self._place.close()


def _among(column: str, names: Iterable[str]) -> str:
    """``names`` are hexadecimal."""
    return f"{column} IN ('" + "', '".join(names) + "')"


def _numbered(numbers: Collection[int]) -> str:
    return f"number IN ({', '.join(str(int(n)) for n in numbers)})" if numbers else "false"


def _rows_where(
    table: Any, where: str, *columns: str, order: str | None = None, limit: int | None = None
) -> list[Row]:
    query = table.search().where(where).select(list(columns)).limit(limit)
    if order is not None:
        query = query.order_by([ColumnOrdering(column_name=order)])
    rows: list[Row] = query.to_arrow().to_pylist()
    return rows
