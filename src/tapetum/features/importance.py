"""How important each part of a picture is: saliency, objects, text and faces in one map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tapetum.features.objects import LOWEST_SCORE
from tapetum.signals import Signals
from tapetum.signals.captions import Captions
from tapetum.signals.faces import Faces
from tapetum.signals.objects import Objects
from tapetum.signals.quads import Box
from tapetum.signals.saliency import Saliency

#: What each kind weighs when it is there. People look at faces first (Cerf et al., "Predicting
#: human gaze using low-level saliency combined with face detection", NIPS 2007).
SALIENCY, OBJECTS, TEXT, FACES = 1.0, 1.0, 1.0, 3.0
#: A face is drawn larger by this share of its sides: hair and chin belong to it, and a crop that
#: gives up the last hundredth of importance still does not cut the face.
FACE_MARGIN = 0.15

Floats = NDArray[np.float64]


def importance(signals: Signals, width: int, height: int) -> Floats:
    """``float64[h, w]``, non-negative, sums to 1: a map of a picture of ``width×height`` pixels.

    In the shape of `Saliency`. Faces and objects share their kind's weight by confidence and the
    square root of their area: a large face counts more than a small one, but not all. So do lines
    of text, each as the upright box around it.
    """
    saliency = signals.of(Saliency).importance.astype(np.float64)
    total = SALIENCY * saliency / saliency.sum()
    faces = signals.of(Faces).faces
    grown = [_grown(face.box) for face in faces]
    total += FACES * _boxes(grown, [face.confidence for face in faces], total.shape, width, height)
    things = signals.of(Objects).likely(LOWEST_SCORE)
    boxes, sure = [thing.box for thing in things], [thing.probability for thing in things]
    total += OBJECTS * _boxes(boxes, sure, total.shape, width, height)
    quads = signals.of(Captions).quads
    lines = [_around(quad) for quad in quads]
    total += TEXT * _boxes(lines, [1.0] * len(lines), total.shape, width, height)
    return np.asarray(total / total.sum())


def _around(quad: NDArray[np.float32]) -> Box:
    """The upright box around the corners ``quad`` (``4×2``)."""
    (x0, y0), (x1, y1) = quad.min(axis=0).tolist(), quad.max(axis=0).tolist()
    return x0, y0, x1, y1


def _grown(box: Box) -> Box:
    x0, y0, x1, y1 = box
    wide, high = FACE_MARGIN * (x1 - x0), FACE_MARGIN * (y1 - y0)
    return x0 - wide, y0 - high, x1 + wide, y1 + high


def _boxes(
    boxes: Sequence[Box],
    confidences: Sequence[float],
    shape: tuple[int, ...],
    width: int,
    height: int,
) -> Floats:
    """``boxes`` as evenly filled parts of a map of ``shape`` that sums to 1, or to 0 without any.

    Parts of boxes outside the picture count for nothing.
    """
    total = np.zeros(shape)
    for (x0, y0, x1, y1), confidence in zip(boxes, confidences, strict=True):
        across = _covered(x0 / width, x1 / width, shape[1])
        down = _covered(y0 / height, y1 / height, shape[0])
        area = across.sum() * down.sum()
        if area > 0:
            total += confidence / np.sqrt(area) * np.outer(down, across)
    whole = total.sum()
    return total / whole if whole > 0 else total


def _covered(low: float, high: float, parts: int) -> Floats:
    """How much of each of ``parts`` equal parts of 0..1 lies between ``low`` and ``high``."""
    edges = np.clip(np.linspace(0, 1, parts + 1), low, max(low, high))
    return np.diff(edges)
