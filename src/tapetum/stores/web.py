"""Reading images from http(s) URLs, without letting a URL reach where its sender cannot."""

from __future__ import annotations

import ipaddress
import re
import socket
import time
import zlib
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpcore
import httpx

from tapetum.errors import (
    InvalidObjectName,
    ObjectForbidden,
    ObjectNotFound,
    ObjectTooLarge,
    StoreUnavailable,
)
from tapetum.observe.redaction import shown_url

#: Seconds for a whole download, redirects included, and for each wait for the next bytes.
TOTAL_SECONDS = 60.0
STEP_SECONDS = 10.0
MAX_REDIRECTS = 5

_until: ContextVar[float] = ContextVar("_until")
#: Types a body may have; of others it is not read.
_TYPE = re.compile(r"image/.*|(application|binary)/octet-stream|application/pdf|", re.IGNORECASE)


class WebStore:
    """GET of ``http://`` and ``https://`` URLs.

    With ``public_only``, every connection, redirects included, goes to an address that was
    resolved and checked at that moment: loopback, private, link-local (cloud metadata),
    multicast and reserved addresses are refused in every spelling, because it is the address
    that is checked and not the text of the URL. With ``hosts`` (``images.example``, or
    ``*.example`` for all below it) every connection goes to one of them, at whatever address it
    has. With ``images_only``, bodies of another type are not read.
    """

    def __init__(
        self,
        *,
        public_only: bool = True,
        hosts: Sequence[str] | None = None,
        images_only: bool = True,
    ) -> None:
        self._images_only = images_only
        transport = httpx.HTTPTransport()
        # httpx has no public seam for the socket layer; httpcore's pool below it has.
        transport._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=64,
            retries=1,
            network_backend=Backend(public_only=public_only, hosts=hosts),
        )
        self._client = httpx.Client(
            transport=transport,
            timeout=httpx.Timeout(STEP_SECONDS),
            headers={
                "User-Agent": "tapetum",
                "Accept": "image/*,*/*;q=0.5",
                "Accept-Encoding": "identity",
            },
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # keep none
            trust_env=False,
        )

    def get(self, url: str, limit: int) -> bytes:
        """The body behind ``url``, at most ``limit`` bytes of it."""
        _until.set(time.monotonic() + TOTAL_SECONDS)
        name = shown_url(url)
        try:
            return self._get(url, name, limit)
        except _AddressRefused as error:
            raise ObjectForbidden(f"{name}: {error}") from error
        except (httpx.InvalidURL, UnicodeError) as error:
            raise InvalidObjectName(f"{name!r} is not a URL: {error}") from error
        except (httpx.UnsupportedProtocol, _HostUnknown) as error:
            raise ObjectNotFound(f"{name}: {error}") from error
        except httpx.HTTPError as error:
            raise StoreUnavailable(f"{name}: {str(error) or type(error).__name__}") from error

    def close(self) -> None:
        """Close the idle connections."""
        self._client.close()

    def _get(self, url: str, name: str, limit: int) -> bytes:
        request: httpx.Request | None = self._client.build_request("GET", url)
        # Not httpx's own redirects: those read a redirect's body to the end, however long it is.
        for _ in range(MAX_REDIRECTS + 1):
            assert request is not None
            if request.url.userinfo:
                raise InvalidObjectName(f"{name} leads through a URL with a user name in it.")
            response = self._send(request)
            try:
                request = response.next_request
                if request is None:
                    _check_status(name, response.status_code)
                    if self._images_only:
                        _check_type(name, response.headers.get("Content-Type", ""))
                    return _body(name, response, limit)
            finally:
                response.close()
        raise ObjectNotFound(f"{name} leads through more than {MAX_REDIRECTS} redirects.")

    def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            return self._client.send(request, stream=True, follow_redirects=False)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            # Most likely an idle connection that the server was just closing.
            return self._client.send(request, stream=True, follow_redirects=False)


