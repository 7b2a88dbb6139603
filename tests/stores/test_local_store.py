"""Folders as buckets: links, odd files, and writers and readers at once."""

from __future__ import annotations

import errno
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tapetum.errors import (
    InvalidObjectName,
    ObjectForbidden,
    ObjectNotFound,
    ObjectTooLarge,
    StoreError,
    StoreUnavailable,
)
from tapetum.stores.local import LocalStore

LIMIT = 1 << 20


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A bucket with one object, beside a file that is none of its business."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    root = tmp_path / "bucket"
    root.mkdir()
    (root / "inside").write_text("inside")
    return root


@pytest.fixture(params=["scratch", "no scratch"])
def store(request: pytest.FixtureRequest, root: Path, tmp_path: Path) -> LocalStore:
    return LocalStore(root, tmp_path / ".scratch" if request.param == "scratch" else None)


def _link(root: Path, how: str) -> str:
    """Make a link out of ``root``; the key that goes through it."""
    outside = root.parent / "outside"
    if how == "absolute file link":
        (root / "link").symlink_to(outside / "secret")
    elif how == "relative file link":
        (root / "link").symlink_to("../outside/secret")
    elif how == "chain":
        (root / "second").symlink_to("third")
        (root / "third").symlink_to(outside / "secret")
        (root / "link").symlink_to("second")
    elif how == "there and back":
        (outside / "back").symlink_to(root / "inside")
        (outside / "secret").unlink()
        (outside / "secret").symlink_to(root.parent)
        (root / "link").symlink_to("../outside/secret")
    else:
        (root / "folder").symlink_to(outside if how == "folder link" else root.parent)
        return "folder/secret" if how == "folder link" else "folder/outside/secret"
    return "link"


@pytest.mark.parametrize(
    "how",
    ["absolute file link", "relative file link", "chain", "folder link", "link to the parent",
     "there and back"],
)  # fmt: skip
def test_links_out_of_the_bucket_are_refused(store: LocalStore, root: Path, how: str) -> None:
    key = _link(root, how)
    before = sorted((root.parent / "outside").iterdir())
    with pytest.raises(ObjectForbidden):
        store.get(key, LIMIT)
    with pytest.raises(ObjectForbidden):
        store.put(key, b"changed", "text/plain")
    with pytest.raises(ObjectForbidden):
        store.delete(key)
    with pytest.raises(ObjectForbidden):
        list(store.list(f"{key.partition('/')[0]}/"))
    assert list(store.list("")) == ["inside"]
    assert sorted((root.parent / "outside").iterdir()) == before
    secret = root.parent / "outside" / "secret"
    assert secret.is_dir() or secret.read_text() == "secret"


def test_put_makes_no_folders_through_a_link(store: LocalStore, root: Path) -> None:
    _link(root, "folder link")
    with pytest.raises(ObjectForbidden):
        store.put("folder/new/object", b"", "text/plain")
    assert not (root.parent / "outside" / "new").exists()


def test_a_link_inside_the_bucket_is_an_object(store: LocalStore, root: Path) -> None:
    (root / "alias").symlink_to("inside")
    assert sorted(store.list("")) == ["alias", "inside"]
    assert store.get("alias", LIMIT) == b"inside"
    store.delete("alias")
    assert list(store.list("")) == ["inside"]
    assert store.get("inside", LIMIT) == b"inside"


def test_folder_links_inside_the_bucket_are_not_walked(store: LocalStore, root: Path) -> None:
    (root / "circle").symlink_to(".")
    assert list(store.list("")) == ["inside"]
    assert store.get("circle/inside", LIMIT) == b"inside"


def test_links_that_lead_nowhere_or_round(store: LocalStore, root: Path) -> None:
    (root / "nowhere").symlink_to("not-there")
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(ObjectNotFound):
        store.get("nowhere", LIMIT)
    for key in ("a", "a/deep"):
        with pytest.raises(ObjectForbidden):
            store.get(key, LIMIT)
        with pytest.raises(ObjectForbidden):
            store.put(key, b"", "text/plain")
    assert list(store.list("")) == ["inside"]


