"""Galleries on disk: the end of a process at any moment, and indexes that cannot be trusted."""

from __future__ import annotations

import logging
import random
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

from tapetum.errors import GalleryBroken, InvalidGallery
from tapetum.gallery import Entry, Gallery, Kind, Size, unit
from tapetum.gallery.backends import search
from tapetum.gallery.backends.sqlite import SqliteGalleries
from tapetum.signals.embedding import EmbeddingModel

MODEL, OTHER = (EmbeddingModel(letter * 64, 1280) for letter in "mn")  # as `made` says
CRAWL = Gallery("crawl", Kind.WEB)
PROGRAM = Path(__file__).parent.parent / "programs" / "adds_until_killed.py"


@pytest.fixture
def small_flat(monkeypatch):
    """An index from 50 rows on."""
    monkeypatch.setattr(search, "FLAT_ROWS", 50)


#: What a test has opened; Python 3.13 warns of connections that nobody closes.
_open = ExitStack()


@pytest.fixture(autouse=True)
def closes():
    """Closes what the test has opened."""
    with _open:
        yield


def opened(path: Path, model: EmbeddingModel = MODEL) -> SqliteGalleries:
    return _open.enter_context(closing(SqliteGalleries(path, model)))


def filled(path: Path, made, count: int = 80, start: int = 0) -> SqliteGalleries:
    galleries = opened(path)
    if CRAWL not in galleries.visible():
        galleries.create(CRAWL)
    galleries.put(CRAWL, [(Entry(f"e{n}"), [made(n)]) for n in range(start, start + count)])
    return galleries


def index_of(path: Path) -> Path:
    (found,) = path.with_name(f"{path.name}-index").glob("*.usearch")
    return found


def finds_all(galleries: SqliteGalleries, made, numbers) -> bool:
    found = [galleries.nearest(CRAWL, made(n).embedding, 3)[0] for n in numbers]
    return all(
        near.entry == f"e{n}" and near.similarity > 0.99
        for n, near in zip(numbers, found, strict=True)
    )


def test_another_process_sees_what_was_added(tmp_path, made):
    first = filled(tmp_path / "g.sqlite", made, 5)
    second = opened(tmp_path / "g.sqlite")
    assert finds_all(second, made, range(5))
    first.put(CRAWL, [(Entry("e9"), [made(9)])])
    assert finds_all(second, made, [9])
    first.remove(CRAWL, "e9")
    assert second.nearest(CRAWL, made(9).embedding, 1)[0].entry != "e9"


def test_rows_beyond_the_index_are_found_too(tmp_path, made, small_flat):
    path = tmp_path / "g.sqlite"
    galleries = filled(path, made)
    assert finds_all(galleries, made, range(80))
    assert index_of(path).exists()
    galleries.put(CRAWL, [(Entry("e900"), [made(900)])])
    assert finds_all(galleries, made, [0, 79, 900])
    assert finds_all(opened(path), made, [0, 79, 900])


def test_what_is_found_through_the_index_is_exact(tmp_path, made, small_flat):
    galleries = filled(tmp_path / "g.sqlite", made, 200)
    exact = np.stack([made(n).embedding for n in range(200)]).astype(np.float32)
    query = made(1000).embedding
    near = galleries.nearest(CRAWL, query, 200)
    expected = dict(enumerate(exact @ query.astype(np.float32)))
    for one in near:
        assert one.similarity == pytest.approx(expected[int(one.entry[1:])], abs=1e-6)


def test_an_index_holds_nothing_that_was_removed(tmp_path, made, small_flat):
    path = tmp_path / "g.sqlite"
    galleries = filled(path, made)
    galleries.tend(CRAWL)
    galleries.remove(CRAWL, "e3")
    for place in (galleries, opened(path)):
        assert "e3" not in {near.entry for near in place.nearest(CRAWL, made(3).embedding, 80)}


def test_an_index_of_mostly_removed_rows_is_made_anew(tmp_path, made, small_flat):
    path = tmp_path / "g.sqlite"
    galleries = filled(path, made)
    galleries.tend(CRAWL)
    for number in range(60):
        galleries.remove(CRAWL, f"e{number}")
    assert finds_all(galleries, made, range(60, 80))
    assert not list(path.with_name(f"{path.name}-index").glob("*.usearch"))


