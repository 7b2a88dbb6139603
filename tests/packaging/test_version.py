"""The version is the tag; where there is none, it is said to be of no release."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

from packaging.version import Version

import tapetum

HERE = Path(__file__).parents[2]


def test_the_package_knows_the_version_it_was_installed_as() -> None:
    assert tapetum.__version__ == version("tapetum")
    assert Version(tapetum.__version__).release >= (0, 1, 0)


def test_without_a_tag_it_is_a_step_towards_the_next_release() -> None:
    """Or a clone without tags would say that it is a release which it is not."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text())
    fallback = Version(project["tool"]["hatch"]["version"]["fallback-version"])
    headings = re.findall(r"^## \[?(\d[^\]\s]*)", (HERE / "CHANGELOG.md").read_text(), re.M)
    assert fallback.dev == 0
    assert fallback > max(map(Version, headings))
