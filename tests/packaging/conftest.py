"""The wheel and the source archive, built once, for the tests that ask for them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what ``make wheel`` leaves in ``dist/``."""
    if not os.environ.get("TAPETUM_REQUIRE_WHEEL"):
        pytest.skip("building and installing takes minutes and an index: make test-wheel")
    folder = tmp_path_factory.mktemp("dist")
    command = [Path(sys.executable).parent / "uv", "build", "--quiet", "--no-build-isolation"]
    subprocess.run(
        [*command, "--python", sys.executable, "--out-dir", folder, CHECKOUT],
        check=True,
        timeout=900,
    )
    return folder


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    """The wheel, built out of the source archive."""
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def sdist(dist: Path) -> Path:
    """The source archive."""
    (path,) = dist.glob("*.tar.gz")
    return path
