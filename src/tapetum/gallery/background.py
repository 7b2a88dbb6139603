"""A background: embeddings of pictures that show nothing of interest, to compare entries with.

Some reference images resemble everything a little. Each is compared with thousands of unrelated
pictures when it is added, and only what resembles it more than any of those do counts.
"""

from __future__ import annotations

from importlib.resources import files
from io import BytesIO
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tapetum.errors import InvalidGallery
from tapetum.gallery import Calibration
from tapetum.signals.embedding import EmbeddingModel

#: A background picture this similar shows the same thing, and must not hide it.
_SAME = 0.95


class Background:
    """``embeddings``: ``float16[n, dimensions]``, each as `tapetum.gallery.unit` makes it, by
    ``model``. None calibrates nothing."""

    def __init__(self, embeddings: NDArray[np.float16], model: EmbeddingModel) -> None:
        if embeddings.ndim != 2 or embeddings.shape[1] != model.dimensions:
            raise InvalidGallery(f"A background is a matrix of rows of {model.dimensions} numbers.")
        self._rows = embeddings.astype(np.float32)
        self.model = model

    @classmethod
    def packaged(cls, model: EmbeddingModel) -> Self:
        """The one that ships (``background.npz``; NOTICE names its sources), empty when it was
        made by another than ``model``."""
        content = files("tapetum.gallery").joinpath("background.npz").read_bytes()
        with np.load(BytesIO(content), allow_pickle=False) as arrays:
            name, levels = str(arrays["model"]), arrays["levels"]
        rows = levels.astype(np.float32)
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
        nothing = np.zeros((0, model.dimensions), np.float16)
        return cls(rows.astype(np.float16) if name == model.name else nothing, model)

    def __len__(self) -> int:
        return len(self._rows)

    def calibrated(self, embedding: NDArray[np.float16]) -> Calibration:
        """How the background compares with a reference image's ``embedding``."""
        similarity = self._rows @ embedding.astype(np.float32)
        similarity = similarity[similarity < _SAME]
        if not len(similarity) or not embedding.any():
            return Calibration()
        return Calibration(
            float(similarity.mean()), float(similarity.std()), float(similarity.max())
        )
