"""One task end to end: bytes or page → `Picture` → signals → messages → shard object."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from tapetum.detectors import Detector, Maker, by_signal
from tapetum.errors import (
    FeatureNotAvailable,
    FileLost,
    ImageError,
    ImageFailed,
    InvalidImageParameter,
    StoreUnavailable,
    UrlNotAvailable,
)
from tapetum.features import Ask, Feature
from tapetum.identity.principal import Principals
from tapetum.imaging.decoders import Decoders, shared
from tapetum.imaging.picture import Picture
from tapetum.pipeline import fetch, shards
from tapetum.pipeline.documents import Document, fetched, open_document
from tapetum.pipeline.exhaustion import raise_if_exhausted
from tapetum.pipeline.fetch_ahead import Begun, Coming, FetchAhead
from tapetum.pipeline.image_sources import ImageSource, Source, numbered, pages_of
from tapetum.pipeline.spool import Spool
from tapetum.recognisers import Recogniser, in_order, needed
from tapetum.signals import Signals
from tapetum.signals.context import NO_CONTEXT, RequestContext
from tapetum.stores.router import Stores
from tapetum.tasks.control import NOTHING_KNOWN, UNCONTROLLED, Control, Known
from tapetum.tasks.plan import Shard, Task
from tapetum.vision import limits, messages, validation

log = logging.getLogger(__name__)

#: Pictures that go through the detectors together.
WINDOW = 8
#: Pixels after which a window holds no further picture: 24 bits each, 192 MB.
WINDOW_PIXELS = 64_000_000
FETCH_THREADS = 16


@dataclass(slots=True)
class _Image:
    """One image on its way through the detectors. ``context``: who asks, and what its text is
    said to be in."""

    position: int
    source: Source
    context: RequestContext = NO_CONTEXT
    response: Any = field(default_factory=messages.AnnotateImageResponse)
    asks: dict[int, int] = field(default_factory=dict)
    picture: Picture | None = None
    signals: Signals = field(default_factory=Signals)

    def refuse(self, error: ImageError) -> None:
        """``error`` is (part of) the answer. The first error's code counts."""
        status = self.response.error
        if status.code:
            status.message += f" {error.message}"
        else:
            status.code, status.message = error.code, error.message


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who asks, and the stores that they may reach."""

    context: RequestContext
    stores: Stores


class Annotator:
    """Looks at images and says what the features asked for say.

    Holds no state of any one task and is used by many threads at once. ``detectors`` and
    ``recognisers`` are run at most once per image each, only those that the asked features need.
    Raises `ModelError` where two of them make one signal.
    ``principals`` says what the starter of a task or call may read and write, at the time it is
    read and written.
    """

    def __init__(
        self,
        stores: Stores,
        detectors: Iterable[Detector[Any]],
        features: Iterable[Feature],
        recognisers: Iterable[Recogniser[Any]] = (),
        principals: Principals | None = None,
        *,
        decoders: Decoders | None = None,
    ) -> None:
        self._stores = stores
        self._decoders = decoders or shared()
        self._principals = principals or Principals({}, asked=False)
        detectors, recognisers = list(detectors), list(recognisers)
        makers: list[Maker] = [*detectors, *recognisers]
        by_signal(makers)  # no two of one signal
        self._detectors = by_signal(detectors)
        self._recognisers = by_signal(in_order(recognisers))
        self._features = {feature.type: feature for feature in features}
        self._fetchers = ThreadPoolExecutor(FETCH_THREADS, thread_name_prefix="fetch")
        self._spool = Spool()

    def run(self, task: Task, control: Control, known: Known = NOTHING_KNOWN) -> None:
        """Write every shard of ``task`` that is not written yet, in order. What is ``known`` is
        not looked at again.

        Raises `LeaseLost` and `TaskStopped` as ``control`` does, `OutputNotWritable` and
        `StoreUnavailable` as `write_shard` does, `FileLost` when the file whose pages these are
        cannot be opened any more. A bad image is never an exception.
        """
        if task.file:
            self._run_file(task, control, known)
            return
        requests = messages.BatchAnnotateImagesRequest.FromString(task.requests).requests
        context = RequestContext(task.principal, task.project)
        images = [self.source(request, context) for request in requests[task.done :]]
        for shard, answers in self._shards(task, images, control, known):
            response = messages.BatchAnnotateImagesResponse(responses=answers)
            self._write(task, shard, response, control)

    def annotate(
        self,
        requests: bytes,
        context: RequestContext = NO_CONTEXT,
        control: Control = UNCONTROLLED,
        known: Known = NOTHING_KNOWN,
    ) -> bytes:
        """Answer a serialized ``BatchAnnotateImagesRequest`` of ``context`` with a serialized
        response."""
        asked = messages.BatchAnnotateImagesRequest.FromString(requests).requests
        images = [self.source(request, context) for request in asked]
        sources = numbered(images, 1, known)
        answers = self._answers(sources, self._caller(context), control)
        response = messages.BatchAnnotateImagesResponse(responses=answers)
        return bytes(response.SerializeToString())

    def source(self, request: Any, context: RequestContext = NO_CONTEXT) -> ImageSource:
        """The image of an ``AnnotateImageRequest`` of ``context``."""
        return ImageSource(request, self._decoders, _owner(context))

    def begin(self, source: Source, context: RequestContext = NO_CONTEXT) -> None:
        """Begin to get what `answer` will look at, without waiting."""
        source.prepare(self._fetchers, self._caller(context).stores)

    def answer(self, source: Source, context: RequestContext = NO_CONTEXT) -> Any:
        """The ``AnnotateImageResponse`` of one source that was begun."""
        [response] = self._seen(Begun(source), self._caller(context), UNCONTROLLED)
        return response

    def annotate_file(
        self,
        request: bytes,
        context: RequestContext = NO_CONTEXT,
        control: Control = UNCONTROLLED,
        known: Known = NOTHING_KNOWN,
    ) -> bytes:
        """Answer a serialized ``AnnotateFileRequest`` of ``context`` with a serialized response.

        What is wrong with the file is the response's ``error``, which then has nothing else.
        """
        asked = messages.AnnotateFileRequest.FromString(request)
        response = _file_response(asked)
        caller = self._caller(context)
        try:
            with open_document(
                asked.input_config, caller.stores, self._decoders, _owner(context)
            ) as document:
                pages = pages_of(
                    asked, document, document.numbers(asked.pages, limits.MAX_SYNC_PAGES)
                )
                sources = numbered(pages, 1, known)
                response.responses.extend(self._answers(sources, caller, control))
                response.total_pages = document.pages
        except ImageError as error:
            response.error.code, response.error.message = error.code, error.message
        return bytes(response.SerializeToString())

    def close(self) -> None:
        """End the threads that fetch and let go of the files they fetched."""
        self._fetchers.shutdown(cancel_futures=True)
        self._spool.close()

    def _run_file(self, task: Task, control: Control, known: Known) -> None:
        asked = messages.AnnotateFileRequest.FromString(task.requests)
        with self._document_of(task, asked.input_config) as document:
            pages = pages_of(asked, document, range(task.first + task.done, task.last + 1))
            for shard, answers in self._shards(task, pages, control, known):
                response = _file_response(asked)
                response.responses.extend(answers)
                if task.api_version in messages.WITH_TOTAL_PAGES:
                    response.total_pages = document.pages
                self._write(task, shard, response, control)

    @contextmanager
    def _document_of(self, task: Task, config: Any) -> Iterator[Document]:
        """The file of ``task``, fetched once for all of its operation's tasks in this process."""
        principal = self._principals.named(task.principal)
        stores, uri = self._stores.seen_by(principal), fetch.uri_of_file(config)
        key = (task.operation, principal, uri or task.file)
        owner = _owner(RequestContext(task.principal, task.project))
        with ExitStack() as stack:
            try:
                file = stack.enter_context(self._spool.using(key, lambda: fetched(config, stores)))
                document = stack.enter_context(
                    Document(file, config.mime_type, uri, self._decoders, owner)
                )
            except UrlNotAvailable as error:
                raise StoreUnavailable(error.message) from error
            except ImageError as error:
                raise FileLost(error) from error
            yield document

    def _shards(
        self, task: Task, sources: Sequence[Source], control: Control, known: Known
    ) -> Iterator[tuple[Shard, list[Any]]]:
        """Each shard not yet written and its answers."""
        positioned = numbered(sources, task.first + task.done, known)
        answers = self._answers_of_task(task, positioned, control)
        for shard in task.shards_left():
            yield shard, list(islice(answers, len(shard)))

    def _write(self, task: Task, shard: Shard, response: Any, control: Control) -> None:
        control.check()
        stores = self._stores_of(task.principal)
        shards.write_shard(stores, task.output_uri, shard, response, task.api_version)
        failed = sum(answer.HasField("error") for answer in response.responses)
        control.written(shard, failed)

    def _answers_of_task(
        self, task: Task, sources: Sequence[tuple[int, Source]], control: Control
    ) -> Iterator[Any]:
        """Responses in order, with what a batch adds to them: the image's URI, and a log line for
        each that failed."""
        answers = self._answers(sources, self._caller_of(task), control)
        for (position, source), response in zip(sources, answers, strict=True):
            if source.uri:
                response.context.uri = source.uri
            if response.HasField("error"):
                log.warning(
                    "%s failed: operation=%s %s=%d uri=%s code=%d %s",
                    "page" if task.file else "image",
                    task.operation,
                    "page" if task.file else "image",
                    position,
                    repr(source.uri) if source.uri else "(inline)",
                    response.error.code,
                    ascii(response.error.message)[1:-1],
                )
            yield response

    def _answers(
        self, sources: Iterable[tuple[int, Source]], caller: _Caller, control: Control
    ) -> Iterator[Any]:
        """Responses in order of ``sources``, positions and what is there; ``control`` may stop the
        work by raising."""
        with closing(FetchAhead(sources, self._fetchers, caller.stores)) as coming:
            yield from self._seen(coming, caller, control)

    def _seen(self, coming: Coming, caller: _Caller, control: Control) -> Iterator[Any]:
        """Responses to the sources that are ``coming``, in windows."""
        while images := self._window(coming, caller.context, control):
            for signal, detector in self._detectors.items():
                self._detect(detector, [image for image in images if signal in self._needs(image)])
            for signal, recogniser in self._recognisers.items():
                for image in images:
                    if signal in self._needs(image):
                        self._recognise(recogniser, image)
            for image in images:
                self._describe(image)
                image.source.finish(image.response)
                image.picture = None
                control.finished(image.position)
            # Only now: while an answer is written, no image is in hand.
            yield from (image.response for image in images)

    def _window(self, coming: Coming, context: RequestContext, control: Control) -> list[_Image]:
        """The next `WINDOW` pictures, or fewer that are large, or that are here: while there are
        images in hand, no store is waited for."""
        images: list[_Image] = []
        pixels = 0
        while len(images) < WINDOW and pixels < WINDOW_PIXELS:
            control.check()
            next_source = coming.take(wait=not images)
            if next_source is None:
                break
            position, source = next_source
            control.check()
            control.started(position)
            image = self._opened(position, source, context)
            images.append(image)
            if image.picture is not None:
                pixels += image.picture.pixels.shape[0] * image.picture.pixels.shape[1]
        return images

    def _stores_of(self, principal: str) -> Stores:
        return self._stores.seen_by(self._principals.named(principal))

    def _caller_of(self, task: Task) -> _Caller:
        return self._caller(RequestContext(task.principal, task.project))

    def _caller(self, context: RequestContext) -> _Caller:
        """A caller who is not (any more) of the context's project sees none of its galleries."""
        if not self._principals.named(context.principal).may_see(context.project):
            context = replace(context, project="")
        return _Caller(context, self._stores_of(context.principal))

    def _opened(self, position: int, source: Source, context: RequestContext) -> _Image:
        """The image decoded as large as the features asked for want it; an error in its place."""
        image = _Image(position, source, context)
        if source.answer is not None:
            image.response = source.answer
            return image
        try:
            image.asks = validation.image_asks(source.request)
            image.context = replace(context, languages=_languages(image))
            if image.asks:
                image.picture = source.picture(lambda w, h: self._side(image, w, h))
        except ImageError as error:
            image.refuse(error)
        except Exception as error:
            raise_if_exhausted(error)
            log.exception("unexpected fault while opening an image")
            image.refuse(ImageFailed("The image could not be opened: a fault of this server."))
        return image

    def _side(self, image: _Image, width: int, height: int) -> int:
        makers = (
            self._detectors.get(signal) or self._recognisers[signal]
            for signal in self._needs_of(image)
        )
        return max((maker.max_side(width, height) for maker in makers), default=1)

    def _needs(self, image: _Image) -> set[type]:
        return self._needs_of(image) if image.picture is not None else set()

    def _needs_of(self, image: _Image) -> set[type]:
        features = (self._features.get(kind) for kind in image.asks)
        asked = {need for feature in features if feature is not None for need in feature.needs}
        return needed(asked, self._recognisers)

    def _detect(self, detector: Detector[Any], images: Sequence[_Image]) -> None:
        """Give each image the detector's signal. One that fails does not fail the others."""
        pictures = [image.picture for image in images if image.picture is not None]
        if not pictures:
            return
        contexts = [image.context for image in images if image.picture is not None]
        try:
            signals = detector.detect(pictures, contexts)
        except Exception as error:
            raise_if_exhausted(error)
            if len(images) > 1:
                for image in images:
                    self._detect(detector, [image])
                return
            log.exception("the detector of %s failed", detector.signal.__name__)
            return
        for image, signal in zip(images, signals, strict=True):
            image.signals.add(signal)

    def _recognise(self, recogniser: Recogniser[Any], image: _Image) -> None:
        """Give the image the recogniser's signal."""
        if image.picture is None:
            return
        try:
            signal = recogniser.recognise(image.picture, image.signals, image.context)
        except Exception as error:
            raise_if_exhausted(error)
            log.exception("the recogniser of %s failed", recogniser.signal.__name__)
            return
        image.signals.add(signal)

    def _describe(self, image: _Image) -> None:
        if image.picture is None:
            return
        for kind, max_results in image.asks.items():
            feature = self._features.get(kind)
            name = messages.Feature.Type.Name(kind)
            context = image.source.request.image_context
            ask = Ask(max_results, image.picture.width, image.picture.height, context)
            try:
                if feature is None:
                    raise FeatureNotAvailable(f"{name} is not available on this server yet.")
                feature.describe(ask, image.signals, image.response)
            except ImageError as error:
                image.refuse(error)
            except Exception as error:
                raise_if_exhausted(error)
                log.exception("%s failed", name)
                image.refuse(ImageFailed(f"{name} failed on this image: a fault of this server."))


def _languages(image: _Image) -> tuple[str, ...]:
    """The languages hinted at. A hint that is not read is an error of text alone (Google: "Text
    detection returns an error"): the other features are answered."""
    try:
        return validation.text_languages(image.source.request)
    except InvalidImageParameter as error:
        image.refuse(error)
        for kind in validation.TEXT_FEATURES:
            image.asks.pop(kind, None)
        return ()


def _owner(context: RequestContext) -> str:
    """Whose pictures may share a decoder: those of one caller for one project."""
    return f"{context.project}/{context.principal}"


def _file_response(asked: Any) -> Any:
    """An ``AnnotateFileResponse`` that says which file it is about, without repeating it."""
    response = messages.AnnotateFileResponse()
    response.input_config.mime_type = asked.input_config.mime_type
    if not asked.input_config.content:
        response.input_config.gcs_source.uri = asked.input_config.gcs_source.uri
    return response
