"""LABEL_DETECTION: what the picture as a whole shows."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from tapetum.detectors import Signals
from tapetum.detectors.classes import ImageClasses
from tapetum.features import Ask
from tapetum.features.vocabulary import LabelCandidate, Vocabulary

LABEL_DETECTION = 4  # Feature.Type
LOWEST_SCORE = 0.5  # the lowest that the service has been seen to return


class LabelDetection:
    """`ImageClasses` → ``label_annotations``."""

    type = LABEL_DETECTION
    needs = (ImageClasses,)

    def __init__(self, vocabulary: Vocabulary | None = None) -> None:
        self._given = vocabulary

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        # On first use: a server that is never asked for labels reads no table.
        return self._given if self._given is not None else Vocabulary.packaged()

    def describe(self, ask: Ask, signals: Signals, response: Any) -> None:
        """Labels of score 0.5 and more, by falling score, at most ``ask.max_results``.

        ``score`` is the probability of the word; ``topicality`` repeats it, as in the service's
        records. The field stays unset when no word reaches 0.5.
        """
        candidates = self._vocabulary.candidates(signals.of(ImageClasses).logits, LOWEST_SCORE)
        for label in chosen(candidates, ask.max_results):
            annotation = response.label_annotations.add(
                description=label.description, score=label.score, topicality=label.score
            )
            if label.mid is not None:
                annotation.mid = label.mid


def chosen(candidates: Iterable[LabelCandidate], limit: int) -> list[LabelCandidate]:
    """At most ``limit`` candidates of score 0.5 and more, by falling score, ties by name.

    A broad word is always at least as probable as a narrow one below it, so a limit applied to
    the score alone would keep "Animal, Vertebrate, Mammal" and lose "Siamese cat". Who must go is
    therefore decided by the information a word is expected to give, ``score × specificity``: the
    reward of Deng et al., "Hedging Your Bets: Optimizing Accuracy-Specificity Trade-offs in Large
    Scale Visual Recognition", CVPR 2012.
    """
    likely = [candidate for candidate in candidates if candidate.score >= LOWEST_SCORE]
    likely.sort(key=lambda label: (-label.score * label.specificity, label.description))
    return sorted(likely[:limit], key=lambda label: (-label.score, label.description))
