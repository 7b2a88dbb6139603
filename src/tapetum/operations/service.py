"""What each method means. Knows neither HTTP nor SQL."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar

from google.longrunning import operations_pb2
from google.protobuf import empty_pb2

from tapetum.errors import (
    BrokenFile,
    FileNotReadable,
    ImageError,
    InvalidRequest,
    OperationNotFound,
    RequestForbidden,
)
from tapetum.executors import Executor
from tapetum.identity.principal import ANYBODY, Principal
from tapetum.identity.quotas import Quotas
from tapetum.imaging.decoders import Decoders, shared
from tapetum.ledger import Ledger, OperationRecord, OperationState
from tapetum.operations.dispatch import Dispatcher
from tapetum.pipeline.documents import open_document
from tapetum.signals.context import RequestContext
from tapetum.stores.router import Stores
from tapetum.tasks.plan import Task, task_bounds
from tapetum.vision import limits, messages, validation
from tapetum.vision.formats import GIF

P = ParamSpec("P")
T = TypeVar("T")

MAX_PAGE_SIZE = 1000
DEFAULT_PAGE_SIZE = 100
#: Longest that WaitOperation holds a call open, in seconds.
MAX_WAIT = 300.0
#: A held call looks at the ledger this often, because another process may end the operation.
WAIT_POLL = 0.1

#: Java's client first asks for a new operation after up to 20 seconds, at random, so a job that
#: ends within this time, in seconds, had better be done when the call that starts it is answered.
FIRST_ANSWER = 3.0

#: AsyncBatchAnnotateFiles calls whose files are being opened; more wait.
OPENING_CALLS = 4


class Service:
    """The methods of ``ImageAnnotator`` and ``Operations`` over raw messages.

    Every method raises `tapetum.errors.RequestError` and nothing else a client should see.
    ``project`` owns the operations of requests that name no parent, where nobody is asked who
    is calling; else the caller's project owns them, and only its callers find them. The same
    project's galleries are what images are compared with. ``stores`` hold the files of pages.
    """

    def __init__(
        self,
        ledger: Ledger,
        executor: Executor,
        dispatcher: Dispatcher,
        project: str,
        stores: Stores,
        *,
        quotas: Quotas,
        decoders: Decoders | None = None,
    ) -> None:
        self._ledger = ledger
        self._executor = executor
        self._dispatcher = dispatcher
        self._project = project
        self._stores = stores
        self._decoders = decoders or shared()
        self._quotas = quotas
        self._threads = ThreadPoolExecutor(32, thread_name_prefix="ledger")
        self._openers = ThreadPoolExecutor(OPENING_CALLS, thread_name_prefix="files")

    def close(self) -> None:
        """End the threads that talk to the ledger and open files."""
        self._openers.shutdown(cancel_futures=True)
        self._threads.shutdown()

    # --- ImageAnnotator -----------------------------------------------------------------------

    async def batch_annotate_images(self, request: Any, caller: Principal) -> Any:
        """Answer at most 16 images at once."""
        self._quotas.count(caller)
        validation.check(request, sync=True)
        project, _ = self._project_of(request.parent, caller)
        part = messages.BatchAnnotateImagesRequest(requests=request.requests).SerializeToString()
        with self._quotas.holding(caller, len(request.requests), len(part)):
            context = RequestContext(caller.name, project)
            answer = await asyncio.wrap_future(self._executor.annotate(part, context))
        return messages.BatchAnnotateImagesResponse.FromString(answer)

    async def async_batch_annotate_images(
        self, request: Any, caller: Principal, api_version: str = "v1", *, hold: bool = False
    ) -> Any:
        """Write down at most 2000 images as an operation and answer it at once, or with ``hold``
        when it has ended or `FIRST_ANSWER` has passed."""
        self._quotas.count(caller)
        validation.check(request, sync=False)
        record = await self._in_thread(self.start, request, caller=caller, api_version=api_version)
        return operation_of(await self._ended(record, caller, FIRST_ANSWER if hold else 0.0))

    async def batch_annotate_files(self, request: Any, caller: Principal) -> Any:
        """Answer at most 5 pages of one file at once. What is wrong with the file is its
        response's ``error``."""
        self._quotas.count(caller)
        validation.check_files(request, sync=True)
        project, _ = self._project_of(request.parent, caller)
        part = request.requests[0].SerializeToString()
        with self._quotas.holding(caller, limits.MAX_SYNC_PAGES, len(part)):
            context = RequestContext(caller.name, project)
            answer = await asyncio.wrap_future(self._executor.annotate_file(part, context))
        response = messages.AnnotateFileResponse.FromString(answer)
        return messages.BatchAnnotateFilesResponse(responses=[response])

    async def async_batch_annotate_files(
        self, request: Any, caller: Principal, api_version: str = "v1", *, hold: bool = False
    ) -> Any:
        """Open the files, write down at most 2000 pages of each as one operation, answer it as
        that of images."""
        self._quotas.count(caller)
        validation.check_files(request, sync=False)
        opened = self._openers.submit(self.start_files, request, caller, api_version)
        record = await asyncio.wrap_future(opened)
        return operation_of(await self._ended(record, caller, FIRST_ANSWER if hold else 0.0))

    def start(
        self,
        request: Any,
        first: int = 1,
        caller: Principal = ANYBODY,
        api_version: str = "v1",
    ) -> OperationRecord:
        """Write down an operation for a request that was checked, and wake the dispatcher.

        ``first`` is the position of its first image, which the shard names count from. The
        operation answers, and its shards are written, in the messages of ``api_version``.
        """
        batch_size = validation.batch_size_of(request)
        response = messages.AsyncBatchAnnotateImagesResponse(output_config=request.output_config)
        record = self._new_record(
            request.parent, "AsyncBatchAnnotateImages", response, caller, api_version
        )
        tasks = [
            Task(
                operation=record.name,
                first=start,
                last=end,
                batch_size=batch_size,
                output_uri=request.output_config.gcs_destination.uri,
                requests=messages.BatchAnnotateImagesRequest(
                    requests=request.requests[start - first : end - first + 1]
                ).SerializeToString(),
                principal=caller.name,
            )
            for start, end in task_bounds(len(request.requests), batch_size, first)
        ]
        return self._begin(record, tasks)

    def start_files(
        self, request: Any, caller: Principal = ANYBODY, api_version: str = "v1"
    ) -> OperationRecord:
        """Open the files of a request that was checked, write down an operation for their pages,
        and wake the dispatcher.

        A file that cannot be read raises `FileNotReadable`; one that is broken makes an operation
        that has ended with that error.
        """
        response = messages.AsyncBatchAnnotateFilesResponse()
        for asked in request.requests:
            response.responses.add(output_config=asked.output_config)
        record = self._new_record(
            request.parent, "AsyncBatchAnnotateFiles", response, caller, api_version
        )
        tasks: list[Task] = []
        stores = self._stores.seen_by(caller)
        try:
            for number, asked in enumerate(request.requests, 1):
                with open_document(
                    asked.input_config, stores, self._decoders, caller.name
                ) as document:
                    tasks += _tasks_of_file(record, number, asked, document.pages)
        except BrokenFile as error:
            ended = OperationState.DONE
            record = replace(
                record, state=ended, error_code=error.code, error_message=error.message
            )
            return self._begin(record, [])
        except ImageError as error:
            raise FileNotReadable(error) from error
        return self._begin(record, tasks)

    def _new_record(
        self, parent: str, method: str, response: Any, caller: Principal, api_version: str
    ) -> OperationRecord:
        project, location = self._project_of(parent, caller)
        place = f"projects/{project}" + (f"/locations/{location}" if location else "")
        return OperationRecord(
            name=f"{place}/operations/{secrets.token_hex(8)}",
            project=project,
            api_version=api_version,
            method=method,
            response=response.SerializeToString(),
            images=0,
            created=time.time_ns() // 1000,
            principal=caller.name,
        )

    def _begin(self, record: OperationRecord, tasks: Sequence[Task]) -> OperationRecord:
        images = sum(task.last - task.first + 1 for task in tasks)
        record = self._ledger.create(replace(record, images=images), tasks)
        self._dispatcher.wake()
        return record

    # --- Operations ---------------------------------------------------------------------------

    async def get_operation(self, request: Any, caller: Principal) -> Any:
        """The operation as it stands."""
        return operation_of(await self.record(request.name, caller))

    async def record(self, name: str, caller: Principal) -> OperationRecord:
        """What the ledger knows of an operation."""
        return await self._in_thread(self._visible_record, name, caller)

    async def list_operations(self, request: Any, caller: Principal) -> Any:
        """Operations of one project (``name = projects/p``) or of all that the caller sees,
        newest first.

        ``filter`` may be ``done=true`` or ``done=false``.
        """
        parent = request.name.removesuffix("/operations").strip("/")
        project, _ = validation.parent_of(parent)
        if parent not in ("", "operations") and not project:
            raise InvalidRequest(f"name: {request.name!r} is not projects/PROJECT.")
        if caller.project is not None:
            project = _own(project, caller.project.name)
        size = min(max(request.page_size, 0) or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        rows = await self._in_thread(
            self._ledger.recent,
            project or None,
            _done_filter(request.filter),
            _serial_of_token(request.page_token),
            size + 1,
        )
        response = operations_pb2.ListOperationsResponse(
            operations=[operation_of(row) for row in rows[:size]]
        )
        if len(rows) > size:
            response.next_page_token = _token_of_serial(rows[size - 1].serial)
        return response

    async def cancel_operation(self, request: Any, caller: Principal) -> Any:
        """End the operation with error code 1; one that has ended stays as it is."""
        record = await self._in_thread(self._visible_record, request.name, caller)
        await self._in_thread(self._ledger.cancel, record.name)
        await self._in_thread(self._dispatcher.recheck)
        return empty_pb2.Empty()

    async def delete_operation(self, request: Any, caller: Principal) -> Any:
        """Forget the operation; the work, if there is some left, goes on."""
        record = await self._in_thread(self._visible_record, request.name, caller)
        await self._in_thread(self._ledger.delete, record.name)
        return empty_pb2.Empty()

    async def wait_operation(self, request: Any, caller: Principal) -> Any:
        """The operation once it has ended, or as it stands after ``timeout``."""
        wanted = request.timeout.ToTimedelta().total_seconds() or MAX_WAIT
        record = await self._in_thread(self._visible_record, request.name, caller)
        return operation_of(await self._ended(record, caller, min(wanted, MAX_WAIT)))

    async def _ended(
        self, record: OperationRecord, caller: Principal, seconds: float
    ) -> OperationRecord:
        """``record`` once its operation has ended, or as it stands after ``seconds``."""
        until = time.monotonic() + seconds
        while not record.state.ended and (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(WAIT_POLL, left))
            record = await self._in_thread(self._visible_record, record.name, caller)
        return record

    def _project_of(self, parent: str, caller: Principal) -> tuple[str, str]:
        """The project and location (empty if none is named) that a request is for."""
        project, location = validation.parent_of(parent)
        if caller.project is not None:
            return _own(project, caller.project.name), location
        return project or self._project, location

    def _visible_record(self, name: str, caller: Principal) -> OperationRecord:
        record = self._ledger.get(name)
        if record is None or not caller.may_see(record.project):
            raise OperationNotFound(f"There is no operation {name!r}.")
        return record

    async def _in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: call(*args, **kwargs))


