"""Detectors: pixels → signal.

A *signal* (`tapetum.signals`) is a frozen dataclass that says what is in one picture, whatever
network it comes from. A *detector* makes one kind of signal; what a network's answers are called,
and how its scores become probabilities, stands beside it. Features (`tapetum.features`) turn
signals into Vision messages.

Detectors whose networks have several uses make a signal that other detectors alone read
(`ImageClasses`, `AdultScores`); those have ``needs``, like a `tapetum.recognisers.Recogniser`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

from tapetum.errors import ModelError
from tapetum.imaging.picture import Picture
from tapetum.signals.context import RequestContext
from tapetum.signals.embedding import Embedding, EmbeddingModel

S = TypeVar("S")
M = TypeVar("M", bound="Maker")


class Maker(Protocol):
    """Whatever makes the signal of class ``signal``: a detector or a recogniser."""

    @property
    def signal(self) -> type[Any]: ...


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


class Embedder(Protocol):
    """What the maker of `Embedding` does beside that: galleries have embeddings of pictures, and of
    parts of them, that are no image of a request."""

    @property
    def model(self) -> EmbeddingModel: ...

    def max_side(self, width: int, height: int) -> int:
        """As of a `Detector`."""
        ...

    def embed(self, pictures: Sequence[Picture]) -> list[Embedding]:
        """One per picture, in order, by ``model``."""
        ...


def by_signal(makers: Iterable[M]) -> dict[type[Any], M]:
    """``makers`` by the class of their signal. Raises `ModelError` for two of one signal."""
    table: dict[type[Any], M] = {}
    for maker in makers:
        other = table.setdefault(maker.signal, maker)
        if other is not maker:
            raise ModelError(
                f"{type(other).__qualname__} and {type(maker).__qualname__} both make "
                f"{maker.signal.__name__}: wire one of them."
            )
    return table
