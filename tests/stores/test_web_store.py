"""Downloads: limits, redirects, encodings, and addresses a URL may not reach."""

from __future__ import annotations

import gzip
import socket
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapetum.errors import (
    InvalidObjectName,
    ObjectForbidden,
    ObjectNotFound,
    ObjectTooLarge,
    StoreError,
    StoreUnavailable,
)
from tapetum.stores import web
from tapetum.stores.web import WebStore, is_public

LIMIT = 1_000_000


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def store() -> Iterator[WebStore]:
    """Reads from everywhere."""
    store = WebStore(public_only=False)
    yield store
    store.close()


@pytest.fixture
def careful() -> Iterator[WebStore]:
    """Reads from public addresses only."""
    store = WebStore()
    yield store
    store.close()


def endless(handler: BaseHTTPRequestHandler) -> None:
    """A body without a length and without an end."""
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(bytes(65536))


def test_get(site: Any, store: WebStore) -> None:
    url = site.page("/photo.jpg", b"pixels", Content_Type="image/jpeg")
    assert store.get(f"{url}?size=large#top", LIMIT) == b"pixels"
    path, headers = site.requests[0]
    assert path == "/photo.jpg?size=large"
    assert headers["Accept-Encoding"] == "identity"


def test_limit(site: Any, store: WebStore) -> None:
    url = site.page("/photo.jpg", b"12345")
    assert store.get(url, 5) == b"12345"
    with pytest.raises(ObjectTooLarge):
        store.get(url, 4)


def test_an_announced_size_is_believed(site: Any, store: WebStore) -> None:
    def announce(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(1 << 40))
        handler.end_headers()
        handler.rfile.read(1)  # until the client hangs up

    with pytest.raises(ObjectTooLarge):
        store.get(site.at("/huge", announce), LIMIT)


def test_a_body_without_length_is_counted(site: Any, store: WebStore) -> None:
    with pytest.raises(ObjectTooLarge):
        store.get(site.at("/endless", endless), LIMIT)


def test_chunks(site: Any, store: WebStore) -> None:
    def chunks(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")

    url = site.at("/chunks", chunks)
    assert store.get(url, 5) == b"abcde"
    with pytest.raises(ObjectTooLarge):
        store.get(url, 4)


@pytest.mark.parametrize(
    ("status", "error"),
    [(204, ObjectNotFound), (206, ObjectNotFound), (302, ObjectNotFound), (400, ObjectNotFound),
     (401, ObjectForbidden), (403, ObjectForbidden), (404, ObjectNotFound),
     (410, ObjectNotFound), (418, ObjectNotFound), (429, StoreUnavailable),
     (451, ObjectForbidden), (500, StoreUnavailable), (503, StoreUnavailable)],
)  # fmt: skip
def test_statuses(site: Any, store: WebStore, status: int, error: type[StoreError]) -> None:
    with pytest.raises(error, match=f"answered {status}"):
        store.get(site.page("/", status=status), LIMIT)


def test_redirects_are_followed(site: Any, store: WebStore) -> None:
    site.page("/3", b"pixels")
    site.page("/2", b"moved", 301, Location="/3")
    url = site.page("/1", b"moved", 307, Location=f"{site.url}/2")
    assert store.get(url, LIMIT) == b"pixels"


def test_redirects_have_an_end(site: Any, store: WebStore) -> None:
    with pytest.raises(ObjectNotFound, match="redirects"):
        store.get(site.page("/loop", status=302, Location="/loop"), LIMIT)
    assert len(site.requests) == web.MAX_REDIRECTS + 1


def test_the_body_of_a_redirect_is_not_read(site: Any, store: WebStore) -> None:
    sent = 0

    def redirect(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        handler.send_response(302)
        handler.send_header("Location", "/there")
        handler.end_headers()
        while sent < 1 << 28:
            sent += handler.wfile.write(bytes(65536))

    site.page("/there", b"pixels")
    assert store.get(site.at("/here", redirect), LIMIT) == b"pixels"
    assert sent < 1 << 26


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("file:///etc/passwd", ObjectNotFound),
        ("ftp://127.0.0.1/a", ObjectNotFound),
        ("gs://bucket/a", ObjectNotFound),
        ("http://", StoreError),
        ("http://[", StoreError),
        ("http://127.0.0.1:99999/", StoreError),
        ("//user:secret@127.0.0.1/", InvalidObjectName),
    ],
)
def test_redirects_that_cannot_be_followed(
    site: Any, store: WebStore, location: str, error: type[StoreError]
) -> None:
    with pytest.raises(error) as caught:
        store.get(site.page("/", status=302, Location=location), LIMIT)
    assert "secret" not in caught.value.message