def test_the_bucket_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").symlink_to(root)
    store = LocalStore(tmp_path / "photos")
    assert store.get("inside", LIMIT) == b"inside"
    store.put("new", b"new", "text/plain")
    assert list(store.list("")) == ["inside", "new"]
    store.delete("new")
    assert _names(root) == ["inside"]


def test_a_pipe_is_no_object_and_does_not_hang(store: LocalStore, root: Path) -> None:
    os.mkfifo(root / "pipe")
    caught: list[StoreError] = []

    def get() -> None:
        try:
            store.get("pipe", LIMIT)
        except StoreError as error:
            caught.append(error)

    reader = threading.Thread(target=get, daemon=True)
    reader.start()
    reader.join(5)
    assert [type(error) for error in caught] == [ObjectNotFound]
    assert list(store.list("")) == ["inside"]


def test_a_folder_is_no_object(store: LocalStore, root: Path) -> None:
    store.put("folder/object", b"", "text/plain")
    with pytest.raises(ObjectNotFound):
        store.get("folder", LIMIT)
    with pytest.raises(ObjectNotFound):
        store.delete("folder")
    with pytest.raises(ObjectForbidden):
        store.put("folder", b"", "text/plain")
    assert list(store.list("")) == ["folder/object", "inside"]


@pytest.mark.parametrize("key", ["inside/deeper", "inside/much/deeper"])
def test_nothing_is_below_an_object(store: LocalStore, key: str) -> None:
    with pytest.raises(ObjectNotFound):
        store.get(key, LIMIT)
    with pytest.raises(ObjectNotFound):
        store.delete(key)
    with pytest.raises(ObjectForbidden):
        store.put(key, b"", "text/plain")


def test_a_large_file_is_refused_unread(store: LocalStore, root: Path) -> None:
    with (root / "huge").open("wb") as file:
        file.truncate(1 << 40)  # takes no space, and no memory unless somebody reads it
    with pytest.raises(ObjectTooLarge):
        store.get("huge", LIMIT)


def test_name_too_long_for_the_file_system(store: LocalStore) -> None:
    for call in (lambda: store.get("x" * 300, 1), lambda: store.put("x" * 300, b"", "text/plain")):
        with pytest.raises(InvalidObjectName):
            call()


def test_the_longest_name_of_a_file(store: LocalStore) -> None:
    store.put("x" * 255, b"far", "text/plain")
    assert store.get("x" * 255, LIMIT) == b"far"


