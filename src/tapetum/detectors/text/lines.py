"""Where lines of text stand in a picture: the detector network and its post-processing.

The network gives each pixel the probability that it lies in the shrunk kernel of a text line
("Real-time Scene Text Detection with Differentiable Binarization", Liao et al., AAAI 2020). A
line is a connected piece of that map; its smallest rectangle, grown back, is the line's
quadrilateral.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.models.session import Sessions
from tapetum.signals.quads import weighted_median

NETWORK = "ppocr-v6-detector"

#: The network halves its input five times: its sides are multiples of this.
STRIDE = 32
#: Largest input: a 4:3 photograph or an A4 page keeps about 2000 pixels on its long side.
MOST_PIXELS = 2000 * 1500
#: Smaller pictures are enlarged to about this many pixels, but no more than `MOST_ENLARGED`.
FEWEST_PIXELS = 1024 * 736

MOST_ENLARGED = 3.0

#: Of the first look. Lettering of a cap height of 10 pixels in a picture of `MOST_PIXELS` still
#: shows there as specks (measured on eleven photographs).
FIRST_PIXELS = 600_000
#: Height of a grown line, in pixels of the network's input, from which the look that found it will
#: do; about 1.4 times the height of its letters. Smaller ones are looked at again, larger.
LEGIBLE = 22.0
#: Pixels of the first look: a piece of at least this size that misses `SCORE_THRESHOLD` may be a
#: word in faint print. Clean pages have none, noise is smaller.
FAINT = 8.0
#: How many times as large faint print is looked at again.
CLOSER = 1.5
#: A first look is taken where the full size has at least so many times its pixels.
WORTH_A_LOOK = 1.4
#: A strip may be longer than a page, which is what keeps long receipts and web pages readable.
LONGEST_SIDE = 6000

KERNEL_THRESHOLD = 0.3
SCORE_THRESHOLD = 0.5
#: Thresholds of the PP-OCR detector's published configuration (mean probability of the kernel;
#: growth = area x ratio / perimeter).
UNCLIP_RATIO = 1.6
#: Pixels of the network's input: thinner pieces are specks, not lines.
THINNEST_KERNEL = 3.0
#: The same in the first look, where specks say that there are lines too small to be told.
SPECK = 1.5
#: -1..1 for each value of a pixel.
_LEVELS = (np.arange(256, dtype=np.float32) - np.float32(127.5)) * np.float32(2 / 255)
#: Far above the densest newspaper page; bounds the work on a picture of noise.
MOST_LINES = 5000


def input_size(width: int, height: int) -> tuple[int, int]:
    """The size, in pixels, at which the network looks at an image of ``width×height``.

    The same scale both ways. Bounded by area rather than by side, so that neither a long strip is
    shrunk until its letters vanish nor a thin one blown up.
    """
    area = width * height
    scale = min(1.0, (MOST_PIXELS / area) ** 0.5, LONGEST_SIDE / max(width, height))
    if area < FEWEST_PIXELS:
        room = LONGEST_SIDE / max(width, height)
        scale = min((FEWEST_PIXELS / area) ** 0.5, MOST_ENLARGED, room)
    return _fitted(width, height, scale)


def _fitted(width: int, height: int, scale: float) -> tuple[int, int]:
    return max(1, round(width * scale)), max(1, round(height * scale))


class LineFinder:
    """Finds the lines of one picture. Stateless; may be called from several threads at once."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def find(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """The lines of ``pixels`` (``uint8`` RGB ``H×W×3``) in reading order.

        Each is a ``float32`` ``4×2`` rectangle (x, y) in pixels of ``pixels``, at any angle:
        top-left, top-right, bottom-right, bottom-left for text within 45 degrees of level. A
        corner may lie outside the picture. No lines, no entries.
        """
        rows, columns = pixels.shape[:2]
        quads, (width, height) = self._looks(pixels)
        back = np.array([columns / width, rows / height], dtype=np.float32)
        return reading_order([quad * back for quad in quads])

    def find_at(
        self, pixels: NDArray[np.uint8], width: int, height: int
    ) -> list[NDArray[np.float32]]:
        """The lines that show when ``pixels`` are seen as ``width×height``, in no order.

        Each is a rectangle as in `find`, but in pixels of that size.
        """
        pieces = self._pieces(pixels, width, height, THINNEST_KERNEL)
        return [quad for quad, score in pieces if score >= SCORE_THRESHOLD]

    def _pieces(
        self, pixels: NDArray[np.uint8], width: int, height: int, thinnest: float
    ) -> list[tuple[NDArray[np.float32], float]]:
        (kernels,) = self._sessions.load(NETWORK).run(_network_input(pixels, width, height))
        return _rectangles(kernels[0, 0, :height, :width], thinnest)

    def _looks(
        self, pixels: NDArray[np.uint8]
    ) -> tuple[list[NDArray[np.float32]], tuple[int, int]]:
        """The lines, and the size of the picture they were found in.

        Large print is found in a small picture, at a fraction of the cost. So the first look is at
        few pixels, and only what is small or faint there is looked at again, as large as it needs.
        """
        rows, columns = pixels.shape[:2]
        full = input_size(columns, rows)
        first = _fitted(columns, rows, min(1.0, (FIRST_PIXELS / (columns * rows)) ** 0.5))
        if full[0] * full[1] < WORTH_A_LOOK * first[0] * first[1]:
            return self.find_at(pixels, *full), full
        pieces = self._pieces(pixels, *first, SPECK)
        quads = [quad for quad, score in pieces if score >= SCORE_THRESHOLD]
        larger = max((LEGIBLE / min(_sides(quad)) for quad in quads), default=1.0)
        if any(score < SCORE_THRESHOLD and min(_sides(quad)) >= FAINT for quad, score in pieces):
            larger = max(larger, CLOSER)
        if larger <= 1:
            return quads, first
        size = min(_fitted(columns, rows, larger * first[0] / columns), full)
        closer = self.find_at(pixels, *size)
        return (closer, size) if closer else (quads, first)


def _network_input(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.float32]:
    """``1×3×H×W`` BGR in -1..1, the sides padded up to `STRIDE` with the picture's last pixels."""
    rows, columns = pixels.shape[:2]
    resized = pixels
    if (width, height) != (columns, rows):
        way = cv2.INTER_AREA if width < columns else cv2.INTER_CUBIC
        resized = np.asarray(cv2.resize(pixels, (width, height), interpolation=way), dtype=np.uint8)
    padded = cv2.copyMakeBorder(
        resized, 0, -height % STRIDE, 0, -width % STRIDE, cv2.BORDER_REPLICATE
    )
    planes = np.empty((1, 3, *padded.shape[:2]), dtype=np.float32)
    for at in range(3):
        # A table is a third of the work of arithmetic here.
        cv2.LUT(cv2.extractChannel(padded, 2 - at), _LEVELS, dst=planes[0, at])
    return planes


