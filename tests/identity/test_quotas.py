"""How much is let in, with a clock of the test's own."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tapetum.errors import QuotaExceeded
from tapetum.identity.principal import ANYBODY, Principal, Project, Quota
from tapetum.identity.quotas import Quotas


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def quotas(clock) -> Quotas:
    return Quotas(1000, clock)


PROJECT = Project("p", quota=Quota(requests_per_minute=30, images_in_progress=20))
ALICE = Principal("alice", PROJECT, quota=Quota(requests_per_minute=6, images_in_progress=16))
BOB = Principal("bob", PROJECT)


def test_a_minutes_calls_may_come_at_once_and_then_trickle(quotas, clock):
    for _ in range(6):
        quotas.count(ALICE)
    with pytest.raises(QuotaExceeded, match="principal alice") as caught:
        quotas.count(ALICE)
    assert caught.value.wait == pytest.approx(10)
    clock.now += 10.001
    quotas.count(ALICE)
    with pytest.raises(QuotaExceeded):
        quotas.count(ALICE)
    clock.now += 3600  # an hour of silence does not add up
    for _ in range(6):
        quotas.count(ALICE)
    with pytest.raises(QuotaExceeded):
        quotas.count(ALICE)


def test_principals_of_a_project_share_its_quota(quotas):
    for _ in range(6):
        quotas.count(ALICE)
    for _ in range(24):
        quotas.count(BOB)
    with pytest.raises(QuotaExceeded, match="project p may make 30"):
        quotas.count(BOB)


def test_images_in_progress_give_their_room_back(quotas):
    with quotas.holding(ALICE, 10, 1):
        with pytest.raises(QuotaExceeded, match="principal alice"), quotas.holding(ALICE, 7, 1):
            pass
        with quotas.holding(BOB, 10, 1):
            with pytest.raises(QuotaExceeded, match="project p"), quotas.holding(BOB, 1, 1):
                pass
            with quotas.holding(ANYBODY, 100, 1):
                pass
    with quotas.holding(ALICE, 16, 1):
        pass


def test_one_call_always_finds_room(quotas):
    with quotas.holding(ALICE, 40, 5000):
        pass


def test_memory_is_finite_for_everybody(quotas):
    with ExitStack() as stack:
        stack.enter_context(quotas.holding(ANYBODY, 1, 600))
        stack.enter_context(quotas.holding(ANYBODY, 1, 400))
        with pytest.raises(QuotaExceeded, match="AsyncBatchAnnotateImages"):
            stack.enter_context(quotas.holding(ANYBODY, 1, 1))
    with quotas.holding(ANYBODY, 1, 1000):
        pass


def test_a_call_that_fails_gives_its_room_back(quotas):
    with pytest.raises(ZeroDivisionError), quotas.holding(ALICE, 16, 900):
        raise ZeroDivisionError
    with quotas.holding(ALICE, 16, 900):
        pass
