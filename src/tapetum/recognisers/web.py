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
from functools import cached_property, partial
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.detectors import Detector, Embedder
from tapetum.errors import EntryNotFound, InvalidGallery
from tapetum.gallery import ENTITY_PREFIX, Copy, Entry, Galleries, Gallery, Kind, unit
from tapetum.gallery.matching.local_features import Match, unpacked, verified
from tapetum.gallery.matching.pdq import COPY, LEAST_QUALITY, LONGEST_SIDE, Pdq, distances, pdq
from tapetum.imaging.picture import Picture
from tapetum.recognisers.web_words import Words, entities
from tapetum.signals import Signals
from tapetum.signals.context import NO_CONTEXT, RequestContext
from tapetum.signals.embedding import Embedding
from tapetum.signals.keypoints import Keypoints, LocalFeatures
from tapetum.signals.web import WebEntity, WebImage, WebMatches

log = logging.getLogger(__name__)

#: Reference number → entry's key, similarity.
Proposed: TypeAlias = Mapping[int, tuple[str, float]]

#: Nearest embeddings that geometry looks at.
PROPOSED = 10
#: Cosine below which geometry need not look: a quarter of a picture and the whole have 0.5.
RELATED = 0.35
#: Least cosine of two keypoints' descriptors that are taken for one place. Without it three of 770
#: pictures of `bench/quality/web.py` matched a wrong one by chance; with XFeat's published 0.82 a
#: fifth of the collages are lost.
ALIKE = 0.75
#: Keypoints that one homography carries over between pictures that share a part. On the set of
#: `bench/quality/web.py` copies have 17 and more. Unrelated pictures have up to 31, but at odd
#: slants, and 13 at most where the rules below hold.
INLIERS = 16
#: A copy is shifted, scaled, turned or squeezed, but not seen at a slant: its homography has less
#: perspective across the picture than `FLAT`, and stretches one way less than `SQUASHED` times the
#: other. Unrelated pictures agree by odd slants (of 118 pairs looked at, all by 0.3 and 1.2 or
#: more). What has `SURE` keypoints may be at a slant: a photograph of a poster.
FLAT, SQUASHED, SURE = 0.25, 1.6, 60
#: Fewer keypoints than `FEW` must agree on the simplest move, shifting and scaling: stretched one
#: way less than `EVEN` times the other, and turned by less than `UPRIGHT` degrees.
FEW, EVEN, UPRIGHT = 25, 1.12, 12.0
#: Of either picture is where the two agree, and so many degrees at most are between them: the same
#: picture. A crop of 90 % is a part.
COVERED, LEVEL = 0.92, 2.0
#: Per side of a picture. Of the cells with at least `FEWEST` keypoints `EVERYWHERE` must agree.
CELLS, FEWEST = 6, 4
#: A caption laid over a picture leaves cells of either that nothing agrees in.
EVERYWHERE = 0.9
#: Differing bits of two hashes up to which an agreement that covers both is one everywhere; `FAINT`
#: where either picture has little in it: brightening or shrinking such a one turns more of its
#: bits, and so does a caption. Of 100 pictures made hazy, copies differ in up to 68 bits (99 % in
#: up to 60), captioned ones in 64 and more; `bench/quality/web.py` measures it.
ALMOST, FAINT = 38, 60
#: Nearest embeddings at least so similar, and so many of them, are tried mirrored too.
MIRRORED, MIRROR_TRIES = 0.6, 3
#: Cosine from which pictures look alike to a person more often than not.
SIMILAR = 0.6
#: Similar images looked for; a request may ask for fewer.
MOST_SIMILAR = 50
#: Windows per row and column, each half the picture wide and high; how many of them, those with the
#: most similar embeddings, geometry looks at, and the embeddings nearest to each that it tries.
WINDOWS, WINDOWS_TRIED, WINDOW_PROPOSED = 3, 3, 2
#: Pixels: what is shown smaller in a collage is not looked for.
SMALLEST_WINDOW = 64
#: Pages whose words tell which words are rare in a gallery.
SAMPLED = 5000


