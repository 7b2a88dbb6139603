"""What each feature costs, alone, and how much of it is inside ONNX Runtime."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2

from bench import machine
from bench.rows import Row
from tapetum import wiring
from tapetum.gallery.shipped import glyphs, landmarks
from tapetum.gallery.shipped.brands import Brands
from tapetum.models import packs
from tapetum.models.manifest import Manifest
from tapetum.models.session import Session, Sessions
from tapetum.pipeline import image_sources
from tapetum.pipeline.annotator import Annotator
from tapetum.stores.router import Stores
from tapetum.vision import messages

#: Part of a feature's CPU time, decoding left out, that may be spent outside ONNX Runtime.
MOST_OUTSIDE = 0.15
_HELD_TO_IT = ("FACE_DETECTION", "OBJECT_LOCALIZATION")


def measure(files: Sequence[Path]) -> list[Row]:
    """Every feature over ``files``: images per second with one worker and with one per core, and
    the share of CPU time inside ONNX Runtime."""
    cv2.setNumThreads(1)
    clock = _Clock()
    run, decode = Session.run, image_sources.decode
    Session.run = clock.around("networks", run)  # type: ignore[method-assign]
    image_sources.decode = clock.around("decoding", decode)
    try:
        with tempfile.TemporaryDirectory(prefix="tapetum-bench-") as folder:
            sessions = Sessions(Manifest.packaged())
            makers = packs.makers(sessions)
            recognisers = wiring.recognisers(
                makers, landmarks.load(), Brands.packaged(), glyphs.load()
            )
            made = Annotator(
                Stores(Path(folder)), wiring.detectors(makers), wiring.features(), recognisers
            )
            rows = [
                row
                for feature in wiring.features()
                for row in _of_feature(made, feature.type, files, clock)
            ]
            made.close()
    finally:
        Session.run = run  # type: ignore[method-assign]
        image_sources.decode = decode
    return rows


class _Clock:
    """CPU seconds that threads spend inside certain functions."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.spent: dict[str, float] = {}

    def around(self, name: str, function: Any) -> Any:
        def timed(*arguments: Any, **options: Any) -> Any:
            began = time.thread_time()
            try:
                return function(*arguments, **options)
            finally:
                with self._lock:
                    took = time.thread_time() - began
                    self.spent[name] = self.spent.get(name, 0.0) + took

        return timed


def _of_feature(made: Annotator, kind: int, files: Sequence[Path], clock: _Clock) -> list[Row]:
    name = messages.Feature.Type.Name(kind)
    requests = [_request(file, kind) for file in files]
    made.annotate(requests[0])  # loads what has to be loaded
    clock.spent.clear()
    began, cpu = time.perf_counter(), time.thread_time()
    for request in requests:
        made.annotate(request)
    alone, cpu = time.perf_counter() - began, time.thread_time() - cpu
    inside, decoding = clock.spent.get("networks", 0.0), clock.spent.get("decoding", 0.0)
    cores = machine.cores()
    with ThreadPoolExecutor(cores) as pool:
        began = time.perf_counter()
        list(pool.map(made.annotate, requests))
        together = time.perf_counter() - began
    count = len(files)
    rows = [
        Row(f"{name}: 1 worker", count / alone, "/s", note=f"{cpu / count * 1000:.0f} ms CPU each"),
        Row(f"{name}: {cores} workers", count / together, "/s"),
    ]
    if inside:
        outside = 1 - inside / (cpu - decoding)
        most = MOST_OUTSIDE if name in _HELD_TO_IT else None
        rows.append(
            Row(
                f"{name}: outside ONNX Runtime", outside, "", at_most=most, note="decoding left out"
            )
        )
    return rows


def _request(file: Path, kind: int) -> bytes:
    asked = messages.BatchAnnotateImagesRequest()
    item = asked.requests.add()
    item.image.content = file.read_bytes()
    item.features.add(type_=kind)
    return bytes(asked.SerializeToString())
