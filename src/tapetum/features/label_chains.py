"""Chains of labels: from "Animal" down to "Siamese cat", which words are worth saying."""

from __future__ import annotations

from collections.abc import Iterable

from tapetum.features.vocabulary import LabelCandidate

#: Of a word's `LabelCandidate.evidence` and of its score: as probable as not, and that above
#: chance. 0.5 is also the lowest score that the service has been seen to return.
LOWEST_SCORE = 0.5


def told(
    candidates: Iterable[LabelCandidate], lowest: float = LOWEST_SCORE
) -> list[LabelCandidate]:
    """The candidates worth saying, unsorted: of each chain at most three.

    A chain ends at a word of evidence ``lowest`` that has no such word below it. Of the words
    above it are kept the everyday one and the broadest: Kuvasz, Dog, Animal, and not Working dog,
    Carnivore, Mammal, Vertebrate. People sort things by such three levels, and name them by the
    middle one (Rosch et al., "Basic Objects in Natural Categories", Cognitive Psychology 8, 1976).
    The everyday word is taken to be the one, among those with a Knowledge Graph id, that is
    expected to tell most (`reward`): only 601 everyday classes have one in the table.
    """
    likely = [one for one in candidates if one.score >= lowest and one.evidence >= lowest]
    kept: dict[str, LabelCandidate] = {}
    for word in likely:
        if any(_is_below(other, word) for other in likely):
            continue
        above = [other for other in likely if _is_below(word, other)]
        everyday = [other for other in above if other.mid is not None] or above
        chain = [word]
        if above:
            chain.append(max(everyday, key=lambda other: (reward(other), other.description)))
            chain.append(max(above, key=lambda other: (len(other.classes), other.description)))
        kept.update((one.description, one) for one in chain)
    return list(kept.values())


def broadest(word: LabelCandidate, candidates: Iterable[LabelCandidate]) -> LabelCandidate | None:
    """The broadest of ``candidates`` above ``word``; ``None`` if ``word`` heads its chain."""
    above = [other for other in candidates if other.classes > word.classes]
    return max(above, key=lambda other: (len(other.classes), other.description), default=None)


def reward(label: LabelCandidate) -> float:
    """The information a word is expected to give, bits: ``score × specificity``.

    Deng et al., "Hedging Your Bets: Optimizing Accuracy-Specificity Trade-offs in Large Scale
    Visual Recognition", CVPR 2012.
    """
    return label.score * label.specificity


def _is_below(one: LabelCandidate, other: LabelCandidate) -> bool:
    """``one`` is a narrower word than ``other`` in the same chain; of two words for the same
    classes that is the one that names a class, else the later in the alphabet."""
    if one.classes == other.classes:
        return (one.narrow, one.description) > (other.narrow, other.description)
    return one.classes < other.classes