class WebMatcher:
    """Makes `WebMatches` from the web galleries that the project asking sees."""

    signal = WebMatches
    needs = (Embedding,)

    def __init__(
        self, galleries: Galleries, embedder: Embedder, keypoints: Detector[Keypoints]
    ) -> None:
        self._galleries = galleries
        self.embedder = embedder
        self.keypoints = keypoints
        self._words: dict[Gallery, tuple[int, Words]] = {}

    def max_side(self, width: int, height: int) -> int:
        """As keypoints need it."""
        return self.keypoints.max_side(width, height)

    def recognise(
        self, picture: Picture, signals: Signals, context: RequestContext = NO_CONTEXT
    ) -> WebMatches:
        """Nothing at all, at no cost, where there are no web images.

        Raises `tapetum.errors.GalleryBroken` when the galleries cannot be read.
        """
        galleries = [
            gallery
            for gallery in self._galleries.visible(context.project, Kind.WEB)
            if self._galleries.size(gallery).references
        ]
        if not galleries:
            return WebMatches()
        comparison = _Comparison(self, picture, signals)
        ranked: list[tuple[Gallery, _Found]] = []
        for gallery in galleries:
            verdicts = comparison.verdicts(self._galleries, gallery)
            ranked += [(gallery, verdict) for verdict in verdicts]
        ranked.sort(key=lambda pair: pair[1].order)
        images: dict[str, tuple[str, WebImage]] = {}
        for gallery, verdict in ranked:
            if verdict.entry not in images:
                entry = self._galleries.entry(gallery, verdict.entry)
                images[verdict.entry] = (verdict.way, _image(entry, verdict))
        by_way = {
            way: tuple(image for image_way, image in images.values() if image_way == way)
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
        unnamed = entities(
            [image.mentions for image in shown], [image.mentions for image in similar], words
        )
        return tuple(self._named(galleries, entity) for entity in unnamed)

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


class _Comparison:
    """One picture being compared. What is costly is made when it is first needed."""

    def __init__(self, matcher: WebMatcher, picture: Picture, signals: Signals) -> None:
        self._matcher = matcher
        self._picture = picture
        self._signals = signals
        self._embedding = unit(signals.of(Embedding).vector)

    def verdicts(self, galleries: Galleries, gallery: Gallery) -> Iterator[_Found]:
        """Entries of ``gallery`` that are copies of the picture, share a part with it, or are
        like it, in no order."""
        upright, turned = self._copies(galleries, gallery)
        verdicts = [_Found(copy.entry, "full", 1.0) for copy in upright if copy.distance <= COPY]
        known = {verdict.entry for verdict in verdicts}
        verdicts += [
            _Found(copy.entry, "partial", 1.0) for copy in turned if copy.entry not in known
        ]
        known.update(verdict.entry for verdict in verdicts)
        near = galleries.nearest(gallery, self._embedding, MOST_SIMILAR)
        proposed = {copy.reference: (copy.entry, 0.0) for copy in upright}
        for neighbour in near[:PROPOSED]:
            if neighbour.similarity >= RELATED:
                proposed[neighbour.reference] = neighbour.entry, neighbour.similarity
        proposed = {number: it for number, it in proposed.items() if it[0] not in known}
        verdicts += _verified(galleries, gallery, proposed, lambda: self._features, self._hashed)
        # A collage shows no image in full.
        if not any(verdict.way == "full" for verdict in verdicts):
            known = {verdict.entry for verdict in verdicts}
            verdicts += self._of_windows(galleries, gallery, known)
        if not verdicts:
            verdicts += self._mirrored(galleries, gallery, proposed)
        yield from verdicts
        known = {verdict.entry for verdict in verdicts}
        for neighbour in near:
            if neighbour.similarity >= SIMILAR and neighbour.entry not in known:
                yield _Found(neighbour.entry, "similar", neighbour.similarity)

    def _copies(self, galleries: Galleries, gallery: Gallery) -> tuple[list[Copy], list[Copy]]:
        """Nearly copies by their hashes; copies of the picture mirrored or turned. A symmetric
        picture is both, so the two are asked apart."""
        if not self._hashed.says_something:
            return [], []
        upright = galleries.copies(gallery, self._hashed.hashes[:1], ALMOST)
        return upright, galleries.copies(gallery, self._hashed.hashes[1:], COPY)

    def _mirrored(
        self, galleries: Galleries, gallery: Gallery, proposed: Proposed
    ) -> Iterator[_Found]:
        """Reference images that geometry confirms of the picture mirrored."""
        likely = sorted(proposed.items(), key=lambda item: (-item[1][1], item[0]))[:MIRROR_TRIES]
        tried = {number: it for number, it in likely if it[1] >= MIRRORED}
        for verdict in _verified(galleries, gallery, tried, lambda: self._mirrored_features):
            yield replace(verdict, way="partial")

    def _of_windows(
        self, galleries: Galleries, gallery: Gallery, known: set[str]
    ) -> Iterator[_Found]:
        """Reference images that geometry confirms of a window of the picture."""
        near = [
            [
                neighbour
                for neighbour in galleries.nearest(gallery, embedding, WINDOW_PROPOSED + len(known))
                if neighbour.similarity >= RELATED and neighbour.entry not in known
            ][:WINDOW_PROPOSED]
            for embedding in self._window_embeddings
        ]
        likely = sorted(
            (number for number, neighbours in enumerate(near) if neighbours),
            key=lambda number: (-near[number][0].similarity, number),
        )
        for number in likely[:WINDOWS_TRIED]:
            proposed = {
                neighbour.reference: (neighbour.entry, neighbour.similarity)
                for neighbour in near[number]
                if neighbour.entry not in known
            }
            for verdict in _verified(
                galleries, gallery, proposed, partial(self._features_of, number)
            ):
                known.add(verdict.entry)
                yield replace(verdict, way="partial")

    @cached_property
    def _hashed(self) -> Pdq:
        return hash_of(self._picture)

    def _features_of(self, window: int) -> LocalFeatures:
        return self._matcher.keypoints.detect([self._windows[window]])[0].features

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
    def _windows(self) -> list[Picture]:
        pixels = self._picture.pixels
        rows, columns = (length // 2 for length in pixels.shape[:2])
        if min(rows, columns) < SMALLEST_WINDOW:
            return []
        windows = []
        for j in range(WINDOWS):
            for i in range(WINDOWS):
                y = (pixels.shape[0] - rows) * j // (WINDOWS - 1)
                x = (pixels.shape[1] - columns) * i // (WINDOWS - 1)
                window = np.ascontiguousarray(pixels[y : y + rows, x : x + columns])
                windows.append(Picture(window, columns, rows))
        return windows

    @cached_property
    def _window_embeddings(self) -> list[NDArray[np.float16]]:
        embeddings = self._matcher.embedder.embed(self._windows)
        return [unit(embedding.vector) for embedding in embeddings]


def _verified(
    galleries: Galleries,
    gallery: Gallery,
    proposed: Proposed,
    features: Callable[[], LocalFeatures],
    hashed: Pdq | None = None,
) -> Iterator[_Found]:
    """Those of the reference images ``proposed`` that geometry confirms. ``hashed``: the picture's
    hash, where a match may be full."""
    blobs = galleries.local_features(gallery, list(proposed)) if proposed else {}
    for number, (entry, similarity) in proposed.items():
        if number not in blobs:
            continue
        try:
            held = unpacked(blobs[number])
        except InvalidGallery as error:
            log.warning("gallery %s, entry %s: %s", gallery.name, ascii(entry), error.message)
            continue
        match = verified(features(), held, ALIKE)
        if match is not None and is_copy(match, features().size):
            is_almost = hashed is not None and _is_almost(galleries, gallery, entry, number, hashed)
            is_full = is_whole(match, features(), held, is_almost=is_almost)
            yield _Found(entry, "full" if is_full else "partial", similarity, match.inliers)


def _is_almost(
    galleries: Galleries, gallery: Gallery, entry: str, number: int, hashed: Pdq
) -> bool:
    """Whether the hash of reference image ``number`` of ``entry`` is nearly the picture's."""
    held = dict(galleries.references(gallery, entry)).get(number)
    if held is None:  # removed meanwhile
        return False
    other = np.frombuffer(held.pdq, dtype=np.uint8)[np.newaxis]
    is_clear = hashed.says_something and held.pdq_quality >= LEAST_QUALITY
    distance = int(distances(hashed.hashes[:1], other)[0, 0])
    return distance <= (ALMOST if is_clear else FAINT)


def is_copy(match: Match, size: tuple[int, int]) -> bool:
    """Whether ``match`` of a picture of ``size`` is one that copying makes."""
    if match.inliers < INLIERS:
        return False
    slant = np.abs(match.homography[2, :2]) @ np.array(size)
    stretches = np.linalg.svd(match.homography[:2, :2], compute_uv=False)
    stretch = stretches[0] / max(stretches[1], 1e-9)
    if match.inliers < FEW:
        is_simple = stretch < EVEN and abs(_turned(match)) < UPRIGHT
        return bool(slant < FLAT and is_simple)
    return match.inliers >= SURE or bool(slant < FLAT and stretch < SQUASHED)


def _turned(match: Match) -> float:
    """Degrees from the picture to the reference image, clockwise."""
    return float(np.degrees(np.arctan2(match.homography[1, 0], match.homography[0, 0])))


def is_whole(match: Match, first: LocalFeatures, second: LocalFeatures, *, is_almost: bool) -> bool:
    """Whether ``match`` says that two pictures are the same one: level, covering both, and
    everywhere (taken as read of pictures whose hashes are almost a copy's)."""
    if abs(_turned(match)) > LEVEL:
        return False
    width, height = first.size
    corners = np.array([[[0, 0], [width, 0], [width, height], [0, height]]], dtype=np.float64)
    seen = cv2.perspectiveTransform(corners, match.homography)[0].astype(np.float32)
    wide, high = second.size
    whole = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], dtype=np.float32)
    area = abs(cv2.contourArea(seen))
    if not area or not cv2.isContourConvex(seen):
        return False
    shared = cv2.intersectConvexConvex(seen, whole)[0]
    if min(shared / area, shared / (wide * high)) < COVERED:
        return False
    return is_almost or (
        _spread(first.points, match.first, first.size) >= EVERYWHERE
        and _spread(second.points, match.second, second.size) >= EVERYWHERE
    )


def _spread(
    points: NDArray[np.float32], inliers: NDArray[np.float32], size: tuple[int, int]
) -> float:
    """Of the cells of a picture that have several ``points``, the share that has ``inliers``."""

    def counted(of: NDArray[np.float32]) -> NDArray[np.intp]:
        at = np.clip((of * CELLS / np.array(size)).astype(int), 0, CELLS - 1)
        return np.bincount(at[:, 1] * CELLS + at[:, 0], minlength=CELLS * CELLS)

    told = counted(points) >= FEWEST
    return float((counted(inliers)[told] > 0).mean()) if told.any() else 0.0


def _image(entry: Entry, verdict: _Found) -> WebImage:
    return WebImage(entry.url or entry.key, verdict.similarity, verdict.inliers, entry.mentions)
