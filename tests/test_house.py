"""The sizes and names of the house: what import-linter cannot hold."""

from __future__ import annotations

from pathlib import Path

import tapetum

ROOT = Path(tapetum.__file__).parent
#: Lines of a module; most have 80 to 300.
MOST_LINES = 450
#: Modules beside the rooms.
MOST_ROOT_MODULES = 8
#: Names that say nothing of what is inside.
NO_NAMES = {"base", "common", "core", "helpers", "manager", "misc", "shared", "utils"}


def modules() -> list[Path]:
    found = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
    assert len(found) > 100
    return found


def test_no_module_is_too_long_to_be_about_one_thing() -> None:
    lines = {str(path): len((ROOT / path).read_text().splitlines()) for path in modules()}
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


def test_the_root_holds_few_modules() -> None:
    at_root = [path.name for path in modules() if len(path.parts) == 1]
    assert len(at_root) <= MOST_ROOT_MODULES, at_root


def test_every_module_and_room_is_named_for_what_it_holds() -> None:
    words = {
        str(path): {part.strip("_") for part in path.with_suffix("").parts} for path in modules()
    }
    assert [path for path, parts in words.items() if parts & NO_NAMES] == []


def test_every_room_says_what_it_is() -> None:
    rooms = [ROOT / path for path in modules() if path.name == "__init__.py"]
    assert [room for room in rooms if not room.read_text().startswith('"""')] == []
