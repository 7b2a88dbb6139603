"""docs/compatibility.md says what the tests of this folder found, and nothing else.

The last module of the folder. With TAPETUM_WRITE_PAGE set (``make compatibility``) it writes the
tables, otherwise it compares them; either only when every client has been there.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
#: Cells that have no test of their own, because the client cannot go there.
NOTHING = "not in the client"


def table(results, name: str, first: str) -> list[str]:
    """A row for each row, a column for each column, in the order of the tests."""
    cells = {key[1:]: passed for key, passed in results.items() if key[0] == name}
    rows = list(dict.fromkeys(row for row, _ in cells))
    columns = list(dict.fromkeys(column for _, column in cells))
    words = {True: "works", False: "does not work", None: NOTHING}
    lines = [f"| {first} | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for row in rows:
        said = (words[cells.get((row, column))] for column in columns)
        lines.append(f"| {row} | {' | '.join(said)} |")
    return lines


def validation(results) -> list[str]:
    levels = ["call", "image", "operation", "no error"]
    rows = []
    for (name, row, column), passed in results.items():
        if name == "validation":
            level, code = column.rsplit(" ", 1)
            said = ("none", "") if level == "no error" else (level, code)
            line = f"| {row} | {' | '.join(said)} | {'yes' if passed else 'NO'} |"
            rows.append((levels.index(level), line))
    rows.sort(key=lambda row: row[0])
    return [
        "| what | error of the | code | holds |",
        "|---|---|---|---|",
        *(row[1] for row in rows),
    ]


def files(results) -> list[str]:
    lines = ["| what | at once | in a batch | holds |", "|---|---|---|---|"]
    for (name, row, column), passed in results.items():
        if name == "files":
            at_once, in_a_batch = column.split("|")
            lines.append(f"| {row} | {at_once} | {in_a_batch} | {'yes' if passed else 'NO'} |")
    return lines


def plain(results) -> list[str]:
    lines = ["| what | HTTP | holds |", "|---|---|---|"]
    for (name, row, column), passed in results.items():
        if name == "plain":
            lines.append(f"| {row} | {column} | {'yes' if passed else 'NO'} |")
    return lines


def test_the_page_is_what_the_tests_found(results, pytestconfig):
    programs = {column for name, _, column in results if name == "calls"}
    if pytestconfig.option.keyword or pytestconfig.option.lf or len(programs) < 7:
        pytest.skip("not every client has been there")
    tables = {
        "calls": table(results, "calls", "call"),
        "versions": table(results, "versions", "method"),
        "validation": validation(results),
        "files": files(results),
        "plain": plain(results),
    }
    page = PAGE.read_text()
    for name, lines in tables.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = "\n".join(lines) + "\n"
        page = pattern.sub(lambda found, text=text: found[1] + text + found[2], page)
    if os.environ.get("TAPETUM_WRITE_PAGE"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "make compatibility writes the page anew"
