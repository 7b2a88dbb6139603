"""The gRPC door: generic handlers over the raw message classes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import grpc
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2
from grpc import aio

from tapetum import vision
from tapetum.door import Method, annotate_methods, answer, is_held, status_of
from tapetum.errors import RequestError
from tapetum.service import Service
from tapetum.validate import MAX_PAYLOAD

_CODES = {code.value[0]: code for code in grpc.StatusCode}
#: A protobuf message may carry as many image bytes as a JSON body, and some framing.
MAX_MESSAGE = MAX_PAYLOAD + 1024 * 1024


def build(service: Service) -> aio.Server:
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
        ]
    )
    handlers = [
        grpc.method_handlers_generic_handler(version.service, _annotate_handlers(service, version))
        for version in vision.VERSIONS.values()
    ]
    handlers.append(
        grpc.method_handlers_generic_handler(
            "google.longrunning.Operations",
            {name: _handler(method, kind) for name, (method, kind) in operations.items()},
        )
    )
    server.add_generic_rpc_handlers(tuple(handlers))
    return server


def _annotate_handlers(service: Service, version: vision.Version) -> dict[str, Any]:
    methods = annotate_methods(service, version)
    return {
        name: _handler(methods[name], kind, version.to_v1, name)
        for name, kind in version.methods.items()
    }


def _handler(
    method: Callable[..., Awaitable[Any]],
    request_class: Any,
    understood: Callable[[Any], Any] = lambda request: request,
    name: str = "",
) -> Any:
    """``understood`` makes of a request of ``request_class`` the one that ``method`` takes."""

    async def handle(request: Any, context: Any) -> Any:
        metadata = dict(context.invocation_metadata() or ())
        is_slow = is_held(name, str(metadata.get("x-goog-api-client", "")))
        call = partial(method, hold=True) if is_slow else method
        try:
            return await answer(call, understood(request))
        except RequestError as error:
            details = (("grpc-status-details-bin", status_of(error).SerializeToString()),)
            await context.abort(_CODES[error.code], error.message, details)
            return empty_pb2.Empty()  # not reached: abort raises

    return grpc.unary_unary_rpc_method_handler(
        handle,
        request_deserializer=request_class.FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )
