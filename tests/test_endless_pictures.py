"""A picture that decodes for ever stops neither other callers nor the server, at every door."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from google.cloud import vision_v1

sys.path.insert(0, str(Path(__file__).parent))
from endless_jpeg import endless_jpeg

#: Seconds: what is to happen in 30 on a quiet machine.
PATIENCE = 300
#: Some two minutes of decoding on a quiet machine.
SCANS = 100_000
TOO_LONG = "Bad image data. It takes too long to decode."
LABEL = [{"type_": vision_v1.Feature.Type.LABEL_DETECTION}]


@pytest.fixture
def server(start_server, photos):
    # Decoding is cut by processor time; on a busy machine the time by the clock may run out before.
    running = start_server("--workers", "2", "--image-seconds", "600")
    folder = running.bucket("in")
    (folder / "endless.jpg").write_bytes(endless_jpeg(SCANS))
    (folder / "cat.jpg").write_bytes((photos / "cat.jpg").read_bytes())
    running.bucket("out")
    return running


def asked(name: str) -> list[dict]:
    return [{"image": {"source": {"image_uri": f"gs://in/{name}"}}, "features": LABEL}]


def begun(client, name: str, where: str):
    output = {"gcs_destination": {"uri": f"gs://out/{where}/"}}
    return client.async_batch_annotate_images(requests=asked(name), output_config=output)


def answer_of(server, where: str):
    path = server.bucket("out") / where / "output-1-to-1.json"
    return json.loads(path.read_text())["responses"][0]


def test_bystanders_are_answered_and_the_picture_is_named(server):
    client = server.client()
    stuck = [begun(client, "endless.jpg", f"stuck-{n}") for n in range(2)]
    answers = []

    def call() -> None:
        batch = client.batch_annotate_images(requests=asked("endless.jpg"), timeout=PATIENCE)
        answers.append(batch.responses[0])

    calls = [threading.Thread(target=call) for _ in range(2)]
    for each in calls:
        each.start()
    bystander = begun(client, "cat.jpg", "bystander")
    reply = client.batch_annotate_images(requests=asked("cat.jpg"), timeout=PATIENCE)
    assert reply.responses[0].label_annotations[0].description
    bystander.result(timeout=PATIENCE)
    assert answer_of(server, "bystander")["labelAnnotations"]
    for number, operation in enumerate(stuck):
        operation.result(timeout=PATIENCE)
        assert answer_of(server, f"stuck-{number}")["error"] == {"code": 3, "message": TOO_LONG}
    for each in calls:
        each.join(PATIENCE)
    assert [(answer.error.code, answer.error.message) for answer in answers] == [(3, TOO_LONG)] * 2


def test_an_operation_that_is_stuck_can_be_cancelled(server):
    client = server.client()
    operation = begun(client, "endless.jpg", "cancelled")
    until = time.monotonic() + PATIENCE
    while operation.metadata.state != vision_v1.OperationMetadata.State.RUNNING:
        assert time.monotonic() < until
        operation.done()  # asks again
    operation.cancel()
    assert operation.cancelled()
    begun(client, "cat.jpg", "next").result(timeout=PATIENCE)
    assert not (server.bucket("out") / "cancelled").exists()


def test_the_server_ends_in_time_whatever_it_looks_at(server):
    client = server.client()
    operations = [begun(client, "endless.jpg", f"stuck-{n}") for n in range(4)]
    until = time.monotonic() + PATIENCE
    while operations[0].metadata.state != vision_v1.OperationMetadata.State.RUNNING:
        assert time.monotonic() < until
        operations[0].done()
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


def test_the_command_line_names_it_and_goes_on(photos, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "endless.jpg").write_bytes(endless_jpeg(SCANS))
    for name in ("cat.jpg", "dog.jpg"):
        (tmp_path / "in" / name).write_bytes((photos / name).read_bytes())
    command = [sys.executable, "-m", "tapetum", "annotate", "in", "--output", "out"]
    done = subprocess.run(
        [*command, "--features", "LABEL_DETECTION"],
        cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "endless.jpg" in done.stderr
    assert TOO_LONG in done.stderr
    answers = json.loads((tmp_path / "out" / "output-1-to-3.json").read_text())["responses"]
    assert [("error" in answer) for answer in answers] == [False, False, True]
