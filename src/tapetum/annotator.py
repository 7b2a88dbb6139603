"""One task end to end: bytes → `Picture` → signals → messages → shard object."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from itertools import islice
from typing import Any

from tapetum import assemble, fetch, validate, vision
from tapetum.decode import decode
from tapetum.detectors import Detector, Recogniser, Signals
from tapetum.errors import FeatureNotAvailable, ImageError, ImageFailed
from tapetum.features import Ask, Feature
from tapetum.lease import Lease
from tapetum.picture import Picture
from tapetum.plan import Task
from tapetum.stores.router import Stores

log = logging.getLogger(__name__)

#: Pictures that go through the detectors together.
WINDOW = 8
#: Image files fetched ahead of the one being looked at, per task.
AHEAD = 8
FETCH_THREADS = 16


@dataclass(slots=True)
class _Look:
    """One image on its way through the detectors."""

    request: Any
    response: Any = field(default_factory=vision.AnnotateImageResponse)
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


class Annotator:
    """Looks at images and says what the features asked for say.

    Holds no state of any one task and is used by many threads at once. ``detectors`` and
    ``recognisers`` are run at most once per image each, only those that the asked features need.
    ``project`` owns the requests that name no parent.
    """

    def __init__(
        self,
        stores: Stores,
        detectors: Iterable[Detector[Any]],
        features: Iterable[Feature],
        recognisers: Iterable[Recogniser[Any]] = (),
        project: str = "",
    ) -> None:
        self._stores = stores
        self._project = project
        self._detectors = {detector.signal: detector for detector in detectors}
        by_signal = {recogniser.signal: recogniser for recogniser in recognisers}
        order = TopologicalSorter({kind: one.needs for kind, one in by_signal.items()})
        #: Each after those whose signals it needs.
        self._recognisers = {k: by_signal[k] for k in order.static_order() if k in by_signal}
        self._features = {feature.type: feature for feature in features}
        self._fetchers = ThreadPoolExecutor(FETCH_THREADS, thread_name_prefix="fetch")

    def run(self, task: Task, lease: Lease) -> None:
        """Write every shard of ``task`` that is not written yet, in order.

        Raises `LeaseLost` and `TaskStopped` as ``lease`` does, `OutputNotWritable` and
        `StoreUnavailable` as `write_shard` does. A bad image is never an exception.
        """
        requests = vision.BatchAnnotateImagesRequest.FromString(task.requests).requests
        start = task.first + task.done
        answers = self._answers_of_task(task, requests[task.done :], start, lease)
        for shard in task.shards_left():
            responses = list(islice(answers, len(shard)))
            lease.check()
            assemble.write_shard(self._stores, task.output_uri, shard, responses)
            failed = sum(response.HasField("error") for response in responses)
            lease.written(shard, failed)

    def annotate(self, requests: bytes) -> bytes:
        """Answer a serialized ``BatchAnnotateImagesRequest`` with a serialized response."""
        request = vision.BatchAnnotateImagesRequest.FromString(requests)
        project = validate.parent_of(request.parent)[0] or self._project
        answers = self._answers(request.requests, WINDOW, project)
        response = vision.BatchAnnotateImagesResponse(responses=answers)
        return bytes(response.SerializeToString())

    def close(self) -> None:
        """End the threads that fetch."""
        self._fetchers.shutdown(cancel_futures=True)

    def _answers_of_task(
        self, task: Task, requests: Sequence[Any], start: int, lease: Lease
    ) -> Iterator[Any]:
        """Responses in order, with what a batch adds to them: the image's URI, a log line for
        each that failed, and care for images that took a process down."""
        if task.careful:
            answers = self._careful_answers(task, requests, start, lease)
        else:
            answers = self._answers(requests, WINDOW, task.project, lease.check)
        for position, (request, response) in enumerate(zip(requests, answers, strict=True), start):
            uri = fetch.uri_of(request.image)
            if uri:
                response.context.uri = uri
            if response.HasField("error"):
                log.warning(
                    "image failed: operation=%s image=%d uri=%s code=%d %s",
                    task.operation,
                    position,
                    repr(uri) if uri else "(inline)",
                    response.error.code,
                    ascii(response.error.message)[1:-1],
                )
            yield response

    def _careful_answers(
        self, task: Task, requests: Sequence[Any], start: int, lease: Lease
    ) -> Iterator[Any]:
        """One image at a time, each announced first; those known to kill are not touched."""
        for position, request in enumerate(requests, start):
            if position in task.poison:
                look = _Look(request)
                look.refuse(ImageFailed("This image stopped the process that looked at it."))
                yield look.response
            else:
                lease.started(position)
                yield from self._answers([request], 1, task.project, lease.check)

    def _answers(
        self,
        requests: Iterable[Any],
        window: int,
        project: str,
        before_each: Callable[[], None] = lambda: None,
    ) -> Iterator[Any]:
        """Responses in order of ``requests``; ``before_each`` may stop the work by raising."""
        fetched = self._fetch_ahead(requests)
        while batch := list(islice(fetched, window)):
            looks = []
            for request, content in batch:
                before_each()
                looks.append(self._opened(request, content, project))
            for signal, detector in self._detectors.items():
                self._detect(detector, [look for look in looks if signal in self._needs(look)])
            for signal, recogniser in self._recognisers.items():
                for look in looks:
                    if signal in self._needs(look):
                        self._recognise(recogniser, look)
            for look in looks:
                self._describe(look)
                yield look.response

    def _fetch_ahead(self, requests: Iterable[Any]) -> Iterator[tuple[Any, Future[bytes]]]:
        coming: deque[tuple[Any, Future[bytes]]] = deque()
        try:
            for request in requests:
                if len(coming) > AHEAD:
                    yield coming.popleft()
                content = self._fetchers.submit(fetch.fetch, request.image, self._stores)
                coming.append((request, content))
            while coming:
                yield coming.popleft()
        finally:  # the task was stopped: nobody waits for these any more
            for _, content in coming:
                content.cancel()

    def _opened(self, request: Any, content: Future[bytes], project: str) -> _Look:
        """The image decoded as large as the features asked for want it; an error in its place."""
        look = _Look(request)
        try:
            look.asks = validate.image_asks(request)
            picture = decode(content.result(), lambda w, h: self._side(look, w, h))
            look.picture = replace(picture, project=project)
        except ImageError as error:
            look.refuse(error)
        except Exception:
            log.exception("unexpected fault while opening an image")
            look.refuse(ImageFailed("The image could not be opened: a fault of this server."))
        return look

    def _side(self, look: _Look, width: int, height: int) -> int:
        makers = (
            self._detectors.get(signal) or self._recognisers[signal]
            for signal in self._needs_of(look)
        )
        return max((maker.side(width, height) for maker in makers), default=1)

    def _needs(self, look: _Look) -> set[type]:
        return self._needs_of(look) if look.picture is not None else set()

    def _needs_of(self, look: _Look) -> set[type]:
        features = (self._features.get(kind) for kind in look.asks)
        needs = {need for feature in features if feature is not None for need in feature.needs}
        for signal in reversed(self._recognisers):
            if signal in needs:
                needs.update(self._recognisers[signal].needs)
        return needs

    def _detect(self, detector: Detector[Any], looks: Sequence[_Look]) -> None:
        """Give each look the detector's signal. One that fails does not fail the others."""
        pictures = [look.picture for look in looks if look.picture is not None]
        if not pictures:
            return
        try:
            signals = detector.detect(pictures)
        except Exception:
            if len(looks) > 1:
                for look in looks:
                    self._detect(detector, [look])
                return
            log.exception("the detector of %s failed", detector.signal.__name__)
            return
        for look, signal in zip(looks, signals, strict=True):
            look.signals.add(signal)

    def _recognise(self, recogniser: Recogniser[Any], look: _Look) -> None:
        """Give the look the recogniser's signal."""
        if look.picture is None:
            return
        try:
            look.signals.add(recogniser.recognise(look.picture, look.signals))
        except Exception:
            log.exception("the recogniser of %s failed", recogniser.signal.__name__)

    def _describe(self, look: _Look) -> None:
        if look.picture is None:
            return
        for kind, max_results in look.asks.items():
            feature = self._features.get(kind)
            name = vision.Feature.Type.Name(kind)
            ask = Ask(
                max_results, look.picture.width, look.picture.height, look.request.image_context
            )
            try:
                if feature is None:
                    raise FeatureNotAvailable(f"{name} is not available on this server yet.")
                feature.describe(ask, look.signals, look.response)
            except ImageError as error:
                look.refuse(error)
            except Exception:
                log.exception("%s failed", name)
                look.refuse(ImageFailed(f"{name} failed on this image: a fault of this server."))
