"""What ``tapetum gallery`` does: fill galleries from sources, and look how they answer.

Wires the networks to the gallery room, which knows neither of them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from tapetum.errors import ImageError, InvalidGallery
from tapetum.gallery import ENTITY_PREFIX, Galleries, Gallery, Kind
from tapetum.gallery.background import Background
from tapetum.gallery.ingest import Ingest
from tapetum.gallery.sources import crawls, folders, manifests, sites
from tapetum.gallery.sources.items import Item, Problem
from tapetum.recognisers.references import ReferenceMaker
from tapetum.signals.embedding import EmbeddingModel

log = logging.getLogger(__name__)


class GalleryAdministration:
    """Fills ``galleries``; the networks are loaded when they are first needed."""

    def __init__(self, galleries: Galleries, maker: ReferenceMaker, workers: int) -> None:
        self.galleries = galleries
        self.model = maker.model
        self.maker = maker
        self._workers = workers

    def ingest(self, gallery: Gallery, background: Path | None = None) -> Ingest:
        """Adds to ``gallery``, calibrating with the photographs below ``background`` or, without,
        with the background that ships. Raises `InvalidGallery` for one without photographs."""
        calibrating = (
            Background.packaged(self.model) if background is None else self._background(background)
        )
        return Ingest(self.galleries, gallery, self.maker.make, calibrating, self._workers)

    def _background(self, folder: Path) -> Background:
        embeddings = []
        for item in folders.items(folder):
            if isinstance(item, Item) and item.read is not None:
                try:
                    reference = self.maker.make(item.read(), "", item.source, Kind.WEB)
                    embeddings.append(reference.embedding)
                except (ImageError, InvalidGallery, OSError) as error:
                    log.warning("background picture %s: %s", item.source, error)
        if not embeddings:
            raise InvalidGallery(f"There is no photograph below {folder} to calibrate with.")
        return Background(np.stack(embeddings), self.model)


def items_of(
    paths: list[Path],
    kind: Kind,
    base: str = "",
    images: Path | None = None,
    labels: Path | None = None,
) -> Iterator[Item | Problem]:
    """What there is to add in ``paths``: folders of images, image files, tables, and for a web
    gallery WARC files, sitemaps and saved sites.

    ``base`` is the URL a saved site comes from, ``images`` the folder of the images that tables
    and sitemaps name, ``labels`` the names of Google Landmarks v2. Raises `InvalidGallery` for a
    path that is none of these, before anything is read.
    """
    warcs = [path for path in paths if crawls.is_warc(path)]
    others = [path for path in paths if not crawls.is_warc(path)]
    for path in paths:
        if not path.exists():
            raise InvalidGallery(f"There is no file or folder {path}.")
    if kind is not Kind.WEB and (warcs or any(sites.is_sitemap(path) for path in others)):
        raise InvalidGallery("WARC files and sitemaps are for galleries of kind web.")
    sources = [_source(path, kind, base, images, labels) for path in others]
    if warcs:
        sources.append(crawls.items(warcs))
    return chain.from_iterable(sources)


def _source(
    path: Path, kind: Kind, base: str, images: Path | None, labels: Path | None
) -> Iterator[Item | Problem]:
    if manifests.is_table(path):
        return manifests.items(path, kind, images, labels)
    if kind is Kind.WEB:
        if sites.is_sitemap(path):
            return sites.of_sitemap(path, images)
        if path.is_dir():
            if not base:
                raise InvalidGallery(
                    f"Say where the site in {path} comes from: --base https://example.org/"
                )
            return sites.of_folder(path, base if base.endswith("/") else f"{base}/")
        raise InvalidGallery(f"{path} is no WARC file, sitemap, saved site or table of web images.")
    return folders.items(path) if path.is_dir() else iter([folders.image(path)])


def faults(galleries: Galleries, gallery: Gallery, model: EmbeddingModel) -> Iterator[str]:
    """What a gallery has that cannot be used, as sentences."""
    after = ""
    while entries := galleries.entries(gallery, after):
        for entry in entries:
            after = entry.key
            yield from _faults_of(galleries, gallery, entry.key, model)


def _faults_of(
    galleries: Galleries, gallery: Gallery, key: str, model: EmbeddingModel
) -> Iterator[str]:
    references = galleries.references(gallery, key)
    if not references and not key.startswith(ENTITY_PREFIX):
        yield f"{key}: no reference image."
    for _, reference in references:
        if reference.model != model.name:
            yield f"{key}: {reference.source} was added with other weights; add it again."
        elif not reference.embedding.any():
            yield f"{key}: {reference.source} is blank and will never be found."
