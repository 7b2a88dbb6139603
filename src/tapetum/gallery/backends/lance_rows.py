"""Rows of galleries in LanceDB, and what they are of.

``id`` is a hash of what makes a row one of a kind, ``entry`` one of its entry's key. Columns that
are looked for have a type of their own, the rest is JSON in ``about``. Local features are a column
apart: they are read for candidates only.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from tapetum.gallery import PDQ_BYTES, Calibration, Entry, Reference
from tapetum.signals.web import Mention

Row = dict[str, Any]

VERSION = b"1"
#: 2025, in seconds since 1970.
_START = 1_735_689_600

#: Writers that add rows of one id at once do not both succeed.
_UNIQUE = {b"lance-schema:unenforced-primary-key:position": b"1"}
LIST = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False, metadata=_UNIQUE),
        *(pa.field(name, pa.string()) for name in ("project", "name", "kind", "table")),
    ],
    metadata={b"tapetum": VERSION},
)


def rows_of(dimensions: int) -> pa.Schema:
    """The schema of a gallery's table, for embeddings of so many numbers."""
    return pa.schema([*_COLUMNS, pa.field("embedding", pa.list_(pa.float16(), dimensions)), *_MORE])


def dimensions_of(schema: pa.Schema) -> int:
    """The numbers of an embedding in a table of `rows_of`."""
    return int(schema.field("embedding").type.list_size)


_COLUMNS = [
    *[
        pa.field("id", pa.string(), nullable=False, metadata=_UNIQUE),
        *(
            pa.field(name, pa.string(), nullable=False)
            for name in ("what", "entry", "key", "about")
        ),
        *(pa.field(name, pa.string(), nullable=False) for name in ("digest", "model")),
        *(pa.field(name, pa.int64(), nullable=False) for name in ("number", "revision", "quality")),
    ],
]
_MORE = [
    pa.field("pdq", pa.list_(pa.uint8(), PDQ_BYTES)),
    pa.field("features", pa.large_binary()),
]
#: Columns that make an entry, and a reference image.
ENTRY = ("id", "about", "revision")
REFERENCE = ("number", "about", "digest", "model", "quality", "embedding", "pdq", "features")
#: When a row that is put takes the place of the one of its id: an entry that was merged with just
#: that one, a reference image of other weights, a mention that says something else.
WINS = (
    "(target.what = 'entry' AND target.revision + 1 = source.revision) OR "
    "(target.what = 'reference' AND target.model <> source.model) OR "
    "(target.what = 'mention' AND target.about <> source.about)"
)


class Rows:
    """Makes rows, each with a number: rising, and no two writers ever give the same. They are
    milliseconds since 2025 above 22 bits of chance that are the writer's own."""

    STEP = 1 << 22

    def __init__(self) -> None:
        self._writer = secrets.randbelow(self.STEP)
        self._last = 0
        self._lock = threading.Lock()

    def entry(self, entry: Entry, revision: int) -> Row:
        """Without its mentions. ``revision``: how often its row has been written."""
        about = {name: value for name, value in asdict(entry).items() if name != "mentions"}
        return self._row(id_of(entry.key), "entry", entry.key, about, revision=revision)

    def mention(self, entry: Entry, mention: Mention) -> Row:
        name = id_of(entry.key, "page", mention.page_url)
        return self._row(name, "mention", entry.key, asdict(mention))

    def reference(self, entry: Entry, reference: Reference) -> Row:
        about = {name: getattr(reference, name) for name in ("source", "width", "height")}
        return self._row(
            id_of(entry.key, "image", reference.digest),
            "reference",
            entry.key,
            about | {"calibration": asdict(reference.calibration)},
            digest=reference.digest,
            model=reference.model,
            quality=reference.pdq_quality,
            embedding=reference.embedding if reference.embedding.any() else None,
            pdq=np.frombuffer(reference.pdq, dtype=np.uint8),
            features=reference.features,
        )

    def _row(self, name: str, kind: str, key: str, about: Mapping[str, Any], **columns: Any) -> Row:
        row = {"id": name, "what": kind, "entry": id_of(key), "key": key, "number": self._number()}
        row |= {"about": json.dumps(about), "digest": "", "model": "", "revision": 0, "quality": 0}
        return row | {"embedding": None, "pdq": None, "features": b""} | columns

    def _number(self) -> int:
        with self._lock:
            self._last = max(self._last + 1, int(1000 * (time.time() - _START)))
            return self._last * self.STEP + self._writer


def id_of(*parts: str) -> str:
    """The id of a row by its entry's key and what else tells it apart."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def entry_of(row: Row) -> Entry:
    about = json.loads(row["about"])
    return Entry(**about | {"aliases": tuple(about["aliases"])})


def mention_of(row: Row) -> Mention:
    return Mention(**json.loads(row["about"]))


def calibration_of(row: Row) -> Calibration:
    return Calibration(**json.loads(row["about"])["calibration"])


def reference_of(row: Row, dimensions: int) -> Reference:
    """``dimensions``: of the table's embeddings; a blank picture has none kept."""
    about = json.loads(row["about"])
    vector = np.zeros(dimensions) if row["embedding"] is None else np.array(row["embedding"])
    return Reference(
        digest=row["digest"],
        embedding=vector.astype(np.float16),
        pdq=bytes(row["pdq"]),
        pdq_quality=row["quality"],
        features=row["features"],
        model=row["model"],
        **about | {"calibration": calibration_of(row)},
    )
