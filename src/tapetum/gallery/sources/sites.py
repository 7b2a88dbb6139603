"""Web sites saved to disk: a folder of HTML pages and images, or a sitemap beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree as Xml

from tapetum.errors import InvalidGallery
from tapetum.gallery import Entry
from tapetum.gallery.sources.items import SUFFIXES, Item, Problem, file_reader, text, within
from tapetum.gallery.sources.pages import MAX_BYTES, mentions, plain_url
from tapetum.signals.web import Mention

_PAGES = frozenset({".html", ".htm", ".xhtml"})
#: Bytes; the format's own limit is 50 MB.
_MAX_SITEMAP = 60_000_000


def is_sitemap(path: Path) -> bool:
    """Whether a file is read as a sitemap by its name."""
    return path.suffix.lower() == ".xml"


def of_folder(folder: Path, base: str) -> Iterator[Item | Problem]:
    """The images that pages below ``folder`` show, and what they say of them.

    ``base`` is the URL that ``folder`` was saved from. Images no page shows are left out.
    """
    held: set[str] = set()
    for path in _files(folder, _PAGES):
        url = _url(folder, path, base)
        yield from _of_page(folder, path, url, base, held)


def of_sitemap(path: Path, folder: Path | None = None) -> Iterator[Item | Problem]:
    """The pages and images that a sitemap names, read from ``folder`` (by default its own).

    A URL's path is the file's: ``https://e.org/a/`` is ``a/index.html``. What the sitemap itself
    says of an image (its title and caption) counts too.
    """
    folder = folder or path.absolute().parent
    held: set[str] = set()
    for page, images in _sitemap(path):
        base = f"{urlsplit(page).scheme}://{urlsplit(page).netloc}/"
        for url, title, caption in images:
            mention = Mention(page, title, "", caption)
            yield from _shown(folder, url, mention, base, held)
        file = _file_of(folder, page)
        if file is None:
            yield Problem(page, f"The page is not in {folder}.")
        else:
            yield from _of_page(folder, file, page, base, held)


def _of_page(
    folder: Path, file: Path, url: str, base: str, held: set[str]
) -> Iterator[Item | Problem]:
    try:
        with file.open("rb") as page:
            content = page.read(MAX_BYTES)
    except OSError as error:
        yield Problem(str(file), error.strerror or str(error))
        return
    for shown, mention in mentions(content, url).items():
        yield from _shown(folder, shown, mention, base, held)


def _shown(
    folder: Path, url: str, mention: Mention, base: str, held: set[str]
) -> Iterator[Item | Problem]:
    """The image ``url`` if it was saved too, its bytes only the first time."""
    if not url.startswith(base):
        return
    file = _file_of(folder, url, base)
    if file is None or file.suffix.lower() not in SUFFIXES:
        return
    entry = Entry(url, url=url, mentions=(mention,))
    yield Item(entry, str(file), None if url in held else file_reader(file))
    held.add(url)


def _url(folder: Path, path: Path, base: str) -> str:
    return plain_url(base, quote(path.relative_to(folder).as_posix()))


def _file_of(folder: Path, url: str, base: str | None = None) -> Path | None:
    path = url.removeprefix(base) if base else urlsplit(url).path
    name = unquote(urlsplit(path).path if base else path).lstrip("/")
    for tried in (name, f"{name}.html", f"{name.rstrip('/')}/index.html".lstrip("/")):
        try:
            file = within(folder, tried)
        except (InvalidGallery, OSError, ValueError):
            return None
        if file.is_file():
            return file
    return None


def _files(folder: Path, suffixes: frozenset[str]) -> Iterator[Path]:
    for path in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if path.name.startswith(".") or path.is_symlink():
            continue
        if path.is_dir():
            yield from _files(path, suffixes)
        elif path.suffix.lower() in suffixes:
            yield path


def _sitemap(path: Path) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """(page, its images as (URL, title, caption)). Raises `InvalidGallery` for what is none."""
    with path.open("rb") as file:
        content = file.read(_MAX_SITEMAP + 1)
    if len(content) > _MAX_SITEMAP or b"<!DOCTYPE" in content.upper():
        raise InvalidGallery(f"{path} is too large for a sitemap, or declares a document type.")
    try:
        root = Xml.fromstring(content)  # noqa: S314  (no document type, so no entities)
    except (Xml.ParseError, ValueError, LookupError) as error:
        raise InvalidGallery(f"{path} is no sitemap: {error}.") from error
    for entry in root.iterfind("{*}url"):
        page = plain_url("", text(entry.findtext("{*}loc")))
        images = [
            (
                plain_url(page, text(image.findtext("{*}loc"))),
                text(image.findtext("{*}title")),
                text(image.findtext("{*}caption")),
            )
            for image in entry.iterfind("{*}image")
        ]
        if page:
            yield page, [image for image in images if image[0]]
