"""The REST door described for machines, made from the descriptors of the messages.

``GET /$discovery/rest?version=v1`` answers Google's discovery document, ``GET /v1/openapi.json``
the same as OpenAPI 3.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from google.longrunning import operations_pb2
from google.protobuf import empty_pb2

from tapetum.vision import messages

#: The last part of a path → the method it calls.
VERBS: Mapping[str, str] = {
    "images:annotate": "BatchAnnotateImages",
    "files:annotate": "BatchAnnotateFiles",
    "images:asyncBatchAnnotate": "AsyncBatchAnnotateImages",
    "files:asyncBatchAnnotate": "AsyncBatchAnnotateFiles",
}
_OF_V1 = "V1"
#: What may stand before them and before ``operations``, as resources of the discovery document.
_PARENTS = ((), ("projects",), ("projects", "locations"))
_OPERATION_PARENTS = (*_PARENTS, ("locations",))

#: ``FieldDescriptor.type`` of what is no message and no enum → JSON's type and its format.
_SCALARS: Mapping[int, Mapping[str, str]] = {
    1: {"type": "number", "format": "double"},
    2: {"type": "number", "format": "float"},
    3: {"type": "string", "format": "int64"},
    4: {"type": "string", "format": "uint64"},
    5: {"type": "integer", "format": "int32"},
    8: {"type": "boolean"},
    9: {"type": "string"},
    12: {"type": "string", "format": "byte"},
    13: {"type": "integer", "format": "uint32"},
}
#: Messages that JSON writes in a form of their own.
_KNOWN: Mapping[str, Mapping[str, Any]] = {
    "google.protobuf.Any": {"type": "object", "additionalProperties": {}},
    "google.protobuf.Timestamp": {"type": "string", "format": "google-datetime"},
    "google.protobuf.FloatValue": {"type": "number", "format": "float"},
}


def speaker(version: messages.Version, method: str) -> messages.Version:
    """The version in whose messages ``version`` answers ``method`` over REST: its own, or v1,
    because Google's discovery documents list every method under each prefix."""
    return version if method in version.methods else messages.V1


@cache
def discovery(version: messages.Version) -> dict[str, Any]:
    """Google's discovery document, format v1, but for the URL it is served at."""
    root: dict[str, Any] = {"resources": {}}
    for path, verb, parents, call in _calls(version):
        resource = root
        for name in parents:
            resource = resource.setdefault("resources", {}).setdefault(name, {})
        kind, action = verb
        methods = (
            resource.setdefault("resources", {}).setdefault(kind, {}).setdefault("methods", {})
        )
        methods[action] = {
            "id": ".".join(("vision", *parents, kind, action)),
            "path": f"{version.name}/{path}",
            "flatPath": f"{version.name}/{path}",
            **_described(call),
        }
    return {
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": f"vision:{version.name}",
        "name": "vision",
        "version": version.name,
        "title": "Tapetum, speaking the Cloud Vision API",
        "protocol": "rest",
        "servicePath": "",
        "batchPath": "batch",
        "parameters": {},
        "schemas": {name: {"id": name, **schema} for name, schema in _schemas(version, "").items()},
        "resources": root["resources"],
    }


@cache
def openapi(version: messages.Version) -> dict[str, Any]:
    """OpenAPI 3.0, but for the URL it is served at."""
    prefix = "#/components/schemas/"
    paths: dict[str, Any] = {}
    for path, verb, parents, call in _calls(version):
        operation: dict[str, Any] = {
            "operationId": "_".join((*parents, *verb)),
            "parameters": [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in call["path"]
            ]
            + [
                {"name": name, "in": "query", "schema": {"type": kind}}
                for name, kind in call["query"].items()
            ],
            "responses": {
                "200": {
                    "description": "The answer.",
                    "content": _json({"$ref": prefix + call["response"]}),
                },
                "default": {
                    "description": "The error.",
                    "content": _json({"$ref": f"{prefix}Error"}),
                },
            },
        }
        if call["request"]:
            operation["requestBody"] = {"content": _json({"$ref": prefix + call["request"]})}
        full = f"/{version.name}/{path}"
        paths.setdefault(full, {})[call["http"].lower()] = operation
    error: dict[str, Any] = {"code": {"type": "integer"}, "message": {"type": "string"}}
    error |= {"status": {"type": "string"}, "details": {"type": "array", "items": {}}}
    schemas = _schemas(version, prefix)
    schemas["Error"] = _object({"error": _object(error)})
    return {
        "openapi": "3.0.3",
        "info": {"title": "Tapetum", "version": version.name},
        "paths": paths,
        "components": {"schemas": schemas},
    }


