"""Faces: where they are, their shape, where they look and how."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.resources.abc import Traversable

import numpy as np
from numpy.typing import NDArray

from tapetum.detectors.faces.attributes import (
    EXPRESSIONS,
    FaceAttributeReader,
    FaceAttributes,
)
from tapetum.detectors.faces.boxes import FaceBox, FaceFinder, closer_size
from tapetum.detectors.faces.mesh import FaceMesh, FaceMesher, pose_of
from tapetum.imaging.picture import Picture
from tapetum.models.session import Sessions
from tapetum.signals.context import RequestContext
from tapetum.signals.faces import Face, Faces, Place

#: Faces of one picture, at most: those of the best scores.
MOST = 200

Floats = NDArray[np.float64]


class FaceDetector:
    """Makes `Faces`, at most 200 in a picture, of confidence 0.5 and more: boxes, then all meshes,
    then the attributes of each face. ``vocabulary``: the file of `read_landmarks`."""

    signal = Faces

    def __init__(self, sessions: Sessions, vocabulary: Traversable) -> None:
        self._vocabulary = vocabulary
        self._finder = FaceFinder(sessions)
        self._mesher = FaceMesher(sessions)
        self._reader = FaceAttributeReader(sessions)

    @cached_property
    def _table(self) -> Mapping[str, tuple[int, ...]]:
        return read_landmarks(self._vocabulary)

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
        attributes = self._reader.read(
            pixels, [box.box for box in boxes], [mesh.points for mesh in meshes]
        )
        rows, columns = pixels.shape[:2]
        scale = (picture.width / columns, picture.height / rows)
        return Faces(
            tuple(
                _face(*parts, scale, self._table)
                for parts in zip(boxes, meshes, attributes, strict=True)
            )
        )


def landmarks(mesh: Floats, table: Mapping[str, tuple[int, ...]]) -> dict[str, Place]:
    """x, y, z of each landmark of ``table`` (`read_landmarks`). ``mesh``: ``468×3``."""
    places = {name: mesh[list(points)].mean(axis=0) for name, points in table.items()}
    return {name: (float(x), float(y), float(z)) for name, (x, y, z) in places.items()}


def read_landmarks(vocabulary: Traversable) -> dict[str, tuple[int, ...]]:
    """A JSON table's landmarks by name, in the order of their numbers: the points of the mesh that
    each is the mean of. All types but the two pupils, as the service answers."""
    rows = json.loads(vocabulary.read_text(encoding="utf-8"))["landmarks"]
    return {row["name"]: tuple(row["points"]) for row in rows}


def _face(
    box: FaceBox,
    mesh: FaceMesh,
    attributes: FaceAttributes,
    scale: tuple[float, float],
    table: Mapping[str, tuple[int, ...]],
) -> Face:
    """The parts of one face, enlarged by ``scale`` (x, y)."""
    x, y = scale
    x0, y0, x1, y1 = box.box
    pose = pose_of(mesh.points)
    return Face(
        box=(x0 * x, y0 * y, x1 * x, y1 * y),
        landmarks=landmarks(mesh.points * [x, y, (x + y) / 2], table),
        confidence=min(1.0, box.score),
        landmark_confidence=mesh.confidence,
        roll=pose.roll,
        pan=pose.pan,
        tilt=pose.tilt,
        expressions=dict(zip(EXPRESSIONS, attributes.expression.tolist(), strict=True)),
        sharpness=attributes.sharpness,
        luma=attributes.luma,
        headwear=attributes.headwear,
    )