def test_names_that_are_no_text(store: LocalStore, root: Path) -> None:
    (root / os.fsdecode(b"caf\xe9.png")).write_bytes(b"")
    keys = list(store.list(""))
    assert len(keys) == 2
    for key in set(keys) - {"inside"}:
        with pytest.raises(InvalidObjectName) as caught:
            store.get(key, LIMIT)
        caught.value.message.encode()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable(store: LocalStore, root: Path) -> None:
    (root / "inside").chmod(0)
    with pytest.raises(ObjectForbidden):
        store.get("inside", LIMIT)
    root.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(ObjectForbidden):
            store.put("new", b"", "text/plain")
    finally:
        root.chmod(stat.S_IRWXU)


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.EACCES, ObjectForbidden), (errno.EROFS, ObjectForbidden),
     (errno.ENOSPC, StoreUnavailable), (errno.EIO, StoreUnavailable)],
)  # fmt: skip
def test_a_failed_put_leaves_the_old_object_and_nothing_else(
    store: LocalStore,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    error: type[StoreError],
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(error):
        store.put("inside", b"new", "text/plain")
    assert store.get("inside", LIMIT) == b"inside"
    assert _names(root) == ["inside"]
    assert not list(root.parent.glob(".scratch/*"))


def test_scratch_on_another_file_system(root: Path) -> None:
    """A bucket that is a mount or a link to one: the object still arrives whole."""
    other = Path("/dev/shm")
    if not os.access(other, os.W_OK) or other.stat().st_dev == root.stat().st_dev:
        pytest.skip("needs two file systems")
    scratch = other / f"tapetum-test-{os.getpid()}"
    try:
        store = LocalStore(root, scratch)
        store.put("folder/new", b"new", "text/plain")
        assert store.get("folder/new", LIMIT) == b"new"
        assert _names(root / "folder") == ["new"]
        assert _names(scratch) == []
    finally:
        scratch.rmdir()


def test_readers_see_whole_objects_and_listers_nothing_else(
    store: LocalStore, root: Path, tmp_path: Path
) -> None:
    """Four writers, two readers and a lister over the same object."""
    bodies = [bytes([number]) * 200_000 for number in range(4)]
    store.put("object", bodies[0], "text/plain")
    done = threading.Event()

    def write(body: bytes) -> None:
        for _ in range(40):
            store.put("object", body, "text/plain")

    def read() -> int:
        seen = 0
        while not done.is_set():
            assert store.get("object", LIMIT) in bodies
            seen += 1
        return seen

    def listed() -> int:
        seen = 0
        while not done.is_set():
            assert list(store.list("")) == ["inside", "object"]
            seen += 1
        return seen

    with ThreadPoolExecutor(7) as pool:
        watching = [pool.submit(read), pool.submit(read), pool.submit(listed)]
        try:
            for writing in [pool.submit(write, body) for body in bodies]:
                writing.result()
        finally:
            done.set()
        assert all(watcher.result() > 0 for watcher in watching)
    assert _names(root) == ["inside", "object"]
    assert not list(tmp_path.glob(".scratch/*"))


def test_with_scratch_only_finished_objects_are_ever_in_the_bucket(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    sync = os.fsync

    def watching(descriptor: int) -> None:
        seen.append(_names(root))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watching)
    store = LocalStore(root, tmp_path / ".scratch")
    store.put("new", b"new", "text/plain")
    store.put("new", b"newer", "text/plain")
    assert seen == [["inside"], ["inside", "new"]]


NAMES = ["a", "a.b", "a/b", "a/b.c", "a/b/c", "a0", "b/a/a/a", "ü/1", "B"]


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "b/a/", "none/", "z"])
def test_a_page_begins_after_any_name(tmp_path: Path, prefix: str) -> None:
    """The order is that of the whole names, though "a.b" lies between "a" and the folder "a/"."""
    names = sorted(name for name in NAMES if name not in ("a", "a/b"))
    store = LocalStore(tmp_path / "ordered")
    (tmp_path / "ordered").mkdir()
    for name in names:
        store.put(name, b"", "text/plain")
    wanted = [name for name in names if name.startswith(prefix)]
    for after in ["", *NAMES, "a/", "a/b/", "zz"]:
        expected = [name for name in wanted if name > after]
        assert list(store.page(prefix, after)) == expected


def test_without_depth_folders_stand_for_what_is_in_them(store: LocalStore, root: Path) -> None:
    for name in ("x/1", "x/y/2", "z"):
        store.put(name, b"", "text/plain")
    (root / "empty").mkdir()
    assert list(store.page("", deep=False)) == ["inside", "x/", "z"]
    assert list(store.page("x/", deep=False)) == ["x/1", "x/y/"]
    assert list(store.page("", "x/", deep=False)) == ["z"]


def test_an_upload_is_there_at_its_end_or_never(root: Path, tmp_path: Path) -> None:
    store = LocalStore(root, tmp_path / ".scratch")
    upload = store.begin("up/load")
    upload.write(b"12")
    upload.write(b"345")
    assert upload.size == 5
    assert _names(root) == ["inside"]
    upload.commit()
    upload.close()
    assert store.get("up/load", LIMIT) == b"12345"
    given_up = store.begin("other")
    given_up.write(b"x")
    given_up.close()
    assert sorted(store.list("")) == ["inside", "up/load"]
    assert _names(tmp_path / ".scratch") == []


def test_a_link_made_during_an_upload_leads_nowhere(root: Path, tmp_path: Path) -> None:
    store = LocalStore(root, tmp_path / ".scratch")
    (tmp_path / "beyond").mkdir()
    upload = store.begin("folder/object")
    upload.write(b"x")
    (root / "folder").symlink_to(tmp_path / "beyond")
    with pytest.raises(ObjectForbidden):
        upload.commit()
    upload.close()
    assert _names(tmp_path / "beyond") == []
