"""Reading images from http(s) URLs, without letting a URL reach where its sender cannot."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from tapetum.errors import ObjectForbidden, ObjectNotFound, ObjectTooLarge, StoreUnavailable

#: Seconds for a whole download, and for each wait for the next bytes.
TOTAL_SECONDS = 60.0
STEP_SECONDS = 10.0
MAX_REDIRECTS = 5


class WebStore:
    """GET of ``http://`` and ``https://`` URLs.

    With ``public_only``, every connection, redirects included, goes to an address that was
    resolved and checked at that moment: loopback, private, link-local (cloud metadata),
    multicast and reserved addresses are refused in every spelling, because it is the address
    that is checked and not the text of the URL.
    """

    def __init__(self, *, public_only: bool = True) -> None:
        transport = httpx.HTTPTransport(retries=1)
        if public_only:
            # httpx has no public seam for the socket layer; httpcore's pool below it has.
            transport._pool = httpcore.ConnectionPool(
                ssl_context=httpx.create_ssl_context(),
                max_connections=64,
                retries=1,
                network_backend=PublicBackend(),
            )
        self._client = httpx.Client(
            transport=transport,
            timeout=httpx.Timeout(STEP_SECONDS),
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            headers={"User-Agent": "tapetum", "Accept": "image/*,*/*;q=0.5"},
            trust_env=not public_only,
        )

    def get(self, url: str, limit: int) -> bytes:
        """The body behind ``url``, at most ``limit`` bytes of it."""
        until = time.monotonic() + TOTAL_SECONDS
        try:
            with self._client.stream("GET", url) as response:
                _check_status(url, response.status_code)
                content = bytearray()
                for piece in response.iter_bytes():
                    content += piece
                    if len(content) > limit:
                        raise ObjectTooLarge(f"{url} has more than {limit} bytes.")
                    if time.monotonic() > until:
                        raise StoreUnavailable(f"{url} took longer than {TOTAL_SECONDS:g} s.")
                return bytes(content)
        except _AddressRefused as error:
            raise ObjectForbidden(f"{url}: {error}") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
            raise ObjectNotFound(f"{url}: {error}") from error
        except httpx.HTTPError as error:
            raise StoreUnavailable(f"{url}: {error or type(error).__name__}") from error

    def close(self) -> None:
        """Close the idle connections."""
        self._client.close()


def _check_status(url: str, status: int) -> None:
    if status in (401, 403, 451):
        raise ObjectForbidden(f"{url} answered {status}.")
    if status in (408, 425, 429) or status >= 500:
        raise StoreUnavailable(f"{url} answered {status}.")
    if status != httpx.codes.OK:
        raise ObjectNotFound(f"{url} answered {status}.")


class _AddressRefused(Exception):
    """The host of a URL is at an address that is not public."""


class PublicBackend(httpcore.NetworkBackend):
    """Connects only to public addresses: resolves, checks, and connects to what it checked."""

    def __init__(self) -> None:
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved: {error}") from error
        addresses = [str(row[4][0]) for row in found]
        for address in addresses:
            if not is_public(address):
                raise _AddressRefused(f"{host} is at {address}, which is not a public address.")
        return self._sockets.connect_tcp(addresses[0], port, timeout, local_address, socket_options)

    def connect_unix_socket(self, *arguments: Any, **options: Any) -> httpcore.NetworkStream:
        raise _AddressRefused("Unix sockets are not public.")


def is_public(address: str) -> bool:
    """Whether ``address`` (IPv4 or IPv6 text) is one anybody on the internet may reach."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if embedded is not None:
            return is_public(str(embedded))
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast
