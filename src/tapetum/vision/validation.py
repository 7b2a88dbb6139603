"""Every check of a request's arguments.

`RULES` and `FILE_RULES` are the tables of what makes a whole call fail; each row names the field
it is about.
`image_asks` reads one image's request and raises what is only that image's error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from tapetum.errors import FieldViolation, InvalidImageParameter, InvalidRequest
from tapetum.layout.scripts import hinted
from tapetum.vision import messages
from tapetum.vision.formats import FORMATS
from tapetum.vision.limits import (
    DEFAULT_BATCH_SIZE,
    DEFAULT_MAX_RESULTS,
    MAX_ASYNC_FILES,
    MAX_ASYNC_IMAGES,
    MAX_BATCH_SIZE,
    MAX_SYNC_FILES,
    MAX_SYNC_IMAGES,
    MAX_SYNC_PAGES,
    MIN_BATCH_SIZE,
)

#: The features that `text_languages` are for.
TEXT_FEATURES = (messages.Feature.TEXT_DETECTION, messages.Feature.DOCUMENT_TEXT_DETECTION)
#: Characters of a hint that an error repeats.
MAX_HINT_SHOWN = 40
MODELS = ("", "builtin/stable", "builtin/latest", "builtin/weekly")

_PARENT = re.compile(r"projects/(?P<project>[^/\s]+)(/locations/(?P<location>[^/\s]+))?")
LOCATIONS = ("us", "asia", "eu")

_Found = Iterator[tuple[str, str]]  # (field, what is wrong with it)


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason for which a call fails. ``find`` yields (field, what is wrong) pairs."""

    name: str
    sync: bool
    asynchronous: bool
    find: Callable[[Any], _Found]


def check(request: Any, *, sync: bool) -> None:
    """Raise `InvalidRequest` for the first rule of `RULES` that ``request`` breaks."""
    _check(RULES, request, sync)


def check_files(request: Any, *, sync: bool) -> None:
    """Raise `InvalidRequest` for the first rule of `FILE_RULES` that ``request`` breaks."""
    _check(FILE_RULES, request, sync)


def _check(rules: Collection[Rule], request: Any, sync: bool) -> None:
    for rule in rules:
        if not (rule.sync if sync else rule.asynchronous):
            continue
        violation = next(rule.find(request), None)
        if violation is not None:
            field, wrong = violation
            raise InvalidRequest(f"{wrong} ({field})", [FieldViolation(field, wrong)])


def parent_of(parent: str) -> tuple[str, str]:
    """``projects/p/locations/l`` → ``("p", "l")``; either is empty when not given."""
    named = _PARENT.fullmatch(parent)
    return (named["project"], named["location"] or "") if named else ("", "")


def batch_size_of(request: Any) -> int:
    """The batch size that a request (of images, or of one file) asks for, or the default."""
    return request.output_config.batch_size or DEFAULT_BATCH_SIZE


def image_asks(request: Any) -> dict[int, int]:
    """Feature type → how many results are wanted, in order of type.

    A feature asked for twice counts once with the larger number; TYPE_UNSPECIFIED beside others
    counts for nothing. Raises `InvalidImageParameter` for a model there is not.
    """
    asks: dict[int, int] = {}
    for index, feature in enumerate(request.features):
        if feature.model not in MODELS:
            raise InvalidImageParameter(
                f"features[{index}].model: there is no model {feature.model!r}; leave it empty or "
                "use builtin/stable or builtin/latest."
            )
        kind = feature.type_
        if kind != messages.Feature.TYPE_UNSPECIFIED:
            asks[kind] = max(asks.get(kind, 0), feature.max_results or DEFAULT_MAX_RESULTS)
    return dict(sorted(asks.items()))


def text_languages(request: Any) -> tuple[str, ...]:
    """What ``image_context.language_hints`` say, as codes of `tapetum.layout.scripts.LANGUAGES`.

    Hints are for text: empty where no text is asked for. Raises `InvalidImageParameter` for a hint
    that is no language this server reads.
    """
    if not any(feature.type_ in TEXT_FEATURES for feature in request.features):
        return ()
    codes: dict[str, None] = {}
    for index, hint in enumerate(request.image_context.language_hints):
        language = hinted(hint)
        if language is None:
            shown = hint if len(hint) <= MAX_HINT_SHOWN else f"{hint[:MAX_HINT_SHOWN]}..."
            raise InvalidImageParameter(
                f"image_context.language_hints[{index}]: the language {shown!r} is not read here; "
                "leave the hint out, or use one of the codes listed in docs/features.md."
            )
        codes[language.code] = None
    return tuple(codes)


# --- the rules --------------------------------------------------------------------------------

_MISSING = "Request must specify image and features."
_NO_FILE = "Request must specify a file, as input_config.gcs_source.uri or input_config.content."


def _no_requests(request: Any) -> _Found:
    if not request.requests:
        yield "requests", _MISSING


def _too_many(things: str, limit: int) -> Callable[[Any], _Found]:
    def find(request: Any) -> _Found:
        count = len(request.requests)
        if count > limit:
            yield "requests", f"Too many {things} per request: {count}, the limit is {limit}."

    return find


