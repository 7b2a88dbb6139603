"""OBJECT_LOCALIZATION: which things are where."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any, Self

import numpy as np

from tapetum.detectors.objects import Objects
from tapetum.features import Ask
from tapetum.features.calibration import BetaCalibration
from tapetum.signals import Signals

OBJECT_LOCALIZATION = 19  # Feature.Type
LOWEST_SCORE = 0.5  # about the lowest that the service has been seen to return

#: Raw score → how often such a box is right: its class is, and it overlaps an object of that class
#: by at least half (intersection over union). Fitted on the 6079 boxes found in 64 photographs of
#: COCO val2017; probability 0.5 is raw score 0.46. Leaving out one photograph at a time, the
#: expected calibration error of the others' map is 0.05 over the 198 boxes of 0.5 and more, which
#: is what chance alone does to so few; fitted on random halves and scored on the other, 0.04 to
#: 0.08. The network may have been trained on 54 of the photographs. On the ten that were held out
#: it says right 0.81, and 0.82 of 33 boxes are: too few to say more.
#: ``bench/quality/objects.py`` fits and measures again.
CALIBRATION = BetaCalibration(a=2.196, b=0.501, c=1.406)


@dataclass(frozen=True, slots=True)
class ObjectName:
    """What a class of `Objects` is called.

    ``name``: English, as Open Images names it, first letter upper case. ``mid``: its Knowledge
    Graph id.
    """

    name: str
    mid: str


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One object of a picture.

    ``score``: 0..1, the probability that class and place are right. ``box``: x0, y0, x1, y1 in
    pixels of the full-size upright image.
    """

    name: str
    mid: str
    score: float
    box: tuple[float, float, float, float]


class ObjectVocabulary:
    """Names and probabilities for `Objects`: what the objects room tells other features.

    ``tables/coco_objects.csv`` names each COCO class by the boxable class of Open Images that
    means the same (its MIDs are among the 601 shipped in the packages tensorflow-datasets and
    mmdet, both Apache-2.0). Where none is quite the same the nearest stands in: cow is Cattle,
    cup is Coffee cup, sports ball is Ball, dining table is Table, potted plant is Houseplant.
    """

    def __init__(
        self, names: Iterable[ObjectName], calibration: BetaCalibration = CALIBRATION
    ) -> None:
        self.names = tuple(names)
        self._calibration = calibration

    @classmethod
    def packaged(cls) -> Self:
        """The 80 names that ship with the package, in the order of the classes."""
        path = files("tapetum.features").joinpath("tables/coco_objects.csv")
        rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
        return cls(ObjectName(row["name"], row["mid"]) for row in rows)

    def found(self, objects: Objects, lowest: float = LOWEST_SCORE) -> list[FoundObject]:
        """The objects of probability ``lowest`` and more, by falling probability.

        Ties by name, then by box. Several objects may have one name.
        """
        scores = self._calibration.probability(objects.scores)
        likely = np.flatnonzero(scores >= lowest)
        found = []
        for k in likely.tolist():
            name = self.names[objects.classes[k]]
            x0, y0, x1, y1 = objects.boxes[k].tolist()
            found.append(FoundObject(name.name, name.mid, float(scores[k]), (x0, y0, x1, y1)))
        found.sort(key=lambda one: (-one.score, one.name, one.box))
        return found


class ObjectLocalization:
    """`Objects` → ``localized_object_annotations``."""

    type = OBJECT_LOCALIZATION
    needs = (Objects,)

    def __init__(self, vocabulary: ObjectVocabulary | None = None) -> None:
        self._given = vocabulary

    @cached_property
    def _vocabulary(self) -> ObjectVocabulary:
        # On first use: a server that is never asked for objects reads no table.
        return self._given if self._given is not None else ObjectVocabulary.packaged()

    def describe(self, ask: Ask, signals: Signals, response: Any) -> None:
        """Objects of score 0.5 and more, by falling score, at most ``ask.max_results``.

        Each box is its own annotation. Vertices are shares of width and height in 0..1, clockwise
        from the top left. The field stays unset when no object reaches 0.5.
        """
        found = self._vocabulary.found(signals.of(Objects))
        for one in found[: ask.max_results]:
            annotation = response.localized_object_annotations.add(
                mid=one.mid, name=one.name, score=one.score
            )
            x0, x1 = (_share(x, ask.width) for x in one.box[::2])
            y0, y1 = (_share(y, ask.height) for y in one.box[1::2])
            for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1)):
                annotation.bounding_poly.normalized_vertices.add(x=x, y=y)


def _share(position: float, length: int) -> float:
    return min(max(position / length, 0.0), 1.0)
