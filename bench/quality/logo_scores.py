"""``python -m bench.quality.logo_scores --simple-icons DIR``: what the score of a logo should say.

Fits a logistic regression to keypoints in agreement, on pictures made here from the example
photographs: pasted icons (of the unpacked npm package simple-icons 16.37.0, half of them of brands
that do not ship, so that any answer is wrong), and pasted cuttings of other photographs as a user's
gallery would hold them. The numbers that it prints are those of `tapetum.recognisers.logos`. Of
drawn lettering, half of it ordinary words, it prints how often a name is right beside what is said.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from bench.quality.logos import drawn, is_fit
from bench.quality.objects import calibration_error
from numpy.typing import NDArray

from tapetum.detectors.glyphs import GlyphDetector
from tapetum.detectors.keypoints import KeypointDetector
from tapetum.detectors.text.detector import TextDetector
from tapetum.gallery import Entry, Gallery, Kind, Reference
from tapetum.gallery.backends.memory import MemoryGalleries
from tapetum.gallery.matching.local_features import packed
from tapetum.gallery.shipped import glyphs
from tapetum.gallery.shipped.brands import Brands, key
from tapetum.gallery.shipped.landmarks import MODEL
from tapetum.imaging.decoding import decode
from tapetum.imaging.drawing import rendered
from tapetum.imaging.picture import Picture
from tapetum.layout.page import layout
from tapetum.models import packs
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.recognisers import logos
from tapetum.recognisers.wordmarks import wordmarks
from tapetum.signals import Signals
from tapetum.signals.keypoints import GlyphKeypoints, Keypoints, LocalFeatures
from tapetum.signals.labels import Labels
from tapetum.signals.page_layout import PageLayout
from tapetum.signals.text import TextLines

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"
SIDE = 640  # of a made picture, pixels
CUT = 5  # cuttings of each photograph
#: Keypoints less than an answer needs that count as evidence, too: answers alone are mostly right.
#: With far fewer the few right ones among chance agreements would flatten the curve above.
BELOW = 4

_NO_TEXT = (TextLines(()), PageLayout())

Pixels = NDArray[np.uint8]
Evidence = Iterator[tuple[float, bool]]  # a number, and whether the answer was right


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simple-icons", type=Path, required=True, metavar="DIR")
    parser.add_argument("--count", type=int, default=300, help="pictures of each kind")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    logos.LEAST -= BELOW
    logos.FLAT_LEAST -= BELOW
    photos = [_photo(path) for path in sorted(PHOTOS.glob("*.jpg"))]
    for name, evidence in (
        ("symbols that ship", _icons(options, photos)),
        ("reference images", _cuttings(options.count, photos)),
    ):
        inliers, right = _columns(evidence)
        slope, intercept = _fitted(np.log(inliers), right)
        chances = 1 / (1 + np.exp(-slope * np.log(inliers) - intercept))
        print(f"{name}: slope {slope:.3f}, intercept {intercept:.3f}; {_said(chances, right)}")
    print(f"names: {_said(*_columns(_names(options.count, photos)))}")


def _icons(options: argparse.Namespace, photos: Sequence[Pixels]) -> Evidence:
    random = np.random.default_rng(1)
    shipped = glyphs.load()
    recogniser = logos.LogoRecogniser(MemoryGalleries(MODEL), Brands([]), shipped)
    detector = GlyphDetector()
    known = {key(name) for name, _ in shipped}
    table = json.loads((options.simple_icons / "data/simple-icons.json").read_text("utf-8"))
    ours = [row for row in table if key(row["title"]) in known]
    others = [row for row in table if key(row["title"]) not in known]
    for number in range(options.count):
        rows = ours if number % 2 else others
        row = rows[random.integers(len(rows))]
        svg = (options.simple_icons / f"icons/{row['slug']}.svg").read_bytes()
        png = np.frombuffer(rendered(svg), np.uint8)
        ink = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)[..., 3:]
        colour = np.array([int(row["hex"][k : k + 2], 16) for k in (0, 2, 4)])
        mark, cover = _coloured(ink / 255, colour, random)
        picture = _pasted(photos[random.integers(len(photos))], mark, cover, random)
        signals = Signals([*_NO_TEXT, _nothing(picture), *detector.detect([picture])])
        found = recogniser.recognise(picture, signals).logos
        if found:
            yield found[0].inliers, key(found[0].name) == key(row["title"])


def _cuttings(count: int, photos: Sequence[Pixels]) -> Evidence:
    random = np.random.default_rng(2)
    detector = KeypointDetector(Sessions(Manifest.packaged()))
    gallery, galleries = Gallery("cuttings", Kind.LOGO), MemoryGalleries(MODEL)
    galleries.create(gallery)
    cuttings = []
    for k, photo in enumerate(photos):
        for part in range(CUT):
            side = int(min(photo.shape[:2]) * random.uniform(0.35, 0.7))
            y, x = (int(random.integers(0, length - side)) for length in photo.shape[:2])
            cutting = np.ascontiguousarray(photo[y : y + side, x : x + side])
            cuttings.append((f"{k}.{part}", k, cutting))
    for name, k, cutting in cuttings[::2]:  # the others are strangers
        features = detector.detect([Picture(cutting, *cutting.shape[1::-1])])[0].features
        nothing = np.zeros(MODEL.dimensions, dtype=np.float16)
        reference = Reference(name, name, *features.size, nothing, bytes(32), 0, packed(features))
        galleries.put(gallery, [(Entry(name, f"photograph {k}"), [reference])])
    recogniser = logos.LogoRecogniser(galleries, Brands([]))
    for number in range(count):
        held = cuttings[number % 2 :: 2]
        _, k, cutting = held[random.integers(len(held))]
        ground = photos[(k + random.integers(1, len(photos))) % len(photos)]
        picture = _pasted(ground, cutting, np.ones((*cutting.shape[:2], 1)), random)
        signals = Signals([*_NO_TEXT, *detector.detect([picture]), *_no_symbols(picture)])
        found = recogniser.recognise(picture, signals).logos
        # A cutting of the ground beneath is in the picture, too: it says nothing either way.
        beneath = f"photograph {_index(photos, ground)}"
        best = next((one for one in found if one.name != beneath), None)
        if best is not None:
            yield best.inliers, best.name == f"photograph {k}"


def _names(count: int, photos: Sequence[Pixels]) -> Evidence:
    random = np.random.default_rng(3)
    sessions = Sessions(Manifest.packaged())
    brands, detector = Brands.packaged(), TextDetector(sessions)
    names = [brand.name for brand in brands if is_fit(brand)]
    words = [word.description for word in packs.maker_of(Labels, sessions).vocabulary.words]
    words = [word for word in words if 4 <= len(word) <= 14 and brands.named(word) is None]
    for number in range(count):
        list_of = names if number % 2 else words
        said = list_of[random.integers(len(list_of))]
        photo = photos[random.integers(len(photos))]
        high, blur = (0.03, 0.16), random.uniform(0.6, 3.0)
        pixels = drawn(photo, said, random, high, blur)
        picture = _saved(pixels, random)
        page = layout(detector.detect([picture])[0].lines)
        marks = wordmarks(page, brands, picture.width, picture.height)
        for mark in marks:
            if not mark.is_word:
                yield mark.score, key(mark.name) == key(said)


def _columns(evidence: Evidence) -> Iterator[NDArray[np.float64]]:
    return (np.array(column, dtype=np.float64) for column in zip(*evidence, strict=True))


def _said(chances: NDArray[np.float64], right: NDArray[np.float64]) -> str:
    error = calibration_error(chances, right)
    return (
        f"{len(right)} answers, said to be right {chances.mean():.3f}, right {right.mean():.3f}; "
        f"calibration error {error:.3f}"
    )


def _fitted(inputs: NDArray[np.float64], right: NDArray[np.float64]) -> tuple[float, float]:
    """The most likely slope and intercept (Newton's method), with Platt's targets: n right answers
    do not make one certain (Platt, 1999)."""
    positive, negative = right.sum(), (1 - right).sum()
    wanted = np.where(right == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
    rows = np.stack([inputs, np.ones_like(inputs)], axis=1)
    weights = np.zeros(2)
    for _ in range(50):
        chances = 1 / (1 + np.exp(-rows @ weights))
        curve = (rows.T * (chances * (1 - chances))) @ rows + 1e-9 * np.eye(2)
        weights += np.linalg.solve(curve, rows.T @ (wanted - chances))
    return float(weights[0]), float(weights[1])


# --- Pictures (RGB) -----------------------------------------------------------------------------


def _photo(path: Path) -> Pixels:
    pixels = decode(path.read_bytes(), max).pixels
    scale = SIDE / max(pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def _coloured(
    ink: NDArray[np.float64], colour: NDArray[np.int64], random: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """An icon on a white card, white on a card of its colour, or without one: pixels and cover."""
    white, margin = np.full(3, 255), ink.shape[0] // 8
    ink = np.pad(ink, ((margin, margin), (margin, margin), (0, 0)))
    way = random.random()
    if way < 0.5:
        return white * (1 - ink) + colour * ink, np.ones_like(ink)
    if way < 0.72:
        return colour * (1 - ink) + white * ink, np.ones_like(ink)
    return np.broadcast_to(colour, (*ink.shape[:2], 3)).astype(np.float64), ink


def _pasted(
    ground: Pixels,
    mark: NDArray[np.generic],
    cover: NDArray[np.float64],
    random: np.random.Generator,
) -> Picture:
    """``mark`` somewhere on ``ground``, 12 to 40 % as wide, turned, in perspective."""
    rows, columns = ground.shape[:2]
    high, wide = mark.shape[:2]
    scale = random.uniform(0.12, 0.40) * columns / wide
    scale = min(scale, 0.9 * rows / high)
    corners = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], dtype=np.float64) * scale
    size = corners[2].copy()
    corners += random.uniform(-0.13, 0.13, (4, 2)) * size
    angle = np.radians(random.uniform(-12, 12))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = (corners - size / 2) @ turn.T + size / 2
    corners += random.uniform(0, 1, 2) * np.maximum(1, [columns - size[0], rows - size[1]])
    before = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], dtype=np.float32)
    warp = cv2.getPerspectiveTransform(before, corners.astype(np.float32))
    # A picture made smaller by warping alone shows every so many pixels of it.
    soft = max(0.1, 0.4 / scale)
    mark = cv2.GaussianBlur(mark.astype(np.float32), (0, 0), soft)
    cover = cv2.GaussianBlur(cover.astype(np.float32), (0, 0), soft)
    put = cv2.warpPerspective(mark, warp, (columns, rows), flags=cv2.INTER_LINEAR)
    shown = cv2.warpPerspective(cover, warp, (columns, rows), flags=cv2.INTER_LINEAR)[..., None]
    mixed = put * shown + ground * (1 - shown)
    mixed = cv2.GaussianBlur(mixed, (0, 0), random.uniform(0.3, 1.2))
    return _saved(np.clip(mixed, 0, 255).astype(np.uint8), random)


def _saved(pixels: Pixels, random: np.random.Generator) -> Picture:
    """With some noise, as a JPEG file of quality 45 to 90 shows it."""
    noisy = pixels + random.normal(0, random.uniform(0, 8), pixels.shape)
    noisy = np.clip(noisy, 0, 255).astype(np.uint8)
    quality = int(random.integers(45, 91))
    file = cv2.imencode(".jpg", noisy[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return decode(file.tobytes(), max)


def _index(photos: Sequence[Pixels], photo: Pixels) -> int:
    return next(k for k, one in enumerate(photos) if one is photo)


def _nothing(picture: Picture) -> Keypoints:
    points, numbers = np.zeros((0, 2), np.float32), np.zeros((0, 64), np.float32)
    return Keypoints(LocalFeatures(points, numbers, (picture.width, picture.height)))


def _no_symbols(picture: Picture) -> list[GlyphKeypoints]:
    nothing = _nothing(picture).features
    return [GlyphKeypoints(nothing, nothing)]


if __name__ == "__main__":
    main()
