"""Calls that wait for their answer take turns, image by image, and go when nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tapetum.errors import ServerUnavailable, TaskStopped
from tapetum.executors.calls import Calls
from tapetum.executors.jobs import CallJob
from tapetum.signals.context import RequestContext
from tapetum.tasks.control import Control
from tapetum.vision import messages

PATIENCE = 60


def call(caller: str, *names: str) -> CallJob:
    """For the images ``names``."""
    request = messages.BatchAnnotateImagesRequest()
    for name in names:
        request.requests.add().image.source.image_uri = name
    return CallJob("images", request.SerializeToString(), RequestContext(caller, ""))


def images_of(job: CallJob) -> list[str]:
    request = messages.BatchAnnotateImagesRequest.FromString(job.request)
    return [item.image.source.image_uri for item in request.requests]


def answers_of(response: bytes) -> list[str]:
    answers = messages.BatchAnnotateImagesResponse.FromString(response).responses
    return [answer.context.uri for answer in answers]


class Looking:
    """Answers each image with its name, once it is let go on; writes down whose turn it was."""

    def __init__(self) -> None:
        self.turns: list[str] = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.control: Control | None = None

    def __call__(self, job: CallJob, control: Control) -> bytes:
        self.control = control
        self.turns += images_of(job)
        self.begun.release()
        assert self.go.acquire(timeout=PATIENCE)
        control.check()
        if "broken" in images_of(job):
            raise RuntimeError("it broke")
        response = messages.BatchAnnotateImagesResponse()
        for name in images_of(job):
            response.responses.add().context.uri = name
        return bytes(response.SerializeToString())


@contextmanager
def calls_of(look: Looking, seats: int = 1) -> Iterator[Calls]:
    calls = Calls(look, seats)
    try:
        yield calls
    finally:
        calls.close()
        look.go.release(1000)
        calls.join()


def test_the_answer_is_that_of_all_images_in_order():
    look = Looking()
    look.go.release(1000)
    with calls_of(look, seats=3) as calls:
        names = [f"image {number}" for number in range(16)]
        assert answers_of(calls.submit(call("a", *names)).result(PATIENCE)) == names
        assert answers_of(calls.submit(call("a", "only")).result(PATIENCE)) == ["only"]
        assert answers_of(calls.submit(call("a")).result(PATIENCE)) == []


def test_callers_take_turns_and_so_do_the_calls_of_one():
    look = Looking()
    with calls_of(look) as calls:
        futures = [calls.submit(call("a", "a1", "a2", "a3"))]
        assert look.begun.acquire(timeout=PATIENCE)
        futures += [calls.submit(call("a", "aa1", "aa2")), calls.submit(call("b", "b1", "b2"))]
        look.go.release(1000)
        for future in futures:
            future.result(PATIENCE)
    assert look.turns == ["a1", "b1", "aa1", "b2", "a2", "aa2", "a3"]


def test_a_stream_of_small_calls_stops_no_large_one():
    look = Looking()
    with calls_of(look) as calls:
        large = calls.submit(call("a", *(f"a{number}" for number in range(5))))
        for number in range(20):
            assert look.begun.acquire(timeout=PATIENCE)
            calls.submit(call("b", f"b{number}"))
            calls.submit(call("a", f"small {number}"))
            look.go.release()
        assert len(answers_of(large.result(PATIENCE))) == 5


def test_one_image_waits_for_one_image_of_who_wants_many():
    look = Looking()
    with calls_of(look) as calls:
        calls.submit(call("a", *(f"a{number}" for number in range(16))))
        assert look.begun.acquire(timeout=PATIENCE)
        wanted = calls.submit(call("b", "b"))
        look.go.release(2)
        assert answers_of(wanted.result(PATIENCE)) == ["b"]
    assert look.turns[:2] == ["a0", "b"]


def test_a_call_that_nobody_waits_for_is_dropped_with_its_bytes():
    look = Looking()
    with calls_of(look) as calls:
        calls.submit(call("a", "first"))
        assert look.begun.acquire(timeout=PATIENCE)
        future = calls.submit(call("a", "second", "third"))
        assert calls._waiting
        assert future.cancel()
        assert not calls._waiting
        assert len(calls._calls) == 1  # what is under way
        look.go.release(1000)
        assert answers_of(calls.submit(call("a", "fourth")).result(PATIENCE)) == ["fourth"]
    assert look.turns == ["first", "fourth"]


def test_a_call_that_is_begun_and_not_wanted_any_more_is_told_so():
    look = Looking()
    with calls_of(look) as calls:
        future = calls.submit(call("a", "first", "second"))
        assert look.begun.acquire(timeout=PATIENCE)
        assert future.cancel()
        assert look.control is not None
        with pytest.raises(TaskStopped):
            look.control.check()
        look.go.release(1000)
        calls.submit(call("a", "third")).result(PATIENCE)
    assert look.turns == ["first", "third"]


def test_what_one_image_fails_with_is_the_calls_and_ends_it():
    look = Looking()
    look.go.release(1000)
    with calls_of(look) as calls:
        with pytest.raises(RuntimeError, match="it broke"):
            calls.submit(call("a", "broken", "second")).result(PATIENCE)
        calls.submit(call("a", "third")).result(PATIENCE)
    assert "third" in look.turns
    assert "second" not in look.turns


def test_calls_that_wait_when_all_ends_are_told_so():
    look = Looking()
    with calls_of(look) as calls:
        begun = calls.submit(call("a", "first"))
        assert look.begun.acquire(timeout=PATIENCE)
        waiting = calls.submit(call("a", "second"))
        calls.close()
        for future in (begun, waiting, calls.submit(call("a", "third"))):
            with pytest.raises(ServerUnavailable, match="shutting down"):
                future.result(PATIENCE)


def test_calls_have_a_while_to_end_and_no_more_are_taken():
    look = Looking()
    with calls_of(look) as calls:
        begun = calls.submit(call("a", "first", "second"))
        assert look.begun.acquire(timeout=PATIENCE)
        draining = threading.Thread(target=calls.drain, args=(PATIENCE,))
        draining.start()
        with calls._changed:
            calls._changed.wait_for(lambda: calls._refuses, PATIENCE)
        with pytest.raises(ServerUnavailable, match="shutting down"):
            calls.submit(call("a", "late")).result(PATIENCE)
        look.go.release(1000)
        assert answers_of(begun.result(PATIENCE)) == ["first", "second"]
        draining.join(PATIENCE)
        assert not draining.is_alive()
