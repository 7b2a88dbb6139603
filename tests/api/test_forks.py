"""What a fork of somebody's program may do with what its parent opened."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable

import pytest

import tapetum

PROPERTIES = "IMAGE_PROPERTIES"


def forked(work: Callable[[], None]) -> int:
    """The exit status of a fork that does ``work``; it is killed when it hangs."""
    pid = os.fork()
    if not pid:
        try:
            signal.alarm(60)
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 (shown, and the fork ends all the same)
            traceback.print_exc()
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1]


def test_an_annotator_is_of_no_use_to_a_fork(made):
    with tapetum.Annotator(workers=1) as annotator:
        begun = annotator.annotate([made.array(red) for red in range(9)], PROPERTIES)
        next(begun)
        untouched = annotator.annotate(made.array(1), PROPERTIES)

        def use() -> None:
            for used in (
                lambda: annotator.annotate(made.array(1), PROPERTIES),
                lambda: next(begun),
                lambda: next(untouched),
            ):
                with pytest.raises(RuntimeError, match="another process; make one in each process"):
                    used()
            annotator.close()

        assert forked(use) == 0
        assert [made.red_of(result) for result in begun] == list(range(1, 9))


def test_a_fork_makes_one_of_its_own(made):
    with tapetum.Annotator(workers=1) as annotator:
        assert [made.red_of(one) for one in annotator.annotate(made.array(1), PROPERTIES)] == [1]

        def use() -> None:
            with tapetum.Annotator(workers=1) as own:
                content = made.png(made.array(2))
                assert [made.red_of(one) for one in own.annotate(content, PROPERTIES)] == [2]

        assert forked(use) == 0
