"""The doors: protocol only. What a method means is the service's business."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf import any_pb2
from google.rpc import error_details_pb2

from tapetum import vision
from tapetum.errors import InvalidRequest, RequestError, ServerFailed, TapetumError

log = logging.getLogger(__name__)


async def answer(method: Callable[[Any], Awaitable[Any]], request: Any) -> Any:
    """What ``method`` answers. Anything unexpected is logged and becomes `ServerFailed`, so that
    no traceback reaches a client. Raises `RequestError`."""
    try:
        return await method(request)
    except RequestError:
        raise
    except TapetumError as error:
        log.exception("an error that is not for clients reached the door")
        raise ServerFailed("A fault of this server; its log has the rest.") from error
    except Exception as error:
        log.exception("unexpected fault in %s", getattr(method, "__name__", method))
        raise ServerFailed("A fault of this server; its log has the rest.") from error


def status_of(error: RequestError) -> Any:
    """The ``google.rpc.Status`` of ``error``, with a ``BadRequest`` naming the fields."""
    status = vision.Status(code=error.code, message=error.message)
    if isinstance(error, InvalidRequest) and error.violations:
        bad = error_details_pb2.BadRequest()
        for violation in error.violations:
            bad.field_violations.add(field=violation.field, description=violation.description)
        detail = any_pb2.Any()
        detail.Pack(bad)
        status.details.append(detail)
    return status
