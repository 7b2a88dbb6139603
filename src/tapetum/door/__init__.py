"""The doors: protocol only. What a method means is the service's business."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any

from google.rpc import error_details_pb2

from tapetum import vision
from tapetum.errors import (
    AccessRefused,
    InvalidRequest,
    QuotaExceeded,
    RequestError,
    ServerFailed,
    TapetumError,
)
from tapetum.principal import Principal

log = logging.getLogger(__name__)


async def answer(
    method: Callable[[Any, Principal], Awaitable[Any]], request: Any, caller: Principal
) -> Any:
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
        log.exception("unexpected fault in %s", getattr(method, "__name__", method))
        raise ServerFailed("A fault of this server; its log has the rest.") from error


def status_of(error: RequestError) -> Any:
    """The ``google.rpc.Status`` of ``error``: with a ``BadRequest`` naming the fields, an
    ``ErrorInfo`` saying why the caller is refused, a ``RetryInfo`` saying when to come again."""
    status = vision.Status(code=error.code, message=error.message)
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
