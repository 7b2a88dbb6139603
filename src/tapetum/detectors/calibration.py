"""From a network's raw score to a probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Scores are kept this far inside 0..1, where the logarithms are finite.
_EDGE = 1e-6


@dataclass(frozen=True, slots=True)
class BetaCalibration:
    """``logit p = a · ln s - b · ln(1 - s) + c`` for a raw score s in 0..1.

    Kull, Silva Filho and Flach, "Beta calibration", AISTATS 2017: three numbers, fitted by
    maximum likelihood. With ``a`` and ``b`` not negative the map never turns the order of two
    scores around; ``BetaCalibration(1, 1, 0)`` changes nothing.
    """

    a: float
    b: float
    c: float

    def probability(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probabilities of ``scores``, same shape, 0..1. Scores outside 0..1 count as 0 or 1."""
        inside = np.clip(np.asarray(scores, dtype=np.float64), _EDGE, 1 - _EDGE)
        logit = self.a * np.log(inside) - self.b * np.log1p(-inside) + self.c
        return np.asarray(1 / (1 + np.exp(-logit)), dtype=np.float64)
