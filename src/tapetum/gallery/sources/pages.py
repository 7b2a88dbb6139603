"""What an HTML page says of the images it shows."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit, urlunsplit

from tapetum.gallery.sources.items import MAX_TEXT_BYTES, language, text
from tapetum.signals.web import Mention

#: Largest page that is read, bytes; the rest is cut off.
MAX_BYTES = 2_000_000
#: Images of one page that are kept.
MAX_IMAGES = 1000
_SCHEMES = ("http", "https", "file", "gs", "s3", "az")
_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?([\w-]{1,40})""", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_UNREAD = frozenset({"script", "style", "template", "noscript"})


def mentions(
    content: bytes, page_url: str, charset: str = "", spoken: str = ""
) -> dict[str, Mention]:
    """Image URL → what the page ``page_url`` says of it, in order of appearance.

    ``charset`` and ``spoken`` are the character set and language the server named; the page's
    own language comes first. Broken HTML gives what can be made out. Text is plain.
    """
    reader = _Reader(page_url)
    reader.feed(_closed(_decoded(content[:MAX_BYTES], charset)))
    reader.close()
    title = text("".join(reader.title))
    tongue = language(reader.language) or language(spoken)
    return {
        url: Mention(page_url, title, text(shown.alt), text("".join(shown.caption)), tongue)
        for url, shown in reader.images.items()
    }


def plain_url(base: str, given: str) -> str:
    """``given``, seen from ``base``, as an absolute URL of a known scheme without its fragment;
    empty for anything else, such as ``data:`` and ``javascript:``, control characters in it, or
    more than `MAX_TEXT_BYTES` bytes."""
    try:
        parts = urlsplit(urljoin(base, given.strip()))
        _ = parts.port  # raises for what is no number
    except ValueError:
        return ""
    if parts.scheme not in _SCHEMES:
        return ""
    path = parts.path or "/"
    url = urlunsplit((parts.scheme, parts.netloc.lower(), path, parts.query, ""))
    is_long = len(url.encode("utf-8", "replace")) > MAX_TEXT_BYTES
    return "" if is_long or _CONTROL.search(url) else url


@dataclass(slots=True)
class _Shown:
    alt: str = ""
    caption: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    """Collects images with their alternative text and the caption of their figure."""

    def __init__(self, page_url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.images: dict[str, _Shown] = {}
        self.title: list[str] = []
        self.language = ""
        self._base = page_url
        self._open = ""  # title, figcaption or an unread element
        self._figure: list[_Shown] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.language = given.get("lang", "") or given.get("xml:lang", "")
        elif tag == "base" and given.get("href"):
            self._base = urljoin_or(self._base, given["href"])
        elif tag == "figure":
            self._figure = []
        elif tag == "img":
            self._show(given.get("src") or given.get("data-src", ""), given.get("alt", ""))
        elif tag == "meta" and given.get("property") in ("og:image", "og:image:url"):
            self._show(given.get("content", ""), "")
        elif (tag == "title" and not self.title) or tag == "figcaption" or tag in _UNREAD:
            self._open = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == "figure":
            self._figure = None
        if tag == self._open:
            self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open == "title":
            self.title.append(data)
        elif self._open == "figcaption":
            for shown in self._figure or ():
                shown.caption.append(data)

    def _show(self, source: str, alt: str) -> None:
        url = plain_url(self._base, source) if source.strip() else ""
        if not url or (url not in self.images and len(self.images) >= MAX_IMAGES):
            return
        shown = self.images.setdefault(url, _Shown())
        shown.alt = shown.alt or alt
        if self._figure is not None and shown not in self._figure:
            self._figure.append(shown)


def _closed(page: str) -> str:
    """``page`` up to its last tag, and up to a comment that never ends. What follows says nothing,
    and the parser looks through all of it for the end of each thing that was opened."""
    comment = page.find("<!--", page.rfind("-->") + 1)
    if comment >= 0:
        page = page[:comment]
    return page[: page.rfind(">") + 1]


def urljoin_or(base: str, given: str) -> str:
    """``given`` seen from ``base``, or ``base`` when it is no URL."""
    try:
        return urljoin(base, given)
    except ValueError:
        return base


def _decoded(content: bytes, charset: str) -> str:
    """As the server, the page or a byte order mark says, otherwise UTF-8; never fails."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    declared = _CHARSET.search(content[:2000])
    named = charset or (declared[1].decode("ascii") if declared else "utf-8")
    try:
        known = codecs.lookup(named)
        if not known._is_text_encoding:
            raise LookupError
        return content.decode(known.name, "replace").removeprefix("\ufeff")
    except (LookupError, UnicodeError, ValueError):
        return content.decode("utf-8", "replace").removeprefix("\ufeff")
