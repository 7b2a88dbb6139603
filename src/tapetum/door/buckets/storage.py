"""The bucket door: as much of Cloud Storage's JSON API as reading results takes, for local buckets.

With ``STORAGE_EMULATOR_HOST=http://HOST:PORT`` Google's storage clients list, read, upload and
delete here. A file has a name, bytes and a time, and nothing else: its generation is that time,
its content type follows from its name, and metadata of a client's own are not kept.

Clients differ in the paths they make of that variable: Python and Java go to ``/storage/v1/b``,
``/download/storage/v1/b`` and ``/upload/storage/v1/b``, Node.js to ``/b`` and ``/upload/...``.
"""

from __future__ import annotations

import json
import logging
import mimetypes
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any, BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tapetum.door.bodies import arriving
from tapetum.door.buckets.checksums import Checksums
from tapetum.errors import (
    InvalidObjectName,
    ObjectChanged,
    ObjectExists,
    ObjectForbidden,
    ObjectNotFound,
    ObjectTooLarge,
    StoreError,
    StoreUnavailable,
)
from tapetum.stores import check_key
from tapetum.stores.router import Stores

log = logging.getLogger(__name__)

MAX_PAGE_SIZE = 1000
#: Largest JSON body, in bytes: a bucket's or an object's metadata.
MAX_METADATA = 64 * 1024
#: Bytes a second that an upload must reach, beyond the time that any request has.
SLOWEST = 64 * 1024
_PIECE = 256 * 1024

_Handler = Callable[[Request], Awaitable[Response]]

#: (HTTP status, Google's word for it).
_HTTP_OF_ERROR: Mapping[type[StoreError], tuple[int, str]] = {
    InvalidObjectName: (400, "invalid"),
    ObjectForbidden: (403, "forbidden"),
    ObjectNotFound: (404, "notFound"),
    ObjectExists: (409, "conflict"),
    ObjectChanged: (412, "conditionNotMet"),
    ObjectTooLarge: (413, "uploadTooLarge"),
    StoreUnavailable: (503, "backendError"),
}


def routes(stores: Stores) -> list[Route]:
    """The paths of the read side, and of making and removing; uploads have their own module."""
    door = _Door(stores)
    routes = [Route("/download/storage/v1/b/{bucket}/o/{name:path}", answered(door.media))]
    for base in ("/storage/v1/b", "/b"):
        routes += [
            Route(f"{base}", answered(door.buckets), methods=["GET"]),
            Route(f"{base}", answered(door.make_bucket), methods=["POST"]),
            Route(f"{base}/{{bucket}}", answered(door.bucket), methods=["GET"]),
            Route(f"{base}/{{bucket}}", answered(door.drop_bucket), methods=["DELETE"]),
            Route(f"{base}/{{bucket}}/o", answered(door.objects), methods=["GET"]),
            Route(f"{base}/{{bucket}}/o/{{name:path}}", answered(door.object), methods=["GET"]),
            Route(f"{base}/{{bucket}}/o/{{name:path}}", answered(door.delete), methods=["DELETE"]),
        ]
    return routes


def answered(handler: _Handler) -> _Handler:
    """``handler``, with a store's errors as Cloud Storage's error bodies."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except StoreError as error:
            return refusal(*_HTTP_OF_ERROR[type(error)], error.message)
        except Exception:
            log.exception("unexpected fault at the bucket door")
            return refusal(500, "internalError", "A fault of this server; its log has the rest.")

    return handle


def refusal(status: int, reason: str, message: str) -> Response:
    """Cloud Storage's error body."""
    detail = {"message": message, "domain": "global", "reason": reason}
    body = {"code": status, "message": message, "errors": [detail]}
    return JSONResponse({"error": body}, status)


