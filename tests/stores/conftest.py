"""Stores of every kind, and the servers behind them, on free loopback ports."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import httpx
import pytest

from tapetum.stores import Store
from tapetum.stores.cloud import CloudStore
from tapetum.stores.local import LocalStore

sys.path.insert(0, str(Path(__file__).parent))
from memory_store import MemoryStore

AZURITE = Path(__file__).parents[2] / ".azurite" / "node_modules" / ".bin" / "azurite-blob"
MISSING = "no-such-bucket"

SECRET = base64.b64encode(b"a very secret key that nobody may ever read in a message").decode()
ACCOUNT = "testaccount"

Route = Callable[[BaseHTTPRequestHandler], None]


class Site:
    """An HTTP server on loopback whose pages are functions of the request handler."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.requests.append((self.path, dict(self.headers)))
                self.close_connection = True
                with suppress(BrokenPipeError, ConnectionResetError):  # it has seen enough
                    site.routes[urlsplit(self.path).path](self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = _server(Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.address}"

    def page(self, path: str, body: bytes = b"", status: int = 200, **headers: str) -> str:
        """A fixed answer at ``path``; its URL. ``Content_Type="..."`` is a header."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            fields = {"Content-Length": str(len(body)), "Connection": "close", **headers}
            for name, value in fields.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            handler.wfile.write(body)

        return self.at(path, answer)

    def at(self, path: str, route: Route) -> str:
        """``route`` answers ``path``; its URL."""
        self.routes[path] = route
        return self.url + path


class GoogleStorage:
    """The XML API of Cloud Storage, as much of it as obstore speaks, over a dict."""

    def __init__(self) -> None:
        self.buckets: dict[str, dict[str, tuple[bytes, str]]] = {}
        google = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                bucket, key = self._found()
                if self.headers["Authorization"] != f"Bearer {SECRET}":
                    self._answer(401, b"<Error><Code>AuthenticationRequired</Code></Error>")
                elif bucket is None:
                    self._answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
                elif not key:
                    self._answer(200, _listing(bucket, parse_qs(urlsplit(self.path).query)))
                elif self.command == "PUT":
                    content = self.rfile.read(int(self.headers["Content-Length"]))
                    bucket[key] = content, self.headers["Content-Type"]
                    self._answer(200)
                elif key not in bucket:
                    self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
                elif self.command == "DELETE":
                    del bucket[key]
                    self._answer(204)
                else:
                    self._answer(200, *bucket[key])

            do_HEAD = do_PUT = do_DELETE = do_GET  # noqa: N815

            def _found(self) -> tuple[dict[str, tuple[bytes, str]] | None, str]:
                name, _, key = urlsplit(self.path).path[1:].partition("/")
                return google.buckets.get(unquote(name)), unquote(key)

            def _answer(self, status: int, body: bytes = b"", kind: str = "text/xml") -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Last-Modified", formatdate(usegmt=True))
                self.send_header("ETag", f'"{hashlib.md5(body).hexdigest()}"')
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = _server(Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


def _listing(bucket: dict[str, tuple[bytes, str]], query: dict[str, list[str]]) -> bytes:
    prefix = query.get("prefix", [""])[0]
    rows = "".join(
        f"<Contents><Key>{escape(key)}</Key><Size>{len(content)}</Size><ETag>e</ETag>"
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        for key, (content, _) in sorted(bucket.items())
        if key.startswith(prefix)
    )
    return f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>".encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


def _server(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    server = _Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


@pytest.fixture
def site() -> Iterator[Site]:
    running = Site()
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture(scope="session")
def google_storage() -> Iterator[GoogleStorage]:
    running = GoogleStorage()
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture(scope="session")
def azure_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An azurite process, when it is installed."""
    command = shutil.which(AZURITE) or shutil.which("azurite-blob")
    if command is None:
        said = "azurite is not installed (npm install --prefix .azurite azurite)"
        if os.environ.get("CI") and os.environ.get("TAPETUM_REQUIRE_AZURITE"):
            pytest.fail(said)
        pytest.skip(said)
    options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    process = subprocess.Popen(
        [command, "--blobHost", "127.0.0.1", "--blobPort", "0", *options],
        cwd=tmp_path_factory.mktemp("azurite"),
        env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{SECRET}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if found := re.search(r"listens on (http://\S+)", line):
                break
        else:
            pytest.fail("azurite did not start")
        yield f"{found[1]}/{ACCOUNT}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _make_container(endpoint: str, name: str) -> None:
    """Obstore makes no containers, so here is the one request for it, signed."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-08-06"}
    signed = "PUT" + "\n" * 12 + "".join(f"{key}:{value}\n" for key, value in headers.items())
    signed += f"/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    digest = hmac.digest(base64.b64decode(SECRET), signed.encode(), "sha256")
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    answer = httpx.put(f"{endpoint}/{name}?restype=container", headers=headers, trust_env=False)
    answer.raise_for_status()


MakeStore = Callable[[str], Store]


@pytest.fixture
def cloud_stores() -> dict[str, Callable[[str, str], CloudStore]]:
    """Provider → store of (endpoint, bucket), with secret credentials."""
    keys = {"access_key_id": SECRET[::-1], "secret_access_key": SECRET, "session_token": SECRET}

    def s3(endpoint: str, bucket: str) -> CloudStore:
        return CloudStore(f"s3://{bucket}", {"endpoint": endpoint, "region": "us-east-1", **keys})

    def gcs(endpoint: str, bucket: str) -> CloudStore:
        return CloudStore(f"gs://{bucket}", {"base_url": endpoint, "bearer_token": SECRET})

    def azure(endpoint: str, bucket: str) -> CloudStore:
        options = {"endpoint": endpoint, "account_name": ACCOUNT, "account_key": SECRET}
        return CloudStore(f"az://{bucket}", options)

    return {"s3": s3, "gcs": gcs, "azure": azure}


@pytest.fixture(params=["memory", "local", "local, no scratch", "s3", "gcs", "azure"])
def open_bucket(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    cloud_stores: dict[str, Callable[[str, str], CloudStore]],
) -> MakeStore:
    """Opens the store of a bucket by name; every bucket but `MISSING` is made first."""

    def local(bucket: str) -> Store:
        if bucket != MISSING:
            (tmp_path / bucket).mkdir()
        scratch = tmp_path / ".scratch" if request.param == "local" else None
        return LocalStore(tmp_path / bucket, scratch)

    def s3(bucket: str) -> Store:
        endpoint = request.getfixturevalue("s3_endpoint")
        if bucket != MISSING:
            httpx.put(f"{endpoint}/{bucket}", trust_env=False).raise_for_status()
        return cloud_stores["s3"](endpoint, bucket)

    def gcs(bucket: str) -> Store:
        google = request.getfixturevalue("google_storage")
        if bucket != MISSING:
            google.buckets[bucket] = {}
        return cloud_stores["gcs"](google.url, bucket)

    def azure(bucket: str) -> Store:
        endpoint = request.getfixturevalue("azure_endpoint")
        if bucket != MISSING:
            _make_container(endpoint, bucket)
        return cloud_stores["azure"](endpoint, bucket)

    made = {"memory": lambda _: MemoryStore(), "s3": s3, "gcs": gcs, "azure": azure}
    return made.get(request.param, local)


@pytest.fixture
def store(open_bucket: MakeStore) -> Store:
    """An empty bucket of each kind."""
    return open_bucket(f"bucket-{uuid.uuid4().hex}")


@pytest.fixture
def missing_store(request: pytest.FixtureRequest, open_bucket: MakeStore) -> Store:
    """A bucket that does not exist, of each kind that knows such a thing."""
    if request.node.callspec.params["open_bucket"] == "memory":
        pytest.skip("a bucket in memory always exists")
    return open_bucket(MISSING)


@pytest.fixture
def silent_address() -> Iterator[str]:
    """``host:port`` that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def secret() -> str:
    """The credential every cloud store of these tests has."""
    return SECRET