def _rectangles(
    kernels: NDArray[np.float32], thinnest: float
) -> list[tuple[NDArray[np.float32], float]]:
    """The grown rectangles, ``float32`` ``4×2`` in pixels of ``kernels`` (``H×W`` in 0..1), of the
    pieces at least ``thinnest`` pixels thick, each with the mean probability of its kernel."""
    mask = (kernels > KERNEL_THRESHOLD).astype(np.uint8)
    mask = np.asarray(cv2.dilate(mask, np.ones((2, 2), dtype=np.uint8)), dtype=np.uint8)
    # RETR_LIST, not RETR_EXTERNAL: text inside a ring of text counts too. The inner rim of a ring
    # frames low probabilities and falls to SCORE_THRESHOLD.
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    if len(contours) > MOST_LINES:
        contours = sorted(contours, key=len, reverse=True)[:MOST_LINES]
    rectangles: list[tuple[NDArray[np.float32], float]] = []
    for contour in contours:
        corners = cv2.boxPoints(cv2.minAreaRect(contour)).astype(np.float32)
        centre = corners.mean(axis=0)
        along, across = _axes(corners)
        # A contour runs through pixel centres; a pixel reaches half a pixel further.
        width, height = float(np.hypot(*along)) + 1, float(np.hypot(*across)) + 1
        if min(width, height) < thinnest:
            continue
        growth = UNCLIP_RATIO * width * height / (2 * (width + height))
        right = _unit(along, (1, 0)) * (width / 2 + growth)
        down = _unit(across, (0, 1)) * (height / 2 + growth)
        signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
        middle = centre + np.float32(0.5)
        quad = np.stack([middle + x * right + y * down for x, y in signs]).astype(np.float32)
        rectangles.append((quad, _score(kernels, corners)))
    return rectangles


