"""What is refused, and where the error goes, row by row, through Google's Python client.

A *call* error fails the RPC, an *image* error stands in that image's answer, an *operation* error
ends the operation.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import vision_v1
from PIL import Image

LABELS = [{"type_": "LABEL_DETECTION"}]
OUTPUT = {"gcs_destination": {"uri": "gs://results/validation/"}, "batch_size": 2}
MISSING = "Request must specify image and features."


def image(uri: str = "gs://photos/cat.jpg", features=LABELS, **more):
    return {"image": {"source": {"image_uri": uri}}, "features": features, **more}


def content(body: bytes, features=LABELS):
    return {"image": {"content": body}, "features": features}


def drawn(width: int, height: int, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("1" if kind == "PNG" else "RGB", (width, height)).save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def client(buckets):
    with buckets.client() as made:
        yield made


@pytest.fixture
def row(cell):
    """Notes the row of the page this test is about."""

    def note(text: str, level: str, code: int) -> None:
        cell("validation", text, f"{level} {code}")

    return note


# --- the call fails -----------------------------------------------------------------------------

BOTH = {
    "no `requests`": ([], MISSING),
    "a request without an image": ([{"features": LABELS}], MISSING),
    "an empty image": ([{"image": {}, "features": LABELS}], MISSING),
    "empty content": ([content(b"")], MISSING),
    "no features": ([image(features=[])], MISSING),
    "only TYPE_UNSPECIFIED": ([image(features=[{"type_": 0}])], MISSING),
    "a feature type there is not": ([image(features=[{"type_": 99}])], "There is no feature type"),
    "negative `max_results`": (
        [image(features=[{"type_": 4, "max_results": -1}])],
        "max_results must not be negative",
    ),
}


def call_error(call) -> exceptions.InvalidArgument:
    with pytest.raises(exceptions.InvalidArgument) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("text", BOTH)
def test_both_calls_refuse(client, row, text):
    row(text, "call", 3)
    requests, message = BOTH[text]
    for call in (
        lambda: client.batch_annotate_images(requests=requests),
        lambda: client.async_batch_annotate_images(requests=requests, output_config=OUTPUT),
    ):
        error = call_error(call)
        assert error.message.startswith(message)
        [bad] = error.details
        assert bad.field_violations[0].field.startswith("requests")


@pytest.mark.parametrize(
    ("text", "parent"),
    [
        ("a `parent` that is no project", "folders/1"),
        ("a location there is not", "projects/p/locations/mars"),
    ],
)
def test_a_bad_parent(client, row, text, parent):
    row(text, "call", 3)
    sync = {"requests": [image()], "parent": parent}
    for call in (
        lambda: client.batch_annotate_images(sync),
        lambda: client.async_batch_annotate_images({**sync, "output_config": OUTPUT}),
    ):
        assert call_error(call).details[0].field_violations[0].field == "parent"


def test_more_than_16_at_once(client, row):
    row("more than 16 images at once", "call", 3)
    error = call_error(lambda: client.batch_annotate_images(requests=[image()] * 17))
    assert error.message.startswith("Too many images per request")


def test_more_than_2000(client, row):
    row("more than 2000 images in a batch", "call", 3)
    error = call_error(
        lambda: client.async_batch_annotate_images(requests=[image()] * 2001, output_config=OUTPUT)
    )
    assert error.message.startswith("Too many images per request")


OUTPUTS = {
    "no `output_config`": (None, "output_config.gcs_destination.uri"),
    "no `gcs_destination`": ({"batch_size": 2}, "output_config.gcs_destination.uri"),
    "an empty output URI": ({"gcs_destination": {"uri": ""}}, "output_config.gcs_destination.uri"),
    "an output URI that is not gs://": (
        {"gcs_destination": {"uri": "s3://results/x/"}},
        "output_config.gcs_destination.uri",
    ),
    "a `batch_size` below 1": ({**OUTPUT, "batch_size": -1}, "output_config.batch_size"),
    "a `batch_size` above 100": ({**OUTPUT, "batch_size": 101}, "output_config.batch_size"),
}


@pytest.mark.parametrize("text", OUTPUTS)
def test_a_wrong_output(client, row, text):
    row(text, "call", 3)
    output, field = OUTPUTS[text]
    error = call_error(
        lambda: client.async_batch_annotate_images(requests=[image()], output_config=output)
    )
    assert error.details[0].field_violations[0].field == field


def test_a_payload_over_the_limit(buckets, row):
    """Over REST; gRPC has a limit of its own, a little above."""
    row("a payload of more than 41943040 bytes (REST)", "call", 3)
    transport = vision_v1.ImageAnnotatorClient.get_transport_class("rest")
    made = transport(host=f"http://{buckets.address}", credentials=AnonymousCredentials())
    with (
        vision_v1.ImageAnnotatorClient(transport=made) as client,
        pytest.raises(exceptions.BadRequest) as caught,
    ):
        client.batch_annotate_images(requests=[content(b"x" * 32_000_000)])
    assert "Request payload size exceeds the limit: 41943040 bytes." in caught.value.message


# --- the image fails ----------------------------------------------------------------------------

JPEG = drawn(64, 64, "JPEG")
IMAGES = {
    "bytes that are no image": (content(b"no image at all"), 3, "Bad image data."),
    "a truncated image": (content(JPEG[: len(JPEG) // 2]), 3, "Bad image data."),
    "more than 75 megapixels": (
        content(drawn(10_000, 7_501)), 3,
        "Image too large. Please limit to 75 megapixels.",
    ),
    "an object that is not there": (
        image("gs://photos/none.jpg"), 5, "Error opening file: gs://photos/none.jpg.",
    ),
    "a bucket that is not there": (
        image("gs://no-such-bucket/a.jpg"), 7, "Error opening file: gs://no-such-bucket/a.jpg.",
    ),
    "a `gcs_image_uri` that is not gs://": (
        {"image": {"source": {"gcs_image_uri": "http://x/a.jpg"}}, "features": LABELS}, 3,
        "Invalid GCS path specified: http://x/a.jpg",
    ),
    "a URI of a scheme not read here": (image("ftp://x/a.jpg"), 3, "Invalid image URI"),
    "an http URL at an address that is not public": (
        image("http://127.0.0.1:1/a.jpg"), 7, "The URL may not be fetched",
    ),
    "a `model` there is not": (
        image(features=[{"type_": 4, "model": "best"}]), 3, "features[0].model",
    ),
    "an aspect ratio that is not positive": (
        image(
            features=[{"type_": "CROP_HINTS"}],
            image_context={"crop_hints_params": {"aspect_ratios": [-1.0]}},
        ), 3, "aspectRatios[0] is -1.0",
    ),
    "PRODUCT_SEARCH": (image(features=[{"type_": "PRODUCT_SEARCH"}]), 12, "PRODUCT_SEARCH"),
}  # fmt: skip


@pytest.mark.parametrize("text", IMAGES)
def test_an_image_error_stands_in_its_place(client, row, text):
    request, code, message = IMAGES[text]
    row(text, "image", code)
    answers = client.batch_annotate_images(requests=[request, image()]).responses
    assert answers[0].error.code == code
    assert message in answers[0].error.message
    assert not answers[1].error.code
    assert answers[1].label_annotations


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """A web server that knows no page, and has no time for some."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503 if "busy" in self.path else 404)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_urls_that_answer_no_or_not_now(start_server, site, row):
    server = start_server("--web-fetch", "any")
    uris = (f"{site}/none.jpg", f"{site}/busy.jpg")
    with server.client() as client:
        gone, busy = client.batch_annotate_images(requests=[image(uri) for uri in uris]).responses
    row("an http URL that answers no", "image", 3)
    assert gone.error.code == 3
    assert gone.error.message.startswith("The URL does not appear to be accessible by us.")
    row("an http URL that does not answer now", "image", 14)
    assert busy.error.code == 14
    assert busy.error.message.startswith("We can not access the URL currently.")


