"""IMAGE_PROPERTIES: dominant colours."""

from __future__ import annotations

from typing import Any

from tapetum.features import Ask
from tapetum.features.crop_hints import add_hint
from tapetum.signals import Signals
from tapetum.signals.colours import DominantColours

#: Feature.Type.
IMAGE_PROPERTIES = 7
#: The service's record, a float32 just below 0.8.
WHOLE_CONFIDENCE = 0.79999995


class ImageProperties:
    """`DominantColours` → ``image_properties_annotation``.

    The service's answer to this feature also carries a crop hint, the whole image, although no
    crop hint was asked for. Ours too, unless CROP_HINTS has spoken or speaks later.
    """

    type = IMAGE_PROPERTIES
    needs = (DominantColours,)

    def describe(self, ask: Ask, signals: Signals, response: Any) -> None:
        """At most ``ask.max_results`` colours, channels 0..255, no alpha, by falling score."""
        dominant = response.image_properties_annotation.dominant_colors
        for colour in signals.of(DominantColours).colours[: ask.max_results]:
            entry = dominant.colors.add(score=colour.score, pixel_fraction=colour.pixel_fraction)
            entry.color.red = colour.red
            entry.color.green = colour.green
            entry.color.blue = colour.blue
        if not response.crop_hints_annotation.crop_hints:
            whole = (0, 0, ask.width - 1, ask.height - 1)
            add_hint(response, whole, WHOLE_CONFIDENCE, 1.0)
