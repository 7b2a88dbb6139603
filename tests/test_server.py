"""The server as a process: ports, TLS, signals, restarts."""

from __future__ import annotations

import datetime
import json
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import grpc
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.cloud import vision_v1
from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorGrpcTransport
from google.longrunning import operations_pb2, operations_pb2_grpc

from tapetum import wiring


def wait_for(condition, seconds: float = 300):
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.01)
    return found


def start_batch(
    server, photos: Path, images: int, batch_size: int = 1, *, features=(4,), parent: str = ""
):
    """An operation over copies of one photo; its name."""
    bucket = server.bucket("in")
    shutil.copy(photos / "dog.jpg", bucket)
    server.bucket("out")
    with server.client() as client:
        image = {
            "image": {"source": {"image_uri": "gs://in/dog.jpg"}},
            "features": [{"type_": kind} for kind in features],
        }
        output = {"gcs_destination": {"uri": "gs://out/"}, "batch_size": batch_size}
        operation = client.async_batch_annotate_images(
            {"requests": [image] * images, "output_config": output, "parent": parent}
        )
    return operation.operation.name


def get(server, name: str):
    with grpc.insecure_channel(server.address) as channel:
        stub = operations_pb2_grpc.OperationsStub(channel)
        return stub.GetOperation(operations_pb2.GetOperationRequest(name=name))


def written(server) -> set[str]:
    return {path.name for path in server.bucket("out").iterdir()}


def test_sigterm_ends_an_idle_server_with_0(start_server):
    server = start_server()
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


def test_sigterm_gives_back_what_runs_and_the_next_server_finishes_it(start_server, photos):
    server = start_server("--workers", "2", "--lease", "600")
    name = start_batch(server, photos, images=200)
    wait_for(lambda: written(server))
    assert server.stop() == 0
    some = written(server)
    assert 0 < len(some) < 200
    assert "Traceback" not in server.log.read_text()

    again = start_server("--workers", "2")  # no lease runs out in time: the tasks were given back
    operation = wait_for(lambda: (now := get(again, name)).done and now)
    assert not operation.HasField("error")
    assert len(written(again)) == 200


def test_kill_9_loses_nothing_and_repeats_no_recorded_shard(start_server, photos, tmp_path):
    """The crash test: every shard is there once, and those recorded as done stay untouched."""
    server = start_server("--workers", "2", "--lease", "2")
    images = 120
    name = start_batch(server, photos, images=images)
    wait_for(lambda: len(written(server)) >= 10)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()

    recorded = recorded_shards(server.data)
    assert 0 < len(recorded) < images
    folder = server.bucket("out")
    before = {shard: (folder / shard).stat().st_mtime_ns for shard in recorded}
    assert recorded <= written(server)  # a shard is recorded after it was written, never before

    again = start_server("--workers", "2", "--lease", "2")
    operation = wait_for(lambda: (now := get(again, name)).done and now)
    assert not operation.HasField("error")
    response = vision_v1.AsyncBatchAnnotateImagesResponse.pb()()
    assert operation.response.Unpack(response)
    assert written(again) == {f"output-{n}-to-{n}.json" for n in range(1, images + 1)}
    after = {shard: (folder / shard).stat().st_mtime_ns for shard in recorded}
    assert after == before
    answers = {(folder / shard).read_text() for shard in written(again)}
    assert len(answers) == 1  # the same photo, the same bytes, before and after the crash


