"""Executors: where tasks run. The dispatcher sees only this protocol."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Protocol

from tapetum.tasks.lease import Lease
from tapetum.tasks.plan import Task


class Executor(Protocol):
    """Runs `tapetum.pipeline.annotator.Annotator` somewhere."""

    @property
    def slots(self) -> int:
        """How many tasks run side by side."""
        ...

    def submit(self, task: Task, lease: Lease) -> Future[None]:
        """Run ``task`` under ``lease``; the future ends with it, or with its exception."""
        ...

    def annotate(self, requests: bytes, principal: str = "", project: str = "") -> Future[bytes]:
        """Answer a serialized ``BatchAnnotateImagesRequest`` of ``principal``, sent for
        ``project``, with a serialized response."""
        ...

    def annotate_file(
        self, request: bytes, principal: str = "", project: str = ""
    ) -> Future[bytes]:
        """Answer a serialized ``AnnotateFileRequest`` of ``principal``, sent for ``project``,
        with a serialized response."""
        ...

    def close(self) -> None:
        """Wait for what runs, then let go of threads and processes."""
        ...
