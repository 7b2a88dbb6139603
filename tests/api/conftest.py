"""What the tests of the door for Python share."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import tapetum


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder, with no settings from the environment."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TAPETUM_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def annotator() -> Iterator[tapetum.Annotator]:
    """One for all tests that only ask it."""
    with tapetum.Annotator(workers=2) as annotator:
        yield annotator


def array(red: int, side: int = 32) -> NDArray[np.uint8]:
    """A small picture of one colour, as wide as high."""
    return np.full((side, side, 3), (red, 0, 0), np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def red_of(result: tapetum.Result) -> int:
    """How red the picture of a result of IMAGE_PROPERTIES is, which tells pictures apart."""
    assert result.error is None
    return result.colors[0].rgb[0]


@pytest.fixture(scope="session")
def made() -> Any:
    """`array`, `png` and `red_of`."""
    return sys.modules[__name__]
