"""docs/architecture.md speaks of the code as it is."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

import tapetum

PACKAGE = Path(tapetum.__file__).parent
CHECKOUT = Path(__file__).parent.parent
PAGE = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")

FENCED = re.compile(r"^```.*?^```", re.M | re.S)
QUOTED = sorted(set(re.findall(r"`([^`\n]+)`", FENCED.sub("", PAGE))))
DRAWN = sorted(set(re.findall(r"[a-z_]+(?:\.py|/)(?=\W)", "\n".join(FENCED.findall(PAGE)))) - {"/"})
#: Of commands, Makefile targets and tables of pyproject.toml, where each is looked up.
COMMAND, TARGET, TABLE = "tapetum ", "make ", "["


@cache
def names_in_code() -> set[str]:
    """Every name that the package defines: classes, functions, arguments, fields, variables."""
    names: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                    names.add(name)
                case ast.arg(arg=name):
                    names.add(name)
                case ast.Name(id=name, ctx=ast.Store()):
                    names.add(name)
    return names


def is_there(path: str) -> bool:
    return any((root / path).exists() for root in (PACKAGE, CHECKOUT))


def is_true(quoted: str) -> bool:
    """Whether there is what the page calls ``quoted``. Whatever it is, it has to be something."""
    if "/" in quoted or Path(quoted).suffix in {".py", ".toml"}:
        return is_there(quoted)
    if quoted.startswith(TARGET):
        makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
        return f"\n{quoted.removeprefix(TARGET)}:" in makefile
    if quoted.startswith(TABLE):
        table = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
        for key in quoted.strip("[]").split("."):
            table = table.get(key, {})
        return bool(table)
    if quoted == "import tapetum":
        return True
    command = quoted.removeprefix(COMMAND)
    if (PACKAGE / "cli" / f"{command}.py").exists():
        return True
    return names_in_code().issuperset(quoted.removesuffix("()").split("."))


@pytest.mark.parametrize("quoted", QUOTED)
def test_what_the_page_names_exists(quoted: str) -> None:
    assert is_true(quoted), f"docs/architecture.md speaks of {quoted}"


@pytest.mark.parametrize("name", DRAWN)
def test_what_the_picture_shows_exists(name: str) -> None:
    assert is_there(name) or any(PACKAGE.glob(f"*/{name}")), f"the picture shows {name}"


def test_every_room_is_on_the_page() -> None:
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py", "__main__.py"}
    told = re.findall(r"^\| `([^`]+)` \|", PAGE, re.M)
    assert {name.strip("/") for name in told} == rooms | modules
