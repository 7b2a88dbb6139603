"""Logos: symbols pasted on photographs, clean photographs, and names drawn on them.

The set is a folder with ``manifest.json``: ``items`` with ``file``, ``label`` (none for a clean
photograph) and ``quad``. The word-marks are made here: names of the shipped list in one font, on
the set's clean photographs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from bench.quality.objects import ECE_TARGET, calibration_error
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tapetum.detectors.glyphs import GlyphDetector
from tapetum.detectors.keypoints import KeypointDetector
from tapetum.detectors.text.detector import TextDetector
from tapetum.gallery.backends.memory import MemoryGalleries
from tapetum.gallery.shipped import glyphs
from tapetum.gallery.shipped.brands import Brand, Brands, key
from tapetum.gallery.shipped.landmarks import MODEL
from tapetum.imaging.decoding import decode
from tapetum.imaging.picture import Picture
from tapetum.layout.page import layout
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.recognisers.logos import LogoRecogniser
from tapetum.signals import Signals
from tapetum.signals.text import TextLines

PRECISION, RECALL, NAMED = 0.95, 0.35, 0.80
WORD_MARKS = 60
SEED = 0  # of which names, and how they are drawn
HIGH = (0.06, 0.16)  # of the letters, in heights of the picture

Pixels = NDArray[np.uint8]


class _Looker:
    """The logos of a picture, by what ships alone."""

    def __init__(self, brands: Brands) -> None:
        sessions = Sessions(Manifest.packaged())
        self._detectors = TextDetector(sessions), KeypointDetector(sessions), GlyphDetector()
        self.symbols = glyphs.load()
        self._recogniser = LogoRecogniser(MemoryGalleries(MODEL), brands, self.symbols)
        self.seconds: list[float] = []
        self.scores: list[tuple[float, bool]] = []  # and whether the answer was right

    def max_side(self, width: int, height: int) -> int:
        return max(detector.max_side(width, height) for detector in self._detectors)

    def names(self, picture: Picture, right: str = "") -> list[str]:
        """The keys of the names of all logos. ``right``: the one that it shows, if any."""
        signals = Signals(detector.detect([picture])[0] for detector in self._detectors)
        signals.add(layout(signals.of(TextLines).lines))
        start = time.process_time()
        found = self._recogniser.recognise(picture, signals).logos
        self.seconds.append(time.process_time() - start)
        names = [key(logo.name) for logo in found]
        self.scores += [
            (logo.probability, name == right) for logo, name in zip(found, names, strict=True)
        ]
        return names


def measure(folder: Path) -> list[dict[str, Any]]:
    """The rows of the quality table: ``metric``, ``value``, ``target``, ``met``, ``note``."""
    cv2.setNumThreads(1)
    items = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["items"]
    brands = Brands.packaged()
    looker = _Looker(brands)
    pasted = [item for item in items if item["label"]]
    clean = [folder / item["file"] for item in items if not item["label"]]
    right = wrong = 0
    for item in pasted:
        label = key(item["label"])
        names = looker.names(decode((folder / item["file"]).read_bytes(), looker.max_side), label)
        right += label in names
        wrong += sum(name != label for name in set(names))
    false = sum(bool(looker.names(decode(path.read_bytes(), looker.max_side))) for path in clean)
    precision = right / max(1, right + wrong + false)
    recall = right / len(pasted)
    named, asked = _word_marks(looker, brands, clean)
    chances, correct = (
        np.array(column, dtype=np.float64) for column in zip(*looker.scores, strict=True)
    )
    error = calibration_error(chances, correct)
    return [
        {
            "metric": "pasted symbols named",
            "value": recall,
            "target": f"≥ {RECALL}",
            "met": recall >= RECALL,
            "note": f"{len(pasted)} pictures, {len(looker.symbols)} symbols",
        },
        {
            "metric": "precision, pasted symbols and clean photographs",
            "value": precision,
            "target": f"≥ {PRECISION}",
            "met": precision >= PRECISION,
            "note": f"{right} right, {wrong} wrong beside a symbol, {false} on clean photographs; "
            f"{len(brands)} names",
        },
        {
            "metric": "clean photographs with a logo",
            "value": false,
            "target": "0",
            "met": false == 0,
            "note": f"{len(clean)} photographs",
        },
        {
            "metric": "drawn word-marks named",
            "value": named / asked,
            "target": f"≥ {NAMED}",
            "met": named / asked >= NAMED,
            "note": f"{asked} names of the shipped list in one font, 6 to 16 % of the height, "
            "slanted, blurred, on photographs",
        },
        {
            "metric": "precision of all answers, drawn word-marks too",
            "value": float(correct.mean()),
            "target": f"≥ {PRECISION}",
            "met": bool(correct.mean() >= PRECISION),
            "note": f"{len(correct)} answers, {int(len(correct) - correct.sum())} wrong",
        },
        {
            "metric": "calibration error of all scores",
            "value": error,
            "target": f"≤ {ECE_TARGET:.2f}",
            "met": error <= ECE_TARGET,
            "note": f"{len(chances)} answers, stated right {chances.mean():.3f}, found right "
            f"{correct.mean():.3f}",
        },
        {
            "metric": "ms of CPU above reading and both kinds of keypoints",
            "value": 1000 * float(np.mean(looker.seconds)),
            "target": "",
            "met": None,
            "note": "what ships alone",
        },
    ]


def _word_marks(looker: _Looker, brands: Brands, photographs: Sequence[Path]) -> tuple[int, int]:
    random = np.random.default_rng(SEED)
    fit = [brand for brand in brands if is_fit(brand)]
    chosen = random.choice(len(fit), WORD_MARKS, replace=False)
    named = 0
    for k, path in zip(chosen, _again(photographs), strict=False):
        pixels = decode(path.read_bytes(), max).pixels
        picture = drawn(pixels, fit[k].name, random)
        height, width = picture.shape[:2]
        name = key(fit[k].name)
        named += name in looker.names(Picture(picture, width, height), name)
    return named, len(chosen)


def is_fit(brand: Brand) -> bool:
    """Whether the font has its letters and its name fits on one line."""
    return not brand.is_word and brand.name.isascii() and 4 <= len(brand.name) <= 14


def _again(paths: Sequence[Path]) -> Sequence[Path]:
    return [*paths] * (WORD_MARKS // len(paths) + 1)


def drawn(
    pixels: Pixels,
    name: str,
    random: np.random.Generator,
    high: tuple[float, float] = HIGH,
    blur: float = 0.6,
) -> Pixels:
    """``name`` on a card of one colour, in another, somewhere on ``pixels``. ``high``: of the
    letters, in heights of the picture; ``blur``: standard deviation, pixels."""
    rows, columns = pixels.shape[:2]
    font = ImageFont.load_default(size=96)
    left, top, right, bottom = font.getbbox(name)
    size = (round(right - left) + 80, round(bottom - top) + 60)
    dark, light = (tuple(random.integers(*span, 3).tolist()) for span in ((0, 90), (180, 256)))
    ground, ink = (dark, light) if random.random() < 0.5 else (light, dark)
    card = Image.new("RGB", size, ground)
    ImageDraw.Draw(card).text((40 - left, 30 - top), name, fill=ink, font=font)
    scale = min(random.uniform(*high) * rows / 96, 0.9 * columns / size[0])
    wide, high = scale * size[0], scale * size[1]
    x, y = random.uniform(0, columns - wide), random.uniform(0, max(1, rows - high))
    corners = np.float32([[0, 0], [wide, 0], [wide, high], [0, high]])
    corners += random.uniform(-0.08, 0.08, (4, 2)).astype(np.float32) * high + [x, y]
    before = np.float32([[0, 0], [size[0], 0], size, [0, size[1]]])
    warp = cv2.getPerspectiveTransform(before, corners.astype(np.float32))
    flags = {"flags": cv2.INTER_AREA}
    put = cv2.warpPerspective(np.asarray(card), warp, (columns, rows), **flags)
    cover = cv2.warpPerspective(np.ones(size[::-1], np.float32), warp, (columns, rows))
    mixed = put * cover[..., None] + pixels * (1 - cover[..., None])
    return np.asarray(cv2.GaussianBlur(mixed, (0, 0), blur).round(), dtype=np.uint8)
