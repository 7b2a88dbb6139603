"""A writer that ends at any moment, with galleries elsewhere than in a file."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tapetum.gallery import Gallery, Kind
from tapetum.gallery.backends.places import opened
from tapetum.signals.embedding import EmbeddingModel

MODEL = EmbeddingModel("m" * 64, 1280)  # as `made` says
CRAWL = Gallery("crawl", Kind.WEB)
PROGRAM = Path(__file__).parent.parent / "programs" / "adds_until_killed.py"


@pytest.fixture(params=["postgresql", "lancedb"])
def place(request, tmp_path) -> str:
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql_url")
    request.getfixturevalue("lancedb_package")
    return f"file://{tmp_path / 'galleries'}"


@pytest.mark.slow
def test_kill_at_any_moment_loses_nothing_acknowledged(place):
    chance = random.Random(7)
    keys: list[str] = []
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, PROGRAM, place, MODEL.name], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            keys += [process.stdout.readline().strip() for _ in range(chance.randint(1, 25))]
            process.kill()
            keys += process.stdout.read().split("\n")[:-1]
        galleries = opened(place, {}, MODEL)
        size = galleries.size(CRAWL)
        # What was under way when the process died may be there or not, but whole.
        assert size.entries == size.references
        assert len(keys) <= size.entries <= len(keys) + 1
        keys = [f"e{number}" for number in range(size.entries)]
        assert [entry.key for entry in galleries.entries(CRAWL)] == sorted(keys)
        for key in keys[::7]:
            ((_, reference),) = galleries.references(CRAWL, key)
            (near,) = galleries.nearest(CRAWL, reference.embedding, 1)
            assert (near.entry, reference.features) == (key, b"x")
        galleries.tend(CRAWL)
        assert galleries.damage() == []
        galleries.close()
