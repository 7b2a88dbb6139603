"""Landmarks: how many are recognised, and what is taken for one that is none.

The set is a folder with ``manifest.json``: rows with ``role`` (gallery, query or distract),
``landmark`` and ``file``. Thresholds were chosen with these pictures in view.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tapetum.detectors import Detector, Embedder
from tapetum.gallery import Entry, Gallery, Kind, Reference, unit
from tapetum.gallery.backends.memory import MemoryGalleries
from tapetum.gallery.matching.local_features import packed
from tapetum.gallery.shipped.landmarks import MODEL
from tapetum.imaging.decoding import decode
from tapetum.imaging.picture import Picture
from tapetum.models import packs
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.recognisers.landmarks import LandmarkRecogniser
from tapetum.signals import Signals
from tapetum.signals.embedding import Embedding
from tapetum.signals.keypoints import Keypoints

RECALL, PRECISION, MOST_FALSE, MOST_MS = 0.45, 0.98, 1, 300.0
GALLERY = Gallery("measured", Kind.LANDMARK)
MANY, MOST_MS_OF_MANY = 100_000, 330.0
ENOUGH = 10  # queries a landmark must have to be part of the curve: half become references
REFERENCES = (1, 2, 4, 6)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A picture's signals and the CPU seconds its keypoints took."""

    picture: Picture
    signals: Signals
    seconds: float


