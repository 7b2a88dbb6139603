"""A bound on pixels in flight."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class PixelBudget:
    """Lets pictures through while all of them together have at most ``limit`` pixels."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def holding(self, pixels: int) -> Iterator[None]:
        """Wait until there is room for ``pixels``, and take it inside the block. A picture that
        is larger than the limit has it to itself."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + pixels <= self._limit)
            self._taken += pixels
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()
