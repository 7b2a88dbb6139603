"""Errors that cross from a worker to the server, as JSON: the class by name, code and message.

A worker has looked at what strangers sent. What it says is therefore read as plain data and never
unpickled.
"""

from __future__ import annotations

from typing import Any

from tapetum import errors
from tapetum.errors import ServerFailed, TapetumError

_KNOWN: dict[str, type[TapetumError]] = {
    kind.__name__: kind
    for kind in (
        errors.LeaseLost,
        errors.TaskStopped,
        errors.OutputNotWritable,
        errors.StoreUnavailable,
        errors.SettingsError,
        errors.ModelError,
        errors.InvalidGallery,
        errors.GalleryBroken,
        errors.GalleryNotFound,
    )
}


def to_json(error: BaseException) -> dict[str, Any]:
    """``error`` as a JSON object. Of an error outside the tree only its kind crosses: the worker's
    log has the rest."""
    if isinstance(error, TapetumError):
        return {"error": type(error).__name__, "code": error.code, "message": error.message}
    return {"error": type(error).__name__, "code": ServerFailed.code, "message": ""}


def from_json(fault: dict[str, Any]) -> TapetumError:
    """The error of a JSON object that `to_json` made, or claims to have made."""
    name, message = str(fault.get("error", ""))[:100], str(fault.get("message", ""))[:10_000]
    if name == errors.FileLost.__name__:
        cause = TapetumError(message)
        code = fault.get("code")
        cause.code = code if isinstance(code, int) and 0 < code <= 16 else cause.code  # type: ignore[misc]
        return errors.FileLost(cause)
    if name in _KNOWN:
        return _KNOWN[name](message)
    return ServerFailed(f"A worker failed ({name}): its log has the rest.")
