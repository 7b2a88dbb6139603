"""The bucket door's uploads: in one piece, with metadata, or in several pieces (resumable).

Bytes go to the store as they come in; an object is there whole at the end, or not at all.
"""

from __future__ import annotations

import re
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tapetum.door.buckets.checksums import Checksums
from tapetum.door.buckets.storage import (
    MAX_METADATA,
    answered,
    check_generation,
    generation,
    json_body,
    parsed,
    pieces,
    refusal,
    resource,
)
from tapetum.errors import InvalidObjectName, ObjectNotFound, ObjectTooLarge, StoreUnavailable
from tapetum.identity.principal import Principal
from tapetum.stores.local import LocalStore, Upload
from tapetum.stores.router import Stores

#: Largest object, in bytes, that can be uploaded here.
MAX_OBJECT = 2**30
#: Resumable uploads open at a time; the oldest gives way.
MAX_SESSIONS = 64


def routes(stores: Stores, scheme: str) -> list[Route]:
    """The upload paths. ``scheme`` is what the public port speaks, http or https."""
    door = _Door(stores, scheme)
    path = "/upload/storage/v1/b/{bucket}/o"
    return [
        Route(path, answered(door.upload), methods=["POST"]),
        Route(path, answered(door.resume), methods=["PUT"]),
        Route(path, answered(door.give_up), methods=["DELETE"]),
    ]


@dataclass(slots=True)
class _Incoming:
    """An object on its way, and what its sender said of it."""

    sender: Principal
    store: LocalStore
    bucket: str
    key: str
    upload: Upload
    query: Mapping[str, str]
    metadata: Mapping[str, Any]
    sums: Checksums = field(default_factory=Checksums)

    def write(self, piece: bytes) -> None:
        if self.upload.size + len(piece) > MAX_OBJECT:
            raise ObjectTooLarge(f"{self.key} has more than {MAX_OBJECT} bytes.")
        self.sums.update(piece)
        self.upload.write(piece)

    def commit(self) -> Response:
        """Put it in its place, unless a checksum or a condition says no."""
        for name, sum_of_bytes in (("md5Hash", self.sums.md5), ("crc32c", self.sums.crc32c)):
            if self.metadata.get(name, sum_of_bytes) != sum_of_bytes:
                raise InvalidObjectName(f"{name} is not that of the bytes that came in.")
        self._check_condition()
        self.upload.commit()
        with self.store.open(self.key) as file:
            return JSONResponse(resource(self.bucket, self.key, file, self.sums))

    def _check_condition(self) -> None:
        current = "0"
        try:
            with self.store.open(self.key) as file:
                current = generation(file)
        except ObjectNotFound:
            pass
        check_generation({**self.query, "generation": current}, current)


