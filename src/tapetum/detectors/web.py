"""Web matches: which images of the web galleries the picture is a copy of, part of, or like.

Two ways lead to a copy. A PDQ hash that hardly differs is one by itself. Otherwise embeddings
propose and geometry decides: where one homography carries enough keypoints over, the two pictures
share that part. A collage shows an image on a part of itself that its whole embedding says little
of, so windows of it are looked up too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.detectors import Signals
from tapetum.detectors.classes import ImageClasses, ImageClassifier
from tapetum.detectors.keypoints import KeypointDetector, Keypoints
from tapetum.detectors.web_words import WebEntity, Words, entities
from tapetum.errors import EntryNotFound, InvalidGallery
from tapetum.gallery import ENTITY_PREFIX, Copy, Entry, Galleries, Gallery, Kind, Mention, unit
from tapetum.gallery.local_features import LocalFeatures, Match, verified
from tapetum.gallery.pdq import COPY, LONGEST_SIDE, Pdq, pdq
from tapetum.picture import Picture

log = logging.getLogger(__name__)

PROPOSED = 10
"""Nearest embeddings that geometry looks at, of the picture and of all its windows together."""

RELATED = 0.35
"""Cosine below which geometry need not look: a quarter of a picture and the whole have 0.5."""

INLIERS = 12
"""Keypoints that one homography carries over between pictures that share a part."""

COVERED = 0.9
"""Of either picture, and of its keypoints, is where the two agree: the same picture."""

MIRRORED, MIRROR_TRIES = 0.6, 3
"""Nearest embeddings at least so similar, and so many of them, are tried mirrored too."""

SIMILAR = 0.6
"""Cosine from which pictures look alike to a person more often than not."""

MOST_SIMILAR = 50
"""Similar images looked for; a request may ask for fewer."""

WINDOWS = 3
"""Windows per row and column, each half the picture wide and high."""

SMALLEST_WINDOW = 64
"""Pixels: what is shown smaller in a collage is not looked for."""

SAMPLED = 5000
"""Pages whose words tell which words are rare in a gallery."""


@dataclass(frozen=True, slots=True)
class WebImage:
    """An image of a web gallery. ``similarity``: the embeddings' cosine, -1..1, 1 for a copy by
    its hash. ``inliers``: keypoints in agreement, 0 where geometry was not asked."""

    url: str
    similarity: float
    inliers: int
    mentions: tuple[Mention, ...]


@dataclass(frozen=True, slots=True)
class WebMatches:
    """``full``: copies of the picture, at whatever size; ``partial``: images that share a part
    with it, mirrored and turned copies among them; ``similar``: images that only look alike. Best
    first; no image is in two of them. ``entities``: what the pages that show them speak of, by
    falling score."""

    full: tuple[WebImage, ...] = ()
    partial: tuple[WebImage, ...] = ()
    similar: tuple[WebImage, ...] = ()
    entities: tuple[WebEntity, ...] = ()


class WebMatcher:
    """Makes `WebMatches` from the web galleries the picture's project sees."""

    signal = WebMatches
    needs = (ImageClasses,)

    def __init__(
        self, galleries: Galleries, classifier: ImageClassifier, keypoints: KeypointDetector
    ) -> None:
        self._galleries = galleries
        self.classifier = classifier
        self.keypoints = keypoints
        self._words: dict[Gallery, tuple[int, Words]] = {}

    def side(self, width: int, height: int) -> int:
        """As keypoints need it."""
        return self.keypoints.side(width, height)

    def recognise(self, picture: Picture, signals: Signals) -> WebMatches:
        """Nothing at all, at no cost, where there are no web images.

        Raises `tapetum.errors.GalleryBroken` when the galleries cannot be read.
        """
        galleries = [
            gallery
            for gallery in self._galleries.visible(picture.project, Kind.WEB)
            if self._galleries.size(gallery).references
        ]
        if not galleries:
            return WebMatches()
        look = _Look(self, picture, signals)
        ranked: list[tuple[Gallery, _Found]] = []
        for gallery in galleries:
            found = look.found(self._galleries, gallery)
            ranked += [(gallery, one) for one in found]
        ranked.sort(key=lambda pair: pair[1].order)
        images: dict[str, tuple[str, WebImage]] = {}
        for gallery, one in ranked:
            if one.entry not in images:
                entry = self._galleries.entry(gallery, one.entry)
                images[one.entry] = (one.way, _image(entry, one))
        by_way = {
            way: tuple(image for its, image in images.values() if its == way)
            for way in ("full", "partial", "similar")
        }
        shown = (*by_way["full"], *by_way["partial"])
        return WebMatches(**by_way, entities=self._entities(galleries, shown, by_way["similar"]))

    def _entities(
        self,
        galleries: Iterable[Gallery],
        shown: tuple[WebImage, ...],
        similar: tuple[WebImage, ...],
    ) -> tuple[WebEntity, ...]:
        """What pages say of the images, with ids from the galleries' tables of entities."""
        words = Words()
        for gallery in galleries:
            words += self._words_of(gallery)
        found = entities(
            [image.mentions for image in shown], [image.mentions for image in similar], words
        )
        return tuple(self._named(galleries, entity) for entity in found)

    def _words_of(self, gallery: Gallery) -> Words:
        """How many of a gallery's pages have each word, read anew when the gallery has grown."""
        count = self._galleries.size(gallery).entries
        held = self._words.get(gallery)
        if held is None or held[0] != count:
            held = count, Words.of(self._galleries.pages(gallery, SAMPLED))
            self._words[gallery] = held
        return held[1]

    def _named(self, galleries: Iterable[Gallery], entity: WebEntity) -> WebEntity:
        for gallery in galleries:
            try:
                key = ENTITY_PREFIX + entity.description.casefold()
                known = self._galleries.entry(gallery, key)
            except EntryNotFound:
                continue
            return WebEntity(known.name, entity.score, entity.language, known.mid)
        return entity


