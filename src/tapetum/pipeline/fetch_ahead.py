"""Files fetched ahead of the one that is looked at."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from tapetum.pipeline.image_sources import Source
from tapetum.stores.router import Stores

#: Image files fetched ahead of the one being looked at, per task.
AHEAD = 8


class FetchAhead:
    """Sources, each with its position, in order, `AHEAD` of them being fetched.

    For one thread. Close it: what nobody will ask for any more is then not fetched.
    """

    def __init__(
        self,
        sources: Iterable[tuple[int, Source]],
        fetchers: ThreadPoolExecutor,
        stores: Stores,
    ) -> None:
        self._sources: Iterator[tuple[int, Source]] = iter(sources)
        self._fetchers = fetchers
        self._stores = stores
        self._coming: deque[tuple[int, Source]] = deque()

    def take(self, *, wait: bool) -> tuple[int, Source] | None:
        """The next source, whose bytes are here; ``None`` at the end.

        Without ``wait`` also ``None`` when its bytes have yet to come: whoever has pictures in
        hand must not wait for a store, whose time would count as theirs.
        """
        self._prepare()
        if not self._coming or not (wait or self._coming[0][1].is_here):
            return None
        position, source = self._coming.popleft()
        source.wait()
        self._prepare()
        return position, source

    def close(self) -> None:
        """Nobody waits for what was not taken."""
        for _, source in self._coming:
            source.cancel()
        self._coming.clear()

    def _prepare(self) -> None:
        while len(self._coming) <= AHEAD and (pair := next(self._sources, None)) is not None:
            pair[1].prepare(self._fetchers, self._stores)
            self._coming.append(pair)
