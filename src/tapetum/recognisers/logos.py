"""Logos: brands' names that stand as logos do, and the pictures of galleries found again."""

from __future__ import annotations

import difflib
import logging
import math
import threading
from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.errors import InvalidGallery
from tapetum.gallery import Galleries, Gallery, Kind, Size
from tapetum.gallery.matching.local_features import CHANNELS, unpacked, verified
from tapetum.gallery.shipped.brands import Brands, key
from tapetum.gallery.shipped.glyphs import MARGIN
from tapetum.imaging.picture import Picture
from tapetum.recognisers.wordmarks import wordmarks
from tapetum.signals import Signals
from tapetum.signals.context import NO_CONTEXT, RequestContext
from tapetum.signals.keypoints import GlyphKeypoints, Keypoints, LocalFeatures
from tapetum.signals.logos import Logo, Logos
from tapetum.signals.page_layout import PageLayout
from tapetum.signals.text import Point, TextLines

log = logging.getLogger(__name__)

#: Least cosine of two keypoints' descriptors; the published default of XFeat.
SIMILAR = 0.82
#: Keypoints that must agree. Of 650 pairs of a picture and a mark that is not in it, none had more
#: than 12.
LEAST = 14
#: The same two for the symbols that ship, which are flat marks and seen as `GlyphKeypoints`. No
#: clean photograph of the development set had more than 6 keypoints that agree; lettering has up to
#: 12, hence `READ`.
FLAT_SIMILAR, FLAT_LEAST = 0.75, 8
#: Slope and intercept of ``logit p`` over ln n, p the probability that n agreeing keypoints are
#: right: of a symbol that ships, and of a gallery's reference image. Fitted to pictures made by
#: `bench/quality/logo_scores.py`. Of names it found right what the reader's confidence says.
SYMBOL, REFERENCE = (4.451, -6.975), (6.562, -17.125)
#: A line of text is lettering, not a part of a symbol, when the reader is so sure of it, it has so
#: many letters, and is less like the symbol's name than this (of their letters, in order).
READ, LETTERS, LIKE = 0.9, 3, 0.75
#: Reference images whose geometry is looked at, those with the most similar keypoints.
VERIFIED = 15
#: Keypoints similar to a reference image's below which it is not looked at.
LEAST_VOTES = 5
#: Of one gallery's reference images together: with many of them, fewer of each are compared.
MOST_KEYPOINTS = 200_000


class LogoRecogniser:
    """Makes `Logos`.

    A line of lettering that is the name of one of ``brands`` is a logo when it stands by itself
    (`wordmarks`); where the name is an ordinary word too, only beside a symbol of that name. A
    reference image of a gallery is found by its keypoints, wherever it is in the picture: good for
    labels, packages, signs and emblems, less so for flat marks of a few strokes. ``symbols``, names
    and keypoints that `tapetum.detectors.glyphs` makes, are for those.
    """

    signal = Logos
    needs = (TextLines, PageLayout, Keypoints, GlyphKeypoints)

    def __init__(
        self,
        galleries: Galleries,
        brands: Brands,
        symbols: Sequence[tuple[str, LocalFeatures]] = (),
    ) -> None:
        self._galleries = galleries
        self._brands = brands
        self._flat = _Index(symbols, MOST_KEYPOINTS)
        self._indexes: dict[Gallery, tuple[Size, _Index]] = {}
        self._lock = threading.Lock()

    def max_side(self, width: int, height: int) -> int:
        """1: it looks at no pixels."""
        return 1

    def recognise(
        self, picture: Picture, signals: Signals, context: RequestContext = NO_CONTEXT
    ) -> Logos:
        """The logos of ``picture``; galleries are those that ``context.project`` sees.

        Raises `tapetum.errors.GalleryError` when a gallery cannot be read.
        """
        symbols = [
            *self._symbols(context.project, signals.of(Keypoints).features),
            *self._flat_symbols(signals.of(GlyphKeypoints), signals.of(TextLines)),
        ]
        named = {key(symbol.name) for symbol in symbols}
        marks = wordmarks(signals.of(PageLayout), self._brands, picture.width, picture.height)
        words = [
            Logo(mark.name, "", mark.score, mark.quad)
            for mark in marks
            if not mark.is_word or key(mark.name) in named
        ]
        # A word-mark is often a symbol too: one logo, whichever way it is surer.
        kept: list[Logo] = []
        for logo in sorted([*symbols, *words], key=lambda logo: -logo.probability):
            if not any(_is_same(logo, other) for other in kept):
                kept.append(logo)
        return Logos(tuple(kept))

    def _symbols(self, project: str, features: LocalFeatures) -> Iterator[Logo]:
        for gallery in self._galleries.visible(project, Kind.LOGO):
            best: dict[str, Logo] = {}
            for entry_key, reference in self._index(gallery).likely(features, SIMILAR):
                match = verified(reference, features, SIMILAR)
                if match is None or match.inliers < LEAST:
                    continue
                probability = _probability(match.inliers, *REFERENCE)
                if entry_key not in best or probability > best[entry_key].probability:
                    entry = self._galleries.entry(gallery, entry_key)
                    outline = _outline(reference.size, match.homography, features.size)
                    name = entry.name or entry.key
                    best[entry_key] = Logo(name, entry.mid, probability, outline, match.inliers)
            yield from best.values()

    def _flat_symbols(self, points: GlyphKeypoints, text: TextLines) -> Iterator[Logo]:
        """Surest first. Keypoints inside a surer symbol speak for that one only: brands of one
        house share a name or a mark. And letters resemble letters: keypoints of a line of text
        that is read as something else speak for nothing."""
        matches = [
            (name, reference.size, match)
            for features in (points.plain, points.swapped)
            for name, reference in self._flat.likely(features, FLAT_SIMILAR)
            if (match := verified(reference, features, FLAT_SIMILAR)) is not None
            and match.inliers >= FLAT_LEAST
        ]
        read = [(key(line.text), line.quad) for line in text.lines if line.confidence >= READ]
        surer: dict[str, Logo] = {}
        for name, size, match in sorted(matches, key=lambda match: (-match[2].inliers, match[0])):
            taken = [symbol.outline for symbol in surer.values()]
            taken += [quad for spelling, quad in read if not _may_say(spelling, key(name))]
            if name not in surer and _outside(match.second, taken) >= FLAT_LEAST:
                outline = _outline(size, match.homography, points.plain.size, MARGIN)
                probability = _probability(match.inliers, *SYMBOL)
                surer[name] = Logo(name, "", probability, outline, match.inliers)
        yield from surer.values()

    def _index(self, gallery: Gallery) -> _Index:
        size = self._galleries.size(gallery)
        with self._lock:
            held = self._indexes.get(gallery)
            if held is None or held[0] != size:
                most = MOST_KEYPOINTS // max(1, size.references)
                held = size, _Index(_kept(self._galleries, gallery), most)
                self._indexes[gallery] = held
            return held[1]


