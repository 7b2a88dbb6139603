"""Quality of faces on the development sets: boxes, expressions, roll, likelihoods.

The folders hold what `measure` says. Numbers are of this code on those images, never of training
images. Cut points of expressions were chosen on one half of the portraits (see `half`) and are
scored on the other; those of headwear, blur and light were chosen on what they are scored on.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.detectors.faces.boxes import FaceFinder
from tapetum.detectors.faces.detector import FaceDetector
from tapetum.features.faces import likelihoods
from tapetum.features.likelihood import LIKELY, POSSIBLE, VERY_LIKELY
from tapetum.imaging.picture import Picture
from tapetum.models import packs
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.signals.faces import Face, Faces

LABELS = {
    "neutral": "neutral",
    "happy": "happy",
    "sad": "sad",
    "angry": "angry",
    "surprise": "surprised",
}
LIKELIHOOD_OF = {"joy": "happy", "sorrow": "sad", "anger": "angry", "surprise": "surprise"}
LEVELS = {"POSSIBLE": POSSIBLE, "LIKELY": LIKELY, "VERY_LIKELY": VERY_LIKELY}
TURNS = (-30, -20, -10, 10, 20, 30)  # degrees
TURNED = 60  # portraits that are turned
BLUR, DARK = 0.03, 0.25  # made blurred: σ per width of the face; made dark: share of the light left

Pixels = NDArray[np.uint8]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Portrait:
    """``pixels``, the label of the expression, and what was found (the largest face)."""

    pixels: Pixels
    label: str
    face: Face | None
    chosen_on: bool  # in the half that cut points were chosen on


def measure(faces_folder: Path, emotion_folder: Path) -> list[Row]:
    """Rows of ``metric``, ``value``, ``target`` (or None) and ``note``.

    ``faces_folder``: ``gt.json`` (per image ``orig_w``, ``orig_h`` and rows x, y, w, h, blur,
    invalid, occlusion) and ``images/``. ``emotion_folder``: ``labels.csv`` (image, label) and
    ``images/``.
    """
    sessions = Sessions(Manifest.packaged())
    detector: FaceDetector = packs.maker_of(Faces, sessions)
    truth = json.loads((faces_folder / "gt.json").read_text())
    rows = list(boxes(truth, faces_folder, FaceFinder(sessions)))
    rows += headwear(truth, faces_folder, detector)
    portraits = list(read_portraits(emotion_folder, detector))
    rows += expressions(portraits)
    rows += turns(portraits, detector)
    rows += blur_and_light(portraits, detector)
    return rows


def boxes(truth: dict[str, Any], folder: Path, finder: FaceFinder) -> Iterable[Row]:
    """Average precision at IoU 0.5 and precision and recall of what is reported."""
    found = {
        name: [(face.box, face.score) for face in finder.find(opened(folder, name, row), 0.02)]
        for name, row in truth.items()
    }
    for what, target in (("shorter side", 0.83), ("height", None)):
        for least in (24, 40, 80):
            hits, count = matched(found, truth, least, what == "height")
            recall, precision = curve(hits, count)
            envelope = np.maximum.accumulate(precision[::-1])[::-1]
            value = float((np.diff(np.concatenate([[0.0], recall])) * envelope).sum())
            sure = sum(score >= 0.5 for score, _ in hits)
            yield row_of(
                f"faces AP50, {what} >= {least} px",
                value,
                target if least == 24 else None,
                f"{count} faces in {len(truth)} pictures; at the reported score 0.5: precision "
                f"{precision[sure - 1]:.2f}, recall {recall[sure - 1]:.2f}; invalid and smaller "
                "faces, and smaller boxes that match nothing, do not count",
            )


def matched(
    found: Mapping[str, Sequence[tuple[Sequence[float], float]]],
    truth: dict[str, Any],
    least: float,
    by_height: bool,
) -> tuple[list[tuple[float, bool]], int]:
    """(score, is a face) of each box that counts, best first, and the number of true faces."""
    hits: list[tuple[float, bool]] = []
    count = 0
    for name, row in truth.items():
        table = np.array(row["boxes_xywh_blur_invalid_occl"], dtype=float).reshape(-1, 7)
        corners = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1)
        sizes = table[:, 3] if by_height else table[:, 2:4].min(axis=1)
        ignored = (table[:, 5] == 1) | (sizes < least)
        count += int((~ignored).sum())
        taken = np.zeros(len(table), dtype=bool)
        for box, score in found[name]:
            overlaps = iou(np.array(box), corners)
            free = np.where(taken | ignored, 0.0, overlaps)
            width, height = box[2] - box[0], box[3] - box[1]
            if len(free) and free.max() >= 0.5:
                taken[free.argmax()] = True
                hits.append((score, True))
            elif (overlaps[ignored] >= 0.5).any():
                continue
            elif (height if by_height else min(width, height)) >= least:
                hits.append((score, False))
    return sorted(hits, key=lambda hit: -hit[0]), count


def curve(
    hits: list[tuple[float, bool]], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Recall and precision after each box."""
    right = np.cumsum([is_face for _, is_face in hits])
    return right / count, right / np.arange(1, len(hits) + 1)


