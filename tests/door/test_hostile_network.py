"""Peers that hold the line, flood it, or say too much: the others are answered throughout."""

from __future__ import annotations

import contextlib
import resource
import selectors
import socket
import struct
from collections.abc import Iterator

import grpc
import httpx
import pytest
from google.cloud import vision_v1
from google.longrunning import operations_pb2, operations_pb2_grpc

from tapetum.door.grpc import MAX_MESSAGE
from tapetum.door.http1 import HEADER_BYTES
from tapetum.identity.certificates import write_certificates
from tapetum.vision.limits import MAX_PAYLOAD

PATIENCE = 30.0
HEAD = b"GET /v1/operations HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture(scope="module")
def target(tmp_path_factory, new_server):
    running = new_server(tmp_path_factory.mktemp("hostile") / "data")
    yield running
    assert running.process.poll() is None
    assert "Traceback" not in running.log.read_text()
    running.kill()


def is_answered(address: str) -> None:
    """Both doors answer a newcomer."""
    assert httpx.get(f"http://{address}/v1/operations", timeout=PATIENCE).status_code == 200
    with grpc.insecure_channel(address) as channel:
        stub = operations_pb2_grpc.OperationsStub(channel)
        stub.ListOperations(operations_pb2.ListOperationsRequest(), timeout=PATIENCE)


@contextlib.contextmanager
def connections(address: str, count: int) -> Iterator[list[socket.socket]]:
    host, port = address.rsplit(":", 1)
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            opened.append(socket.create_connection((host, int(port)), timeout=PATIENCE))
        yield opened
    finally:
        for one in opened:
            one.close()


def wait_until_closed(opened: list[socket.socket]) -> None:
    """Until the server has closed all of them."""
    with selectors.DefaultSelector() as selector:
        for one in opened:
            selector.register(one, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(PATIENCE)
            assert ready, f"{len(selector.get_map())} are still open"
            for key, _ in ready:
                one = key.fileobj
                assert isinstance(one, socket.socket)
                with contextlib.suppress(ConnectionError):
                    if one.recv(4096):
                        continue
                selector.unregister(one)


@pytest.mark.slow
def test_ten_thousand_that_say_nothing(target):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = 10_000 if hard == resource.RLIM_INFINITY else min(10_000, hard - 1_000)
    if count < 2_000:
        pytest.skip(f"a process may have {hard} open files here: too few to be a nuisance")
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, count + 1_000)), hard))
    with connections(target.address, count):
        is_answered(target.address)


def test_a_full_house_closes_the_silent_and_not_the_busy(start_server):
    server = start_server("--connections", "20")
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as busy:
        assert busy.get("/v1/operations").status_code == 200
        [connection] = busy._transport._pool.connections
        with connections(server.address, 100) as silent:
            wait_until_closed(silent[:80])  # crowded out by those after them
            assert busy.get("/v1/operations").status_code == 200
            assert not connection.is_closed()


def test_silence_comes_to_an_end(start_server):
    server = start_server("--idle", "1")
    with connections(server.address, 3) as opened:
        for one in opened:
            one.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        wait_until_closed(opened)


@pytest.mark.slow
def test_headers_that_never_end(target):
    """Slowloris: each connection always has a little more to say, and never says it all."""
    with connections(target.address, 300) as opened:
        for one in opened:
            one.sendall(HEAD)
        is_answered(target.address)
        for letter in b"X-Slow: aaa":
            for one in opened:
                with contextlib.suppress(ConnectionError):
                    one.sendall(bytes([letter]))
        is_answered(target.address)
        wait_until_closed(opened)


