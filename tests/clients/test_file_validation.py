"""What is refused of files of pages, and where the error goes, through Google's Python client.

A *file* error stands in that file's answer, a *page* error in the page's; the others are as in
test_validation.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from google.api_core import exceptions
from google.cloud import vision_v1

from tapetum.pipeline.fetch import MAX_FILE_BYTES
from tapetum.vision.formats import PDF
from tapetum.vision.limits import MAX_PAGES

PAGES = Path(__file__).parents[2] / "examples" / "clients" / "pages.pdf"
COLOURS = [{"type_": "IMAGE_PROPERTIES"}]
NO_FILE = "Request must specify a file"
MISSING = "Request must specify image and features."
EXTRACTING = "Error in extracting images from PDF file gs://pages/"
TREE = b"/Count 3 /Kids [4 0 R 6 0 R 8 0 R]"


def broken(whole: bytes) -> dict[str, bytes]:
    """Files that are wrong in one way each."""
    keys = b"/Encrypt <</Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s>>> /ID [<00> <00>] /Size"
    many = b"/Count %d /Kids [%s]" % (MAX_PAGES + 1, b"4 0 R " * (MAX_PAGES + 1))
    return {
        "damaged.pdf": whole[:400],
        "encrypted.pdf": whole.replace(b"/Size", keys % (b"41" * 32, b"42" * 32)),
        "none.pdf": whole.replace(TREE, b"/Count 0 /Kids []".ljust(len(TREE))),
        "many.pdf": whole.replace(TREE, many),
        "photo.pdf": b"GIF89a no PDF",
        "middle.pdf": whole.replace(b"6 0 obj\n<</Type /Page ", b"6 0 obj\n<</Type /Past "),
    }


@pytest.fixture(scope="module")
def client(buckets):
    folder = buckets.bucket("pages")
    for name, content in broken(PAGES.read_bytes()).items():
        (folder / name).write_bytes(content)
    (folder / "large.pdf").touch()
    os.truncate(folder / "large.pdf", MAX_FILE_BYTES + 1)  # sparse
    with buckets.client() as made:
        yield made


@pytest.fixture
def row(cell) -> Callable[[str, str, str], None]:
    """Notes the row of the page this test is about: what is wrong with one call, the other."""

    def note(text: str, at_once: str, in_a_batch: str) -> None:
        cell("files", text, f"{at_once}|{in_a_batch}")

    return note


def file(uri: str = "gs://photos/pages.pdf", **more):
    config = {"gcs_source": {"uri": uri}, "mime_type": PDF}
    return {"input_config": config, "features": COLOURS} | more


def output(**more):
    where = {"gcs_destination": {"uri": "gs://results/file-validation/"}, "batch_size": 2} | more
    return {"output_config": where}


def refused(call) -> exceptions.GoogleAPICallError:
    with pytest.raises(exceptions.GoogleAPICallError) as caught:
        call()
    return caught.value


def names_field(error: exceptions.GoogleAPICallError, field: str) -> bool:
    return error.details[0].field_violations[0].field.startswith(field)


# --- the call fails -----------------------------------------------------------------------------

SOURCE = {"gcs_source": {"uri": "gs://photos/pages.pdf"}}
MIME_TYPES = "mime_type must be one of application/pdf, image/tiff, image/gif, it is "
#: What is wrong → (the files asked for, how the message begins).
BOTH = {
    "no `requests`": ([], MISSING),
    "a request without a file": ([file(input_config={"mime_type": PDF})], NO_FILE),
    "no `mime_type`": ([file(input_config=SOURCE)], MIME_TYPES),
    "a `mime_type` that is not read": (
        [file(input_config=SOURCE | {"mime_type": "image/jpeg"})], MIME_TYPES,
    ),
    "no features": ([file(features=[])], MISSING),
    "a feature type there is not": ([file(features=[{"type_": 99}])], "There is no feature type"),
    "negative `max_results`": (
        [file(features=[{"type_": 7, "max_results": -1}])], "max_results must not be negative",
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", BOTH)
def test_both_calls_refuse(client, row, text):
    row(text, "call 3", "call 3")
    asked, message = BOTH[text]
    started = [one | output() for one in asked]
    for call in (
        lambda: client.batch_annotate_files(requests=asked),
        lambda: client.async_batch_annotate_files(requests=started),
    ):
        error = refused(call)
        assert type(error) is exceptions.InvalidArgument
        assert error.message.startswith(message)
        assert names_field(error, "requests")


AT_ONCE = {
    "more than one file": ([file()] * 2, "Too many files per request: 2, the limit is 1."),
    "more than 5 pages": ([file(pages=[1, 2, 3, 1, 2, 3])], "Too many pages per request: 6"),
    "page 0": ([file(pages=[0])], "There is no page 0"),
}


@pytest.mark.parametrize("text", AT_ONCE)
def test_at_once_is_refused(client, row, text):
    row(text, "call 3", "")
    asked, message = AT_ONCE[text]
    error = refused(lambda: client.batch_annotate_files(requests=asked))
    assert type(error) is exceptions.InvalidArgument
    assert error.message.startswith(message)
    assert names_field(error, "requests")


IN_A_BATCH = {
    "more than 100 files": ([file() | output()] * 101, "requests"),
    "no `output_config`": ([file()], "requests[0].output_config.gcs_destination.uri"),
    "an output URI that is not gs://": (
        [file() | output(), file() | output(gcs_destination={"uri": "s3://results/x/"})],
        "requests[1].output_config.gcs_destination.uri",
    ),
    "a `batch_size` below 1": (
        [file() | output(batch_size=-1)], "requests[0].output_config.batch_size",
    ),
    "a `batch_size` above 100": (
        [file() | output(batch_size=101)], "requests[0].output_config.batch_size",
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", IN_A_BATCH)
def test_a_batch_is_refused(client, row, text):
    row(text, "", "call 3")
    asked, field = IN_A_BATCH[text]
    error = refused(lambda: client.async_batch_annotate_files(requests=asked))
    assert type(error) is exceptions.InvalidArgument
    assert names_field(error, field)


# --- the file cannot be read --------------------------------------------------------------------

UNREADABLE = {
    "a file that is not there": ("gs://pages/no.pdf", 5, "Error opening file: gs://pages/no.pdf."),
    "a bucket that is not there": (
        "gs://no-such-bucket/a.pdf", 7, "Error opening file: gs://no-such-bucket/a.pdf.",
    ),
    "a URI of a scheme not read here": ("ftp://x/a.pdf", 3, "Invalid file URI specified"),
    "a file of more than 256 MB": ("gs://pages/large.pdf", 3, "File too large: "),
}  # fmt: skip


@pytest.mark.parametrize("text", UNREADABLE)
def test_a_file_that_cannot_be_read(client, row, text):
    uri, code, message = UNREADABLE[text]
    row(text, f"file {code}", f"call {code}")
    [answer] = client.batch_annotate_files(requests=[file(uri)]).responses
    assert (answer.error.code, len(answer.responses)) == (code, 0)
    assert answer.error.message.startswith(message)
    error = refused(lambda: client.async_batch_annotate_files(requests=[file(uri) | output()]))
    assert error.grpc_status_code.value[0] == code
    assert error.message.startswith(message)


# --- the file is broken -------------------------------------------------------------------------

BROKEN = {
    "a damaged file": ("damaged.pdf", "it is damaged"),
    "an encrypted file": ("encrypted.pdf", "it is encrypted and needs a password"),
    "a file that is not what `mime_type` says": ("photo.pdf", "it is no PDF, as its mime_type"),
    "a file without pages": ("none.pdf", "it has no pages"),
    "a file of more than 2000 pages": ("many.pdf", "it has 2001 pages, the limit is 2000."),
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_file(client, row, text):
    row(text, "file 3", "operation 3")
    name, why = BROKEN[text]
    asked = file(f"gs://pages/{name}")
    [answer] = client.batch_annotate_files(requests=[asked]).responses
    assert (answer.error.code, len(answer.responses)) == (3, 0)
    assert answer.error.message.startswith(f"{EXTRACTING}{name}: {why}")
    operation = client.async_batch_annotate_files(requests=[asked | output()])
    error = refused(lambda: operation.result(120))
    assert operation.operation.error.code == 3
    assert error.message == answer.error.message


def test_a_page_that_the_file_has_not(client, row):
    row("a page that the file has not", "file 3", "")
    [answer] = client.batch_annotate_files(requests=[file(pages=[1, 4])]).responses
    assert answer.error.code == 3
    assert answer.error.message == "pages[1]: there is no page 4; the file has 3 pages."


def test_a_page_that_cannot_be_rendered(client, row, buckets):
    row("a page that cannot be rendered", "page 3", "page 3")
    asked = file("gs://pages/middle.pdf")
    [at_once] = client.batch_annotate_files(requests=[asked]).responses
    where = {"gcs_destination": {"uri": "gs://results/middle/"}}
    client.async_batch_annotate_files(requests=[asked | {"output_config": where}]).result(120)
    [path] = (buckets.bucket("results") / "middle").iterdir()
    for answer in (at_once, vision_v1.AnnotateFileResponse.from_json(path.read_text())):
        assert [page.error.code for page in answer.responses] == [0, 3, 0]
        assert answer.responses[1].error.message.startswith("The page cannot be rendered")


# --- the operation fails, or nothing does -------------------------------------------------------


def test_an_output_that_cannot_be_written(client, row):
    row("an output bucket that is not there", "", "operation 7")
    where = output(gcs_destination={"uri": "gs://no-such-bucket/x"})
    operation = client.async_batch_annotate_files(requests=[file() | where])
    assert "Error writing final output to: " in refused(lambda: operation.result(120)).message
    assert operation.operation.error.code == 7


def test_inline_content(client, row):
    row("a file as inline content", "none", "none")
    asked = file(input_config={"content": PAGES.read_bytes(), "mime_type": PDF})
    [answer] = client.batch_annotate_files(requests=[asked]).responses
    assert answer.total_pages == 3
    client.async_batch_annotate_files(requests=[asked | output()]).result(120)
