"""Everything that can go wrong, as one tree.

TapetumError
├── RequestError              the call fails: the client reads it as the RPC's status
│   ├── InvalidRequest        3   an argument is wrong; names the field
│   ├── FileNotReadable       7   a file of pages cannot be read; or the code of the cause
│   ├── OperationNotFound     5   no operation of that name
│   ├── RequestForbidden      7   the caller may not do this
│   ├── QuotaExceeded         8   more than the caller's quota; says when to try again
│   ├── Unauthenticated       16  no credentials, or none that are believed
│   ├── CallerUnknown         14  the keys that tokens are checked against cannot be had now
│   ├── ServerUnavailable     14  no worker can be had now, or the server is shutting down
│   └── ServerFailed          13  a fault of ours; the log has the rest
├── ImageError                one image's answer: responses[i].error, the batch goes on
│   ├── BadImage              3   bytes that are no readable picture
│   ├── BrokenFile            3   a file that has no pages to give: damaged, encrypted, too many
│   ├── ImageTooLarge         3   more bytes or pixels than the limits allow
│   ├── InvalidImageParameter 3   a parameter of this image's request cannot be used
│   ├── InvalidImageUri       3   the URI is not one this server reads
│   ├── UrlNotAccessible      3   an http(s) URL that answers no
│   ├── ImageNotFound         5   no such object
│   ├── ImageForbidden        7   the object may not be read, or by policy not fetched
│   ├── FeatureNotAvailable   12  a feature type this server does not detect
│   ├── PdfIsNoImage          13  a PDF where an image belongs; its pages have methods of their own
│   ├── ImageFailed           13  a detector failed on this image; the log has the rest
│   ├── NotAnnotated          13  what a `Result` says went wrong; or the code of the cause
│   └── UrlNotAvailable       14  an http(s) URL or store that does not answer now
├── OperationError            the job as a whole fails: operation.error
│   ├── OperationCancelled    1   on the client's wish
│   ├── FileLost              7   a file of pages that the call could read; or the cause's code
│   └── OutputNotWritable     7   the output prefix cannot be written
├── StoreError                what a store says; fetch and assemble turn it into the above
│   ├── InvalidObjectName     3
│   ├── ObjectNotFound        5
│   ├── ObjectForbidden       7
│   ├── ObjectTooLarge        3
│   ├── ObjectExists          6
│   ├── ObjectChanged         9
│   └── StoreUnavailable      14
├── GalleryError              a gallery, or what is to be put into one, cannot be used
│   ├── GalleryNotFound       5   no gallery of that name
│   ├── EntryNotFound         5   no entry of that key
│   ├── GalleryExists         6   the project has a gallery of that name
│   ├── InvalidGallery        3   a name, kind, manifest, archive or reference that will not do
│   └── GalleryBroken         9   the file that holds the galleries cannot be read or written
├── LeaseLost                 10  the task is no longer this worker's; its result is dropped
├── TaskStopped               1   the worker is asked to stop; the task goes back to the ledger
├── SettingsError             3   a flag, variable or settings file that cannot be used
└── ModelError                9   a weight file that is missing or not the one in the manifest

Every leaf knows its ``google.rpc.Code`` as ``code``. Messages say what was wrong, where, and what
to do; they are safe to show to a client.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from google.rpc import code_pb2


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong field of a request, as ``google.rpc.BadRequest`` reports it."""

    field: str
    description: str


class TapetumError(Exception):
    """Root of the tree. ``str(error)`` is a sentence for a person."""

    code: ClassVar[int] = code_pb2.INTERNAL

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RequestError(TapetumError):
    """The call fails."""


class InvalidRequest(RequestError):
    """An argument of the call is wrong."""

    code = code_pb2.INVALID_ARGUMENT

    def __init__(self, message: str, violations: Sequence[FieldViolation] = ()) -> None:
        super().__init__(message)
        self.violations = tuple(violations)


class FileNotReadable(RequestError):
    """The code and message are those of the error that reading the file ended in."""

    code = code_pb2.PERMISSION_DENIED

    def __init__(self, error: TapetumError) -> None:
        super().__init__(error.message)
        self.code = error.code  # type: ignore[misc]


class OperationNotFound(RequestError):
    code = code_pb2.NOT_FOUND


