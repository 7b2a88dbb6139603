"""Recognisers: signals and galleries → signal.

A *recogniser* is a detector that builds on signals others have made: what is looked up in a
gallery (`tapetum.gallery`) needs the embedding, the lines of text or the like first; the layout of
a page needs its lines.
"""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import TopologicalSorter
from typing import Any, Protocol, TypeVar

from tapetum.detectors import Maker, by_signal
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


def in_order(recognisers: Iterable[Recogniser[Any]]) -> list[Recogniser[Any]]:
    """Each after those whose signals it needs. Raises `tapetum.errors.ModelError` for two of one
    signal."""
    table = by_signal(recognisers)
    order = TopologicalSorter({kind: recogniser.needs for kind, recogniser in table.items()})
    return [table[kind] for kind in order.static_order() if kind in table]


def needed(signals: Iterable[type], ordered: dict[type, Recogniser[Any]]) -> set[type]:
    """``signals`` and all that they are made of; ``ordered``: recognisers as of `in_order`, by
    signal."""
    needs = set(signals)
    for signal in reversed(ordered):
        if signal in needs:
            needs.update(ordered[signal].needs)
    return needs


def signals_of(
    picture: Picture, makers: Iterable[Maker], context: RequestContext = NO_CONTEXT
) -> Signals:
    """What all ``makers``, detectors and recognisers, say of one picture: for whoever looks at one
    outside the pipeline."""
    makers = list(makers)
    detectors: list[Any] = [maker for maker in makers if not hasattr(maker, "needs")]
    recognisers: list[Any] = [maker for maker in makers if hasattr(maker, "needs")]
    signals = Signals(detector.detect([picture], [context])[0] for detector in detectors)
    for recogniser in in_order(recognisers):
        signals.add(recogniser.recognise(picture, signals, context))
    return signals
