"""The doors: protocol only. What a method means is the service's business."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from google.rpc import error_details_pb2

from tapetum.errors import (
    AccessRefused,
    InvalidRequest,
    QuotaExceeded,
    RequestError,
    ServerFailed,
    TapetumError,
)
from tapetum.identity.principal import Principal
from tapetum.operations.service import Service
from tapetum.vision import messages

log = logging.getLogger(__name__)

#: Longest that a request may take to arrive, in seconds, at whatever door.
MESSAGE_SECONDS = 120.0
#: What a request and its caller are given to.
Method = Callable[[Any, Principal], Awaitable[Any]]


def annotate_methods(
    service: Service, version: messages.Version
) -> Mapping[str, Callable[..., Awaitable[Any]]]:
    """The methods of ``ImageAnnotator``, from v1's request to an answer in ``version``'s words.
    Those that start an operation take ``hold``."""
    methods: dict[str, Callable[..., Awaitable[Any]]] = {
        "BatchAnnotateImages": service.batch_annotate_images,
        "BatchAnnotateFiles": service.batch_annotate_files,
        "AsyncBatchAnnotateImages": partial(
            service.async_batch_annotate_images, api_version=version.name
        ),
        "AsyncBatchAnnotateFiles": partial(
            service.async_batch_annotate_files, api_version=version.name
        ),
    }

    def in_version(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(request: Any, caller: Principal, **how: bool) -> Any:
            return version.of_v1(await method(request, caller, **how))

        return call

    return {name: in_version(method) for name, method in methods.items()}


def is_held(method: str, client: str) -> bool:
    """Whether the answer to ``method`` waits for a job that ends soon: where it starts an
    operation for Java, whose client (``x-goog-api-client``) is slow to ask again."""
    return method.startswith("Async") and "gl-java/" in client


async def answer(method: Method, request: Any, caller: Principal) -> Any:
    """What ``method`` answers ``caller``. Anything unexpected is logged and becomes
    `ServerFailed`, so that no traceback reaches a client. Raises `RequestError`."""
    try:
        return await method(request, caller)
    except RequestError:
        raise
    except TapetumError as error:
        log.exception("an error that is not for clients reached the door")
        raise ServerFailed("A fault of this server; its log has the rest.") from error
    except Exception as error:
        log.exception("unexpected fault in %s", request.DESCRIPTOR.name)
        raise ServerFailed("A fault of this server; its log has the rest.") from error


def late() -> InvalidRequest:
    """Of a request that has not arrived within `MESSAGE_SECONDS`."""
    return InvalidRequest(f"The request did not arrive within {MESSAGE_SECONDS:g} seconds.")


def status_of(error: RequestError) -> Any:
    """The ``google.rpc.Status`` of ``error``: with a ``BadRequest`` naming the fields, an
    ``ErrorInfo`` saying why the caller is refused, a ``RetryInfo`` saying when to come again."""
    status = messages.Status(code=error.code, message=error.message)
    if isinstance(error, AccessRefused):
        info = error_details_pb2.ErrorInfo(
            reason=error.reason,
            domain="googleapis.com",
            metadata={"service": "vision.googleapis.com"},
        )
        status.details.add().Pack(info)
    if isinstance(error, QuotaExceeded):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(math.ceil(error.wait * 1000))
        status.details.add().Pack(retry)
    if isinstance(error, InvalidRequest) and error.violations:
        bad = error_details_pb2.BadRequest()
        for violation in error.violations:
            bad.field_violations.add(field=violation.field, description=violation.description)
        status.details.add().Pack(bad)
    return status
