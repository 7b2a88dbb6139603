"""LANDMARK_DETECTION: which known places are where."""

from __future__ import annotations

from typing import Any

from tapetum.features import Ask
from tapetum.signals import Signals
from tapetum.signals.landmarks import Landmarks

#: Feature.Type.
LANDMARK_DETECTION = 2


class LandmarkDetection:
    """`Landmarks` → ``landmark_annotations``."""

    type = LANDMARK_DETECTION
    needs = (Landmarks,)

    def describe(self, ask: Ask, signals: Signals, response: Any) -> None:
        """At most ``ask.max_results`` landmarks by falling score.

        ``mid`` and ``locations`` are the gallery's and stay empty where it has none.
        """
        for landmark in signals.of(Landmarks).landmarks[: ask.max_results]:
            annotation = response.landmark_annotations.add(
                mid=landmark.mid, description=landmark.name, score=landmark.probability
            )
            for x, y in landmark.outline:
                annotation.bounding_poly.vertices.add(x=round(x), y=round(y))
            if landmark.location is not None:
                place = annotation.locations.add().lat_lng
                place.latitude, place.longitude = landmark.location