def _no_image(request: Any) -> _Found:
    for index, item in enumerate(request.requests):
        source = item.image.source
        if not (item.image.content or source.image_uri or source.gcs_image_uri):
            yield f"requests[{index}].image", _MISSING


def _no_features(request: Any) -> _Found:
    for index, item in enumerate(request.requests):
        if all(feature.type_ == messages.Feature.TYPE_UNSPECIFIED for feature in item.features):
            yield f"requests[{index}].features", _MISSING


def _unknown_feature(request: Any) -> _Found:
    known = messages.Feature.Type.values()
    for index, item in enumerate(request.requests):
        for place, feature in enumerate(item.features):
            if feature.type_ not in known:
                field = f"requests[{index}].features[{place}].type"
                yield field, f"There is no feature type {feature.type_}."


def _negative_max_results(request: Any) -> _Found:
    for index, item in enumerate(request.requests):
        for place, feature in enumerate(item.features):
            if feature.max_results < 0:
                field = f"requests[{index}].features[{place}].max_results"
                yield field, f"max_results must not be negative, it is {feature.max_results}."


def _bad_parent(request: Any) -> _Found:
    if not request.parent:
        return
    project, location = parent_of(request.parent)
    if not project:
        yield (
            "parent",
            f"{request.parent!r} is not projects/PROJECT or projects/PROJECT/locations/LOCATION.",
        )
    elif location and location not in LOCATIONS:
        yield "parent", f"The location {location!r} is none of {', '.join(LOCATIONS)}."


def _bad_batch_size(request: Any, where: str = "") -> _Found:
    size = request.output_config.batch_size
    if size and not MIN_BATCH_SIZE <= size <= MAX_BATCH_SIZE:
        wrong = f"batch_size must be {MIN_BATCH_SIZE} to {MAX_BATCH_SIZE}, it is {size}."
        yield f"{where}output_config.batch_size", wrong


_OUTPUT = re.compile(r"gs://[^/\s]+(/.*)?", re.DOTALL)


def _bad_output(request: Any, where: str = "") -> _Found:
    uri = request.output_config.gcs_destination.uri
    field = f"{where}output_config.gcs_destination.uri"
    if not uri:
        yield field, "Request must specify where the output goes, as gs://BUCKET/PREFIX."
    elif not _OUTPUT.fullmatch(uri):
        yield field, f"The output must go to gs://BUCKET/PREFIX, not {uri!r}."


def _per_request(find: Callable[[Any, str], _Found]) -> Callable[[Any], _Found]:
    def of_each(request: Any) -> _Found:
        for index, item in enumerate(request.requests):
            yield from find(item, f"requests[{index}].")

    return of_each


def _no_file(item: Any, where: str) -> _Found:
    if not (item.input_config.content or item.input_config.gcs_source.uri):
        yield f"{where}input_config", _NO_FILE


def _bad_mime_type(item: Any, where: str) -> _Found:
    given = item.input_config.mime_type
    if given not in FORMATS:
        wrong = f"mime_type must be one of {', '.join(FORMATS)}, it is {given!r}."
        yield f"{where}input_config.mime_type", wrong


def _bad_pages(item: Any, where: str) -> _Found:
    if len(item.pages) > MAX_SYNC_PAGES:
        wrong = f"Too many pages per request: {len(item.pages)}, the limit is {MAX_SYNC_PAGES}."
        yield f"{where}pages", wrong
    for index, page in enumerate(item.pages):
        if page == 0:
            wrong = "There is no page 0: the first page is 1, the last one -1."
            yield f"{where}pages[{index}]", wrong


#: In the order they are checked; the first that is broken is the answer.
RULES: Collection[Rule] = (
    Rule("no requests", True, True, _no_requests),
    Rule("too many images, sync", True, False, _too_many("images", MAX_SYNC_IMAGES)),
    Rule("too many images, async", False, True, _too_many("images", MAX_ASYNC_IMAGES)),
    Rule("bad parent", True, True, _bad_parent),
    Rule("bad output", False, True, _bad_output),
    Rule("bad batch size", False, True, _bad_batch_size),
    Rule("no image", True, True, _no_image),
    Rule("no features", True, True, _no_features),
    Rule("unknown feature", True, True, _unknown_feature),
    Rule("negative max_results", True, True, _negative_max_results),
)

FILE_RULES: Collection[Rule] = (
    Rule("no requests", True, True, _no_requests),
    Rule("too many files, sync", True, False, _too_many("files", MAX_SYNC_FILES)),
    Rule("too many files, async", False, True, _too_many("files", MAX_ASYNC_FILES)),
    Rule("bad parent", True, True, _bad_parent),
    Rule("bad output", False, True, _per_request(_bad_output)),
    Rule("bad batch size", False, True, _per_request(_bad_batch_size)),
    Rule("no file", True, True, _per_request(_no_file)),
    Rule("bad mime_type", True, True, _per_request(_bad_mime_type)),
    Rule("no features", True, True, _no_features),
    Rule("unknown feature", True, True, _unknown_feature),
    Rule("negative max_results", True, True, _negative_max_results),
    Rule("bad pages", True, False, _per_request(_bad_pages)),
)
