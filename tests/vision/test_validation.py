"""The table of rules, a request that breaks each of them, and the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tapetum.errors import InvalidImageParameter, InvalidRequest
from tapetum.vision import messages, validation

MISSING = "Request must specify image and features."


def item(uri: str = "gs://b/a.jpg", features: list[dict[str, Any]] | None = None) -> Any:
    made = messages.AnnotateImageRequest()
    made.image.source.image_uri = uri
    for feature in [{"type_": 4}] if features is None else features:
        made.features.add(**feature)
    return made


def good(sync: bool, images: int = 1) -> Any:
    kind = messages.BatchAnnotateImagesRequest if sync else messages.AsyncBatchAnnotateImagesRequest
    request = kind(requests=[item()] * images)
    if not sync:
        request.output_config.gcs_destination.uri = "gs://out/prefix"
    return request


def change(path: str, value: Any) -> Callable[[Any], None]:
    """Sets ``requests[0].x.y`` or ``x.y`` of a request."""

    def apply(request: Any) -> None:
        target = request
        *way, last = path.split(".")
        for step in way:
            name, _, index = step.partition("[")
            target = getattr(target, name)
            target = target[int(index[:-1])] if index else target
        setattr(target, last, value)

    return apply


def replace(*items: Any) -> Callable[[Any], None]:
    def apply(request: Any) -> None:
        del request.requests[:]
        request.requests.extend(items)

    return apply


BOTH, SYNC, ASYNC = (True, False), (True,), (False,)

# rule, the methods it holds for, how to break it, the field named, the message
BROKEN = [
    ("no requests", BOTH, replace(), "requests", MISSING),
    (
        "too many images, sync", SYNC, replace(*[item()] * 17), "requests",
        "Too many images per request: 17, the limit is 16.",
    ),
    (
        "too many images, async", ASYNC, replace(*[item()] * 2001), "requests",
        "Too many images per request: 2001, the limit is 2000.",
    ),
    (
        "bad parent", BOTH, change("parent", "folders/1"), "parent",
        "'folders/1' is not projects/PROJECT or projects/PROJECT/locations/LOCATION.",
    ),
    (
        "bad parent", BOTH, change("parent", "projects/p/locations/mars"), "parent",
        "The location 'mars' is none of us, asia, eu.",
    ),
    (
        "bad output", ASYNC, change("output_config.gcs_destination.uri", ""),
        "output_config.gcs_destination.uri",
        "Request must specify where the output goes, as gs://BUCKET/PREFIX.",
    ),
    (
        "bad output", ASYNC, change("output_config.gcs_destination.uri", "/tmp/x"),
        "output_config.gcs_destination.uri",
        "The output must go to gs://BUCKET/PREFIX, not '/tmp/x'.",
    ),
    (
        "bad output", ASYNC, change("output_config.gcs_destination.uri", "gs:///x"),
        "output_config.gcs_destination.uri",
        "The output must go to gs://BUCKET/PREFIX, not 'gs:///x'.",
    ),
    (
        "bad batch size", ASYNC, change("output_config.batch_size", 101),
        "output_config.batch_size", "batch_size must be 1 to 100, it is 101.",
    ),
    (
        "bad batch size", ASYNC, change("output_config.batch_size", -1),
        "output_config.batch_size", "batch_size must be 1 to 100, it is -1.",
    ),
    ("no image", BOTH, replace(item(), item(uri="")), "requests[1].image", MISSING),
    (
        "no features", BOTH, replace(item(), item(features=[])), "requests[1].features", MISSING,
    ),
    (
        "no features", BOTH, replace(item(features=[{"type_": 0}])), "requests[0].features",
        MISSING,
    ),
    (
        "unknown feature", BOTH, replace(item(features=[{"type_": 4}, {"type_": 77}])),
        "requests[0].features[1].type", "There is no feature type 77.",
    ),
    (
        "negative max_results", BOTH, replace(item(features=[{"type_": 4, "max_results": -1}])),
        "requests[0].features[0].max_results", "max_results must not be negative, it is -1.",
    ),
]  # fmt: skip

CASES = [
    pytest.param(sync, *rest, id=f"{'sync' if sync else 'async'}: {name} {index}")
    for index, (name, methods, *rest) in enumerate(BROKEN)
    for sync in methods
]


@pytest.mark.parametrize(("sync", "break_it", "field", "message"), CASES)
def test_a_broken_rule_fails_the_call_and_names_the_field(sync, break_it, field, message):
    request = good(sync)
    break_it(request)
    with pytest.raises(InvalidRequest) as caught:
        validation.check(request, sync=sync)
    assert caught.value.message == f"{message} ({field})"
    assert [(one.field, one.description) for one in caught.value.violations] == [(field, message)]


def test_every_rule_has_a_case():
    assert {name for name, *_ in BROKEN} == {rule.name for rule in validation.RULES}


@pytest.mark.parametrize("sync", BOTH)
def test_what_is_allowed_passes(sync):
    request = good(sync, images=16 if sync else 2000)
    for parent in ("", "projects/p", "projects/p/locations/eu"):
        request.parent = parent
        validation.check(request, sync=sync)
    if not sync:
        for size in (0, 1, 20, 100):
            request.output_config.batch_size = size
            validation.check(request, sync=sync)
        request.output_config.gcs_destination.uri = "gs://bucket"
        validation.check(request, sync=sync)


def test_batch_size_defaults_to_20():
    assert validation.batch_size_of(good(sync=False)) == 20


def test_max_results_defaults_to_10_and_repeated_features_count_once():
    features = [
        {"type_": 7},
        {"type_": 4, "max_results": 3},
        {"type_": 4, "max_results": 25},
        {"type_": 0},
        {"type_": 5, "model": "builtin/weekly"},
    ]
    assert validation.image_asks(item(features=features)) == {4: 25, 5: 10, 7: 10}


def test_a_model_there_is_not_is_the_images_error():
    with pytest.raises(InvalidImageParameter, match=r"features\[1\]\.model: .*'best'"):
        validation.image_asks(item(features=[{"type_": 5}, {"type_": 4, "model": "best"}]))


# --- language hints -----------------------------------------------------------------------------


def hinted_item(*hints: str, feature: int = messages.Feature.TEXT_DETECTION) -> Any:
    made = item(features=[{"type_": feature}])
    made.image_context.language_hints.extend(hints)
    return made


def test_hints_are_the_codes_of_languages_each_once() -> None:
    request = hinted_item("KO", "en-t-i0-handwrit", "pt-BR", "ko", "iw")
    assert validation.text_languages(request) == ("ko", "en", "pt", "he")


@pytest.mark.parametrize("hint", ["xx", "", "english", "en_US", "日本語"])
def test_a_hint_that_is_not_read_names_its_field(hint: str) -> None:
    with pytest.raises(
        InvalidImageParameter, match=r"image_context\.language_hints\[1\]"
    ) as caught:
        validation.text_languages(hinted_item("en", hint))
    assert repr(hint) in caught.value.message


def test_an_endless_hint_is_not_repeated_whole() -> None:
    with pytest.raises(InvalidImageParameter) as caught:
        validation.text_languages(hinted_item("x" * 100_000))
    assert len(caught.value.message) < 300


def test_hints_are_for_text_alone() -> None:
    request = hinted_item("xx", feature=messages.Feature.LABEL_DETECTION)
    assert validation.text_languages(request) == ()
