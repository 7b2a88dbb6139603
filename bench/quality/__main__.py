"""``python -m bench.quality``: every quality metric beside its target.

Reads development sets from a folder outside the project; nothing of them ends up in it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.quality import (
    contact_sheet,
    crops,
    faces,
    labels,
    landmarks,
    logos,
    objects,
    safe_search,
    text,
    text_sheet,
    web,
)
from rich.console import Console
from rich.table import Table

Rows = list[dict[str, Any]]

_PARTS: dict[str, Callable[[Path], Rows]] = {
    "objects": lambda data: objects.measure(data / "objects"),
    "faces": lambda data: faces.measure(data / "faces", data / "emotion"),
    "labels": labels.measure,
    "safe_search": safe_search.measure,
    "text": lambda data: text.measure(data / "ocr"),
    "web": web.measure,
    "crops": crops.measure,
    "landmarks": lambda data: landmarks.measure(data / "landmarks"),
    "logos": lambda data: logos.measure(data / "logos"),
}


def main() -> int:
    """Measure; exit code 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the development sets")
    parser.add_argument("--only", choices=_PARTS, action="append", help="may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to FILE too")
    parser.add_argument(
        "--sheet", type=Path, metavar="FILE", help="an HTML page of pictures with what was found"
    )
    options = parser.parse_args()
    if not options.data.is_dir():
        parser.error(f"there is no folder {options.data}: give one with --data")
    rows: Rows = []
    for name in options.only or _PARTS:
        print(f"Measuring: {name} ...", file=sys.stderr)
        rows += [{"part": name, **row} for row in _PARTS[name](options.data)]
    Console().print(_table(rows))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if options.sheet:
        contact_sheet.write(
            options.sheet,
            contact_sheet.pictures_of(options.data),
            text_sheet.pages_of(options.data / "ocr"),
        )
        print(f"Contact sheet: {options.sheet}")
    return 1 if any(row.get("met") is False for row in rows) else 0


def _table(rows: Rows) -> Table:
    table = Table("part", "metric", "value", "target", "", "note")
    for row in rows:
        met = {True: "ok", False: "MISSED", None: ""}[row.get("met")]
        value = row["value"]
        shown = f"{value:.3f}" if isinstance(value, float) else str(value)
        table.add_row(row["part"], row["metric"], shown, str(row["target"]), met, row["note"])
    return table


if __name__ == "__main__":
    raise SystemExit(main())