def recorded_shards(data: Path) -> set[str]:
    """Shards of one image that the ledger has as done, read from a copy of its file."""
    query = (
        "import json, sqlite3, sys;"
        "rows = sqlite3.connect(sys.argv[1]).execute('select first, last, done from tasks');"
        "print(json.dumps(rows.fetchall()))"
    )
    output = subprocess.run(
        [sys.executable, "-c", query, str(data / "ledger.sqlite")],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    rows = json.loads(output)
    left = {n for first, last, done in rows for n in range(first + done, last + 1)}
    return {f"output-{n}-to-{n}.json" for n in range(1, 121) if n not in left}


def test_a_small_batch_does_not_wait_behind_all_of_another_projects(start_server, photos):
    server = start_server("--workers", "1")
    large = [
        start_batch(server, photos, 2000, batch_size=100, features=[7], parent="projects/large")
        for _ in range(2)
    ]
    small = start_batch(server, photos, 1, features=[7], parent="projects/small")
    wait_for(lambda: get(server, small).done)
    assert not any(get(server, name).done for name in large)


def test_split_ports(start_server):
    server = start_server("--grpc-port", "0", "--http-port", "0")
    grpc_url, http_url = (url.partition("://")[2] for url in server.url.split())
    assert httpx.get(f"http://{http_url}/v1/operations").status_code == 200
    with grpc.insecure_channel(grpc_url) as channel:
        stub = operations_pb2_grpc.OperationsStub(channel)
        stub.ListOperations(operations_pb2.ListOperationsRequest())
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://{grpc_url}/v1/operations")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return tmp_path / "cert.pem", tmp_path / "key.pem"


def test_tls_serves_both_protocols_on_one_port(start_server, certificate):
    cert, key = certificate
    server = start_server("--tls-cert", str(cert), "--tls-key", str(key))
    assert server.url.startswith("https://")
    address = server.address.replace("127.0.0.1", "localhost")
    context = ssl.create_default_context(cafile=str(cert))
    assert httpx.get(f"https://{address}/v1/operations", verify=context).status_code == 200
    with grpc.secure_channel(address, grpc.ssl_channel_credentials(cert.read_bytes())) as channel:
        transport = ImageAnnotatorGrpcTransport(channel=channel)
        client = vision_v1.ImageAnnotatorClient(transport=transport)
        answer = client.batch_annotate_images(
            requests=[{"image": {"content": b"x"}, "features": [{"type_": 4}]}]
        )
        assert answer.responses[0].error.message == "Bad image data."
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://{server.address}/v1/operations")
    # Clients that could speak HTTP/2 as well, as curl does unless told otherwise.
    for offered, chosen in ((["h2", "http/1.1"], "http/1.1"), (["h2"], "h2")):
        context.set_alpn_protocols(offered)
        with (
            socket.create_connection(("localhost", int(address.split(":")[1]))) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secured,
        ):
            assert secured.selected_alpn_protocol() == chosen
    if shutil.which("curl"):
        asked = ["curl", "--silent", "--show-error", "--cacert", str(cert)]
        answer = subprocess.check_output([*asked, f"https://{address}/v1/operations"], timeout=300)
        assert json.loads(answer) == {}
    assert server.stop() == 0


def failing_start(*flags: str) -> str:
    """What ``tapetum serve`` says when it cannot start; it must exit with 1 and no traceback."""
    result = subprocess.run(
        [sys.executable, "-m", "tapetum", "serve", *flags],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (1, "")
    assert "Traceback" not in result.stderr
    return result.stderr


def test_a_port_in_use_is_said_plainly(start_server, tmp_path):
    port = start_server().address.split(":")[1]
    said = failing_start("--port", port, "--data-dir", str(tmp_path / "other"))
    assert f"Cannot listen on 127.0.0.1:{port}" in said


def test_a_certificate_that_cannot_be_used_is_said_plainly(tmp_path):
    (tmp_path / "bad.pem").write_text("no certificate")
    pem = str(tmp_path / "bad.pem")
    said = failing_start("--tls-cert", pem, "--tls-key", pem, "--data-dir", str(tmp_path / "d"))
    assert "bad.pem" in said
    assert "tls_cert and tls_key go together" in failing_start("--tls-cert", pem)


def test_a_data_folder_that_cannot_be_used_is_said_plainly(tmp_path):
    (tmp_path / "file").write_text("")
    said = failing_start("--data-dir", str(tmp_path / "file" / "data"))
    assert str(tmp_path / "file") in said
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ledger.sqlite").write_text("this is no database" * 100)
    assert "ledger.sqlite" in failing_start("--data-dir", str(tmp_path / "data"))


def test_two_runs_write_the_same_bytes(start_server, photos):
    """The determinism test: all features there are, all photos, twice, cut differently in time."""
    server = start_server("--workers", "2")
    bucket = server.bucket("photos")
    names = sorted(path.name for path in photos.iterdir() if path.suffix in (".jpg", ".png"))
    for name in names:
        shutil.copy(photos / name, bucket)
    server.bucket("out")
    with server.client() as client:
        for run in ("one", "two"):
            client.async_batch_annotate_images(
                requests=[
                    {
                        "image": {"source": {"image_uri": f"gs://photos/{name}"}},
                        "features": [{"type_": feature.type} for feature in wiring.features()],
                    }
                    for name in names
                ],
                output_config={"gcs_destination": {"uri": f"gs://out/{run}/"}, "batch_size": 5},
            ).result(120)
    one, two = (
        {path.name: path.read_bytes() for path in (server.bucket("out") / run).iterdir()}
        for run in ("one", "two")
    )
    assert len(one) == 3
    assert one == two
