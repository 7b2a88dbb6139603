"""Remake ``brands.csv``, the names that lines of text are compared with.

``python tools/galleries/brands.py --simple-icons DIR --iconify DIR --words FILE``: the unpacked npm
packages simple-icons 16.37.0 and @iconify-json/logos 1.2.19 (``npm pack``), and the word list of
the Debian package wamerican 2020.12.07-2. `brand_names.txt` beside this file adds the best known,
and decides on them.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

from tapetum.gallery.shipped import brands

#: Letters of a name that only an icon set has: shorter ones are too easily read into a picture.
SHORTEST = 4


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simple-icons", type=Path, required=True, metavar="DIR")
    parser.add_argument("--iconify", type=Path, required=True, metavar="DIR")
    parser.add_argument("--words", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    words = {brands.key(line) for line in options.words.read_text("utf-8").splitlines()}
    rows: dict[str, tuple[str, list[str], bool]] = {}
    best_known = Path(__file__).with_name("brand_names.txt").read_text("utf-8")
    for line in best_known.splitlines():
        if line and not line.startswith("#"):
            name, *aliases = (part.strip() for part in line.removeprefix("~").split("|"))
            rows.setdefault(brands.key(name), (name, aliases, line.startswith("~")))
    known = {brands.key(text) for name, aliases, _ in rows.values() for text in (name, *aliases)}
    for name, aliases in [*_simple_icons(options.simple_icons), *_iconify(options.iconify)]:
        if len(brands.key(name)) >= SHORTEST and brands.key(name) not in known:
            known.add(brands.key(name))
            kept = [alias for alias in aliases if len(brands.key(alias)) >= SHORTEST]
            kept = [alias for alias in kept if not _is_wordy(alias, words)]
            rows[brands.key(name)] = (name, kept, _is_wordy(name, words))
    target = Path(brands.__file__).with_name("brands.csv")
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", "aliases", "word"])
        for _, (name, aliases, word) in sorted(rows.items()):
            writer.writerow([name, "|".join(aliases), int(word)])
    print(f"{target}: {len(rows)} brands, {target.stat().st_size / 1000:.0f} kB")


def _is_wordy(name: str, words: set[str]) -> bool:
    """Whether ``name`` is nothing but ordinary words or people's and places' names."""
    return all(brands.key(part) in words or len(part) < 3 for part in name.split())


def _simple_icons(folder: Path) -> list[tuple[str, list[str]]]:
    found = []
    for row in json.loads((folder / "data/simple-icons.json").read_text("utf-8")):
        other = row.get("aliases", {})
        aliases = [*other.get("aka", []), *other.get("old", []), *other.get("loc", {}).values()]
        found.append((row["title"], aliases + [one["title"] for one in other.get("dup", [])]))
    return found


def _iconify(folder: Path) -> list[tuple[str, list[str]]]:
    icons = json.loads((folder / "icons.json").read_text("utf-8"))["icons"]
    stems = {name.removesuffix("-icon") for name in icons}
    return [(stem.replace("-", " ").title(), []) for stem in sorted(stems)]


if __name__ == "__main__":
    main()