def measure(folder: Path) -> list[dict[str, Any]]:
    """The rows of the quality table: ``metric``, ``value``, ``target``, ``met``, ``note``."""
    cv2.setNumThreads(1)
    table = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    sessions = Sessions(Manifest.packaged())
    keypoints, embedder = (packs.maker_of(kind, sessions) for kind in (Keypoints, Embedding))
    seen = {row["file"]: _seen(folder / row["file"], keypoints, embedder) for row in table}
    of_role: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in table:
        of_role[row["role"]].append((row["landmark"], row["file"]))

    asked = of_role["query"] + [("", file) for _, file in of_role["distract"]]
    answers, seconds = _answers(of_role["gallery"], asked, seen)
    given = [(truth, name) for truth, name in answers if name]
    right = sum(truth == name for truth, name in given)
    recall = right / len(of_role["query"])
    precision = right / max(1, len(given))
    false = sum(not truth for truth, _ in given)
    milliseconds = 1000 * float(np.mean(seconds))
    counts = f"{len(of_role['gallery'])} landmarks, one reference each"
    return [
        _row(
            "recall",
            recall,
            f"≥ {RECALL}",
            recall >= RECALL,
            f"{len(of_role['query'])} queries; {counts}",
        ),
        _row(
            "precision",
            precision,
            f"≥ {PRECISION}",
            precision >= PRECISION,
            f"{len(given)} answers",
        ),
        _row(
            "other pictures taken for a landmark",
            false,
            f"≤ {MOST_FALSE}",
            false <= MOST_FALSE,
            f"{len(of_role['distract'])} pictures",
        ),
        _row(
            "ms of CPU above the shared embedding",
            milliseconds,
            f"≤ {MOST_MS:.0f}",
            milliseconds <= MOST_MS,
            f"keypoints, search and verification; {counts}",
        ),
        _of_many(asked[:: len(asked) // 10], seen),
        *_curve(of_role, seen),
    ]


def _row(metric: str, value: float, target: str, met: bool | None, note: str) -> dict[str, Any]:
    return {"metric": metric, "value": value, "target": target, "met": met, "note": note}


def _of_many(asked: Sequence[tuple[str, str]], seen: Mapping[str, Seen]) -> dict[str, Any]:
    """CPU time among 100,000 made-up entries with random embeddings, searched flat, and one
    picture's keypoints."""
    random = np.random.default_rng(0)
    blob = _reference("", seen[asked[0][1]]).features
    galleries = MemoryGalleries(MODEL)
    galleries.create(GALLERY)
    for first in range(0, MANY, 10_000):
        rows = np.abs(random.standard_normal((10_000, MODEL.dimensions), dtype=np.float32))
        names = [f"{first + k}" for k in range(len(rows))]
        made = [
            (
                Entry(name),
                [Reference(name, name, 640, 480, unit(row), bytes(32), 0, blob, model=MODEL.name)],
            )
            for name, row in zip(names, rows, strict=True)
        ]
        galleries.put(GALLERY, made)
    recogniser = LandmarkRecogniser(galleries)
    recogniser.recognise(seen[asked[0][1]].picture, seen[asked[0][1]].signals)  # builds the matrix
    seconds = []
    for _, file in asked:
        start = time.process_time()
        recogniser.recognise(seen[file].picture, seen[file].signals)
        seconds.append(time.process_time() - start + seen[file].seconds)
    milliseconds = 1000 * float(np.mean(seconds))
    return _row(
        "the same among 100,000 entries",
        milliseconds,
        f"≤ {MOST_MS_OF_MANY:.0f}",
        milliseconds <= MOST_MS_OF_MANY,
        f"made-up entries, one reference each, searched flat; {len(asked)} pictures",
    )


def _curve(
    of_role: Mapping[str, Sequence[tuple[str, str]]], seen: Mapping[str, Seen]
) -> list[dict[str, Any]]:
    """Recall with more references: of landmarks with many queries, half of them become some."""
    queries: dict[str, list[str]] = defaultdict(list)
    for landmark, file in of_role["query"]:
        queries[landmark].append(file)
    many = {name: files for name, files in queries.items() if len(files) >= ENOUGH}
    asked = [(name, file) for name, files in many.items() for file in files[len(files) // 2 :]]
    rows = []
    for count in REFERENCES:
        extra = [(name, file) for name, files in many.items() for file in files[: count - 1]]
        answers, _ = _answers([*of_role["gallery"], *extra], asked, seen)
        recall = sum(truth == name for truth, name in answers) / len(asked)
        note = f"{len(asked)} queries of {len(many)} landmarks; all others have one reference"
        rows.append(
            _row(f"recall with {count} reference{'s' * (count > 1)}", recall, "", None, note)
        )
    return rows


def _seen(path: Path, keypoints: Detector[Keypoints], embedder: Embedder) -> Seen:
    picture = decode(
        path.read_bytes(), lambda w, h: max(keypoints.max_side(w, h), embedder.max_side(w, h))
    )
    [embedding] = embedder.embed([picture])
    start = time.process_time()
    [local] = keypoints.detect([picture])
    return Seen(picture, Signals([embedding, local]), time.process_time() - start)


def _answers(
    references: Sequence[tuple[str, str]],
    asked: Sequence[tuple[str, str]],
    seen: Mapping[str, Seen],
) -> tuple[list[tuple[str, str]], list[float]]:
    """(truth, first answer or nothing) of each picture asked, and the CPU seconds each took."""
    galleries = MemoryGalleries(MODEL)
    galleries.create(GALLERY)
    galleries.put(
        GALLERY, [(Entry(name, name), [_reference(file, seen[file])]) for name, file in references]
    )
    recogniser = LandmarkRecogniser(galleries)
    answers, seconds = [], []
    for truth, file in asked:
        start = time.process_time()
        known = recogniser.recognise(seen[file].picture, seen[file].signals).landmarks
        seconds.append(time.process_time() - start + seen[file].seconds)
        answers.append((truth, known[0].name if known else ""))
    return answers, seconds


def _reference(file: str, seen: Seen) -> Reference:
    width, height = seen.picture.width, seen.picture.height
    embedding = unit(seen.signals.of(Embedding).vector)
    blob = packed(seen.signals.of(Keypoints).features)
    return Reference(file, file, width, height, embedding, bytes(32), 0, blob, model=MODEL.name)
