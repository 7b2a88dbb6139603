"""Objects: boxes of the 80 COCO classes, with SSDLite-MobileNetV2.

The network is ``ssdlite_mobilenet_v2_coco`` of the TensorFlow Object Detection API (Sandler et
al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018). It sees the whole
picture squeezed into a square of 300 pixels; what follows the network here is that release's
post-processing, with a higher lowest score.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources.abc import Traversable

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.detectors.calibration import BetaCalibration
from tapetum.imaging.picture import Picture
from tapetum.models.session import Sessions
from tapetum.signals.context import RequestContext
from tapetum.signals.objects import LocatedObject, Objects

WEIGHTS = "ssdlite-mobilenet-v2"
#: Of COCO.
CLASSES = 80
#: Boxes of one picture: what COCO's own evaluation counts.
LIMIT = 100
#: Raw score; below are thousands of boxes, almost none of them right.
LOWEST_SCORE = 0.02
#: Intersection over union above which two boxes of a class are one object.
SAME_OBJECT = 0.6

#: Of the network's input, pixels.
_SIDE = 300
#: COCO dropped these of its 90.
_UNUSED_IDS = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
_CLASS_OF_COLUMN = np.full(90, -1)
_CLASS_OF_COLUMN[[k - 1 for k in range(1, 91) if k not in _UNUSED_IDS]] = np.arange(CLASSES)
#: Below, the network sees more interpolation than picture: in 5 % of pictures of noise
#: with a shorter side it found a bench, an umbrella or an oven.
_LEAST_SIDE = 16
_BLACK = np.zeros((_SIDE, _SIDE, 3), dtype=np.uint8)
#: Pictures more than this many times the square are averaged, not sampled. In training the
#: factor was about two (pictures of 640 pixels).
_LARGEST_STEP = 3
#: Boxes compared at once; measured fastest of 100 to 400.
_CHUNK = 100

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """What the network says, by falling score; at most `LIMIT` boxes.

    ``corners``: ``float32[n, 4]``, x0 y0 x1 y1 in pixels of the full-size upright image, inside it,
    of positive width and height. ``scores``: ``float32[n]``, 0.02..1, the network's raw sigmoid:
    it ranks, but it is no probability. ``classes``: ``int64[n]``, 0..79, COCO classes in the order
    of their COCO ids (0 person, 1 bicycle, … 79 toothbrush).
    """

    corners: Floats
    scores: Floats
    classes: Integers


_NOTHING = Boxes(
    corners=np.zeros((0, 4), dtype=np.float32),
    scores=np.zeros(0, dtype=np.float32),
    classes=np.zeros(0, dtype=np.int64),
)


@dataclass(frozen=True, slots=True)
class ObjectName:
    """``name``: as Open Images calls it, first letter upper case. ``mid``: its Knowledge Graph
    id."""

    name: str
    mid: str


def read_names(vocabulary: Traversable) -> tuple[ObjectName, ...]:
    """The names in a table of ``class,coco,name,mid``, in the order of the classes.

    ``tables/coco_objects.csv`` names each COCO class by the boxable class of Open Images that
    means the same (its MIDs are among the 601 shipped in the packages tensorflow-datasets and
    mmdet, both Apache-2.0). Where none is quite the same the nearest stands in: cow is Cattle,
    cup is Coffee cup, sports ball is Ball, dining table is Table, potted plant is Houseplant.
    """
    rows = csv.DictReader(vocabulary.read_text(encoding="utf-8").splitlines())
    return tuple(ObjectName(row["name"], row["mid"]) for row in rows)


class ObjectDetector:
    """Makes `Objects` with the manifest's ``ssdlite-mobilenet-v2``.

    ``vocabulary``: the file of `read_names`. ``calibration``: of `BetaCalibration`, from raw scores
    to probabilities.
    """

    signal = Objects

    def __init__(
        self, sessions: Sessions, vocabulary: Traversable, calibration: Mapping[str, float]
    ) -> None:
        self._sessions = sessions
        self._vocabulary = vocabulary
        self._calibration = BetaCalibration(**calibration)

    @cached_property
    def _names(self) -> tuple[ObjectName, ...]:
        # On first use: a server that is never asked for objects reads no table.
        return read_names(self._vocabulary)

    def max_side(self, width: int, height: int) -> int:
        """The longest side at which the short side is still 300 pixels."""
        longest, shortest = max(width, height), min(width, height)
        return min(longest, math.ceil(_SIDE * longest / shortest))

    def detect(
        self, pictures: Sequence[Picture], contexts: Sequence[RequestContext] = ()
    ) -> list[Objects]:
        """One `Objects` per picture.

        The network runs on one picture at a time: its file is made for one, and so a picture's
        neighbours cannot change its last bits. An image less than 16 pixels wide or high has no
        objects; the network is not asked. Raises `tapetum.errors.ModelError` when the weights are
        missing or not the manifest's.
        """
        return [self._named(self.boxes(picture)) for picture in pictures]

    def _named(self, boxes: Boxes) -> Objects:
        probabilities = self._calibration.probability(boxes.scores).tolist()
        things = [
            LocatedObject(self._names[kind].name, self._names[kind].mid, probability, tuple(box))
            for kind, probability, box in zip(
                boxes.classes.tolist(), probabilities, boxes.corners.tolist(), strict=True
            )
        ]
        things.sort(key=lambda thing: (-thing.probability, thing.name, thing.box))
        return Objects(tuple(things))

    def boxes(self, picture: Picture) -> Boxes:
        """What the network says of ``picture``, before names and probabilities."""
        if min(picture.width, picture.height) < _LEAST_SIDE:
            return _NOTHING
        session = self._sessions.load(WEIGHTS)
        outputs = dict(zip(session.outputs, session.run(network_input(picture)), strict=True))
        boxes, scores, classes = chosen(outputs["boxes"][0, :, 0], outputs["scores"][0])
        size = np.array([picture.width, picture.height] * 2, dtype=np.float32)
        return Boxes(boxes * size, scores, classes)


def network_input(picture: Picture) -> Floats:
    """``float32[1, 300, 300, 3]``: all of ``picture`` squeezed to a square, RGB in -1..1."""
    squeezed = cv2.addWeighted(_square(picture), 2 / 255, _BLACK, 0, -1, dtype=cv2.CV_32F)
    return np.asarray(squeezed, dtype=np.float32)[np.newaxis]


def _square(picture: Picture) -> NDArray[np.uint8]:
    rows, columns = picture.pixels.shape[:2]
    if max(rows, columns) > _LARGEST_STEP * _SIDE:
        return picture.resized(_SIDE, _SIDE)
    # As in training: bilinear without an anti-aliasing filter, pixel k of the square taken from
    # k times the scale. It also costs a fifth of averaging areas.
    step = np.array([[columns / _SIDE, 0, 0], [0, rows / _SIDE, 0]])
    square = cv2.warpAffine(
        picture.pixels,
        step,
        (_SIDE, _SIDE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(square, dtype=np.uint8)


def chosen(corners: Floats, sigmoids: Floats) -> tuple[Floats, Floats, Integers]:
    """The boxes worth keeping among the network's outputs: boxes, scores, classes.

    ``corners``: ``float32[anchors, 4]``, y0 x0 y1 x1 as shares of the picture, possibly outside
    it. ``sigmoids``: ``float32[anchors, 90]``, column k for the COCO id k + 1. The boxes returned
    are x0 y0 x1 y1 in 0..1.
    """
    likely = np.flatnonzero(sigmoids >= LOWEST_SCORE)
    anchors, columns = np.divmod(likely, sigmoids.shape[1])
    boxes = np.clip(corners[anchors][:, [1, 0, 3, 2]], 0, 1)
    classes = _CLASS_OF_COLUMN[columns]
    usable = (boxes[:, 2:] > boxes[:, :2]).all(axis=1) & (classes >= 0)
    boxes, classes, scores = boxes[usable], classes[usable], sigmoids.ravel()[likely[usable]]
    order = np.argsort(-scores, kind="stable")
    boxes, classes, scores = boxes[order], classes[order], scores[order]
    kept = without_repeats(boxes, classes)
    return boxes[kept], scores[kept], classes[kept]


def without_repeats(boxes: Floats, classes: Integers) -> list[int]:
    """Greedy non-maximum suppression within each class: the indices kept, at most `LIMIT`.

    ``boxes``: x0 y0 x1 y1 in 0..1, by falling score.
    """
    # Boxes of different classes are moved apart, so that they never overlap.
    apart = boxes + 2.0 * classes[:, np.newaxis]
    kept: list[int] = []
    for start in range(0, len(apart), _CHUNK):
        chunk = apart[start : start + _CHUNK]
        is_new = np.logical_not(_same_object(chunk, apart[kept]).any(axis=1))
        same = _same_object(chunk, chunk)
        for k in range(len(chunk)):
            if is_new[k]:
                kept.append(start + k)
                if len(kept) == LIMIT:
                    return kept
                is_new &= ~same[k]
    return kept


def _same_object(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each of ``boxes`` overlaps each of ``others`` by more than `SAME_OBJECT`."""
    x0, y0, x1, y1 = boxes.T[:, :, np.newaxis]
    u0, v0, u1, v1 = others.T
    shared = (np.minimum(x1, u1) - np.maximum(x0, u0)).clip(0)
    shared *= (np.minimum(y1, v1) - np.maximum(y0, v0)).clip(0)
    union = (x1 - x0) * (y1 - y0) + (u1 - u0) * (v1 - v0) - shared
    return np.asarray(shared > SAME_OBJECT * union)
