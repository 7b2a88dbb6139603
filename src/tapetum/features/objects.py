"""OBJECT_LOCALIZATION: which things are where."""

from __future__ import annotations

from typing import Any

from tapetum.features import Ask
from tapetum.signals import Signals
from tapetum.signals.objects import Objects

#: Feature.Type.
OBJECT_LOCALIZATION = 19
#: About the lowest that the service has been seen to return.
LOWEST_SCORE = 0.5


class ObjectLocalization:
    """`Objects` → ``localized_object_annotations``."""

    type = OBJECT_LOCALIZATION
    needs = (Objects,)

    def describe(self, ask: Ask, signals: Signals, response: Any) -> None:
        """Objects of probability 0.5 and more, the most probable first, at most
        ``ask.max_results``.

        Each box is its own annotation. Vertices are shares of width and height in 0..1, clockwise
        from the top left. The field stays unset when no object reaches 0.5.
        """
        for thing in signals.of(Objects).likely(LOWEST_SCORE)[: ask.max_results]:
            annotation = response.localized_object_annotations.add(
                mid=thing.mid, name=thing.name, score=thing.probability
            )
            x0, x1 = (_share(x, ask.width) for x in thing.box[::2])
            y0, y1 = (_share(y, ask.height) for y in thing.box[1::2])
            for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1)):
                annotation.bounding_poly.normalized_vertices.add(x=x, y=y)


def _share(position: float, length: int) -> float:
    return min(max(position / length, 0.0), 1.0)