def iou(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of one box with ``n×4`` others."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    area = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1)
    return np.asarray(shared / (area - shared))


def headwear(truth: dict[str, Any], folder: Path, detector: FaceDetector) -> Iterable[Row]:
    """Precision and recall against what a person saw (``headwear.json`` beside this file)."""
    labels = json.loads(Path(__file__).with_name("headwear.json").read_text())["faces"]
    values, worn = [], []
    for name in labels.keys() & truth.keys():
        faces = detector.detect([picture(opened(folder, name, truth[name]))])[0].faces
        for is_worn, middles in ((True, labels[name]["with"]), (False, labels[name]["without"])):
            for x, y in middles:
                for face in faces:
                    x0, y0, x1, y1 = face.box
                    if np.hypot((x0 + x1) / 2 - x, (y0 + y1) / 2 - y) < 0.2 * (y1 - y0):
                        values.append(likelihoods(face)["headwear"])
                        worn.append(is_worn)
                        break
    if any(worn):
        yield from cuts("headwear", values, worn, sum(worn), "faces >= 60 px, labelled by eye")


def read_portraits(folder: Path, detector: FaceDetector) -> Iterable[Portrait]:
    """The labelled portraits in the order of their names."""
    with (folder / "labels.csv").open(newline="") as file:
        labels = sorted((row["label"], row["image"]) for row in csv.DictReader(file))
    seen: dict[str, int] = {}
    for label, name in labels:
        seen[label] = seen.get(label, -1) + 1
        pixels = read(folder / "images" / name)
        yield Portrait(pixels, label, largest(pixels, detector), half(seen[label]))


def half(position: int) -> bool:
    """True for the first, third, ... image of an expression: cut points were chosen on these."""
    return position % 2 == 0


def _likeliest(shares: Mapping[str, float]) -> str:
    return max(LABELS, key=lambda label: shares[LABELS[label]])


def expressions(portraits: Sequence[Portrait]) -> Iterable[Row]:
    """Accuracy of the likeliest of five expressions, and each likelihood's cuts."""
    right = [p.face is not None and _likeliest(p.face.expressions) == p.label for p in portraits]
    lost = sum(p.face is None for p in portraits)
    yield row_of(
        "expression accuracy, 5 ways",
        float(np.mean(right)),
        0.66,
        f"{len(portraits)} portraits, as many of each; {lost} without a face found count as wrong; "
        "of the settings only the size of the crop was picked on them",
    )
    held = [p for p in portraits if not p.chosen_on]
    for name, label in LIKELIHOOD_OF.items():
        values = [likelihoods(p.face)[name] for p in held if p.face is not None]
        truth = [p.label == label for p in held if p.face is not None]
        total = sum(p.label == label for p in held)
        yield from cuts(name, values, truth, total, "the half that chose no cut; 1 of 5 is true")


def turns(portraits: Sequence[Portrait], detector: FaceDetector) -> Iterable[Row]:
    """How well the roll follows a turn of the picture."""
    errors, sure = [], []
    lost = 0
    step = max(1, len(portraits) // TURNED)
    for portrait in portraits[::step]:
        if portrait.face is None:
            continue
        for angle in TURNS:
            face = largest(turned(portrait.pixels, angle), detector)
            if face is None:
                lost += 1
            else:
                off = face.roll - portrait.face.roll - angle
                errors.append(abs((off + 180) % 360 - 180))
                sure.append(min(face.landmark_confidence, portrait.face.landmark_confidence) >= 0.5)
    note = f"{len(errors)} copies turned by -30..30 degrees, {lost} more without a face found"
    of_sure = [error for error, is_sure in zip(errors, sure, strict=True) if is_sure]
    yield row_of("roll error, mean, degrees", float(np.mean(errors)), None, note)
    yield row_of(
        "roll error, largest, degrees",
        max(of_sure),
        5.0,
        f"{len(of_sure)} copies whose landmarks the mesh believes itself (confidence 0.5)",
        at_most=True,
    )
    yield row_of("roll error, largest, all copies, degrees", max(errors), None, note)


def blur_and_light(portraits: Sequence[Portrait], detector: FaceDetector) -> Iterable[Row]:
    """Precision and recall of two likelihoods between portraits and spoilt copies of them."""
    for name, spoil in (("blurred", blurred), ("under_exposed", darkened)):
        values, truth = [], []
        for portrait in portraits[::3]:
            if portrait.face is None:
                continue
            spoilt = largest(spoil(portrait.pixels, portrait.face), detector)
            for face, is_spoilt in ((portrait.face, False), (spoilt, True)):
                if face is not None:
                    values.append(likelihoods(face)[name])
                    truth.append(is_spoilt)
        note = f"portraits and made copies (blur {BLUR:.0%} of the face, light {DARK:.0%})"
        yield from cuts(name, values, truth, sum(truth), note)


def cuts(
    name: str, values: Sequence[int], truth: Sequence[bool], total: int, note: str
) -> Iterable[Row]:
    """Precision and recall from each level of one likelihood; ``total``: true ones in all."""
    value, is_true = np.array(values), np.array(truth, dtype=bool)
    for level, number in LEVELS.items():
        said = value >= number
        right = int((said & is_true).sum())
        precision = right / int(said.sum()) if said.any() else float("nan")
        about = f"{int(said.sum())} said, {total} true; {note}"
        yield row_of(f"{name} >= {level}, precision", precision, None, about)
        yield row_of(f"{name} >= {level}, recall", right / total, None, about)


def blurred(pixels: Pixels, face: Face) -> Pixels:
    """``pixels`` out of focus."""
    spread = BLUR * (face.box[2] - face.box[0])
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), spread), dtype=np.uint8)


