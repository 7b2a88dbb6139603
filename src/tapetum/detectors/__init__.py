"""Detectors: pixels → signal.

A *signal* is a frozen dataclass of numbers and text that says what is in one picture; it knows
nothing of protobuf or storage. A *detector* makes one kind of signal. Features (`tapetum.features`)
turn signals into Vision messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from tapetum.imaging.picture import Picture
from tapetum.signals.context import RequestContext

S = TypeVar("S")


class Detector(Protocol[S]):
    """Makes the signal of class ``signal`` for each picture of a batch.

    A detector is called from several threads at once and keeps no state between calls. The
    signal of a picture does not depend on its neighbours in the batch: the same image gives the
    same bytes however the work was cut.
    """

    @property
    def signal(self) -> type[S]: ...

    def max_side(self, width: int, height: int) -> int:
        """The longest side, in pixels, at which this detector wants to see an upright image of
        ``width×height``. It is given at least that (never more than the image has)."""
        ...

    def detect(
        self, pictures: Sequence[Picture], contexts: Sequence[RequestContext] = ()
    ) -> list[S]:
        """One signal per picture, in order. ``contexts``: what requests say beside the pictures,
        one per picture, or none at all where nothing is known. Most detectors look at pixels
        only."""
        ...
