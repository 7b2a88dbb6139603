"""Whose fault a worker's death is. Pure: no processes, no clock.

An image that ends its worker may be the cause, or may have been in the wrong place: somebody ran
``kill``, the machine ran out of memory, a neighbour crashed. So nobody is blamed for a death in
company, and what was in hand is tried again *alone*, in a worker where nothing else runs.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

#: Deaths of its own doing, alone, after which an image is blamed.
MOST_OWN = 2
#: Deaths alone that somebody else brought about after which it is blamed all the same: whatever
#: kills from outside does so because of it (a guard of memory, for one).
MOST_OUTSIDE = 6


class Cause(enum.Enum):
    """Why a worker ended before its work did."""

    #: It crashed: a signal of its own making, or an exit.
    CRASHED = "crashed"
    #: It was past ``image_seconds`` and killed for it.
    OVERRAN = "took too long"
    #: It asked for more than ``image_memory``.
    EXHAUSTED = "needed too much memory"
    #: Another process sent it a signal.
    OUTSIDE = "was killed from outside"

    @property
    def is_own(self) -> bool:
        """Whether it was the worker's own doing."""
        return self is not Cause.OUTSIDE


@dataclass(slots=True)
class Record:
    """The deaths of workers in which one image was alone."""

    own: int = 0
    outside: int = 0
    cause: Cause = Cause.OUTSIDE  # of the last one

    def died(self, cause: Cause) -> None:
        """Another one."""
        self.cause = cause
        if cause.is_own:
            self.own += 1
        else:
            self.outside += 1

    @property
    def is_blamed(self) -> bool:
        """Whether the image is not to be tried again."""
        return self.own >= MOST_OWN or self.own + self.outside >= MOST_OUTSIDE
