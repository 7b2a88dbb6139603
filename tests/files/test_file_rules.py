"""The table of rules for files, a request that breaks each of them, and the answer."""

from __future__ import annotations

from typing import Any

import pytest

from tapetum.errors import InvalidRequest
from tapetum.vision import messages, validation

BOTH, SYNC, ASYNC = (True, False), (True,), (False,)
NO_FILE = "Request must specify a file, as input_config.gcs_source.uri or input_config.content."


def good(sync: bool, files: int = 1) -> Any:
    kind = messages.BatchAnnotateFilesRequest if sync else messages.AsyncBatchAnnotateFilesRequest
    request = kind()
    for _ in range(files):
        item = request.requests.add()
        item.input_config.gcs_source.uri = "gs://b/a.pdf"
        item.input_config.mime_type = "application/pdf"
        item.features.add(type_=5)
        if sync:
            item.pages.extend([1, -1])
        else:
            item.output_config.gcs_destination.uri = "gs://out/x"
    return request


def more_files(request: Any, count: int) -> None:
    request.requests.extend([request.requests[0]] * (count - 1))


# rule, the methods it holds for, how to break it, the field named, the message
BROKEN = [
    (
        "no requests", BOTH, lambda r: r.requests.pop(), "requests",
        "Request must specify image and features.",
    ),
    (
        "too many files, sync", SYNC, lambda r: more_files(r, 2), "requests",
        "Too many files per request: 2, the limit is 1.",
    ),
    (
        "too many files, async", ASYNC, lambda r: more_files(r, 101), "requests",
        "Too many files per request: 101, the limit is 100.",
    ),
    (
        "bad parent", BOTH, lambda r: setattr(r, "parent", "folders/1"), "parent",
        "'folders/1' is not projects/PROJECT or projects/PROJECT/locations/LOCATION.",
    ),
    (
        "bad output", ASYNC, lambda r: r.requests[0].ClearField("output_config"),
        "requests[0].output_config.gcs_destination.uri",
        "Request must specify where the output goes, as gs://BUCKET/PREFIX.",
    ),
    (
        "bad batch size", ASYNC,
        lambda r: setattr(r.requests[0].output_config, "batch_size", 101),
        "requests[0].output_config.batch_size", "batch_size must be 1 to 100, it is 101.",
    ),
    (
        "no file", BOTH, lambda r: r.requests[0].input_config.ClearField("gcs_source"),
        "requests[0].input_config", NO_FILE,
    ),
    (
        "bad mime_type", BOTH,
        lambda r: setattr(r.requests[0].input_config, "mime_type", "image/png"),
        "requests[0].input_config.mime_type",
        "mime_type must be one of application/pdf, image/tiff, image/gif, it is 'image/png'.",
    ),
    (
        "no features", BOTH, lambda r: r.requests[0].ClearField("features"),
        "requests[0].features", "Request must specify image and features.",
    ),
    (
        "unknown feature", BOTH, lambda r: setattr(r.requests[0].features[0], "type_", 99),
        "requests[0].features[0].type", "There is no feature type 99.",
    ),
    (
        "negative max_results", BOTH,
        lambda r: setattr(r.requests[0].features[0], "max_results", -1),
        "requests[0].features[0].max_results", "max_results must not be negative, it is -1.",
    ),
    (
        "bad pages", SYNC, lambda r: r.requests[0].pages.extend([2, 3, 4, 5]),
        "requests[0].pages", "Too many pages per request: 6, the limit is 5.",
    ),
    (
        "bad pages", SYNC, lambda r: r.requests[0].pages.append(0),
        "requests[0].pages[2]", "There is no page 0: the first page is 1, the last one -1.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sync", "apply", "field", "wrong"),
    [(sync, *row[2:]) for row in BROKEN for sync in row[1]],
)
def test_a_broken_rule_names_the_field(sync, apply, field, wrong):
    request = good(sync)
    apply(request)
    with pytest.raises(InvalidRequest) as caught:
        validation.check_files(request, sync=sync)
    assert caught.value.message == f"{wrong} ({field})"
    assert [violation.field for violation in caught.value.violations] == [field]


@pytest.mark.parametrize("sync", BOTH)
def test_a_good_request_passes(sync):
    validation.check_files(good(sync), sync=sync)
    if not sync:
        validation.check_files(good(sync, files=100), sync=sync)


def test_every_rule_is_broken_once():
    held = {(rule.name, sync) for rule in validation.FILE_RULES for sync in BOTH
            if (rule.sync if sync else rule.asynchronous)}  # fmt: skip
    assert held == {(name, sync) for name, methods, *_ in BROKEN for sync in methods}
