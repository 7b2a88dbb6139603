"""Fuzz a server:
``python -m fuzz [--requests N] [--described S] [--images N] [--files N] [--minutes M]``.

A real ``tapetum serve`` gets mutated requests at both doors, for S seconds what schemathesis makes
of its OpenAPI document, then mutated pictures with every feature and mutated files of pages.

Wrong are: an answer of 5xx (but 501, for methods that are not there) or its like over gRPC, one
that takes longer than five seconds, a process that ends, a traceback in the log, and more than
1.5 GB of memory. The draws are the same every time.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
from google.cloud import vision_v1
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fuzz import described, seeds
from fuzz.mutation import mutated

HANG_SECONDS = 5.0
MEMORY_MB = 1500
READY = "tapetum is ready on http://"
_SERVER_FAULTS = (
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
)
_AT_ONCE = 8  # images per call


class Target:
    """A server, and what it was seen to do."""

    def __init__(self, process: subprocess.Popen[str], address: str, log: Path) -> None:
        self.process = process
        self.address = address
        self.log = log
        self.answers: Counter[str] = Counter()
        self.slowest = 0.0
        self._channel = grpc.insecure_channel(address)

    def rest(self, method: str, target: bytes, headers: dict[str, str], body: bytes) -> None:
        """One request on a connection of its own; hanging up is an answer too."""
        connection = http.client.HTTPConnection(self.address, timeout=HANG_SECONDS)
        with self._timed(), contextlib.closing(connection):
            try:
                connection.putrequest(method, "/", skip_host=True, skip_accept_encoding=True)
                connection._buffer[0] = method.encode() + b" " + target + b" HTTP/1.1"
                for name, value in {"Host": "localhost", **headers}.items():
                    connection.putheader(name, value)
                connection.putheader("Content-Length", str(len(body)))
                connection.endheaders(body)
                status = connection.getresponse().status
            except (ConnectionError, http.client.HTTPException):
                status = 0
        self.answers[f"HTTP {status or 'closed'}"] += 1
        assert status < 500 or status == 501, f"{method} {target!r} {body!r}: {status}"

    def grpc(self, method: str, message: bytes) -> None:
        """One call with whatever bytes as its message."""
        code = grpc.StatusCode.OK
        with self._timed():
            try:
                self._channel.unary_unary(method)(message, timeout=HANG_SECONDS)
            except grpc.RpcError as error:
                code = error.code()
        self.answers[f"gRPC {code.name}"] += 1
        assert code not in _SERVER_FAULTS, f"{method} {message!r}: {code}"

    def annotate(self, images: list[bytes], kinds: list[int]) -> None:
        """One call with several pictures; each must get its own answer."""
        features = [{"type_": kind} for kind in kinds]
        request = vision_v1.BatchAnnotateImagesRequest(
            requests=[{"image": {"content": image}, "features": features} for image in images]
        )
        call = self._channel.unary_unary(seeds.METHODS[0])
        limit = HANG_SECONDS * len(images)
        with self._timed(len(images)):
            reply = call(vision_v1.BatchAnnotateImagesRequest.serialize(request), timeout=limit)
        answers = vision_v1.BatchAnnotateImagesResponse.deserialize(reply).responses
        assert len(answers) == len(images)
        for image, answer in zip(images, answers, strict=True):
            self.answers[f"image {answer.error.code}"] += 1
            assert answer.error.code != 13, f"{kinds} {image!r}: {answer.error.message}"

    def annotate_file(self, file: tuple[str, bytes]) -> None:
        """One call with a file of pages; it, or each of its pages, must get an answer."""
        kind, content = file
        config = {"content": content, "mime_type": kind}
        request = vision_v1.BatchAnnotateFilesRequest(
            requests=[{"input_config": config, "features": [{"type_": 7}]}]
        )
        call = self._channel.unary_unary(seeds.FILES_METHOD)
        with self._timed():
            reply = call(
                vision_v1.BatchAnnotateFilesRequest.serialize(request), timeout=HANG_SECONDS
            )
        [answer] = vision_v1.BatchAnnotateFilesResponse.deserialize(reply).responses
        assert bool(answer.error.code) != bool(answer.responses)
        assert answer.error.code != 13, f"{kind} {content!r}: {answer.error.message}"
        for code in [page.error.code for page in answer.responses] or [answer.error.code]:
            self.answers[f"page {code}"] += 1

    def memory_mb(self) -> float:
        """Most memory the server ever had, resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None, "the server has ended"
        return int(found[1]) / 1024

    @contextlib.contextmanager
    def _timed(self, parts: int = 1) -> Iterator[None]:
        start = time.monotonic()
        yield
        taken = (time.monotonic() - start) / parts
        self.slowest = max(self.slowest, taken)
        assert taken <= HANG_SECONDS, f"an answer took {taken:.1f} s"
        assert self.process.poll() is None, "the server has ended"


