"""Made-up reference images for tests of galleries."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from tapetum.gallery import Calibration, Galleries, Gallery, Kind, Reference, unit
from tapetum.signals.embedding import EmbeddingModel

MODEL = EmbeddingModel("m" * 64, 1280)
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
            "embedding": unit(np.abs(random.standard_normal(MODEL.dimensions)).astype(np.float32)),
            "pdq": random.bytes(32),
            "pdq_quality": 90,
            "features": random.bytes(100),
            "calibration": Calibration(0.2, 0.1, 0.5),
            "model": MODEL.name,
        }
        return Reference(**(fields | changes))

    return make


@pytest.fixture(scope="session")
def finds(made: MakeReference) -> Callable[..., bool]:
    """Whether the entries ``e0``, ``e1``, ... of those numbers in the gallery ``crawl`` are found,
    each by its reference image of the number."""

    def found(galleries: Galleries, numbers: Iterable[int]) -> bool:
        crawl = Gallery("crawl", Kind.WEB)
        for n in numbers:
            near = galleries.nearest(crawl, made(n).embedding, 3)
            codes = np.frombuffer(made(n).pdq, dtype=np.uint8)[None]
            if near[0].entry != f"e{n}" or near[0].similarity < 0.99:
                return False
            if [copy.entry for copy in galleries.copies(crawl, codes, 31)] != [f"e{n}"]:
                return False
        return True

    return found
