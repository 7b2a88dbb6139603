"""What a worker is given to do: a task of an operation, or a call that waits for its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from tapetum.errors import ImageFailed
from tapetum.executors.blame import Cause
from tapetum.signals.context import RequestContext
from tapetum.tasks.control import Control, Known
from tapetum.tasks.plan import Shard, Task
from tapetum.vision import messages

if TYPE_CHECKING:
    from tapetum.pipeline.annotator import Annotator

STOPPED = "This image stopped the process that looked at it."
#: What the answer of an image says that ended worker after worker, by how it did.
BLAME = {
    Cause.CRASHED: STOPPED,
    Cause.OUTSIDE: STOPPED,
    Cause.OVERRAN: "Looking at this image takes longer than the server allows (image_seconds).",
    Cause.EXHAUSTED: "Looking at this image needs more memory than the server allows "
    "(image_memory).",
}


@dataclass(frozen=True, slots=True)
class TaskJob:
    """A task; ``known`` are answers of its images that were made alone."""

    task: Task
    known: Known = field(default_factory=dict)

    #: Which of a worker's two seats it takes.
    seat = "task"

    def run(self, annotator: Annotator, control: Control) -> bytes:
        """Write the shards that are left. Answers nothing."""
        annotator.run(self.task, control, self.known)
        return b""

    def after(self, shard: Shard) -> TaskJob:
        """What is left once ``shard`` is written."""
        return replace(self, task=replace(self.task, done=shard.last - self.task.first + 1))

    def knowing(self, answers: Mapping[int, bytes]) -> TaskJob:
        """The same, of which more is known."""
        return replace(self, known={**self.known, **answers})

    def alone(self, position: int) -> CallJob:
        """The call that asks for the image at ``position`` and nothing else."""
        context = RequestContext(self.task.principal, self.task.project)
        if self.task.file:
            file = messages.AnnotateFileRequest.FromString(self.task.requests)
            return CallJob("file", _one_page(file, position), context)
        requests = messages.BatchAnnotateImagesRequest.FromString(self.task.requests).requests
        return CallJob("images", _one_image(requests[position - self.task.first]), context)

    def blamed(self, position: int, cause: Cause) -> bytes:
        """The answer of an image that goes on ending its worker, of late by ``cause``."""
        page = position if self.task.file else None
        return _blamed(page, cause)


@dataclass(frozen=True, slots=True)
class CallJob:
    """A serialized ``BatchAnnotateImagesRequest`` or ``AnnotateFileRequest`` of ``context``."""

    kind: Literal["images", "file"]
    request: bytes
    context: RequestContext
    known: Known = field(default_factory=dict)

    seat = "call"

    def parts(self) -> list[CallJob]:
        """A call for each image; a file of pages is one. Their responses one after the other are
        the response of the whole."""
        if self.kind == "file":
            return [self]
        requests = messages.BatchAnnotateImagesRequest.FromString(self.request).requests
        if len(requests) < 2:
            return [self]
        return [CallJob("images", _one_image(request), self.context) for request in requests]

    def run(self, annotator: Annotator, control: Control) -> bytes:
        """The serialized response."""
        answer = annotator.annotate if self.kind == "images" else annotator.annotate_file
        return answer(self.request, self.context, control, self.known)

    def after(self, shard: Shard) -> CallJob:
        """Itself: a call writes no shards."""
        return self

    def knowing(self, answers: Mapping[int, bytes]) -> CallJob:
        """The same, of which more is known."""
        return replace(self, known={**self.known, **answers})

    def alone(self, position: int) -> CallJob:
        """The call that asks for its image (or page) number ``position`` and nothing else."""
        if self.kind == "images":
            requests = messages.BatchAnnotateImagesRequest.FromString(self.request).requests
            return CallJob("images", _one_image(requests[position - 1]), self.context)
        file = messages.AnnotateFileRequest.FromString(self.request)
        return CallJob("file", _one_page(file, self._page(file, position)), self.context)

    def blamed(self, position: int, cause: Cause) -> bytes:
        """The answer of an image that goes on ending its worker, of late by ``cause``."""
        if self.kind == "images":
            return _blamed(None, cause)
        page = self._page(messages.AnnotateFileRequest.FromString(self.request), position)
        # Of a page that is counted from the end nobody knows the number any more.
        return _blamed(page if page > 0 else None, cause)

    @staticmethod
    def _page(file: Any, position: int) -> int:
        return int(file.pages[position - 1]) if file.pages else position


Job = TaskJob | CallJob


def answer_of(job: CallJob, response: bytes) -> bytes | None:
    """The one answer in the ``response`` to a call made by ``alone``; ``None`` if there is none,
    because the file could not be opened."""
    if job.kind == "images":
        answers = messages.BatchAnnotateImagesResponse.FromString(response).responses
    else:
        answers = messages.AnnotateFileResponse.FromString(response).responses
    return bytes(answers[0].SerializeToString()) if answers else None


def _one_image(request: Any) -> bytes:
    return bytes(messages.BatchAnnotateImagesRequest(requests=[request]).SerializeToString())


def _one_page(file: Any, page: int) -> bytes:
    request = messages.AnnotateFileRequest(
        input_config=file.input_config,
        features=file.features,
        image_context=file.image_context,
        pages=[page],
    )
    return bytes(request.SerializeToString())


def _blamed(page: int | None, cause: Cause) -> bytes:
    response = messages.AnnotateImageResponse()
    response.error.code, response.error.message = ImageFailed.code, BLAME[cause]
    if page is not None:
        response.context.page_number = page
    return bytes(response.SerializeToString())
