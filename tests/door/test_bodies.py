"""Bodies that do not come are not waited for without end, at any HTTP door."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import Request

from tapetum.door import bodies, rest
from tapetum.door.buckets import storage
from tapetum.errors import InvalidRequest, StoreUnavailable


def request(*pieces: bytes, ends: bool) -> Request:
    """A request whose ``pieces`` come at once, and then its end or nothing more."""
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    if ends:
        messages.append({"type": "http.request", "body": b"", "more_body": False})
    waiting = iter(messages)

    async def receive() -> dict[str, Any]:
        for message in waiting:
            return message
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


async def collected(request: Request) -> bytes:
    return b"".join([piece async for piece in storage.pieces(request)])


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(bodies, "MESSAGE_SECONDS", 0.05)


@pytest.mark.parametrize(
    ("read", "error"),
    [
        (rest._body, InvalidRequest),
        (storage.json_body, StoreUnavailable),
        (collected, StoreUnavailable),
    ],
)
def test_a_body_that_stops_is_given_up(
    short, read: Callable[[Request], Awaitable[Any]], error: type[Exception]
):
    with pytest.raises(error):
        asyncio.run(read(request(b"{", ends=False)))


def test_what_comes_in_time_is_whole():
    assert asyncio.run(collected(request(b"12", b"34", ends=True))) == b"1234"
    assert asyncio.run(storage.json_body(request(b'{"a"', b": 1}", ends=True))) == {"a": 1}
