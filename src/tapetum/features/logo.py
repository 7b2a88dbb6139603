"""LOGO_DETECTION: which brands' logos are where."""

from __future__ import annotations

from typing import Any

from tapetum.features import Ask
from tapetum.signals import Signals
from tapetum.signals.logos import Logos

#: Feature.Type.
LOGO_DETECTION = 3


class LogoDetection:
    """`Logos` → ``logo_annotations``."""

    type = LOGO_DETECTION
    needs = (Logos,)

    def describe(self, ask: Ask, signals: Signals, response: Any) -> None:
        """At most ``ask.max_results`` logos by falling score; ``mid`` only where a gallery has
        one."""
        for logo in signals.of(Logos).logos[: ask.max_results]:
            annotation = response.logo_annotations.add(
                mid=logo.mid, description=logo.name, score=logo.probability
            )
            for x, y in logo.outline:
                annotation.bounding_poly.vertices.add(x=round(x), y=round(y))
