"""Several places of galleries as one: a user's own, which can be changed, and those that ship."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tapetum.errors import GalleryNotFound, InvalidGallery
from tapetum.gallery import EVERYONE, Copy, Entry, Galleries, Gallery, Kind, Near, Reference, Size
from tapetum.gallery.backends.rules import no_gallery
from tapetum.signals.embedding import EmbeddingModel
from tapetum.signals.web import Mention


class JoinedGalleries(Galleries):
    """``own`` may be changed, ``shipped`` are only read. A gallery of ``own`` hides a shipped one
    of the same project and name."""

    def __init__(self, own: Galleries, shipped: Sequence[Galleries] = ()) -> None:
        self._own = own
        self._shipped = tuple(shipped)

    @property
    def model(self) -> EmbeddingModel:
        return self._own.model

    def create(self, gallery: Gallery) -> None:
        self._own.create(gallery)

    def drop(self, gallery: Gallery) -> None:
        self._changeable(gallery).drop(gallery)

    def find(self, project: str, name: str) -> Gallery:
        for owner in dict.fromkeys((project, EVERYONE)):
            for place in (self._own, *self._shipped):
                try:
                    gallery = place.find(owner, name)
                except GalleryNotFound:
                    continue
                if gallery.project == owner:
                    return gallery
        raise no_gallery(name, project)

    def visible(self, project: str | None = None, kind: Kind | None = None) -> list[Gallery]:
        galleries: dict[tuple[str, str], Gallery] = {}
        for place in (self._own, *self._shipped):
            for gallery in place.visible(project):
                galleries.setdefault((gallery.project, gallery.name), gallery)
        return [
            galleries[key]
            for key in sorted(galleries)
            if kind is None or galleries[key].kind is kind
        ]

    def put(self, gallery: Gallery, entries: Sequence[tuple[Entry, Sequence[Reference]]]) -> int:
        return self._changeable(gallery).put(gallery, entries)

    def remove(self, gallery: Gallery, key: str) -> int:
        return self._changeable(gallery).remove(gallery, key)

    def size(self, gallery: Gallery) -> Size:
        return self._place(gallery).size(gallery)

    def entry(self, gallery: Gallery, key: str) -> Entry:
        return self._place(gallery).entry(gallery, key)

    def entries(self, gallery: Gallery, after: str = "", limit: int = 1000) -> list[Entry]:
        return self._place(gallery).entries(gallery, after, limit)

    def references(self, gallery: Gallery, key: str) -> list[tuple[int, Reference]]:
        return self._place(gallery).references(gallery, key)

    def known(self, gallery: Gallery, digests: Collection[str]) -> Mapping[str, Sequence[str]]:
        return self._place(gallery).known(gallery, digests)

    def pages(self, gallery: Gallery, limit: int) -> list[Mention]:
        return self._place(gallery).pages(gallery, limit)

    def local_features(self, gallery: Gallery, references: Collection[int]) -> dict[int, bytes]:
        return self._place(gallery).local_features(gallery, references)

    def nearest(self, gallery: Gallery, embedding: NDArray[np.float16], limit: int) -> list[Near]:
        return self._place(gallery).nearest(gallery, embedding, limit)

    def copies(
        self, gallery: Gallery, hashes: NDArray[np.uint8], distance: int, limit: int = 100
    ) -> list[Copy]:
        return self._place(gallery).copies(gallery, hashes, distance, limit)

    def tend(self, gallery: Gallery) -> None:
        self._place(gallery).tend(gallery)

    def damage(self) -> list[str]:
        return [line for place in (self._own, *self._shipped) for line in place.damage()]

    def close(self) -> None:
        for place in (self._own, *self._shipped):
            place.close()

    def _place(self, gallery: Gallery) -> Galleries:
        for place in (self._own, *self._shipped):
            if gallery in place.visible(gallery.project):
                return place
        raise no_gallery(gallery.name, gallery.project)

    def _changeable(self, gallery: Gallery) -> Galleries:
        place = self._place(gallery)
        if place is not self._own:
            raise InvalidGallery(
                f"The gallery {gallery.name!r} ships with the package and cannot be changed. Make "
                "one of your own with `tapetum gallery create`."
            )
        return place
