"""Objects: average precision, and whether a score of 0.7 is right seven times in ten.

The set is a folder with ``instances.json`` (COCO's form), ``images/`` and ``minival_ids.txt``, the
COCO ids of images that the network was certainly not trained on. On the others its figures are
flattered.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapetum.detectors.calibration import BetaCalibration
from tapetum.detectors.objects import CLASSES, Boxes, ObjectDetector
from tapetum.features.objects import LOWEST_SCORE
from tapetum.imaging.decoding import decode
from tapetum.models import packs
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.signals.objects import Objects

IOU = 0.5  # of a box that counts as found
AP50_TARGET = 0.50
ECE_TARGET = 0.10
BINS = 10  # of probability, equally wide, for the calibration error

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """``boxes``: ``float64[n, 4]`` x0 y0 x1 y1 in pixels; ``classes``: ``int64[n]`` 0..79."""

    boxes: Floats
    classes: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Boxes of some images against the truth. ``scores`` (raw), ``correct`` (0 or 1), ``classes``:
    one entry per box found. ``present``: how many true boxes each of the 80 classes has."""

    scores: Floats
    correct: Floats
    classes: NDArray[np.int64]
    present: NDArray[np.int64]


def measure(folder: Path) -> list[dict[str, Any]]:
    """The rows of the quality table: ``metric``, ``value``, ``target`` (text, may be empty),
    ``met`` (none without a target), ``note``.

    The target of the calibration error is held against leave-one-image-out: each image's boxes
    get their probability from a map fitted to all the others. The ten images held out from the
    network's training alone have too few boxes to tell 0.10 from 0 (see the notes).
    """
    truths, held_out = read(folder)
    detector: ObjectDetector = packs.maker_of(Objects, Sessions(Manifest.packaged()))
    judged = {}
    for name, truth in truths.items():
        picture = decode((folder / "images" / name).read_bytes(), detector.max_side)
        judged[name] = judge(detector.boxes(picture), truth)
    held, every = joined(judged[name] for name in sorted(held_out)), joined(judged.values())
    precision = average_precision(held)
    crossed = leave_one_out(list(judged.values()))
    count = f"{len(truths)} images, {every.present.sum()} boxes"
    return [
        {
            "metric": "AP50, held-out images",
            "value": precision,
            "target": f"≥ {AP50_TARGET:.2f}",
            "met": precision >= AP50_TARGET,
            "note": f"{len(held_out)} images, {held.present.sum()} boxes, none of them seen in "
            "the network's training",
        },
        {
            "metric": "AP50, all images",
            "value": average_precision(every),
            "target": "",
            "met": None,
            "note": f"{count}, most of them seen in the network's training: flattered",
        },
        _calibration_row("leave one image out", crossed, every.correct, LOWEST_SCORE, ECE_TARGET),
        _calibration_row("leave one image out, all boxes", crossed, every.correct, 0.0),
        _calibration_row("as shipped", _shipped(every), every.correct, LOWEST_SCORE),
        _calibration_row("as shipped, held-out images", _shipped(held), held.correct, LOWEST_SCORE),
    ]


def _shipped(judged: Judged) -> Floats:
    row = packs.chosen(Manifest.packaged().packs)[Objects.__name__]
    return BetaCalibration(**row.calibration).probability(judged.scores)


def _calibration_row(
    what: str, chances: Floats, correct: Floats, lowest: float, target: float | None = None
) -> dict[str, Any]:
    some = chances >= lowest
    chances, correct = chances[some], correct[some]
    error = calibration_error(chances, correct)
    return {
        "metric": f"calibration error, {what}",
        "value": error,
        "target": "" if target is None else f"≤ {target:.2f}",
        "met": None if target is None else error <= target,
        "note": f"{len(chances)} boxes of probability {lowest} and more, stated right "
        f"{chances.mean():.3f}, found right {correct.mean():.3f}; a perfect map would come out "
        f"at {usual_error(chances):.3f}",
    }


def read(folder: Path) -> tuple[dict[str, Truth], set[str]]:
    """The truth by image file name, and the names of the images held out from training."""
    table = json.loads((folder / "instances.json").read_text(encoding="utf-8"))
    held_ids = {int(word) for word in (folder / "minival_ids.txt").read_text().split()}
    names = {image["id"]: image["file_name"] for image in table["images"]}
    of_image: dict[str, list[Mapping[str, Any]]] = {name: [] for name in names.values()}
    for annotation in table["annotations"]:
        of_image[names[annotation["image_id"]]].append(annotation)
    truths = {}
    for name, entries in of_image.items():
        sides = np.array([a["bbox"] for a in entries], dtype=np.float64).reshape(-1, 4)
        boxes = np.concatenate([sides[:, :2], sides[:, :2] + sides[:, 2:]], axis=1)
        classes = np.array([a["category_id"] for a in entries], dtype=np.int64)
        truths[name] = Truth(boxes, classes)
    return truths, {name for name in truths if int(Path(name).stem) in held_ids}


