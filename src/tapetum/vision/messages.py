"""The Vision messages and their JSON form. The only importer of ``google.cloud.vision*``.

The classes are the raw protobuf ones registered by the ``google-cloud-vision`` package: its
proto-plus wrappers cost several times more per field and give a server nothing. They are
generated at import time and carry no static types, so to mypy they are ``Any``.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.cloud import (
    vision_v1,
    vision_v1p1beta1,
    vision_v1p2beta1,
    vision_v1p3beta1,
    vision_v1p4beta1,
)
from google.longrunning import operations_pb2
from google.protobuf import any_pb2, json_format
from google.rpc import status_pb2

from tapetum.errors import FieldViolation, InvalidRequest

__all__ = [
    "RESPONSES",
    "V1",
    "VERSIONS",
    "WITH_TOTAL_PAGES",
    "AnnotateFileRequest",
    "AnnotateFileResponse",
    "AnnotateImageRequest",
    "AnnotateImageResponse",
    "AsyncBatchAnnotateFilesRequest",
    "AsyncBatchAnnotateFilesResponse",
    "AsyncBatchAnnotateImagesRequest",
    "AsyncBatchAnnotateImagesResponse",
    "BatchAnnotateFilesRequest",
    "BatchAnnotateFilesResponse",
    "BatchAnnotateImagesRequest",
    "BatchAnnotateImagesResponse",
    "Feature",
    "Operation",
    "OperationMetadata",
    "Status",
    "Version",
    "from_json",
    "pack",
    "to_json",
]


def _raw(wrapper: Any) -> Any:
    """The protobuf class under a proto-plus class."""
    return type(wrapper.pb(wrapper()))


AnnotateFileRequest = _raw(vision_v1.AnnotateFileRequest)
AnnotateFileResponse = _raw(vision_v1.AnnotateFileResponse)
AnnotateImageRequest = _raw(vision_v1.AnnotateImageRequest)
AnnotateImageResponse = _raw(vision_v1.AnnotateImageResponse)
AsyncBatchAnnotateFilesRequest = _raw(vision_v1.AsyncBatchAnnotateFilesRequest)
AsyncBatchAnnotateFilesResponse = _raw(vision_v1.AsyncBatchAnnotateFilesResponse)
AsyncBatchAnnotateImagesRequest = _raw(vision_v1.AsyncBatchAnnotateImagesRequest)
AsyncBatchAnnotateImagesResponse = _raw(vision_v1.AsyncBatchAnnotateImagesResponse)
BatchAnnotateFilesRequest = _raw(vision_v1.BatchAnnotateFilesRequest)
BatchAnnotateFilesResponse = _raw(vision_v1.BatchAnnotateFilesResponse)
BatchAnnotateImagesRequest = _raw(vision_v1.BatchAnnotateImagesRequest)
BatchAnnotateImagesResponse = _raw(vision_v1.BatchAnnotateImagesResponse)
Feature = _raw(vision_v1.Feature)
OperationMetadata = _raw(vision_v1.OperationMetadata)
Operation = operations_pb2.Operation
Status = status_pb2.Status

_METHODS = (
    "BatchAnnotateImages",
    "BatchAnnotateFiles",
    "AsyncBatchAnnotateImages",
    "AsyncBatchAnnotateFiles",
)


@dataclass(frozen=True, slots=True)
class Version:
    """One published version of the API, by its name (``v1p4beta1``) and its package.

    The versions agree in the number and type of every field they share, which a test holds for
    each message, so a message goes from one to the other as its bytes. Behind the doors there are
    only v1's.
    """

    name: str
    package: Any

    @property
    def service(self) -> str:
        """The full name of its gRPC service."""
        return f"google.cloud.vision.{self.name}.ImageAnnotator"

    @property
    def methods(self) -> Mapping[str, Any]:
        """The methods its service has: name → request class."""
        requests = {name: self.message(f"{name}Request") for name in _METHODS}
        return {name: request for name, request in requests.items() if request is not None}

    def message(self, name: str) -> Any | None:
        """The raw class of its message ``name``, or ``None`` if it has no such message."""
        wrapper = getattr(self.package, name, None)
        return None if wrapper is None else _raw(wrapper)

    def of_v1(self, message: Any) -> Any:
        """``message``, which is v1's, without what this version does not have. A message that
        this version does not have at all stays as it is."""
        own = self.message(message.DESCRIPTOR.name)
        if own is None or isinstance(message, own):
            return message
        converted = own.FromString(message.SerializeToString())
        converted.DiscardUnknownFields()
        return converted

    def to_v1(self, message: Any) -> Any:
        """``message``, which is this version's, as v1's. What this version does not know is left
        out: v1 may know the field, and anything may be in it."""
        own = V1.message(message.DESCRIPTOR.name)
        if own is None or isinstance(message, own):
            return message
        message.DiscardUnknownFields()
        return own.FromString(message.SerializeToString())


V1 = Version("v1", vision_v1)
#: Every version served, by name.
VERSIONS: Mapping[str, Version] = {
    version.name: version
    for version in (
        V1,
        Version("v1p4beta1", vision_v1p4beta1),
        Version("v1p3beta1", vision_v1p3beta1),
        Version("v1p2beta1", vision_v1p2beta1),
        Version("v1p1beta1", vision_v1p1beta1),
    )
}

#: What an operation answers at its end, by the method that began it.
RESPONSES: Mapping[str, Any] = {
    "AsyncBatchAnnotateImages": AsyncBatchAnnotateImagesResponse,
    "AsyncBatchAnnotateFiles": AsyncBatchAnnotateFilesResponse,
}
#: API versions whose ``AnnotateFileResponse`` has ``total_pages``; clients of the others may refuse
#: a field they do not know.
WITH_TOTAL_PAGES = ("v1", "v1p4beta1")


def pack(message: Any) -> any_pb2.Any:
    """``message`` in a ``google.protobuf.Any``, with the type URL its class has."""
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


# --- JSON out ---------------------------------------------------------------------------------


def to_json(message: Any, *, enum_numbers: bool = False) -> bytes:
    """``message`` as Google writes it: compact UTF-8, camelCase keys by field number, defaults
    omitted, floats in the shortest form that is the same float32, whole numbers without ``.0``.
    """
    tree = json_format.MessageToDict(message, use_integers_for_enums=enum_numbers)
    return dump_json(tree)


def dump_json(tree: Any) -> bytes:
    """A tree of dicts, lists and scalars in the byte form of `to_json`."""
    text = json.dumps(_whole_numbers(tree), ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def _whole_numbers(node: Any) -> Any:
    """Protobuf's printer leaves ``1.0`` where Google writes ``1``."""
    if isinstance(node, float) and node.is_integer() and 0 < abs(node) < 2**53:
        return int(node)
    if isinstance(node, dict):
        return {key: _whole_numbers(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_whole_numbers(value) for value in node]
    return node


# --- JSON in ----------------------------------------------------------------------------------


def from_json(body: bytes, message: Any) -> Any:
    """Fill ``message`` from a JSON body and return it.

    Raises `InvalidRequest` with Google's wording and the field's path: bad JSON, unknown field,
    unknown enum name, wrong type, or base64 that does not decode (protobuf's own parser silently
    drops characters that are not base64).
    """
    try:
        tree = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant) if body else {}
    except (ValueError, RecursionError) as error:
        detail = "Nested too deeply." if isinstance(error, RecursionError) else f"{error}"
        raise InvalidRequest(f"Invalid JSON payload received. {detail}") from error
    if not isinstance(tree, dict):
        raise InvalidRequest("Invalid JSON payload received. The body must be a JSON object.")
    _check_base64(tree, message.DESCRIPTOR, "")
    try:
        json_format.ParseDict(tree, message)
    except json_format.ParseError as error:
        raise _invalid_payload(str(error)) from error
    return message


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")


