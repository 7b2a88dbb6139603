"""What an import reads: images with what is known of them, one at a time, from anywhere.

A source (`folders`, `manifests`, `crawls`, `sites`) is an iterator of `Item` and `Problem`. It
reads nothing it need not, holds no image, and gives them in the same order each time.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tapetum.errors import InvalidGallery
from tapetum.gallery import Entry

#: Largest image file, bytes.
MAX_BYTES = 100_000_000
#: Longest text that is kept of a title, caption, name and the like, characters; and bytes of
#: UTF-8, for names and URLs are keys of databases (PostgreSQL's go up to 2704 bytes).
MAX_TEXT, MAX_TEXT_BYTES = 1000, 2000
#: What a folder is searched for.
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ico"}
    | {".svg"}
)


@dataclass(frozen=True, slots=True)
class Item:
    """An image to add to ``entry``, or with no ``read`` only what is known of the entry.

    ``read`` gives the file's bytes and may raise `OSError` and `InvalidGallery`; ``source`` names
    it for people. `is_svg` tells which are drawings.
    """

    entry: Entry
    source: str = ""
    read: Callable[[], bytes] | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that was left out, and why."""

    source: str
    message: str


def is_svg(source: str, content: bytes) -> bool:
    """Whether an image file is a drawing, which has to be rendered first."""
    return source.lower().endswith(".svg") or content[:200].lstrip()[:4] == b"<svg"


def file_reader(path: Path) -> Callable[[], bytes]:
    """Reads the regular file ``path``, if it is not too large."""

    def read() -> bytes:
        # No pipe or device: opening one may wait for ever.
        if not path.is_file():
            raise InvalidGallery("There is no such file.")
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_BYTES:
                raise InvalidGallery(f"The file is larger than {MAX_BYTES // 1_000_000} MB.")
            return file.read(MAX_BYTES)

    return read


_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_SPACE = re.compile(r"[\s\x00-\x1f\x7f]+")


def text(value: Any) -> str:
    """``value`` as one line of at most `MAX_TEXT` characters and `MAX_TEXT_BYTES` bytes; ``None``
    is empty."""
    if value is None:
        return ""
    line = _SPACE.sub(" ", str(value)).strip()
    whole = line.encode("utf-8", "replace")[:MAX_TEXT_BYTES]
    return whole.decode("utf-8", "ignore")[:MAX_TEXT]


def language(value: Any) -> str:
    """``value`` when it looks like a BCP-47 tag, else nothing."""
    given = text(value)
    return given if _LANGUAGE.fullmatch(given) else ""


def within(folder: Path, name: str) -> Path:
    """The file ``name`` below ``folder``. Raises `InvalidGallery` for a name that leads out."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise InvalidGallery(f"{name!r} leads out of {folder}.")
    return path


def table(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Rows of a CSV or Parquet file as (line number, column → value), streamed; column names in
    lower case. Raises `InvalidGallery` when it is neither."""
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            yield from _parquet(path)
        else:
            yield from _csv(path)
    except UnicodeDecodeError as error:
        raise InvalidGallery(f"{path} is not UTF-8: {error}.") from error
    except csv.Error as error:
        raise InvalidGallery(f"{path} cannot be read as CSV: {error}.") from error


def columns(path: Path) -> frozenset[str]:
    """The names of a table's columns. An empty table has none."""
    if path.suffix.lower() in (".parquet", ".pq"):
        return frozenset(name.lower() for name in _open_parquet(path).schema_arrow.names)
    for _, row in table(path):
        return frozenset(row)
    return frozenset()


def _csv(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        names = [name.strip().lower() for name in reader.fieldnames or ()]
        reader.fieldnames = names
        for row in reader:
            row.pop(None, None)  # more fields than the header
            yield reader.line_num, row


def _parquet(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    number = 0
    for batch in _open_parquet(path).iter_batches(batch_size=1000):
        for row in batch.to_pylist():
            number += 1
            yield number, {name.lower(): value for name, value in row.items()}


def _open_parquet(path: Path) -> Any:
    try:
        import pyarrow  # noqa: PLC0415
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError as error:
        raise InvalidGallery(
            "Reading Parquet needs the package pyarrow: pip install 'tapetum[parquet]'."
        ) from error
    try:
        return pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as error:
        raise InvalidGallery(f"{path} cannot be read as Parquet: {error}.") from error
