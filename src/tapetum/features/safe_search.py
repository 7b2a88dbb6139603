"""SAFE_SEARCH_DETECTION: five likelihoods.

*adult* and *racy* are what `Safety` says. So are *violence* and *medical*; but where they rest on
things such as guns or syringes, which are neither a fight nor an operation, they are never above
POSSIBLE. *spoof* is also the layout of a meme: large lettering above and below over a photograph.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapetum.features import Ask
from tapetum.features.likelihood import (
    LIKELY,
    UNLIKELY,
    VERY_LIKELY,
    VERY_UNLIKELY,
    Cuts,
    likelihood,
)
from tapetum.signals import Signals
from tapetum.signals.captions import Captions
from tapetum.signals.photo_statistics import PhotoStatistics
from tapetum.signals.safety import Basis, Evidence, Safety

#: Feature.Type.
SAFE_SEARCH_DETECTION = 6

#: Of what the picture as a whole is seen as. Of 1000 ordinary photographs the evidence that they
#: are adult fell 971, 21, 4, 3 and 1 times between these.
OF_SCENES: Cuts = (0.1, 0.3, 0.5, 0.8)

#: Of things that go with it: the last two cannot be reached, a gun is no fight.
OF_THINGS: Cuts = (0.2, 0.6, 2.0, 3.0)

#: Of a comic book or a mask, which may be anything: no more than UNLIKELY.
SPOOF_THINGS: Cuts = (0.5, 2.0, 3.0, 4.0)

#: A caption's middle is in this share of the height from the upper or lower edge.
EDGE = 0.3

#: Height of large caption lettering, as a share of the picture's.
LETTERING = (0.045, 0.2)

#: Most slope of a level caption.
LEVEL = math.tan(math.radians(3))
#: A caption's middle is within this share of the width from the picture's.
MIDDLE = 0.12

#: Widths of a caption, as shares of the picture's: the least, and that of a caption across it.
SHORT, WIDE = 0.25, 0.5

#: More lettering is a poster or a page, not a photograph with a caption.
MOST_LETTERING, MOST_LINES = 0.5, 9

#: Most of a photograph's `PhotoStatistics.flatness`: slides and title pages have headings too.
PHOTOGRAPH = 0.8


class SafeSearchDetection:
    """`Safety`, `Captions`, `PhotoStatistics` → ``safe_search_annotation``."""

    type = SAFE_SEARCH_DETECTION
    needs = (Safety, Captions, PhotoStatistics)

    def describe(self, ask: Ask, signals: Signals, response: Any) -> None:
        """All five fields, each 1 (VERY_UNLIKELY) to 5 (VERY_LIKELY), never UNKNOWN."""
        safety = signals.of(Safety)
        annotation = response.safe_search_annotation
        annotation.adult = told(safety.adult)
        annotation.spoof = max(
            spoof(signals.of(Captions), signals.of(PhotoStatistics), ask.width, ask.height),
            told(safety.spoof, SPOOF_THINGS),
        )
        annotation.medical = told(safety.medical)
        annotation.violence = told(safety.violence)
        annotation.racy = told(safety.racy)


def told(evidence: Evidence, of_things: Cuts = OF_THINGS) -> int:
    """The likelihood of ``evidence``; ``of_things``: where the likelihoods begin of what rests on
    things."""
    cuts = of_things if evidence.basis is Basis.THINGS else OF_SCENES
    return likelihood(evidence.probability, cuts)


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
