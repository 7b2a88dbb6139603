"""Dominant colours: k-means in CIE Lab on a thumbnail."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.imaging.picture import Picture
from tapetum.signals.colours import Colour, DominantColours
from tapetum.signals.context import RequestContext

#: Of the thumbnail; the service counts on 12,000 to 18,000.
_PIXELS = 16_000
#: At most.
_COLOURS = 10
#: Of k-means, at most.
_ROUNDS = 20
#: Low bits of a channel that are one cell of the histogram.
_CELL_BITS = 3
#: ΔE*ab of a just noticeable difference (Mahy et al. 1994): closer is one colour.
_SAME = 2.3
#: Of a pixel without chroma, where the most vivid one weighs 1.02.
_GREY_WEIGHT = 0.02
#: Chroma in Lab units that counts as fully saturated.
_VIVID = 100.0

Floats = NDArray[np.float64]


class ColourDetector:
    """Makes `DominantColours`.

    ``score`` is our own definition: each pixel weighs ``(0.02 + C/100) · exp(-(u² + v²))``, where
    C is its chroma in Lab (at most 100) and u, v run from -1 to 1 across the picture; a colour's
    score is its pixels' share of all weight. A large grey ground thus scores low and a small
    vivid thing in the middle high, as in the service's records.

    Nothing is random: the first centre is the commonest colour, each next one the colour with the
    largest ``count × distance²`` to its nearest centre, until no colour is noticeably different.
    """

    signal = DominantColours

    def max_side(self, width: int, height: int) -> int:
        """The longest side of the thumbnail."""
        return max(thumbnail_size(width, height))

    def detect(
        self, pictures: Sequence[Picture], contexts: Sequence[RequestContext] = ()
    ) -> list[DominantColours]:
        """One `DominantColours` per picture."""
        return [_dominant(picture) for picture in pictures]


def thumbnail_size(width: int, height: int) -> tuple[int, int]:
    """Width and height, aspect kept, at most about 16,000 pixels together, at least 1 each."""
    scale = min(1.0, math.sqrt(_PIXELS / (width * height)))
    columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
    return min(columns, _PIXELS), min(rows, _PIXELS)


def _dominant(picture: Picture) -> DominantColours:
    columns, rows = thumbnail_size(picture.width, picture.height)
    thumbnail = picture.resized(columns, rows)
    flat = thumbnail.reshape(-1, 3)
    lab = cv2.cvtColor(np.asarray(thumbnail, dtype=np.float32) / 255, cv2.COLOR_RGB2LAB)
    lab = np.asarray(lab, dtype=np.float64).reshape(-1, 3)

    cell_of_pixel, cells, counts = _cells(flat, lab)
    colour_of_pixel = _cluster(cells, counts)[cell_of_pixel]

    fractions = np.bincount(colour_of_pixel) / len(flat)
    attention = _attention(lab, columns, rows)
    scores = np.bincount(colour_of_pixel, weights=attention) / attention.sum()
    rgb = _means(colour_of_pixel, flat)
    colours = [
        Colour(*_rounded(rgb[k]), float(scores[k]), float(part))
        for k, part in enumerate(fractions)
        if part > 0
    ]
    colours.sort(key=lambda c: (-c.score, -c.pixel_fraction, c.red, c.green, c.blue))
    return DominantColours(tuple(colours), len(flat))


def _cells(flat: NDArray[np.uint8], lab: Floats) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Pixels gathered in a 32×32×32 RGB histogram, which makes k-means ten times cheaper.

    The cell of each pixel, the mean Lab of each cell, and the cells' pixel counts.
    """
    red, green, blue = (flat >> _CELL_BITS).astype(np.int32).T
    keys = (red << 10) | (green << 5) | blue
    _, cell_of_pixel = np.unique(keys, return_inverse=True)
    counts = np.bincount(cell_of_pixel).astype(np.float64)
    return cell_of_pixel, _means(cell_of_pixel, lab), counts


def _cluster(cells: Floats, counts: Floats) -> NDArray[np.intp]:
    """The cluster of each cell: weighted k-means of Lab points ``cells`` (``n×3``)."""
    centres = _first_centres(cells, counts)
    nearest = _distances(cells, centres).argmin(axis=1)
    for _ in range(_ROUNDS):
        centres = _means(nearest, cells, counts)
        moved = _distances(cells, centres).argmin(axis=1)
        # A cluster that lost all its points is no more.
        moved = np.unique(moved, return_inverse=True)[1].astype(np.intp)
        if np.array_equal(moved, nearest):
            break
        nearest = moved
    return np.asarray(nearest, dtype=np.intp)


def _first_centres(cells: Floats, counts: Floats) -> Floats:
    chosen = [int(counts.argmax())]
    distance = _distances(cells, cells[chosen])[:, 0]
    while len(chosen) < _COLOURS:
        other = distance > _SAME**2
        if not other.any():
            break
        chosen.append(int((counts * distance * other).argmax()))
        distance = np.minimum(distance, _distances(cells, cells[chosen[-1:]])[:, 0])
    return cells[chosen]


def _distances(points: Floats, centres: Floats) -> Floats:
    """Squared distances, ``points × centres``."""
    difference = points[:, np.newaxis] - centres
    return np.asarray(np.einsum("pcd,pcd->pc", difference, difference), dtype=np.float64)


def _means(
    group: NDArray[np.intp], values: NDArray[np.uint8] | Floats, weights: Floats | None = None
) -> Floats:
    """The weighted mean of ``values`` (``n×3``) per group; groups are 0, 1, … without a gap."""
    weight = np.ones(len(values)) if weights is None else weights
    total = np.bincount(group, weights=weight)
    sums = [np.bincount(group, weights=values[:, k] * weight) for k in range(3)]
    return np.asarray(np.stack(sums, axis=1) / total[:, np.newaxis], dtype=np.float64)


def _rounded(rgb: Floats) -> tuple[int, int, int]:
    red, green, blue = rgb
    return round(float(red)), round(float(green)), round(float(blue))


def _attention(lab: Floats, columns: int, rows: int) -> Floats:
    """The weight of each pixel, row by row: vivid and central weighs more."""
    chroma = np.minimum(np.hypot(lab[:, 1], lab[:, 2]) / _VIVID, 1.0)
    u = (2 * np.arange(columns) + 1) / columns - 1
    v = (2 * np.arange(rows) + 1) / rows - 1
    central = np.exp(-(v[:, np.newaxis] ** 2 + u**2)).reshape(-1)
    return np.asarray((_GREY_WEIGHT + chroma) * central, dtype=np.float64)
