"""Folders of images: the folder's name is the entry's. SVG icons are an entry each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tapetum.errors import InvalidGallery
from tapetum.gallery import Entry
from tapetum.gallery.sources.items import SUFFIXES, Item, Problem, file_reader, text
from tapetum.imaging.drawing import title_of


def items(folder: Path) -> Iterator[Item | Problem]:
    """Every image below ``folder``, folders and files by name, hidden ones and links left out."""
    for path in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if path.name.startswith(".") or path.is_symlink():
            continue
        if path.is_dir():
            yield from items(path)
        elif path.suffix.lower() in SUFFIXES:
            yield _item(path, folder)


def image(path: Path) -> Item | Problem:
    """One file, as if its folder had been named."""
    return _item(path, path.absolute().parent)


def _item(path: Path, folder: Path) -> Item | Problem:
    read = file_reader(path)
    if path.suffix.lower() == ".svg":
        try:
            name = text(title_of(read())) or path.stem
        except (InvalidGallery, OSError) as error:
            return Problem(str(path), str(error))
        return Item(Entry(text(path.stem), name), str(path), read)
    name = text(folder.absolute().name) or "images"
    return Item(Entry(name, name), str(path), read)
