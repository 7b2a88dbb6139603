"""What every implementation of `Galleries` does alike: names that will do, who sees what, and
merging."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from tapetum.errors import EntryNotFound, GalleryExists, GalleryNotFound, InvalidGallery
from tapetum.gallery import EVERYONE, Entry, Gallery, Kind, Reference
from tapetum.signals.embedding import EmbeddingModel

_NAME = re.compile(r"[^\s/\x00-\x1f\x7f][^/\x00-\x1f\x7f]{0,99}")


def check_name(gallery: Gallery) -> None:
    """Raise `InvalidGallery` unless the gallery's name will do."""
    if not _NAME.fullmatch(gallery.name):
        raise InvalidGallery(
            f"{gallery.name!r} is no name for a gallery: 1 to 100 characters, no slashes or "
            "control characters."
        )


def seen(galleries: Iterable[Gallery], project: str | None, kind: Kind | None) -> list[Gallery]:
    """Those of ``galleries`` that `Galleries.visible` gives."""
    visible = [
        gallery
        for gallery in galleries
        if project is None or gallery.project in (project, EVERYONE)
        if kind is None or gallery.kind is kind
    ]
    return sorted(visible, key=lambda gallery: (gallery.project, gallery.name))


def named(visible: list[Gallery], project: str, name: str) -> Gallery:
    """The one that `Galleries.find` gives of those that are ``visible`` to ``project``. Raises
    `GalleryNotFound`."""
    for gallery in reversed(visible):  # everyone's come first
        if gallery.name == name:
            return gallery
    raise no_gallery(name, project)


def merged(old: Entry, new: Entry) -> Entry:
    """``old`` with what ``new`` knows; mentions are left out, they have rows of their own."""
    known = {
        field.name: getattr(new, field.name)
        for field in fields(Entry)
        if getattr(new, field.name) not in ("", None, ())
    }
    if new.lat is None or new.lng is None:
        known.pop("lat", None)
        known.pop("lng", None)
    return replace(old, **known | {"mentions": ()})


def exists(gallery: Gallery) -> GalleryExists:
    return GalleryExists(f"There is a gallery named {gallery.name!r} already.")


def no_gallery(name: str, project: str = EVERYONE) -> GalleryNotFound:
    whose = f" for project {project}" if project else ""
    return GalleryNotFound(
        f"There is no gallery named {name!r}{whose}. `tapetum gallery list` shows what there is."
    )


def no_entry(gallery: Gallery, key: str) -> EntryNotFound:
    return EntryNotFound(f"The gallery {gallery.name!r} has no entry {key!r}.")


def check_references(
    entries: Iterable[tuple[Entry, Sequence[Reference]]], model: EmbeddingModel
) -> None:
    """Raise `InvalidGallery` where an embedding says that it is by ``model`` and has other
    dimensions."""
    for _, references in entries:
        for reference in references:
            if reference.model == model.name:
                check_embedding(reference.embedding, model)


def check_embedding(embedding: NDArray[np.float16], model: EmbeddingModel) -> None:
    """Raise `InvalidGallery` unless ``embedding`` has the dimensions of ``model``."""
    if embedding.shape != (model.dimensions,):
        raise InvalidGallery(
            f"An embedding of {embedding.size} numbers cannot be compared: those of the model in "
            f"use have {model.dimensions}."
        )


def other_model(gallery: Gallery, model: EmbeddingModel) -> InvalidGallery:
    """Of a gallery none of whose images ``model`` has looked at."""
    return InvalidGallery(
        f"All images of the gallery {gallery.name!r} were looked at by another model than the one "
        f"in use ({model.name[:12]}, {model.dimensions} numbers): add them again with `tapetum "
        "gallery add`, or choose the pack that they were added with."
    )
