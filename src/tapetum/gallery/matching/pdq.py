"""PDQ, a perceptual hash of 256 bits, in numpy.

Davis, Rosen et al., "PDQ & TMK + PDQF", Facebook, 2019: blur, 64×64, the 16×16 lowest frequencies
of a cosine transform, one bit each for above the median. Bit for bit the hash of the reference
implementation (`tests/gallery/test_pdq.py` compares): its sums are in float32, one term after
the other, and so are these.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

#: Pictures are made this small first (longest side, pixels), as the authors advise.
LONGEST_SIDE = 512
#: A copy differs in at most so many of 256 bits. The paper's threshold; unrelated pictures differ
#: in 86 or more.
COPY = 31
#: Below this quality a picture has too little in it for its hash to say anything (the paper's).
LEAST_QUALITY = 50
#: The eight hashes in order: turned clockwise by so many degrees, then mirrored (and turned).
TURNS = ("0", "90", "180", "270", "flipped", "mirrored", "transposed", "transversed")

#: Pixels; below that there is no hash.
_SMALLEST = 5
_GRID, _KEPT = 64, 16
_PASSES = 2
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True, eq=False)
class Pdq:
    """``hashes``: ``uint8[8, 32]`` of the picture and its seven turned and mirrored forms, in the
    order of `TURNS`. ``quality``: 0..100."""

    hashes: NDArray[np.uint8]
    quality: int

    @property
    def says_something(self) -> bool:
        """Whether a close hash means a copy."""
        return self.quality >= LEAST_QUALITY


def pdq(pixels: NDArray[np.uint8]) -> Pdq:
    """The hashes of ``pixels`` (``uint8`` RGB ``H×W×3``), made smaller first where it is large.

    Fewer than five pixels on a side: all zero, quality 0.
    """
    height, width = pixels.shape[:2]
    scale = LONGEST_SIDE / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return exactly(pixels)


def exactly(pixels: NDArray[np.uint8]) -> Pdq:
    """The hashes of ``pixels`` at their own size, as the reference implementation makes them."""
    if min(pixels.shape[:2]) < _SMALLEST:
        return Pdq(np.zeros((len(TURNS), 32), dtype=np.uint8), 0)
    red, green, blue = (pixels[:, :, channel] * weight for channel, weight in enumerate(_LUMA))
    grid = _decimated((red + green + blue).astype(np.float32))
    return Pdq(_hashes(_frequencies(grid)), _quality(grid))


def _decimated(luma: Floats) -> Floats:
    """``luma`` blurred with a tent filter, at the centres of a 64×64 grid."""
    rows, columns = luma.shape
    for _ in range(_PASSES):
        luma = _box(luma, _window(columns))
        luma = _box(luma.T, _window(rows)).T
    ys = ((np.arange(_GRID) + 0.5) * rows / _GRID).astype(int)
    xs = ((np.arange(_GRID) + 0.5) * columns / _GRID).astype(int)
    return luma[np.ix_(ys, xs)]


def _window(length: int) -> int:
    return (length + 2 * _GRID - 1) // (2 * _GRID)


def _box(values: Floats, window: int) -> Floats:
    """Means along rows over ``window`` neighbours, fewer at the ends.

    The reference keeps a running sum, adding on the right before it takes away on the left. Its
    rounding is kept by summing the same terms in the same order.
    """
    length = values.shape[1]
    half = (window + 2) // 2
    # Terms of the running sum: first only added, then added and taken away, then taken away.
    added = values[:, :window]
    both = np.empty((len(values), 2 * (length - window)), dtype=np.float32)
    both[:, 0::2], both[:, 1::2] = values[:, window:], -values[:, : length - window]
    taken = -values[:, length - window : length - window + half - 1]
    sums = np.add.accumulate(np.hstack((added, both, taken)), axis=1, dtype=np.float32)
    at = np.concatenate(
        (
            np.arange(half - 1, window),
            window + 1 + 2 * np.arange(length - window),
            window + 2 * (length - window) + np.arange(half - 1),
        )
    )
    counts = np.concatenate(
        (
            np.arange(half, window + 1),
            np.full(length - window, window),
            window - 1 - np.arange(half - 1),
        )
    )
    return np.asarray(sums[:, at] / counts.astype(np.float32), dtype=np.float32)


def _transform() -> Floats:
    """``float32[16, 64]``: rows 1 to 16 of the cosine transform."""
    scale = np.float32(np.sqrt(2 / _GRID))
    rows, columns = np.arange(1, _KEPT + 1)[:, None], np.arange(_GRID)[None]
    angles = np.pi / 2 / _GRID * rows * (2 * columns + 1)
    return np.asarray(scale.astype(np.float64) * np.cos(angles), dtype=np.float32)


_COSINES = _transform()


def _frequencies(grid: Floats) -> Floats:
    """``float32[16, 16]``. No matrix product: it may add in another order."""
    halfway = np.zeros((_KEPT, _GRID), dtype=np.float32)
    for k in range(_GRID):
        halfway += _COSINES[:, k, None] * grid[None, k]
    frequencies = np.zeros((_KEPT, _KEPT), dtype=np.float32)
    for k in range(_GRID):
        frequencies += halfway[:, k, None] * _COSINES[None, :, k]
    return frequencies


def _hashes(frequencies: Floats) -> NDArray[np.uint8]:
    """Turning or mirroring a picture changes signs of its frequencies and may transpose them."""
    odd = np.where(np.arange(_KEPT) % 2 == 1, 1, -1).astype(np.float32)
    by_row, by_column = frequencies * odd[:, None], frequencies * odd[None]
    by_both = by_row * odd[None]
    forms = (
        frequencies, by_column.T, by_both, by_row.T, by_row, by_column, frequencies.T, by_both.T,
    )  # fmt: skip
    return np.stack([_bits(form) for form in forms])


def _bits(frequencies: Floats) -> NDArray[np.uint8]:
    """``uint8[32]``, the highest frequency first, as the hash is printed."""
    values = frequencies.ravel()
    median = np.partition(values, values.size // 2 - 1)[values.size // 2 - 1]
    return np.packbits((values > median)[::-1])


def _quality(grid: Floats) -> int:
    """How much there is in the picture: steps between neighbours that are worth a percent."""
    total = 0
    for step in (grid[:-1] - grid[1:], grid[:, :-1] - grid[:, 1:]):
        percent = step * np.float32(100) / np.float32(255)
        total += int(np.abs(percent.astype(np.int32)).sum())
    return min(100, total // 90)


def distances(hashes: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Differing bits: ``int64[n, m]`` of ``uint8[n, 32]`` and ``uint8[m, 32]``."""
    codes, other_codes = (np.ascontiguousarray(array).view(np.uint64) for array in (hashes, others))
    rows = [np.bitwise_count(other_codes ^ code).sum(axis=1, dtype=np.int64) for code in codes]
    return np.stack(rows) if rows else np.zeros((0, len(others)), dtype=np.int64)