@pytest.mark.slow
def test_handshakes_that_never_begin(tmp_path, start_server):
    made = write_certificates(tmp_path / "tls", ["localhost"])
    server = start_server("--tls-cert", str(made.server), "--tls-key", str(made.server_key))
    with connections(server.address, 300) as opened:
        for one in opened[:100]:
            one.sendall(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a ClientHello
        trusted = grpc.ssl_channel_credentials(made.authority.read_bytes())
        address = server.address.replace("127.0.0.1", "localhost")
        with grpc.secure_channel(address, trusted) as channel:
            stub = operations_pb2_grpc.OperationsStub(channel)
            stub.ListOperations(operations_pb2.ListOperationsRequest(), timeout=PATIENCE)
        wait_until_closed(opened)
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("size", [HEADER_BYTES + 200_000, 2_000_000])
def test_headers_too_large_over_rest(target, size):
    with contextlib.suppress(httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        answer = httpx.get(
            f"{target.url}/v1/operations", headers={"X-Large": "x" * size}, timeout=PATIENCE
        )
        assert answer.status_code in (400, 431)
    is_answered(target.address)


def test_metadata_too_large_over_grpc(target):
    with grpc.insecure_channel(target.address) as channel:
        stub = operations_pb2_grpc.OperationsStub(channel)
        request = operations_pb2.ListOperationsRequest()
        with pytest.raises(grpc.RpcError) as caught:
            stub.ListOperations(request, metadata=(("x-large", "x" * 500_000),), timeout=PATIENCE)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    is_answered(target.address)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header that is in no table (RFC 7541, 6.2.2)."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


CALL = b"".join(
    literal(name, value)
    for name, value in [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/google.longrunning.Operations/ListOperations"),
        (b":authority", b"localhost"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    ]
)


def test_calls_that_are_begun_and_taken_back(target):
    """HTTP/2 rapid reset: 20,000 calls, each reset as soon as it is made."""
    start = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)
    with connections(target.address, 4) as opened:
        for one in opened:
            with contextlib.suppress(ConnectionError, TimeoutError):  # it may well hang up
                one.settimeout(5)
                one.sendall(start)
                for first in range(1, 10_001, 200):
                    streams = range(first, first + 200, 2)
                    one.sendall(
                        b"".join(
                            frame(1, 4, stream, CALL) + frame(3, 0, stream, b"\0\0\0\x08")
                            for stream in streams
                        )
                    )
            is_answered(target.address)


def test_a_call_without_a_message(target):
    with grpc.insecure_channel(target.address) as channel:
        call = channel.stream_unary("/google.longrunning.Operations/ListOperations")
        with pytest.raises(grpc.RpcError) as caught:
            call(iter(()), timeout=PATIENCE)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_bytes_that_are_no_message(target):
    with grpc.insecure_channel(target.address) as channel:
        call = channel.unary_unary("/google.longrunning.Operations/ListOperations")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\xff\xff\xff", timeout=PATIENCE)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "ListOperationsRequest" in caught.value.details()


def of_size(size: int) -> vision_v1.BatchAnnotateImagesRequest:
    """A request that has ``size`` bytes on the wire."""

    def made(content: int):
        image = {"content": b"x" * content}
        return vision_v1.BatchAnnotateImagesRequest.pb(
            vision_v1.BatchAnnotateImagesRequest(
                requests=[{"image": image, "features": [{"type_": 7}]}]
            )
        )

    framing = made(size).ByteSize() - size
    request = made(size - framing)
    assert request.ByteSize() == size
    return request


@pytest.mark.parametrize("over", [0, 1])
def test_the_largest_message_and_one_byte_more(target, over):
    with grpc.insecure_channel(
        target.address, options=[("grpc.max_send_message_length", -1)]
    ) as channel:
        call = channel.unary_unary("/google.cloud.vision.v1.ImageAnnotator/BatchAnnotateImages")
        content = of_size(MAX_MESSAGE + over).SerializeToString()
        if over:
            with pytest.raises(grpc.RpcError) as caught:
                call(content, timeout=PATIENCE)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        else:
            answer = vision_v1.BatchAnnotateImagesResponse.deserialize(
                call(content, timeout=PATIENCE)
            )
            assert "20 MB" in answer.responses[0].error.message
    is_answered(target.address)


@pytest.mark.parametrize("over", [0, 1])
def test_the_largest_body_and_one_byte_more(target, over):
    body = b"{" + b" " * (MAX_PAYLOAD - 2 + over) + b"}"
    answer = httpx.post(f"{target.url}/v1/images:annotate", content=body, timeout=PATIENCE)
    assert answer.status_code == 400
    assert ("payload size exceeds" in answer.text) == bool(over)
    is_answered(target.address)
