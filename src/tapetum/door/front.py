"""One public port for both doors.

A connection that opens with the HTTP/2 preface (over TLS: that negotiated ``h2``) is gRPC and
goes to the gRPC door; any other is REST. TLS ends here. The two doors listen on loopback.

Connections are cheap to open and dear to keep, so their number is bounded: when the house is full,
a newcomer takes the place of one that has not said anything yet, or else of the one that has been
silent for longest. Whoever works is thus never crowded out by those who only hold the line.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from tapetum.errors import SettingsError

log = logging.getLogger(__name__)

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_PIECE = 64 * 1024
_BACKLOG = 1024
#: File descriptors of a connection: the client's, and both ends of the one to its door.
_FILES = 3
#: File descriptors left for everything else: the ledger, images, fetching.
_OTHER_FILES = 300
#: Seconds before accepting is tried again when there was no file descriptor left.
_BREATH = 0.05


@dataclass(frozen=True, slots=True)
class Limits:
    """``hello`` seconds to say what is spoken (TLS included), ``idle`` seconds of silence in both
    directions, ``connections`` at once."""

    connections: int = 4096
    hello: float = 10.0
    idle: float = 900.0

    def within_files(self) -> Limits:
        """As many connections as the process has file descriptors for, after asking for all."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = self.connections * _FILES + _OTHER_FILES
        if soft < wanted:
            soft = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        room = max(8, (soft - _OTHER_FILES) // _FILES)
        if room < self.connections:
            log.warning("connections: %d instead of %d; ulimit -n", room, self.connections)
        return Limits(min(room, self.connections), self.hello, self.idle)


@dataclass(eq=False, slots=True)
class _Connection:
    """One connection. ``heard`` is when bytes last went either way."""

    heard: float
    task: asyncio.Task[None] | None = None
    parts: list[asyncio.StreamWriter] = field(default_factory=list)

    def leave(self) -> None:
        """Cut the connection at once."""
        for writer in self.parts:
            writer.transport.abort()
        if self.task is not None:
            self.task.cancel()


class Front:
    """Accepts connections on the public port and splices each to its door."""

    def __init__(
        self, grpc_port: int, http_port: int, tls: ssl.SSLContext | None, limits: Limits
    ) -> None:
        self._doors = {True: grpc_port, False: http_port}
        self._tls = tls
        self._limits = limits
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: list[socket.socket] = []
        # Both in order of what was heard last, the longest silent first.
        self._silent: dict[_Connection, None] = {}
        self._open: dict[_Connection, None] = {}

    async def listen(self, host: str, port: int) -> int:
        """Start to accept; answers the port, which matters when ``port`` is 0."""
        for address in await _addresses(host, port):
            listener = _listening(address, port)
            self._listeners.append(listener)
            port = int(listener.getsockname()[1])
            self._start(self._accept(listener))
        self._start(self._watch())
        return port

    async def close(self) -> None:
        """Accept no more and cut what is open."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for listener in self._listeners:
            listener.close()

    def _start(self, work: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- who is in ----------------------------------------------------------------------------

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    continue  # the peer was gone before it was greeted
                self._make_room()
                await asyncio.sleep(_BREATH)
                continue
            if len(self._silent) + len(self._open) >= self._limits.connections:
                self._make_room()
            connection = _Connection(loop.time())
            self._silent[connection] = None
            connection.task = self._start(self._receive(connection, accepted))
            # Others run too, and the new task begins: one cancelled before would close nothing.
            await asyncio.sleep(0)

    def _make_room(self) -> None:
        for waiting in (self._silent, self._open):
            for connection in waiting:
                del waiting[connection]
                connection.leave()
                return

    async def _watch(self) -> None:
        """Cut connections on which nothing was said for too long."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._limits.idle / 10)
            oldest = loop.time() - self._limits.idle
            for connection in [
                connection for connection in self._open if connection.heard < oldest
            ]:
                del self._open[connection]
                connection.leave()

    def _heard(self, connection: _Connection) -> None:
        connection.heard = asyncio.get_running_loop().time()
        if connection in self._open:  # and not cut a moment ago
            del self._open[connection]
            self._open[connection] = None

    # --- one connection -----------------------------------------------------------------------

    async def _receive(self, connection: _Connection, accepted: socket.socket) -> None:
        # A peer that goes away ends its connection and nothing else.
        try:
            with suppress(OSError, EOFError, TimeoutError):
                await self._serve(connection, accepted)
        finally:
            self._silent.pop(connection, None)
            self._open.pop(connection, None)
            for writer in connection.parts:
                writer.close()
            if not connection.parts:
                accepted.close()

    async def _serve(self, connection: _Connection, accepted: socket.socket) -> None:
        async with asyncio.timeout(self._limits.hello):
            reader, writer = await _streams(accepted, self._tls)
            connection.parts.append(writer)
            is_grpc, first = await _hello(reader, writer)
        if is_grpc is None:
            return
        door_reader, door_writer = await asyncio.open_connection(
            "127.0.0.1", self._doors[is_grpc], limit=_PIECE
        )
        connection.parts.append(door_writer)
        if connection in self._silent:
            del self._silent[connection]
            self._open[connection] = None
        door_writer.write(first)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._splice(connection, reader, door_writer))
                both.create_task(self._splice(connection, door_reader, writer))
        except* (OSError, EOFError):
            pass

    async def _splice(
        self, connection: _Connection, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        while piece := await source.read(_PIECE):
            self._heard(connection)
            sink.write(piece)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()
        else:  # TLS has no half-close: the other direction is over too
            sink.close()


async def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    rows = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return list(dict.fromkeys((row[0], str(row[4][0])) for row in rows))


def _listening(address: tuple[socket.AddressFamily, str], port: int) -> socket.socket:
    family, host = address
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    listener.setblocking(False)
    return listener


async def _streams(
    accepted: socket.socket, tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The connection's two directions, after the handshake if there is one."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(_PIECE, loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, accepted, ssl=tls)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _hello(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[bool | None, bytes]:
    """Whether the peer speaks gRPC (``None``: it has gone), and what it has said so far."""
    secured = writer.get_extra_info("ssl_object")
    if secured is not None:
        return secured.selected_alpn_protocol() == "h2", b""
    first = b""
    while _PREFACE.startswith(first) and len(first) < len(_PREFACE):
        piece = await reader.read(_PIECE)
        if not piece:
            return None, first
        first += piece
    return first.startswith(_PREFACE), first


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
    # The server's order counts. Who offers both (curl, Java, Go) speaks REST, which is HTTP/1.1
    # here; gRPC's clients offer h2 alone.
    context.set_alpn_protocols(["http/1.1", "h2"])
    return context


def is_loopback(host: str) -> bool:
    """Whether ``host`` can only be reached from this machine."""
    try:
        rows = socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):
        return False
    return all(ip_address(str(row[4][0]).partition("%")[0]).is_loopback for row in rows)
