"""One temporary file for many tasks: who gets which, and when it is gone."""

from __future__ import annotations

import io
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest

from tapetum.errors import ImageNotFound
from tapetum.pipeline import spool as spool_module
from tapetum.pipeline.documents import spooled
from tapetum.pipeline.spool import Spool

PATIENCE = 60.0


class Source:
    """Makes temporary files of ``content`` and keeps count."""

    def __init__(self, content: bytes = b"content") -> None:
        self.content = content
        self.made: list[IO[bytes]] = []

    def __call__(self) -> IO[bytes]:
        self.made.append(spooled(self.content))
        return self.made[-1]

    @property
    def kept(self) -> list[bool]:
        return [not file.closed for file in self.made]


@pytest.fixture
def spool() -> Iterator[Spool]:
    made = Spool()
    yield made
    made.close()


def test_a_file_is_fetched_once_and_each_user_reads_it_from_the_start(spool):
    source = Source()
    with spool.using("a", source) as one, spool.using("a", source) as other:
        assert one.read() == other.read() == b"content"
    with spool.using("a", source) as later:
        assert later.read() == b"content"
    assert len(source.made) == 1


def test_files_of_different_keys_are_different(spool):
    for key in (("op1", "ann", "gs://b/a"), ("op1", "bea", "gs://b/a"), ("op2", "ann", "gs://b/a")):
        with spool.using(key, Source(repr(key).encode())) as file:
            assert file.read() == repr(key).encode()


def test_those_who_ask_while_it_is_fetched_wait_for_it(spool):
    entered, release = threading.Event(), threading.Event()
    source = Source()

    def slow() -> IO[bytes]:
        entered.set()
        assert release.wait(PATIENCE)
        return source()

    def read() -> bytes:
        with spool.using("a", slow) as file:
            return file.read()

    with ThreadPoolExecutor(4) as threads:
        reads = [threads.submit(read) for _ in range(4)]
        assert entered.wait(PATIENCE)
        release.set()
        assert [each.result(PATIENCE) for each in reads] == [b"content"] * 4
    assert len(source.made) == 1


def test_what_cannot_be_fetched_is_tried_again_by_the_next(spool):
    def lost() -> IO[bytes]:
        raise ImageNotFound("It is not there.")

    with pytest.raises(ImageNotFound), spool.using("a", lost):
        pass
    assert len(spool) == 0
    with spool.using("a", Source()) as file:
        assert file.read() == b"content"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="files are copied where no /proc is")
def test_nobody_can_write_to_a_file_that_others_read(spool):
    source = Source()
    with spool.using("a", source) as file:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(file.fileno(), b"other")
        with pytest.raises(io.UnsupportedOperation):
            file.write(b"other")


def test_without_proc_each_user_gets_a_copy(spool, monkeypatch):
    class Nowhere(type(Path())):
        def open(self, *_args, **_kwargs):
            raise FileNotFoundError(self)

    monkeypatch.setattr(spool_module, "Path", Nowhere)
    source = Source()
    with spool.using("a", source) as one, spool.using("a", source) as other:
        one.seek(0)
        other.seek(0)
        assert one.read() == other.read() == b"content"
    assert len(source.made) == 1


def test_the_least_recently_used_go_when_idle_files_are_too_many():
    spool = Spool(idle_bytes=20)
    sources = {key: Source(b"12345678") for key in "abc"}
    for key in "aba":  # b was used before a
        with spool.using(key, sources[key]):
            pass
    assert len(spool) == 2
    with ExitStack() as stack:
        stack.enter_context(spool.using("c", sources["c"]))
        assert len(spool) == 3  # one in use does not count
    assert [sources[key].kept for key in "abc"] == [[True], [False], [True]]
    spool.close()
    assert [sources[key].kept for key in "abc"] == [[False], [False], [False]]


def test_a_file_that_is_too_large_to_keep_lasts_as_long_as_its_users():
    spool, source = Spool(idle_bytes=3), Source()
    with spool.using("a", source):
        with spool.using("a", source):
            pass
        assert source.kept == [True]
    assert source.kept == [False]


def test_a_file_that_nobody_uses_any_more_is_gone_after_a_while():
    spool, source = Spool(idle_seconds=0.01), Source()
    with spool.using("a", source) as file:
        assert len(spool) == 1
        assert file.read() == b"content"
    until = time.monotonic() + PATIENCE
    while len(spool) and time.monotonic() < until:
        threading.Event().wait(0.01)
    assert source.kept == [False]


def test_a_file_in_use_outlives_the_spool(spool):
    source = Source()
    with spool.using("a", source) as file:
        spool.close()
        assert len(spool) == 0
        assert file.read() == b"content"
    assert source.kept == [False]


def test_a_crash_leaves_no_file_behind(spool, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with spool.using("a", Source()) as file:
        assert file.read() == b"content"
        assert list(tmp_path.iterdir()) == []
