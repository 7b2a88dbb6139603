"""Detectors: pixels → signal.

A *signal* is a frozen dataclass of numbers and text that says what is in one picture; it knows
nothing of protobuf or storage. A *detector* makes one kind of signal. Features (`tapetum.features`)
turn signals into Vision messages. One detector and its signal share one file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar, cast

from tapetum.picture import Picture

S = TypeVar("S")


class Detector(Protocol[S]):
    """Makes the signal of class ``signal`` for each picture of a batch.

    A detector is called from several threads at once and keeps no state between calls. The
    signal of a picture does not depend on its neighbours in the batch: the same image gives the
    same bytes however the work was cut.
    """

    @property
    def signal(self) -> type[S]: ...

    def side(self, width: int, height: int) -> int:
        """The longest side, in pixels, at which this detector wants to see an upright image of
        ``width×height``. It is given at least that (never more than the image has)."""
        ...

    def detect(self, pictures: Sequence[Picture]) -> list[S]:
        """One signal per picture, in order."""
        ...


class Signals:
    """The signals of one picture, by class."""

    def __init__(self, signals: Iterable[object] = ()) -> None:
        self._by_class: dict[type, object] = {type(signal): signal for signal in signals}

    def add(self, signal: object) -> None:
        self._by_class[type(signal)] = signal

    def of(self, kind: type[S]) -> S:
        """The signal of class ``kind``. ``KeyError`` if no detector made it."""
        return cast(S, self._by_class[kind])
