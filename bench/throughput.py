"""How near a batch comes to what the cores could do at best.

The bound is what decoding and inference alone cost in CPU time, one image after the other in one
thread, divided by the cores: no time for reading, writing, JSON, leases or waiting. It is taken
between the batches, in the same process, on the same files.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import cv2

from bench import machine
from bench.rows import Row
from tapetum.detectors.classes import ImageClasses
from tapetum.engine import Engine
from tapetum.features.label import LabelDetection
from tapetum.imaging.decoding import decode
from tapetum.models import packs
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.recognisers import signals_of
from tapetum.settings import Settings
from tapetum.vision import messages

_POLL = 0.01


def measure(files: Sequence[Path], rounds: int) -> list[Row]:
    """LABEL_DETECTION over ``files``, ``rounds`` times, the bound before and after each."""
    cv2.setNumThreads(1)
    began = time.perf_counter()
    look = _looker(Sessions(Manifest.packaged()))
    look(files[0])
    loading = time.perf_counter() - began

    cores = machine.cores()
    bounds, threads, runs = [_alone(look, files)], [], []
    with tempfile.TemporaryDirectory(prefix="tapetum-bench-") as folder:
        settings = Settings(data_dir=Path(folder))
        types = [messages.Feature.LABEL_DETECTION]
        engine = Engine.of_command_line(settings, types=types)
        with closing(engine), engine.running():
            _batch(engine, files[: 4 * cores], f"{folder}/warm/")
            for number in range(rounds):
                runs.append(_batch(engine, files, f"{folder}/out-{number}/"))
                threads.append(_in_threads(look, files, cores))
                bounds.append(_alone(look, files))
    bound = statistics.median(bounds) / cores
    wall = statistics.median(run.wall for run in runs)
    cpu = statistics.median(run.cpu for run in runs)
    best = statistics.median(stretch.wall for stretch in threads)
    others = statistics.median(run.cores_of_others for run in runs)
    count = len(files)
    return [
        Row("batch: efficiency", bound / wall, "", at_least=0.8,
            note=f"bound / wall, LABEL_DETECTION, {count} images of 2 MP, median of {rounds}"),
        Row("batch: images per second", count / wall, "/s"),
        Row("batch: wall", wall, "s", note="first image to last shard, models loaded"),
        Row("batch: bound", bound, "s",
            note=f"decode + inference alone, {bound * cores / count * 1000:.1f} ms CPU an image"),
        Row("batch: CPU beside decode and inference", cpu / (bound * cores) - 1, "",
            note="more CPU time than the bound has, as a part of it"),
        Row("batch: cores kept busy", cpu / wall / cores, "", note="of the cores, by the batch"),
        Row("batch: efficiency of bare threads", bound / best, "",
            note="the same calls in a thread per core and nothing else: what is reachable"),
        Row("batch: cores busy with other work", others, "", note="other processes meanwhile"),
        Row("model load", loading, "s", note="weights checked, session built, first image"),
    ]  # fmt: skip


def _looker(sessions: Sessions) -> Callable[[Path], None]:
    """Decodes a file and runs what LABEL_DETECTION needs to be seen."""
    needs = (ImageClasses, *LabelDetection.needs)
    makers = [packs.maker_of(signal, sessions) for signal in needs]

    def side(width: int, height: int) -> int:
        return max(maker.max_side(width, height) for maker in makers)

    def look(file: Path) -> None:
        signals_of(decode(file.read_bytes(), side), makers)

    return look


def _alone(look: Callable[[Path], None], files: Sequence[Path]) -> float:
    """CPU seconds of one thread."""
    began = time.thread_time()
    for file in files:
        look(file)
    return time.thread_time() - began


def _in_threads(
    look: Callable[[Path], None], files: Sequence[Path], threads: int
) -> machine.Stretch:
    with ThreadPoolExecutor(threads) as pool, machine.timed() as stretch:
        for done in [pool.submit(look, file) for file in files]:
            done.result()
    return stretch


def _batch(engine: Engine, files: Sequence[Path], output: str) -> machine.Stretch:
    """One operation as ``tapetum annotate`` starts it, from start to its end."""
    request = messages.AsyncBatchAnnotateImagesRequest()
    request.output_config.gcs_destination.uri = output
    for file in files:
        item = request.requests.add()
        item.image.source.image_uri = os.fspath(file)
        item.features.add(type_=messages.Feature.LABEL_DETECTION)
    with machine.timed() as stretch:
        name = engine.service.start(request).name
        while True:
            record = engine.ledger.get(name)
            assert record is not None
            if record.state.ended:
                break
            time.sleep(_POLL)
    assert (record.images_done, record.images_failed) == (len(files), 0), record
    return stretch