def _own(named: str, own: str) -> str:
    """The caller's own project, which ``named`` must be if it names one."""
    if named and named != own:
        raise RequestForbidden(
            f"The caller belongs to projects/{own} and may not act for projects/{named}.",
            "USER_PROJECT_DENIED",
        )
    return own


def _tasks_of_file(record: OperationRecord, number: int, asked: Any, pages: int) -> list[Task]:
    request = messages.AnnotateFileRequest(
        input_config=asked.input_config, features=asked.features, image_context=asked.image_context
    ).SerializeToString()
    batch_size = validation.batch_size_of(asked)
    # Every task has a copy of an inline file, and begins a GIF at its first frame.
    whole = asked.input_config.content or asked.input_config.mime_type == GIF
    return [
        Task(
            operation=record.name,
            first=first,
            last=last,
            batch_size=batch_size,
            output_uri=asked.output_config.gcs_destination.uri,
            requests=request,
            file=number,
            principal=record.principal,
        )
        for first, last in ([(1, pages)] if whole else task_bounds(pages, batch_size))
    ]


def operation_of(record: OperationRecord) -> Any:
    """The ``google.longrunning.Operation`` of a ledger row, in the messages of its version."""
    version = messages.VERSIONS[record.api_version]
    metadata = messages.OperationMetadata(state=record.state)
    metadata.create_time.FromMicroseconds(record.created)
    metadata.update_time.FromMicroseconds(record.updated)
    operation = messages.Operation(
        name=record.name,
        metadata=messages.pack(version.of_v1(metadata)),
        done=record.state.ended,
    )
    if record.error_code:
        operation.error.code = record.error_code
        operation.error.message = record.error_message
    elif record.state is OperationState.DONE:
        response = messages.RESPONSES[record.method].FromString(record.response)
        operation.response.CopyFrom(messages.pack(version.of_v1(response)))
    return operation


_DONE_FILTER = re.compile(r"\s*done\s*=\s*(?P<value>true|false)\s*", re.IGNORECASE)


def _done_filter(text: str) -> bool | None:
    if not text.strip():
        return None
    match = _DONE_FILTER.fullmatch(text)
    if match is None:
        raise InvalidRequest(f"filter: {text!r} is not done=true or done=false.")
    return match["value"].lower() == "true"


def _token_of_serial(serial: int) -> str:
    return base64.urlsafe_b64encode(str(serial).encode()).decode()


def _serial_of_token(token: str) -> int | None:
    if not token:
        return None
    try:
        return int(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, binascii.Error) as error:
        raise InvalidRequest("page_token: this is no token of this server.") from error
