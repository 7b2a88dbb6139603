"""Geometry of quadrilaterals, as in `tapetum.signals.text`: pixels, y grows downwards."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from tapetum.signals.text import Point, Quad

#: (x0, y0, x1, y1): left, top, right, bottom.
Box = tuple[float, float, float, float]


def box_around(points: Iterable[Point]) -> Box:
    """The upright box around ``points``, of which there is one at least."""
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def quad_of(box: Box) -> Quad:
    """The corners of an upright box, the top left one first."""
    x0, y0, x1, y1 = box
    return (x0, y0), (x1, y0), (x1, y1), (x0, y1)


def area(box: Box) -> float:
    """In square pixels; 0 where the box has no inside."""
    x0, y0, x1, y1 = box
    return max(0.0, x1 - x0) * max(0.0, y1 - y0)


def shared(box: Box, other: Box) -> Box:
    """What two boxes have in common; without an inside where they are apart."""
    return (
        max(box[0], other[0]),
        max(box[1], other[1]),
        min(box[2], other[2]),
        min(box[3], other[3]),
    )


def height_of(quad: Quad) -> float:
    """The length of the side at which text begins."""
    (x0, y0), _, _, (x1, y1) = quad
    return math.hypot(x1 - x0, y1 - y0)


def centre(quad: Quad) -> Point:
    """The mean of the four corners."""
    return sum(x for x, _ in quad) / 4, sum(y for _, y in quad) / 4


def weighted_median(values: Sequence[float], weights: Sequence[float]) -> float:
    """The smallest of ``values``, at least one, that half of the weight does not exceed."""
    order = sorted(range(len(values)), key=lambda i: (values[i], weights[i]))
    # One after the other: the sum must be the same on every version of Python.
    reached = list(accumulate(weights[i] for i in order))
    return values[order[bisect_left(reached, reached[-1] / 2)]]
