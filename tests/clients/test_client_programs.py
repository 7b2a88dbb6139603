"""The example programs: three languages of unmodified clients, over gRPC and REST."""

from __future__ import annotations

import json
import re

import pytest

from tapetum.operations.service import FIRST_ANSWER

pytestmark = pytest.mark.slow
TABLE = "calls"
#: It knows no path to cancel, delete or list, and throws before it sends anything.
NO_PATHS = "Node.js REST"


def is_done(facts: dict) -> bool:
    return facts["files"] == ["output-1-to-2.json", "output-3-to-3.json"] and facts["state"] in (
        "DONE",
        3,
    )


CALLS = {
    "batch": "AsyncBatchAnnotateImages: start, wait, read the results from the bucket",
    "sync": "BatchAnnotateImages",
    "files_batch": "AsyncBatchAnnotateFiles: a PDF of three pages, read the results",
    "files": "BatchAnnotateFiles: the last and the first page of a PDF",
    "failing": "one image failing inside a batch",
    "unwritable": "an output that cannot be written: operation error 7",
    "too_many": "more than 2000 images: INVALID_ARGUMENT",
    "unknown": "GetOperation of an unknown name: NOT_FOUND",
    "attach": "taking up an operation by its name in a new process",
    "cancel": "CancelOperation: operation error 1",
    "list": "ListOperations",
    "delete": "DeleteOperation",
}


@pytest.fixture
def said(program, buckets, cell):
    """What ``command`` of the program said; the cell of the page is noted."""

    def ask(command: str) -> dict:
        if command in CALLS:
            cell(TABLE, CALLS[command], program.name)
        return program.of(buckets, command)

    return ask


def test_the_documented_batch(said, buckets, program):
    facts = said("batch")
    assert is_done(facts)
    assert len(facts["labels"]) == 3
    # What the storage client read is what is there.
    prefix = {"Python gRPC": "python-grpc", "Python REST": "python-rest"}.get(program.name)
    if prefix:
        folder = buckets.bucket("results") / prefix / "batch"
        assert [path.name for path in sorted(folder.iterdir())] == facts["files"]
        [first, _] = json.loads((folder / "output-1-to-2.json").read_text())["responses"]
        assert first["labelAnnotations"][0]["description"] == facts["labels"][0]


def test_a_call_that_is_answered_at_once(said):
    facts = said("sync")
    assert facts["colours"] == 10
    assert facts["label"]


def test_the_pages_of_a_file_in_a_batch(said):
    facts = said("files_batch")
    assert facts["files"] == ["output-1-to-2.json", "output-3-to-3.json"]
    assert facts["texts"] == {str(number): f"Page number {number}" for number in (1, 2, 3)}


def test_pages_of_a_file_at_once(said):
    facts = said("files")
    assert facts["pages"] == 3
    assert facts["texts"] == {"1": "Page number 1", "3": "Page number 3"}


def test_one_image_failing_inside_a_batch(said):
    facts = said("failing")
    assert facts["codes"] == [0, 5]
    assert facts["message"] == "Error opening file: gs://photos/missing.jpg."


def test_an_output_that_cannot_be_written(said):
    facts = said("unwritable")
    assert facts["code"] in (7, "PERMISSION_DENIED")
    assert "Error writing final output to: gs://no-such-bucket/x/" in facts["message"]


def test_too_many_images(said):
    assert "Too many images per request: 2001, the limit is 2000." in said("too_many")["message"]


def test_an_unknown_operation(said):
    facts = said("unknown")
    assert facts["code"] in (404, 5, "NOT_FOUND")
    assert "There is no operation" in facts["message"]


def test_an_operation_is_taken_up_in_a_new_process(said, program, buckets):
    name = program.of(buckets, "start")["name"]
    assert re.fullmatch(r"projects/local/operations/[0-9a-f]{16}", name)
    program.run(buckets, program.attach, name)
    assert re.fullmatch(r"gs://results/[a-z]+-[a-z]+/start/", said("attach")["uri"])


def test_cancelling(said, program):
    if program.name == NO_PATHS:
        assert "Cannot build HTTP request" in said("cannot")["cancel"]
        return
    assert said("cancel") == {"code": 1, "message": said("cancel")["message"]}
    assert said("cancel")["message"].endswith("The operation was cancelled.")


def test_listing(said, program):
    if program.name == NO_PATHS:
        assert "Cannot build HTTP request" in said("cannot")["list"]
        return
    assert said("list") == {"listed": True}


def test_deleting(said, program):
    if program.name == NO_PATHS:
        assert "Cannot build HTTP request" in said("cannot")["delete"]
        return
    assert said("delete") == {"found": False}


def test_java_does_not_wait_for_what_is_done(program, buckets):
    """It asks first after up to 20 seconds, at random; a job that ends within three is answered
    as done by the call that starts it. On a machine too busy for that with photographs, those
    that are not there remain."""
    if not program.name.startswith("Java"):
        pytest.skip("only Java's client waits like that")
    facts = program.of(buckets, "quick")
    short = [
        waited
        for worked, waited in zip(facts["worked"], facts["waited"], strict=True)
        if worked < FIRST_ANSWER - 1
    ]
    assert short
    assert max(short) < 6
