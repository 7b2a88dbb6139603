"""How much of a caller's work is let in at once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tapetum.errors import QuotaExceeded
from tapetum.identity.principal import Principal, Quota

#: Seconds after which a call that found no room may find some.
ROOM_WAIT = 1.0


@dataclass(slots=True)
class _Bucket:
    """A token bucket: a minute's calls may come at once, then they trickle."""

    tokens: float
    filled: float  # seconds of the clock

    def take(self, per_minute: int, now: float) -> float:
        """Take a token and answer 0, or take none and answer the seconds until there is one."""
        rate = per_minute / 60
        self.tokens = min(float(per_minute), self.tokens + (now - self.filled) * rate)
        self.filled = now
        if self.tokens < 1:
            return (1 - self.tokens) / rate
        self.tokens -= 1
        return 0.0


class Quotas:
    """Counts the calls of principals and projects. Used from one thread, the event loop's.

    ``bytes_at_once`` bounds the requests of all calls that wait for their answer together,
    whoever makes them: memory is finite for everybody.
    """

    def __init__(self, bytes_at_once: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._bytes_at_once = bytes_at_once
        self._clock = clock
        self._bytes = 0
        self._buckets: dict[str, _Bucket] = {}
        self._images: Counter[str] = Counter()

    def count(self, caller: Principal) -> None:
        """One more annotate call. `QuotaExceeded` when it comes too soon."""
        for name, quota in _quotas(caller):
            per_minute = quota.requests_per_minute
            if not per_minute:
                continue
            now = self._clock()
            bucket = self._buckets.setdefault(name, _Bucket(per_minute, now))
            wait = bucket.take(per_minute, now)
            if wait:
                raise QuotaExceeded(
                    f"Quota exceeded: {name} may make {per_minute} annotate requests per minute.",
                    wait,
                )

    @contextmanager
    def holding(self, caller: Principal, images: int, size: int) -> Iterator[None]:
        """Make room for a call of ``images`` images in ``size`` bytes that waits for its answer.

        Raises `QuotaExceeded` when there is none. One call always finds room.
        """
        if self._bytes and self._bytes + size > self._bytes_at_once:
            raise QuotaExceeded(
                "The server has as many images in hand as it can hold. Try again soon, or use "
                "AsyncBatchAnnotateImages, which waits its turn.",
                ROOM_WAIT,
                "RESOURCE_QUOTA_EXCEEDED",
            )
        quotas = _quotas(caller)
        for name, quota in quotas:
            limit, now = quota.images_in_progress, self._images[name]
            if limit and now and now + images > limit:
                raise QuotaExceeded(
                    f"Quota exceeded: {name} may have {limit} images in progress. "
                    "AsyncBatchAnnotateImages waits its turn.",
                    ROOM_WAIT,
                )
        self._bytes += size
        self._images.update({name: images for name, _ in quotas})
        try:
            yield
        finally:
            self._bytes -= size
            self._images.subtract({name: images for name, _ in quotas})


def _quotas(caller: Principal) -> list[tuple[str, Quota]]:
    if caller.project is None:
        return []
    return [
        (f"principal {caller.name}", caller.quota),
        (f"project {caller.project.name}", caller.project.quota),
    ]
