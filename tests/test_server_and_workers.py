"""A server whose workers are stuck, die or are killed, and servers that are killed themselves."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.longrunning import operations_pb2, operations_pb2_grpc
from PIL import Image

READY = "tapetum is ready on "
TOYS = Path(__file__).parent / "programs"
GREY, RED, BLUE, WHITE = (90, 90, 90), (255, 0, 0), (0, 0, 255), (255, 255, 255)
FAULT, STUCK, WAIT = RED, BLUE, WHITE
#: Seconds until a test gives up, on a machine that has much else to do.
PATIENCE = 120.0
#: Libraries that decode pictures and pages, or run networks, by what their files are called.
HEAVY = ("onnxruntime", "/cv2", "pdfium", "/PIL/", "tesserocr", "resvg", "openvino")


def wait_for(condition: Callable[[], Any]) -> Any:
    until = time.monotonic() + PATIENCE
    while not (answer := condition()):
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.01)
    return answer


@pytest.fixture
def toy_server(tmp_path: Path, running: Any) -> Iterator[Callable[..., Any]]:
    """Starts toy servers, with settings, that end with the test."""
    started: list[Any] = []

    def start(**settings: Any) -> Any:
        data = tmp_path / "data"
        log = tmp_path / "server.log"
        environment = {f"TAPETUM_{name.upper()}": str(value) for name, value in settings.items()}
        environment |= {"TAPETUM_DATA_DIR": str(data)}
        path = os.pathsep.join([str(TOYS), os.environ.get("PYTHONPATH", "")])
        with log.open("a") as errors:
            process = subprocess.Popen(
                [sys.executable, str(TOYS / "toy_server.py")],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | {"TAPETUM_WORKERS": "1", "PYTHONPATH": path} | environment,
            )
        assert process.stdout is not None
        line = process.stdout.readline()
        server = running(process, line.removeprefix(READY).strip(), data, log)
        started.append(server)
        assert line.startswith(READY), log.read_text()
        server.bucket("out")
        return server

    yield start
    for server in started:
        server.kill()


def request(colours: Sequence[tuple[int, int, int]]) -> list[dict[str, Any]]:
    return [{"image": {"content": image_of(c)}, "features": [{"type_": 4}]} for c in colours]


def image_of(colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(file, "PNG")
    return file.getvalue()


def begin(server: Any, colours: Sequence[tuple[int, int, int]], prefix: str = "") -> str:
    """Starts an operation of one image a shard; its name."""
    with server.client() as client:
        return client.async_batch_annotate_images(
            requests=request(colours),
            output_config={
                "gcs_destination": {"uri": f"gs://out/{prefix}"},
                "batch_size": 1,
            },
        ).operation.name


def get(server: Any, name: str) -> Any:
    with grpc.insecure_channel(server.address) as channel:
        stub = operations_pb2_grpc.OperationsStub(channel)
        return stub.GetOperation(operations_pb2.GetOperationRequest(name=name))


def cancel(server: Any, name: str) -> None:
    with grpc.insecure_channel(server.address) as channel:
        stub = operations_pb2_grpc.OperationsStub(channel)
        stub.CancelOperation(operations_pb2.CancelOperationRequest(name=name))


def answers(server: Any) -> list[Any]:
    paths = sorted(server.bucket("out").iterdir(), key=lambda path: int(path.name.split("-")[1]))
    return [answer for path in paths for answer in json.loads(path.read_text())["responses"]]


def seen(colour: tuple[int, int, int]) -> dict[str, Any]:
    return {"labelAnnotations": [{"description": f"{colour}", "score": 1}]}


def waiting(server: Any) -> list[Path]:
    """A file for each worker that has met a picture that takes its time."""
    return list((server.data / "buckets").glob("waits-*"))


def relatives(root: int) -> list[int]:
    """The processes below ``root``."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it ended meanwhile
            continue
        if state != "Z":
            parents[int(stat.parent.name)] = int(parent)
    family = [root]
    for pid in family:
        family += [child for child, parent in parents.items() if parent == pid]
    return family[1:]


def kill_while_waiting(server: Any) -> None:
    wait_for(lambda: waiting(server))
    family = relatives(server.process.pid)
    server.process.kill()
    server.process.wait()
    wait_for(lambda: all(map(is_gone, family)))
    for path in waiting(server):
        path.unlink()


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def test_cancel_frees_a_worker_that_is_stuck_for_the_next(toy_server):
    server = toy_server()
    name = begin(server, [STUCK], "stuck/")
    wait_for(lambda: waiting(server))
    cancel(server, name)
    assert get(server, name).error.code == 1
    other = begin(server, [GREY], "other/")
    wait_for(lambda: get(server, other).done)
    assert not list((server.bucket("out") / "stuck").glob("*"))


def test_sigterm_ends_a_server_whose_workers_are_stuck_and_gives_their_task_back(toy_server):
    server = toy_server(shutdown_seconds=20, lease=600)
    name = begin(server, [GREY, STUCK, GREY])
    wait_for(lambda: waiting(server))
    family = relatives(server.process.pid)
    assert len(family) >= 2
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 60  # 20 at most, on a machine with nothing else to do
    wait_for(lambda: all(map(is_gone, family)))
    assert "given back" not in server.log.read_text()

    again = toy_server(image_seconds=1)  # whose lease of 600 seconds would still be running
    wait_for(lambda: get(again, name).done)
    first, late, last = answers(again)
    assert (first, last) == (seen(GREY), seen(GREY))
    assert late["error"]["code"] == 13


