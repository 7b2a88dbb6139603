"""Made-up reference images for tests of galleries."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest

from tapetum.gallery import DIMENSIONS, Calibration, Reference, unit

MODEL = "m" * 64
MakeReference = Callable[..., Reference]


@pytest.fixture(scope="session")
def made() -> MakeReference:
    """Makes the reference image number ``seed``; other fields by name."""

    def make(seed: int, **changes) -> Reference:
        random = np.random.default_rng(seed)
        fields = {
            "digest": hashlib.sha256(str(seed).encode()).hexdigest(),
            "source": f"{seed}.jpg",
            "width": 640,
            "height": 480,
            "embedding": unit(np.abs(random.standard_normal(DIMENSIONS)).astype(np.float32)),
            "pdq": random.bytes(32),
            "pdq_quality": 90,
            "features": random.bytes(100),
            "calibration": Calibration(0.2, 0.1, 0.5),
            "model": MODEL,
        }
        return Reference(**(fields | changes))

    return make