class _Index:
    """The ``most`` best keypoints of each reference image, to be voted for. ``references``: what
    each is of, and its features."""

    def __init__(self, references: Iterable[tuple[str, LocalFeatures]], most: int) -> None:
        self._keys: list[str] = []
        self._features: list[LocalFeatures] = []
        for its_key, features in references:
            if len(features) >= LEAST_VOTES:
                self._keys.append(its_key)
                kept = features.points[:most], features.descriptors[:most]
                self._features.append(LocalFeatures(*kept, features.size))
        counts = [len(features) for features in self._features]
        self._owners = np.repeat(np.arange(len(counts)), counts)
        self._descriptors = (
            np.concatenate([features.descriptors for features in self._features])
            if counts
            else np.zeros((0, CHANNELS), dtype=np.float32)
        )

    def likely(
        self, features: LocalFeatures, similarity: float
    ) -> Iterable[tuple[str, LocalFeatures]]:
        """The reference images that share the most keypoints with ``features``."""
        if not len(features) or not len(self._descriptors):
            return []
        votes = np.zeros(len(self._features), dtype=np.intp)
        for part in np.array_split(features.descriptors, max(1, len(features) // 256)):
            cosines = part @ self._descriptors.T
            best = cosines.argmax(axis=1)
            similar = cosines[np.arange(len(part)), best] >= similarity
            votes += np.bincount(self._owners[best[similar]], minlength=len(votes))
        chosen = np.argsort(-votes, kind="stable")[:VERIFIED]
        return [(self._keys[k], self._features[k]) for k in chosen if votes[k] >= LEAST_VOTES]


def _kept(galleries: Galleries, gallery: Gallery) -> Iterator[tuple[str, LocalFeatures]]:
    """The entries' keys and local features of all reference images of ``gallery``."""
    after = ""
    while page := galleries.entries(gallery, after):
        for entry in page:
            for _, reference in galleries.references(gallery, entry.key):
                if not reference.features:
                    continue
                try:
                    yield entry.key, unpacked(reference.features)
                except InvalidGallery as error:  # one bad row must not silence the gallery
                    log.warning("gallery %s, %s: %s", gallery.name, ascii(entry.key), error)
        after = page[-1].key


def _probability(inliers: int, slope: float, intercept: float) -> float:
    return 1 / (1 + math.exp(-slope * math.log(inliers) - intercept))


def _is_same(logo: Logo, other: Logo) -> bool:
    """Whether both are of one name at one place."""
    if key(logo.name) != key(other.name):
        return False
    a, b = (np.array(mark.outline, dtype=np.float64) for mark in (logo, other))
    low, high = np.maximum(a.min(axis=0), b.min(axis=0)), np.minimum(a.max(axis=0), b.max(axis=0))
    return bool((high > low).all())


def _may_say(spelling: str, name: str) -> bool:
    """Whether what was read as ``spelling`` may be ``name`` or a part of it, a letter misread."""
    if len(spelling) < LETTERS or spelling in name or name in spelling:
        return True
    return difflib.SequenceMatcher(None, spelling, name).ratio() >= LIKE


def _outside(points: NDArray[np.float32], outlines: Iterable[tuple[Point, ...]]) -> int:
    """How many of ``points`` (``[n, 2]``) are in none of ``outlines``."""
    shapes = [np.array(outline, dtype=np.float32) for outline in outlines]
    return sum(
        all(cv2.pointPolygonTest(shape, (float(x), float(y)), False) < 0 for shape in shapes)
        for x, y in points
    )


def _outline(
    size: tuple[int, int],
    homography: NDArray[np.float64],
    picture: tuple[int, int],
    margin: int = 0,
) -> tuple[Point, ...]:
    """The corners of a reference image of ``size``, without its ``margin``, in the picture."""
    right, bottom = size[0] - margin, size[1] - margin
    corners = np.array(
        [[[margin, margin], [right, margin], [right, bottom], [margin, bottom]]], dtype=np.float64
    )
    placed = np.clip(cv2.perspectiveTransform(corners, homography)[0], 0, picture)
    return tuple((float(x), float(y)) for x, y in placed)