def test_sigterm_ends_a_server_with_a_call_that_is_stuck(toy_server):
    server = toy_server(shutdown_seconds=30)
    with server.client() as client, ThreadPoolExecutor(1) as calling:
        answer = calling.submit(client.batch_annotate_images, requests=request([STUCK]), retry=None)
        wait_for(lambda: waiting(server))
        assert server.stop() == 0
        error = answer.exception(PATIENCE)
        assert isinstance(error, ServiceUnavailable)
        assert error.message == "The server is shutting down."
    assert "Traceback" not in server.log.read_text()


def test_sigterm_tells_a_caller_over_rest_too(toy_server):
    server = toy_server(shutdown_seconds=30)
    content = [{"image": {"content": base64.b64encode(image_of(STUCK)).decode()},
                "features": [{"type": "LABEL_DETECTION"}]}]  # fmt: skip
    with ThreadPoolExecutor(1) as calling:
        answer = calling.submit(
            httpx.post, f"{server.url}/v1/images:annotate", json={"requests": content},
            timeout=PATIENCE,
        )  # fmt: skip
        wait_for(lambda: waiting(server))
        assert server.stop() == 0
        assert answer.result(PATIENCE).status_code == 503
    assert "Traceback" not in server.log.read_text()


def test_a_second_signal_ends_it_at_once(toy_server):
    server = toy_server(shutdown_seconds=600)
    begin(server, [STUCK])
    wait_for(lambda: waiting(server))
    family = relatives(server.process.pid)
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "stopping" in server.log.read_text())
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 128 + signal.SIGTERM
    wait_for(lambda: all(map(is_gone, family)))


def test_killed_servers_blame_nobody_and_the_next_begins_at_once(toy_server):
    """Its leases have ten minutes left; a server that is alone knows that they are dead."""
    server = toy_server(lease=600)
    name = begin(server, [GREY, WAIT, GREY])
    for _ in range(4):
        kill_while_waiting(server)
        server = toy_server(lease=600)
    wait_for(lambda: waiting(server))
    (server.data / "buckets" / "go").touch()
    wait_for(lambda: get(server, name).done)
    assert answers(server) == [seen(GREY), seen(WAIT), seen(GREY)]


def test_a_second_server_on_the_port_touches_no_task(toy_server):
    server = toy_server(lease=600)
    begin(server, [WAIT])
    wait_for(lambda: waiting(server))
    port = server.address.rpartition(":")[2]
    ran = subprocess.run(
        [sys.executable, "-m", "tapetum", "serve", "--port", port, "--data-dir", str(server.data)],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in ran.stderr
    assert len(waiting(server)) == 1
    (server.data / "buckets" / "go").touch()


def test_a_bystander_is_served_while_a_picture_ends_workers(toy_server):
    server = toy_server(workers=2)
    name = begin(server, [FAULT] * 4, "bad/")
    with server.client() as client:
        for _ in range(5):
            answer = client.batch_annotate_images(requests=request([GREY]))
            assert answer.responses[0].label_annotations[0].description == f"{GREY}"
    wait_for(lambda: get(server, name).done)
    assert not get(server, name).HasField("error")


def test_the_server_has_no_decoder_and_no_network_in_it(server, photos):
    """It has the keys. After a call and a task, nothing that reads pictures is in it."""
    content = (photos / "dog.jpg").read_bytes()
    with server.client() as client:
        answer = client.batch_annotate_images(
            requests=[{"image": {"content": content}, "features": [{"type_": 4}]}]
        )
        assert answer.responses[0].label_annotations
    text = base64.b64encode(content).decode()
    operation = {
        "requests": [{"image": {"content": text}, "features": [{"type": 7}]}],
        "outputConfig": {"gcsDestination": {"uri": "gs://audit/"}},
    }
    server.bucket("audit")
    url = f"{server.url}/v1/images:asyncBatchAnnotate"
    name = httpx.post(url, json=operation, timeout=PATIENCE).raise_for_status().json()["name"]
    wait_for(lambda: get(server, name).done)
    maps = Path(f"/proc/{server.process.pid}/maps")
    try:
        mapped = maps.read_text()
    except PermissionError:  # it is not dumpable: this is how it should be for all but root
        pytest.skip("only root sees what the server has mapped")
    assert [row for row in mapped.splitlines() if any(name in row for name in HEAVY)] == []
    workers = [Path(f"/proc/{pid}/maps").read_text() for pid in relatives(server.process.pid)]
    assert any("onnxruntime" in text for text in workers)  # they would be seen


def test_the_server_is_not_dumpable(server):
    if os.geteuid() != 0:
        with pytest.raises(PermissionError):
            Path(f"/proc/{server.process.pid}/environ").read_bytes()
    assert Path(f"/proc/{server.process.pid}/environ").stat().st_uid == 0