class _Door:
    def __init__(self, stores: Stores) -> None:
        self._all = stores

    def _stores(self, request: Request) -> Stores:
        return self._all.seen_by(request.state.caller)

    # --- buckets ------------------------------------------------------------------------------

    async def buckets(self, request: Request) -> Response:
        names = await run_in_threadpool(self._stores(request).local_buckets)
        prefix = request.query_params.get("prefix", "")
        items = [_bucket(name) for name in names if name.startswith(prefix)]
        return JSONResponse({"kind": "storage#buckets", "items": items})

    async def bucket(self, request: Request) -> Response:
        name = request.path_params["bucket"]
        await run_in_threadpool(self._stores(request).local, name)
        return JSONResponse(_bucket(name))

    async def make_bucket(self, request: Request) -> Response:
        name = (await json_body(request)).get("name")
        if not isinstance(name, str):
            raise InvalidObjectName("The bucket needs a name.")
        await run_in_threadpool(self._stores(request).make_bucket, name)
        return JSONResponse(_bucket(name))

    async def drop_bucket(self, request: Request) -> Response:
        stores = self._stores(request)
        await run_in_threadpool(stores.drop_bucket, request.path_params["bucket"])
        return Response(status_code=204)

    # --- objects ------------------------------------------------------------------------------

    async def objects(self, request: Request) -> Response:
        query = request.query_params
        if query.get("delimiter", "/") != "/":
            raise InvalidObjectName("delimiter: only / is supported.")
        return JSONResponse(
            await run_in_threadpool(
                self._page,
                self._stores(request),
                request.path_params["bucket"],
                prefix=query.get("prefix", ""),
                after=query.get("pageToken", ""),
                size=_page_size(query.get("maxResults", "")),
                deep="delimiter" not in query,
            )
        )

    def _page(
        self, stores: Stores, bucket: str, *, prefix: str, after: str, size: int, deep: bool
    ) -> dict[str, Any]:
        store = stores.local(bucket)
        fit = filter(_is_name, store.page(prefix, after, deep=deep))
        keys = list(islice(fit, size + 1))
        page: dict[str, Any] = {"kind": "storage#objects", "items": []}
        if len(keys) > size:
            page["nextPageToken"] = keys[size - 1]
        for key in keys[:size]:
            if key.endswith("/"):
                page.setdefault("prefixes", []).append(key)
                continue
            try:
                with store.open(key) as file:
                    page["items"].append(resource(bucket, key, file))
            except (ObjectNotFound, ObjectForbidden):
                continue  # gone since, or listed to those who may not read it
        return page

    async def object(self, request: Request) -> Response:
        if request.query_params.get("alt") == "media":
            return await self.media(request)
        bucket, key, file = await self._open(request)
        with file:
            sums = await run_in_threadpool(Checksums.of, file)
            return JSONResponse(resource(bucket, key, file, sums))

    async def media(self, request: Request) -> Response:
        _, key, file = await self._open(request)
        size = os.fstat(file.fileno()).st_size
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Type": content_type(key),
            "ETag": f'"{generation(file)}"',
            "X-Goog-Generation": generation(file),
            "X-Goog-Metageneration": "1",
            "X-Goog-Stored-Content-Encoding": "identity",
            "X-Goog-Stored-Content-Length": str(size),
        }
        wanted = request.headers.get("range", "")
        span = _span(wanted, size)
        if span is None:
            file.close()
            headers["Content-Range"] = f"bytes */{size}"
            return Response(status_code=416, headers=headers)
        first, last = span
        if not wanted:
            sums = await run_in_threadpool(Checksums.of, file)
            headers["X-Goog-Hash"] = f"crc32c={sums.crc32c},md5={sums.md5}"
        else:
            headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        headers["Content-Length"] = str(last - first + 1)
        return StreamingResponse(
            _pieces(file, first, last), 206 if wanted else 200, headers=headers
        )

    async def delete(self, request: Request) -> Response:
        local = self._stores(request).local
        store = await run_in_threadpool(local, request.path_params["bucket"], writable=True)
        _, key, file = await self._open(request)
        file.close()
        await run_in_threadpool(store.delete, key)
        return Response(status_code=204)

    async def _open(self, request: Request) -> tuple[str, str, BinaryIO]:
        bucket, key = request.path_params["bucket"], request.path_params["name"]
        store = await run_in_threadpool(self._stores(request).local, bucket)
        try:
            file = await run_in_threadpool(store.open, key)
        except ObjectNotFound:
            raise ObjectNotFound(f"No such object: {bucket}/{key}") from None
        try:
            check_generation(request.query_params, generation(file))
        except StoreError:
            file.close()
            raise
        return bucket, key, file


