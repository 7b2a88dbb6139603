"""Landmarks: places of the galleries that a picture shows."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.errors import InvalidGallery
from tapetum.gallery import Entry, Galleries, Gallery, Kind, Near, unit
from tapetum.gallery.matching.local_features import Match, unpacked, verified
from tapetum.imaging.picture import Picture
from tapetum.signals import Signals
from tapetum.signals.context import NO_CONTEXT, RequestContext
from tapetum.signals.embedding import Embedding
from tapetum.signals.keypoints import Keypoints, LocalFeatures
from tapetum.signals.landmarks import Landmark, Landmarks
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
#: ``logit p = SLOPE · ln n + INTERCEPT`` for n keypoints that agree: how often the best match of a
#: picture was right, fitted by maximum likelihood to 153 pictures of the development set (93 of
#: landmarks in the gallery, 60 of other things), most of them with fewer keypoints than are
#: accepted. 20 keypoints are 0.85, 30 are 0.96.
SLOPE, INTERCEPT = 3.852, -9.785
#: Keypoints after which no further reference image of that landmark is compared.
PLAIN = 60


class LandmarkRecogniser:
    """Makes `Landmarks`: the embedding proposes, keypoints decide.

    The most similar reference images vote for their landmarks with their similarity; of the
    landmarks with the most votes the keypoints are compared (`verified`). A similar embedding
    alone is never an answer: it also says "some cathedral".
    """

    signal = Landmarks
    needs = (Embedding, Keypoints)

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
        embedding = unit(signals.of(Embedding).vector)
        if len(features) < LEAST:
            return Landmarks(())
        best: dict[str, Landmark] = {}
        for gallery in self._galleries.visible(context.project, Kind.LANDMARK):
            near = self._galleries.nearest(gallery, embedding, NEAR)
            for entry, landmark in self._verified(gallery, near, features):
                # The same place may be in several galleries: its id or its name says so.
                place = entry.mid or entry.name
                if place not in best or landmark.inliers > best[place].inliers:
                    best[place] = landmark
        surest = sorted(best.values(), key=lambda landmark: -landmark.inliers)
        further = [landmark for landmark in surest[1:] if landmark.inliers >= FURTHER]
        return Landmarks((*surest[:1], *further))

    def _verified(
        self, gallery: Gallery, near: list[Near], features: LocalFeatures
    ) -> Iterable[tuple[Entry, Landmark]]:
        chosen = candidates(near)
        blobs = self._galleries.local_features(gallery, [image.reference for image in chosen])
        best: dict[str, Match] = {}
        for image in chosen:
            blob = blobs.get(image.reference)
            if blob is None or (image.entry in best and best[image.entry].inliers >= PLAIN):
                continue
            try:
                reference = unpacked(blob)
            except InvalidGallery as error:  # one bad row must not silence the gallery
                log.warning("gallery %s, %s: %s", gallery.name, ascii(image.entry), error)
                continue
            match = verified(features, reference, SIMILAR)
            if match is not None and match.inliers >= LEAST:
                best[image.entry] = max(
                    best.get(image.entry, match), match, key=lambda candidate: candidate.inliers
                )
        for key, match in best.items():
            entry = self._galleries.entry(gallery, key)
            yield entry, _landmark(entry, match)


def probability(inliers: int) -> float:
    """0..1, that ``inliers`` keypoints agree because it is the same place."""
    return 1 / (1 + math.exp(-SLOPE * math.log(inliers) - INTERCEPT))


def candidates(near: list[Near]) -> list[Near]:
    """The reference images to compare: of the landmarks by falling sum of the similarities of
    their `PER_ENTRY` most similar ones, those, `VERIFIED` altogether."""
    of_entry: dict[str, list[Near]] = {}
    for image in near:  # most similar first
        images = of_entry.setdefault(image.entry, [])
        if len(images) < PER_ENTRY:
            images.append(image)
    votes = {key: sum(image.similarity for image in images) for key, images in of_entry.items()}
    ordered = sorted(of_entry, key=lambda key: -votes[key])
    return [image for key in ordered for image in of_entry[key]][:VERIFIED]


def _landmark(entry: Entry, match: Match) -> Landmark:
    place = None if entry.lat is None or entry.lng is None else (entry.lat, entry.lng)
    return Landmark(
        name=entry.name or entry.key,
        mid=entry.mid,
        probability=probability(match.inliers),
        outline=_hull(match.first),
        location=place,
        inliers=match.inliers,
    )


def _hull(points: NDArray[np.float32]) -> tuple[Point, ...]:
    hull = cv2.convexHull(points, clockwise=False).reshape(-1, 2)
    return tuple((float(x), float(y)) for x, y in hull)
