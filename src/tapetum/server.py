"""The ports and doors of a server, over the parts that `tapetum.engine` puts together."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import uvicorn

from tapetum.door import front, grpc, rest
from tapetum.door.front import Limits, is_loopback
from tapetum.door.http1 import HEADER_BYTES, Http1
from tapetum.engine import WORKSHOP, Engine
from tapetum.errors import SettingsError
from tapetum.identity.api_keys import ApiKeys
from tapetum.identity.gate import Gate
from tapetum.identity.tokens import Tokens
from tapetum.operations.service import Service
from tapetum.settings import Settings
from tapetum.stores.web import WebStore

#: Largest set of public keys, in bytes.
_KEYS_LIMIT = 2**20
#: Of the time that shutting down may take, what calls in progress have to finish at either door,
#: and the seconds that are enough in any case.
_DOOR_SHARE, _DOOR_SECONDS = 0.2, 3.0


def gate(settings: Settings) -> Gate:
    """Who may come in. Raises `SettingsError` when the keys of an issuer cannot be used."""
    modes, projects = settings.auth_modes, settings.projects
    principals = projects.asked(bool(modes))
    keys = ApiKeys(settings.api_keys_file) if "api-key" in modes else None
    tokens = None
    if "jwt" in modes:
        web = WebStore(public_only=False, images_only=False)  # the operator's own URLs
        tokens = Tokens(principals, projects.issuers, lambda url: web.get(url, _KEYS_LIMIT))
    loopback = is_loopback(settings.host) and not settings.insecure_listen
    return Gate(principals, keys, tokens, loopback=loopback)


def check_listening(settings: Settings) -> None:
    """Raise `SettingsError` unless it is safe, or said to be wanted, to listen on ``host``."""
    if settings.insecure_listen or is_loopback(settings.host):
        return
    if settings.tls_cert is None:
        raise SettingsError(
            f"host {settings.host} can be reached from other machines, and without TLS they could "
            "read along. Make a certificate (tapetum certs) and give --tls-cert and --tls-key, "
            "listen on 127.0.0.1, or say --insecure-listen if something in front speaks TLS."
        )
    if not settings.auth_modes:
        raise SettingsError(
            f"host {settings.host} can be reached from other machines, and anybody there could "
            "call. Ask who is calling (--auth api-key or jwt, docs/security.md), listen on "
            "127.0.0.1, or say --insecure-listen if something in front asks."
        )


class Server:
    """The doors over an engine.

    gRPC and REST each listen on a loopback port of their own; fronts put both on the public
    port, or each on a port alone, and end TLS there. Raises `SettingsError` when the certificate
    or the keys of an issuer cannot be used, or when the world could listen or come in.
    """

    def __init__(self, settings: Settings, factory: str = WORKSHOP) -> None:
        check_listening(settings)
        self._settings = settings
        self._factory = factory
        self._grace = min(_DOOR_SECONDS, _DOOR_SHARE * settings.shutdown_seconds)
        self._gate = gate(settings)
        self._limits = Limits(settings.connections, idle=settings.idle).within_files()
        self._tls = (
            front.tls_context(settings.tls_cert, settings.tls_key)
            if settings.tls_cert and settings.tls_key
            else None
        )

    async def serve(self, stop: asyncio.Event, ready: Callable[[str], None]) -> None:
        """Serve until ``stop`` is set; ``ready`` is called with the addresses once they answer.

        Raises `SettingsError` when a port cannot be listened on.
        """
        engine = await asyncio.to_thread(Engine.of_server, self._settings, self._factory)
        try:
            async with contextlib.AsyncExitStack() as doors:
                addresses = await self._open(engine, doors)
                # Only now: a second server on the same port must not touch the first one's work.
                with engine.running():
                    ready(" ".join(addresses))
                    await stop.wait()
                    # The doors still answer while running tasks and calls come to rest.
                    await asyncio.gather(
                        asyncio.to_thread(engine.rest),
                        asyncio.to_thread(engine.drain, self._grace),
                    )
        finally:
            await asyncio.to_thread(engine.close)

    async def _open(self, engine: Engine, doors: contextlib.AsyncExitStack) -> list[str]:
        """Open every door; the addresses on which they answer."""
        grace = self._grace
        grpc_port = await doors.enter_async_context(_grpc_door(engine.service, self._gate, grace))
        http_port = await doors.enter_async_context(_rest_door(self._rest(engine), grace))
        return [
            await doors.enter_async_context(self._front(to_grpc, to_http, port))
            for to_grpc, to_http, port in self._ports(grpc_port, http_port)
        ]

    def _rest(self, engine: Engine) -> Any:
        buckets = engine.stores if self._settings.bucket_door else None
        return rest.build(engine.service, self._gate, buckets, "https" if self._tls else "http")

    def _ports(self, grpc_port: int, http_port: int) -> Iterator[tuple[int, int, int]]:
        """(gRPC goes to, REST goes to, listening port) of each front wanted."""
        settings = self._settings
        if settings.grpc_port is None or settings.http_port is None:
            yield grpc_port, http_port, settings.port
        if settings.grpc_port is not None:
            yield grpc_port, grpc_port, settings.grpc_port
        if settings.http_port is not None:
            yield http_port, http_port, settings.http_port

    @contextlib.asynccontextmanager
    async def _front(self, to_grpc: int, to_http: int, port: int) -> AsyncIterator[str]:
        door = front.Front(to_grpc, to_http, self._tls, self._limits)
        try:
            bound = await door.listen(self._settings.host, port)
        except OSError as error:
            raise SettingsError(
                f"Cannot listen on {self._settings.host}:{port}: {error.strerror or error}. "
                "Choose another --host or --port."
            ) from error
        try:
            host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
            yield f"{'https' if self._tls else 'http'}://{host}:{bound}"
        finally:
            await door.close()


@contextlib.asynccontextmanager
async def _grpc_door(service: Service, gate: Gate, grace: float) -> AsyncIterator[int]:
    server = grpc.build(service, gate)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(grace=grace)


class _Uvicorn(uvicorn.Server):
    """Signals are the command's business, not the web server's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _rest_door(application: Any, grace: float) -> AsyncIterator[int]:
    config = uvicorn.Config(
        application,
        http=Http1,
        h11_max_incomplete_event_size=HEADER_BYTES,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(grace),
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = _Uvicorn(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        await serving
        listener.close()