class AccessRefused(RequestError):
    """The call is refused for who makes it. ``reason`` is a ``google.api.ErrorReason``."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class RequestForbidden(AccessRefused):
    code = code_pb2.PERMISSION_DENIED


class Unauthenticated(AccessRefused):
    code = code_pb2.UNAUTHENTICATED


class QuotaExceeded(AccessRefused):
    """``wait`` is the number of seconds after which a retry may be let in."""

    code = code_pb2.RESOURCE_EXHAUSTED

    def __init__(self, message: str, wait: float, reason: str = "RATE_LIMIT_EXCEEDED") -> None:
        super().__init__(message, reason)
        self.wait = wait


class CallerUnknown(RequestError):
    code = code_pb2.UNAVAILABLE


class ServerUnavailable(RequestError):
    code = code_pb2.UNAVAILABLE


class ServerFailed(RequestError):
    code = code_pb2.INTERNAL


class ImageError(TapetumError):
    """One image cannot be answered; it becomes ``responses[i].error``."""


class BadImage(ImageError):
    code = code_pb2.INVALID_ARGUMENT


class BrokenFile(ImageError):
    code = code_pb2.INVALID_ARGUMENT


class ImageTooLarge(ImageError):
    code = code_pb2.INVALID_ARGUMENT


class InvalidImageParameter(ImageError):
    code = code_pb2.INVALID_ARGUMENT


class InvalidImageUri(ImageError):
    code = code_pb2.INVALID_ARGUMENT


class UrlNotAccessible(ImageError):
    code = code_pb2.INVALID_ARGUMENT


class ImageNotFound(ImageError):
    code = code_pb2.NOT_FOUND


class ImageForbidden(ImageError):
    code = code_pb2.PERMISSION_DENIED


class FeatureNotAvailable(ImageError):
    code = code_pb2.UNIMPLEMENTED


class PdfIsNoImage(ImageError):
    code = code_pb2.INTERNAL


class ImageFailed(ImageError):
    code = code_pb2.INTERNAL


class NotAnnotated(ImageError):
    """The code and message are those of the image's answer."""

    code = code_pb2.INTERNAL

    def __init__(self, message: str, code: int = code_pb2.INTERNAL) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]


class UrlNotAvailable(ImageError):
    code = code_pb2.UNAVAILABLE


class OperationError(TapetumError):
    """The job as a whole fails; it becomes ``operation.error``."""


class OperationCancelled(OperationError):
    code = code_pb2.CANCELLED


class FileLost(OperationError):
    """The code and message are those of the error that opening the file ended in."""

    code = code_pb2.PERMISSION_DENIED

    def __init__(self, error: TapetumError) -> None:
        super().__init__(error.message)
        self.code = error.code  # type: ignore[misc]


class OutputNotWritable(OperationError):
    code = code_pb2.PERMISSION_DENIED


class StoreError(TapetumError):
    """An object cannot be read or written."""


class InvalidObjectName(StoreError):
    code = code_pb2.INVALID_ARGUMENT


class ObjectNotFound(StoreError):
    code = code_pb2.NOT_FOUND


class ObjectForbidden(StoreError):
    code = code_pb2.PERMISSION_DENIED


class ObjectTooLarge(StoreError):
    code = code_pb2.INVALID_ARGUMENT


class ObjectExists(StoreError):
    code = code_pb2.ALREADY_EXISTS


class ObjectChanged(StoreError):
    code = code_pb2.FAILED_PRECONDITION


class StoreUnavailable(StoreError):
    code = code_pb2.UNAVAILABLE


class GalleryError(TapetumError):
    """A gallery cannot be used."""


class GalleryNotFound(GalleryError):
    code = code_pb2.NOT_FOUND


class EntryNotFound(GalleryError):
    code = code_pb2.NOT_FOUND


class GalleryExists(GalleryError):
    code = code_pb2.ALREADY_EXISTS


class InvalidGallery(GalleryError):
    code = code_pb2.INVALID_ARGUMENT


class GalleryBroken(GalleryError):
    code = code_pb2.FAILED_PRECONDITION


class LeaseLost(TapetumError):
    """Another worker may hold the task now: write nothing more for it."""

    code = code_pb2.ABORTED


class TaskStopped(TapetumError):
    """The process is shutting down: give the task back."""

    code = code_pb2.CANCELLED


class SettingsError(TapetumError):
    code = code_pb2.INVALID_ARGUMENT


class ModelError(TapetumError):
    code = code_pb2.FAILED_PRECONDITION
