"""SAFE_SEARCH_DETECTION: five likelihoods.

What each rests on, plainly; **no recall was measured**, there being no test pictures of such
content here. *adult*: two networks for nudity, which must agree. *racy*: one of them, believed
more where the classifier sees swimwear or underwear. *violence* and *medical*: objects such as
guns or syringes, which are neither a fight nor an operation, so never above POSSIBLE. *spoof*:
the layout of a meme, large lettering above and below over a photograph.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tapetum.detectors.adult import AdultScores
from tapetum.detectors.captions import Captions
from tapetum.detectors.classes import ImageClasses
from tapetum.detectors.photo_statistics import PhotoStatistics
from tapetum.features import Ask
from tapetum.features.likelihood import (
    LIKELY,
    POSSIBLE,
    UNLIKELY,
    VERY_LIKELY,
    VERY_UNLIKELY,
    Cuts,
    likelihood,
)
from tapetum.features.vocabulary import TEMPERATURE, softmax
from tapetum.signals import Signals

SAFE_SEARCH_DETECTION = 6  # Feature.Type

ADULT: Cuts = (0.1, 0.3, 0.5, 0.8)
"""Of 1000 ordinary photographs 971, 21, 4, 3 and 1 fell between these."""

RACY: Cuts = (0.1, 0.3, 0.5, 0.8)

OBJECTS: Cuts = (0.2, 0.6, 2.0, 3.0)
"""Of a group's probability: the last two cannot be reached."""

SPOOF_CLASS = 0.5

EDGE = 0.3
"""A caption's middle is in this share of the height from the upper or lower edge."""

LETTERING = (0.045, 0.2)
"""Height of large caption lettering, as a share of the picture's."""

LEVEL = math.tan(math.radians(3))
MIDDLE = 0.12
"""A caption's middle is within this share of the width from the picture's."""

SHORT, WIDE = 0.25, 0.5
"""Widths of a caption, as shares of the picture's: the least, and that of a caption across it."""

MOST_LETTERING, MOST_LINES = 0.5, 9
"""More lettering is a poster or a page, not a photograph with a caption."""

PHOTOGRAPH = 0.8
"""Most of a photograph's `PhotoStatistics.flatness`: slides and title pages have headings too."""


@dataclass(frozen=True, slots=True)
class ClassGroups:
    """Classes of `ImageClasses` by what they may be a sign of: sets of indices.

    ``violence``: weapons and war machines. ``medical``: things of hospitals. ``racy``: swimwear,
    underwear and the like. ``spoof``: comic books and masks. ``harmless``: animals and food,
    which the networks for nudity mistake for skin.
    """

    violence: frozenset[int]
    medical: frozenset[int]
    racy: frozenset[int]
    spoof: frozenset[int]
    harmless: frozenset[int]

    @classmethod
    def packaged(cls) -> Self:
        """The groups that ship with the package, ``tables/safesearch_groups.json``."""
        path = files("tapetum.features").joinpath("tables/safesearch_groups.json")
        return cls.of_table(json.loads(path.read_text(encoding="utf-8")))

    @classmethod
    def of_table(cls, table: Mapping[str, Sequence[Any]]) -> Self:
        """``table[group]``: runs of classes, ``{first, last, name}``, ``last`` included."""
        groups = {
            group: frozenset(
                index for run in runs for index in range(run["first"], run["last"] + 1)
            )
            for group, runs in table.items()
        }
        return cls(**groups)


class SafeSearchDetection:
    """`AdultScores`, `ImageClasses`, `Captions`, `PhotoStatistics` → ``safe_search_annotation``."""

    type = SAFE_SEARCH_DETECTION
    needs = (AdultScores, ImageClasses, Captions, PhotoStatistics)

    def __init__(self, groups: ClassGroups | None = None) -> None:
        self._given = groups

    @cached_property
    def _groups(self) -> ClassGroups:
        # On first use: a server that is never asked for safe search reads no table.
        return self._given if self._given is not None else ClassGroups.packaged()

    def describe(self, ask: Ask, signals: Signals, response: Any) -> None:
        """All five fields, each 1 (VERY_UNLIKELY) to 5 (VERY_LIKELY), never UNKNOWN."""
        scores = signals.of(AdultScores)
        shares = softmax(signals.of(ImageClasses).logits, TEMPERATURE)
        groups = self._groups
        annotation = response.safe_search_annotation
        annotation.adult = likelihood(adult(scores), ADULT)
        annotation.spoof = max(
            spoof(signals.of(Captions), signals.of(PhotoStatistics), ask.width, ask.height),
            UNLIKELY if _share(shares, groups.spoof) >= SPOOF_CLASS else VERY_UNLIKELY,
        )
        annotation.medical = min(POSSIBLE, likelihood(_share(shares, groups.medical), OBJECTS))
        annotation.violence = min(POSSIBLE, likelihood(_share(shares, groups.violence), OBJECTS))
        garments, harmless = _share(shares, groups.racy), _share(shares, groups.harmless)
        annotation.racy = likelihood(racy(scores, garments, harmless), RACY)


def adult(scores: AdultScores) -> float:
    """0..1: the geometric mean of what the two networks say.

    They err on different pictures, so both must be sure (Porn and Hentai count as one).
    """
    return math.sqrt(scores.open_nsfw * min(1.0, scores.porn + scores.hentai))


def racy(scores: AdultScores, garments: float, harmless: float) -> float:
    """0..1: Sexy, halved unless the classifier sees revealing clothes.

    ``garments``, ``harmless``: 0..1, its probabilities of those and of animals or food; half of
    all on such garments is belief enough. What is adult is racy too.
    """
    belief = 0.5 + 0.5 * min(1.0, 2 * garments)
    return max(adult(scores), scores.sexy * belief * (1 - harmless))


def spoof(captions: Captions, statistics: PhotoStatistics, width: int, height: int) -> int:
    """A likelihood: VERY_LIKELY for wide captions above and below over a photograph, LIKELY for
    narrower ones, UNLIKELY for one of them alone, VERY_UNLIKELY otherwise.

    The layout is that of image macros. Film posters and book covers share it: unlike those, a
    meme is mostly photograph.
    """
    is_page = captions.share > MOST_LETTERING or len(captions.quads) > MOST_LINES
    if is_page or statistics.flatness > PHOTOGRAPH:
        return VERY_UNLIKELY
    size = np.array([width, height], dtype=np.float32)
    above, below = 0.0, 0.0  # widths of the widest caption at either edge
    for quad in captions.quads / size:
        if _is_lettering(quad, width / height):
            x, y = quad.mean(axis=0)
            wide = float(quad[1, 0] - quad[0, 0])
            if abs(x - 0.5) <= MIDDLE and wide >= SHORT:
                above = max(above, wide) if y <= EDGE else above
                below = max(below, wide) if y >= 1 - EDGE else below
    if above and below:
        return VERY_LIKELY if min(above, below) >= WIDE else LIKELY
    return UNLIKELY if above or below else VERY_UNLIKELY


def _is_lettering(quad: NDArray[np.float32], aspect: float) -> bool:
    """Whether a line, in shares of the picture, is level and as high as caption lettering."""
    (wide, rise), (_, high) = quad[1] - quad[0], quad[3] - quad[0]
    least, most = LETTERING
    return bool(least <= high <= most and abs(rise) <= LEVEL * wide * aspect)


def _share(shares: NDArray[np.float64], classes: frozenset[int]) -> float:
    return min(1.0, float(shares[sorted(classes)].sum()))
