"""The shape of a face: 468 points in space and where it looks, by MediaPipe Face Mesh.

Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", 2019.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tapetum.detectors.faces.boxes import FaceBox
from tapetum.detectors.faces.crops import Square
from tapetum.models.session import Session, Sessions

WEIGHTS = "facemesh"
POINTS = 468
#: Of the network's input, pixels.
_SIDE = 192
#: The network was trained on a square this much larger than the face.
_LARGER = 1.5
#: The first mesh says better than the box where the face is.
_PASSES = 2
#: Faces per run: bounds memory in a crowd.
_ROWS = 32

#: Outer corners of the eyes, the viewer's left one first.
LEFT_CORNER, RIGHT_CORNER = 33, 263
#: Of the face, before the ears.
_LEFT_EDGE, _RIGHT_EDGE = 234, 454
_TOP, _CHIN = 10, 152
#: Degrees added to the measured tilt, whose median over 546 portraits was -5.3. Two faces whose
#: service answers are known wanted +3.5 and +7.
TILT_BIAS = 5.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FaceMesh:
    """The shape of one face, in pixels of the picture it was measured in.

    ``points``: ``float64[468, 3]``, MediaPipe's order; x to the right, y down, z away from the
    viewer in the same unit, its origin about the middle of the head. ``confidence``: 0..1, that
    there is a face with these points; near 1 for nearly all, low for covered ones and profiles.
    """

    points: Floats
    confidence: float


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a face looks, degrees. ``roll``, -180..180: clockwise in the image. ``pan``,
    -90..90: to the right of the image. ``tilt``, about -90..90: up.
    """

    roll: float
    pan: float
    tilt: float


class FaceMesher:
    """Makes meshes with the manifest's ``facemesh``, all faces of a picture together.

    On a CPU the rows of a batch do not touch each other: a face has the same mesh bit for bit
    alone and in company (a test holds it).
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def meshes(self, pixels: NDArray[np.uint8], boxes: Sequence[FaceBox]) -> list[FaceMesh]:
        """One mesh per box, in order; ``pixels``: ``uint8 H×W×3`` RGB.

        Raises `tapetum.errors.ModelError` when the weights are missing or not the manifest's.
        """
        if not boxes:
            return []
        session = self._sessions.load(WEIGHTS)
        squares = [_square_of_box(box) for box in boxes]
        meshes: list[FaceMesh] = []
        for _ in range(_PASSES):
            meshes = [
                mesh
                for start in range(0, len(squares), _ROWS)
                for mesh in _fitted(session, pixels, squares[start : start + _ROWS])
            ]
            squares = [square_of_mesh(mesh.points, _LARGER) for mesh in meshes]
        return meshes


def square_of_mesh(points: Floats, larger: float) -> Square:
    """The levelled square ``larger`` times as large as a mesh."""
    flat = points[:, :2]
    return Square.around(flat, flat[LEFT_CORNER], flat[RIGHT_CORNER], larger)


def pose_of(points: Floats) -> Pose:
    """The pose of a mesh (``468×3``).

    The axes of the head: to its side, the mean of the lines between the edges of the face and
    between the corners of the eyes; down, from the top to the chin, square to that; the third is
    square to both.
    """
    side = _unit(
        _unit(points[_RIGHT_EDGE] - points[_LEFT_EDGE])
        + _unit(points[RIGHT_CORNER] - points[LEFT_CORNER])
    )
    down = points[_CHIN] - points[_TOP]
    down = _unit(down - side * (side @ down))
    x, y, z = -np.cross(side, down)  # out of the face
    return Pose(
        roll=math.degrees(math.atan2(side[1], side[0])),
        pan=math.degrees(math.atan2(x, math.hypot(y, z))),
        tilt=math.degrees(math.atan2(-y, math.hypot(x, z))) + TILT_BIAS,
    )


def _square_of_box(face: FaceBox) -> Square:
    left, top, right, bottom = face.box
    (x0, y0), (x1, y1) = face.points[:2]
    return Square(
        x=(left + right) / 2,
        y=(top + bottom) / 2,
        side=max(1.0, right - left, bottom - top) * _LARGER,
        angle=math.atan2(y1 - y0, x1 - x0),
    )


def _fitted(
    session: Session, pixels: NDArray[np.uint8], squares: Sequence[Square]
) -> list[FaceMesh]:
    cuts = np.stack([square.cut(pixels, _SIDE) for square in squares])
    outputs = dict(zip(session.outputs, session.run(cuts.astype(np.float32) / 255), strict=True))
    shapes = outputs["mesh"].reshape(-1, POINTS, 3).astype(np.float64)
    return [
        FaceMesh(
            np.concatenate(
                [square.to_picture(shape[:, :2], _SIDE), shape[:, 2:] * (square.side / _SIDE)],
                axis=1,
            ),
            float(flag),
        )
        for square, shape, flag in zip(squares, shapes, outputs["flag"][:, 0], strict=True)
    ]


def _unit(vector: Floats) -> Floats:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
