"""What pages speak of: the words that the pages of matching images share and others lack.

Phrases of one to four words from titles, alternative texts and captions, weighed by how rare they
are among the gallery's pages (tf-idf). No dictionary is needed, any language with spaces will do.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

from tapetum.signals.web import Mention, WebEntity

#: Words of a phrase.
LONGEST = 4
#: A page of an image that only looks alike, where one of a copy counts 1.
SIMILAR_WEIGHT = 0.3
#: Images that only look alike whose pages must have a phrase before it says anything.
AGREEING = 2
#: Entities.
MOST = 50
#: Scores below mean words that most pages have.
LEAST = 0.2

_FIELDS = {"title": 1.0, "alt": 1.0, "caption": 0.7}
_PARTS = re.compile(r"\s[-–—|·•»:]+\s|[,;:()\[\]{}|\"“”„«»…!?]|\.\s")
_WORD = re.compile(r"[^\W_]+(?:[-'’.&][^\W_]+)*")
#: A phrase neither begins nor ends with one of these, and no number stands alone.
_SMALL_WORDS = """
a about after all an and are as at be been but by can do for from had has have he her his how i if
in into is it its me more my no not of on one or our out she so some than that the their them then
there these they this to up was we were what when where which who why will with you your
image images photo photos picture pictures photograph jpg jpeg png file home page
der die das und ein eine im am von zu mit auf für ist le la les un une des du et en au aux pour par
sur dans el los las y del por con para il lo gli di e da do o
"""
_SMALL = frozenset(_SMALL_WORDS.split())


@dataclass(slots=True)
class Words:
    """How many of ``pages`` pages have each phrase, case-folded."""

    pages: int = 0
    having: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, mentions: Iterable[Mention]) -> Self:
        words = cls()
        for mention in mentions:
            words.pages += 1
            words.having.update({phrase.casefold() for phrase, _ in _phrases(mention)})
        return words

    def __add__(self, other: Words) -> Words:
        return Words(self.pages + other.pages, self.having + other.having)

    def rarity(self, phrase: str) -> float:
        """0 for a phrase that every page has, the logarithm of the pages for one that one has."""
        return max(0.0, math.log((self.pages + 1) / (self.having[phrase] + 0.5)))


def entities(
    matching: Sequence[Sequence[Mention]], similar: Sequence[Sequence[Mention]], words: Words
) -> list[WebEntity]:
    """What the pages of ``matching`` and ``similar`` images say, by falling score.

    Each image's pages count together as one, so that one image on a hundred pages is no chorus.
    """
    weight: dict[str, float] = defaultdict(float)
    written: dict[str, Counter[str]] = defaultdict(Counter)
    spoken: dict[str, Counter[str]] = defaultdict(Counter)
    agreeing: Counter[str] = Counter()
    matched: set[str] = set()
    for group, share in ((matching, 1.0), (similar, SIMILAR_WEIGHT)):
        for image in group:
            strength: dict[str, float] = defaultdict(float)
            for mention in image:
                for phrase, by_field in _phrases(mention):
                    key = phrase.casefold()
                    strength[key] += by_field / len(image)
                    written[key][phrase] += 1
                    if mention.language:
                        spoken[key][mention.language] += 1
            for key, value in strength.items():
                weight[key] += share * value
            agreeing.update(strength.keys())
            if share == 1.0:
                matched.update(strength)
    scores = {
        key: round(value * words.rarity(key), 6)
        for key, value in weight.items()
        if key in matched or agreeing[key] >= AGREEING
    }
    ordered = sorted(scores.items(), key=lambda item: (-item[1], -len(item[0]), item[0]))
    chosen: list[WebEntity] = []
    for key, score in ordered:
        if score < LEAST or len(chosen) == MOST:
            break
        if any(_within(key, other.description.casefold()) for other in chosen):
            continue
        chosen.append(WebEntity(_most(written[key]), score, _most(spoken[key])))
    return chosen


def _within(phrase: str, other: str) -> bool:
    """Whether either is a part of the other, word by word."""
    return f" {phrase} " in f" {other} " or f" {other} " in f" {phrase} "


def _most(counted: Counter[str]) -> str:
    return min(counted, key=lambda phrase: (-counted[phrase], phrase), default="")


def _phrases(mention: Mention) -> Iterator[tuple[str, float]]:
    """Phrases of a page's words about an image, with the weight of where they stand."""
    for name, weight in _FIELDS.items():
        for part in _PARTS.split(getattr(mention, name)):
            words = _WORD.findall(part)
            small = [word.casefold() in _SMALL for word in words]
            says = [
                _says(word) and not is_small for word, is_small in zip(words, small, strict=True)
            ]
            for start in range(len(words)):
                for end in range(start + 1, min(len(words), start + LONGEST) + 1):
                    if any(says[start:end]) and not (small[start] or small[end - 1]):
                        # Of two phrases on the same pages the longer one says more.
                        longer = 1 + 0.1 * (end - start - 1)
                        yield " ".join(words[start:end]), weight * longer


def _says(word: str) -> bool:
    return len(word) > 2 and not word.isdecimal()