def darkened(pixels: Pixels, _: Face) -> Pixels:
    """``pixels`` with a part of their light."""
    return (pixels * DARK).astype(np.uint8)


def turned(pixels: Pixels, angle: float) -> Pixels:
    """``pixels`` turned clockwise by ``angle`` degrees, nothing cut off."""
    height, width = pixels.shape[:2]
    side = int(np.ceil(np.hypot(width, height)))
    to = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), -angle, 1.0)
    to[:, 2] += [(side - width) / 2, (side - height) / 2]
    return np.asarray(cv2.warpAffine(pixels, to, (side, side)), dtype=np.uint8)


def largest(pixels: Pixels, detector: FaceDetector) -> Face | None:
    """The largest face in ``pixels``."""
    faces = detector.detect([picture(pixels)])[0].faces
    return max(faces, key=lambda f: (f.box[2] - f.box[0]) * (f.box[3] - f.box[1]), default=None)


def opened(folder: Path, name: str, row: dict[str, Any]) -> Pixels:
    """One image of the boxes' set, stretched back to the size its boxes are in."""
    pixels = read(folder / "images" / name)
    size = (row["orig_w"], row["orig_h"])
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def read(path: Path) -> Pixels:
    """``uint8 H×W×3`` RGB. `FileNotFoundError` for anything OpenCV cannot read."""
    pixels = cv2.imread(str(path))
    if pixels is None:
        raise FileNotFoundError(path)
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def picture(pixels: Pixels) -> Picture:
    """``pixels`` at their own size."""
    return Picture(pixels, pixels.shape[1], pixels.shape[0])


def row_of(
    metric: str, value: float, target: float | None, note: str, *, at_most: bool = False
) -> Row:
    """One line of the table; ``target`` is the least, or with ``at_most`` the most."""
    row: Row = {"metric": metric, "value": round(value, 4), "target": "", "note": note}
    if target is not None:
        row["target"] = f"{'≤' if at_most else '≥'} {target:g}"
        row["met"] = value <= target if at_most else value >= target
    return row
