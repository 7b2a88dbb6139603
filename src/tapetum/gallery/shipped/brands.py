"""Names of brands, to compare lines of text with. `brands.csv` is made by
``tools/galleries/brands.py``.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Self

#: Names of so few letters count only when spelt exactly, capitals and all.
SHORT = 3
#: Names of so many letters may have one letter misread.
LONG = 8
#: What a name with a letter misread is worth of the same name in full.
MISREAD = 0.85


@dataclass(frozen=True, slots=True)
class Brand:
    """``is_word``: the name is an ordinary word too, and text alone does not say it is meant."""

    name: str
    aliases: tuple[str, ...] = ()
    is_word: bool = False


class Brands:
    """Brands by name, however they are spaced, accented or in capitals."""

    def __init__(self, brands: Iterable[Brand]) -> None:
        self._brands = tuple(brands)
        self._by_key: dict[str, Brand] = {}
        self._exact: dict[str, Brand] = {}
        self._misread: dict[str, set[str]] = {}
        for brand in self._brands:
            for text in (brand.name, *brand.aliases):
                spelling = key(text)
                if len(spelling) <= SHORT:
                    self._exact.setdefault(text, brand)
                    continue
                # An alias that is not the word itself is no word: Windows 10, Miller Lite.
                own = brand if text == brand.name else Brand(brand.name)
                self._by_key.setdefault(spelling, own)
                if len(spelling) >= LONG and not own.is_word:
                    for left in _shortened(spelling):
                        self._misread.setdefault(left, set()).add(spelling)

    @classmethod
    def packaged(cls) -> Self:
        """Those that ship."""
        text = files(__package__).joinpath("brands.csv").read_text(encoding="utf-8")
        return cls(
            Brand(row["name"], tuple(filter(None, row["aliases"].split("|"))), row["word"] == "1")
            for row in csv.DictReader(io.StringIO(text))
        )

    def __len__(self) -> int:
        return len(self._brands)

    def __iter__(self) -> Iterator[Brand]:
        return iter(self._brands)

    def named(self, text: str) -> tuple[Brand, float] | None:
        """The brand that ``text`` is the name of, and how well it is, 0..1."""
        exact = self._exact.get(text.strip())
        if exact is not None:
            return exact, 1.0
        spelling = key(text)
        brand = self._by_key.get(spelling)
        if brand is not None:
            return brand, 1.0
        if len(spelling) >= LONG - 1:
            for left in (spelling, *_shortened(spelling)):
                near = sorted(self._misread.get(left, ()))
                if near and abs(len(near[0]) - len(spelling)) <= 1:
                    return self._by_key[near[0]], MISREAD
        return None


def key(text: str) -> str:
    """Letters and digits of ``text`` without accents, in small letters."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in plain if c.isalnum())


def _shortened(spelling: str) -> Iterable[str]:
    """``spelling`` without one of its letters."""
    return (spelling[:k] + spelling[k + 1 :] for k in range(len(spelling)))
