"""Galleries in LanceDB: indexes, what other processes do, and places that will not do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from tapetum.errors import GalleryBroken, GalleryNotFound, InvalidGallery
from tapetum.gallery import Entry, Galleries, Gallery, Kind, Size
from tapetum.gallery.backends.places import opened
from tapetum.signals.embedding import EmbeddingModel
from tapetum.signals.web import Mention

MODEL, OTHER = (EmbeddingModel(letter * 64, 1280) for letter in "mn")  # as `made` says
CRAWL = Gallery("crawl", Kind.WEB)

pytestmark = pytest.mark.usefixtures("lancedb_package")


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "galleries"


@pytest.fixture
def small_flat(monkeypatch):
    """Indexes from 50 rows on."""
    from tapetum.gallery.backends import lance

    monkeypatch.setattr(lance, "FLAT_ROWS", 50)


def at(folder: Path, model: EmbeddingModel = MODEL) -> Galleries:
    return opened(f"file://{folder}", {}, model)


def filled(folder: Path, made, count: int = 80) -> Galleries:
    galleries = at(folder)
    galleries.create(CRAWL)
    galleries.put(CRAWL, [(Entry(f"e{n}"), [made(n)]) for n in range(count)])
    return galleries


def test_another_process_sees_what_was_added(folder, made, finds):
    first = filled(folder, made, 5)
    second = at(folder)
    assert finds(second, range(5))
    first.put(CRAWL, [(Entry("e9"), [made(9)])])
    assert finds(second, [9, 0])
    first.remove(CRAWL, "e9")
    assert not finds(second, [9])
    assert second.size(CRAWL) == Size(5, 5)
    second.put(CRAWL, [(Entry("e9"), [made(9)])])
    first.remove(CRAWL, "e1")
    first.put(CRAWL, [(Entry("e10"), [made(10)])])
    assert finds(second, [10, 9, 0])
    first.drop(CRAWL)
    with pytest.raises(GalleryNotFound):
        second.size(CRAWL)


def test_beyond_some_thousands_it_is_indexed(folder, made, small_flat, finds):
    import lancedb

    galleries = filled(folder, made)
    galleries.tend(CRAWL)
    galleries.put(CRAWL, [(Entry("e900"), [made(900)])])
    galleries.remove(CRAWL, "e9")
    assert finds(galleries, [0, 79, 900])
    assert not finds(galleries, [9])
    galleries.tend(CRAWL)
    assert finds(galleries, range(10, 80, 9))
    assert len(galleries.references(CRAWL, "e900")) == 1
    exact = np.stack([made(n).embedding for n in range(80) if n != 9] + [made(900).embedding])
    asked = made(1000).embedding.astype(np.float32)
    near = galleries.nearest(CRAWL, made(1000).embedding, 5)
    expected = sorted(exact.astype(np.float32) @ asked)[:-6:-1]
    assert [one.similarity for one in near] == pytest.approx(expected, abs=1e-6)
    place = lancedb.connect(folder)
    (name,) = set(place.list_tables().tables) - {"galleries"}
    indexed = {index.columns[0] for index in place.open_table(name).list_indices()}
    assert indexed >= {"embedding", "number", "entry"}


def test_two_writers_add_once_where_there_is_an_index(folder, made, small_flat):
    filled(folder, made).tend(CRAWL)
    start = Barrier(3)

    def work(galleries: Galleries) -> int:
        start.wait()
        rows = [[(Entry(f"e{n}"), [made(n)])] for n in range(70, 100)]
        return sum(galleries.put(CRAWL, row) for row in rows)

    with ThreadPoolExecutor(3) as pool:
        added = sum(pool.map(work, [at(folder) for _ in range(3)]))
    seen = at(folder)
    assert (added, seen.size(CRAWL), seen.damage()) == (20, Size(100, 100), [])


def test_small_files_become_large_ones(folder, made, monkeypatch, finds):
    from tapetum.gallery.backends import lance

    monkeypatch.setattr(lance, "PUTS_TENDED", 5)
    galleries = filled(folder, made, 3)
    for n in range(10, 14):
        galleries.put(CRAWL, [(Entry(f"e{n}"), [made(n)])])
    import lancedb

    place = lancedb.connect(folder)
    (name,) = set(place.list_tables().tables) - {"galleries"}
    assert place.open_table(name).stats()["fragment_stats"]["num_fragments"] == 1
    assert finds(galleries, [0, 1, 2, 10, 13])


def test_rows_that_are_there_twice_are_damage(folder, made):
    import lancedb

    galleries = filled(folder, made, 3)
    place = lancedb.connect(folder)
    (name,) = set(place.list_tables().tables) - {"galleries"}
    table = place.open_table(name)
    table.add(table.search().limit(2).to_arrow(), on_bad_vectors="null")
    assert galleries.damage() == ["crawl: 2 rows are there twice."]


def test_rows_of_another_model_are_refused_until_they_are_added_again(folder, made):
    filled(folder, made, 5)
    later = at(folder, OTHER)
    with pytest.raises(InvalidGallery, match="add them again"):
        later.nearest(CRAWL, made(1).embedding, 5)
    assert later.known(CRAWL, [made(1).digest]) == {}
    later.put(CRAWL, [(Entry("e1"), [made(1, model=OTHER.name)])])
    assert [near.entry for near in later.nearest(CRAWL, made(1).embedding, 5)] == ["e1"]
    assert later.size(CRAWL) == Size(5, 5)


def test_a_gallery_made_for_other_dimensions_is_refused(folder, made):
    short = EmbeddingModel("s" * 64, 64)
    filled(folder, made, 2)
    later, embedding = at(folder, short), made(1).embedding[:64]
    with pytest.raises(InvalidGallery, match="another model"):
        later.nearest(CRAWL, embedding, 5)
    mine = made(1, model=short.name, embedding=embedding)
    with pytest.raises(InvalidGallery, match="keeps embeddings of 1280 numbers"):
        later.put(CRAWL, [(Entry("e1"), [mine])])
    fresh = Gallery("fresh", Kind.WEB)
    later.create(fresh)
    later.put(fresh, [(Entry("e1"), [mine])])
    assert [near.entry for near in later.nearest(fresh, embedding, 5)] == ["e1"]


def test_many_mentions_of_one_put(folder, made):
    galleries = filled(folder, made, 1)
    said = tuple(Mention(f"https://e.org/{n}.html", f"Page {n}") for n in range(300))
    galleries.put(CRAWL, [(Entry("e0", mentions=said), [])])
    assert len(galleries.entry(CRAWL, "e0").mentions) == 100


def test_many_who_find_it_empty_make_it_once(folder):
    with ThreadPoolExecutor(6) as pool:
        opening = [pool.submit(at, folder) for _ in range(6)]
    first, *others = [future.result() for future in opening]
    first.create(CRAWL)
    assert all(galleries.visible() == [CRAWL] for galleries in others)


def test_a_bucket_that_is_not_there(lancedb_bucket):
    _, options = lancedb_bucket
    with pytest.raises(GalleryBroken, match="cannot be used") as caught:
        opened("s3://no-such-bucket/galleries", options, MODEL)
    assert options["secret_access_key"] not in str(caught.value)


def test_a_store_that_does_not_answer(lancedb_bucket, refusing_address):
    url, options = lancedb_bucket
    with pytest.raises(GalleryBroken, match="cannot be used") as caught:
        opened(url, {**options, "endpoint": f"http://{refusing_address}"}, MODEL)
    assert options["secret_access_key"] not in str(caught.value)


def test_a_table_that_is_damaged(folder, made):
    filled(folder, made, 3)
    for file in folder.glob("gallery-*/data/*.lance"):
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(GalleryBroken, match="cannot be used"):
        at(folder).nearest(CRAWL, made(1).embedding, 1)


def test_tables_of_a_later_program(folder):
    import lancedb
    import pyarrow as pa

    schema = pa.schema([pa.field("id", pa.string())], metadata={b"tapetum": b"99"})
    lancedb.connect(folder).create_table("galleries", schema=schema)
    with pytest.raises(GalleryBroken, match="version 99"):
        at(folder)
