"""Where pictures come from: an image of a request, or a page of a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Protocol

from tapetum.errors import BadImage, ImageError, PdfIsNoImage
from tapetum.imaging.child import MaxSideFor, Sheet
from tapetum.imaging.decoders import Decoders
from tapetum.imaging.picture import Picture
from tapetum.pipeline import fetch, page_units
from tapetum.pipeline.documents import Document
from tapetum.stores.router import Stores
from tapetum.tasks.control import Known
from tapetum.vision import messages
from tapetum.vision.formats import is_pdf


class Source(Protocol):
    """One picture to look at."""

    @property
    def request(self) -> Any:
        """The ``AnnotateImageRequest`` that says which features want what of it."""
        ...

    @property
    def uri(self) -> str:
        """What it is from, as given; empty for inline content."""
        ...

    @property
    def answer(self) -> Any | None:
        """The ``AnnotateImageResponse`` that was made of it before, if any."""
        ...

    def prepare(self, fetchers: ThreadPoolExecutor, stores: Stores) -> None:
        """Begin to get what `picture` needs, without waiting."""
        ...

    @property
    def is_here(self) -> bool:
        """Whether `wait` would return at once."""
        ...

    def wait(self) -> None:
        """Return when that is here, or cannot be had."""
        ...

    def cancel(self) -> None:
        """Nobody will ask for `picture` any more."""
        ...

    def picture(self, side_for: MaxSideFor) -> Picture:
        """The picture, once, its longest side at least ``side_for(width, height)`` if it has that.

        Raises `tapetum.errors.ImageError`.
        """
        ...

    def finish(self, response: Any) -> None:
        """Say in the finished ``AnnotateImageResponse`` what only the source knows."""
        ...


@dataclass(slots=True)
class ImageSource:
    """An image of a request, fetched ahead. ``owner``: whose pictures share a decoder."""

    request: Any
    decoders: Decoders
    owner: str = ""
    content: Future[bytes] | None = None
    answer: None = None

    @property
    def uri(self) -> str:
        return fetch.uri_of(self.request.image)

    def prepare(self, fetchers: ThreadPoolExecutor, stores: Stores) -> None:
        if self.request.image.content:  # it came with the request
            self.content = Future()
            try:
                self.content.set_result(fetch.fetch(self.request.image, stores))
            except ImageError as error:
                self.content.set_exception(error)
        else:
            self.content = fetchers.submit(fetch.fetch, self.request.image, stores)

    @property
    def is_here(self) -> bool:
        return self.content is None or self.content.done()

    def wait(self) -> None:
        if self.content is not None:
            wait([self.content])

    def cancel(self) -> None:
        if self.content is not None:
            self.content.cancel()

    def picture(self, side_for: MaxSideFor) -> Picture:
        content, self.content = self.content, None  # a file is in memory no longer than needed
        if content is None:
            raise AssertionError
        try:
            return self.decoders.decode(content.result(), side_for, self.owner)
        except BadImage as error:
            if is_pdf(content.result()):
                raise PdfIsNoImage(
                    "A PDF is no image. Its pages are for BatchAnnotateFiles (files:annotate) and "
                    "AsyncBatchAnnotateFiles (files:asyncBatchAnnotate)."
                ) from error
            raise

    def finish(self, response: Any) -> None:
        """Nothing: a call's answers do not say which image they are of, and a batch's URIs are the
        annotator's to add."""


@dataclass(slots=True)
class PageSource:
    """Page ``number`` of an open document, rendered when it is asked for: of however many pages,
    no more are in memory than are looked at together."""

    request: Any
    document: Document
    number: int
    uri: str
    page: Sheet | None = None
    answer: None = None

    def prepare(self, fetchers: ThreadPoolExecutor, stores: Stores) -> None:
        """Nothing: the document is open."""

    @property
    def is_here(self) -> bool:
        return True

    def wait(self) -> None:
        """Nothing: it is here."""

    def cancel(self) -> None:
        """Nothing is under way."""

    def picture(self, side_for: MaxSideFor) -> Picture:
        self.page = self.document.page(self.number, side_for)
        return self.page.picture

    def finish(self, response: Any) -> None:
        response.context.page_number = self.number
        if self.uri:
            response.context.uri = self.uri
        if self.page is not None and self.page.points is not None:
            picture = self.page.picture
            page_units.rewrite(response, picture.width, picture.height, self.page.points)
        self.page = None


class KnownSource:
    """A source that was answered before, of which nothing is fetched or looked at again."""

    def __init__(self, source: Source, answer: bytes) -> None:
        self.request = source.request
        self.uri = source.uri
        self.answer = messages.AnnotateImageResponse.FromString(answer)

    def prepare(self, fetchers: ThreadPoolExecutor, stores: Stores) -> None:
        """Nothing is needed."""

    @property
    def is_here(self) -> bool:
        return True

    def wait(self) -> None:
        """Nothing is under way."""

    def cancel(self) -> None:
        """Nothing is under way."""

    def picture(self, side_for: MaxSideFor) -> Picture:
        """Never asked for: there is an answer."""
        raise AssertionError

    def finish(self, response: Any) -> None:
        """Nothing: it was finished when it was made."""


def numbered(sources: Sequence[Source], first: int, known: Known) -> list[tuple[int, Source]]:
    """``sources`` with their positions from ``first``; answers that are ``known`` take the place of
    what would be looked at."""
    return [
        (position, KnownSource(source, known[position]) if position in known else source)
        for position, source in enumerate(sources, first)
    ]


def pages_of(asked: Any, document: Document, numbers: Iterable[int]) -> list[PageSource]:
    """Pages ``numbers`` of ``document``, of which ``asked`` says which features want what."""
    request = messages.AnnotateImageRequest(
        features=asked.features, image_context=asked.image_context
    )
    uri = fetch.uri_of_file(asked.input_config)
    return [PageSource(request, document, number, uri) for number in numbers]
