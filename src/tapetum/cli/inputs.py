"""Which images and files of pages a command is about: files, folders, globs, bucket prefixes,
manifests."""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tapetum.errors import SettingsError
from tapetum.stores.router import Stores, scheme_of
from tapetum.vision.formats import GIF, PDF, TIFF

#: Suffix → MIME type of files that hold pages.
PAGED = {".pdf": PDF, ".tif": TIFF, ".tiff": TIFF, ".gif": GIF}
#: What a folder or prefix is searched for. A file named outright is taken whatever its name.
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".webp", ".ico"} | PAGED.keys()
)


def check_inputs(inputs: Sequence[str], manifest: str | None) -> None:
    """Raise `SettingsError` for an input that cannot be there, before any work starts."""
    if not inputs and manifest is None:
        raise SettingsError("Nothing to annotate: give files, folders or URIs, or --manifest FILE.")
    for given in inputs:
        is_local = not scheme_of(given) and not glob.has_magic(given)
        if is_local and not Path(given).exists():
            raise SettingsError(f"There is no file or folder {given}.")
    is_file = manifest is not None and Path(manifest).exists() and not Path(manifest).is_dir()
    if manifest not in (None, "-") and not is_file:  # a pipe will do: --manifest <(command)
        raise SettingsError(f"There is no manifest file {manifest}.")


def mime_type_of(uri: str, all_pages: bool) -> str:
    """The MIME type of a file that is taken page by page, or empty. Of a TIFF or GIF the first
    page is taken as an image unless ``all_pages``."""
    kind = PAGED.get(Path(uri).suffix.lower(), "")
    return kind if all_pages or kind == PDF else ""


def input_uris(inputs: Sequence[str], manifest: str | None, stores: Stores) -> Iterator[str]:
    """The URIs or paths of images and files of pages as they will be named in the output, streamed
    in a fixed order: inputs as given, folders and prefixes sorted, then the manifest's lines."""
    for given in inputs:
        for uri in _expanded(given, stores):
            yield _checked(uri)
    if manifest == "-":
        yield from _lines(sys.stdin.buffer, "standard input")
    elif manifest is not None:
        with Path(manifest).open("rb") as lines:
            yield from _lines(lines, manifest)


def _expanded(given: str, stores: Stores) -> Iterator[str]:
    if scheme_of(given) in ("http", "https"):
        yield given
    elif scheme_of(given):
        if _is_wanted(given):
            yield given
        else:
            folder = given if given.endswith("/") else f"{given}/"
            yield from filter(_is_wanted, stores.list(folder))
    elif Path(given).is_dir():
        yield from _files_below(Path(given))
    elif Path(given).exists():
        yield given
    else:
        for path in sorted(glob.glob(given, recursive=True)):  # noqa: PTH207 (keeps paths as given)
            if Path(path).is_file():
                yield path


def _files_below(folder: Path) -> Iterator[str]:
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _files_below(entry)
        elif entry.is_file() and _is_wanted(entry.name):
            yield str(entry)


def _is_wanted(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES


def _checked(uri: str) -> str:
    """``uri``, which is text: a file name on Linux may be any bytes."""
    try:
        uri.encode()
    except UnicodeEncodeError:
        shown = ascii(uri)
        raise SettingsError(f"The file name {shown} is not UTF-8; rename the file.") from None
    return uri


def _lines(lines: Iterable[bytes], name: str) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        try:
            uri = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError:
            raise SettingsError(f"Line {number} of {name} is not UTF-8.") from None
        if uri:
            yield uri
