"""What every store promises, asked of every store."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from tapetum.errors import (
    InvalidObjectName,
    ObjectForbidden,
    ObjectNotFound,
    ObjectTooLarge,
    SettingsError,
    StoreError,
    StoreUnavailable,
)
from tapetum.stores import Store, cloud
from tapetum.stores.cloud import CloudStore

LIMIT = 20 * 1024 * 1024
CloudStores = dict[str, Callable[[str, str], CloudStore]]

ODD_KEYS = [
    "plain.jpg",
    "a/b/c/deep.jpg",
    "with space/and more.jpg",
    "ünï çödé/日本語/🐈.png",
    "hash#1.png",
    "percent%20.png",
    "100%.png",
    "plus+and&=.png",
    "question?.png",
    "semi;colon:,.png",
    "quotes'\".png",
    "<angle>[square]{curly}.png",
    "back\\slash.png",
    "tilde~^`|*.png",
    ".hidden",
    "...",
    " ",
]
BAD_KEYS = [
    "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/..", "./a", "a/./b", "nul\0.png",
    "line\nbreak", "delete\x7f", "\ud800", "x" * 1025, "ü" * 513,
]  # fmt: skip


def test_get_returns_what_was_put(store: Store) -> None:
    store.put("a/photo.jpg", b"\x00\xffpixels", "image/jpeg")
    assert store.get("a/photo.jpg", LIMIT) == b"\x00\xffpixels"


def test_put_replaces(store: Store) -> None:
    store.put("a.json", b"long before", "application/json")
    store.put("a.json", b"short", "application/json")
    assert store.get("a.json", LIMIT) == b"short"


@pytest.mark.parametrize("size", [0, 6_000_000])
def test_sizes(store: Store, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    store.put("object", content[:size], "application/octet-stream")
    assert store.get("object", LIMIT) == content[:size]


def test_missing_object(store: Store) -> None:
    store.put("there/too", b"", "text/plain")
    for key in ("not-there", "not/there", "there", "there/too/deep"):
        with pytest.raises(ObjectNotFound):
            store.get(key, LIMIT)
        with pytest.raises(ObjectNotFound):
            store.delete(key)


def test_limit(store: Store) -> None:
    store.put("five", b"12345", "text/plain")
    assert store.get("five", 5) == b"12345"
    with pytest.raises(ObjectTooLarge, match=r"5 bytes.* limit is 4"):
        store.get("five", 4)


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_names(request: pytest.FixtureRequest, store: Store, key: str) -> None:
    if "\\" in key and request.node.callspec.params["open_bucket"] == "azure":
        pytest.skip("Azure takes a backslash for a slash")
    store.put(key, key.encode(), "text/plain")
    assert list(store.list("")) == [key]
    assert store.get(key, LIMIT) == key.encode()
    store.delete(key)
    assert list(store.list("")) == []


def test_list_is_of_a_folder_and_all_below(store: Store) -> None:
    for key in ("top", "a/1", "a/b/2", "a/b/c#/3 %20", "ab/4", "a b/5"):
        store.put(key, b"", "text/plain")
    assert sorted(store.list("")) == ["a b/5", "a/1", "a/b/2", "a/b/c#/3 %20", "ab/4", "top"]
    assert sorted(store.list("a/")) == ["a/1", "a/b/2", "a/b/c#/3 %20"]
    assert sorted(store.list("a/b/c#/")) == ["a/b/c#/3 %20"]
    assert list(store.list("nothing/here/")) == []
    assert list(store.list("top/")) == []


def test_an_empty_bucket_lists_nothing(store: Store) -> None:
    assert list(store.list("")) == []


def test_delete(store: Store) -> None:
    store.put("folder/a", b"", "text/plain")
    store.put("folder/b", b"", "text/plain")
    store.delete("folder/a")
    assert list(store.list("")) == ["folder/b"]
    with pytest.raises(ObjectNotFound):
        store.get("folder/a", LIMIT)


@pytest.mark.parametrize("key", BAD_KEYS, ids=lambda key: ascii(key)[:20])
def test_bad_names(store: Store, key: str) -> None:
    with pytest.raises(InvalidObjectName) as caught:
        store.get(key, LIMIT)
    caught.value.message.encode()  # it goes to a client as UTF-8
    assert len(caught.value.message) < 500
    with pytest.raises(InvalidObjectName):
        store.put(key, b"", "text/plain")
    with pytest.raises(InvalidObjectName):
        store.delete(key)
    with pytest.raises(InvalidObjectName):
        list(store.list(f"{key}/"))


def test_the_longest_name(store: Store) -> None:
    key = "/".join(["x" * 204] * 5)
    assert len(key) == 1024
    store.put(key, b"far", "text/plain")
    assert store.get(key, LIMIT) == b"far"


def test_a_prefix_ends_in_a_slash(store: Store) -> None:
    with pytest.raises(InvalidObjectName):
        list(store.list("fold"))


def test_missing_bucket(missing_store: Store) -> None:
    gone = (ObjectNotFound, ObjectForbidden)
    with pytest.raises(gone):
        missing_store.get("a", LIMIT)
    with pytest.raises(gone):
        missing_store.put("a", b"", "text/plain")
    with pytest.raises(gone):
        missing_store.delete("a")
    with pytest.raises(gone):
        list(missing_store.list(""))


def test_the_mark_of_a_folder_is_not_in_the_folder(
    google_storage: Any, cloud_stores: CloudStores
) -> None:
    google_storage.buckets["marked"] = {"a/": (b"", ""), "a/1": (b"", "")}
    assert list(cloud_stores["gcs"](google_storage.url, "marked").list("a/")) == ["a/1"]


providers = pytest.mark.parametrize("provider", ["s3", "gcs", "azure"])


@providers
def test_too_large_is_known_before_the_body(
    site: Any, cloud_stores: CloudStores, provider: str
) -> None:
    """The server announces a gigabyte and sends none of it."""

    def announce(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(1 << 30))
        handler.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        handler.send_header("ETag", '"e"')
        handler.end_headers()
        handler.rfile.read(1)  # until the client hangs up

    site.at("/bucket/huge", announce)
    with pytest.raises(ObjectTooLarge):
        cloud_stores[provider](site.url, "bucket").get("huge", LIMIT)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = timedelta(milliseconds=20)
    backoff = {"init_backoff": quick, "max_backoff": quick, "base": 2}
    retries = {"max_retries": 1, "retry_timeout": timedelta(seconds=3), "backoff": backoff}
    monkeypatch.setattr(cloud, "_RETRIES", retries)
    monkeypatch.setattr(cloud, "_TIMEOUTS", {"timeout": "300ms", "connect_timeout": "300ms"})


def _each_way(store: Store) -> list[Callable[[], object]]:
    return [
        lambda: store.get("a", LIMIT),
        lambda: store.put("a", b"", "text/plain"),
        lambda: store.delete("a"),
        lambda: list(store.list("a/")),
    ]


@pytest.mark.usefixtures("impatient")
@providers
def test_a_silent_server(silent_address: str, cloud_stores: CloudStores, provider: str) -> None:
    for call in _each_way(cloud_stores[provider](f"http://{silent_address}", "bucket")):
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            call()
        assert time.monotonic() - began < 10


def test_the_patience_of_real_settings_is_bounded(
    refusing_address: str, cloud_stores: CloudStores
) -> None:
    began = time.monotonic()
    with pytest.raises(StoreUnavailable):
        cloud_stores["s3"](f"http://{refusing_address}", "bucket").get("a", LIMIT)
    assert time.monotonic() - began < 40


@pytest.mark.usefixtures("impatient")
@providers
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, StoreUnavailable),
        (401, ObjectForbidden),
        (403, ObjectForbidden),
        (404, ObjectNotFound),
        (429, StoreUnavailable),
        (500, StoreUnavailable),
        (503, StoreUnavailable),
    ],
)
def test_answers_without_an_object(
    site: Any,
    cloud_stores: CloudStores,
    provider: str,
    status: int,
    error: type[StoreError],
) -> None:
    site.page("/bucket/a", b"<Error><Code>No</Code></Error>", status)
    site.page("/bucket", b"<Error><Code>No</Code></Error>", status)
    store = cloud_stores[provider](site.url, "bucket")
    with pytest.raises(error):
        store.get("a", LIMIT)
    with pytest.raises(error):
        list(store.list(""))


@pytest.mark.usefixtures("impatient")
@providers
def test_a_body_that_breaks_off(site: Any, cloud_stores: CloudStores, provider: str) -> None:
    site.page(
        "/bucket/a",
        b"half",
        Content_Length="8",
        Last_Modified="Thu, 01 Jan 2026 00:00:00 GMT",
        ETag='"e"',
    )
    with pytest.raises(StoreUnavailable):
        cloud_stores[provider](site.url, "bucket").get("a", LIMIT)


@pytest.mark.usefixtures("impatient")
@providers
def test_no_credential_in_a_message(
    site: Any,
    refusing_address: str,
    cloud_stores: CloudStores,
    provider: str,
    secret: str,
) -> None:
    """Not in the text, not in the chain of causes: also when the server repeats what it got."""

    def parrot(handler: BaseHTTPRequestHandler) -> None:
        body = f"<Error>{handler.headers['Authorization']} {secret} {secret[::-1]}</Error>".encode()
        handler.send_response(403)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    site.at("/bucket/a", parrot)
    stores = cloud_stores[provider]
    calls = [*_each_way(stores(f"http://{refusing_address}", "bucket"))]
    calls.append(lambda: stores(site.url, "bucket").get("a", LIMIT))
    for call in calls:
        with pytest.raises((ObjectForbidden, StoreUnavailable)) as caught:
            call()
        assert secret not in caught.value.message
        assert provider != "s3" or secret[::-1] not in caught.value.message
    for call in calls[:-1]:
        with pytest.raises(StoreUnavailable) as caught:
            call()
        assert secret not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("s3://bucket", {"endpoint": "http://me:{secret}@127.0.0.1:9"}),
        ("https://me:{secret}@account.blob.core.windows.net/container", {}),
        ("ftp://me:{secret}@127.0.0.1/folder", {}),
        ("ftp://127.0.0.1/folder?sig={secret}", {}),
        ("s3://bucket", {"secret": "{secret}"}),
        ("gs://bucket", {"service_account_key": '{{"private_key": "{secret}"}}'}),
        ("gs://bucket", {"service_account_key": "{secret}"}),
        ("az://container", {"account_name": "me", "account_key": "{secret}!"}),
    ],
)
def test_unusable_settings_do_not_tell_secrets(
    url: str, options: dict[str, str], secret: str
) -> None:
    given = {name: value.format(secret=secret) for name, value in options.items()}
    with pytest.raises(SettingsError) as caught:
        CloudStore(url.format(secret=secret), given)
    assert secret not in caught.value.message
    assert secret not in str(caught.value.__cause__)
