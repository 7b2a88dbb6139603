"""Rebuild ``src/tapetum/gallery/background.npz``, the background that galleries calibrate against.

Usage: ``python tools/gallery/background.py FOLDER``, where FOLDER is ``usr/share/gcompris-qt/rcc``
of the Debian package gcompris-qt-data 3.1-2 (``apt-get download``, ``dpkg-deb -x``). The package is
part of Debian main: its pictures (animals, food, tools, paintings, scenes; public domain, CC0,
CC-BY-SA and GPL, named one by one in its READMEs) are free. Only numbers are kept of them, from
which no picture can be made: an embedding each of the whole and of its four corners. The pictures
of monuments are left out, because the default landmarks are made of them.
"""

from __future__ import annotations

import io
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tapetum.detectors import Embedder
from tapetum.errors import ImageError
from tapetum.gallery import unit
from tapetum.imaging.decoding import decode
from tapetum.imaging.picture import Picture
from tapetum.models import packs
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.signals.embedding import Embedding

RESOURCES = ("categorization", "lang", "erase", "explore_world_animals", "explore_farm_animals",
             "explore_world_music", "paintings", "details", "babyshapes", "chronos")  # fmt: skip
LEFT_OUT = ("/monuments/", "/alphabets/", "/numbers/")
SUFFIXES = (".webp", ".jpg", ".png")
SMALLEST = 100  # pixels of a side
CORNER = 0.6  # of each side
LEVELS = 127
TARGET = Path(__file__).parents[2] / "src/tapetum/gallery/background.npz"


def unpacked(content: bytes) -> Iterator[tuple[str, bytes]]:
    """(path, bytes) of the files in a Qt resource container, in its own order."""
    if content[:4] != b"qres":
        raise SystemExit("This is no Qt resource file.")
    version, tree, data, names = struct.unpack(">IIII", content[4:20])
    size = 14 if version < 2 else 22

    def walk(number: int, above: str) -> Iterator[tuple[str, bytes]]:
        at = tree + number * size
        name_at, flags = struct.unpack(">IH", content[at : at + 6])
        (length,) = struct.unpack(">H", content[names + name_at : names + name_at + 2])
        start = names + name_at + 6
        name = content[start : start + 2 * length].decode("utf-16-be") if number else ""
        path = f"{above}/{name}" if name else above
        if flags & 2:  # a folder
            count, first = struct.unpack(">II", content[at + 6 : at + 14])
            for child in range(count):
                yield from walk(first + child, path)
            return
        (offset,) = struct.unpack(">I", content[at + 10 : at + 14])
        (length,) = struct.unpack(">I", content[data + offset : data + offset + 4])
        found = content[data + offset + 4 : data + offset + 4 + length]
        if flags & 4:  # Zstandard, which no picture is packed with
            return
        yield path, zlib.decompress(found[4:]) if flags & 1 else found

    yield from walk(0, "")


def views(picture: Picture) -> Iterator[Picture]:
    """The picture and its four corners."""
    yield picture
    rows, columns = (round(length * CORNER) for length in picture.pixels.shape[:2])
    for pixels in (
        picture.pixels[:rows, :columns], picture.pixels[:rows, -columns:],
        picture.pixels[-rows:, :columns], picture.pixels[-rows:, -columns:],
    ):  # fmt: skip
        yield Picture(np.ascontiguousarray(pixels), columns, rows)


def main() -> None:
    folder = Path(sys.argv[1])
    embedder: Embedder = packs.maker_of(Embedding, Sessions(Manifest.packaged()))
    embeddings = []
    for name in RESOURCES:
        for path, content in sorted(unpacked((folder / f"{name}.rcc").read_bytes())):
            if not path.endswith(SUFFIXES) or any(part in path for part in LEFT_OUT):
                continue
            try:
                picture = decode(content, lambda w, h: min(640, max(w, h)))
            except ImageError:
                continue
            if min(picture.width, picture.height) >= SMALLEST:
                looked = embedder.embed(list(views(picture)))
                embeddings += [unit(embedding.vector) for embedding in looked]
        print(f"{name}: {len(embeddings)}", flush=True)
    rows = np.stack(embeddings).astype(np.float32)
    largest = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-6)
    file = io.BytesIO()
    levels = np.round(rows / largest * LEVELS).astype(np.int8)
    np.savez_compressed(file, levels=levels, model=embedder.model.name)
    TARGET.write_bytes(file.getvalue())
    print(f"{len(rows)} embeddings, {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
