"""Executors: where tasks run. The dispatcher and the service see only this protocol."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Protocol

from tapetum.signals.context import NO_CONTEXT, RequestContext
from tapetum.tasks.control import Control
from tapetum.tasks.plan import Task


class Executor(Protocol):
    """Runs `tapetum.pipeline.annotator.Annotator` somewhere."""

    @property
    def slots(self) -> int:
        """How many tasks run side by side."""
        ...

    def submit(self, task: Task, control: Control) -> Future[None]:
        """Run ``task``, telling ``control``; the future ends with it, or with its exception."""
        ...

    def annotate(self, requests: bytes, context: RequestContext = NO_CONTEXT) -> Future[bytes]:
        """Answer a serialized ``BatchAnnotateImagesRequest`` of ``context`` with a serialized
        response."""
        ...

    def annotate_file(self, request: bytes, context: RequestContext = NO_CONTEXT) -> Future[bytes]:
        """Answer a serialized ``AnnotateFileRequest`` of ``context`` with a serialized
        response."""
        ...

    def drain(self, seconds: float) -> None:
        """Take no more calls, and wait so many seconds for those there are. Who waits for one even
        then gets `tapetum.errors.ServerUnavailable`."""
        ...

    def abandon(self) -> None:
        """Stop what runs without waiting for it, where that is possible."""
        ...

    def close(self) -> None:
        """Wait for what runs, then let go of threads and processes."""
        ...
