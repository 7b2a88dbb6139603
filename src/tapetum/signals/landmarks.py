"""Landmarks: known places that a picture shows."""

from __future__ import annotations

from dataclasses import dataclass

from tapetum.signals.text import Point


@dataclass(frozen=True, slots=True)
class Landmark:
    """One place.

    ``name``; ``mid``: an id of a knowledge graph, empty where none is known. ``probability``: 0..1,
    that it is this place. ``outline``: the part of the picture that shows it, clockwise, x and y in
    pixels of the full-size upright image. ``location``: latitude and longitude, degrees, WGS 84,
    where they are known. ``inliers``: keypoints in agreement with a picture of it.
    """

    name: str
    mid: str
    probability: float
    outline: tuple[Point, ...]
    location: tuple[float, float] | None = None
    inliers: int = 0


@dataclass(frozen=True, slots=True)
class Landmarks:
    """The landmarks of one picture, the surest first, each once."""

    landmarks: tuple[Landmark, ...]
