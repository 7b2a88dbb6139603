"""Whatever ends workers and decoders from outside changes no answer and blames no picture."""

from __future__ import annotations

import random
import shutil
import signal
import time
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path

import psutil
import pytest
from google.cloud import vision_v1

pytestmark = pytest.mark.slow

IMAGES, KILLS = 200, 50
PATIENCE = 900
FEATURES = [{"type_": vision_v1.Feature.Type.LABEL_DETECTION}]
SIGNALS = [signal.SIGSEGV, signal.SIGKILL]


def begun(client, names: list[str], where: str):
    requests = [
        {"image": {"source": {"image_uri": f"gs://in/{name}"}}, "features": FEATURES}
        for name in names
    ]
    output = {"gcs_destination": {"uri": f"gs://out/{where}/"}, "batch_size": 7}
    return client.async_batch_annotate_images(requests=requests, output_config=output)


def written(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def workers_and_decoders(server: int) -> list[int]:
    """Those that look at pictures: what nurseries and zygotes have forked."""
    forked = []
    for process in psutil.Process(server).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if process.cmdline() == process.parent().cmdline():
                forked.append(process.pid)
    return forked


def test_every_image_is_answered_as_if_nothing_had_happened(start_server, photos):
    server = start_server("--workers", "2")
    for photo in photos.glob("*.jpg"):
        shutil.copy(photo, server.bucket("in"))
    names = list(islice(cycle(sorted(file.name for file in photos.glob("*.jpg"))), IMAGES))
    server.bucket("out")
    client = server.client()
    begun(client, names, "calm").result(timeout=PATIENCE)

    choice, sent = random.Random(17), 0
    operation = begun(client, names, "stormy")
    until = time.monotonic() + PATIENCE
    while sent < KILLS:
        assert time.monotonic() < until
        assert not operation.done(), "the batch ended before the storm did"
        time.sleep(choice.uniform(0.0, 0.4))  # a moment like any other
        forked = workers_and_decoders(server.process.pid)
        if forked:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(choice.choice(forked)).send_signal(choice.choice(SIGNALS))
                sent += 1
    operation.result(timeout=PATIENCE)
    calm, stormy = (written(server.bucket("out") / where) for where in ("calm", "stormy"))
    assert len(calm) == -(-IMAGES // 7)
    assert stormy == calm
    assert not [name for name, content in calm.items() if b'"error"' in content]
