"""What an ``Image`` message leads to: its bytes, or an error in the words clients know."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tapetum.errors import (
    ImageError,
    ImageForbidden,
    ImageNotFound,
    ImageTooLarge,
    InvalidImageUri,
    InvalidObjectName,
    ObjectForbidden,
    ObjectNotFound,
    ObjectTooLarge,
    StoreError,
    StoreUnavailable,
    UrlNotAccessible,
    UrlNotAvailable,
)
from tapetum.pipeline import fetch
from tapetum.stores.router import Stores
from tapetum.vision import messages

NOT_ACCESSIBLE = (
    "The URL does not appear to be accessible by us. "
    "Please double check or download the content and pass it in."
)
NOT_NOW = "We can not access the URL currently. Please download the content and pass it in."


class OneAnswer(Stores):
    """Stores in which every URI has the same answer; the URIs asked for are in ``asked``."""

    def __init__(self, answer: bytes | StoreError) -> None:
        super().__init__(Path("nowhere"))
        self.answer = answer
        self.asked: list[tuple[str, int]] = []

    def read(self, uri: str, limit: int) -> bytes:
        self.asked.append((uri, limit))
        if isinstance(self.answer, StoreError):
            raise self.answer
        return self.answer

    def write(self, uri: str, content: bytes, content_type: str) -> None:
        raise NotImplementedError

    def list(self, uri: str) -> Iterator[str]:
        raise NotImplementedError


def _image(content: bytes = b"", image_uri: str = "", gcs_image_uri: str = "") -> Any:
    source = {"image_uri": image_uri, "gcs_image_uri": gcs_image_uri}
    image = {"content": content, "source": source}
    return messages.AnnotateImageRequest(image=image).image


GS = _image(image_uri="gs://b/o.jpg")
OLD = _image(gcs_image_uri="gs://b/o.jpg")
WEB = _image(image_uri="https://example.com/o.jpg")


@pytest.mark.parametrize(
    ("image", "answer", "error", "code", "text"),
    [
        (GS, ObjectNotFound("x"), ImageNotFound, 5, "Error opening file: gs://b/o.jpg."),
        (OLD, ObjectNotFound("x"), ImageNotFound, 5, "Error opening file: gs://b/o.jpg."),
        (GS, ObjectForbidden("x"), ImageForbidden, 7, "Error opening file: gs://b/o.jpg."),
        (OLD, ObjectForbidden("x"), ImageForbidden, 7, "Error opening file: gs://b/o.jpg."),
        (
            GS,
            StoreUnavailable("x"),
            UrlNotAvailable,
            14,
            "Error opening file: gs://b/o.jpg. The store does not answer.",
        ),
        (
            GS,
            ObjectTooLarge("o.jpg has 9 bytes; the limit is 8."),
            ImageTooLarge,
            3,
            "Image file too large: o.jpg has 9 bytes; the limit is 8. Please limit to 20 MB.",
        ),
        (GS, InvalidObjectName("No."), InvalidImageUri, 3, "Invalid image URI specified: No."),
        (WEB, ObjectNotFound("x"), UrlNotAccessible, 3, NOT_ACCESSIBLE),
        (WEB, StoreUnavailable("x"), UrlNotAvailable, 14, NOT_NOW),
        (WEB, ObjectForbidden("No."), ImageForbidden, 7, "The URL may not be fetched: No."),
        (WEB, InvalidObjectName("No."), InvalidImageUri, 3, "Invalid image URI specified: No."),
    ],
)
def test_what_a_store_says_in_the_words_clients_know(
    image: Any, answer: StoreError, error: type[ImageError], code: int, text: str
) -> None:
    with pytest.raises(ImageError) as caught:
        fetch.fetch(image, OneAnswer(answer))
    assert (type(caught.value), caught.value.code, caught.value.message) == (error, code, text)


@pytest.mark.parametrize(
    "uri", ["", "b/o.jpg", "http://b/o.jpg", "https://b/o.jpg", "s3://b/o.jpg", "gs:/b/o", "gs//"]
)
def test_gcs_image_uri_is_only_for_gs(uri: str) -> None:
    stores = OneAnswer(b"pixels")
    with pytest.raises(InvalidImageUri) as caught:
        fetch.fetch(_image(gcs_image_uri=uri), stores)
    assert caught.value.message == f"Invalid GCS path specified: {uri}"
    assert stores.asked == []


@pytest.mark.parametrize(
    "uri", ["gs://b/o.jpg", "https://example.com/o.jpg", "s3://b/o.jpg", "folder/o.jpg"]
)
def test_image_uri_goes_to_the_stores(uri: str) -> None:
    stores = OneAnswer(b"pixels")
    image = _image(image_uri=uri)
    assert fetch.fetch(image, stores) == b"pixels"
    assert stores.asked == [(uri, fetch.MAX_BYTES)]
    assert fetch.uri_of(image) == uri


def test_image_uri_wins_over_gcs_image_uri() -> None:
    stores = OneAnswer(b"pixels")
    image = _image(image_uri="gs://b/new.jpg", gcs_image_uri="not even a path")
    assert fetch.fetch(image, stores) == b"pixels"
    assert [uri for uri, _ in stores.asked] == ["gs://b/new.jpg"]
    assert fetch.uri_of(image) == "gs://b/new.jpg"


def test_content_wins_over_source() -> None:
    stores = OneAnswer(b"of the source")
    image = _image(b"inline", image_uri="gs://b/o.jpg", gcs_image_uri="gs://b/o.jpg")
    assert fetch.fetch(image, stores) == b"inline"
    assert stores.asked == []
    assert fetch.uri_of(image) == ""


def test_inline_limit() -> None:
    stores = OneAnswer(b"")
    largest = bytes(20 * 1024 * 1024)
    assert fetch.fetch(_image(largest), stores) == largest
    with pytest.raises(ImageTooLarge) as caught:
        fetch.fetch(_image(largest + b"x"), stores)
    assert caught.value.code == 3
    assert caught.value.message == ("Image file too large: 20971521 bytes. Please limit to 20 MB.")


def test_stored_limit(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name, size in (("largest", 20 * 1024 * 1024), ("larger", 20 * 1024 * 1024 + 1)):
        with (tmp_path / "b" / name).open("wb") as file:
            file.truncate(size)
    stores = Stores(tmp_path)
    assert len(fetch.fetch(_image(image_uri="gs://b/largest"), stores)) == 20 * 1024 * 1024
    with pytest.raises(ImageTooLarge) as caught:
        fetch.fetch(_image(image_uri="gs://b/larger"), stores)
    assert caught.value.message == (
        "Image file too large: larger has 20971521 bytes; the limit is 20971520. "
        "Please limit to 20 MB."
    )


@pytest.mark.parametrize(
    ("uri", "error", "text"),
    [
        ("gs://b/missing.jpg", ImageNotFound, "Error opening file: gs://b/missing.jpg."),
        ("gs://nowhere/o.jpg", ImageForbidden, "Error opening file: gs://nowhere/o.jpg."),
        ("gs://b/out", ImageForbidden, "Error opening file: gs://b/out."),
        ("gs://b/../secret", InvalidImageUri, None),
        ("gs://../secret", InvalidImageUri, None),
        ("gs://b", InvalidImageUri, None),
        ("file:///etc/hostname", InvalidImageUri, None),
        ("/etc/hostname", InvalidImageUri, None),
        ("s3://b/o.jpg", InvalidImageUri, None),
        (
            "https://example.com/o.jpg",
            ImageForbidden,
            "The URL may not be fetched: This server does not fetch http(s) URLs "
            "(web_fetch = off).",
        ),
    ],
)
def test_from_a_server_s_own_buckets(
    tmp_path: Path, uri: str, error: type[ImageError], text: str | None
) -> None:
    (tmp_path / "buckets" / "b").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "buckets" / "b" / "out").symlink_to(tmp_path / "secret")
    with pytest.raises(ImageError) as caught:
        fetch.fetch(_image(image_uri=uri), Stores(tmp_path / "buckets"))
    assert type(caught.value) is error
    assert text is None or caught.value.message == text
    assert str(tmp_path) not in caught.value.message
