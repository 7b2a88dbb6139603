"""Tables of images: our own manifests, Google Landmarks v2, Wikidata query results.

Every row names an image file on this machine; nothing is fetched.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tapetum.errors import InvalidGallery
from tapetum.gallery import ENTITY_PREFIX, Entry, Kind
from tapetum.gallery.sources.items import (
    Item,
    Problem,
    columns,
    file_reader,
    language,
    table,
    text,
    within,
)
from tapetum.gallery.sources.pages import plain_url
from tapetum.signals.web import Mention

#: Columns of a manifest; ``file`` and ``name`` must be there, for a web gallery ``image_url``.
COLUMNS = (
    "file", "name", "key", "mid", "lat", "lng", "url", "licence", "credit", "aliases",
)  # fmt: skip

LANDMARKS_V2 = frozenset({"id", "url", "landmark_id"})
_COMMONS = "https://commons.wikimedia.org/wiki/"
_POINT = re.compile(r"\s*point\s*\(\s*(\S+)\s+(\S+)\s*\)\s*", re.IGNORECASE)
_WIKIDATA_ID = re.compile(r"Q[1-9][0-9]*")


def items(
    path: Path, kind: Kind, images: Path | None = None, labels: Path | None = None
) -> Iterator[Item | Problem]:
    """The rows of the table ``path``, whatever its format.

    ``images`` is the folder that file names are in, by default the table's own. ``labels`` is
    Google Landmarks v2's ``train_label_to_category.csv``. Raises `InvalidGallery` when the
    columns are of no known format.
    """
    folder = images or path.absolute().parent
    names = columns(path)
    if names >= LANDMARKS_V2:
        yield from _landmarks_v2(path, folder, labels)
    elif {"item", "itemlabel"} <= names:
        yield from _wikidata(path, folder)
    elif kind is Kind.WEB and {"image_url", "file"} <= names:
        yield from _web(path, folder)
    elif kind is Kind.WEB and {"name", "mid"} <= names and "file" not in names:
        yield from _words(path)
    elif kind is not Kind.WEB and {"file", "name"} <= names:
        yield from _manifest(path, folder)
    else:
        wanted = "image_url and file (or name and mid)" if kind is Kind.WEB else "file and name"
        raise InvalidGallery(
            f"{path} needs the columns {wanted}; it has {', '.join(sorted(names)) or 'none'}. "
            "docs/galleries.md describes every format."
        )


def _manifest(path: Path, folder: Path) -> Iterator[Item | Problem]:
    for line, row in table(path):
        where = f"{path}:{line}"
        name, file = text(row.get("name")), text(row.get("file"))
        if not name or not file:
            yield Problem(where, "file and name must not be empty.")
            continue
        try:
            lat, lng = _place(row.get("lat"), row.get("lng"))
            entry = Entry(
                key=text(row.get("key")) or name,
                name=name,
                mid=text(row.get("mid")),
                lat=lat,
                lng=lng,
                url=text(row.get("url")),
                licence=text(row.get("licence") or row.get("license")),
                credit=text(row.get("credit")),
                aliases=tuple(filter(None, map(text, str(row.get("aliases") or "").split("|")))),
            )
            yield Item(entry, file, file_reader(within(folder, file)))
        except InvalidGallery as error:
            yield Problem(where, error.message)


def _web(path: Path, folder: Path) -> Iterator[Item | Problem]:
    for line, row in table(path):
        where = f"{path}:{line}"
        url, file = plain_url("", text(row.get("image_url"))), text(row.get("file"))
        if not url:
            yield Problem(where, "image_url is no URL of http, https, file, gs, s3 or az.")
            continue
        page = plain_url("", text(row.get("page_url")))
        mention = Mention(
            page,
            text(row.get("page_title")),
            text(row.get("alt")),
            text(row.get("caption")),
            language(row.get("language")),
        )
        entry = Entry(url, url=url, mentions=(mention,) if page else ())
        try:
            read = file_reader(within(folder, file)) if file else None
            yield Item(entry, file, read)
        except InvalidGallery as error:
            yield Problem(where, error.message)


def _words(path: Path) -> Iterator[Item | Problem]:
    """A table of entities: the id of each ``name``, in ``mid``."""
    for line, row in table(path):
        name, mid = text(row.get("name")), text(row.get("mid"))
        if not name or not mid:
            yield Problem(f"{path}:{line}", "name and mid must not be empty.")
        else:
            yield Item(Entry(ENTITY_PREFIX + name.casefold(), name, mid), name)


def _landmarks_v2(path: Path, folder: Path, labels: Path | None) -> Iterator[Item | Problem]:
    """Weyand et al., "Google Landmarks Dataset v2", CVPR 2020. Image ``0123...`` lies at
    ``0/1/2/0123....jpg``; a landmark's name is its category on Wikimedia Commons."""
    categories: dict[str, str] = {}
    if labels is not None:
        for _, row in table(labels):
            categories[text(row.get("landmark_id"))] = text(row.get("category"))
    for line, row in table(path):
        number, landmark = text(row.get("id")), text(row.get("landmark_id"))
        if not re.fullmatch(r"[0-9a-f]{3,32}", number) or not landmark:
            yield Problem(f"{path}:{line}", "no image id and landmark id.")
            continue
        category = categories.get(landmark, "")
        name = unquote(category.rpartition("Category:")[2]).replace("_", " ").strip()
        entry = Entry(landmark, name or f"Landmark {landmark}", url=category)
        nested = f"{number[0]}/{number[1]}/{number[2]}/{number}.jpg"
        file = next((f for f in (nested, f"{number}.jpg") if (folder / f).is_file()), nested)
        yield Item(entry, file, file_reader(folder / file))


