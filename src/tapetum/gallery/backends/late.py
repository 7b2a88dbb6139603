"""Galleries that are opened when they are needed: their place may be away for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tapetum.gallery import Copy, Entry, Galleries, Gallery, Kind, Near, Reference, Size
from tapetum.signals.embedding import EmbeddingModel
from tapetum.signals.web import Mention


class LateGalleries(Galleries):
    """What ``opened`` gives, for ``model``: it is called at the first use, and at each use after
    one that it raised from. Every method raises what ``opened`` does (`GalleryBroken`)."""

    def __init__(self, opened: Callable[[], Galleries], model: EmbeddingModel) -> None:
        self._opened = opened
        self._model = model
        self._lock = threading.Lock()
        self._place: Galleries | None = None

    @property
    def model(self) -> EmbeddingModel:
        return self._model

    def create(self, gallery: Gallery) -> None:
        self._open().create(gallery)

    def drop(self, gallery: Gallery) -> None:
        self._open().drop(gallery)

    def find(self, project: str, name: str) -> Gallery:
        return self._open().find(project, name)

    def visible(self, project: str | None = None, kind: Kind | None = None) -> list[Gallery]:
        return self._open().visible(project, kind)

    def put(self, gallery: Gallery, entries: Sequence[tuple[Entry, Sequence[Reference]]]) -> int:
        return self._open().put(gallery, entries)

    def remove(self, gallery: Gallery, key: str) -> int:
        return self._open().remove(gallery, key)

    def size(self, gallery: Gallery) -> Size:
        return self._open().size(gallery)

    def entry(self, gallery: Gallery, key: str) -> Entry:
        return self._open().entry(gallery, key)

    def entries(self, gallery: Gallery, after: str = "", limit: int = 1000) -> list[Entry]:
        return self._open().entries(gallery, after, limit)

    def references(self, gallery: Gallery, key: str) -> list[tuple[int, Reference]]:
        return self._open().references(gallery, key)

    def known(self, gallery: Gallery, digests: Collection[str]) -> Mapping[str, Sequence[str]]:
        return self._open().known(gallery, digests)

    def pages(self, gallery: Gallery, limit: int) -> list[Mention]:
        return self._open().pages(gallery, limit)

    def local_features(self, gallery: Gallery, references: Collection[int]) -> dict[int, bytes]:
        return self._open().local_features(gallery, references)

    def nearest(self, gallery: Gallery, embedding: NDArray[np.float16], limit: int) -> list[Near]:
        return self._open().nearest(gallery, embedding, limit)

    def copies(
        self, gallery: Gallery, hashes: NDArray[np.uint8], distance: int, limit: int = 100
    ) -> list[Copy]:
        return self._open().copies(gallery, hashes, distance, limit)

    def tend(self, gallery: Gallery) -> None:
        self._open().tend(gallery)

    def damage(self) -> list[str]:
        return self._open().damage()

    def close(self) -> None:
        with self._lock:
            if self._place is not None:
                self._place.close()

    def _open(self) -> Galleries:
        with self._lock:
            if self._place is None:
                self._place = self._opened()
            return self._place