def check_generation(query: Mapping[str, str], current: str) -> None:
    """Raise unless what the query says of the object's generation holds; "0" is no object."""
    wanted = query.get("generation")
    if wanted is not None and wanted != current:
        raise ObjectNotFound(f"There is no generation {wanted}; only the newest is kept.")
    match, unlike = query.get("ifGenerationMatch"), query.get("ifGenerationNotMatch")
    if (match is not None and match != current) or (unlike is not None and unlike == current):
        raise ObjectChanged(f"The object's generation is {current}.")


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes in. Raises `StoreUnavailable` when it stops or is too slow."""
    try:
        async for piece in arriving(request, SLOWEST):
            yield piece
    except ClientDisconnect as error:
        raise StoreUnavailable("The client went away.") from error
    except TimeoutError as error:
        raise StoreUnavailable("The body arrives too slowly; send the rest again.") from error


async def json_body(request: Request) -> dict[str, Any]:
    """A small JSON object; an empty body is an empty one. Raises `InvalidObjectName`, and what
    `pieces` raises."""
    body = bytearray()
    async for piece in pieces(request):
        body += piece
        if len(body) > MAX_METADATA:
            raise InvalidObjectName(f"The body has more than {MAX_METADATA} bytes.")
    return parsed(bytes(body))


def parsed(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises `InvalidObjectName`."""
    try:
        tree = json.loads(body) if body else {}
    except (ValueError, RecursionError) as error:
        raise InvalidObjectName("The body is not JSON.") from error
    if not isinstance(tree, dict):
        raise InvalidObjectName("The body must be a JSON object.")
    return tree


def generation(file: BinaryIO) -> str:
    """The number that changes with the object."""
    return str(os.fstat(file.fileno()).st_mtime_ns // 1000)


def content_type(key: str) -> str:
    """What the name says."""
    return mimetypes.guess_type(key)[0] or "application/octet-stream"


def resource(
    bucket: str, key: str, file: BinaryIO, sums: Checksums | None = None
) -> dict[str, Any]:
    """The object's metadata. Its checksums cost a look at every byte: lists go without."""
    status = os.fstat(file.fileno())
    number = generation(file)
    changed = datetime.fromtimestamp(status.st_mtime_ns // 1_000_000 / 1000, UTC)
    stamp = changed.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    tree = {
        "kind": "storage#object",
        "id": f"{bucket}/{key}/{number}",
        "name": key,
        "bucket": bucket,
        "generation": number,
        "metageneration": "1",
        "contentType": content_type(key),
        "storageClass": "STANDARD",
        "size": str(status.st_size),
        "etag": number,
        "timeCreated": stamp,
        "updated": stamp,
    }
    if sums is not None:
        tree |= {"md5Hash": sums.md5, "crc32c": sums.crc32c}
    return tree


def _is_name(key: str) -> bool:
    """Whether a file's name can be an object's; one that is no text cannot be asked for."""
    try:
        check_key(key.removesuffix("/"))
    except InvalidObjectName:
        return False
    return True


def _bucket(name: str) -> dict[str, str]:
    return {
        "kind": "storage#bucket",
        "id": name,
        "name": name,
        "metageneration": "1",
        "location": "LOCAL",
        "storageClass": "STANDARD",
        "etag": "1",
    }


def _page_size(text: str) -> int:
    if not text:
        return MAX_PAGE_SIZE
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise InvalidObjectName(f"maxResults: {text!r} is not a number above 0.")
    return min(int(text), MAX_PAGE_SIZE)


_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def _span(header: str, size: int) -> tuple[int, int] | None:
    """The first and last byte wanted; ``None`` where there is nothing of that kind."""
    if not header:
        return 0, size - 1
    span = _RANGE.fullmatch(header.strip())
    if span is None or span[0] == "bytes=-":
        return None
    if not span[1]:
        first, last = max(0, size - int(span[2])), size - 1
    else:
        first, last = int(span[1]), min(int(span[2] or size), size - 1)
    return (first, last) if first <= last else None


def _pieces(file: BinaryIO, first: int, last: int) -> Iterator[bytes]:
    with file:
        file.seek(first)
        left = last - first + 1
        while left > 0 and (piece := file.read(min(_PIECE, left))):
            left -= len(piece)
            yield piece
