"""Crops and colours: faces a crop cuts in two, and what both cost.

Reads the sets of faces (``gt.json``, ``images/``) and objects (``images/``); of their truth only
the original sizes are used. No truth of good crops or colours exists here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from bench.quality.faces import opened

from tapetum.detectors import Detector
from tapetum.detectors.colours import ColourDetector
from tapetum.features.crop_hints import CropSearch
from tapetum.features.importance import importance
from tapetum.imaging.decoding import decode
from tapetum.imaging.picture import Picture
from tapetum.models import packs
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.signals import Signals
from tapetum.signals.captions import Captions
from tapetum.signals.faces import Faces
from tapetum.signals.objects import Objects
from tapetum.signals.saliency import Saliency

RATIOS = (0.5, 0.75, 1.0, 4 / 3, 16 / 9, 2.5)
CUT = 0.05  # of a face's area inside and outside: less is not cut in two
MOST_MS = 15.0

Box = tuple[float, float, float, float]


def measure(data: Path) -> list[dict[str, Any]]:
    """The rows of the quality table: ``metric``, ``value``, ``target``, ``met``, ``note``."""
    cv2.setNumThreads(1)
    sessions = Sessions(Manifest.packaged())
    detectors: list[Detector[Any]] = [
        packs.maker_of(kind, sessions) for kind in (Captions, Faces, Objects, Saliency)
    ]
    colours, spent = ColourDetector(), {"crops": [0.0], "colours": [0.0]}
    pictures = with_faces = crops = forced = needless = 0
    for picture in _pictures(data, [*detectors, colours]):
        signals = Signals(detector.detect([picture])[0] for detector in detectors)
        spent["colours"].append(_milliseconds(lambda seen=picture: colours.detect([seen])))
        width, height = picture.width, picture.height
        faces = [_clipped(face.box, width, height) for face in signals.of(Faces).faces]
        pictures += 1
        with_faces += bool(faces)
        for ratio in RATIOS:
            found: list[tuple[int, int, int, int]] = []
            spent["crops"].append(
                _milliseconds(lambda r=ratio, s=signals, p=picture, out=found: _crop(s, p, r, out))
            )
            if not faces:
                continue
            crops += 1
            if _cuts(found[0], faces):
                forced += 1
                needless += _avoidable(found[0], width, height, faces)
    crop_ms, colour_ms = (float(np.mean(spent[name][1:])) for name in ("crops", "colours"))
    return [
        {
            "metric": "crops that cut a face in two needlessly",
            "value": needless,
            "target": "0",
            "met": needless == 0,
            "note": f"of {crops} crops of {with_faces} pictures with faces in "
            f"{len(RATIOS)} ratios; {forced - needless} more had no position that cuts none. Faces "
            "are those found, as far as they fit in the crop",
        },
        _time_row("a crop hint above its signals, ms of CPU", crop_ms, max(spent["crops"])),
        _time_row("dominant colours, ms of CPU", colour_ms, max(spent["colours"])),
    ]


def _time_row(metric: str, mean: float, largest: float) -> dict[str, Any]:
    return {
        "metric": metric,
        "value": mean,
        "target": f"≤ {MOST_MS:.0f}",
        "met": mean <= MOST_MS,
        "note": f"mean; the slowest picture {largest:.0f}",
    }


def _pictures(data: Path, detectors: Sequence[Detector[Any]]) -> Iterator[Picture]:
    for name, row in json.loads((data / "faces/gt.json").read_text()).items():
        yield Picture(opened(data / "faces", name, row), row["orig_w"], row["orig_h"])
    for path in sorted((data / "objects/images").iterdir()):
        yield decode(path.read_bytes(), lambda w, h: max(d.max_side(w, h) for d in detectors))


def _crop(
    signals: Signals, picture: Picture, ratio: float, out: list[tuple[int, int, int, int]]
) -> None:
    faces = [face.box for face in signals.of(Faces).faces]
    density = importance(signals, picture.width, picture.height)
    out.append(CropSearch(density, picture.width, picture.height, faces).of_ratio(ratio).box)


def _milliseconds(work: Callable[[], object]) -> float:
    start = time.thread_time()
    work()
    return (time.thread_time() - start) * 1e3


def _clipped(box: Box, width: int, height: int) -> Box:
    x0, y0, x1, y1 = box
    return max(0.0, x0), max(0.0, y0), min(float(width), x1), min(float(height), y1)


def _cuts(crop: tuple[int, int, int, int], faces: Sequence[Box]) -> int:
    """How many of ``faces`` that fit in ``crop`` (first and last pixel) it cuts in two."""
    left, top, right, bottom = crop[0], crop[1], crop[2] + 1, crop[3] + 1
    count = 0
    for x0, y0, x1, y1 in faces:
        if x1 - x0 <= right - left and y1 - y0 <= bottom - top:
            wide = max(0.0, min(x1, right) - max(x0, left))
            high = max(0.0, min(y1, bottom) - max(y0, top))
            count += CUT < wide * high / ((x1 - x0) * (y1 - y0)) < 1 - CUT
    return count


def _avoidable(
    crop: tuple[int, int, int, int], width: int, height: int, faces: Sequence[Box]
) -> bool:
    """Whether a crop of the same size cuts none of ``faces`` at any whole pixel it can be at."""
    columns, rows = crop[2] - crop[0] + 1, crop[3] - crop[1] + 1
    return any(
        not _cuts((left, top, left + columns - 1, top + rows - 1), faces)
        for left in range(width - columns + 1)
        for top in range(height - rows + 1)
    )
