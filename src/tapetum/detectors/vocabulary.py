"""The label vocabulary: ImageNet-1k classes → words, broad and narrow.

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
from importlib.resources.abc import Traversable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tapetum.signals.labels import Labels, Word


@dataclass(frozen=True, slots=True)
class ClassWord:
    """One word and the classes it covers.

    ``description``: English, first letter upper case. ``mid``: Knowledge Graph id or ``None``.
    ``classes``: indices of logits. ``narrow``: it names a class, not a group of them.
    """

    description: str
    mid: str | None
    classes: frozenset[int]
    narrow: bool = False

    def is_below(self, other: ClassWord) -> bool:
        """Whether this is a narrower word than ``other`` in the same chain; of two words for the
        same classes that is the one that names a class, else the later in the alphabet."""
        if self.classes == other.classes:
            return (self.narrow, self.description) > (other.narrow, other.description)
        return self.classes < other.classes


class Vocabulary:
    """Words over the classes of one network. Descriptions are unique."""

    def __init__(self, words: Iterable[ClassWord], classes: int) -> None:
        self.words = tuple(sorted(words, key=lambda word: word.description))
        self.classes = classes
        sizes = np.array([len(word.classes) for word in self.words])
        self._members = np.array([index for word in self.words for index in sorted(word.classes)])
        self._starts = sizes.cumsum() - sizes
        self._told = _told(self.words, classes)

    @classmethod
    def read(cls, file: Traversable) -> Self:
        """The vocabulary of a JSON table (the packaged one has about 80 kB)."""
        return cls.of_table(json.loads(file.read_text(encoding="utf-8")))

    @classmethod
    def of_table(cls, table: Mapping[str, list[dict[str, Any]]]) -> Self:
        """``table["leaves"]``: ``{wnid, name, mid}`` per class, in the order of the logits.
        ``table["ancestors"]``: ``{name, mid, leaves}``, ``leaves`` indices of classes.

        Entries of the same name become one word that covers the classes of both.
        """
        leaves = table["leaves"]
        merged: dict[str, ClassWord] = {}
        entries = [(entry, entry["leaves"], False) for entry in table["ancestors"]]
        entries += [(entry, [index], True) for index, entry in enumerate(leaves)]
        for entry, indices, narrow in entries:
            description = _capitalised(entry["name"])
            known = merged.get(description.casefold())
            merged[description.casefold()] = ClassWord(
                description=known.description if known else description,
                mid=(known.mid if known else None) or entry["mid"],
                classes=frozenset({*(known.classes if known else ()), *indices}),
                narrow=narrow,
            )
        return cls(merged.values(), len(leaves))

    def labels(self, probabilities: NDArray[np.float64]) -> Labels:
        """Every word with the sum of its classes' ``probabilities`` (``float64[classes]``)."""
        sums = np.add.reduceat(probabilities[self._members], self._starts)
        return Labels(self._told, np.minimum(sums, 1.0))


def _told(words: tuple[ClassWord, ...], classes: int) -> tuple[Word, ...]:
    """``words`` without the classes: with what is broader instead."""
    of_class: dict[int, list[ClassWord]] = {}
    for word in words:
        for index in word.classes:
            of_class.setdefault(index, []).append(word)
    return tuple(
        Word(
            description=word.description,
            mid=word.mid,
            specificity=math.log2(classes / len(word.classes)),
            # Whatever is above a word covers each of its classes.
            broader=frozenset(
                other.description for other in of_class[min(word.classes)] if word.is_below(other)
            ),
            narrow=word.narrow,
        )
        for word in words
    )


def softmax(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """Probabilities of ``logits`` at ``temperature``; below 1 is more decided. Sums to 1."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    weights = np.exp(scaled - scaled.max())
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _capitalised(name: str) -> str:
    return name[:1].upper() + name[1:]
