"""Tasks in threads of this process, over shared ONNX Runtime sessions.

Threads suffice: decoding and inference release the interpreter lock, and a model is in memory
once however many workers use it.
"""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import cv2

from tapetum.executors.calls import Calls
from tapetum.executors.jobs import CallJob
from tapetum.pipeline.annotator import Annotator
from tapetum.signals.context import NO_CONTEXT, RequestContext
from tapetum.tasks.control import Control
from tapetum.tasks.plan import Task


class LocalExecutor:
    """``workers`` tasks side by side, and as many calls that wait for their answer, which
    therefore never queue behind a batch.

    Threads that run tasks have the niceness ``niceness`` (0 to 19; Linux only, elsewhere a
    thread has none of its own): behind doors, calls are short and somebody waits for them, and a
    batch has time.
    """

    def __init__(self, annotator: Annotator, workers: int, niceness: int = 0) -> None:
        cv2.setNumThreads(1)  # the workers already fill the cores
        self._annotator = annotator
        self._workers = workers
        self._tasks = ThreadPoolExecutor(
            workers, thread_name_prefix="task", initializer=_be_nice, initargs=(niceness,)
        )
        self._calls = Calls(lambda job, control: job.run(annotator, control), workers)

    @property
    def slots(self) -> int:
        return self._workers

    def submit(self, task: Task, control: Control) -> Future[None]:
        return self._tasks.submit(self._annotator.run, task, control)

    def annotate(self, requests: bytes, context: RequestContext = NO_CONTEXT) -> Future[bytes]:
        return self._calls.submit(CallJob("images", requests, context))

    def annotate_file(self, request: bytes, context: RequestContext = NO_CONTEXT) -> Future[bytes]:
        return self._calls.submit(CallJob("file", request, context))

    def drain(self, seconds: float) -> None:
        self._calls.drain(seconds)

    def abandon(self) -> None:
        """Nothing: a thread cannot be stopped from outside."""

    def close(self) -> None:
        self._calls.close()
        self._tasks.shutdown()
        self._calls.join()


def _be_nice(niceness: int) -> None:
    if niceness and sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
