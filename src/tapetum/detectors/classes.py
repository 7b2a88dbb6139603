"""Image classes: ImageNet-1k logits and an embedding, in one pass of EfficientNet-Lite2.

The weights and the preprocessing recipe are those of the TPU EfficientNet-Lite release: a centre
square, bicubic to the network's input, ``(x - 127) / 128``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.imaging.picture import Picture
from tapetum.models.session import Sessions
from tapetum.signals.context import RequestContext

WEIGHTS = "efficientnet-lite2"
#: Of the network's input, pixels.
_SIDE = 260
#: The recipe leaves this much of a 292-pixel short side outside the centre square.
_PADDING = 32


@dataclass(frozen=True, slots=True, eq=False)
class ImageClasses:
    """What the network says of the whole picture: for other detectors, which make `Labels`,
    `Safety` and `Embedding` of it.

    ``logits``: ``float32[1000]``, unnormalised, in ImageNet-1k order (sorted by WordNet id).
    ``embedding``: ``float32[1280]``, the pooled features before the last layer, not normalised;
    pictures that look alike have a high cosine.
    """

    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]


class ImageClassifier:
    """Makes `ImageClasses` with the manifest's ``efficientnet-lite2``."""

    signal = ImageClasses

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def max_side(self, width: int, height: int) -> int:
        """The longest side at which the short side is still 292 pixels."""
        longest, shortest = max(width, height), min(width, height)
        return min(longest, math.ceil((_SIDE + _PADDING) * longest / shortest))

    def detect(
        self, pictures: Sequence[Picture], contexts: Sequence[RequestContext] = ()
    ) -> list[ImageClasses]:
        """One `ImageClasses` per picture.

        The network runs on one picture at a time: on a CPU a batch is no faster, and kernels
        chosen by batch size would let a picture's neighbours change its last bits. Raises
        `tapetum.errors.ModelError` when the weights are missing or not the manifest's.
        """
        return [self._classify(picture) for picture in pictures]

    def _classify(self, picture: Picture) -> ImageClasses:
        session = self._sessions.load(WEIGHTS)
        outputs = dict(zip(session.outputs, session.run(network_input(picture)), strict=True))
        return ImageClasses(
            logits=np.asarray(outputs["logits"][0], dtype=np.float32),
            embedding=np.asarray(outputs["embedding"][0], dtype=np.float32),
        )


def network_input(picture: Picture) -> NDArray[np.float32]:
    """``float32[1, 3, 260, 260]``: the centre square of ``picture``, RGB, ``(x - 127) / 128``."""
    square = centre_square(picture.pixels)
    # The network was trained on bicubic without an anti-aliasing filter, and up to a factor of
    # two it does best with the same. Beyond that plain bicubic skips pixels: average areas.
    shrinks_much = square.shape[0] >= 2 * _SIDE
    way = cv2.INTER_AREA if shrinks_much else cv2.INTER_CUBIC
    small = cv2.resize(square, (_SIDE, _SIDE), interpolation=way)
    scaled = (np.asarray(small, dtype=np.float32) - 127) / 128
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[np.newaxis], dtype=np.float32)


def centre_square(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The centred square of 260/292 of the short side of ``pixels``, at least one pixel."""
    height, width = pixels.shape[:2]
    side = max(1, round(min(height, width) * _SIDE / (_SIDE + _PADDING)))
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]
