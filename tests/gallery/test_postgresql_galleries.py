"""Galleries in PostgreSQL: indexes, connections that break, and databases that will not do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tapetum.errors import GalleryBroken, InvalidGallery
from tapetum.gallery import Entry, Galleries, Gallery, Kind, Size
from tapetum.gallery.backends.places import opened
from tapetum.signals.embedding import EmbeddingModel

MODEL, OTHER = (EmbeddingModel(letter * 64, 1280) for letter in "mn")  # as `made` says
CRAWL = Gallery("crawl", Kind.WEB)


@pytest.fixture
def asked(postgresql_url):
    """What the database answers to a statement."""
    import psycopg

    with psycopg.connect(postgresql_url, autocommit=True) as connection:

        def ask(statement: str):
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else None

        yield ask


@pytest.fixture
def small_flat(postgresql_url, monkeypatch):
    """Indexes from 50 rows on, and a planner that prefers them however few rows there are."""
    from tapetum.gallery.backends import postgresql

    monkeypatch.setattr(postgresql, "FLAT_ROWS", 50)
    monkeypatch.setenv("PGOPTIONS", "-c enable_seqscan=off -c enable_sort=off")


def filled(url: str, made, count: int = 80) -> Galleries:
    galleries = opened(url, {}, MODEL)
    galleries.create(CRAWL)
    galleries.put(CRAWL, [(Entry(f"e{n}"), [made(n)]) for n in range(count)])
    return galleries


def test_beyond_some_thousands_it_is_indexed(postgresql_url, asked, made, small_flat, finds):
    galleries = filled(postgresql_url, made)
    galleries.tend(CRAWL)
    galleries.tend(CRAWL)
    assert finds(galleries, range(0, 80, 9))
    galleries.put(CRAWL, [(Entry("e900"), [made(900)])])
    galleries.remove(CRAWL, "e9")
    assert finds(galleries, [0, 79, 900])
    assert not finds(galleries, [9])
    galleries.close()
    used = (
        "SELECT indexrelname, idx_scan > 0 FROM pg_stat_user_indexes "
        "WHERE indexrelname ~ '^(near|copies)_' ORDER BY 1"
    )
    asked("SELECT pg_stat_clear_snapshot()")
    assert asked(used) == [("copies_1", True), (f"near_1_{MODEL.name[:12]}", True)]
    again = opened(postgresql_url, {}, MODEL)
    again.drop(CRAWL)
    again.close()
    assert asked(used) == []


def test_an_index_that_was_left_half_made_is_made_anew(
    postgresql_url, asked, made, small_flat, finds
):
    galleries = filled(postgresql_url, made)
    galleries.tend(CRAWL)
    asked("UPDATE pg_index SET indisvalid = false WHERE indexrelid::regclass::text ~ 'near_'")
    galleries.tend(CRAWL)
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid::regclass::text ~ 'near_'"
    assert asked(valid) == [(True,)]
    assert finds(galleries, [5, 50])
    galleries.close()


def test_rows_of_another_model_are_refused_until_they_are_added_again(postgresql_url, made):
    filled(postgresql_url, made, 5).close()
    later = opened(postgresql_url, {}, OTHER)
    with pytest.raises(InvalidGallery, match="add them again"):
        later.nearest(CRAWL, made(1).embedding, 5)
    assert later.known(CRAWL, [made(1).digest]) == {}
    later.put(CRAWL, [(Entry("e1"), [made(1, model=OTHER.name)])])
    assert [near.entry for near in later.nearest(CRAWL, made(1).embedding, 5)] == ["e1"]
    assert later.size(CRAWL) == Size(5, 5)
    later.close()


def test_a_place_made_for_other_dimensions_is_refused(postgresql_url, made):
    filled(postgresql_url, made, 2).close()
    with pytest.raises(InvalidGallery, match="keep embeddings of 1280 numbers, the model in use"):
        opened(postgresql_url, {}, EmbeddingModel("s" * 64, 64))


def test_broken_connections_are_made_anew(postgresql_url, asked, made, finds):
    galleries = filled(postgresql_url, made, 5)
    asked("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    assert finds(galleries, range(5))
    galleries.close()


def test_many_who_find_it_empty_make_it_once(postgresql_url):
    with ThreadPoolExecutor(6) as pool:
        opening = [pool.submit(opened, postgresql_url, {}, MODEL) for _ in range(6)]
    first, *others = [future.result() for future in opening]
    first.create(CRAWL)
    for galleries in (first, *others):
        assert galleries.visible() == [CRAWL]
        galleries.close()


@pytest.mark.usefixtures("postgresql_server")  # that is, where there is a driver
def test_no_server():
    with pytest.raises(GalleryBroken) as caught:
        opened("postgresql://me:secret@127.0.0.1:1/g?application_name=hidden", {}, MODEL)
    said = str(caught.value)
    assert "in postgresql://127.0.0.1:1/g cannot be used: " in said
    assert "refused" in said
    assert "secret" not in said
    assert "hidden" not in said


def test_no_pgvector_and_nobody_who_may_take_it_in(postgresql_url, asked):
    asked("DO $$ BEGIN CREATE ROLE plain LOGIN; EXCEPTION WHEN duplicate_object THEN END $$")
    url = postgresql_url.replace("tapetum@", "plain@")
    with pytest.raises(GalleryBroken, match=r"has no pgvector .*CREATE EXTENSION vector"):
        opened(url, {}, MODEL)
    asked("CREATE EXTENSION vector")
    with pytest.raises(GalleryBroken, match="permission denied"):
        opened(url, {}, MODEL)


def test_whoever_may_only_use_the_tables_can(postgresql_url, asked, made, finds):
    filled(postgresql_url, made, 3).close()
    asked("DO $$ BEGIN CREATE ROLE plain LOGIN; EXCEPTION WHEN duplicate_object THEN END $$")
    asked("GRANT USAGE ON SCHEMA tapetum_galleries TO plain")
    asked("GRANT SELECT ON ALL TABLES IN SCHEMA tapetum_galleries TO plain")
    reader = opened(postgresql_url.replace("tapetum@", "plain@"), {}, MODEL)
    assert finds(reader, range(3))
    with pytest.raises(GalleryBroken, match="permission denied"):
        reader.remove(CRAWL, "e1")
    reader.close()


def test_a_pgvector_that_is_too_old(postgresql_url, asked):
    asked("CREATE EXTENSION vector")
    asked("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'")
    with pytest.raises(GalleryBroken, match=r"pgvector 0\.7\.4, galleries need 0\.8"):
        opened(postgresql_url, {}, MODEL)


def test_tables_of_a_later_program(postgresql_url, asked, made):
    filled(postgresql_url, made, 1).close()
    asked("UPDATE tapetum_galleries.file SET version = 99")
    with pytest.raises(GalleryBroken, match="version 99"):
        opened(postgresql_url, {}, MODEL)


def test_pgvector_in_a_schema_of_its_own(postgresql_url, asked, made, finds):
    asked('CREATE SCHEMA "odd name"')
    asked('CREATE EXTENSION vector SCHEMA "odd name"')
    galleries = filled(postgresql_url, made, 5)
    assert finds(galleries, range(5))
    galleries.close()
