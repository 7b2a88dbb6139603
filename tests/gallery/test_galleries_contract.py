"""What every implementation of `Galleries` keeps to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Barrier

import numpy as np
import pytest

from tapetum.errors import EntryNotFound, GalleryExists, GalleryNotFound, InvalidGallery
from tapetum.gallery import EVERYONE, Entry, Galleries, Gallery, Kind, Size
from tapetum.gallery.backends.joined import JoinedGalleries
from tapetum.gallery.backends.late import LateGalleries
from tapetum.gallery.backends.memory import MemoryGalleries
from tapetum.gallery.backends.places import opened
from tapetum.gallery.backends.sqlite import SqliteGalleries
from tapetum.signals.embedding import EmbeddingModel
from tapetum.signals.web import Mention

MODEL = EmbeddingModel("m" * 64, 1280)  # as `made` says
TOWERS = Gallery("towers", Kind.LANDMARK)
EIFFEL = Entry(
    "eiffel", "Eiffel Tower", "Q243", 48.8583, 2.2945, "https://e.org", "CC0-1.0", "A. P."
)
PISA = Entry("pisa", "Leaning Tower of Pisa", aliases=("Torre di Pisa",))


@pytest.fixture(
    params=[
        "memory",
        "sqlite",
        "late",
        "joined",
        "postgresql",
        "lancedb",
        "lancedb on object storage",
    ]
)
def opened_again(request, tmp_path) -> Iterator[Callable[[], Galleries]]:
    """Opens the same place as another process would, except in memory."""
    find = request.getfixturevalue
    if request.param == "memory":
        memory = MemoryGalleries(MODEL)
        open_one = lambda: memory  # noqa: E731
    elif request.param == "postgresql":
        open_one = partial(opened, find("postgresql_url"), {}, MODEL)
    elif request.param == "lancedb":
        find("lancedb_package")
        open_one = partial(opened, f"file://{tmp_path / 'lance'}", {}, MODEL)
    elif request.param == "lancedb on object storage":
        open_one = partial(opened, *find("lancedb_bucket"), MODEL)
    elif request.param == "late":
        path = tmp_path / "galleries.sqlite"
        open_one = lambda: LateGalleries(lambda: SqliteGalleries(path, MODEL), MODEL)  # noqa: E731
    elif request.param == "sqlite":
        open_one = partial(opened, str(tmp_path / "galleries.sqlite"), {}, MODEL)
    else:
        path = tmp_path / "galleries.sqlite"
        open_one = lambda: JoinedGalleries(SqliteGalleries(path, MODEL), [MemoryGalleries(MODEL)])  # noqa: E731
    made: list[Galleries] = []

    def open_and_keep() -> Galleries:
        made.append(open_one())
        return made[-1]

    yield open_and_keep
    for one in made:
        one.close()


@pytest.fixture
def galleries(opened_again) -> Galleries:
    return opened_again()


@pytest.fixture
def towers(galleries) -> Gallery:
    galleries.create(TOWERS)
    return TOWERS


def test_a_new_place_holds_nothing(galleries):
    assert galleries.visible() == []
    with pytest.raises(GalleryNotFound, match="no gallery named 'towers'"):
        galleries.find(EVERYONE, "towers")
    with pytest.raises(GalleryNotFound):
        galleries.size(TOWERS)
    with pytest.raises(GalleryNotFound):
        galleries.put(TOWERS, [(EIFFEL, [])])
    with pytest.raises(GalleryNotFound):
        galleries.nearest(TOWERS, np.zeros(1280, dtype=np.float16), 3)


def test_an_empty_gallery_answers_with_nothing(galleries, towers, made):
    assert galleries.size(towers) == Size(0, 0)
    assert galleries.entries(towers) == []
    assert galleries.nearest(towers, made(1).embedding, 5) == []
    assert galleries.copies(towers, np.zeros((8, 32), dtype=np.uint8), 256) == []
    galleries.tend(towers)


def test_names_are_unique_in_a_project(galleries, towers):
    with pytest.raises(GalleryExists, match="towers"):
        galleries.create(Gallery("towers", Kind.LOGO))
    galleries.create(Gallery("towers", Kind.LOGO, "mine"))
    assert galleries.find("mine", "towers").kind is Kind.LOGO
    assert galleries.find("other", "towers") == towers


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", " a", "x" * 101])
def test_names_that_will_not_do(galleries, name):
    with pytest.raises(InvalidGallery, match="no name for a gallery"):
        galleries.create(Gallery(name, Kind.WEB))


def test_a_project_sees_its_own_and_everyones(galleries, towers):
    mine, other = Gallery("mine", Kind.LOGO, "p"), Gallery("other", Kind.LANDMARK, "q")
    galleries.create(mine)
    galleries.create(other)
    assert galleries.visible() == [towers, mine, other]
    assert galleries.visible("p") == [towers, mine]
    assert galleries.visible("q", Kind.LANDMARK) == [towers, other]
    assert galleries.visible("nobody", Kind.LOGO) == []


def test_what_was_put_comes_back(galleries, towers, made):
    assert galleries.put(towers, [(EIFFEL, [made(1), made(2)]), (PISA, [made(3)])]) == 3
    assert galleries.size(towers) == Size(2, 3)
    assert galleries.entry(towers, "eiffel") == EIFFEL
    assert galleries.entries(towers) == [EIFFEL, PISA]
    assert galleries.entries(towers, after="eiffel") == [PISA]
    assert galleries.entries(towers, limit=1) == [EIFFEL]
    (first, one), (second, two) = galleries.references(towers, "eiffel")
    assert first < second
    for found, given in ((one, made(1)), (two, made(2))):
        assert np.array_equal(found.embedding, given.embedding)
        for name in ("digest", "source", "width", "height", "pdq", "pdq_quality", "features"):
            assert getattr(found, name) == getattr(given, name)
        assert (found.calibration, found.model) == (given.calibration, given.model)
    assert galleries.local_features(towers, [first, 999]) == {first: made(1).features}


def test_putting_the_same_again_changes_nothing(galleries, towers, made):
    rows = [(EIFFEL, [made(1), made(2), made(1)])]
    assert galleries.put(towers, rows) == 2
    assert galleries.put(towers, rows) == 0
    assert galleries.size(towers) == Size(1, 2)


def test_the_same_picture_may_show_two_entries(galleries, towers, made):
    galleries.put(towers, [(EIFFEL, [made(1)]), (PISA, [made(1)])])
    assert galleries.known(towers, [made(1).digest, made(2).digest]) == {
        made(1).digest: ["eiffel", "pisa"]
    }
    found = galleries.nearest(towers, made(1).embedding, 2)
    assert [near.entry for near in found] == ["eiffel", "pisa"]


def test_an_entry_takes_what_is_new_and_keeps_the_rest(galleries, towers):
    galleries.put(towers, [(EIFFEL, [])])
    galleries.put(towers, [(Entry("eiffel", mid="/m/02j81", lat=1.0), [])])
    found = galleries.entry(towers, "eiffel")
    assert (found.name, found.mid, found.lat, found.lng) == (
        "Eiffel Tower", "/m/02j81", 48.8583, 2.2945,
    )  # fmt: skip


def test_mentions_add_up(galleries, made):
    crawl = Gallery("crawl", Kind.WEB)
    galleries.create(crawl)
    key = "https://e.org/a.jpg"
    first = Mention("https://e.org/1.html", "<b>One</b>", "alt", "caption", "en")
    second = Mention("https://e.org/2.html", "Two")
    galleries.put(crawl, [(Entry(key, mentions=(second,)), [made(1)])])
    galleries.put(crawl, [(Entry(key, mentions=(first,)), [])])
    assert galleries.entry(crawl, key).mentions == (first, second)
    changed = Mention("https://e.org/2.html", "Zwei", language="de")
    galleries.put(crawl, [(Entry(key, mentions=(changed,)), [])])
    assert galleries.entry(crawl, key).mentions == (first, changed)
    assert galleries.entries(crawl)[0].mentions == ()


def test_a_reference_of_another_model_is_replaced(galleries, towers, made):
    galleries.put(towers, [(EIFFEL, [made(1, model="old")])])
    assert galleries.put(towers, [(EIFFEL, [made(1)])]) == 1
    assert galleries.size(towers) == Size(1, 1)
    ((_, found),) = galleries.references(towers, "eiffel")
    assert found.model == MODEL.name
    assert len(galleries.nearest(towers, made(1).embedding, 5)) == 1


def test_images_of_another_model_are_refused_and_never_compared(galleries, towers, made):
    galleries.put(towers, [(EIFFEL, [made(1, model="old")])])
    with pytest.raises(InvalidGallery, match="add them again with `tapetum gallery add`"):
        galleries.nearest(towers, made(1).embedding, 5)
    assert galleries.known(towers, [made(1).digest]) == {}  # so that adding adds them again
    galleries.put(towers, [(PISA, [made(2)])])
    assert [near.entry for near in galleries.nearest(towers, made(1).embedding, 5)] == ["pisa"]


def test_an_embedding_has_the_dimensions_of_its_model(galleries, towers, made):
    short = made(1).embedding[:64]
    with pytest.raises(InvalidGallery, match="64 numbers"):
        galleries.put(towers, [(EIFFEL, [made(1, embedding=short)])])
    assert galleries.size(towers) == Size(0, 0)
    galleries.put(towers, [(EIFFEL, [made(1)])])
    with pytest.raises(InvalidGallery, match="64 numbers"):
        galleries.nearest(towers, short, 5)
    assert galleries.model == MODEL


def test_the_nearest_come_first(galleries, towers, made):
    galleries.put(towers, [(Entry(f"e{n:02}"), [made(n)]) for n in range(30)])
    found = galleries.nearest(towers, made(7).embedding, 4)
    assert len(found) == 4
    assert found[0].entry == "e07"
    assert found[0].similarity == pytest.approx(1, abs=2e-3)
    assert found[0].calibration.highest == 0.5
    assert [near.similarity for near in found] == sorted(
        (near.similarity for near in found), reverse=True
    )
    exact = np.stack([made(n).embedding for n in range(30)]).astype(np.float32)
    expected = exact @ made(7).embedding.astype(np.float32)
    assert [near.similarity for near in found] == pytest.approx(sorted(expected)[:-5:-1], abs=1e-6)


def test_a_blank_picture_is_near_nothing(galleries, towers, made):
    blank = np.zeros(1280, dtype=np.float16)
    galleries.put(towers, [(EIFFEL, [made(1, embedding=blank, pdq_quality=0)]), (PISA, [made(2)])])
    assert [near.entry for near in galleries.nearest(towers, made(2).embedding, 5)] == ["pisa"]
    assert galleries.nearest(towers, blank, 5) == []
    everything = np.frombuffer(made(1).pdq, dtype=np.uint8)[None]
    assert [copy.entry for copy in galleries.copies(towers, everything, 256)] == ["pisa"]


def test_copies_by_hash_and_turn(galleries, towers, made):
    galleries.put(towers, [(EIFFEL, [made(1)]), (PISA, [made(2)])])
    hashes = np.stack([np.frombuffer(made(n).pdq, dtype=np.uint8) for n in (8, 1, 9)]).copy()
    hashes[1, 0] ^= 0b101
    (copy,) = galleries.copies(towers, hashes, 31)
    assert (copy.entry, copy.distance, copy.turn) == ("eiffel", 2, 1)
    assert galleries.copies(towers, hashes, 1) == []
    assert len(galleries.copies(towers, hashes, 256)) == 2
    assert len(galleries.copies(towers, hashes, 256, limit=1)) == 1


def test_what_is_removed_is_found_no_more(galleries, towers, made):
    galleries.put(towers, [(EIFFEL, [made(1), made(2)]), (PISA, [made(3)])])
    assert galleries.nearest(towers, made(1).embedding, 9)[0].entry == "eiffel"
    assert galleries.remove(towers, "eiffel") == 2
    assert galleries.size(towers) == Size(1, 1)
    assert [near.entry for near in galleries.nearest(towers, made(1).embedding, 9)] == ["pisa"]
    assert galleries.known(towers, [made(1).digest]) == {}
    with pytest.raises(EntryNotFound, match="no entry 'eiffel'"):
        galleries.remove(towers, "eiffel")
    with pytest.raises(EntryNotFound):
        galleries.entry(towers, "eiffel")
    assert galleries.put(towers, [(EIFFEL, [made(1)])]) == 1
    assert galleries.nearest(towers, made(1).embedding, 1)[0].entry == "eiffel"


def test_a_dropped_gallery_is_gone_and_its_name_free(galleries, towers, made):
    galleries.put(towers, [(EIFFEL, [made(1)])])
    galleries.nearest(towers, made(1).embedding, 1)
    galleries.drop(towers)
    assert galleries.visible() == []
    with pytest.raises(GalleryNotFound):
        galleries.drop(towers)
    galleries.create(towers)
    assert galleries.size(towers) == Size(0, 0)
    assert galleries.nearest(towers, made(1).embedding, 1) == []


def test_a_put_that_fails_leaves_nothing(galleries, towers, made):
    class Odd(Exception):
        pass

    class Fails:
        def __iter__(self):
            raise Odd

    with pytest.raises(Odd):
        galleries.put(towers, [(EIFFEL, [made(1)]), (PISA, Fails())])
    assert galleries.size(towers) == Size(0, 0)


def test_many_threads_add_and_search(galleries, towers, made):
    def work(thread: int) -> None:
        for number in range(thread * 4, thread * 4 + 4):
            galleries.put(towers, [(Entry(f"e{number}"), [made(number)])])
            assert galleries.nearest(towers, made(number).embedding, 1)[0].entry == f"e{number}"

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(work, range(5)))
    assert galleries.size(towers) == Size(20, 20)


def test_two_writers_that_add_the_same_add_it_once(opened_again, made):
    one, other = opened_again(), opened_again()
    one.create(TOWERS)
    rows = [
        [(Entry(f"e{n}", mentions=(Mention(f"https://e.org/{n}"),)), [made(n), made(100 + n)])]
        for n in range(12)
    ]
    start = Barrier(2)

    def work(galleries: Galleries) -> int:
        start.wait()
        return sum(galleries.put(TOWERS, row) for row in rows)

    with ThreadPoolExecutor(2) as pool:
        added = list(pool.map(work, (one, other)))
    seen = opened_again()
    assert seen.size(TOWERS) == Size(12, 24)
    assert sum(added) == 24
    assert seen.entry(TOWERS, "e7").mentions == (Mention("https://e.org/7"),)
    assert len(seen.references(TOWERS, "e7")) == 2
    assert [near.entry for near in seen.nearest(TOWERS, made(7).embedding, 1)] == ["e7"]
    assert seen.damage() == []


def test_two_writers_that_complete_an_entry_lose_nothing(opened_again):
    places = [opened_again() for _ in range(4)]
    places[0].create(TOWERS)
    whole = Entry("e", "Tower", "Q1", 1.5, 2.5, "", "CC0-1.0")
    said = [Entry("e", name="Tower"), Entry("e", mid="Q1"), Entry("e", licence="CC0-1.0")]
    said.append(Entry("e", lat=1.5, lng=2.5))
    start = Barrier(4)

    def work(n: int) -> None:
        for key in "abcde":
            start.wait()
            places[n].put(TOWERS, [(replace(said[n], key=key), [])])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert opened_again().entries(TOWERS) == [replace(whole, key=key) for key in "abcde"]


@pytest.mark.parametrize(
    "key", ["it's", 'a "b"', "a\\", "100%", "a?b", "日本 塔 😀", "; --", "{0}"]
)
def test_any_key_will_do(galleries, towers, made, key):
    said = Entry(
        key, f"name {key}", aliases=(key,), mentions=(Mention(f"https://e.org/{key}", key),)
    )
    galleries.put(towers, [(said, [made(1)]), (Entry("zzz"), [])])
    assert galleries.entry(towers, key) == said
    assert [entry.key for entry in galleries.entries(towers)] == sorted([key, "zzz"])
    later = [entry.key for entry in galleries.entries(towers, after=key)]
    assert later == [other for other in ("zzz",) if other > key]
    assert galleries.known(towers, [made(1).digest]) == {made(1).digest: [key]}
    assert galleries.remove(towers, key) == 1
    mine = Gallery(key.replace("/", ""), Kind.WEB, f"p{key}")
    galleries.create(mine)
    assert galleries.find(f"p{key}", mine.name) == mine
    galleries.drop(mine)


def test_pages_are_spread_over_the_gallery(galleries, made):
    crawl = Gallery("crawl", Kind.WEB)
    galleries.create(crawl)
    galleries.put(
        crawl, [(Entry(f"e{n}", mentions=(Mention(f"https://e.org/{n}"),)), []) for n in range(40)]
    )
    found = galleries.pages(crawl, 10)
    assert 5 <= len(found) <= 10
    assert len({page.page_url for page in found}) == len(found)
    assert len(galleries.pages(crawl, 100)) == 40


def test_a_place_that_is_well_has_no_damage(galleries, towers, made):
    galleries.put(towers, [(EIFFEL, [made(1)])])
    assert galleries.damage() == []
