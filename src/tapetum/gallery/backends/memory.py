"""Galleries in memory: for tests, and for those that ship with the package."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

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
from tapetum.gallery.matching.flat import Flat
from tapetum.gallery.matching.pdq import LEAST_QUALITY
from tapetum.signals.embedding import EmbeddingModel
from tapetum.signals.web import Mention


@dataclass(slots=True)
class _Held:
    """One gallery's rows. ``references`` by number, oldest first; ``numbers`` by entry and
    digest."""

    entries: dict[str, Entry] = field(default_factory=dict)
    mentions: dict[str, dict[str, Mention]] = field(default_factory=dict)
    references: dict[int, tuple[str, Reference]] = field(default_factory=dict)
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)
    search: Flat | None = None


class MemoryGalleries(Galleries):
    """Keeps nothing beyond the process."""

    def __init__(self, model: EmbeddingModel) -> None:
        self._model = model
        self._galleries: dict[Gallery, _Held] = {}
        self._last = 0
        self._lock = threading.RLock()

    @property
    def model(self) -> EmbeddingModel:
        return self._model

    def create(self, gallery: Gallery) -> None:
        check_name(gallery)
        with self._lock:
            if any((g.project, g.name) == (gallery.project, gallery.name) for g in self._galleries):
                raise exists(gallery)
            self._galleries[gallery] = _Held()

    def drop(self, gallery: Gallery) -> None:
        with self._lock:
            self._held(gallery)
            del self._galleries[gallery]

    def find(self, project: str, name: str) -> Gallery:
        return named(self.visible(project), project, name)

    def visible(self, project: str | None = None, kind: Kind | None = None) -> list[Gallery]:
        with self._lock:
            return seen(self._galleries, project, kind)

    def put(self, gallery: Gallery, entries: Sequence[tuple[Entry, Sequence[Reference]]]) -> int:
        added = 0
        whole = [(entry, tuple(references)) for entry, references in entries]  # all or none
        check_references(whole, self.model)
        with self._lock:
            held = self._held(gallery)
            for entry, references in whole:
                old = held.entries.get(entry.key, Entry(entry.key))
                held.entries[entry.key] = merged(old, entry)
                mentions = held.mentions.setdefault(entry.key, {})
                mentions.update({mention.page_url: mention for mention in entry.mentions})
                for reference in references:
                    added += self._add(held, entry.key, reference)
            held.search = None
        return added

    def _add(self, held: _Held, key: str, reference: Reference) -> bool:
        old = held.numbers.get((key, reference.digest))
        if old is not None:
            if held.references[old][1].model == reference.model:
                return False
            del held.references[old]
        self._last += 1
        held.references[self._last] = (key, reference)
        held.numbers[key, reference.digest] = self._last
        return True

    def remove(self, gallery: Gallery, key: str) -> int:
        with self._lock:
            held = self._entry_of(gallery, key)
            del held.entries[key]
            held.mentions.pop(key, None)
            gone = [number for number, (owner, _) in held.references.items() if owner == key]
            for number in gone:
                _, reference = held.references.pop(number)
                del held.numbers[key, reference.digest]
            held.search = None
        return len(gone)

    def size(self, gallery: Gallery) -> Size:
        with self._lock:
            held = self._held(gallery)
            return Size(len(held.entries), len(held.references))

    def entry(self, gallery: Gallery, key: str) -> Entry:
        with self._lock:
            held = self._entry_of(gallery, key)
            mentions = held.mentions[key]
            ordered = tuple(mentions[url] for url in sorted(mentions)[:MOST_MENTIONS])
            return replace(held.entries[key], mentions=ordered)

    def entries(self, gallery: Gallery, after: str = "", limit: int = 1000) -> list[Entry]:
        with self._lock:
            held = self._held(gallery)
            keys = sorted(key for key in held.entries if key > after)
            return [held.entries[key] for key in keys[:limit]]

    def references(self, gallery: Gallery, key: str) -> list[tuple[int, Reference]]:
        with self._lock:
            held = self._entry_of(gallery, key)
            return [
                (n, reference) for n, (owner, reference) in held.references.items() if owner == key
            ]

    def known(self, gallery: Gallery, digests: Collection[str]) -> Mapping[str, Sequence[str]]:
        wanted = set(digests)
        keys: dict[str, list[str]] = {}
        with self._lock:
            for key, reference in self._held(gallery).references.values():
                if reference.digest in wanted and reference.model == self.model.name:
                    keys.setdefault(reference.digest, []).append(key)
        return keys

    def pages(self, gallery: Gallery, limit: int) -> list[Mention]:
        with self._lock:
            mentions = [
                mention
                for page in self._held(gallery).mentions.values()
                for mention in page.values()
            ]
        return mentions[:: max(1, -(-len(mentions) // limit))]

    def local_features(self, gallery: Gallery, references: Collection[int]) -> dict[int, bytes]:
        with self._lock:
            held = self._held(gallery).references
            blobs = {n: held[n][1].features for n in references if n in held}
        return {number: blob for number, blob in blobs.items() if blob}

    def nearest(self, gallery: Gallery, embedding: NDArray[np.float16], limit: int) -> list[Near]:
        check_embedding(embedding, self.model)
        with self._lock:
            held = self._held(gallery)
            near = self._search(held).nearest(embedding, limit)
            models = set() if near else {kept.model for _, kept in held.references.values()}
            if models and self.model.name not in models:
                raise other_model(gallery, self.model)
            return [
                Near(n, held.references[n][0], similarity, held.references[n][1].calibration)
                for n, similarity in near
            ]

    def copies(
        self, gallery: Gallery, hashes: NDArray[np.uint8], distance: int, limit: int = 100
    ) -> list[Copy]:
        with self._lock:
            held = self._held(gallery)
            copies = self._search(held).copies(hashes, distance, limit)
            return [Copy(n, held.references[n][0], bits, turn) for n, bits, turn in copies]

    def tend(self, gallery: Gallery) -> None:
        self._held(gallery)

    def damage(self) -> list[str]:
        return []

    def close(self) -> None:
        """Nothing is held open."""

    def _held(self, gallery: Gallery) -> _Held:
        try:
            return self._galleries[gallery]
        except KeyError:
            raise no_gallery(gallery.name, gallery.project) from None

    def _entry_of(self, gallery: Gallery, key: str) -> _Held:
        held = self._held(gallery)
        if key not in held.entries:
            raise no_entry(gallery, key)
        return held

    def _search(self, held: _Held) -> Flat:
        if held.search is None:
            flat = Flat(self.model.dimensions)
            for number, (_, reference) in held.references.items():
                is_told = reference.pdq_quality >= LEAST_QUALITY
                is_mine = reference.model == self.model.name
                flat.add(
                    number,
                    reference.embedding if is_mine else None,
                    reference.pdq if is_told else None,
                )
            held.search = flat
        return held.search
