"""Chains of labels: from "Animal" down to "Siamese cat", which words are worth saying."""

from __future__ import annotations

from collections.abc import Iterable

from tapetum.signals.labels import Label

#: Of a word's `Label.evidence` and of its probability: as probable as not, and that above chance.
#: 0.5 is also the lowest score that the service has been seen to return.
LOWEST_SCORE = 0.5


def told(labels: Iterable[Label], lowest: float = LOWEST_SCORE) -> list[Label]:
    """The labels worth saying, unsorted: of each chain at most three.

    A chain ends at a word of evidence ``lowest`` that has no such word below it. Of the words
    above it are kept the everyday one and the broadest: Kuvasz, Dog, Animal, and not Working dog,
    Carnivore, Mammal, Vertebrate. People sort things by such three levels, and name them by the
    middle one (Rosch et al., "Basic Objects in Natural Categories", Cognitive Psychology 8, 1976).
    The everyday word is taken to be the one, among those with a Knowledge Graph id, that is
    expected to tell most (`reward`): of the embedded vocabulary, only 601 everyday words have one.
    """
    likely = [label for label in labels if label.probability >= lowest and label.evidence >= lowest]
    with_narrower = {description for label in likely for description in label.word.broader}
    kept: dict[str, Label] = {}
    for label in likely:
        if label.word.description in with_narrower:
            continue
        above = [other for other in likely if other.word.description in label.word.broader]
        everyday = [other for other in above if other.word.mid is not None] or above
        chain = [label]
        if above:
            chain.append(max(everyday, key=lambda other: (reward(other), other.word.description)))
            chain.append(max(above, key=_breadth))
        kept.update((kept_label.word.description, kept_label) for kept_label in chain)
    return list(kept.values())


def broadest(label: Label, labels: Iterable[Label]) -> Label | None:
    """The broadest of ``labels`` above ``label``; ``None`` if its word heads its chain. Another
    word for just the same is not above it."""
    above = [
        other
        for other in labels
        if other.word.description in label.word.broader
        and other.word.specificity < label.word.specificity
    ]
    return max(above, key=_breadth, default=None)


def reward(label: Label) -> float:
    """The information a word is expected to give, bits: ``probability × specificity``.

    Deng et al., "Hedging Your Bets: Optimizing Accuracy-Specificity Trade-offs in Large Scale
    Visual Recognition", CVPR 2012.
    """
    return label.probability * label.word.specificity


def _breadth(label: Label) -> tuple[float, str]:
    return -label.word.specificity, label.word.description