def _body(name: str, response: httpx.Response, limit: int) -> bytes:
    too_large = ObjectTooLarge(f"{name} has more than {limit} bytes.")
    if int(response.headers.get("Content-Length", 0)) > limit:
        raise too_large
    # Not httpx's own decoding, which knows no limit; and what was asked for is "identity".
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip"):
        raise ObjectNotFound(f"{name} comes in the encoding {encoding}, which is not read.")
    gzip = zlib.decompressobj(wbits=31) if encoding.endswith("gzip") else None
    content = bytearray()
    for piece in response.iter_raw():
        try:
            content += gzip.decompress(piece, limit + 1 - len(content)) if gzip else piece
        except zlib.error as error:
            raise ObjectNotFound(f"{name} is said to be gzip and is not.") from error
        if len(content) > limit:
            raise too_large
    if gzip and not gzip.eof:
        raise StoreUnavailable(f"{name} broke off.")
    return bytes(content)


def _check_status(name: str, status: int) -> None:
    if status in (401, 403, 451):
        raise ObjectForbidden(f"{name} answered {status}.")
    if status in (408, 425, 429) or status >= 500:
        raise StoreUnavailable(f"{name} answered {status}.")
    if status != httpx.codes.OK:
        raise ObjectNotFound(f"{name} answered {status}.")


def _check_type(name: str, content_type: str) -> None:
    kind = content_type.partition(";")[0].strip()
    if not _TYPE.fullmatch(kind):
        raise ObjectNotFound(f"{name} is of the type {kind[:100]}, which is no image.")


class _AddressRefused(Exception):
    """The host of a URL is at an address that is not public."""


class _HostUnknown(Exception):
    """There is no host of that name."""


class Backend(httpcore.NetworkBackend):
    """Resolves, checks, and connects to what it checked; keeps each download to its time."""

    def __init__(self, *, public_only: bool, hosts: Sequence[str] | None = None) -> None:
        self._public_only = public_only
        self._hosts = None if hosts is None else [host.lower() for host in hosts]
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        if self._hosts is not None and not _is_listed(host, self._hosts):
            raise _AddressRefused(f"{host} is not a host that this server fetches from.")
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, ValueError, OverflowError) as error:
            message = f"{host} cannot be resolved: {error}"
            if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
                raise httpcore.ConnectError(message) from error
            raise _HostUnknown(message) from error
        addresses = list(dict.fromkeys(str(row[4][0]) for row in rows))
        for address in addresses:
            if self._public_only and not is_public(address):
                raise _AddressRefused(f"{host} is at {address}, which is not a public address.")
        failure: Exception = httpcore.ConnectError(f"{host} has no address.")
        for address in addresses:
            try:
                return _Stream(
                    self._sockets.connect_tcp(
                        address, port, _left(timeout), local_address, socket_options
                    )
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def connect_unix_socket(self, *arguments: Any, **options: Any) -> httpcore.NetworkStream:
        raise _AddressRefused("Unix sockets are not public.")


class _Stream(httpcore.NetworkStream):
    """A connection on which a download ends in time, however slowly the bytes come."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout))

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        self._stream.close()


def _is_listed(host: str, hosts: Sequence[str]) -> bool:
    host = host.lower().rstrip(".")
    return any(
        host.endswith(listed[1:]) if listed.startswith("*.") else host == listed for listed in hosts
    )


def _left(timeout: float | None) -> float:
    """``timeout``, or what is left of this thread's download if that is less."""
    left = _until.get() - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout(f"it took longer than {TOTAL_SECONDS:g} s")
    return left if timeout is None else min(timeout, left)


_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
#: Global by their numbers, but a cloud's machines find the cloud's own services there.
_CLOUD_INNER = [ipaddress.ip_network(net) for net in ("168.63.129.16/32", "192.0.0.0/24")]


def is_public(address: str) -> bool:
    """Whether ``address`` (IPv4 or IPv6 text) is one anybody on the internet may reach."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            embedded = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if embedded is not None:
            return is_public(str(embedded))
        return ip.is_global and ip in _GLOBAL_UNICAST
    return ip.is_global and not ip.is_multicast and not any(ip in net for net in _CLOUD_INNER)