_Call = dict[str, Any]


def _calls(
    version: messages.Version,
) -> Iterator[tuple[str, tuple[str, str], tuple[str, ...], _Call]]:
    """(path below the version, (resource, action), parents, what it takes and gives)."""
    for parents in _PARENTS:
        above = _above(parents)
        for verb, method in VERBS.items():
            words = "" if method in version.methods else _OF_V1
            answer = f"{words}{method}Response"
            if method.startswith("Async"):
                answer = "Operation"
            call = _call("POST", parents, f"{words}{method}Request", answer)
            kind, _, action = verb.partition(":")
            yield f"{above}{verb}", (kind, action), parents, call
    for parents in _OPERATION_PARENTS:
        above = f"{_above(parents)}operations"
        operation = f"{above}/{{operation}}"
        ids = (*parents, "operations")
        yield operation, ("operations", "get"), parents, _call("GET", ids, "", "Operation")
        yield operation, ("operations", "delete"), parents, _call("DELETE", ids, "", "Empty")
        yield (
            f"{operation}:cancel", ("operations", "cancel"), parents,
            _call("POST", ids, "", "Empty"),
        )  # fmt: skip
        if parents in ((), ("projects",)):
            call = _call("GET", parents, "", "ListOperationsResponse")
            query = {"filter": "string", "pageSize": "integer", "pageToken": "string"}
            yield above, ("operations", "list"), parents, call | {"query": query}


def _above(parents: tuple[str, ...]) -> str:
    return "".join(f"{name}/{{{name[:-1]}}}/" for name in parents)


def _call(http: str, ids: tuple[str, ...], request: str, response: str) -> _Call:
    path = [name[:-1] for name in ids]
    return {"http": http, "path": path, "query": {}, "request": request, "response": response}


def _described(call: _Call) -> dict[str, Any]:
    """The discovery document's words for a call."""
    parameters: dict[str, Any] = {
        name: {"type": "string", "location": "path", "required": True} for name in call["path"]
    }
    parameters |= {
        name: {"type": kind, "location": "query"} for name, kind in call["query"].items()
    }
    described = {
        "httpMethod": call["http"],
        "parameters": parameters,
        "parameterOrder": call["path"],
        "response": {"$ref": call["response"]},
    }
    if call["request"]:
        described["request"] = {"$ref": call["request"]}
    return described


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties)}


def _schemas(version: messages.Version, prefix: str) -> dict[str, Any]:
    """Every message that a call takes or gives, by name, and those in them."""
    waiting = [
        operations_pb2.Operation.DESCRIPTOR,
        operations_pb2.ListOperationsResponse.DESCRIPTOR,
        empty_pb2.Empty.DESCRIPTOR,
    ]
    for method in VERBS.values():
        words = speaker(version, method)
        for name in (f"{method}Request", f"{method}Response"):
            kind = words.message(name)
            if kind is not None:
                waiting.append(kind.DESCRIPTOR)
    schemas: dict[str, Any] = {}
    while waiting:
        descriptor = waiting.pop()
        name = _name(descriptor, version)
        if name in schemas or descriptor.full_name in _KNOWN:
            continue
        schemas[name] = _object(
            {field.json_name: _field(field, version, prefix) for field in descriptor.fields}
        )
        for field in descriptor.fields:
            inner = field.message_type
            if inner is not None and inner.GetOptions().map_entry:
                inner = inner.fields_by_name["value"].message_type
            if inner is not None:
                waiting.append(inner)
    return dict(sorted(schemas.items()))


def _name(descriptor: Any, version: messages.Version) -> str:
    """``google.cloud.vision.v1.FaceAnnotation.Landmark`` → ``FaceAnnotationLandmark``; what an
    older version lends from v1 says so."""
    package = descriptor.file.package
    is_lent = version is not messages.V1 and package == "google.cloud.vision.v1"
    name = str(descriptor.full_name).removeprefix(f"{package}.").replace(".", "")
    return f"{_OF_V1 if is_lent else ''}{name}"


def _field(field: Any, version: messages.Version, prefix: str) -> dict[str, Any]:
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        value = _value(inner.fields_by_name["value"], version, prefix)
        return {"type": "object", "additionalProperties": value}
    value = _value(field, version, prefix)
    return {"type": "array", "items": value} if field.is_repeated else value


def _value(field: Any, version: messages.Version, prefix: str) -> dict[str, Any]:
    if field.message_type is not None:
        known = _KNOWN.get(field.message_type.full_name)
        return dict(known) if known else {"$ref": prefix + _name(field.message_type, version)}
    if field.enum_type is not None:
        return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
    return dict(_SCALARS[field.type])
