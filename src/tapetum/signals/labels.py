"""Labels: words for what a picture as a whole shows, broad and narrow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a vocabulary.

    ``description``: English, first letter upper case. ``mid``: Knowledge Graph id or ``None``.
    ``specificity``: bits, the information that the word carries when it is right; 0 for a word that
    is true of every picture. ``broader``: descriptions of the words above it in its chain: what is
    a tabby is a cat, a mammal, an animal. ``narrow``: it names one kind of thing, not a group of
    kinds.
    """

    description: str
    mid: str | None
    specificity: float
    broader: frozenset[str] = frozenset()
    narrow: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """``word`` is true of the picture with ``probability``, 0..1."""

    word: Word
    probability: float

    @property
    def evidence(self) -> float:
        """``probability`` above chance, at most 1: 0 for a word that is as probable as by drawing
        a kind of thing blindly. Two of five kinds may be animals, so a picture of nothing is an
        animal with probability 0.4. (The correction is that of Cohen's kappa.)"""
        chance = 2.0**-self.word.specificity
        return (self.probability - chance) / (1 - chance) if chance < 1 else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Every word of one vocabulary, by description, each description once, and ``probabilities``:
    ``float64[n]``, 0..1, of each. A broad word is at least as probable as a narrow one below it."""

    words: tuple[Word, ...]
    probabilities: NDArray[np.float64]

    def likely(self, lowest: float = 0.0) -> list[Label]:
        """The labels of probability ``lowest`` and more, in the order of the words."""
        return [
            Label(self.words[index], float(self.probabilities[index]))
            for index in np.flatnonzero(self.probabilities >= lowest).tolist()
        ]
