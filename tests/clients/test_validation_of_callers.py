"""What is refused for who asks, row by row, through Google's Python client and with API keys."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.api_core import exceptions

from tapetum.identity.api_keys import ApiKeys

SETTINGS = """
auth = "api-key"
web_fetch = "any"

[projects.mine]
buckets = ["gs://photos", "gs://results"]

[projects.other]
buckets = ["gs://secret"]

[principals.alice]
project = "mine"

[principals.busy]
project = "mine"
requests_per_minute = 1

[principals.large]
project = "mine"
images_in_progress = 1
"""


def image(uri: str):
    return {"image": {"source": {"image_uri": uri}}, "features": [{"type_": "IMAGE_PROPERTIES"}]}


class Caller:
    """Google's client with one API key."""

    def __init__(self, running, key: str) -> None:
        self._client = running.client()
        self._more = {"metadata": [("x-goog-api-key", key)] if key else [], "retry": None}

    def annotate(self, *uris: str, parent: str = ""):
        request = {"requests": [image(uri) for uri in uris], "parent": parent}
        return self._client.batch_annotate_images(request, **self._more).responses

    def start(self, uri: str, images: int = 1):
        """The operation, once it has ended."""
        request = {
            "requests": [image("gs://photos/cat.jpg")] * images,
            "output_config": {"gcs_destination": {"uri": uri}, "batch_size": 100},
        }
        operation = self._client.async_batch_annotate_images(request, **self._more).operation
        while not operation.done:
            operation = self.get(operation.name)
        return operation

    def get(self, name: str):
        operations = self._client.transport.operations_client
        # A list of its own: the client adds to it.
        return operations.get_operation(name, metadata=list(self._more["metadata"]))


@pytest.fixture(scope="module")
def callers(new_server, tmp_path_factory, photos):
    """Those of `SETTINGS` by name, and one without a key, one with a wrong one."""
    folder = tmp_path_factory.mktemp("asking")
    (folder / "settings.toml").write_text(SETTINGS)
    keys = ApiKeys(folder / "data" / "api-keys.json")
    made = {name: keys.make(name)[0] for name in ("alice", "busy", "large")}
    running = new_server(folder / "data", "--settings", str(folder / "settings.toml"))
    for bucket in ("photos", "results", "secret"):
        (running.bucket(bucket) / "cat.jpg").write_bytes((photos / "cat.jpg").read_bytes())
    yield {
        name: Caller(running, key)
        for name, key in {**made, "nobody": "", "wrong": "tapetum_wrong"}.items()
    }
    running.kill()


def retry_delay(error: exceptions.GoogleAPICallError) -> float:
    """The seconds of its RetryInfo."""
    [retry] = [one for one in error.details if hasattr(one, "retry_delay")]
    return retry.retry_delay.ToMilliseconds() / 1000


UNKNOWN = {"no credentials": "nobody", "a wrong API key": "wrong"}


@pytest.mark.parametrize("text", UNKNOWN)
def test_who_is_not_known(callers, row, text):
    row(text, "call", 16)
    with pytest.raises(exceptions.Unauthenticated) as caught:
        callers[UNKNOWN[text]].annotate("gs://photos/cat.jpg")
    assert caught.value.reason in ("CREDENTIALS_MISSING", "API_KEY_INVALID")


def test_the_parent_of_others(callers, row):
    row("another project in `parent`", "call", 7)
    with pytest.raises(exceptions.PermissionDenied):
        callers["alice"].annotate("gs://photos/cat.jpg", parent="projects/other")


def test_more_than_the_quota_at_once(callers, row):
    row("more calls than the quota, with a RetryInfo", "call", 8)
    callers["busy"].annotate("gs://photos/cat.jpg")
    with pytest.raises(exceptions.ResourceExhausted) as caught:
        callers["busy"].annotate("gs://photos/cat.jpg")
    assert caught.value.message.startswith("Quota exceeded")
    assert 0 < retry_delay(caught.value) <= 60


@pytest.fixture
def slow_site() -> Iterator[tuple[str, threading.Event, threading.Event]]:
    """The URL of a web server that answers in the end; when it was asked, and when it may."""
    asked, may_answer = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            may_answer.wait(60)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/a.png", asked, may_answer
    may_answer.set()
    server.shutdown()
    server.server_close()


def test_more_images_than_the_quota_at_once(callers, slow_site, row):
    row("more images at once than `images_in_progress`, with a RetryInfo", "call", 8)
    url, asked, may_answer = slow_site
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(callers["large"].annotate, url)
        assert asked.wait(60)
        with pytest.raises(exceptions.ResourceExhausted) as caught:
            callers["large"].annotate("gs://photos/cat.jpg")
        may_answer.set()
        assert first.result()
    assert caught.value.message.startswith("Quota exceeded")
    assert 0 < retry_delay(caught.value) <= 60
    assert callers["large"].annotate("gs://photos/cat.jpg")


def test_a_batch_waits_its_turn_instead(callers, row):
    row("more images in a batch than `images_in_progress`: they wait", "no error", 0)
    assert not callers["large"].start("gs://results/waits/", images=20).error.code


def test_the_input_of_others(callers, row):
    row("an object that the caller may not read", "image", 7)
    mine, theirs = callers["alice"].annotate("gs://photos/cat.jpg", "gs://secret/cat.jpg")
    assert not mine.error.code
    assert theirs.error.code == 7
    assert theirs.error.message == "Error opening file: gs://secret/cat.jpg."


def test_the_output_of_others(callers, row):
    row("an output bucket that the caller may not write", "operation", 7)
    error = callers["alice"].start("gs://secret/x/").error
    assert error.code == 7
    assert error.message == "Error writing final output to: gs://secret/x/"
