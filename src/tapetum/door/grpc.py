"""The gRPC door: generic handlers over the raw message classes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import grpc
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2
from google.protobuf.message import DecodeError
from grpc import aio

from tapetum.door import MESSAGE_SECONDS, Method, annotate_methods, answer, is_held, late, status_of
from tapetum.errors import InvalidRequest, RequestError
from tapetum.identity.gate import Credentials, Gate
from tapetum.operations.service import Service
from tapetum.vision import messages
from tapetum.vision.limits import MAX_PAYLOAD

_CODES = {code.value[0]: code for code in grpc.StatusCode}
#: A protobuf message may carry as many image bytes as a JSON body, and some framing.
MAX_MESSAGE = MAX_PAYLOAD + 1024 * 1024
#: Calls at once, of one connection and of all together.
MAX_STREAMS = 100
MAX_CALLS = 1000


def build(service: Service, gate: Gate) -> aio.Server:
    """A server, not yet bound to a port, that speaks ``ImageAnnotator`` and ``Operations``."""
    operations: dict[str, tuple[Method, Any]] = {
        "GetOperation": (service.get_operation, operations_pb2.GetOperationRequest),
        "ListOperations": (service.list_operations, operations_pb2.ListOperationsRequest),
        "CancelOperation": (service.cancel_operation, operations_pb2.CancelOperationRequest),
        "DeleteOperation": (service.delete_operation, operations_pb2.DeleteOperationRequest),
        "WaitOperation": (service.wait_operation, operations_pb2.WaitOperationRequest),
    }
    server = aio.server(
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # a second server on a port must fail, not share it
            ("grpc.max_concurrent_streams", MAX_STREAMS),
            ("grpc.server_handshake_timeout_ms", 10_000),
        ],
        maximum_concurrent_rpcs=MAX_CALLS,
    )
    handlers = [
        grpc.method_handlers_generic_handler(
            version.service, _annotate_handlers(service, gate, version)
        )
        for version in messages.VERSIONS.values()
    ]
    handlers.append(
        grpc.method_handlers_generic_handler(
            "google.longrunning.Operations",
            {name: _handler(gate, method, kind) for name, (method, kind) in operations.items()},
        )
    )
    server.add_generic_rpc_handlers(tuple(handlers))
    return server


def _annotate_handlers(service: Service, gate: Gate, version: messages.Version) -> dict[str, Any]:
    methods = annotate_methods(service, version)
    return {
        name: _handler(gate, methods[name], kind, version.to_v1, name)
        for name, kind in version.methods.items()
    }


def _handler(
    gate: Gate,
    method: Callable[..., Awaitable[Any]],
    request_class: Any,
    understood: Callable[[Any], Any] = lambda request: request,
    name: str = "",
) -> Any:
    """A call of one message, answered by one. ``understood`` makes of a request of
    ``request_class`` the one that ``method`` takes.

    To the library it is a stream of requests: only then is the caller known, and may be turned
    away, before the message is read, and a message that does not come is not waited for for ever.
    """

    async def handle(messages: Any, context: Any) -> Any:
        try:
            metadata = dict(context.invocation_metadata() or ())
            caller = await gate.caller(Credentials.of(lambda key: _text(metadata.get(key))))
            request = understood(_parsed(await _only(messages), request_class))
            is_slow = is_held(name, _text(metadata.get("x-goog-api-client")) or "")
            call = partial(method, hold=True) if is_slow else method
            return await answer(call, request, caller)
        except RequestError as error:
            details = (("grpc-status-details-bin", status_of(error).SerializeToString()),)
            await context.abort(_CODES[error.code], error.message, details)
            return empty_pb2.Empty()  # not reached: abort raises

    return grpc.stream_unary_rpc_method_handler(
        handle,
        response_serializer=lambda message: message.SerializeToString(),
    )


def _parsed(content: bytes, request_class: Any) -> Any:
    try:
        return request_class.FromString(content)
    except DecodeError as error:
        name = request_class.DESCRIPTOR.name
        raise InvalidRequest(f"The request is not a message of the type {name}.") from error


async def _only(messages: Any) -> bytes:
    """The call's one message."""
    try:
        async with asyncio.timeout(MESSAGE_SECONDS):
            async for message in messages:
                return bytes(message)
    except TimeoutError:
        raise late() from None
    raise InvalidRequest("The call has no request message.")


def _text(value: Any) -> str | None:
    return value.decode("latin-1") if isinstance(value, bytes) else value
