"""The manifest: every weight file the project runs, where it came from, and its hash."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise ModelError(
                f"The weights {self.name} ({self.file} of {self.package}) are not those of the "
                f"manifest: sha256 {found}, expected {self.sha256}. Reinstall with `make install`."
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


class Manifest:
    """The rows of ``manifest.toml`` by name."""

    def __init__(self, weights: Mapping[str, Weight]) -> None:
        self._weights = dict(weights)

    @classmethod
    def packaged(cls) -> Self:
        """The manifest that ships with the package."""
        text = files("tapetum.models").joinpath("manifest.toml").read_text(encoding="utf-8")
        rows: list[dict[str, Any]] = tomllib.loads(text)["weight"]
        return cls({row["name"]: Weight(**row) for row in rows})

    def __getitem__(self, name: str) -> Weight:
        try:
            return self._weights[name]
        except KeyError:
            raise ModelError(
                f"No weights named {name!r} in the manifest; there are {', '.join(self._weights)}."
            ) from None

    def __iter__(self) -> Iterator[Weight]:
        return iter(self._weights.values())
