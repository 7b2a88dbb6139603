"""Request bodies over HTTP, as they arrive: never waited for without end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from math import inf

from starlette.requests import Request

from tapetum.door import MESSAGE_SECONDS


async def arriving(request: Request, pace: float = inf) -> AsyncIterator[bytes]:
    """The pieces of the body. It may take `MESSAGE_SECONDS`, and a second more for every ``pace``
    bytes that have come.

    Raises `TimeoutError`, and Starlette's ``ClientDisconnect``. How much of it there may be is for
    the caller to say.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + MESSAGE_SECONDS
    async with aclosing(request.stream()) as stream:
        while True:
            # Only around the wait: what is done with a piece has time of its own.
            async with asyncio.timeout_at(until):
                piece = await anext(stream, None)
            if piece is None:
                return
            until += len(piece) / pace
            yield piece
