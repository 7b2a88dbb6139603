"""CONTRIBUTING.md sends a stranger to what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAKEFILE = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z][\w.-]*):", MAKEFILE, re.M))
FOLDERS = ("src/", "tests/", "bench/", "tools/", "docs/", "fuzz/", "examples/", ".ci/")
#: In backquotes or behind a link; with NAME in it, a path is the reader's to make.
PATHS = sorted(
    path
    for path in set(re.findall(r"[`(]([\w./-]+)[`)]", PAGE))
    if path.startswith(FOLDERS) and "NAME" not in path
)


def test_every_make_target_is_there() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z][\w.-]*\w)", PAGE, re.M))
    assert named - TARGETS == set()
    assert {"test", "lint", "demo", "test-wheel", "test-3.13"} <= named


def test_help_and_phony_know_every_target() -> None:
    phony = MAKEFILE.replace("\\\n", " ").partition(".PHONY:")[2].partition("\n")[0].split()
    assert set(phony) == TARGETS
    told = set(re.findall(r'@echo "make (\S+)', MAKEFILE))
    assert told <= TARGETS


@pytest.mark.parametrize("path", PATHS)
def test_every_path_is_there(path: str) -> None:
    assert (CHECKOUT / path).exists()
