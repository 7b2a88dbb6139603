"""How a face looks: expression, sharpness, brightness, headwear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.detectors import classes
from tapetum.detectors.classes import network_input
from tapetum.detectors.faces.crops import Square
from tapetum.detectors.faces.mesh import square_of_mesh
from tapetum.imaging.picture import Picture
from tapetum.models.session import Sessions

WEIGHTS = "face-expression"
#: The order of `FaceAttributes.expression`.
EXPRESSIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")

#: Of the expression network's input, pixels.
_SIDE = 112
#: Times the mesh's box; the best of ten tried on the portraits.
_LARGER = 1.1
#: Faces per run: bounds memory in a crowd.
_ROWS = 64
#: Of grey: a flat patch is neither sharp nor blurred.
_LEAST_VARIANCE = 25.0

#: ImageNet-1k classes of things worn on a head: bathing cap, bearskin, bonnet, cowboy hat, crash
#: helmet, football helmet, mortarboard, pickelhaube, shower cap, sombrero.
HATS = (433, 439, 452, 515, 518, 560, 667, 715, 793, 808)
#: Side of the cut around a head, times the larger side of the face's box.
_HEAD = 2.0
#: How far its centre is above the box's, times the box's height.
_HEAD_UP = 0.35
#: Headwear is looked for on at most so many faces of a picture, the largest.
HEADS = 32


@dataclass(frozen=True, slots=True, eq=False)
class FaceAttributes:
    """``expression``: ``float32[7]``, probabilities of `EXPRESSIONS`, sum 1. ``sharpness``: 0 and
    up, variance of the Laplacian over variance of the grey. ``luma``: 0..255, mean brightness.
    ``headwear``: 0..1, probability of the hat classes; NaN where it was not looked for.
    """

    expression: NDArray[np.float32]
    sharpness: float
    luma: float
    headwear: float


class FaceAttributeReader:
    """Makes `FaceAttributes` with the manifest's ``face-expression`` and ``efficientnet-lite2``."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def read(
        self,
        pixels: NDArray[np.uint8],
        boxes: Sequence[tuple[float, float, float, float]],
        meshes: Sequence[NDArray[np.float64]],
    ) -> list[FaceAttributes]:
        """One per face, in order; ``boxes`` (x0, y0, x1, y1) and ``meshes`` (``468×3``) in pixels
        of ``pixels`` (``uint8 H×W×3`` RGB).

        Raises `tapetum.errors.ModelError` when the weights are missing or not the manifest's.
        """
        squares = [square_of_mesh(mesh, _LARGER) for mesh in meshes]
        sizes = [max(x1 - x0, y1 - y0) for x0, y0, x1, y1 in boxes]
        largest = set(np.argsort([-size for size in sizes], kind="stable")[:HEADS].tolist())
        return [
            FaceAttributes(
                expression=expression,
                sharpness=sharpness,
                luma=luma,
                headwear=self._headwear(pixels, boxes[i]) if i in largest else float("nan"),
            )
            for i, (expression, (sharpness, luma)) in enumerate(
                zip(
                    self._expressions(pixels, squares),
                    (light_and_detail(pixels, square) for square in squares),
                    strict=True,
                )
            )
        ]

    def _expressions(
        self, pixels: NDArray[np.uint8], squares: Sequence[Square]
    ) -> list[NDArray[np.float32]]:
        session = self._sessions.load(WEIGHTS)
        rows: list[NDArray[np.float32]] = []
        for start in range(0, len(squares), _ROWS):
            cuts = np.stack(
                [square.cut(pixels, _SIDE) for square in squares[start : start + _ROWS]]
            )
            rows += list(np.asarray(session.run(cuts.astype(np.float32))[0], dtype=np.float32))
        return rows

    def _headwear(self, pixels: NDArray[np.uint8], box: tuple[float, float, float, float]) -> float:
        """One run per face: see `tapetum.detectors.classes.ImageClassifier.detect`."""
        session = self._sessions.load(classes.WEIGHTS)
        head = head_square(box).cut(pixels, 292)
        outputs = dict(
            zip(session.outputs, session.run(network_input(Picture(head, 292, 292))), strict=True)
        )
        logits = outputs["logits"][0].astype(np.float64)
        weights = np.exp(logits - logits.max())
        return float(weights[list(HATS)].sum() / weights.sum())


def head_square(box: tuple[float, float, float, float]) -> Square:
    """The upright square around the head of a face's ``box``."""
    x0, y0, x1, y1 = box
    return Square(
        x=(x0 + x1) / 2,
        y=(y0 + y1) / 2 - _HEAD_UP * (y1 - y0),
        side=max(1.0, _HEAD * max(x1 - x0, y1 - y0)),
        angle=0.0,
    )


def light_and_detail(pixels: NDArray[np.uint8], square: Square) -> tuple[float, float]:
    """Sharpness and mean luma of what is in ``square``.

    A face is never enlarged for this, which would make it look blurred, and a large one is
    shrunk to 112 pixels: blur is what is missing at the size that a face is looked at.
    """
    size = max(8, min(_SIDE, round(square.side)))
    grey = cv2.cvtColor(square.cut(pixels, size), cv2.COLOR_RGB2GRAY)
    detail = cv2.Laplacian(grey, cv2.CV_32F, borderType=cv2.BORDER_REPLICATE)
    variance = max(_LEAST_VARIANCE, float(grey.var()))
    return float(detail.var()) / variance, float(grey.mean())