# --- the operation fails ------------------------------------------------------------------------


def test_an_output_that_cannot_be_written(client, row):
    row("an output bucket that is not there", "operation", 7)
    operation = client.async_batch_annotate_images(
        requests=[image()], output_config={"gcs_destination": {"uri": "gs://no-such-bucket/x"}}
    )
    with pytest.raises(exceptions.GoogleAPICallError, match="Error writing final output to: "):
        operation.result(120)
    assert operation.operation.error.code == 7


def test_a_cancelled_operation(client, row):
    row("a cancelled operation", "operation", 1)
    operation = client.async_batch_annotate_images(requests=[image()] * 1000, output_config=OUTPUT)
    operation.cancel()
    with pytest.raises(exceptions.Cancelled):
        operation.result(120)


# --- what is not refused ------------------------------------------------------------------------


def test_content_beside_a_uri_counts(client, buckets, row):
    row("content and a URI together: the content counts", "no error", 0)
    cat = (buckets.bucket("photos") / "cat.jpg").read_bytes()
    both = {
        "image": {"content": cat, "source": {"image_uri": "gs://photos/none.jpg"}},
        "features": LABELS,
    }
    [answer] = client.batch_annotate_images(requests=[both]).responses
    assert answer.label_annotations


def test_a_batch_takes_content_and_answers_for_every_image(client, buckets, row):
    row("a batch of inline content and unreadable images", "no error", 0)
    requests = [content(JPEG), content(b"x"), image("gs://photos/none.jpg")]
    operation = client.async_batch_annotate_images(
        requests=requests, output_config={"gcs_destination": {"uri": "gs://results/inline/"}}
    )
    operation.result(120)
    [path] = (buckets.bucket("results") / "inline").iterdir()
    answers = vision_v1.BatchAnnotateImagesResponse.from_json(path.read_text()).responses
    assert [answer.error.code for answer in answers] == [0, 3, 5]
    assert [answer.context.uri for answer in answers] == ["", "", "gs://photos/none.jpg"]


def test_a_feature_asked_for_twice_counts_once_with_the_larger_number(client, row):
    row("a feature asked for twice, TYPE_UNSPECIFIED beside it", "no error", 0)
    features = [{"type_": 4, "max_results": 1}, {"type_": 4, "max_results": 2}, {"type_": 0}]
    [answer] = client.batch_annotate_images(requests=[image(features=features)]).responses
    found = [label.description for label in answer.label_annotations]
    assert len(found) == len(set(found)) == 2
