"""What is refused, and where the error goes, row by row, through Google's Python client.

A *call* error fails the RPC, an *image* error stands in that image's answer, an *operation* error
ends the operation.
"""

from __future__ import annotations

import io
import math
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


def crops(*ratios: float):
    context = {"crop_hints_params": {"aspect_ratios": ratios}}
    return image(features=[{"type_": "CROP_HINTS"}], image_context=context)


def hinted(hint: str, features=({"type_": "TEXT_DETECTION"},)):
    return image(features=features, image_context={"language_hints": [hint]})


def drawn(width: int, height: int, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("1" if kind == "PNG" else "RGB", (width, height)).save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def client(buckets):
    with buckets.client() as made:
        yield made


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

JPEG, PNG = drawn(64, 64, "JPEG"), drawn(64, 64)
IMAGES = {
    "bytes that are no image": (content(b"no image at all"), 3, "Bad image data."),
    "a truncated image": (content(JPEG[: len(JPEG) // 2]), 3, "Bad image data."),
    "a damaged image": (content(PNG[:44] + bytes(4) + PNG[48:]), 3, "Bad image data."),
    "a format that is not read, as HEIC": (
        content(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)), 3, "Bad image data.",
    ),
    "a PDF as content": (content(b"%PDF-1.7\n%%EOF"), 13, "A PDF is no image."),
    "a PDF by its URI": (image("gs://photos/pages.pdf"), 13, "BatchAnnotateFiles (files:annotate)"),
    "a file of more than 20 MB": (
        content(JPEG + bytes(20 * 2**20)), 3, "Image file too large: ",
    ),
    "more than 75 megapixels": (
        content(drawn(10_000, 7_501)), 3,
        "Image too large. Please limit to 75 megapixels.",
    ),
    "an object that is not there": (
        image("gs://photos/none.jpg"), 5, "Error opening file: gs://photos/none.jpg.",
    ),
    "an object version": (
        image("gs://photos/cat.jpg#1"), 5, "Error opening file: gs://photos/cat.jpg#1.",
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
    "an aspect ratio that is not positive": (crops(-1.0), 3, "aspectRatios[0] is -1.0"),
    "an aspect ratio that is no number": (crops(1.0, math.nan), 3, "aspectRatios[1] is nan"),
    "a language hint that is not read": (hinted("xx"), 3, "image_context.language_hints[0]"),
    "PRODUCT_SEARCH": (image(features=[{"type_": "PRODUCT_SEARCH"}]), 12, "PRODUCT_SEARCH"),
}  # fmt: skip


def in_a_batch(client, buckets, requests):
    """What a batch of ``requests`` writes, in one file."""
    folder = buckets.bucket("results") / "rows"
    output = {"gcs_destination": {"uri": "gs://results/rows/"}, "batch_size": 100}
    client.async_batch_annotate_images(requests=requests, output_config=output).result(120)
    [path] = folder.iterdir()
    answers = vision_v1.BatchAnnotateImagesResponse.from_json(path.read_text()).responses
    path.unlink()
    return answers


@pytest.mark.parametrize("text", IMAGES)
def test_an_image_error_stands_in_its_place(client, buckets, row, text):
    request, code, message = IMAGES[text]
    row(text, "image", code)
    requests = [request, image()]
    for wrong, good in (
        client.batch_annotate_images(requests=requests).responses,
        in_a_batch(client, buckets, requests),
    ):
        assert wrong.error.code == code
        assert message in wrong.error.message
        assert not good.error.code
        assert good.label_annotations


def test_a_hint_that_is_not_read_fails_text_alone(client, row):
    row("a language hint that is not read, where no text is asked for", "no error", 0)
    both = [*LABELS, {"type_": "TEXT_DETECTION"}]
    asked = [hinted("xx", LABELS), hinted("xx", both)]
    alone, beside = client.batch_annotate_images(requests=asked).responses
    assert not alone.error.code
    assert beside.error.code == 3
    assert beside.label_annotations == alone.label_annotations


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """A web server that knows one picture, and has no time for some others."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "dot" in self.path:
                self.send_response(200)
                self.send_header("Content-Type", "image/png")
                self.end_headers()
                self.wfile.write(drawn(32, 32))
            else:
                self.send_error(503 if "busy" in self.path else 404)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def fetching(new_server, tmp_path_factory):
    """A server that fetches from any address."""
    running = new_server(tmp_path_factory.mktemp("fetching") / "data", "--web-fetch", "any")
    running.bucket("results")
    yield running
    running.kill()


URLS = {
    "an http URL that answers no": ("none", 3, "The URL does not appear to be accessible by us."),
    "an http URL that does not answer now": ("busy", 14, "We can not access the URL currently."),
}


@pytest.mark.parametrize("text", URLS)
def test_urls_that_answer_no_or_not_now(fetching, site, row, text):
    name, code, message = URLS[text]
    row(text, "image", code)
    with fetching.client() as client:
        [answer] = client.batch_annotate_images(requests=[image(f"{site}/{name}")]).responses
    assert answer.error.code == code
    assert answer.error.message.startswith(message)


def test_a_batch_fetches_from_the_web(fetching, site, row):
    row("an http URL in a batch", "no error", 0)
    with fetching.client() as client:
        [answer] = in_a_batch(client, fetching, [image(f"{site}/dot.png", [{"type_": 7}])])
    assert answer.context.uri == f"{site}/dot.png"
    assert answer.image_properties_annotation.dominant_colors.colors


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


def test_image_uri_beside_gcs_image_uri_counts(client, row):
    row("`image_uri` and `gcs_image_uri` together: the first counts", "no error", 0)
    source = {"image_uri": "gs://photos/cat.jpg", "gcs_image_uri": "gs://photos/none.jpg"}
    request = {"image": {"source": source}, "features": LABELS}
    [answer] = client.batch_annotate_images(requests=[request]).responses
    assert answer.label_annotations


def test_aspect_ratios_over_16_are_ignored(client, row):
    row("more than 16 aspect ratios: the first 16 count", "no error", 0)
    [answer] = client.batch_annotate_images(requests=[crops(*[1.0] * 16, -1.0)]).responses
    assert not answer.error.code
    assert len(answer.crop_hints_annotation.crop_hints) == 16


def test_a_handwriting_hint(client, row):
    row("the hint `en-t-i0-handwrit`", "no error", 0)
    [answer] = client.batch_annotate_images(requests=[hinted("en-t-i0-handwrit")]).responses
    assert not answer.error.code


def test_a_feature_asked_for_twice_counts_once_with_the_larger_number(client, row):
    row("a feature asked for twice, TYPE_UNSPECIFIED beside it", "no error", 0)
    features = [{"type_": 4, "max_results": 1}, {"type_": 4, "max_results": 2}, {"type_": 0}]
    [answer] = client.batch_annotate_images(requests=[image(features=features)]).responses
    found = [label.description for label in answer.label_annotations]
    assert len(found) == len(set(found)) == 2
