"""Recognisers: signals and galleries → signal.

A *recogniser* is a detector that builds on signals others have made: what is looked up in a
gallery (`tapetum.gallery`) needs the embedding, the lines of text or the like first; the layout of
a page needs its lines.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from tapetum.imaging.picture import Picture
from tapetum.signals import Signals
from tapetum.signals.context import NO_CONTEXT, RequestContext

S_co = TypeVar("S_co", covariant=True)


class Recogniser(Protocol[S_co]):
    """Makes the signal of class ``signal`` of a picture and of the signals ``needs`` names.

    Otherwise like a `Detector`. Its ``needs`` are made first, whoever else asked for them, and
    once; they may be other recognisers' signals, but not in a circle.
    """

    @property
    def signal(self) -> type[S_co]: ...

    @property
    def needs(self) -> tuple[type, ...]:
        """The signal classes `recognise` reads."""
        ...

    def max_side(self, width: int, height: int) -> int:
        """As of a `Detector`; 1 when it does not look at pixels."""
        ...

    def recognise(
        self, picture: Picture, signals: Signals, context: RequestContext = NO_CONTEXT
    ) -> S_co:
        """The signal of ``picture``. The galleries looked into are those that the project of
        ``context`` sees."""
        ...
