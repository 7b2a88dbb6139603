"""Results come one by one, in order, and no more is taken than that needs."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import tapetum
from tapetum import api

PROPERTIES = "IMAGE_PROPERTIES"


def reds(made, count=None):
    """Pictures that are told apart by how red they are, 0, 1, 2, ..., large and small by turns."""
    for red in itertools.count() if count is None else range(count):
        yield made.array(red % 256, side=600 if red % 5 == 0 else 16)


def test_in_order_whichever_is_ready_first(annotator, made):
    results = annotator.annotate(reds(made, 40), PROPERTIES)
    assert [made.red_of(result) for result in results] == list(range(40))


def test_without_end(annotator, made):
    taken = 0

    def pictures():
        nonlocal taken
        for picture in reds(made):
            taken += 1
            yield picture

    results = annotator.annotate(pictures(), PROPERTIES)
    assert taken == 0
    for number, result in enumerate(itertools.islice(results, 60), 1):
        assert made.red_of(result) == number - 1
        assert number <= taken <= number + 2 + api.AHEAD
    results.close()


def test_large_pictures_are_not_taken_ahead(annotator, made, monkeypatch):
    monkeypatch.setattr(api, "AHEAD_BYTES", 1)
    taken = []
    pictures = (taken.append(None) or picture for picture in reds(made))
    for number, _ in enumerate(itertools.islice(annotator.annotate(pictures, PROPERTIES), 8), 1):
        assert len(taken) == number


def test_a_slow_source_holds_back_no_result_that_is_there(made):
    with tapetum.Annotator(workers=1) as annotator:
        waited, asked_again = [], threading.Event()
        annotator._workers.submit(asked_again.wait)  # keeps the worker off the first picture

        def pictures():
            yield made.array(1)
            asked_again.set()
            # With one worker, the answer to this comes after the one above.
            waited.extend(annotator.annotate(made.array(2), PROPERTIES))
            yield made.array(3)
            pytest.fail("a third picture was waited for before the first result was given")

        results = annotator.annotate(pictures(), PROPERTIES)
        assert made.red_of(next(results)) == 1
        assert made.red_of(waited[0]) == 2
        results.close()


def test_what_a_source_raises_comes_after_what_it_gave(annotator, made):
    def pictures():
        yield from reds(made, 3)
        raise LookupError("the disk is gone")

    results = annotator.annotate(pictures(), PROPERTIES)
    assert [made.red_of(next(results)) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(LookupError, match="the disk is gone"):
        next(results)
    assert list(results) == []


def test_a_source_runs_in_the_thread_of_the_reader(annotator, made):
    threads = set()

    def pictures():
        for picture in reds(made, 5):
            threads.add(threading.current_thread())
            yield picture

    assert len(list(annotator.annotate(pictures(), PROPERTIES))) == 5
    assert threads == {threading.current_thread()}


def test_an_annotator_is_for_several_threads(annotator, made):
    def read(first):
        pictures = (made.array(red) for red in range(first, first + 10))
        return [made.red_of(result) for result in annotator.annotate(pictures, PROPERTIES)]

    with ThreadPoolExecutor(5) as readers:
        answers = list(readers.map(read, range(0, 100, 20)))
    assert answers == [list(range(first, first + 10)) for first in range(0, 100, 20)]


def test_a_generator_can_be_left_early(annotator, made):
    results = annotator.annotate(reds(made), PROPERTIES)
    next(results)
    results.close()
    assert list(results) == []
    assert len(list(annotator.annotate(reds(made, 3), PROPERTIES))) == 3


def test_a_closed_annotator_says_so(made):
    with tapetum.Annotator(workers=1) as annotator:
        begun = annotator.annotate(reds(made), PROPERTIES)
        next(begun)
        untouched = annotator.annotate(reds(made), PROPERTIES)
    annotator.close()
    with pytest.raises(RuntimeError, match="This annotator is closed"):
        annotator.annotate(made.array(1), PROPERTIES)
    with pytest.raises(RuntimeError, match="This annotator is closed"):
        list(begun)
    with pytest.raises(RuntimeError, match="This annotator is closed"):
        next(untouched)
