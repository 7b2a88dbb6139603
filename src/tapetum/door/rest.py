"""The REST door: Google's JSON transcoding of the same methods."""

from __future__ import annotations

import re
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
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

from tapetum.door import Method, annotate_methods, answer, discovery, is_held, late, status_of
from tapetum.door.bodies import arriving
from tapetum.door.buckets import storage, uploads
from tapetum.errors import InvalidRequest, OperationNotFound, RequestError, ServerFailed
from tapetum.identity.gate import Credentials, Gate
from tapetum.identity.principal import Principal
from tapetum.ledger import OperationRecord
from tapetum.operations.service import Service, operation_of
from tapetum.stores.router import Stores
from tapetum.vision import messages
from tapetum.vision.limits import MAX_PAYLOAD

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
_JSON = "application/json; charset=UTF-8"

_ANNOTATE = re.compile(
    r"(?:(?P<parent>projects/[^/]+(?:/locations/[^/]+)?)/)?(?P<verb>(?:images|files):\w+)"
)
_OPERATION = re.compile(
    r"(?P<name>(?:projects/[^/]+/)?(?:locations/[^/]+/)?operations/[^/:]+)(?::(?P<verb>\w+))?"
)
#: ``/v1/operations``, ``/v1/projects/p/operations``, and ``/v1/operations/operations``, which
#: is what the Python client makes of the first.
_OPERATIONS = re.compile(r"(?P<name>projects/[^/]+|operations)(?:/operations)?")


