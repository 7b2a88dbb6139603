"""The label vocabulary: ImageNet-1k logits → words, broad and narrow.

A class is a narrow word ("Tabby cat"). A broader word ("Cat", "Mammal") is as probable as all the
classes below it together, so its score is the sum of theirs; no score is invented.

``tables/imagenet1k.json`` holds one line per class and per broader word. The hierarchy is that of
WordNet 3.0 (the WordNet licence, in NOTICE): an ancestor of a class was kept when its first lemma
names an Open Images class. Names of classes are the customary readable ones. MIDs are those
of the 601 boxable classes of Open Images, as shipped in the packages tensorflow-datasets and mmdet
(both Apache-2.0); a word without one there has none here. Ancestors of a wrong sense were struck
out by hand (a rain barrel is no armoured "Tank"), and words for one thing were joined. The
classes "web site", "menu" and "dust jacket" are all called Text: the network has no class for a
page, and called 24 of the 48 text images of the development set by one of them; none was one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

# Label smoothing leaves the network under-confident. 0.7 minimised the negative log-likelihood on
# hard crops, with an expected calibration error of 0.03 (0.19-0.25 at temperature 1).
TEMPERATURE = 0.7


@dataclass(frozen=True, slots=True)
class Word:
    """One word and the classes it covers.

    ``description``: English, first letter upper case. ``mid``: Knowledge Graph id or ``None``.
    ``classes``: indices of logits, ascending. ``narrow``: it names a class, not a group of them.
    """

    description: str
    mid: str | None
    classes: tuple[int, ...]
    narrow: bool = False


@dataclass(frozen=True, slots=True)
class LabelCandidate:
    """A word with its probability.

    ``score``: 0..1, the share of the softmax on the word's classes. ``specificity``: bits, the
    information that the word carries when it is right (0 for a word that covers every class).
    ``classes`` and ``narrow``: as in `Word`; no classes for a word that is not of a vocabulary.
    """

    description: str
    mid: str | None
    score: float
    specificity: float
    classes: frozenset[int] = frozenset()
    narrow: bool = False

    @property
    def evidence(self) -> float:
        """``score`` above chance, at most 1: 0 for a word that is as probable as by drawing a
        class blindly. 398 of 1000 classes are animals, so a picture of nothing is an animal with
        probability 0.4. (The correction is that of Cohen's kappa.)"""
        chance = 2.0**-self.specificity
        return (self.score - chance) / (1 - chance) if chance < 1 else 0.0


class Vocabulary:
    """Words over the classes of one network. Descriptions are unique."""

    def __init__(self, words: Iterable[Word], classes: int) -> None:
        self.words = tuple(sorted(words, key=lambda word: word.description))
        self.classes = classes
        self._sets = [frozenset(word.classes) for word in self.words]
        sizes = np.array([len(word.classes) for word in self.words])
        self._members = np.array([index for word in self.words for index in word.classes])
        self._starts = sizes.cumsum() - sizes
        self._specificities = [math.log2(classes / len(word.classes)) for word in self.words]

    @classmethod
    def packaged(cls) -> Self:
        """The ImageNet-1k vocabulary that ships with the package (about 80 kB of JSON)."""
        path = files("tapetum.features").joinpath("tables/imagenet1k.json")
        return cls.of_table(json.loads(path.read_text(encoding="utf-8")))

    @classmethod
    def of_table(cls, table: Mapping[str, list[dict[str, Any]]]) -> Self:
        """``table["leaves"]``: ``{wnid, name, mid}`` per class, in the order of the logits.
        ``table["ancestors"]``: ``{name, mid, leaves}``, ``leaves`` indices of classes.

        Entries of the same name become one word that covers the classes of both.
        """
        leaves = table["leaves"]
        merged: dict[str, Word] = {}
        entries = [(entry, entry["leaves"], False) for entry in table["ancestors"]]
        entries += [(entry, [index], True) for index, entry in enumerate(leaves)]
        for entry, indices, narrow in entries:
            description = _capitalised(entry["name"])
            known = merged.get(description.casefold())
            merged[description.casefold()] = Word(
                description=known.description if known else description,
                mid=(known.mid if known else None) or entry["mid"],
                classes=tuple(sorted({*(known.classes if known else ()), *indices})),
                narrow=narrow,
            )
        return cls(merged.values(), len(leaves))

    def candidates(self, logits: NDArray[np.float32], lowest: float = 0.0) -> list[LabelCandidate]:
        """Every word of score ``lowest`` and more, unsorted. ``logits``: ``float32[classes]``."""
        probabilities = softmax(logits, TEMPERATURE)
        sums = np.add.reduceat(probabilities[self._members], self._starts)
        return [
            LabelCandidate(
                description=self.words[index].description,
                mid=self.words[index].mid,
                score=min(1.0, float(sums[index])),
                specificity=self._specificities[index],
                classes=self._sets[index],
                narrow=self.words[index].narrow,
            )
            for index in np.flatnonzero(sums >= lowest).tolist()
        ]


def softmax(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """Probabilities of ``logits`` at ``temperature``; below 1 is more decided. Sums to 1."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    weights = np.exp(scaled - scaled.max())
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _capitalised(name: str) -> str:
    return name[:1].upper() + name[1:]
