"""What galleries make of one image, for a person to look at: candidates, scores, matched points."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tapetum.detectors import Detector, Embedder
from tapetum.errors import ImageError, InvalidGallery
from tapetum.gallery import Galleries, Gallery, Kind, unit
from tapetum.gallery.matching.local_features import Match, unpacked, verified
from tapetum.gallery.matching.pdq import distances
from tapetum.gallery.sources.items import file_reader
from tapetum.imaging.decoders import shared
from tapetum.imaging.picture import Picture
from tapetum.recognisers import landmarks, logos, web
from tapetum.recognisers.references import decoded
from tapetum.signals.keypoints import Keypoints

#: Least cosine of two keypoints' descriptors, as the recognisers have it.
ALIKE = {Kind.LOGO: logos.SIMILAR, Kind.LANDMARK: landmarks.SIMILAR, Kind.WEB: web.ALIKE}

#: Nearest references looked at per gallery.
CANDIDATES = 12
#: Of a drawn picture, pixels.
_SIDE = 640
#: Drawn at most.
_LINES = 100


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A reference image beside the picture. ``similarity``: cosine of the embeddings; ``score``:
    that above the background, 0..1, none of a reference image without one; ``distance``: differing
    bits of the PDQ hashes, of 256; ``match``: the homography and its keypoints, if there is one."""

    gallery: Gallery
    entry: str
    name: str
    source: str
    digest: str
    similarity: float
    score: float | None
    distance: int
    match: Match | None

    @property
    def inliers(self) -> int:
        return 0 if self.match is None else self.match.inliers


class Explainer:
    """Looks at pictures as the recognisers do, and keeps what they throw away."""

    def __init__(
        self, galleries: Galleries, embedder: Embedder, keypoints: Detector[Keypoints]
    ) -> None:
        self._galleries = galleries
        self._embedder = embedder
        self._keypoints = keypoints
        self._decoders = shared()

    def opened(self, content: bytes, source: str = "") -> Picture:
        """Raises as `tapetum.recognisers.references.ReferenceMaker.make`."""
        looks = (self._embedder.max_side, self._keypoints.max_side)
        return decoded(
            self._decoders, source, content, lambda w, h: max(side(w, h) for side in looks)
        )

    def candidates(self, picture: Picture, galleries: Sequence[Gallery]) -> list[Candidate]:
        """The nearest reference images of all ``galleries``, most keypoints in agreement first."""
        embedding = unit(self._embedder.embed([picture])[0].vector)
        features = self._keypoints.detect([picture])[0].features
        hashes = web.hash_of(picture).hashes[:1]
        candidates = []
        for gallery in galleries:
            for near in self._galleries.nearest(gallery, embedding, CANDIDATES):
                rows = dict(self._galleries.references(gallery, near.entry))
                reference, calibration = rows[near.reference], near.calibration
                code = np.frombuffer(reference.pdq, dtype=np.uint8)[None]
                match = None
                if reference.features:
                    held = unpacked(reference.features)
                    match = verified(features, held, ALIKE[gallery.kind])
                candidates.append(
                    Candidate(
                        gallery=gallery,
                        entry=near.entry,
                        name=self._galleries.entry(gallery, near.entry).name,
                        source=reference.source,
                        digest=reference.digest,
                        similarity=near.similarity,
                        score=calibration.score(near.similarity) if calibration.deviation else None,
                        distance=int(distances(hashes, code)[0, 0]),
                        match=match,
                    )
                )
        return sorted(
            candidates,
            key=lambda candidate: (-candidate.inliers, -candidate.similarity, candidate.entry),
        )

    def drawing(self, picture: Picture, candidate: Candidate) -> bytes:
        """PNG: the picture with the keypoints that agree with ``candidate``. Beside it the
        reference image, with lines from point to point, if its file is still where it was."""
        left, scale = _fitted(picture.pixels, picture.width)
        reference = self._reference(candidate)
        parts, right_scale = [left], 1.0
        if reference is not None:
            right, right_scale = _fitted(reference.pixels, reference.width)
            parts.append(right)
        rows = max(part.shape[0] for part in parts)
        padded = [
            np.pad(part, ((0, rows - part.shape[0]), (0, 0), (0, 0)), constant_values=255)
            for part in parts
        ]
        canvas = np.ascontiguousarray(np.hstack(padded))
        if candidate.match is not None:
            pairs = zip(candidate.match.first, candidate.match.second, strict=True)
            for first, second in list(pairs)[:_LINES]:
                here = _point(first * scale)
                cv2.circle(canvas, here, 3, (255, 0, 0), -1)
                if reference is not None:
                    x, y = _point(second * right_scale)
                    there = x + left.shape[1], y
                    cv2.circle(canvas, there, 3, (255, 0, 0), -1)
                    cv2.line(canvas, here, there, (0, 160, 0), 1)
        written = cv2.imencode(".png", cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR))[1]
        return bytes(np.asarray(written).tobytes())

    def _reference(self, candidate: Candidate) -> Picture | None:
        try:
            content = file_reader(Path(candidate.source))()
            if hashlib.sha256(content).hexdigest() != candidate.digest:
                return None
            return self.opened(content, candidate.source)
        except (ImageError, InvalidGallery, OSError):
            return None


def _fitted(pixels: NDArray[np.uint8], width: int) -> tuple[NDArray[np.uint8], float]:
    """``pixels`` no larger than a drawing, and what takes full-size coordinates there."""
    scale = min(1.0, _SIDE / max(pixels.shape[:2]))
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return small, size[0] / width


def _point(place: NDArray[np.float32]) -> tuple[int, int]:
    return round(float(place[0])), round(float(place[1]))
