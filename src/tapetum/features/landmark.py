"""LANDMARK_DETECTION: which known places are where."""

from __future__ import annotations

import math
from typing import Any

from tapetum.features import Ask
from tapetum.recognisers.landmarks import Landmarks
from tapetum.signals import Signals

LANDMARK_DETECTION = 2  # Feature.Type

#: ``logit p = SLOPE · ln n + INTERCEPT`` for n keypoints that agree: how often the best match of a
#: picture was right, fitted by maximum likelihood to 153 pictures of the development set (93 of
#: landmarks in the gallery, 60 of other things), most of them with fewer keypoints than are
#: accepted. 20 keypoints are 0.85, 30 are 0.96.
SLOPE, INTERCEPT = 3.852, -9.785


class LandmarkDetection:
    """`Landmarks` → ``landmark_annotations``."""

    type = LANDMARK_DETECTION
    needs = (Landmarks,)

    def describe(self, ask: Ask, signals: Signals, response: Any) -> None:
        """At most ``ask.max_results`` landmarks by falling score.

        ``mid`` and ``locations`` are the gallery's and stay empty where it has none.
        """
        for found in signals.of(Landmarks).found[: ask.max_results]:
            entry = found.entry
            annotation = response.landmark_annotations.add(
                mid=entry.mid, description=entry.name or entry.key, score=score(found.inliers)
            )
            for x, y in found.outline:
                annotation.bounding_poly.vertices.add(x=round(x), y=round(y))
            if entry.lat is not None and entry.lng is not None:
                place = annotation.locations.add().lat_lng
                place.latitude, place.longitude = entry.lat, entry.lng


def score(inliers: int) -> float:
    """0..1, the probability that ``inliers`` keypoints agree because it is the same place."""
    return 1 / (1 + math.exp(-SLOPE * math.log(inliers) - INTERCEPT))
