"""Detectors: pixels → signal.

A *signal* is a frozen dataclass of numbers and text that says what is in one picture; it knows
nothing of protobuf or storage. A *detector* makes one kind of signal. Features (`tapetum.features`)
turn signals into Vision messages. One detector and its signal share one file.

A *recogniser* is a detector that builds on signals others have made: what is looked up in a
gallery (`tapetum.gallery`) needs the embedding, the lines of text or the like first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar, cast

from tapetum.picture import Picture

S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)


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

    def side(self, width: int, height: int) -> int:
        """As of a `Detector`; 1 when it does not look at pixels."""
        ...

    def recognise(self, picture: Picture, signals: Signals) -> S_co: ...


class Signals:
    """The signals of one picture, by class."""

    def __init__(self, signals: Iterable[object] = ()) -> None:
        self._by_class: dict[type, object] = {type(signal): signal for signal in signals}

    def add(self, signal: object) -> None:
        self._by_class[type(signal)] = signal

    def of(self, kind: type[S]) -> S:
        """The signal of class ``kind``. ``KeyError`` if no detector made it."""
        return cast(S, self._by_class[kind])

    def find(self, kind: type[S]) -> S | None:
        """The signal of class ``kind``, if some detector made it."""
        return cast(S | None, self._by_class.get(kind))
