"""LOGO_DETECTION: which brands' logos are where."""

from __future__ import annotations

from typing import Any

from tapetum.features import Ask
from tapetum.recognisers.logos import Logos
from tapetum.signals import Signals

LOGO_DETECTION = 3  # Feature.Type


class LogoDetection:
    """`Logos` → ``logo_annotations``."""

    type = LOGO_DETECTION
    needs = (Logos,)

    def describe(self, ask: Ask, signals: Signals, response: Any) -> None:
        """At most ``ask.max_results`` logos by falling score; ``mid`` only where a gallery has
        one."""
        for found in signals.of(Logos).found[: ask.max_results]:
            annotation = response.logo_annotations.add(
                mid=found.mid, description=found.name, score=found.score
            )
            for x, y in found.outline:
                annotation.bounding_poly.vertices.add(x=round(x), y=round(y))