def _wikidata(path: Path, folder: Path) -> Iterator[Item | Problem]:
    """A query's result with ``item``, ``itemLabel``, ``coord`` (``Point(lng lat)``) and
    ``image``, whose last part is looked for in ``folder``."""
    for line, row in table(path):
        match = _WIKIDATA_ID.fullmatch(text(row.get("item")).rpartition("/")[2])
        if match is None:
            yield Problem(f"{path}:{line}", "item is no Wikidata id.")
            continue
        point = _POINT.fullmatch(text(row.get("coord") or row.get("coords")))
        try:
            lat, lng = _place(point[2], point[1]) if point else (None, None)
        except InvalidGallery as error:
            yield Problem(f"{path}:{line}", error.message)
            continue
        image = unquote(urlsplit(text(row.get("image"))).path).rpartition("/")[2]
        url = f"{_COMMONS}File:{image.replace(' ', '_')}" if image else ""
        entry = Entry(match[0], text(row.get("itemlabel")) or match[0], match[0], lat, lng, url)
        try:
            file = _named(folder, image) if image else None
            yield Item(entry, image, file_reader(file) if file else None)
        except InvalidGallery as error:
            yield Problem(f"{path}:{line}", error.message)


def _named(folder: Path, image: str) -> Path:
    """The file of that name on Commons, with spaces or underscores."""
    spaced, joined = image.replace("_", " "), image.replace(" ", "_")
    for name in (image, spaced, joined):
        path = within(folder, name)
        if path.is_file():
            return path
    return within(folder, joined)


def _place(lat: Any, lng: Any) -> tuple[float | None, float | None]:
    """Degrees, both or neither. Raises `InvalidGallery` for anything that is no place."""
    if text(lat) == "" and text(lng) == "":
        return None, None
    try:
        north, east = float(text(lat)), float(text(lng))
    except ValueError:
        north = east = math.nan
    if not (-90 <= north <= 90 and -180 <= east <= 180):
        raise InvalidGallery(f"lat {text(lat)!r}, lng {text(lng)!r} is no place in degrees.")
    return north, east


def is_table(path: Path) -> bool:
    """Whether a file is read as a table by its name."""
    return path.suffix.lower() in (".csv", ".parquet", ".pq")
