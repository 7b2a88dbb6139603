"""How fast the server answers: submitting a batch, and asking how it is going."""

from __future__ import annotations

import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.cloud import vision_v1
from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorGrpcTransport
from google.longrunning import operations_pb2

from bench import machine
from bench.rows import Row

IMAGES = 2000
_READY = "tapetum is ready on http://"
_SUBMIT = "/google.cloud.vision.v1.ImageAnnotator/AsyncBatchAnnotateImages"
_GET = "/google.longrunning.Operations/GetOperation"
_CANCEL = "/google.longrunning.Operations/CancelOperation"
_DEADLINE = 60


def measure(files: Sequence[Path], rounds: int, seconds: float) -> list[Row]:
    """Submit ``rounds`` batches; then ask for ``seconds`` how one is going, over and over."""
    with tempfile.TemporaryDirectory(prefix="tapetum-bench-") as folder:
        bucket = Path(folder) / "buckets" / "bench"
        bucket.mkdir(parents=True)
        for file in files:
            shutil.copy(file, bucket)
        uris = [f"gs://bench/{files[number % len(files)].name}" for number in range(IMAGES)]
        with _server(Path(folder)) as server:
            server.submit(uris[:100])  # first use of everything
            server.cancel_all()
            idle = [server.submit_when_idle(uris, server.submit) for _ in range(rounds)]
            plus = [server.submit_when_idle(uris, server.submit_plus) for _ in range(rounds)]
            running = server.start(uris)
            busy = []
            for _ in range(rounds):
                busy.append(server.submit(uris))
                server.cancel_all(but=running)
            one, one_worst = server.ask(running, 1, seconds)
            eight, eight_worst = server.ask(running, 8, seconds)
            ended = server.get(running).done
            server.cancel(running)
    if ended:
        raise SystemExit("The batch ended before the questions did: make it larger.")
    what = f"{IMAGES:,} requests, median of {rounds}"
    return [
        Row("submit: server idle", statistics.median(idle), "s", at_most=0.2,
            note=f"{what}, worst {max(idle):.3f}; message made before the clock starts"),
        Row("submit: a batch running", statistics.median(busy), "s", at_most=0.2,
            note=f"{what}, worst {max(busy):.3f}"),
        Row("submit: client library, server idle", statistics.median(plus), "s",
            note=f"{what}; with what google-cloud-vision itself takes to build the message"),
        Row("GetOperation: 1 caller", one, "/s", at_least=500,
            note=f"a batch running; 99 % within {one_worst * 1000:.1f} ms"),
        Row("GetOperation: 8 callers", eight, "/s", at_least=500,
            note=f"a batch running; 99 % within {eight_worst * 1000:.1f} ms"),
    ]  # fmt: skip


@dataclass(slots=True)
class _Server:
    """A running server and a channel to it."""

    process: subprocess.Popen[str]
    address: str
    channel: grpc.Channel

    def call(self, path: str, request: Any, answer: Any, channel: Any = None) -> Any:
        method = (channel or self.channel).unary_unary(
            path, type(request).SerializeToString, answer.FromString
        )
        return method(request, timeout=_DEADLINE)

    def start(self, uris: Sequence[str]) -> str:
        return str(self.call(_SUBMIT, _message(uris), operations_pb2.Operation).name)

    def submit(self, uris: Sequence[str]) -> float:
        """Seconds until the operation is answered; the message was made before."""
        message = _message(uris)
        began = time.perf_counter()
        self.call(_SUBMIT, message, operations_pb2.Operation)
        return time.perf_counter() - began

    def submit_plus(self, uris: Sequence[str]) -> float:
        """The same through Google's client, from plain dicts."""
        transport = ImageAnnotatorGrpcTransport(channel=self.channel)
        client = vision_v1.ImageAnnotatorClient(transport=transport)
        kind = vision_v1.Feature.Type.LABEL_DETECTION
        requests = [
            {"image": {"source": {"image_uri": uri}}, "features": [{"type_": kind}]} for uri in uris
        ]
        output = {"gcs_destination": {"uri": "gs://bench/out/"}}
        began = time.perf_counter()
        client.async_batch_annotate_images(requests=requests, output_config=output)
        return time.perf_counter() - began

    def submit_when_idle(
        self, uris: Sequence[str], submit: Callable[[Sequence[str]], float]
    ) -> float:
        self._wait_until_idle()
        seconds = submit(uris)
        self.cancel_all()
        return seconds

    def get(self, name: str) -> Any:
        request = operations_pb2.GetOperationRequest(name=name)
        return self.call(_GET, request, operations_pb2.Operation)

    def cancel(self, name: str) -> None:
        request = operations_pb2.CancelOperationRequest(name=name)
        self.call(_CANCEL, request, operations_pb2.Operation)

    def cancel_all(self, but: str = "") -> None:
        request = operations_pb2.ListOperationsRequest(name="operations", filter="done=false")
        path = "/google.longrunning.Operations/ListOperations"
        for operation in self.call(path, request, operations_pb2.ListOperationsResponse).operations:
            if operation.name != but:
                self.cancel(operation.name)

    def ask(self, name: str, callers: int, seconds: float) -> tuple[float, float]:
        """(calls per second, seconds within which 99 % were answered)."""
        request = operations_pb2.GetOperationRequest(name=name)
        until = time.perf_counter() + seconds
        times: list[list[float]] = [[] for _ in range(callers)]

        def caller(mine: list[float]) -> None:
            # A channel each, as separate clients have.
            with grpc.insecure_channel(
                self.address, [("grpc.use_local_subchannel_pool", 1)]
            ) as channel:
                method = channel.unary_unary(
                    _GET, type(request).SerializeToString, operations_pb2.Operation.FromString
                )
                while (began := time.perf_counter()) < until:
                    method(request, timeout=_DEADLINE)
                    mine.append(time.perf_counter() - began)

        threads = [threading.Thread(target=caller, args=(mine,)) for mine in times]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - began
        every = sorted(one for mine in times for one in mine)
        return len(every) / took, every[int(len(every) * 0.99)]

    def _wait_until_idle(self) -> None:
        """Until the server's CPU time stands still: what was cancelled has come to rest."""
        before = -1.0
        while (now := machine.cpu_seconds_of(self.process.pid)) - before > 0.01:
            before = now
            time.sleep(0.3)


@contextmanager
def _server(data: Path) -> Iterator[_Server]:
    command = [sys.executable, "-m", "tapetum", "serve", "--port", "0", "--log-level", "error"]
    command += ["--data-dir", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith(_READY):
                raise SystemExit(f"The server did not start: {line or 'see above'}")
            address = line.removeprefix(_READY).strip()
            with grpc.insecure_channel(address) as channel:
                yield _Server(process, address, channel)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=_DEADLINE)


def _message(uris: Sequence[str]) -> Any:
    message = vision_v1.AsyncBatchAnnotateImagesRequest.pb()()
    message.output_config.gcs_destination.uri = "gs://bench/out/"
    for uri in uris:
        item = message.requests.add()
        item.image.source.image_uri = uri
        item.features.add(type_=vision_v1.Feature.Type.LABEL_DETECTION)
    return message