def test_gzip_though_nobody_asked_for_it(site: Any, store: WebStore) -> None:
    body = gzip.compress(b"pixels", mtime=0)
    assert store.get(site.page("/", body, Content_Encoding="gzip"), 1000) == b"pixels"


@pytest.mark.parametrize(
    ("encoding", "body", "error"),
    [
        ("gzip", b"not gzip", ObjectNotFound),
        ("gzip", gzip.compress(b"pixels", mtime=0)[:-9], StoreUnavailable),
        ("deflate", zlib.compress(b"pixels"), ObjectNotFound),
        ("br", b"pixels", ObjectNotFound),
        ("gzip, gzip", gzip.compress(gzip.compress(b"pixels", mtime=0), mtime=0), ObjectNotFound),
    ],
)
def test_bad_encodings(
    site: Any, store: WebStore, encoding: str, body: bytes, error: type[StoreError]
) -> None:
    with pytest.raises(error):
        store.get(site.page("/", body, Content_Encoding=encoding), LIMIT)


def test_a_gzip_bomb_does_not_go_off(site: Any, store: WebStore) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
    assert len(bomb) < LIMIT
    url = site.page("/", bomb, Content_Encoding="gzip")
    tracemalloc.start()
    try:
        with pytest.raises(ObjectTooLarge):
            store.get(url, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 10 * LIMIT
    finally:
        tracemalloc.stop()


def test_no_cookie_is_kept(site: Any, store: WebStore) -> None:
    url = site.page("/", b"pixels", Set_Cookie="visitor=1; Path=/")
    store.get(url, LIMIT)
    store.get(url, LIMIT)
    assert [headers.get("Cookie") for _, headers in site.requests] == [None, None]


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_server_that_drips_is_left(
    site: Any, store: WebStore, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Each byte comes in good time; the download as a whole does not."""

    def drip(handler: BaseHTTPRequestHandler) -> None:
        start = b"HTTP/1.1 200 OK\r\nX-Drip: "
        handler.wfile.write(start if part == "head" else start + b"\r\n\r\n")
        while True:
            handler.wfile.write(b"x")
            time.sleep(0.01)  # the drip itself

    monkeypatch.setattr(web, "TOTAL_SECONDS", 0.3)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.get(site.at("/", drip), LIMIT)
    assert time.monotonic() - began < 5


def test_a_silent_server(
    silent_address: str, store: WebStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "TOTAL_SECONDS", 0.3)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.get(f"http://{silent_address}/", LIMIT)
    assert time.monotonic() - began < 5


def test_a_connection_that_was_just_being_closed(site: Any, store: WebStore) -> None:
    """The server hangs up on the second request of each connection."""
    known: list[BaseHTTPRequestHandler] = []

    def once(handler: BaseHTTPRequestHandler) -> None:
        if handler in known:
            return
        known.append(handler)
        handler.close_connection = False
        handler.send_response(200)
        handler.send_header("Content-Length", "6")
        handler.end_headers()
        handler.wfile.write(b"pixels")

    url = site.at("/", once)
    assert [store.get(url, LIMIT) for _ in range(3)] == [b"pixels"] * 3
    assert len(site.requests) == 5
    assert len(known) == 3


def test_no_server(refusing_address: str, store: WebStore) -> None:
    with pytest.raises(StoreUnavailable):
        store.get(f"http://{refusing_address}/", LIMIT)


@pytest.mark.parametrize(
    "answer", [b"", b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nX", b"\x16\x03\x01"]
)
def test_a_server_of_another_kind(site: Any, store: WebStore, answer: bytes) -> None:
    with pytest.raises(StoreUnavailable):
        store.get(site.at("/", lambda handler: handler.wfile.write(answer)), LIMIT)
    with pytest.raises(StoreUnavailable):
        store.get(f"https://{site.address}/", LIMIT)


def test_a_body_that_breaks_off(site: Any, store: WebStore) -> None:
    with pytest.raises(StoreUnavailable):
        store.get(site.page("/", b"half", Content_Length="8"), LIMIT)


@pytest.mark.parametrize(
    ("number", "error"),
    [(socket.EAI_NONAME, ObjectNotFound), (socket.EAI_AGAIN, StoreUnavailable)],
)
def test_names_that_do_not_resolve(
    store: WebStore, monkeypatch: pytest.MonkeyPatch, number: int, error: type[StoreError]
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(number, "no")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(error):
        store.get("http://photos.example/", LIMIT)


Resolver = Callable[[dict[str, list[list[str]]]], list[str]]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    """Makes names resolve: name → answers in turn, each a list of addresses, the last for good.
    The list returned grows by each name asked for."""

    def resolve(table: dict[str, list[list[str]]]) -> list[str]:
        asked: list[str] = []
        real = socket.getaddrinfo

        def fake(host: str, port: int, *rest: Any, **options: Any) -> Any:
            if host not in table:
                return real(host, port, *rest, **options)
            asked.append(host)
            addresses = table[host].pop(0) if len(table[host]) > 1 else table[host][0]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", fake)
        return asked

    return resolve


@pytest.fixture
def only_one_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """127.0.0.1 passes for a public address; all others do not."""
    monkeypatch.setattr(web, "is_public", lambda address: address == "127.0.0.1")


LOOPBACK = [
    "127.0.0.1", "127.1", "127.8.8.8", "localhost", "LOCALHOST", "localhost.", "[::1]", "0.0.0.0",
    "0", "[::]", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1%25lo]",
    "[fe80::1%lo]", "127。0。0。1", "①②⑦.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACK)
def test_no_spelling_of_this_machine(site: Any, careful: WebStore, host: str) -> None:
    port = site.server.server_port
    site.page("/", b"internal")
    with pytest.raises((ObjectForbidden, InvalidObjectName, ObjectNotFound)):
        careful.get(f"http://{host}:{port}/", LIMIT)
    assert site.requests == []


@pytest.mark.parametrize(
    "host",
    ["10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200", "[fd00::1]",
     "[fd00:ec2::254]", "168.63.129.16", "224.0.0.1", "255.255.255.255", "[ff02::1]",
     "2852039166", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]"],
)  # fmt: skip
def test_no_inner_network(careful: WebStore, host: str) -> None:
    began = time.monotonic()
    with pytest.raises(ObjectForbidden):
        careful.get(f"http://{host}/latest/meta-data", LIMIT)
    assert time.monotonic() - began < 2


def test_a_name_that_resolves_to_an_inner_address(careful: WebStore, resolve: Resolver) -> None:
    resolve({"metadata.example": [["169.254.169.254"]], "mixed.example": [["8.8.8.8", "10.0.0.1"]]})
    for host in ("metadata.example", "mixed.example"):
        with pytest.raises(ObjectForbidden):
            careful.get(f"http://{host}/", LIMIT)


@pytest.mark.usefixtures("only_one_is_public")
def test_the_address_checked_is_the_address_used(
    site: Any, careful: WebStore, resolve: Resolver
) -> None:
    """A name that resolves to something else the second time is asked only once."""
    asked = resolve({"photos.example": [["127.0.0.1"], ["127.0.0.2"]]})
    site.page("/", b"pixels")
    url = f"http://photos.example:{site.server.server_port}/"
    assert careful.get(url, LIMIT) == b"pixels"
    assert asked == ["photos.example"]
    assert site.requests[0][1]["Host"] == url.split("/")[2]


def test_the_second_address_when_the_first_does_not_answer(
    site: Any, store: WebStore, resolve: Resolver
) -> None:
    resolve({"photos.example": [["127.0.0.2", "127.0.0.1"]]})
    site.page("/", b"pixels")
    assert store.get(f"http://photos.example:{site.server.server_port}/", LIMIT) == b"pixels"


@pytest.mark.usefixtures("only_one_is_public")
@pytest.mark.parametrize("to", ["http://10.0.0.1/", "//127.0.0.2/", "http://localhost.test/"])
def test_a_redirect_to_an_inner_address(
    site: Any, careful: WebStore, resolve: Resolver, to: str
) -> None:
    resolve({"localhost.test": [["127.0.0.3"]]})
    with pytest.raises(ObjectForbidden):
        careful.get(site.page("/", status=302, Location=to), LIMIT)
    assert len(site.requests) == 1  # the first hop was let through


def test_proxies_of_the_environment_do_not_get_round_the_check(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", site.url)
    careful = WebStore()
    with pytest.raises(ObjectForbidden):
        careful.get("http://10.0.0.1/", LIMIT)
    assert site.requests == []
    careful.close()


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("1.1.1.1", True),
        ("142.250.74.46", True),
        ("2606:4700::1111", True),
        ("2a00:1450:4001:82a::200e", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::8.8.8.8", True),
        ("2002:808:808::1", True),
        ("0.0.0.0", False),
        ("10.255.255.255", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("168.63.129.16", False),
        ("169.254.169.254", False),
        ("172.31.255.255", False),
        ("192.0.0.192", False),
        ("192.0.2.1", False),
        ("192.168.0.1", False),
        ("198.18.0.1", False),
        ("224.0.0.251", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::10.0.0.1", False),
        ("64:ff9b:1::a00:1", False),
        ("2002:a00:1::1", False),
        ("2001:0:4136:e378:8000:63bf:f5ff:fffe", False),  # Teredo for 10.0.0.1
        ("2001:db8::1", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("fe80::1", False),
        ("fe80::1%lo", False),
        ("fec0::1", False),
        ("ff02::1", False),
    ],
)
def test_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.fixture
def listed() -> Iterator[WebStore]:
    made = WebStore(public_only=False, hosts=["images.example", "*.cdn.example", "127.0.0.1"])
    yield made
    made.close()


@pytest.mark.parametrize(
    ("host", "is_fetched"),
    [
        ("127.0.0.1", True),
        ("images.example", True),
        ("IMAGES.example.", True),
        ("a.cdn.example", True),
        ("a.b.cdn.example", True),
        ("cdn.example", False),
        ("xcdn.example", False),
        ("images.example.evil.test", False),
        ("evil.test", False),
        ("localhost", False),
        ("127.1", False),
        ("2130706433", False),
    ],
)
def test_listed_hosts_and_no_others(
    site: Any, listed: WebStore, resolve: Resolver, host: str, is_fetched: bool
) -> None:
    resolve({host: [["127.0.0.1"]], "images.example.": [["127.0.0.1"]]})
    site.page("/", b"pixels")
    url = f"http://{host}:{site.server.server_port}/"
    if is_fetched:
        assert listed.get(url, LIMIT) == b"pixels"
    else:
        with pytest.raises(ObjectForbidden, match="not a host that this server fetches from"):
            listed.get(url, LIMIT)
        assert site.requests == []


def test_a_redirect_away_from_the_list(site: Any, listed: WebStore, resolve: Resolver) -> None:
    resolve({"evil.test": [["127.0.0.1"]]})
    to = f"http://evil.test:{site.server.server_port}/"
    with pytest.raises(ObjectForbidden):
        listed.get(site.page("/", status=302, Location=to), LIMIT)
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    ("kind", "is_read"),
    [
        ("image/png", True), ("IMAGE/JPEG; q=1", True), ("application/octet-stream", True),
        ("", True), ("text/html; charset=utf-8", False), ("application/json", False),
        ("ximage/png", False), ("image", False),
    ],
)  # fmt: skip
def test_the_type_of_a_body(site: Any, store: WebStore, kind: str, is_read: bool) -> None:
    url = site.page("/", b"pixels", **{"Content-Type": kind})
    if is_read:
        assert store.get(url, LIMIT) == b"pixels"
    else:
        with pytest.raises(ObjectNotFound, match="which is no image"):
            store.get(url, LIMIT)


def test_no_query_is_repeated(site: Any, store: WebStore) -> None:
    with pytest.raises(StoreError) as caught:
        store.get(site.url + "/none?X-Goog-Signature=secret", LIMIT)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "url",
    ["", "photo.jpg", "http://", "http:///a", "http:/a", "http://[", "http://[::1", "http://a b/",
     "http://\0/", "http://a\n/", "http://a:port/", "http://a:99999/", "http://a:-1/",
     "http://.../", "http://xn--/", f"http://{'a' * 64}.test/", f"http://{'a.' * 200}test/",
     "file:///etc/passwd", "ftp://a/b", "data:image/png;base64,AAAA", "gopher://a/", "http://\ud800/",
     f"http://a.test/{'x' * 70000}"],
    ids=lambda url: ascii(url)[:24],
)  # fmt: skip
def test_broken_urls(store: WebStore, careful: WebStore, resolve: Resolver, url: str) -> None:
    resolve({"a": [[]], "a.test": [[]]})
    for each in (store, careful):
        with pytest.raises(StoreError) as caught:
            each.get(url, LIMIT)
        caught.value.message.encode()


@pytest.mark.parametrize("rest", ["127.0.0.1/", "127.0.0.1:99999/", "[/", "a b/", "\0/", ":@/"])
def test_user_names_are_refused_and_not_repeated(site: Any, store: WebStore, rest: str) -> None:
    rest = rest.replace("127.0.0.1/", f"{site.address}/")
    site.page("/", b"pixels")
    with pytest.raises((InvalidObjectName, ObjectNotFound)) as caught:
        store.get(f"http://me:secret@{rest}", LIMIT)
    assert "secret" not in caught.value.message
    assert site.requests == []


urls = st.one_of(
    st.text(),
    st.text().map("http://".__add__),
    st.builds(
        "{}://{}{}{}/{}".format,
        st.sampled_from(["http", "https", "HTTP", "file", "ws", ""]),
        st.sampled_from(["", "u@", "u:p@", "@", ":@"]),
        st.one_of(st.text(max_size=20), st.ip_addresses().map(str), st.just("a.test")),
        st.sampled_from(["", ":", ":80", ":0", ":-1", ":65536", ":x"]),
        st.text(max_size=20),
    ),
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(url=urls)
def test_any_text_as_url(careful: WebStore, resolve: Resolver, url: str) -> None:
    def nothing(host: Any, *_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", nothing)
        with pytest.raises(StoreError):
            careful.get(url, LIMIT)


def test_keys_of_tokens_are_fetched_though_they_are_no_images(site: Any) -> None:
    url = site.page("/keys", b'{"keys": []}', **{"Content-Type": "application/json"})
    store = WebStore(public_only=False, images_only=False)
    assert store.get(url, LIMIT) == b'{"keys": []}'
    store.close()
