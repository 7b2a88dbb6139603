"""The API's ``Likelihood`` scale: five words for a measured value."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import TypeAlias

#: 0 is UNKNOWN: never ours.
VERY_UNLIKELY, UNLIKELY, POSSIBLE, LIKELY, VERY_LIKELY = range(1, 6)

#: The values where UNLIKELY, POSSIBLE, LIKELY and VERY_LIKELY begin: rising when a larger value
#: is more likely, falling when a smaller one is.
Cuts: TypeAlias = tuple[float, float, float, float]


def likelihood(value: float, cuts: Cuts) -> int:
    """The ``Likelihood`` number of ``value``, 1 (VERY_UNLIKELY) to 5 (VERY_LIKELY).

    A value on a cut belongs to the more likely side. NaN, a value that was not measured, is
    VERY_UNLIKELY: nothing speaks for it. Raises `ValueError` for cuts that neither rise nor fall.
    """
    if not (_rises(cuts) or _rises(cuts[::-1])):
        raise ValueError(f"cuts must rise or fall strictly: {cuts}")
    if math.isnan(value):
        return VERY_UNLIKELY
    if _rises(cuts):
        return VERY_UNLIKELY + bisect_right(cuts, value)
    return VERY_LIKELY - bisect_left(cuts[::-1], value)


def _rises(cuts: Cuts) -> bool:
    return all(low < high for low, high in pairwise(cuts))
