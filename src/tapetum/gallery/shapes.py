"""Shapes: flat marks of one colour as outlines, compared in a frame of their own.

A region's own spread sets the frame (its mean goes to the middle, its covariance to the unit
circle), so that a shape comes out the same at any size, stretch or slant; turning is tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 48
"""Of the frame, pixels."""

REACH = 2.4
"""Half the frame, in standard deviations of the shape."""

LONGEST = 640
"""Of the picture in which regions are looked for, pixels."""

_CLUSTERS = (5, 10)  # colours that a picture is cut into
_SAMPLED = 6000  # pixels that decide on the colours
_JOINED = (0, 4, 9)  # pixels between parts that belong to one region
_MOST = 25  # regions kept of each colour
_SMALLEST = (24, 16, 150)  # width, height and pixels of a region
_LARGEST = 0.7  # of the picture's sides
_THINNEST = 60.0  # ratio of the covariance's eigenvalues above which it is a line

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """``shape``: ``float32[48, 48]`` in 0..1, the region in its frame. ``frame``: ``float64[2, 3]``
    from pixels of the frame to pixels of the picture."""

    shape: Floats
    frame: NDArray[np.float64]


def framed(mask: NDArray[np.uint8], left: int = 0, top: int = 0) -> Region | None:
    """``mask`` (0 or more) at ``left``, ``top`` of a picture in its frame; none for a line."""
    moments = cv2.moments(mask)
    if moments["m00"] < 40:
        return None
    x, y = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
    covariance = (
        np.array([[moments["mu20"], moments["mu11"]], [moments["mu11"], moments["mu02"]]])
        / moments["m00"]
    )
    values, vectors = np.linalg.eigh(covariance)
    if values[0] < 1 or values[1] > _THINNEST * values[0]:
        return None
    # The symmetric root stretches and slants but does not turn.
    root = vectors @ np.diag(np.sqrt(values)) @ vectors.T * (2 * REACH / SIDE)
    centre = np.array([x, y]) - root @ np.full(2, (SIDE - 1) / 2)
    inside = np.column_stack([root, centre])
    shrunk = max(1.0, float(np.sqrt(values[0])) * 2 * REACH / SIDE)
    smooth = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.5 * shrunk)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shape = cv2.warpAffine(smooth / max(1.0, float(mask.max())), inside, (SIDE, SIDE), flags=flags)
    return Region(np.asarray(shape, np.float32), [*inside, [0, 0, left], [0, 0, top]])


def regions(pixels: NDArray[np.uint8]) -> Iterator[Region]:
    """The regions of one colour of a picture (``uint8`` RGB, longest side at most 640)."""
    rows, columns = pixels.shape[:2]
    smooth = cv2.bilateralFilter(pixels, 5, 30, 5)
    lab = cv2.cvtColor(smooth.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    random = np.random.default_rng(0)
    some = lab[random.choice(len(lab), min(len(lab), _SAMPLED), replace=False)]
    seen: set[tuple[int, ...]] = set()
    for clusters in _CLUSTERS:
        colour = _nearest(lab, _centres(some, clusters, random)).reshape(rows, columns)
        for k in range(clusters):
            mask = (colour == k).astype(np.uint8)
            for gap in _JOINED:
                joined = cv2.dilate(mask, np.ones((gap, gap), np.uint8)) if gap else mask
                _count, parts, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
                for j in np.argsort(-stats[1:, 4], kind="stable")[:_MOST] + 1:
                    x, y, w, h, area = (int(v) for v in stats[j])
                    if w < _SMALLEST[0] or h < _SMALLEST[1] or area < _SMALLEST[2]:
                        continue
                    if w > _LARGEST * columns or h > _LARGEST * rows:
                        continue
                    place = (x // 4, y // 4, w // 4, h // 4)
                    if place in seen:
                        continue
                    seen.add(place)
                    box = np.s_[y : y + h, x : x + w]
                    region = framed(mask[box] * (parts[box] == j), x, y)
                    if region is not None:
                        yield region


def _centres(points: Floats, count: int, random: np.random.Generator) -> Floats:
    """k-means: each first centre far from those before, the same for the same points."""
    centres = points[:1]
    distance = ((points - centres) ** 2).sum(axis=1)
    while len(centres) < count:
        chosen = (
            random.choice(len(points), p=distance / max(float(distance.sum()), 1e-9))
            if distance.sum() > 0
            else 0
        )
        centres = np.concatenate([centres, points[chosen : chosen + 1]])
        distance = np.minimum(distance, ((points - centres[-1]) ** 2).sum(axis=1))
    for _ in range(12):
        nearest = _nearest(points, centres)
        weight = np.bincount(nearest, minlength=count)
        sums = np.stack(
            [np.bincount(nearest, weights=points[:, c], minlength=count) for c in range(3)], axis=1
        )
        moved = np.where(weight[:, None] > 0, sums / np.maximum(weight, 1)[:, None], centres)
        centres = moved.astype(np.float32)
    return centres


def _nearest(points: Floats, centres: Floats) -> NDArray[np.intp]:
    # |p - c|² without |p|², which is the same for all centres.
    return np.asarray(((centres**2).sum(axis=1) - 2 * points @ centres.T).argmin(axis=1))


def unit_shapes(shapes: Floats) -> Floats:
    """``shapes`` (``[n, 48, 48]``) blurred, without their mean, of length 1: ``float32[n, 576]``."""
    small = np.stack(
        [
            cv2.resize(
                cv2.GaussianBlur(s, (0, 0), 1.2), (24, 24), interpolation=cv2.INTER_AREA
            ).ravel()
            for s in shapes
        ]
    )
    small -= small.mean(axis=1, keepdims=True)
    return small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6)


def turned(shape: Floats, degrees: float) -> Floats:
    middle = (SIDE - 1) / 2
    turn = cv2.getRotationMatrix2D((middle, middle), degrees, 1)
    return np.asarray(cv2.warpAffine(shape, turn, (SIDE, SIDE)), np.float32)