class _Door:
    def __init__(self, stores: Stores, scheme: str) -> None:
        self._stores = stores
        self._scheme = scheme
        self._sessions: OrderedDict[str, _Incoming] = OrderedDict()

    async def upload(self, request: Request) -> Response:
        kind = request.query_params.get("uploadType")
        if kind == "media":
            return await self._whole(request)
        if kind == "multipart":
            return await self._multipart(request)
        if kind == "resumable":
            return await self._begin_session(request)
        raise InvalidObjectName("uploadType must be media, multipart or resumable.")

    def _begin(self, request: Request, metadata: Mapping[str, Any]) -> _Incoming:
        bucket = request.path_params["bucket"]
        key = request.query_params.get("name") or metadata.get("name")
        if not isinstance(key, str):
            raise InvalidObjectName("The object needs a name.")
        caller = request.state.caller
        store = self._stores.seen_by(caller).local(bucket, writable=True)
        query = dict(request.query_params)
        return _Incoming(caller, store, bucket, key, store.begin(key), query, metadata)

    async def _whole(self, request: Request) -> Response:
        incoming = await run_in_threadpool(self._begin, request, {})
        try:
            async for piece in pieces(request):
                await run_in_threadpool(incoming.write, piece)
            return await run_in_threadpool(incoming.commit)
        finally:
            incoming.upload.close()

    async def _multipart(self, request: Request) -> Response:
        parts = _Parts(request.headers.get("content-type", ""))
        incoming: _Incoming | None = None
        try:
            async for piece in pieces(request):
                parts.feed(piece)
                if parts.metadata is not None and incoming is None:
                    incoming = await run_in_threadpool(self._begin, request, parsed(parts.metadata))
                if incoming is not None:
                    await run_in_threadpool(incoming.write, parts.take())
            if incoming is None or not parts.ended:
                raise InvalidObjectName("The body must have two parts: metadata, and the object.")
            return await run_in_threadpool(incoming.commit)
        finally:
            if incoming is not None:
                incoming.upload.close()

    # --- resumable ----------------------------------------------------------------------------

    async def _begin_session(self, request: Request) -> Response:
        incoming = await run_in_threadpool(self._begin, request, await json_body(request))
        session = secrets.token_urlsafe(24)
        self._sessions[session] = incoming
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)[1].upload.close()
        query = urlencode({"uploadType": "resumable", "upload_id": session})
        host = request.headers.get("host", "")
        path = f"/upload/storage/v1/b/{quote(incoming.bucket)}/o?{query}"
        return Response(headers={"Location": f"{self._scheme}://{host}{path}"})

    def _taken(self, request: Request) -> tuple[str, _Incoming]:
        """An upload out of the open ones, so that it is nobody else's meanwhile."""
        session = request.query_params.get("upload_id", "")
        incoming = self._sessions.get(session)
        if incoming is None or incoming.sender != request.state.caller:
            raise ObjectNotFound("There is no such upload; begin it again.")
        return session, self._sessions.pop(session)

    async def resume(self, request: Request) -> Response:
        """Take the next bytes; without a total, or until it is reached, there are more to come."""
        session, incoming = self._taken(request)
        is_kept = False
        try:
            if await self._is_whole(request, incoming):
                return await run_in_threadpool(incoming.commit)
            is_kept = True
        except StoreUnavailable:
            is_kept = True
            raise
        finally:
            if is_kept:
                self._sessions[session] = incoming
            else:
                incoming.upload.close()
        size = incoming.upload.size
        return Response(status_code=308, headers={"Range": f"bytes=0-{size - 1}"} if size else {})

    async def _is_whole(self, request: Request, incoming: _Incoming) -> bool:
        """Take the body, if it goes on where the last one ended; whether that was all."""
        header = request.headers.get("content-range", "")
        first, total = _content_range(header)
        if not header or first == incoming.upload.size:
            async for piece in pieces(request):
                await run_in_threadpool(incoming.write, piece)
        return not header or incoming.upload.size == total

    async def give_up(self, request: Request) -> Response:
        _, incoming = self._taken(request)
        incoming.upload.close()
        return refusal(499, "cancelled", "The upload was cancelled.")


_CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,18})-\d{1,18}|\*)/(?:(\d{1,18})|\*)")


def _content_range(header: str) -> tuple[int | None, int | None]:
    """The position of the first byte sent and the total, where they are said."""
    if not header:
        return None, None
    span = _CONTENT_RANGE.fullmatch(header.strip())
    if span is None:
        raise InvalidObjectName(f"Content-Range: {header!r} cannot be read.")
    first, total = (int(number) if number else None for number in span.groups())
    return first, total


class _Parts:
    """``multipart/related``: JSON metadata, then the object's bytes."""

    def __init__(self, content_type: str) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise InvalidObjectName("Content-Type: there is no boundary.")
        self.metadata: bytes | None = None
        self.ended = False
        self._size = 0
        self._part = 0
        self._parts = (bytearray(), bytearray())
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._finish,
            },
        )

    def feed(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > MAX_OBJECT + 2 * MAX_METADATA:  # headers and boundaries count too
            raise ObjectTooLarge(f"The body has more than {MAX_OBJECT} bytes.")
        try:
            self._parser.write(piece)
        except MultipartParseError as error:
            raise InvalidObjectName("The body is not multipart.") from error
        if len(self._parts[0]) > MAX_METADATA:
            raise InvalidObjectName(f"The metadata have more than {MAX_METADATA} bytes.")

    def take(self) -> bytes:
        """The object's bytes that came in since the last time."""
        taken = bytes(self._parts[1])
        self._parts[1].clear()
        return taken

    def _begin(self) -> None:
        self._part += 1
        if self._part > 2:
            raise InvalidObjectName("The body has more than two parts.")

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._parts[self._part - 1].extend(data[start:end])

    def _end(self) -> None:
        if self._part == 1:
            self.metadata = bytes(self._parts[0])

    def _finish(self) -> None:
        self.ended = self._part == 2
