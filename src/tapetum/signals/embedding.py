"""Embedding: a picture as one vector; pictures that look alike have similar ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """What makes embeddings. Two vectors compare only where one model made both.

    ``name``: the SHA-256 of its weights, hex; ``dimensions``: the numbers of a vector.
    """

    name: str
    dimensions: int


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """``vector``: ``float32[n]``, not normalised, as ``model`` made it; a high cosine says that two
    pictures look alike. Raises `ValueError` for a vector of other dimensions than the model's."""

    model: EmbeddingModel
    vector: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.vector.shape != (self.model.dimensions,):
            raise ValueError(
                f"An embedding of {self.model.dimensions} numbers, not {self.vector.shape}."
            )
