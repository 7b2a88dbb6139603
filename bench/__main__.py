"""``python -m bench``: every measurement, as a table and, with ``--json``, as a file."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import decoding, features, inputs, machine, memory, serving, text, throughput
from bench.rows import Row

_CAVEATS = (
    "Two hardware threads of one core do less than two cores: see the efficiency of bare threads.",
    "The bound leaves out reading, JSON and writing; client and server share the machine.",
    "Work of other processes lowers every number but memory.",
)


def main() -> int:
    """Measure; exit code 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer images and shorter runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to FILE too")
    parser.add_argument(
        "--only", choices=sorted(_MEASUREMENTS), action="append", help="this one (may be repeated)"
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="read the text development set in DIR too"
    )
    options = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="tapetum-bench-") as folder:
        count = 100 if options.quick else 500
        print(f"Making {count} photographs ...", file=sys.stderr)
        files = inputs.make(Path(folder), count)
        for name in options.only or _MEASUREMENTS:
            print(f"Measuring: {name} ...", file=sys.stderr)
            rows += _MEASUREMENTS[name](files, options.quick)
        if options.data:
            print("Measuring: text on the development set ...", file=sys.stderr)
            rows += text.measure(1, options.data)
    print(machine.description())
    Console().print(_table(rows))
    for caveat in _CAVEATS:
        print(f"- {caveat}")
    if options.json:
        result = {"machine": machine.description(), "rows": [row.as_json() for row in rows]}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 1 if any(row.met is False for row in rows) else 0


def _serving(files: Sequence[Path], quick: bool) -> list[Row]:
    return serving.measure(files[:8], rounds=3 if quick else 9, seconds=1.0 if quick else 4.0)


def _throughput(files: Sequence[Path], quick: bool) -> list[Row]:
    return throughput.measure(files, rounds=1 if quick else 3)


def _decoding(files: Sequence[Path], quick: bool) -> list[Row]:
    return decoding.measure(files[:8], rounds=5 if quick else 20)


def _features(files: Sequence[Path], quick: bool) -> list[Row]:
    return features.measure(files[: 11 if quick else 44])


def _text(_: Sequence[Path], quick: bool) -> list[Row]:
    return text.measure(rounds=1 if quick else 3)


def _memory(files: Sequence[Path], quick: bool) -> list[Row]:
    return memory.measure(files, 200, 600 if quick else 2000)


def _pages(files: Sequence[Path], quick: bool) -> list[Row]:
    return memory.measure_pages(files[0], 100, 600 if quick else 2000)


_MEASUREMENTS: dict[str, Callable[[Sequence[Path], bool], list[Row]]] = {
    "serving": _serving,
    "throughput": _throughput,
    "decoding": _decoding,
    "features": _features,
    "text": _text,
    "memory": _memory,
    "pages": _pages,
}


def _table(rows: Sequence[Row]) -> Table:
    table = Table("measurement", "value", "target", "", "what")
    for row in rows:
        verdict = {True: "[green]ok[/]", False: "[red]missed[/]", None: ""}[row.met]
        table.add_row(row.name, row.shown_value, row.shown_target, verdict, row.note)
    return table


if __name__ == "__main__":
    raise SystemExit(main())