@pytest.mark.parametrize(
    "harm", ["half", "one byte short", "empty", "garbage", "flipped", "seal", "other model"]
)
def test_a_broken_index_is_made_anew_and_said_so(tmp_path, made, small_flat, caplog, harm):
    path = tmp_path / "g.sqlite"
    filled(path, made).tend(CRAWL)
    index = index_of(path)
    whole = index.read_bytes()
    broken = {
        "half": whole[: len(whole) // 2],
        "one byte short": whole[:-1],
        "empty": b"",
        "garbage": b"\xff" * len(whole),
        "flipped": whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:],
        "seal": whole.replace(b'"count": 80', b'"count": 81'),
        "other model": whole.replace(MODEL.name.encode(), b"n" * 64),
    }[harm]
    assert broken != whole
    index.write_bytes(broken)
    with caplog.at_level(logging.INFO, "tapetum.gallery"):
        assert finds_all(opened(path), made, range(80))
    assert "made anew" in caplog.text
    assert "indexing 80 reference images" in caplog.text
    assert finds_all(opened(path), made, range(80))


def test_an_index_of_another_gallery_is_not_used(tmp_path, made, small_flat, caplog):
    path, other = tmp_path / "g.sqlite", tmp_path / "h.sqlite"
    filled(path, made).tend(CRAWL)
    filled(other, made, start=500).tend(CRAWL)
    index_of(path).write_bytes(index_of(other).read_bytes())
    assert finds_all(opened(path), made, range(80))
    assert "of another gallery or model" in caplog.text


def test_rows_of_another_model_are_refused_until_they_are_added_again(tmp_path, made, small_flat):
    path = tmp_path / "g.sqlite"
    filled(path, made).tend(CRAWL)
    later = opened(path, OTHER)
    with pytest.raises(InvalidGallery, match="add them again"):
        later.nearest(CRAWL, made(1).embedding, 5)
    later.put(CRAWL, [(Entry("e1"), [made(1, model=OTHER.name)])])
    assert [near.entry for near in later.nearest(CRAWL, made(1).embedding, 5)] == ["e1"]
    assert later.size(CRAWL) == Size(80, 80)


def test_a_model_of_other_dimensions_adds_again(tmp_path, made, small_flat):
    path, short = tmp_path / "g.sqlite", EmbeddingModel("s" * 64, 64)
    filled(path, made).tend(CRAWL)
    later = opened(path, short)
    embedding = unit(made(1).embedding[:64].astype(np.float32))
    with pytest.raises(InvalidGallery, match="another model"):
        later.nearest(CRAWL, embedding, 5)
    later.put(CRAWL, [(Entry("e1"), [made(1, model=short.name, embedding=embedding)])])
    assert [near.entry for near in later.nearest(CRAWL, embedding, 5)] == ["e1"]
    ((_, kept),) = later.references(CRAWL, "e1")
    assert (kept.model, kept.embedding.shape) == (short.name, (64,))
    # Who still uses the old model goes on with what is left.
    assert "e1" not in [near.entry for near in opened(path).nearest(CRAWL, made(2).embedding, 80)]


def test_an_index_that_cannot_be_saved_is_done_without(tmp_path, made, small_flat, caplog):
    path = tmp_path / "g.sqlite"
    path.with_name(f"{path.name}-index").write_text("a file where the folder should be")
    galleries = filled(path, made)
    assert finds_all(galleries, made, range(80))
    assert "cannot be saved" in caplog.text


@pytest.mark.slow
def test_kill_at_any_moment_loses_nothing_acknowledged(tmp_path, made, small_flat):
    path = tmp_path / "g.sqlite"
    chance = random.Random(7)
    acknowledged = 0
    for _ in range(8):
        with subprocess.Popen(
            [sys.executable, PROGRAM, path, MODEL.name], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _ in range(chance.randint(1, 60)):
                process.stdout.readline()
                acknowledged += 1
            process.kill()
            acknowledged += len(process.stdout.read().split("\n")) - 1
        galleries = opened(path)
        size = galleries.size(CRAWL)
        # What was under way when the process died may be there or not, but whole.
        assert size.entries == size.references
        assert acknowledged <= size.entries <= acknowledged + 1
        assert finds_all(galleries, made, range(0, size.entries, 7))
        acknowledged = size.entries
        galleries.close()
    check = sqlite3.connect(path)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert check.execute("PRAGMA foreign_key_check").fetchall() == []
    check.close()
    assert index_of(path).exists()


def test_no_galleries_file(tmp_path):
    path = tmp_path / "g.sqlite"
    path.write_bytes(b"not a database, whatever the name says" * 100)
    with pytest.raises(GalleryBroken, match=r"g\.sqlite cannot be used"):
        opened(path)
    with pytest.raises(GalleryBroken):
        opened(tmp_path / "nowhere" / "g.sqlite")


def test_a_file_of_a_later_program(tmp_path, made):
    path = tmp_path / "g.sqlite"
    filled(path, made, 1).close()
    with sqlite3.connect(path) as rows:
        rows.execute("PRAGMA user_version = 99")
    rows.close()
    with pytest.raises(GalleryBroken, match="version 99"):
        opened(path)