@contextlib.contextmanager
def server() -> Iterator[Target]:
    """A server over empty folders."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        for bucket in ("in", "out"):
            (data / "buckets" / bucket).mkdir(parents=True)
        (data / "buckets" / "in" / "a.png").write_bytes(seeds.pictures()[4])
        log = Path(folder) / "log"
        command = [sys.executable, "-m", "tapetum", "serve", "--port", "0", "--web-fetch", "off"]
        with log.open("w") as errors:
            process = subprocess.Popen(
                [*command, "--data-dir", str(data)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix(READY).strip()
        try:
            yield Target(process, address, log)
        finally:
            process.terminate()
            process.wait(60)
            process.stdout.close()


_METHOD = st.sampled_from(["POST", "POST", "POST", "POST", "POST", "GET", "DELETE", "PUT"])
_HEADERS = st.dictionaries(
    st.sampled_from(
        ["Content-Type", "Content-Encoding", "Authorization", "x-goog-api-key", "Expect", "Range"]
    ),
    st.sampled_from(
        ["gzip", "application/json", "Bearer x", "100-continue", "bytes=0-", "identity"]
    ),
    max_size=2,
)
#: A space or control character ends a request's first line, and that is another test's matter.
_TARGET = st.one_of(
    st.sampled_from(seeds.ANNOTATE),
    st.sampled_from(seeds.ANNOTATE),
    st.sampled_from(seeds.TARGETS),
    mutated(seeds.TARGETS).map(lambda target: re.sub(rb"[^\x21-\x7e]", b"%", target)),
)
_BODY = st.sampled_from(seeds.bodies()) | mutated(seeds.bodies()) | st.binary(max_size=40)
_MESSAGE = mutated(seeds.messages()) | st.binary(max_size=40)
_PICTURES = st.lists(mutated(seeds.pictures()), min_size=_AT_ONCE, max_size=_AT_ONCE)
_FILE = st.one_of(
    *(st.tuples(st.just(kind), mutated([content])) for kind, content in seeds.files())
)
_KINDS = st.lists(st.sampled_from(seeds.KINDS), min_size=1, max_size=2, unique=True)


def _run(count: int, until: float, work: Callable[..., None], **draws: Any) -> int:
    """Do ``work`` ``count`` times, or until the time is up; answers how often it was done."""
    done = 0

    @settings(
        max_examples=count, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
    )  # fmt: skip
    @given(**draws)
    def each(**drawn: Any) -> None:
        nonlocal done
        if time.monotonic() < until:
            work(**drawn)
            done += 1

    each()
    return done


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--described", type=int, default=120, help="seconds; 0 leaves it out")
    parser.add_argument("--images", type=int, default=2_000)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=20.0, help="stop after so long")
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    with server() as target:
        half = options.requests // 2
        done = _run(
            half, until, target.rest, method=_METHOD, target=_TARGET, headers=_HEADERS, body=_BODY
        )
        done += _run(
            half, until, target.grpc, method=st.sampled_from(seeds.METHODS), message=_MESSAGE
        )
        print(f"requests {done}, slowest {target.slowest:.2f} s, {target.memory_mb():.0f} MB")
        if options.described and not described.run(target.address, options.described):
            return 1
        target.slowest = 0.0
        calls = -(-options.images // _AT_ONCE)
        pictures = _AT_ONCE * _run(calls, until, target.annotate, images=_PICTURES, kinds=_KINDS)
        memory = target.memory_mb()
        print(f"images {pictures}, slowest {target.slowest:.2f} s each, {memory:.0f} MB")
        target.slowest = 0.0
        files = _run(options.files, until, target.annotate_file, file=_FILE)
        memory = target.memory_mb()
        print(f"files {files}, slowest {target.slowest:.2f} s, {memory:.0f} MB")
        for what, count in sorted(target.answers.items()):
            print(f"  {what}: {count}")
        said = target.log.read_text()
        assert "Traceback" not in said, said[said.index("Traceback") :][:4000]
        assert memory < MEMORY_MB, f"{memory:.0f} MB is more than {MEMORY_MB}"
    if done < 2 * half or pictures < options.images or files < options.files:
        print("The time was up before all was done.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
