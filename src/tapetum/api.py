"""A door for Python: annotate pictures in threads of the program's own process.

    for result in tapetum.annotate(paths, ["LABEL_DETECTION", "TEXT_DETECTION"]):
        print(result.uri, result.error or result.labels)

`docs/python.md` says more. Importing this module loads no network, decoder or runtime.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias, Union

from tapetum.results import asking
from tapetum.results.asking import Asking, Feature
from tapetum.results.result import Result, result_of
from tapetum.settings import Settings, resolve
from tapetum.signals.context import RequestContext

if TYPE_CHECKING:
    from numpy import uint8
    from numpy.typing import NDArray
    from PIL.Image import Image

    from tapetum.pipeline.given_images import MeasuredSource

#: What a picture can be given as: a path or URI, the bytes of a file, a PIL image, or an array of
#: ``H×W×3`` RGB, ``H×W×4`` RGBA, ``H×W×1`` or ``H×W`` grey.
Picture: TypeAlias = Union[
    str, "os.PathLike[str]", bytes, bytearray, memoryview, "Image", "NDArray[uint8]"
]
#: A settings file, its content, or settings that were resolved.
SettingsLike: TypeAlias = Union[str, "os.PathLike[str]", Mapping[str, Any], Settings]

#: The names of the eleven features.
FEATURES: tuple[str, ...] = tuple(asking.NUMBERS)
#: Pictures taken ahead of the one whose result is next, beside those that are looked at.
AHEAD = 4
#: Bytes of pictures given as bytes, images or arrays that are taken ahead; one more may be above.
AHEAD_BYTES = 256 * 2**20


def annotate(
    images: Picture | Iterable[Picture],
    features: Feature | Iterable[Feature],
    *,
    max_results: int | None = None,
    language_hints: str | Iterable[str] | None = None,
    crop_aspect_ratios: float | Iterable[float] | None = None,
    workers: int | None = None,
    settings: SettingsLike | None = None,
) -> Generator[Result, None, None]:
    """Yield a `Result` for each of ``images``, in their order.

    ``images``: one picture or any number of them, also without end: a path, a URI (``gs://``,
    ``s3://``, ``az://``, ``https://``), the bytes of a file, a PIL image or an array, all mixed.
    They are taken a few at a time, as results are asked for. A picture that cannot be used has an
    ``error`` in its result; nothing is raised for it.

    ``features``: names like ``LABEL_DETECTION``, see `FEATURES`. ``max_results``: of each feature
    (10). ``language_hints``: codes of languages that text is in. ``crop_aspect_ratios``: width by
    height, of CROP_HINTS. ``workers``: pictures looked at side by side (one per processor core).
    ``settings``: a settings file, or a mapping of the same shape; the environment's without.

    What is wrong with the call itself raises at once: `TypeError`, `ValueError`, or a
    `TapetumError` over settings. Networks are loaded and galleries opened when the first result is
    asked for, which raises when they cannot be, and let go of with the generator; `Annotator` keeps
    them.
    """
    # Imported here, because it loads networks' libraries.
    from tapetum import wiring  # noqa: PLC0415

    asked = asking.asking(features, max_results, language_hints, crop_aspect_ratios)
    given = _pictures(images)
    resolved = _resolved(settings, workers)
    wiring.check(resolved)
    return _annotated_alone(given, asked, resolved)


class Annotator:
    """Keeps networks loaded from one `annotate` to the next.

    To be closed after use, or used as a context manager. Several threads may use it at once; its
    ``workers`` are for all of them together. ``workers`` and ``settings`` are those of `annotate`.
    It belongs to the process that made it: its threads are in no fork of that.

    Raises a `TapetumError` for settings or galleries that cannot be used.
    """

    def __init__(self, *, workers: int | None = None, settings: SettingsLike | None = None) -> None:
        self._process = os.getpid()
        resolved = _resolved(settings, workers)
        # Imported here, because they load networks' libraries.
        from tapetum.results.reopening import Reopening  # noqa: PLC0415
        from tapetum.wiring import annotator_of  # noqa: PLC0415

        self._context = RequestContext(project=resolved.project)
        self._reopening = Reopening(resolved)
        self._most_ahead = resolved.worker_count + AHEAD
        self._closing = threading.Lock()
        with ExitStack() as stack:
            self._annotator = stack.enter_context(annotator_of(resolved))
            self._workers = ThreadPoolExecutor(resolved.worker_count, thread_name_prefix="tapetum")
            stack.callback(self._workers.shutdown, cancel_futures=True)
            self._parts = stack.pop_all()
        self._source = partial(self._annotator.source, context=self._context)
        self._is_closed = False

    def annotate(
        self,
        images: Picture | Iterable[Picture],
        features: Feature | Iterable[Feature],
        *,
        max_results: int | None = None,
        language_hints: str | Iterable[str] | None = None,
        crop_aspect_ratios: float | Iterable[float] | None = None,
    ) -> Generator[Result, None, None]:
        """Yield a `Result` for each of ``images``, in their order; see `annotate` of the package.
        Raises `RuntimeError` when the annotator is closed, or another process's."""
        asked = asking.asking(features, max_results, language_hints, crop_aspect_ratios)
        self._check_open()
        return self._results(_pictures(images), asked)

    def close(self) -> None:
        """End threads and child processes, and let go of the networks. Pictures that are looked at
        are waited for; generators that still run raise `RuntimeError`. In a fork, which has none of
        these, nothing is done."""
        if not self._is_ours():
            return
        with self._closing:
            self._is_closed = True
            self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _results(self, given: Iterator[Picture], asked: Asking) -> Generator[Result, None, None]:
        """Results as they are asked for. Each takes at least one more picture, so that a slow
        reader does not run the workers dry, and no more than it has to, so that a slow source does
        not hold results back."""
        template, numbers = _request(asked), count()
        coming: deque[_Coming] = deque()
        broken: Exception | None = None
        has_more = True
        try:
            while has_more or coming:
                self._check_ours()
                while has_more and not self._is_enough(coming):
                    try:
                        picture = next(given)
                    except StopIteration:
                        has_more = False
                    except Exception as error:  # noqa: BLE001 (raised below, after what came before)
                        broken, has_more = error, False
                    else:
                        coming.append(self._begun(next(numbers), picture, template))
                    if coming and coming[0].answer.done():
                        break
                if coming:
                    yield self._finished(coming.popleft())
            if broken is not None:
                raise broken
        finally:
            if self._is_ours():
                for image in coming:
                    image.cancel()

    def _is_enough(self, coming: deque[_Coming]) -> bool:
        held = sum(image.source.weight for image in coming)
        return len(coming) >= self._most_ahead or held >= AHEAD_BYTES

    def _begun(self, index: int, picture: Picture, template: Any) -> _Coming:
        from tapetum.pipeline.given_images import source_of  # noqa: PLC0415 (slow to import)

        self._check_open()
        source = source_of(picture, template, self._source)
        self._annotator.begin(source, self._context)
        answer = self._workers.submit(self._annotator.answer, source, self._context)
        return _Coming(index, source, answer)

    def _finished(self, image: _Coming) -> Result:
        try:
            response = image.answer.result()
        except CancelledError:
            self._check_open()
            raise
        uri = image.source.uri or None
        return result_of(response, image.index, uri, image.source.size, self._reopening)

    def _is_ours(self) -> bool:
        return self._process == os.getpid()

    def _check_ours(self) -> None:
        if not self._is_ours():
            raise RuntimeError(
                "This annotator belongs to another process; make one in each process."
            )

    def _check_open(self) -> None:
        self._check_ours()
        if self._is_closed:
            raise RuntimeError("This annotator is closed.")


@dataclass(frozen=True, slots=True)
class _Coming:
    """A picture that was taken, whose answer is being made."""

    index: int
    source: MeasuredSource
    answer: Future[Any]

    def cancel(self) -> None:
        """Nobody wants the answer any more."""
        self.answer.cancel()
        self.source.cancel()


def _annotated_alone(
    given: Iterator[Picture], asked: Asking, settings: Settings
) -> Generator[Result, None, None]:
    with Annotator(settings=settings) as annotator:
        yield from annotator._results(given, asked)


def _request(asked: Asking) -> Any:
    """The ``AnnotateImageRequest`` of every picture, without the picture."""
    from tapetum.vision import messages  # noqa: PLC0415 (Google's package is slow to import)

    request = messages.AnnotateImageRequest()
    for kind in asked.features:
        request.features.add(type_=kind, max_results=asked.max_results)
    request.image_context.language_hints.extend(asked.language_hints)
    request.image_context.crop_hints_params.aspect_ratios.extend(asked.aspect_ratios)
    return request


def _pictures(images: Any) -> Iterator[Picture]:
    """``images`` one after the other; a single picture is the only one."""
    from tapetum.pipeline import given_images  # noqa: PLC0415 (slow to import)

    if given_images.is_one_picture(images):
        return iter([images])
    advice = given_images.advice_about(images)  # an open file would be an iterable of lines
    if advice or isinstance(images, Mapping) or not isinstance(images, Iterable):
        raise TypeError(
            f"images are {given_images.WANTED}, or an iterable of these, not "
            f"{type(images).__name__}.{advice}"
        )
    return iter(images)


def _resolved(settings: SettingsLike | None, workers: int | None) -> Settings:
    if isinstance(settings, Settings):
        resolved = settings
    elif isinstance(settings, Mapping):
        resolved = resolve({}, os.environ, given=settings)
    elif settings is None or isinstance(settings, str | os.PathLike):
        resolved = resolve({}, os.environ, Path(settings) if settings is not None else None)
    else:
        raise TypeError(
            "settings are the path of a settings file, or a mapping of the same shape, not "
            f"{type(settings).__name__}."
        )
    if workers is None:
        return resolved
    if isinstance(workers, bool) or not isinstance(workers, int):
        raise TypeError(f"workers is a whole number, not {workers!r}.")
    if workers < 1:
        raise ValueError(f"workers is 1 or more, not {workers}.")
    return replace(resolved, workers=workers)
