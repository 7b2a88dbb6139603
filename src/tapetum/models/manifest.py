"""The manifest: every weight file the project runs, where it came from, its hash, and which
detector makes a signal with it."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Self

from tapetum.errors import ModelError


@dataclass(frozen=True, slots=True)
class Weight:
    """One row of ``manifest.toml``.

    ``package`` is the installed Python package that holds ``file``: ``tapetum.models`` for the
    weights the project carries, another one for weights a dependency already ships.
    ``reducible``: what it finds stays what it is in bfloat16 (measured on a development set).
    """

    name: str
    purpose: str
    package: str
    file: str
    version: str
    upstream: str
    licence: str
    sha256: str
    input: str
    outputs: str
    reducible: bool = False

    def content(self) -> bytes:
        """The file's bytes, checked against the manifest's hash.

        Raises `ModelError` when the file is missing or is not the one in the manifest.
        """
        try:
            content = self._traversable().read_bytes()
        except (ModuleNotFoundError, FileNotFoundError) as error:
            raise ModelError(
                f"The weights {self.name} ({self.file} of {self.package}) are missing: {error}. "
                "Reinstall with `make install`."
            ) from error
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.sha256:
            raise ModelError(
                f"The weights {self.name} ({self.file} of {self.package}) are not those of the "
                f"manifest: sha256 {digest}, expected {self.sha256}. Reinstall with `make install`."
            )
        return content

    def checked_path(self) -> Path:
        """Where the file lies, for a library that opens it itself; checked as `content` is."""
        self.content()
        with as_file(self._traversable()) as path:
            return path

    def size(self) -> int:
        """Bytes on disk."""
        with as_file(self._traversable()) as path:
            return path.stat().st_size

    def _traversable(self) -> Traversable:
        return files(self.package).joinpath(self.file)


@dataclass(frozen=True, slots=True)
class PackRow:
    """One ``[[pack]]`` row of ``manifest.toml``: how the pack ``name`` makes one signal.

    ``signal``: the name of its class. ``detector``: ``module:Class``. ``weights``: names of the
    weights it runs, none where it runs no network. ``vocabulary``: ``package:path`` of the table
    that says what the network's answers are called. ``calibration``: numbers that make its scores
    probabilities. ``dimensions``: of an embedding, 0 of anything else.
    """

    name: str
    signal: str
    detector: str
    weights: tuple[str, ...] = ()
    vocabulary: str = ""
    calibration: Mapping[str, float] = field(default_factory=dict)
    dimensions: int = 0


class Manifest:
    """The rows of ``manifest.toml``: weights by name, and those of the packs as ``packs``."""

    def __init__(self, weights: Mapping[str, Weight], packs: Iterable[PackRow] = ()) -> None:
        self._weights = dict(weights)
        self.packs = tuple(packs)

    @classmethod
    def packaged(cls) -> Self:
        """The manifest that ships with the package."""
        return cls.of_text(
            files("tapetum.models").joinpath("manifest.toml").read_text(encoding="utf-8")
        )

    @classmethod
    def of_text(cls, text: str) -> Self:
        """The manifest written in TOML. Raises `ModelError` for what is none, for a row that is not
        as it must be, and for a pack of unknown weights."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ModelError(f"The manifest is not TOML: {error}.") from error
        weights = [Weight(**row) for row in _rows(table, "weight", Weight)]
        packs = [
            PackRow(**row | {"weights": tuple(row.get("weights", ()))})
            for row in _rows(table, "pack", PackRow)
        ]
        manifest = cls({weight.name: weight for weight in weights}, packs)
        for name in (name for pack in packs for name in pack.weights):
            _ = manifest[name]
        return manifest

    def __getitem__(self, name: str) -> Weight:
        try:
            return self._weights[name]
        except KeyError:
            raise ModelError(
                f"No weights named {name!r} in the manifest; there are {', '.join(self._weights)}."
            ) from None

    def __iter__(self) -> Iterator[Weight]:
        return iter(self._weights.values())


#: What TOML has for the type of a field.
_IN_TOML = {
    "str": str,
    "bool": bool,
    "int": int,
    "tuple[str, ...]": list,
    "Mapping[str, float]": dict,
}


def _rows(
    table: Mapping[str, Any], name: str, kind: type[Weight] | type[PackRow]
) -> Iterator[dict[str, Any]]:
    """The rows ``[[name]]``, each with what ``kind`` takes, or `ModelError` naming the row."""
    known = {column.name: column for column in fields(kind)}
    rows = table.get(name, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ModelError(f"The rows of the manifest are written [[{name}]].")
    for number, row in enumerate(rows, 1):
        called = " ".join(str(row[key]) for key in ("name", "signal") if key in row)
        where = f"Row {number} of [[{name}]] in the manifest ({called})"
        for key, value in row.items():
            if key not in known:
                raise ModelError(f"{where} has {key!r}; there are {', '.join(known)}.")
            wanted = _IN_TOML[str(known[key].type)]
            if type(value) is not wanted:
                raise ModelError(f"{where}: {key} is no {wanted.__name__}: {value!r}.")
        for key, column in known.items():
            if key not in row and column.default is MISSING and column.default_factory is MISSING:
                raise ModelError(f"{where} has no {key}.")
        yield row
