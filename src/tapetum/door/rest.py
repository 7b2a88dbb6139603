"""The REST door: Google's JSON transcoding of the same methods."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from google.longrunning import operations_pb2
from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tapetum import vision
from tapetum.door import answer, status_of
from tapetum.door.auth import Credentials, Gate
from tapetum.errors import InvalidRequest, OperationNotFound, RequestError, ServerFailed
from tapetum.principal import Principal
from tapetum.service import Service
from tapetum.validate import MAX_PAYLOAD

#: ``google.rpc.Code`` → (HTTP status, name).
HTTP_OF_CODE: Mapping[int, tuple[int, str]] = {
    1: (499, "CANCELLED"),
    3: (400, "INVALID_ARGUMENT"),
    4: (504, "DEADLINE_EXCEEDED"),
    5: (404, "NOT_FOUND"),
    7: (403, "PERMISSION_DENIED"),
    8: (429, "RESOURCE_EXHAUSTED"),
    9: (400, "FAILED_PRECONDITION"),
    12: (501, "UNIMPLEMENTED"),
    13: (500, "INTERNAL"),
    14: (503, "UNAVAILABLE"),
    16: (401, "UNAUTHENTICATED"),
}
#: Longest that a request may take to arrive, in seconds.
MESSAGE_SECONDS = 120.0
_JSON = "application/json; charset=UTF-8"

_Method = Callable[[Any, Principal], Awaitable[Any]]

_ANNOTATE = re.compile(
    r"(?:(?P<parent>projects/[^/]+(?:/locations/[^/]+)?)/)?(?P<verb>(?:images|files):\w+)"
)
_OPERATION = re.compile(
    r"(?P<name>(?:projects/[^/]+/)?(?:locations/[^/]+/)?operations/[^/:]+)(?::(?P<verb>\w+))?"
)
#: ``/v1/operations``, ``/v1/projects/p/operations``, and ``/v1/operations/operations``, which
#: is what the Python client makes of the first.
_OPERATIONS = re.compile(r"(?P<name>projects/[^/]+|operations)(?:/operations)?")


def build(service: Service, gate: Gate) -> Starlette:
    """The ASGI application. Every route lies behind ``gate`` and finds who is calling in
    ``request.state.caller``."""
    door = _Door(service)
    return Starlette(
        routes=[Route("/v1/{path:path}", door.handle, methods=["GET", "POST", "DELETE"])],
        middleware=[
            Middleware(GZipMiddleware, minimum_size=1024),
            Middleware(_Admission, gate=gate),
        ],
        exception_handlers={404: _no_such_path, 405: _no_such_path},
    )


class _Admission:
    """Turns away, before its body is read, whoever the gate does not know."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        key = request.query_params.get("key") if b"key=" in scope["query_string"] else None
        credentials = Credentials.of(request.headers.get, key)
        try:
            request.state.caller = await self._gate.caller(credentials)
        except RequestError as error:
            await _error(error)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class _Door:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._annotate: dict[str, tuple[_Method, Any]] = {
            "images:annotate": (
                service.batch_annotate_images, vision.BatchAnnotateImagesRequest,
            ),
            "files:annotate": (service.batch_annotate_files, vision.BatchAnnotateFilesRequest),
            "images:asyncBatchAnnotate": (
                service.async_batch_annotate_images, vision.AsyncBatchAnnotateImagesRequest,
            ),
            "files:asyncBatchAnnotate": (
                service.async_batch_annotate_files, vision.AsyncBatchAnnotateFilesRequest,
            ),
        }  # fmt: skip

    async def handle(self, request: Request) -> Response:
        try:
            method, message = await self._route(request)
            reply = await answer(method, message, request.state.caller)
        except RequestError as error:
            return _error(error)
        numbers = "enum-encoding=int" in request.query_params.get("$alt", "")
        # JSON of many megabytes takes a while: other calls go on meanwhile.
        text = await run_in_threadpool(vision.to_json, reply, enum_numbers=numbers)
        return Response(text, media_type=_JSON)

    async def _route(self, request: Request) -> tuple[_Method, Any]:
        path = request.path_params["path"].rstrip("/")
        way = request.method
        if way == "POST" and (found := _ANNOTATE.fullmatch(path)):
            return await self._annotate_call(request, found)
        if found := _OPERATION.fullmatch(path):
            if (way, found["verb"]) == ("POST", "cancel"):
                await _body(request)  # may be empty, and says nothing
                cancel = operations_pb2.CancelOperationRequest(name=found["name"])
                return self._service.cancel_operation, cancel
            if (way, found["verb"]) == ("GET", None) and path != "operations/operations":
                get = operations_pb2.GetOperationRequest(name=found["name"])
                return self._service.get_operation, get
            if (way, found["verb"]) == ("DELETE", None):
                delete = operations_pb2.DeleteOperationRequest(name=found["name"])
                return self._service.delete_operation, delete
        if way == "GET" and (found := _OPERATIONS.fullmatch(path)):
            return self._service.list_operations, _list_request(request, found["name"])
        raise OperationNotFound(f"There is no {way} {request.url.path}.")

    async def _annotate_call(self, request: Request, found: re.Match[str]) -> tuple[_Method, Any]:
        if found["verb"] not in self._annotate:
            raise OperationNotFound(f"There is no POST {request.url.path}.")
        method, message_class = self._annotate[found["verb"]]
        message = await run_in_threadpool(vision.from_json, await _body(request), message_class())
        if found["parent"]:
            message.parent = found["parent"]
        return method, message


