"""Formats of files of pages, by MIME type."""

from __future__ import annotations

from collections.abc import Mapping

PDF, TIFF, GIF = "application/pdf", "image/tiff", "image/gif"
#: MIME type → what files of it are called, and how they may begin. A PDF's header may follow other
#: bytes, as long as it is in the first 1024.
FORMATS: Mapping[str, tuple[str, tuple[bytes, ...]]] = {
    PDF: ("PDF", (b"%PDF-",)),
    TIFF: ("TIFF", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    GIF: ("GIF", (b"GIF87a", b"GIF89a")),
}
#: Bytes at the beginning of a file in which its format shows.
HEAD = 1024


def is_pdf(content: bytes) -> bool:
    """Whether ``content`` begins as a PDF does."""
    [start] = FORMATS[PDF][1]
    return start in content[:HEAD]
