"""Labels: what an image classifier's classes are called, and how probable each word is."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib.resources.abc import Traversable

from tapetum.detectors.classes import ImageClasses
from tapetum.detectors.vocabulary import Vocabulary, softmax
from tapetum.imaging.picture import Picture
from tapetum.signals import Signals
from tapetum.signals.context import NO_CONTEXT, RequestContext
from tapetum.signals.labels import Labels


class LabelDetector:
    """Makes `Labels` of `ImageClasses`.

    ``vocabulary``: the file of `Vocabulary.read`. ``calibration``: ``temperature``, by which logits
    are divided to make probabilities of them.
    """

    signal = Labels
    needs = (ImageClasses,)

    def __init__(self, vocabulary: Traversable, calibration: Mapping[str, float]) -> None:
        self._file = vocabulary
        self._temperature = calibration["temperature"]

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Read on first use: a server that is never asked for labels reads no table."""
        return Vocabulary.read(self._file)

    def max_side(self, width: int, height: int) -> int:
        """1: it looks at no pixels."""
        return 1

    def recognise(
        self, picture: Picture, signals: Signals, context: RequestContext = NO_CONTEXT
    ) -> Labels:
        """The probability of each word."""
        logits = signals.of(ImageClasses).logits
        return self.vocabulary.labels(softmax(logits, self._temperature))