def _list_request(request: Request, name: str) -> Any:
    query = request.query_params
    size = query.get("pageSize", query.get("page_size", "0"))
    try:
        page_size = int(size)
    except ValueError as error:
        raise InvalidRequest(f"pageSize: {size!r} is not a number.") from error
    return operations_pb2.ListOperationsRequest(
        name=name,
        filter=query.get("filter", ""),
        page_size=max(0, min(page_size, 2**31 - 1)),
        page_token=query.get("pageToken", query.get("page_token", "")),
    )


async def _body(request: Request) -> bytes:
    """The body, unpacked if it is gzip, never more than the payload limit either way."""
    packing = request.headers.get("content-encoding", "identity").lower()
    if packing not in ("identity", "gzip"):
        raise InvalidRequest(f"Content-Encoding {packing!r} is not supported; use gzip or none.")
    unpack = zlib.decompressobj(wbits=31) if packing == "gzip" else None
    body = bytearray()
    try:
        async with asyncio.timeout(MESSAGE_SECONDS):
            async for piece in request.stream():
                if unpack is not None:
                    body += unpack.decompress(piece, MAX_PAYLOAD + 1 - len(body))
                else:
                    body += piece
                if len(body) > MAX_PAYLOAD or (unpack is not None and unpack.unconsumed_tail):
                    raise _payload_too_large()
    except TimeoutError:
        raise InvalidRequest(
            f"The request did not arrive within {MESSAGE_SECONDS:g} seconds."
        ) from None
    except zlib.error as error:
        raise InvalidRequest("The body is not valid gzip.") from error
    except ClientDisconnect as error:
        raise ServerFailed("The client went away.") from error
    if unpack is not None and body and not unpack.eof:
        raise InvalidRequest("The gzip body ends too early.")
    return bytes(body)


def _payload_too_large() -> InvalidRequest:
    return InvalidRequest(f"Request payload size exceeds the limit: {MAX_PAYLOAD} bytes.")


def _error(error: RequestError) -> Response:
    http, name = HTTP_OF_CODE[error.code]
    status = json_format.MessageToDict(status_of(error))
    body: dict[str, Any] = {"code": http, "message": error.message, "status": name}
    if "details" in status:
        body["details"] = status["details"]
    headers = {"WWW-Authenticate": "Bearer"} if http == 401 else None
    return Response(vision.dump_json({"error": body}), http, headers, media_type=_JSON)


async def _no_such_path(request: Request, _: Exception) -> Response:
    return _error(OperationNotFound(f"There is no {request.method} {request.url.path}."))
