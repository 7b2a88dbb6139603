"""CONTRIBUTING.md and SECURITY.md send their readers to what is there."""

from __future__ import annotations

import re
from pathlib import Path

import tapetum

CHECKOUT = Path(__file__).parents[1]
PACKAGE = Path(tapetum.__file__).parent
CONTRIBUTING = (CHECKOUT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SECURITY = (CHECKOUT / "SECURITY.md").read_text(encoding="utf-8")
MAKEFILE = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z][\w.-]*):", MAKEFILE, re.M))
#: In backquotes or behind a link.
A_PATH = re.compile(r"[`(]([\w./-]*(?:/|\w\.(?:lock|md|py|toml)))[`)]")
#: With NAME in it, a path is the reader's to make.
PATHS = sorted(path for path in A_PATH.findall(CONTRIBUTING + SECURITY) if "NAME" not in path)


def test_every_make_target_is_there() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z][\w.-]*\w)", CONTRIBUTING + SECURITY, re.M))
    assert named - TARGETS == set()
    assert {"test", "lint", "demo", "test-wheel", "test-3.13"} <= named


def test_help_and_phony_know_every_target() -> None:
    phony = MAKEFILE.replace("\\\n", " ").partition(".PHONY:")[2].partition("\n")[0].split()
    assert set(phony) == TARGETS
    told = set(re.findall(r'@echo "make (\S+)', MAKEFILE))
    assert told <= TARGETS


def test_every_path_is_there() -> None:
    """Below the checkout, or below the package."""
    assert len(PATHS) > 50
    assert [path for path in PATHS if not is_there(path)] == []


def is_there(path: str) -> bool:
    return (CHECKOUT / path).exists() or (PACKAGE / path).exists()
