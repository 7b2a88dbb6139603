"""Landmarks: places of the galleries that a picture shows."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.detectors.classes import ImageClasses
from tapetum.detectors.keypoints import Keypoints
from tapetum.errors import InvalidGallery
from tapetum.gallery import Entry, Galleries, Gallery, Kind, Near, unit
from tapetum.gallery.matching.local_features import LocalFeatures, Match, verified
from tapetum.imaging.picture import Picture
from tapetum.signals import Signals
from tapetum.signals.context import NO_CONTEXT, RequestContext
from tapetum.signals.text import Point

log = logging.getLogger(__name__)

#: Reference images with the most similar embeddings that are taken into account.
NEAR = 48
#: Of them, those whose keypoints are compared. With one reference image per landmark the right one
#: is among the first twelve for 9 of 10 pictures of the development set.
VERIFIED = 12
#: Reference images of one landmark that are compared.
PER_ENTRY = 3
#: Least cosine of two keypoints' descriptors; the published default of XFeat.
SIMILAR = 0.82
#: Keypoints that must agree. On the development set 16 gave the same right answers and no wrong
#: first one, but a wrong second one beside a right first.
LEAST = 20
#: Keypoints that must agree for a second landmark in the same picture: two are rare, and so many
#: keypoints of one façade often find a few of another's.
FURTHER = 30
#: Keypoints after which no further reference image of that landmark is compared.
PLAIN = 60


@dataclass(frozen=True, slots=True)
class FoundLandmark:
    """``entry`` of a gallery, recognised by ``inliers`` keypoints of one of its reference images.

    ``outline``: the convex hull of those keypoints, clockwise, x and y in pixels of the full-size
    upright image.
    """

    entry: Entry
    inliers: int
    outline: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Landmarks:
    """The landmarks of one picture, the surest first, each once."""

    found: tuple[FoundLandmark, ...]


class LandmarkRecogniser:
    """Makes `Landmarks`: the embedding proposes, keypoints decide.

    The most similar reference images vote for their landmarks with their similarity; of the
    landmarks with the most votes the keypoints are compared (`verified`). A similar embedding
    alone is never an answer: it also says "some cathedral".
    """

    signal = Landmarks
    needs = (ImageClasses, Keypoints)

    def __init__(self, galleries: Galleries) -> None:
        self._galleries = galleries

    def max_side(self, width: int, height: int) -> int:
        """1: it looks at no pixels."""
        return 1

    def recognise(
        self, picture: Picture, signals: Signals, context: RequestContext = NO_CONTEXT
    ) -> Landmarks:
        """The landmarks of the galleries that ``context.project`` sees.

        Raises `tapetum.errors.GalleryError` when a gallery cannot be read.
        """
        features = signals.of(Keypoints).features
        embedding = unit(signals.of(ImageClasses).embedding)
        if len(features) < LEAST:
            return Landmarks(())
        best: dict[str, FoundLandmark] = {}
        for gallery in self._galleries.visible(context.project, Kind.LANDMARK):
            near = self._galleries.nearest(gallery, embedding, NEAR)
            for found in self._verified(gallery, near, features):
                # The same place may be in several galleries: its id or its name says so.
                place = found.entry.mid or found.entry.name
                if place not in best or found.inliers > best[place].inliers:
                    best[place] = found
        surest = sorted(best.values(), key=lambda one: -one.inliers)
        further = [one for one in surest[1:] if one.inliers >= FURTHER]
        return Landmarks((*surest[:1], *further))

    def _verified(
        self, gallery: Gallery, near: list[Near], features: LocalFeatures
    ) -> Iterable[FoundLandmark]:
        chosen = candidates(near)
        blobs = self._galleries.local_features(gallery, [one.reference for one in chosen])
        best: dict[str, Match] = {}
        for one in chosen:
            blob = blobs.get(one.reference)
            if blob is None or (one.entry in best and best[one.entry].inliers >= PLAIN):
                continue
            try:
                reference = LocalFeatures.unpacked(blob)
            except InvalidGallery as error:  # one bad row must not silence the gallery
                log.warning("gallery %s, %s: %s", gallery.name, ascii(one.entry), error)
                continue
            match = verified(features, reference, SIMILAR)
            if match is not None and match.inliers >= LEAST:
                best[one.entry] = max(
                    best.get(one.entry, match), match, key=lambda some: some.inliers
                )
        for key, match in best.items():
            entry = self._galleries.entry(gallery, key)
            yield FoundLandmark(entry, match.inliers, _hull(match.first))


def candidates(near: list[Near]) -> list[Near]:
    """The reference images to compare: of the landmarks by falling sum of the similarities of
    their `PER_ENTRY` most similar ones, those, `VERIFIED` altogether."""
    of_entry: dict[str, list[Near]] = {}
    for one in near:  # most similar first
        mine = of_entry.setdefault(one.entry, [])
        if len(mine) < PER_ENTRY:
            mine.append(one)
    votes = {key: sum(one.similarity for one in mine) for key, mine in of_entry.items()}
    ordered = sorted(of_entry, key=lambda key: -votes[key])
    return [one for key in ordered for one in of_entry[key]][:VERIFIED]


def _hull(points: NDArray[np.float32]) -> tuple[Point, ...]:
    hull = cv2.convexHull(points, clockwise=False).reshape(-1, 2)
    return tuple((float(x), float(y)) for x, y in hull)
