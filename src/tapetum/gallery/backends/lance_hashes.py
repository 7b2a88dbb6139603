"""The PDQ hashes of one gallery in LanceDB, in memory: 40 bytes for each image.

LanceDB compares hashes too, but ten times as slowly as is done here, and through an index not
exactly.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapetum.gallery import PDQ_BYTES
from tapetum.gallery.matching.flat import Flat
from tapetum.gallery.matching.pdq import LEAST_QUALITY

_TELLING = f"quality >= {LEAST_QUALITY}"


class Hashes:
    """What a process knows of the hashes in ``table``; catches up at each search."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self._lock = threading.Lock()
        self._version = -1
        self._forget()

    def _forget(self) -> None:
        self._flat, self._count, self._newest = Flat(), 0, -1

    def copies(
        self, hashes: NDArray[np.uint8], distance: int, limit: int
    ) -> list[tuple[int, int, int]]:
        """(number, differing bits, which of ``hashes``), nearest first."""
        with self._lock:
            self._catch_up()
            return self._flat.copies(hashes, distance, limit)

    def _catch_up(self) -> None:
        """Read what has been added since, everything where that does not add up."""
        version = self._table.version
        if version == self._version:
            return
        self._read()
        if self._count != self._table.count_rows(_TELLING):
            self._forget()
            self._read()
        self._version = version

    def _read(self) -> None:
        rows = (
            self._table.search()
            .where(f"{_TELLING} AND number > {self._newest}")
            .select(["number", "pdq"])
            .limit(None)
            .to_arrow()
        )
        numbers = rows["number"].to_numpy()
        codes = rows["pdq"].combine_chunks().flatten().to_numpy().reshape(-1, PDQ_BYTES)
        for at in np.argsort(numbers):
            self._flat.add(int(numbers[at]), None, codes[at].tobytes())
        self._count += len(numbers)
        self._newest = int(numbers.max(initial=self._newest))
