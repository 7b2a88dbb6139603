"""Faces: where they are, where they look, what they express."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tapetum.signals.quads import Box

#: x, y in pixels of the full-size upright image, and z, depth in the same unit: smaller is nearer.
Place: TypeAlias = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Face:
    """One face. Coordinates are pixels of the full-size upright image, not clipped to it.

    ``box``: forehead and chin included. ``landmarks``: places by the name of Vision's
    ``FaceAnnotation.Landmark.Type``, in the order of its numbers; as there, left is the viewer's.
    Depths count from a point of the maker's choice, the same for a whole face.

    ``confidence``: 0..1, that it is a face; ``landmark_confidence``: 0..1, that the landmarks are
    where they are said to be. ``roll``, ``pan``, ``tilt``: degrees, positive clockwise, to the
    right of the image, up. ``expressions``: probabilities by name, of which ``happy``, ``sad``,
    ``angry`` and ``surprised`` are four; together with the rest they add to 1.

    ``sharpness``: 0 and up, the variance of the Laplacian over the variance of the grey of the face
    as 112 pixels; a face in focus has 0.012 and more. ``luma``: 0..255, mean brightness.
    ``headwear``: 0..1, probability that something is worn on the head; NaN where it was not looked
    for.
    """

    box: Box
    landmarks: Mapping[str, Place]
    confidence: float
    landmark_confidence: float
    roll: float
    pan: float
    tilt: float
    expressions: Mapping[str, float]
    sharpness: float
    luma: float
    headwear: float


@dataclass(frozen=True, slots=True)
class Faces:
    """The faces of one picture by falling ``confidence``."""

    faces: tuple[Face, ...]
