"""Where galleries are kept, by URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
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

    Raises as `opener` does, and `GalleryBroken` when it cannot be opened.
    """
    return opener(place, options)(model)


def opener(place: str, options: Mapping[str, str]) -> Callable[[EmbeddingModel], Galleries]:
    """What opens the galleries at ``place`` for a model; nothing is opened yet. Raises
    `SettingsError` for a place of another kind or whose package is not installed."""
    scheme, separator, _ = place.partition("://")
    if not separator:
        return partial(SqliteGalleries, Path(place))
    try:
        if scheme in _POSTGRESQL:
            from tapetum.gallery.backends.postgresql import PostgresqlGalleries  # noqa: PLC0415 (optional)

            return partial(PostgresqlGalleries, place)
        if scheme in _LANCE:
            from tapetum.gallery.backends.lance import LanceGalleries  # noqa: PLC0415 (optional)

            return partial(LanceGalleries, place, options)
    except ImportError as error:
        extra = "postgresql" if scheme in _POSTGRESQL else "lancedb"
        raise SettingsError(
            f"Galleries in {scheme}:// need a package that is not installed ({error.name}): "
            f"pip install 'tapetum[{extra}]'"
        ) from error
    known = ", ".join(("postgresql", *_LANCE))
    raise SettingsError(f"gallery_store is a path or a URL of {known}, not {scheme}://.")
