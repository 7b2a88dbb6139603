"""Safety: two networks for nudity, and the classifier's things that go with violence and the like.

**No recall was measured**, there being no test pictures of such content here. *adult*: the two
networks, which must agree. *racy*: one of them, believed more where the classifier sees swimwear or
underwear. *violence*, *medical* and *spoof*: things such as guns, syringes or comic books.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources.abc import Traversable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tapetum.detectors.adult import AdultScores
from tapetum.detectors.classes import ImageClasses
from tapetum.detectors.vocabulary import softmax
from tapetum.imaging.picture import Picture
from tapetum.signals import Signals
from tapetum.signals.context import NO_CONTEXT, RequestContext
from tapetum.signals.safety import Basis, Evidence, Safety


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
    def read(cls, file: Traversable) -> Self:
        """Those of a JSON table: ``table[group]`` is runs of classes, ``{first, last, name}``,
        ``last`` included."""
        table: Mapping[str, Sequence[Any]] = json.loads(file.read_text(encoding="utf-8"))
        groups = {
            group: frozenset(
                index for run in runs for index in range(run["first"], run["last"] + 1)
            )
            for group, runs in table.items()
        }
        return cls(**groups)


class SafetyDetector:
    """Makes `Safety` of `AdultScores` and `ImageClasses`.

    ``vocabulary``: the file of `ClassGroups.read`. ``calibration``: ``temperature``, as of
    `tapetum.detectors.labels.LabelDetector`.
    """

    signal = Safety
    needs = (AdultScores, ImageClasses)

    def __init__(self, vocabulary: Traversable, calibration: Mapping[str, float]) -> None:
        self._file = vocabulary
        self._temperature = calibration["temperature"]

    @cached_property
    def _groups(self) -> ClassGroups:
        # On first use: a server that is never asked for safe search reads no table.
        return ClassGroups.read(self._file)

    def max_side(self, width: int, height: int) -> int:
        """1: it looks at no pixels."""
        return 1

    def recognise(
        self, picture: Picture, signals: Signals, context: RequestContext = NO_CONTEXT
    ) -> Safety:
        """The evidence of ``picture``."""
        scores, groups = signals.of(AdultScores), self._groups
        shares = softmax(signals.of(ImageClasses).logits, self._temperature)
        garments, harmless = _share(shares, groups.racy), _share(shares, groups.harmless)
        return Safety(
            adult=Evidence(adult(scores), Basis.SCENE),
            spoof=Evidence(_share(shares, groups.spoof), Basis.THINGS),
            medical=Evidence(_share(shares, groups.medical), Basis.THINGS),
            violence=Evidence(_share(shares, groups.violence), Basis.THINGS),
            racy=Evidence(racy(scores, garments, harmless), Basis.SCENE),
        )


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


def _share(shares: NDArray[np.float64], classes: frozenset[int]) -> float:
    return min(1.0, float(shares[sorted(classes)].sum()))