def hash_of(picture: Picture) -> Pdq:
    """The hashes of a picture, of which they see 512 pixels, however large it was decoded."""
    scale = min(1.0, LONGEST_SIDE / max(picture.width, picture.height))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return pdq(picture.resized(*size))


@dataclass(frozen=True, slots=True)
class _Found:
    """One entry of a gallery that has to do with the picture. ``way``: a field of `WebMatches`."""

    entry: str
    way: str
    similarity: float
    inliers: int = 0

    @property
    def order(self) -> tuple[int, float, int, str]:
        """Copies first, then by similarity."""
        ways = ("full", "partial", "similar")
        return ways.index(self.way), -self.similarity, -self.inliers, self.entry


class _Look:
    """One picture being compared. What is costly is made when it is first needed."""

    def __init__(self, matcher: WebMatcher, picture: Picture, signals: Signals) -> None:
        self._matcher = matcher
        self._picture = picture
        self._signals = signals
        self._embedding = unit(signals.of(ImageClasses).embedding)

    def found(self, galleries: Galleries, gallery: Gallery) -> Iterator[_Found]:
        """Entries of ``gallery`` that are copies of the picture, share a part with it, or are
        like it, in no order."""
        copied: set[str] = set()
        is_whole = False
        for copy in self._copies(galleries, gallery):
            way = "full" if copy.turn == 0 else "partial"
            is_whole = is_whole or way == "full"
            copied.add(copy.entry)
            yield _Found(copy.entry, way, 1.0)
        near = galleries.nearest(gallery, self._embedding, MOST_SIMILAR)
        proposed = {
            one.reference: (one.entry, one.similarity)
            for one in near[:PROPOSED]
            if one.similarity >= RELATED and one.entry not in copied
        }
        verdicts = list(self._verdicts(galleries, gallery, proposed))
        is_whole = is_whole or any(one.way == "full" for one in verdicts)
        if not is_whole:  # a collage shows no image in full
            seen = set(proposed)
            windows = {
                reference: it
                for reference, it in self._of_windows(galleries, gallery).items()
                if reference not in seen and it[0] not in copied
            }
            verdicts += self._verdicts(galleries, gallery, windows)
        if not is_whole and not copied and not verdicts:
            verdicts += self._mirrored(galleries, gallery, proposed)
        yield from verdicts
        known = copied | {one.entry for one in verdicts}
        for one in near:
            if one.similarity >= SIMILAR and one.entry not in known:
                yield _Found(one.entry, "similar", one.similarity)

    def _copies(self, galleries: Galleries, gallery: Gallery) -> list[Copy]:
        hashed = hash_of(self._picture)
        if not hashed.says_something:
            return []
        return galleries.copies(gallery, hashed.hashes, COPY)

    def _verdicts(
        self, galleries: Galleries, gallery: Gallery, proposed: Mapping[int, tuple[str, float]]
    ) -> Iterator[_Found]:
        """Of reference images ``proposed`` (number → entry, similarity) those that geometry
        confirms."""
        yield from _verified(galleries, gallery, proposed, lambda: self._features)

    def _mirrored(
        self, galleries: Galleries, gallery: Gallery, proposed: Mapping[int, tuple[str, float]]
    ) -> Iterator[_Found]:
        """The same for the picture mirrored; such are never full copies."""
        likely = {
            reference: it
            for reference, it in list(proposed.items())[:MIRROR_TRIES]
            if it[1] >= MIRRORED
        }
        for one in _verified(galleries, gallery, likely, lambda: self._mirrored_features):
            yield replace(one, way="partial")

    def _of_windows(self, galleries: Galleries, gallery: Gallery) -> dict[int, tuple[str, float]]:
        """The references nearest to any window: number → (entry, similarity)."""
        best: dict[int, tuple[str, float]] = {}
        for embedding in self._window_embeddings:
            for near in galleries.nearest(gallery, embedding, PROPOSED):
                known = best.get(near.reference)
                if near.similarity >= RELATED and (known is None or known[1] < near.similarity):
                    best[near.reference] = near.entry, near.similarity
        ordered = sorted(best.items(), key=lambda one: (-one[1][1], one[0]))
        return dict(ordered[:PROPOSED])

    @cached_property
    def _features(self) -> LocalFeatures:
        made = self._signals.find(Keypoints)
        if made is None:  # kept for whoever else looks keypoints up
            made = self._matcher.keypoints.detect([self._picture])[0]
            self._signals.add(made)
        return made.features

    @cached_property
    def _mirrored_features(self) -> LocalFeatures:
        pixels = np.ascontiguousarray(self._picture.pixels[:, ::-1])
        mirrored = Picture(pixels, self._picture.width, self._picture.height)
        return self._matcher.keypoints.detect([mirrored])[0].features

    @cached_property
    def _window_embeddings(self) -> list[NDArray[np.float16]]:
        pixels = self._picture.pixels
        rows, columns = (length // 2 for length in pixels.shape[:2])
        if min(rows, columns) < SMALLEST_WINDOW:
            return []
        found = []
        for j in range(WINDOWS):
            for i in range(WINDOWS):
                y = (pixels.shape[0] - rows) * j // (WINDOWS - 1)
                x = (pixels.shape[1] - columns) * i // (WINDOWS - 1)
                window = np.ascontiguousarray(pixels[y : y + rows, x : x + columns])
                looked = self._matcher.classifier.detect([Picture(window, columns, rows)])
                found.append(unit(looked[0].embedding))
        return found


def _verified(
    galleries: Galleries,
    gallery: Gallery,
    proposed: Mapping[int, tuple[str, float]],
    features: Callable[[], LocalFeatures],
) -> Iterator[_Found]:
    blobs = galleries.local_features(gallery, list(proposed)) if proposed else {}
    for reference, (entry, similarity) in proposed.items():
        if reference not in blobs:
            continue
        try:
            held = LocalFeatures.unpacked(blobs[reference])
        except InvalidGallery as error:
            log.warning("gallery %s, entry %s: %s", gallery.name, ascii(entry), error.message)
            continue
        match = verified(features(), held)
        if match is not None and match.inliers >= INLIERS:
            way = "full" if is_whole(match, features(), held) else "partial"
            yield _Found(entry, way, similarity, match.inliers)


def is_whole(match: Match, first: LocalFeatures, second: LocalFeatures) -> bool:
    """Whether ``match`` covers at least `COVERED` of both pictures: of their areas, and of their
    keypoints, so that a caption laid over one of them tells."""
    width, height = first.size
    corners = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], dtype=np.float64)
    seen = cv2.perspectiveTransform(corners, match.homography)[0].astype(np.float32)
    wide, high = second.size
    whole = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], dtype=np.float32)
    area = abs(cv2.contourArea(seen))
    if not cv2.isContourConvex(seen) or not area:
        return False
    shared = cv2.intersectConvexConvex(seen, whole)[0]
    covered = min(shared / area, shared / (wide * high))
    return covered >= COVERED and all(
        _share_inside(features.points, inliers) >= COVERED
        for features, inliers in ((first, match.first), (second, match.second))
    )


def _share_inside(points: NDArray[np.float32], inliers: NDArray[np.float32]) -> float:
    """The share of ``points`` in the convex hull of ``inliers``."""
    hull = cv2.convexHull(inliers)[:, 0]
    side = np.roll(hull, -1, axis=0) - hull
    away = points[:, None] - hull
    turn = side[:, 0] * away[..., 1] - side[:, 1] * away[..., 0]
    inside = (turn >= -1e-3).all(axis=1) | (turn <= 1e-3).all(axis=1)
    return float(inside.mean())


def _image(entry: Entry, found: _Found) -> WebImage:
    return WebImage(entry.url or entry.key, found.similarity, found.inliers, entry.mentions)
