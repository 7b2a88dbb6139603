"""WARC files, as crawlers write them: pages and images joined into web entries.

They are read twice: once for which images there are, once for their bytes and for what pages say
of those. So an image that a page shows but the crawl does not hold leaves no empty entry, and
nothing but eight bytes per image is kept in memory.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed

from tapetum.gallery import Entry
from tapetum.gallery.sources.items import MAX_BYTES, Item, Problem
from tapetum.gallery.sources.pages import mentions, plain_url

_IMAGE = ("image/",)
_PAGE = ("text/html", "application/xhtml+xml")


def is_warc(path: Path) -> bool:
    """Whether a file is read as WARC by its name."""
    return path.name.lower().endswith((".warc", ".warc.gz"))


@dataclass(frozen=True, slots=True)
class _Answer:
    """A whole answer of status 200. ``content`` is decoded, and empty where it is not wanted."""

    url: str
    type: str
    charset: str
    language: str
    content: bytes


def items(paths: Sequence[Path]) -> Iterator[Item | Problem]:
    """The images of all ``paths``, and what all their pages say of them.

    A file cut short or damaged gives everything before the damage, and a `Problem`.
    """
    held: set[bytes] = set()
    for path in paths:
        for answer in _answers(path, _IMAGE, 0):
            if isinstance(answer, _Answer):
                held.add(_code(answer.url))
    for path in paths:
        for answer in _answers(path, _PAGE + _IMAGE, MAX_BYTES):
            if isinstance(answer, Problem):
                yield answer
            elif answer.type.startswith(_IMAGE):
                yield _image(answer)
            else:
                yield from _mentioned(answer, held)


def _image(answer: _Answer) -> Item | Problem:
    if len(answer.content) > MAX_BYTES:
        return Problem(answer.url, f"The image is larger than {MAX_BYTES // 1_000_000} MB.")
    return Item(Entry(answer.url, url=answer.url), answer.url, lambda: answer.content)


def _mentioned(answer: _Answer, held: set[bytes]) -> Iterator[Item]:
    mention_of = mentions(answer.content, answer.url, answer.charset, answer.language)
    for url, mention in mention_of.items():
        if _code(url) in held:
            yield Item(Entry(url, url=url, mentions=(mention,)), answer.url)


def _answers(path: Path, types: tuple[str, ...], most: int) -> Iterator[_Answer | Problem]:
    """Answers of one of ``types``, each read to at most ``most`` + 1 bytes (0: not at all); at
    the end why the file could not be read on, if so."""
    count = 0
    try:
        with path.open("rb") as file:
            for record in ArchiveIterator(file):
                count += 1
                answer = _answer(record, types, most)
                if answer is None:
                    continue
                record.raw_stream.read()
                if most and record.raw_stream.limit > 0 and len(answer.content) <= most:
                    # The reader takes the end of a file that was cut for a record's.
                    yield Problem(f"{path}: {answer.url}", f"The file ends in this image. {_KEPT}")
                    return
                yield answer
        if most and not _ends_whole(path):
            yield Problem(str(path), f"The file ends inside a record. {_KEPT}")
    except (ArchiveLoadFailed, EOFError, OSError, ValueError, zlib.error) as error:
        yield Problem(str(path), f"It cannot be read after {count} records: {error}. {_KEPT}")


_KEPT = "What came before is kept."
#: Of a record.
_END = b"\r\n\r\n"
_GZIP, _GZIP_BITS = b"\x1f\x8b", 31
_BLOCK = 1 << 20


def _answer(record: Any, types: tuple[str, ...], most: int) -> _Answer | None:
    headers = record.http_headers
    if record.rec_type != "response" or headers is None or headers.get_statuscode() != "200":
        return None
    url = record.rec_headers.get_header("WARC-Target-URI") or ""
    url = plain_url(url, url.strip("<>"))
    kind, _, rest = (headers.get_header("Content-Type") or "").lower().partition(";")
    if not url or not kind.strip().startswith(types):
        return None
    return _Answer(
        url=url,
        type=kind.strip(),
        charset=rest.partition("charset=")[2].strip(" \"';"),
        language=headers.get_header("Content-Language") or "",
        content=record.content_stream().read(most + 1) if most else b"",
    )


def _ends_whole(path: Path) -> bool:
    """Whether nothing is missing at the end, which the reader of records does not tell."""
    with path.open("rb") as file:
        if file.read(2) != _GZIP:
            size = file.seek(0, io.SEEK_END)
            file.seek(max(0, size - len(_END)))
            return size == 0 or file.read() == _END
        file.seek(0)
        member = zlib.decompressobj(wbits=_GZIP_BITS)
        while block := file.read(_BLOCK):
            while block:
                if member.eof:
                    member = zlib.decompressobj(wbits=_GZIP_BITS)
                member.decompress(block)
                block = member.unused_data
        return member.eof


def _code(url: str) -> bytes:
    return hashlib.blake2b(url.encode(), digest_size=8).digest()
