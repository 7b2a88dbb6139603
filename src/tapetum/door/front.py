"""One public port for both doors.

A connection that opens with the HTTP/2 preface (over TLS: that negotiated ``h2``) is gRPC and
goes to the gRPC door; any other is REST. TLS ends here. The two doors listen on loopback.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from tapetum.errors import SettingsError

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_PIECE = 64 * 1024
#: Seconds in which a new connection must have said what it speaks, or finished its handshake.
_HELLO_SECONDS = 20.0


class Front:
    """Accepts connections on the public port and splices each to its door."""

    def __init__(self, grpc_port: int, http_port: int, tls: ssl.SSLContext | None) -> None:
        self._doors = {True: grpc_port, False: http_port}
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int) -> int:
        """Start to accept; answers the port, which matters when ``port`` is 0."""
        handshake = _HELLO_SECONDS if self._tls else None
        self._server = await asyncio.start_server(
            self._accept, host, port, ssl=self._tls, ssl_handshake_timeout=handshake, limit=_PIECE
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Accept no more and cut what is open."""
        if self._server is not None:
            self._server.close()
        for connection in self._open:
            connection.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        # A peer that goes away ends its connection and nothing else.
        with suppress(OSError, EOFError, TimeoutError, asyncio.CancelledError):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = b""
        secured = writer.get_extra_info("ssl_object")
        if secured is not None:
            is_grpc = secured.selected_alpn_protocol() == "h2"
        else:
            async with asyncio.timeout(_HELLO_SECONDS):
                while _PREFACE.startswith(first) and len(first) < len(_PREFACE):
                    piece = await reader.read(_PIECE)
                    if not piece:
                        return
                    first += piece
            is_grpc = first.startswith(_PREFACE)
        door_reader, door_writer = await asyncio.open_connection(
            "127.0.0.1", self._doors[is_grpc], limit=_PIECE
        )
        try:
            door_writer.write(first)
            async with asyncio.TaskGroup() as both:
                both.create_task(_splice(reader, door_writer))
                both.create_task(_splice(door_reader, writer))
        except* (OSError, EOFError):
            pass
        finally:
            door_writer.close()


async def _splice(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while piece := await source.read(_PIECE):
        sink.write(piece)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()
    else:  # TLS has no half-close: the other direction is over too
        sink.close()


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server context for TLS 1.2 and up that offers HTTP/2 and HTTP/1.1.

    Raises `SettingsError` naming the files when they are not a pair.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"tls_cert {certificate} and tls_key {key} cannot be used: {error}."
        ) from error
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def is_loopback(host: str) -> bool:
    """Whether ``host`` can only be reached from this machine."""
    try:
        found = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return all(ip_address(str(row[4][0]).partition("%")[0]).is_loopback for row in found)
