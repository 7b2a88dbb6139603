"""Logos: brands' marks in a picture."""

from __future__ import annotations

from dataclasses import dataclass

from tapetum.signals.text import Point


@dataclass(frozen=True, slots=True)
class Logo:
    """``name`` and ``mid`` (often empty) of a logo at ``outline``: x and y in pixels of the
    full-size upright image, clockwise. ``probability``: 0..1, that it is this logo. ``inliers``:
    keypoints in agreement, 0 for a name."""

    name: str
    mid: str
    probability: float
    outline: tuple[Point, ...]
    inliers: int = 0


@dataclass(frozen=True, slots=True)
class Logos:
    """The logos of one picture by falling probability."""

    logos: tuple[Logo, ...]