def _check_base64(tree: Mapping[str, Any], descriptor: Any, path: str) -> None:
    by_key = {field.json_name: field for field in descriptor.fields}
    by_key |= {field.name: field for field in descriptor.fields}
    for key, value in tree.items():
        field = by_key.get(key)
        if field is None:
            continue
        at = f"{path}.{key}" if path else key
        repeated = isinstance(value, list)
        for index, item in enumerate(value if repeated else [value]):
            where = f"{at}[{index}]" if repeated else at
            if field.type == field.TYPE_BYTES and isinstance(item, str):
                _check_base64_value(item, where)
            elif field.type == field.TYPE_MESSAGE and isinstance(item, dict):
                _check_base64(item, field.message_type, where)


def _check_base64_value(value: str, where: str) -> None:
    try:
        if _BASE64.fullmatch(value) is None:
            raise binascii.Error
        # Only the length can still be wrong, and the last few characters decide that.
        tail = value.rstrip("=")
        tail = tail[len(tail) // 4 * 4 :]
        base64.urlsafe_b64decode(tail + "=" * (-len(tail) % 4))
    except binascii.Error as error:
        shown = value if len(value) <= 40 else value[:40] + "..."
        text = f"Invalid value at '{where}' (TYPE_BYTES), Base64 decoding failed for \"{shown}\""
        raise InvalidRequest(text, [FieldViolation(where, text)]) from error


_UNKNOWN_FIELD = re.compile(r'has no field named "(?P<name>.*?)" at "(?P<path>[^"]*)"', re.S)
_BAD_ENUM = re.compile(r"Invalid enum value (?P<value>.*) for enum type (?P<type>[\w.]+)")
_AT_PATH = re.compile(r" at (?P<path>\w+(?:\.\w+|\[\d+\])*)\.*$")


def _invalid_payload(text: str) -> InvalidRequest:
    """Protobuf's parse error in Google's words."""
    if unknown := _UNKNOWN_FIELD.search(text):
        field = _below_root(unknown["path"])
        where = f" at '{field}'" if field else ""
        message = f'Invalid JSON payload received. Unknown name "{unknown["name"]}"{where}: '
        message += "Cannot find field."
        return InvalidRequest(message, [FieldViolation(field, message)])
    place = _AT_PATH.search(text)
    field = _below_root(place["path"]) if place else ""
    if enum := _BAD_ENUM.search(text):
        message = f"Invalid value at '{field}' (type.googleapis.com/{enum['type']}), "
        message += f'"{enum["value"]}"'
    else:
        reason = _AT_PATH.sub("", text).rsplit(" field: ", 1)[-1]
        message = f"Invalid value at '{field}': {reason}" if field else f"Invalid value: {reason}"
    return InvalidRequest(message, [FieldViolation(field, message)])


def _below_root(path: str) -> str:
    """``AsyncBatchAnnotateImagesRequest.requests[0]`` → ``requests[0]``."""
    return path.partition(".")[2]
