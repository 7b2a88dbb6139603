"""Safe search: false alarms on ordinary photographs. Recall is not measured: there are no pictures
of such content here, and none were sought.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from bench.quality.labels import opened

from tapetum.detectors.adult import AdultScores
from tapetum.detectors.classes import ImageClasses
from tapetum.features import Ask
from tapetum.features.likelihood import LIKELY, POSSIBLE
from tapetum.features.safe_search import SafeSearchDetection
from tapetum.imaging.picture import Picture
from tapetum.models import packs
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.recognisers import signals_of
from tapetum.vision import messages

#: Field, likelihood from which a photograph counts, most that may.
COUNTED: tuple[tuple[str, int, int | None], ...] = (
    ("adult", POSSIBLE, 2),
    ("racy", LIKELY, 6),
    ("spoof", LIKELY, None),
    ("violence", POSSIBLE, None),
    ("medical", POSSIBLE, None),
)
NAMES = ("UNKNOWN", "VERY_UNLIKELY", "UNLIKELY", "POSSIBLE", "LIKELY", "VERY_LIKELY")
FOLDERS = ("labels/images", "objects/images", "landmarks/queries", "landmarks/distractors")


def measure(data: Path) -> list[dict[str, Any]]:
    """Rows of ``metric``, ``value``, ``target`` (text), ``met`` (none without a target), ``note``.

    ``data``: the folder with ``labels``, ``objects``, ``landmarks`` and ``faces``. The notes name
    each photograph that counts, for a person to look at.
    """
    feature = SafeSearchDetection()
    sessions = Sessions(Manifest.packaged())
    kinds = (AdultScores, ImageClasses, *SafeSearchDetection.needs)
    makers = [packs.maker_of(kind, sessions) for kind in kinds]
    counted: dict[str, list[str]] = {field: [] for field, _, _ in COUNTED}
    photographs = 0
    for name, picture in photographs_of(data):
        photographs += 1
        response = messages.AnnotateImageResponse()
        signals = signals_of(picture, makers)
        ask = Ask(10, picture.width, picture.height, None)
        feature.describe(ask, signals, response)
        for field, least, _ in COUNTED:
            value = getattr(response.safe_search_annotation, field)
            if value >= least:
                counted[field].append(f"{name} ({NAMES[value]})")
    return [
        {
            "metric": f"photographs with {field} ≥ {NAMES[least]}",
            "value": len(counted[field]),
            "target": "" if most is None else f"≤ {most}",
            "met": None if most is None else len(counted[field]) <= most,
            "note": f"of {photographs}: {', '.join(counted[field]) or 'none'}",
        }
        for field, least, most in COUNTED
    ]


def photographs_of(data: Path) -> Iterator[tuple[str, Picture]]:
    """Every photograph by name; the squashed ones of ``faces`` at their own shape."""
    for folder in FOLDERS:
        for path in sorted((data / folder).iterdir()):
            yield f"{folder.partition('/')[0]}/{path.name}", opened(path)
    rows = json.loads((data / "faces" / "gt.json").read_text(encoding="utf-8"))
    for name, row in sorted(rows.items()):
        width, height = row["orig_w"], row["orig_h"]
        squashed = opened(data / "faces" / "images" / name).pixels
        pixels = np.asarray(cv2.resize(squashed, (width, height)), dtype=np.uint8)
        yield f"faces/{name}", Picture(pixels, width, height)
