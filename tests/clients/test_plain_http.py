"""What none of Google's clients sends, at the REST door: refused or understood, row by row."""

from __future__ import annotations

import base64
import gzip
import json

import httpx
import pytest

from tapetum.vision.limits import MAX_PAYLOAD

CALL = "/v1/images:annotate"


@pytest.fixture
def web(buckets):
    with httpx.Client(base_url=buckets.url, timeout=60) as client:
        yield client


@pytest.fixture
def row(cell):
    """Notes the row of the page this test is about."""

    def note(text: str, status: int) -> None:
        cell("plain", text, str(status))

    return note


def asked(request: str) -> bytes:
    return b'{"requests":[%s]}' % request.encode()


PACKED = {"Content-Encoding": "gzip"}
TOO_LARGE = f"Request payload size exceeds the limit: {MAX_PAYLOAD} bytes."
#: What is sent → (headers, body, how the message begins, the field that the details name).
REFUSED = {
    "JSON that is none": ({}, b"{", "Invalid JSON payload received.", ""),
    "an unknown field": (
        {}, asked('{"images":1}'),
        "Invalid JSON payload received. Unknown name \"images\" at 'requests[0]': "
        "Cannot find field.", "requests[0]",
    ),
    "an unknown enum name": (
        {}, asked('{"features":[{"type":"CATS"}]}'),
        "Invalid value at 'requests[0].features[0].type' "
        '(type.googleapis.com/google.cloud.vision.v1.Feature.Type), "CATS"',
        "requests[0].features[0].type",
    ),
    "base64 that is none": (
        {}, asked('{"image":{"content":"%"}}'),
        "Invalid value at 'requests[0].image.content' (TYPE_BYTES), "
        'Base64 decoding failed for "%"', "requests[0].image.content",
    ),
    "no body": ({}, b"", "Request must specify image and features.", "requests"),
    "a payload of more than 41943040 bytes": (
        {}, b" " * (MAX_PAYLOAD + 1), TOO_LARGE, "",
    ),
    "the same, packed into a few": (
        PACKED, gzip.compress(b" " * (MAX_PAYLOAD + 1)), TOO_LARGE, "",
    ),
    "gzip that is none": (PACKED, b"no gzip", "The body is not valid gzip.", ""),
    "gzip that ends too early": (
        PACKED, gzip.compress(b"{}" * 1000)[:-9], "The gzip body ends too early.", "",
    ),
    "another `Content-Encoding`": (
        {"Content-Encoding": "br"}, b"{}", "Content-Encoding 'br' is not supported", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused(web, row, text):
    row(text, 400)
    headers, body, message, field = REFUSED[text]
    answer = web.post(CALL, content=body, headers=headers)
    error = answer.json()["error"]
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    assert (answer.status_code, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert error["message"].startswith(message)
    if field:
        [detail] = error["details"]
        assert detail["@type"] == "type.googleapis.com/google.rpc.BadRequest"
        assert detail["fieldViolations"][0]["field"].startswith(field)


def test_a_path_that_is_not_there(web, row):
    row("a path that is not there", 404)
    error = web.post("/v1/images:nothing", json={}).json()["error"]
    assert (error["code"], error["status"]) == (404, "NOT_FOUND")


PLAIN = {"requests": [{"image": {"source": {"imageUri": "gs://photos/cat.jpg"}},
                       "features": [{"type": "LABEL_DETECTION", "maxResults": 3}]}]}  # fmt: skip
SNAKE = {"requests": [{"image": {"source": {"image_uri": "gs://photos/cat.jpg"}},
                       "features": [{"type": 4, "max_results": 3}]}]}  # fmt: skip
NUMBERS = {"parent": None, "requests": [{**PLAIN["requests"][0],
           "features": [{"type": "LABEL_DETECTION", "maxResults": "3"}]}]}  # fmt: skip
#: What is sent → (headers, body). All are answered alike.
UNDERSTOOD = {
    "snake_case names, enums as numbers": ({}, json.dumps(SNAKE).encode()),
    "a number as a string, `null` for what is not set": ({}, json.dumps(NUMBERS).encode()),
    "a gzip body": (PACKED, gzip.compress(json.dumps(PLAIN).encode())),
    "another content type, or none": ({"Content-Type": "text/plain"}, json.dumps(PLAIN).encode()),
}


@pytest.mark.parametrize("text", UNDERSTOOD)
def test_what_is_understood(web, row, text):
    row(text, 200)
    headers, body = UNDERSTOOD[text]
    answer = web.post(CALL, content=body, headers=headers)
    assert answer.status_code == 200
    assert answer.json() == web.post(CALL, json=PLAIN).json()
    assert len(answer.json()["responses"][0]["labelAnnotations"]) == 3


def test_base64_of_the_url_safe_alphabet(web, row, photos):
    row("URL-safe base64, without padding", 200)
    content = (photos / "cat.jpg").read_bytes()
    answers = []
    for encoded in (base64.b64encode(content), base64.urlsafe_b64encode(content).rstrip(b"=")):
        request = {"image": {"content": encoded.decode()}, "features": [{"type": 7}]}
        answers.append(web.post(CALL, json={"requests": [request]}).json())
    assert answers[0] == answers[1]
    assert "imagePropertiesAnnotation" in answers[0]["responses"][0]
