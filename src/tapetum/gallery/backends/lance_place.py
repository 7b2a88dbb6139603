"""A place of galleries in LanceDB: a list of them and a table for each."""

from __future__ import annotations

import os
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import pyarrow as pa

# As it will be of itself; until then it warns of that each time an index is looked at.
os.environ.setdefault("LANCE_INCLUDE_VECTOR_CENTROIDS", "false")

import lancedb

from tapetum.errors import GalleryBroken
from tapetum.gallery import Gallery, Kind
from tapetum.gallery.backends.lance_rows import LIST, VERSION, id_of, rows_of
from tapetum.gallery.backends.rules import exists, no_gallery
from tapetum.observe.redaction import said, secrets_of

#: On object storage, how long a process goes without asking what others have changed.
_STALE = timedelta(seconds=5)
_TIMEOUTS = {"timeout": "60s", "connect_timeout": "10s", "client_max_retries": "4"}
#: How often processes that find a place empty may get into each other's way as they make it.
_TRIES = 5
#: Of what LanceDB says, characters.
_LONGEST = 300
_SOURCE = re.compile(r",? ?(location: Location \{.*|\S*\.rs:\d+(:\d+)?)")

#: What LanceDB raises, which has no errors of its own.
ERRORS = (RuntimeError, OSError, ValueError)


class LancePlace:
    """The place at ``url`` (``file:///...``, ``s3://bucket/...``, ``gs://``, ``az://``), made when
    missing. ``options`` go to the object store: endpoint, region, keys.

    New tables are for embeddings of so many ``dimensions``. Raises `GalleryBroken` when it cannot
    be reached, or is of another version.
    """

    def __init__(self, url: str, options: Mapping[str, str], dimensions: int) -> None:
        self._dimensions = dimensions
        self._url = url
        self._secrets = secrets_of(options)
        self._lock = threading.Lock()
        self._tables: dict[str, Any] = {}
        self._listed: tuple[int, dict[Gallery, str]] = -1, {}
        folder = url.removeprefix("file://")
        plain = any(value.startswith("http://") for value in options.values())
        remote = {**_TIMEOUTS, "allow_http": str(plain).lower(), **options}
        with self.errors():
            if folder != url:
                self._place = lancedb.connect(folder, read_consistency_interval=timedelta(0))
            else:
                self._place = lancedb.connect(
                    url, read_consistency_interval=_STALE, storage_options=remote
                )
            self._list = self._opened()
            version = (self._list.schema.metadata or {}).get(b"tapetum", b"none")
        if version != VERSION:
            raise GalleryBroken(
                f"The galleries in {url} are of version {version.decode()}, this program reads "
                f"{VERSION.decode()}: use the program that wrote them."
            )

    def _opened(self) -> Any:
        """The list, made when missing."""
        for _ in range(_TRIES):
            with suppress(ValueError):  # there is none
                return self._place.open_table("galleries")
            try:
                return self._place.create_table("galleries", schema=LIST, exist_ok=True)
            except RuntimeError as error:  # as a rule, somebody else has just made it
                lost = error
        raise lost

    def create(self, gallery: Gallery) -> None:
        """Raises `tapetum.errors.GalleryExists`."""
        name = f"gallery-{secrets.token_hex(8)}"
        with self.errors():
            self._place.create_table(name, schema=rows_of(self._dimensions))
            row = {"id": id_of(gallery.project, gallery.name), "project": gallery.project}
            row |= {"name": gallery.name, "kind": gallery.kind.value, "table": name}
            added = (
                self._list.merge_insert("id")
                .when_not_matched_insert_all()
                .execute(pa.Table.from_pylist([row], schema=LIST))
            )
            if not added.num_inserted_rows:
                self._place.drop_table(name)
                raise exists(gallery)

    def drop(self, gallery: Gallery) -> None:
        name = self._name(gallery)
        with self.errors():
            self._list.delete(f"\"table\" = '{name}'")
            self._tables.pop(name, None)
            self._place.drop_table(name)

    def names(self) -> dict[Gallery, str]:
        """The table of each gallery."""
        with self.errors():
            version = self._list.version
            if self._listed[0] != version:
                rows = self._list.search().limit(None).to_arrow().to_pylist()
                galleries = [Gallery(r["name"], Kind(r["kind"]), r["project"]) for r in rows]
                tables = (row["table"] for row in rows)
                self._listed = version, dict(zip(galleries, tables, strict=True))
            return self._listed[1]

    def _name(self, gallery: Gallery) -> str:
        name = self.names().get(gallery)
        if name is None:  # unless it has just been made elsewhere
            with self.errors():
                self._list.checkout_latest()
            name = self.names().get(gallery)
        if name is None:
            raise no_gallery(gallery.name, gallery.project)
        return name

    @contextmanager
    def table(self, gallery: Gallery) -> Iterator[Any]:
        """The gallery's table; what LanceDB raises in the block is told as `GalleryBroken`.

        Raises `tapetum.errors.GalleryNotFound`.
        """
        name = self._name(gallery)
        with self.errors():
            with self._lock:
                table = self._tables.get(name)
                if table is None:
                    table = self._tables[name] = self._place.open_table(name)
            yield table

    def close(self) -> None:
        self._tables = {}

    @contextmanager
    def errors(self) -> Iterator[None]:
        """What LanceDB raises in the block is told as `GalleryBroken`."""
        try:
            yield
        except ERRORS as error:
            raise GalleryBroken(
                f"The galleries in {self._url} cannot be used. Check that the store answers, and "
                f"the URL and options of gallery_store. LanceDB says: {self.said(error)}"
            ) from error

    def said(self, error: Exception) -> str:
        """What LanceDB says, without where in its sources and without secrets."""
        return _SOURCE.sub("", said(error, self._secrets))[:_LONGEST]
