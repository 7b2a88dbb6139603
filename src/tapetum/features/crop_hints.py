"""CROP_HINTS: where to cut the picture to a wanted aspect ratio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapetum.errors import InvalidImageParameter
from tapetum.features import Ask
from tapetum.features.importance import importance
from tapetum.signals import Signals
from tapetum.signals.captions import Captions
from tapetum.signals.faces import Faces
from tapetum.signals.objects import Objects
from tapetum.signals.saliency import Saliency

#: Feature.Type.
CROP_HINTS = 9
#: The API ignores further ones.
_MOST_RATIOS = 16
#: Positions tried along each side, where a box may move along both.
_OFFSETS = 65
#: Positions tried where it may move along one only.
_LINE_OFFSETS = 2049
#: Faces whose edges are tried as positions too, the largest.
_EDGES = 16
#: A position that keeps this much of the best one's importance is as good.
_ALIKE = 0.99
#: Of the picture, when no ratio is asked.
_SCALES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
#: Importance that a crop must hold per share of the picture it takes.
_AREA_COST = 0.5
#: Of a face: with less of it inside, or outside, it is not cut in two.
_CUT = 0.05

Box = tuple[int, int, int, int]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Crop:
    """``box``: first and last pixel ``(x0, y0, x1, y1)``, both inside. ``importance_fraction``
    and ``area_fraction``: 0..1, shares of the picture's importance and area.
    """

    box: Box
    importance_fraction: float
    area_fraction: float

    @property
    def confidence(self) -> float:
        """0..1, how much denser importance is inside than on average: ``i / (i + a)`` of the two
        fractions. 0.5 is no denser (the whole picture, a flat one), 0.75 three times as dense.
        """
        return self.importance_fraction / (self.importance_fraction + self.area_fraction)


class CropHints:
    """`Saliency`, `Faces`, `Objects` and `Captions` → ``crop_hints_annotation``."""

    type = CROP_HINTS
    needs = (Saliency, Faces, Objects, Captions)

    def describe(self, ask: Ask, signals: Signals, response: Any) -> None:
        """One hint per aspect ratio (width / height) of the request, in its order, the first 16;
        without ratios one hint of our choice. ``max_results`` does not apply.

        Raises `tapetum.errors.InvalidImageParameter` for a ratio that is not positive and finite.
        """
        ratios = aspect_ratios(ask.image_context)
        faces = [face.box for face in signals.of(Faces).faces]
        density = importance(signals, ask.width, ask.height)
        search = CropSearch(density, ask.width, ask.height, faces)
        crops = [search.of_ratio(ratio) for ratio in ratios] if ratios else [search.best()]
        # IMAGE_PROPERTIES may have spoken first and left its whole-image hint.
        del response.crop_hints_annotation.crop_hints[:]
        for crop in crops:
            add_hint(response, crop.box, crop.confidence, crop.importance_fraction)


def aspect_ratios(image_context: Any) -> list[float]:
    """The usable ratios of the request; `InvalidImageParameter` names the first bad one."""
    asked: Sequence[float] = image_context.crop_hints_params.aspect_ratios[:_MOST_RATIOS]
    for index, ratio in enumerate(asked):
        if not (math.isfinite(ratio) and ratio > 0):
            raise InvalidImageParameter(
                f"imageContext.cropHintsParams.aspectRatios[{index}] is {ratio}; "
                "an aspect ratio is width divided by height, a positive finite number."
            )
    return list(asked)


class CropSearch:
    """Looks for the most important part of one picture of ``width × height`` pixels.

    ``importance``: ``h×w``, non-negative, sums to 1, spread evenly within each of its entries.
    ``faces``: boxes x0, y0, x1, y1 in pixels that no crop cuts in two if it can help it.
    """

    def __init__(
        self,
        importance: Floats,
        width: int,
        height: int,
        faces: Sequence[tuple[float, float, float, float]] = (),
    ) -> None:
        density = np.asarray(importance, dtype=np.float64)
        self._width, self._height = width, height
        boxes = np.array(faces, dtype=np.float64).reshape(-1, 4)
        boxes = np.clip(boxes, 0, [width, height, width, height])
        sides = boxes[:, 2:] - boxes[:, :2]
        order = np.argsort(-sides.prod(axis=1), kind="stable")
        self._faces = boxes[order][(sides[order] > 0).all(axis=1)]
        self._integral = np.zeros((density.shape[0] + 1, density.shape[1] + 1))
        self._integral[1:, 1:] = density.cumsum(axis=0).cumsum(axis=1)
        self._integral /= self._integral[-1, -1]
        self._centre = (
            _mean_position(density.sum(axis=0)) * width,
            _mean_position(density.sum(axis=1)) * height,
        )

    def of_ratio(self, ratio: float) -> Crop:
        """The most important of the largest boxes of ``ratio`` (width / height)."""
        columns = min(self._width, max(1, round(min(self._height * ratio, self._width))))
        rows = min(self._height, max(1, round(min(self._width / ratio, self._height))))
        return self.of_size(columns, rows)

    def best(self) -> Crop:
        """The crop in the picture's own ratio that holds most importance for the area it takes,
        ``importance - area / 2``, from half the picture's sides to the whole.
        """
        crops = [
            self.of_size(max(1, round(self._width * scale)), max(1, round(self._height * scale)))
            for scale in _SCALES
        ]
        return max(
            crops, key=lambda crop: crop.importance_fraction - _AREA_COST * crop.area_fraction
        )

    def of_size(self, columns: int, rows: int) -> Crop:
        """The most important of the boxes of ``columns × rows`` pixels that cut the fewest faces.

        A face that does not fit in such a box does not count. Of positions that are as good, the
        one whose middle is nearest to the picture's centre of importance: what matters should not
        stick to an edge of the crop.
        """
        sides = self._faces[:, 2:] - self._faces[:, :2]
        fitting = self._faces[(sides <= [columns, rows]).all(axis=1)]
        both = columns < self._width and rows < self._height
        most = _OFFSETS if both else _LINE_OFFSETS
        lefts = _offsets(self._width - columns, most, columns, fitting[:, ::2])
        tops = _offsets(self._height - rows, most, rows, fitting[:, 1::2])
        bands = self._along(tops + rows, self._height, 0) - self._along(tops, self._height, 0)
        held = _lerp(bands, (lefts + columns) / self._width, 1) - _lerp(
            bands, lefts / self._width, 1
        )
        away = np.hypot(
            (tops + rows / 2 - self._centre[1])[:, np.newaxis],
            lefts + columns / 2 - self._centre[0],
        )
        cut = np.zeros(held.shape, dtype=np.intp)
        for x0, y0, x1, y1 in fitting:
            inside = np.outer(_inside(tops, rows, y0, y1), _inside(lefts, columns, x0, x1))
            cut += (inside > _CUT) & (inside < 1 - _CUT)
        fewest = cut == cut.min()
        away[~fewest | (held < _ALIKE * held[fewest].max())] = np.inf
        j, i = np.unravel_index(int(away.argmin()), away.shape)
        left, top = int(lefts[i]), int(tops[j])
        return Crop(
            box=(left, top, left + columns - 1, top + rows - 1),
            importance_fraction=min(1.0, max(0.0, float(held[j, i]))),
            area_fraction=columns * rows / (self._width * self._height),
        )

    def _along(self, positions: Floats, length: int, axis: int) -> Floats:
        return _lerp(self._integral, positions / length, axis)


def add_hint(response: Any, box: Box, confidence: float, importance_fraction: float) -> None:
    """Append one crop hint: corners from the top left, clockwise, first and last pixel."""
    x0, y0, x1, y1 = box
    hint = response.crop_hints_annotation.crop_hints.add(
        confidence=confidence, importance_fraction=importance_fraction
    )
    for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1)):
        hint.bounding_poly.vertices.add(x=x, y=y)


def _offsets(slack: int, most: int, length: int, faces: Floats) -> Floats:
    """Whole numbers 0..``slack``, all of them or ``most`` evenly spread, and those at which a box
    of ``length`` begins or ends right beside one of ``faces`` (``n×2``, first and last)."""
    spread = np.linspace(0, slack, min(slack + 1, most)).round()
    first, last = faces[:_EDGES].T
    beside = [np.floor(first), np.ceil(last), np.floor(first) - length, np.ceil(last) - length]
    return np.unique(np.clip(np.concatenate([spread, *beside]), 0, slack))


def _inside(offsets: Floats, length: int, first: float, last: float) -> Floats:
    """0..1, the share of ``first``..``last`` within ``length`` from each of ``offsets``."""
    shared = np.minimum(offsets + length, last) - np.maximum(offsets, first)
    return np.asarray(np.maximum(shared, 0) / (last - first), dtype=np.float64)


def _mean_position(weights: Floats) -> float:
    """0..1, the mean of ``weights`` over a side cut in as many equal parts."""
    middles = (np.arange(len(weights)) + 0.5) / len(weights)
    return float((weights * middles).sum() / weights.sum())


def _lerp(table: Floats, positions: Floats, axis: int) -> Floats:
    """``table`` at ``positions`` (0..1 of its length along ``axis``), linearly between entries:
    exact for an integral image whose density is even within each entry.
    """
    last = table.shape[axis] - 1
    scaled = np.clip(positions, 0, 1) * last
    low = np.minimum(scaled.astype(np.intp), last - 1)
    part = scaled - low
    part = part[:, np.newaxis] if axis == 0 else part
    return np.asarray(table.take(low, axis) * (1 - part) + table.take(low + 1, axis) * part)