def judge(found: Boxes, truth: Truth) -> Judged:
    """Match the boxes of one image with the truth as COCO does: best score first, each takes the
    free true box of its class that it overlaps most, if by `IOU` or more."""
    return Judged(
        scores=found.scores.astype(np.float64),
        correct=_matches(found, truth),
        classes=found.classes,
        present=np.bincount(truth.classes, minlength=CLASSES),
    )


def joined(parts: Iterable[Judged]) -> Judged:
    """Several images as one."""
    parts = list(parts)
    return Judged(
        scores=np.concatenate([part.scores for part in parts]),
        correct=np.concatenate([part.correct for part in parts]),
        classes=np.concatenate([part.classes for part in parts]),
        present=np.sum([part.present for part in parts], axis=0),
    )


def leave_one_out(images: Sequence[Judged]) -> Floats:
    """The probability of each box, image after image, by a map fitted to the other images."""
    chances = []
    for image in images:
        others = joined(other for other in images if other is not image)
        chances.append(fit(others.scores, others.correct).probability(image.scores))
    return np.concatenate(chances)


def _matches(objects: Boxes, truth: Truth) -> Floats:
    overlaps = _overlaps(objects.corners.astype(np.float64), truth.boxes)
    overlaps[objects.classes[:, np.newaxis] != truth.classes] = 0
    correct = np.zeros(len(objects.scores))
    for k in range(len(correct) if len(truth.classes) else 0):  # they come by falling score
        best = overlaps[k].argmax()
        if overlaps[k, best] >= IOU:
            correct[k] = 1
            overlaps[:, best] = 0
    return correct


def _overlaps(boxes: Floats, others: Floats) -> Floats:
    """Intersection over union, ``len(boxes) × len(others)``."""
    low = np.maximum(boxes[:, np.newaxis, :2], others[:, :2])
    high = np.minimum(boxes[:, np.newaxis, 2:], others[:, 2:])
    shared = (high - low).clip(0).prod(axis=2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    union = areas[:, np.newaxis] + (others[:, 2:] - others[:, :2]).prod(axis=1) - shared
    return np.asarray(shared / np.maximum(union, 1e-12), dtype=np.float64)


def average_precision(judged: Judged) -> float:
    """The mean over classes that occur of COCO's 101-point interpolated average precision."""
    values = []
    for kind in np.flatnonzero(judged.present):
        of_class = judged.classes == kind
        order = np.argsort(-judged.scores[of_class], kind="stable")
        right = judged.correct[of_class][order].cumsum()
        recall = right / judged.present[kind]
        precision = right / np.arange(1, len(right) + 1)
        envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0)
        values.append(envelope[np.searchsorted(recall, np.linspace(0, 1, 101))].mean())
    return float(np.mean(values)) if values else 0.0


def calibration_error(chances: Floats, correct: Floats) -> float:
    """Expected calibration error: the mean over boxes of |stated - true| share of their bin."""
    bins = np.minimum((chances * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, weights=chances - correct, minlength=BINS)
    return float(np.abs(gaps).sum() / len(chances))


def usual_error(chances: Floats, rounds: int = 500) -> float:
    """The mean `calibration_error` if ``chances`` were exactly true: what so few boxes allow."""
    random = np.random.default_rng(0)
    throws = [random.random(len(chances)) < chances for _ in range(rounds)]
    return float(np.mean([calibration_error(chances, throw.astype(float)) for throw in throws]))


def fit(scores: Floats, correct: Floats, rounds: int = 25) -> BetaCalibration:
    """The most likely `BetaCalibration` (logistic regression by Newton's method)."""
    inside = np.clip(scores, 1e-6, 1 - 1e-6)
    inputs = np.stack([np.log(inside), -np.log1p(-inside), np.ones_like(inside)], axis=1)
    weights = np.array([1.0, 1.0, 0.0])
    for _ in range(rounds):
        chances = 1 / (1 + np.exp(-inputs @ weights))
        slope = inputs.T @ (correct - chances)
        curve = (inputs.T * (chances * (1 - chances))) @ inputs + 1e-9 * np.eye(3)
        weights += np.linalg.solve(curve, slope)
    a, b, c = weights.tolist()
    return BetaCalibration(a, b, c)
