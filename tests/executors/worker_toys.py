"""A workshop whose workers do to themselves what a picture's colour says.

Blue and grey pictures are harmless: they are answered with their mean. Red ends the process by a
crash, magenta by SIGKILL, yellow never ends, cyan eats memory. A worker finds this module because
the folder is in PYTHONPATH. What else the tests of executors share stands here too.
"""

from __future__ import annotations

import io
import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tapetum.errors import SettingsError
from tapetum.executors.blame import Cause
from tapetum.executors.jobs import BLAME
from tapetum.imaging.picture import Picture
from tapetum.pipeline.annotator import Annotator
from tapetum.stores.router import Stores
from tapetum.tasks.plan import Shard, Task
from tapetum.vision import messages

RED, MAGENTA, YELLOW, CYAN, GREEN, BLUE = (
    (255, 0, 0), (255, 0, 255), (255, 255, 0), (0, 255, 255), (0, 255, 0), (0, 0, 255),
)  # fmt: skip

#: Bytes that a blue picture costs.
MUCH = 200 * 2**20

#: Seconds until a test gives up, on a machine that has much else to do.
PATIENCE = 120


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.01)


@dataclass(frozen=True)
class Mean:
    value: float


class Deeds:
    """Makes `Mean`, unless the picture makes it do something else."""

    signal = Mean

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def max_side(self, width: int, height: int) -> int:
        return max(width, height)

    def detect(self, pictures: Sequence[Picture], contexts=()) -> list[Mean]:
        return [self._mean(picture) for picture in pictures]

    def _mean(self, picture: Picture) -> Mean:
        colour = tuple(int(part) for part in picture.pixels[0, 0])
        if colour == RED:
            os.abort()
        if colour == MAGENTA:
            os.kill(os.getpid(), signal.SIGKILL)
        if colour == YELLOW:
            (self._folder / "stuck").touch()
            while True:
                time.sleep(1)
        if colour == CYAN:
            np.ones(2**30, dtype=np.uint8)
            raise AssertionError("there was memory enough")
        if colour == GREEN:  # waits to be let go on
            (self._folder / "waiting").touch()
            while not (self._folder / "go").exists():
                time.sleep(0.01)
        if colour == BLUE:  # takes much memory and keeps a little of it, here and there
            self.kept = [b"x" * 65_536 for _ in range(MUCH // 65_536)][::256]
        return Mean(float(np.mean(picture.pixels)))


class MeanLabel:
    type = 4
    needs = (Mean,)

    def describe(self, ask, signals, response) -> None:
        value = signals.of(Mean).value
        response.label_annotations.add(description=f"{value:.3f}", score=0.5)


class ToyWorkshop:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def annotator(self, *, patient: bool) -> Annotator:
        return Annotator(Stores(self._folder), [Deeds(self._folder)], [MeanLabel()])


def picture(colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(file, "PNG")
    return file.getvalue()


def requests(colours) -> Any:
    made = messages.BatchAnnotateImagesRequest()
    for colour in colours:
        request = made.requests.add()
        request.image.content = picture(colour)
        request.features.add(type_=4)
    return made


def task(colours, batch_size: int = 2) -> Task:
    blob = requests(colours).SerializeToString()
    return Task("projects/p/operations/1", 1, len(colours), batch_size, "gs://out/", blob)


def answers(folder: Path) -> list[Any]:
    """Of all shards, in order."""
    files = (folder / "out").glob("output-*.json")
    ordered = sorted(files, key=lambda path: int(path.name.split("-")[1]))
    return [answer for path in ordered for answer in json.loads(path.read_text())["responses"]]


def expected(colour) -> dict[str, Any]:
    said = f"{sum(colour) / 3:.3f}"
    return {"labelAnnotations": [{"description": said, "score": 0.5}]}


DIED = {"error": {"code": 13, "message": BLAME[Cause.CRASHED]}}
OVERRAN = {"error": {"code": 13, "message": BLAME[Cause.OVERRAN]}}
EXHAUSTED = {"error": {"code": 13, "message": BLAME[Cause.EXHAUSTED]}}


class Listening:
    """A control that writes down what it is told, and may be told to end the work."""

    def __init__(self) -> None:
        self.shards: list[tuple[Shard, int]] = []
        self.raises: Exception | None = None

    def check(self) -> None:
        if self.raises is not None:
            raise self.raises

    def started(self, position: int) -> None:
        pass

    def finished(self, position: int) -> None:
        pass

    def written(self, shard: Shard, failed: int) -> None:
        self.shards.append((shard, failed))


def broken() -> ToyWorkshop:
    raise SettingsError("There are no toys today.")


class BrokenLater:
    def annotator(self, *, patient: bool) -> Annotator:
        raise SettingsError("There are no toys today.")


broken_later = BrokenLater
