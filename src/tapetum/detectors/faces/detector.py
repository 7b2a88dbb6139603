"""Faces: where they are, their shape, where they look and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tapetum.detectors.faces.attributes import FaceAttributeReader, FaceAttributes
from tapetum.detectors.faces.boxes import FaceBox, FaceFinder, closer_size
from tapetum.detectors.faces.mesh import FaceMesh, FaceMesher, pose_of
from tapetum.imaging.picture import Picture
from tapetum.models.session import Sessions
from tapetum.signals.context import RequestContext

MOST = 200
"""Faces of one picture, at most: those of the best scores."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face. Coordinates are pixels of the full-size upright image, not clipped to it.

    ``box``: x0, y0, x1, y1 of the detector, forehead and chin included. ``points``:
    ``float64[5, 2]``, eyes, nose, corners of the mouth, the viewer's left one first. ``mesh``:
    ``float64[468, 3]``, x, y, z in MediaPipe's order; a smaller z is nearer.

    ``confidence``: 0.5..1 of the detector. ``landmark_confidence``: 0..1 of the mesh.
    ``roll``, ``pan``, ``tilt``: degrees, positive clockwise, to the right of the image, up.
    ``expression``: ``float32[7]``, probabilities in the order of
    `tapetum.detectors.faces.attributes.EXPRESSIONS`. ``sharpness``: 0 and up, ``luma``: 0..255,
    ``headwear``: 0..1 or NaN (not looked for), as in
    `tapetum.detectors.faces.attributes.FaceAttributes`.
    """

    box: tuple[float, float, float, float]
    points: NDArray[np.float64]
    mesh: NDArray[np.float64]
    confidence: float
    landmark_confidence: float
    roll: float
    pan: float
    tilt: float
    expression: NDArray[np.float32]
    sharpness: float
    luma: float
    headwear: float


@dataclass(frozen=True, slots=True)
class Faces:
    """At most 200 faces by falling ``confidence``."""

    faces: tuple[Face, ...]


class FaceDetector:
    """Makes `Faces`: boxes, then all meshes, then the looks of each face."""

    signal = Faces

    def __init__(self, sessions: Sessions) -> None:
        self._finder = FaceFinder(sessions)
        self._mesher = FaceMesher(sessions)
        self._looker = FaceAttributeReader(sessions)

    def max_side(self, width: int, height: int) -> int:
        """The longest side of the closer look, eight megapixels at most."""
        return max(closer_size(width, height))

    def detect(
        self, pictures: Sequence[Picture], contexts: Sequence[RequestContext] = ()
    ) -> list[Faces]:
        """One `Faces` per picture. Raises `tapetum.errors.ModelError` when a network is
        unusable."""
        return [self._faces(picture) for picture in pictures]

    def _faces(self, picture: Picture) -> Faces:
        # Other detectors may have asked for a larger picture: what is seen must not depend on it.
        rows, columns = picture.pixels.shape[:2]
        width, height = closer_size(picture.width, picture.height)
        pixels = picture.resized(width, height) if width * height < columns * rows else None
        pixels = picture.pixels if pixels is None else pixels
        boxes = self._finder.find(pixels)[:MOST]
        meshes = self._mesher.meshes(pixels, boxes)
        looks = self._looker.looks(
            pixels, [box.box for box in boxes], [mesh.points for mesh in meshes]
        )
        rows, columns = pixels.shape[:2]
        scale = (picture.width / columns, picture.height / rows)
        return Faces(
            tuple(
                _face(box, mesh, look, scale)
                for box, mesh, look in zip(boxes, meshes, looks, strict=True)
            )
        )


def _face(box: FaceBox, mesh: FaceMesh, looks: FaceAttributes, scale: tuple[float, float]) -> Face:
    """The parts of one face, enlarged by ``scale`` (x, y)."""
    x, y = scale
    x0, y0, x1, y1 = box.box
    pose = pose_of(mesh.points)
    return Face(
        box=(x0 * x, y0 * y, x1 * x, y1 * y),
        points=box.points * [x, y],
        mesh=mesh.points * [x, y, (x + y) / 2],
        confidence=min(1.0, box.score),
        landmark_confidence=mesh.confidence,
        roll=pose.roll,
        pan=pose.pan,
        tilt=pose.tilt,
        expression=looks.expression,
        sharpness=looks.sharpness,
        luma=looks.luma,
        headwear=looks.headwear,
    )
