"""The lock files: everything by hash, one version of each, from no place in particular."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parents[2]
PROJECT = tomllib.loads((HERE / "pyproject.toml").read_text())
LOCKS = {
    "requirements.lock": PROJECT["project"]["dependencies"],
    "requirements-build.lock": PROJECT["build-system"]["requires"]
    + PROJECT["dependency-groups"]["build"],
    "requirements-dev.lock": PROJECT["dependency-groups"]["dev"],
    "requirements-extras.lock": PROJECT["dependency-groups"]["extras"]
    + [one for extra in PROJECT["project"]["optional-dependencies"].values() for one in extra],
}
SHA256 = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def locked(name: str) -> list[tuple[Requirement, str]]:
    """Each requirement of a lock file, and the options that stand after it."""
    lines = (HERE / name).read_text().replace("\\\n", " ").splitlines()
    parted = (line.partition(" --hash") for line in lines)
    return [(Requirement(line), option + rest) for line, option, rest in parted]


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_names_one_version_and_its_hashes(name: str) -> None:
    for requirement, options in locked(name):
        assert [clause.operator for clause in requirement.specifier] == ["=="], requirement
        assert requirement.url is None
        assert options, requirement
        assert SHA256.sub("", options).strip() == "", requirement


@pytest.mark.parametrize("name", LOCKS)
def test_what_the_project_asks_for_is_locked_within_its_bounds(name: str) -> None:
    versions: dict[str, list[str]] = {}
    for requirement, _ in locked(name):
        (clause,) = requirement.specifier
        versions.setdefault(canonicalize_name(requirement.name), []).append(clause.version)
    for wanted in map(Requirement, LOCKS[name]):
        chosen = versions[canonicalize_name(wanted.name)]
        assert all(wanted.specifier.contains(version) for version in chosen), wanted


def test_the_files_agree() -> None:
    """They are installed into the same environment, one after the other."""
    said: dict[tuple[str, str], set[str]] = {}
    for name in LOCKS:
        for requirement, hashes in locked(name):
            key = (canonicalize_name(requirement.name), str(requirement.marker or ""))
            said.setdefault(key, set()).add(f"{requirement.specifier} {' '.join(hashes.split())}")
    assert {key: versions for key, versions in said.items() if len(versions) > 1} == {}


def test_no_file_says_where_it_was_made() -> None:
    for name in LOCKS:
        assert not re.search(r"https?://|index-url|find-links|^#", (HERE / name).read_text(), re.M)
