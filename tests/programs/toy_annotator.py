"""What a nursery loads for tests: an annotator whose one detector does, at the sight of a colour,
what pictures of strangers might make real ones do."""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tapetum.detectors.colours import ColourDetector
from tapetum.features.properties import ImageProperties
from tapetum.pipeline.annotator import Annotator
from tapetum.stores.router import Stores

#: What happens at the sight of each colour; every other is merely seen. Those that take their time
#: leave a file ``waits-PID`` in the folder.
FAULT = (255, 0, 0)
LOOP = (0, 255, 0)
STUCK = (0, 0, 255)
HOG = (255, 255, 0)
KILL = (255, 0, 255)
#: Waits until the file ``go`` is in the folder.
WAIT = (255, 255, 255)
#: Faults the first time that the folder sees it.
ONCE = (0, 255, 255)

LABEL = 4
COLOURS = 7


@dataclass(frozen=True)
class Seen:
    """The colour of the picture's corner."""

    colour: tuple[int, int, int]


class Reacting:
    """Sees a colour, and does what it says."""

    signal = Seen

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def max_side(self, width: int, height: int) -> int:
        return 1

    def detect(self, pictures, contexts=()):
        return [self._see(tuple(map(int, picture.pixels[0, 0]))) for picture in pictures]

    def _see(self, colour: tuple[int, int, int]) -> Seen:
        if colour == FAULT or (colour == ONCE and self._is_first()):
            ctypes.string_at(0)
        elif colour == LOOP:
            self._say()
            while True:
                time.sleep(0.01)
        elif colour == STUCK:  # with the interpreter in its hands
            self._say()
            sum(itertools.repeat(1))
        elif colour == HOG:
            hoard = []
            while True:
                hoard.append(bytearray(2**24))
        elif colour == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        elif colour == WAIT:
            self._say()
            while not (self._folder / "go").exists():
                time.sleep(0.01)
        return Seen(colour)

    def _say(self) -> None:
        (self._folder / f"waits-{os.getpid()}").touch()

    def _is_first(self) -> bool:
        try:
            (self._folder / "once").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


class SeenLabel:
    type = LABEL
    needs = (Seen,)

    def describe(self, ask, signals, response):
        response.label_annotations.add(description=f"{signals.of(Seen).colour}", score=1)


class SlowStores(Stores):
    """``gs://slow/`` answers, that there is no picture, when the file ``go`` is in the folder."""

    def read(self, uri: str, limit: int) -> bytes:
        if not uri.startswith("gs://slow/"):
            return super().read(uri, limit)
        (self._buckets_dir / "reads").touch()
        while not (self._buckets_dir / "go").exists():
            time.sleep(0.01)
        return b"no picture"


class Toys:
    """The workshop: annotators with buckets in the settings' folder."""

    def __init__(self, settings, local_files, types) -> None:
        del local_files, types
        self._folder = settings.buckets_dir

    def annotator(self, *, patient: bool) -> Annotator:
        return Annotator(
            SlowStores(self._folder),
            [Reacting(self._folder), ColourDetector()],
            [SeenLabel(), ImageProperties()],
        )
