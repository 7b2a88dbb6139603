"""Fixtures that many tests share."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import hypothesis
import pytest
from google.cloud import vision_v1
from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorGrpcTransport

# A busy machine is no fault of the code: nothing here is held to a clock.
hypothesis.settings.register_profile("no clock", deadline=None)
hypothesis.settings.load_profile("no clock")

PHOTOS = Path(__file__).parent.parent / "examples" / "photos"
READY = "tapetum is ready on "


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder of example photographs."""
    return PHOTOS


@dataclass
class RunningServer:
    """A ``tapetum serve`` process on free loopback ports."""

    process: subprocess.Popen[str]
    url: str  # http://127.0.0.1:PORT
    data: Path
    log: Path

    @property
    def address(self) -> str:
        """``127.0.0.1:PORT``"""
        return self.url.partition("://")[2]

    def bucket(self, name: str) -> Path:
        """The folder of a local bucket, made if need be."""
        folder = self.data / "buckets" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def client(self) -> vision_v1.ImageAnnotatorClient:
        """Google's client over gRPC, plain text."""
        channel = grpc.insecure_channel(self.address)
        transport = ImageAnnotatorGrpcTransport(channel=channel)
        return vision_v1.ImageAnnotatorClient(transport=transport)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


StartServer = Callable[..., RunningServer]


def start_server_process(data: Path, *flags: str, port: int = 0) -> RunningServer:
    """Start a server over ``data`` and wait for its ready line."""
    command = [sys.executable, "-m", "tapetum", "serve", "--port", str(port)]
    log = data.parent / f"{data.name}.log"
    with log.open("a") as errors:
        process = subprocess.Popen(
            [*command, "--data-dir", str(data), *flags],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    server = RunningServer(process, line.removeprefix(READY).strip(), data, log)
    if not line.startswith(READY):
        server.kill()
        pytest.fail(f"the server did not start: {line!r}\n{log.read_text()}")
    return server


@pytest.fixture(scope="session")
def new_server() -> StartServer:
    """Starts a server that whoever asks for it ends: for fixtures of a whole module."""
    return start_server_process


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers that end with the test, whatever happens."""
    started: list[RunningServer] = []

    def start(*flags: str, data: Path | None = None, port: int = 0) -> RunningServer:
        server = start_server_process(data or tmp_path / "data", *flags, port=port)
        started.append(server)
        return server

    yield start
    for server in started:
        server.kill()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for all tests that only talk to it."""
    running = start_server_process(tmp_path_factory.mktemp("server") / "data")
    yield running
    running.kill()
