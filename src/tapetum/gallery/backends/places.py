"""Where galleries are kept, by URL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tapetum.errors import SettingsError
from tapetum.gallery import Galleries
from tapetum.gallery.backends.sqlite import SqliteGalleries
from tapetum.signals.embedding import EmbeddingModel

_POSTGRESQL = ("postgresql", "postgres")
_LANCE = ("file", "s3", "gs", "az")


def opened(place: str, options: Mapping[str, str], model: EmbeddingModel) -> Galleries:
    """The galleries at ``place``, made when missing: a SQLite file by its path, PostgreSQL by its
    ``postgresql://`` URL, LanceDB by the URL of a folder (``file``, ``s3``, ``gs``, ``az``), whose
    store takes ``options``. ``model`` makes the embeddings that are compared.

    Raises `SettingsError` for a place of another kind or whose package is not installed, and
    `GalleryBroken` when it cannot be opened.
    """
    scheme, separator, _ = place.partition("://")
    if not separator:
        return SqliteGalleries(Path(place), model)
    try:
        if scheme in _POSTGRESQL:
            from tapetum.gallery.backends.postgresql import PostgresqlGalleries  # noqa: PLC0415 (optional)

            return PostgresqlGalleries(place, model)
        if scheme in _LANCE:
            from tapetum.gallery.backends.lance import LanceGalleries  # noqa: PLC0415 (optional)

            return LanceGalleries(place, options, model)
    except ImportError as error:
        extra = "postgresql" if scheme in _POSTGRESQL else "lancedb"
        raise SettingsError(
            f"Galleries in {scheme}:// need a package that is not installed ({error.name}): "
            f"pip install 'tapetum[{extra}]'"
        ) from error
    known = ", ".join(("postgresql", *_LANCE))
    raise SettingsError(f"gallery_store is a path or a URL of {known}, not {scheme}://.")