def build(
    service: Service, gate: Gate, buckets: Stores | None = None, scheme: str = "http"
) -> Starlette:
    """The ASGI application. With ``buckets`` the bucket door is open too; ``scheme`` is what the
    public port speaks, http or https. Every route lies behind ``gate`` and finds who is calling
    in ``request.state.caller``."""
    door = _Door(service)
    # Not around the bucket door: a storage client checks the bytes it is sent.
    packed = [Middleware(GZipMiddleware, minimum_size=1024)]
    routes = [
        Route(
            f"/{version}/{{path:path}}",
            handle,
            methods=["GET", "POST", "DELETE"],
            middleware=packed,
        )
        for version, handle in door.handlers.items()
    ]
    described = partial(_described, scheme)
    routes = [
        Route("/$discovery/rest", described, methods=["GET"], middleware=packed),
        Route("/{version}/openapi.json", described, methods=["GET"], middleware=packed),
        *routes,
    ]
    if buckets is not None:
        routes += storage.routes(buckets) + uploads.routes(buckets, scheme)
    return Starlette(
        routes=routes,
        middleware=[Middleware(_Admission, gate=gate)],
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


async def _described(scheme: str, request: Request) -> Response:
    """The discovery document, or OpenAPI's, of a version."""
    is_openapi = "version" in request.path_params
    name = request.path_params.get("version") or request.query_params.get("version", "v1")
    if name not in messages.VERSIONS:
        return await _no_such_path(request, OperationNotFound(""))
    document = discovery.openapi if is_openapi else discovery.discovery
    tree = document(messages.VERSIONS[name])
    root = f"{scheme}://{request.headers.get('host', '')}/"
    where: dict[str, Any] = (
        {"servers": [{"url": root}]} if is_openapi else {"rootUrl": root, "baseUrl": root}
    )
    return Response(messages.dump_json(tree | where), media_type=_JSON)


class _Door:
    """The paths of every version. Operations are the same under each; a method that a version's
    package does not have is v1's there, because Google's discovery documents list it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.handlers = {
            version.name: partial(self._handle, _calls(service, version))
            for version in messages.VERSIONS.values()
        }

    async def _handle(self, calls: Mapping[str, _Call], request: Request) -> Response:
        try:
            method, message = await self._route(calls, request)
            reply = await answer(method, message, request.state.caller)
        except RequestError as error:
            return _error(error)
        # JSON of many megabytes takes a while: other calls go on meanwhile.
        text = await run_in_threadpool(_text, reply, _wants_numbers(request))
        return Response(text, media_type=_JSON)

    async def _route(self, calls: Mapping[str, _Call], request: Request) -> tuple[Method, Any]:
        path = request.path_params["path"].rstrip("/")
        way = request.method
        if way == "POST" and (matched := _ANNOTATE.fullmatch(path)) and matched["verb"] in calls:
            call = calls[matched["verb"]]
            message = await run_in_threadpool(call.message, await _body(request), matched["parent"])
            is_slow = is_held(discovery.VERBS[matched["verb"]], _client(request))
            return partial(call.method, hold=True) if is_slow else call.method, message
        if matched := _OPERATION.fullmatch(path):
            name, verb = matched["name"], matched["verb"]
            get = operations_pb2.GetOperationRequest(name=name)
            if (way, verb) == ("POST", "cancel"):
                await _body(request)  # may be empty, and says nothing
                cancel = operations_pb2.CancelOperationRequest(name=name)
                return self._service.cancel_operation, cancel
            if (way, verb) == ("GET", "progress"):
                return self._progress, get
            if (way, verb) == ("GET", None) and path != "operations/operations":
                return partial(self._get, request), get
            if (way, verb) == ("DELETE", None):
                delete = operations_pb2.DeleteOperationRequest(name=name)
                return self._service.delete_operation, delete
        if way == "GET" and (matched := _OPERATIONS.fullmatch(path)):
            return self._service.list_operations, _list_request(request, matched["name"])
        raise OperationNotFound(f"There is no {way} {request.url.path}.")

    async def _get(self, http: Request, request: Any, caller: Principal) -> dict[str, Any]:
        """The operation; for those who are no Google client (Python's parses strictly), with
        counters in its metadata."""
        record = await self._service.record(request.name, caller)
        tree: dict[str, Any] = json_format.MessageToDict(
            operation_of(record), use_integers_for_enums=_wants_numbers(http)
        )
        if not _client(http):
            tree["metadata"] |= _counters(record)
        return tree

    async def _progress(self, request: Any, caller: Principal) -> dict[str, Any]:
        record = await self._service.record(request.name, caller)
        metadata = json_format.MessageToDict(operation_of(record))["metadata"]
        del metadata["@type"]
        progress: dict[str, Any] = {"name": record.name} | metadata | _counters(record)
        if record.images_per_second is not None:
            progress["imagesPerSecond"] = round(record.images_per_second, 3)
        if record.seconds_left is not None:
            progress["secondsLeft"] = round(record.seconds_left, 1)
        return progress


@dataclass(frozen=True, slots=True)
class _Call:
    """A method of one version, as REST calls it."""

    method: Callable[..., Awaitable[Any]]
    version: messages.Version
    request_class: Any

    def message(self, body: bytes, parent: str | None) -> Any:
        """v1's request of a JSON body and the path. Raises `InvalidRequest`."""
        message = self.version.to_v1(messages.from_json(body, self.request_class()))
        if parent:
            message.parent = parent
        return message


def _calls(service: Service, version: messages.Version) -> dict[str, _Call]:
    calls = {}
    for verb, name in discovery.VERBS.items():
        speaker = discovery.speaker(version, name)
        method = annotate_methods(service, speaker)[name]
        calls[verb] = _Call(method, speaker, speaker.methods[name])
    return calls


def _counters(record: OperationRecord) -> dict[str, int]:
    return {
        "images": record.images,
        "imagesDone": record.images_done,
        "imagesFailed": record.images_failed,
    }


def _client(request: Request) -> str:
    """Which of Google's clients asks; empty if none."""
    return request.headers.get("x-goog-api-client", "")


def _wants_numbers(request: Request) -> bool:
    return "enum-encoding=int" in request.query_params.get("$alt", "")


def _text(reply: Any, enum_numbers: bool) -> bytes:
    """The JSON of a message, or of a tree that has been made of one already."""
    if isinstance(reply, dict):
        return messages.dump_json(reply)
    return messages.to_json(reply, enum_numbers=enum_numbers)


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
        async for piece in arriving(request):
            if unpack is not None:
                body += unpack.decompress(piece, MAX_PAYLOAD + 1 - len(body))
            else:
                body += piece
            if len(body) > MAX_PAYLOAD or (unpack is not None and unpack.unconsumed_tail):
                raise _payload_too_large()
    except TimeoutError:
        raise late() from None
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
    return Response(messages.dump_json({"error": body}), http, headers, media_type=_JSON)


async def _no_such_path(request: Request, _: Exception) -> Response:
    return _error(OperationNotFound(f"There is no {request.method} {request.url.path}."))