def _sides(quad: NDArray[np.float32]) -> tuple[float, float]:
    return float(np.hypot(*(quad[1] - quad[0]))), float(np.hypot(*(quad[3] - quad[0])))


def _axes(corners: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The rectangle's two edges: the one nearer to level pointing right, the other down."""
    first, second = corners[1] - corners[0], corners[2] - corners[1]
    lean = np.hypot(*first) * abs(second[0]) - np.hypot(*second) * abs(first[0])
    along, across = (second, first) if lean > 0 else (first, second)
    along = -along if along[0] < 0 else along
    across = -across if across[1] < 0 else across
    return along, across


def _unit(edge: NDArray[np.float32], otherwise: tuple[int, int]) -> NDArray[np.float32]:
    length = float(np.hypot(*edge))
    return edge / np.float32(length) if length > 0 else np.array(otherwise, dtype=np.float32)


def _score(kernels: NDArray[np.float32], corners: NDArray[np.float32]) -> float:
    """Mean probability inside the rectangle."""
    rows, columns = kernels.shape
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, (columns - 1, rows - 1)).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)), 0, (columns - 1, rows - 1)).astype(int)
    inside = np.zeros((bottom - top + 1, right - left + 1), dtype=np.uint8)
    cv2.fillPoly(inside, [(corners - (left, top)).astype(np.int32)], (1,))
    return float(cv2.mean(kernels[top : bottom + 1, left : right + 1], inside)[0])


def reading_order(quads: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """``quads`` (``4×2`` each) row by row from the top, and from left to right within a row.

    Looks along the median direction of the lines, weighted by their length, so that a page that
    lies at a slant still has its rows. A line belongs to a row when its middle lies at most half
    the height of the lower of the two below the middle of the row's first line: members are held
    against the first line, never against each other, so rows cannot chain down the page.
    """
    if len(quads) < 2:
        return list(quads)
    corners = np.stack(quads).astype(np.float64)
    along = corners[:, 1] - corners[:, 0]
    angles, lengths = np.arctan2(along[:, 1], along[:, 0]), np.hypot(*along.T)
    angle = weighted_median(angles.tolist(), lengths.tolist())
    cosine, sine = np.cos(angle), np.sin(angle)
    centres = corners.mean(axis=1) @ np.array([[cosine, -sine], [sine, cosine]])
    heights = np.hypot(*(corners[:, 3] - corners[:, 0]).T)
    down = sorted(range(len(quads)), key=lambda i: (centres[i, 1], centres[i, 0]))
    order: list[int] = []
    placed: set[int] = set()
    for at, first in enumerate(down):
        if first in placed:
            continue
        row = []
        for i in down[at:]:
            below = centres[i, 1] - centres[first, 1]
            if below > heights[first] / 2:
                break  # sorted by middle: nothing further down can belong to this row
            if i not in placed and below <= heights[i] / 2:
                row.append(i)
        placed.update(row)
        order += sorted(row, key=lambda i: (centres[i, 0], centres[i, 1]))
    return [quads[i] for i in order]
