"""Embeddings: pictures as vectors, by the layer of the classifier before its last."""

from __future__ import annotations

from collections.abc import Sequence

from tapetum.detectors.classes import ImageClasses, ImageClassifier
from tapetum.imaging.picture import Picture
from tapetum.models.session import Sessions
from tapetum.signals import Signals
from tapetum.signals.context import NO_CONTEXT, RequestContext
from tapetum.signals.embedding import Embedding, EmbeddingModel


class EmbeddingDetector:
    """Makes `Embedding` of `ImageClasses`, whose pass of the network it shares, and of pictures
    that are no image of a request (`tapetum.detectors.Embedder`)."""

    signal = Embedding
    needs = (ImageClasses,)

    def __init__(self, sessions: Sessions, model: EmbeddingModel) -> None:
        self.model = model
        self._classifier = ImageClassifier(sessions)

    def max_side(self, width: int, height: int) -> int:
        """As the classifier wants it."""
        return self._classifier.max_side(width, height)

    def recognise(
        self, picture: Picture, signals: Signals, context: RequestContext = NO_CONTEXT
    ) -> Embedding:
        """The embedding of ``picture``."""
        return Embedding(self.model, signals.of(ImageClasses).embedding)

    def embed(self, pictures: Sequence[Picture]) -> list[Embedding]:
        """One per picture. Raises `tapetum.errors.ModelError` when the network is unusable."""
        looked = self._classifier.detect(pictures)
        return [Embedding(self.model, classes.embedding) for classes in looked]
