"""Decoders that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tapetum.imaging.decoders import Decoders


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    with closing(Decoders()) as made:
        yield made
