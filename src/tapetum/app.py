"""The one place that wires the parts.

Follow one request from here: `Server` opens the doors (`tapetum.door`), which hand a message to
the `Service`, which writes an operation and its tasks (`tapetum.plan`) into the ledger and wakes
the `Dispatcher`, which gives each task to the executor, whose `Annotator` fetches, decodes and
looks at the images and writes the shards through the `Stores`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import uvicorn

from tapetum.annotator import Annotator
from tapetum.detectors import Detector, Recogniser
from tapetum.detectors.adult import AdultDetector
from tapetum.detectors.captions import CaptionDetector
from tapetum.detectors.classes import ImageClassifier
from tapetum.detectors.colours import ColourDetector
from tapetum.detectors.face_glance import FaceGlancer
from tapetum.detectors.faces import FaceDetector
from tapetum.detectors.keypoints import KeypointDetector
from tapetum.detectors.landmarks import LandmarkRecogniser
from tapetum.detectors.languages import Languages
from tapetum.detectors.logos import LogoRecogniser
from tapetum.detectors.objects import ObjectDetector
from tapetum.detectors.saliency import SaliencyDetector
from tapetum.detectors.surface import SurfaceDetector
from tapetum.detectors.symbols import SymbolDetector
from tapetum.detectors.text import TextDetector
from tapetum.detectors.web import WebMatcher
from tapetum.dispatch import Dispatcher
from tapetum.door import front, grpc, rest
from tapetum.door.api_keys import ApiKeys
from tapetum.door.auth import Gate
from tapetum.door.front import Limits, is_loopback
from tapetum.door.http1 import HEADER_BYTES, Http1
from tapetum.door.tokens import Tokens
from tapetum.errors import SettingsError
from tapetum.executors.local import LocalExecutor
from tapetum.features import Feature
from tapetum.features.crop_hints import CropHints
from tapetum.features.document_text import DocumentTextDetection
from tapetum.features.faces import FaceDetection
from tapetum.features.label import LabelDetection
from tapetum.features.landmark import LandmarkDetection
from tapetum.features.logo import LogoDetection
from tapetum.features.objects import ObjectLocalization
from tapetum.features.properties import ImageProperties
from tapetum.features.safe_search import SafeSearchDetection
from tapetum.features.text import TextDetection
from tapetum.features.web import WebDetection
from tapetum.gallery import Galleries, places
from tapetum.gallery.joined import JoinedGalleries
from tapetum.gallery.local_features import LocalFeatures
from tapetum.gallery.memory import MemoryGalleries
from tapetum.gallery.shipped import landmarks, symbols
from tapetum.gallery.shipped.brands import Brands
from tapetum.ledger import Ledger
from tapetum.ledger.memory import MemoryLedger
from tapetum.ledger.sql import SqlLedger
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.quota import Quotas
from tapetum.reference import embedding_model
from tapetum.service import Service
from tapetum.settings import BucketRule, Settings
from tapetum.stores.router import Stores
from tapetum.stores.web import WebStore

#: Without a rule of their own, these schemes reach the real thing from the command line, with
#: the credentials the provider's environment gives.
_COMMAND_LINE_RULES = (
    BucketRule("s3://", "s3://{bucket}"),
    BucketRule("az://", "az://{bucket}"),
)


#: Of threads that run tasks behind doors. Measured with both cores busy: GetOperation is answered
#: about twice as often as at 0, at no cost to the batch while nothing else wants the cores.
TASK_NICENESS = 10
#: Bytes of the requests of all calls that wait for their answer, together.
CALL_BYTES = 256 * 2**20
#: Largest set of public keys, in bytes.
_KEYS_LIMIT = 2**20
#: Seconds that calls in progress have to finish when the server stops.
SHUTDOWN_SECONDS = 5


def detectors(sessions: Sessions) -> list[Detector[Any]]:
    """One detector per kind of signal."""
    return [
        AdultDetector(sessions),
        CaptionDetector(sessions),
        ColourDetector(),
        FaceDetector(sessions),
        FaceGlancer(sessions),
        ImageClassifier(sessions),
        KeypointDetector(sessions),
        ObjectDetector(sessions),
        SaliencyDetector(),
        SurfaceDetector(),
        SymbolDetector(),
        TextDetector(sessions),
    ]


def recognisers(
    sessions: Sessions,
    galleries: Galleries,
    brands: Brands | None = None,
    marks: Sequence[tuple[str, LocalFeatures]] = (),
) -> list[Recogniser[Any]]:
    """One recogniser per kind of signal that is looked up in galleries; ``brands`` and ``marks``,
    names and symbols, are logos besides those."""
    return [
        LandmarkRecogniser(galleries),
        LogoRecogniser(galleries, brands or Brands([]), marks),
        WebMatcher(galleries, ImageClassifier(sessions), KeypointDetector(sessions)),
    ]


def features() -> list[Feature]:
    """One feature per feature type this server answers."""
    identify = Languages().identify
    return [
        CropHints(),
        DocumentTextDetection(identify),
        FaceDetection(),
        ImageProperties(),
        LabelDetection(),
        LandmarkDetection(),
        LogoDetection(),
        ObjectLocalization(),
        SafeSearchDetection(),
        TextDetection(identify),
        WebDetection(),
    ]


def own_galleries(settings: Settings) -> Galleries:
    """The galleries in their store, by default the data folder, which is made if need be."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"The data folder cannot be made: {error}.") from error
    model = embedding_model(Manifest.packaged())
    return places.opened(settings.gallery_place, settings.gallery_options, model)


def _logos(settings: Settings) -> tuple[Brands, list[tuple[str, LocalFeatures]]]:
    """The names and symbols that ship, none where the settings switch them off."""
    if settings.shipped == "on":
        return Brands.packaged(), symbols.load()
    return Brands([]), []


def with_shipped(settings: Settings, own: Galleries) -> Galleries:
    """``own`` galleries beside those that ship, unless the settings switch these off."""
    return JoinedGalleries(own, [landmarks.load()] if settings.shipped == "on" else [])


class Engine:
    """Everything behind the doors: stores, models, ledger, workers, service."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        stores: Stores,
        galleries: Galleries,
        niceness: int = 0,
    ) -> None:
        self.stores = stores
        self.ledger = ledger
        self.galleries = galleries
        self.sessions = Sessions(
            Manifest.packaged(), precision=settings.precision, workers=settings.worker_count
        )
        self.annotator = Annotator(
            stores,
            detectors(self.sessions),
            features(),
            recognisers(self.sessions, galleries, *_logos(settings)),
            settings.roster.asked(bool(settings.auth_modes)),
        )
        self.executor = LocalExecutor(self.annotator, settings.worker_count, niceness)
        self.dispatcher = Dispatcher(ledger, self.executor, settings.lease, settings.retention_days)
        self.service = Service(
            ledger,
            self.executor,
            self.dispatcher,
            settings.project,
            stores,
            quotas=Quotas(CALL_BYTES),
        )

    @classmethod
    def of_server(cls, settings: Settings) -> Engine:
        """Behind doors: a ledger on disk, and only buckets and the web to read from."""
        try:
            settings.buckets_dir.mkdir(parents=True, exist_ok=True)
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"The data folder cannot be made: {error}.") from error
        ledger = SqlLedger(settings.data_dir / "ledger.sqlite")
        stores = Stores(settings.buckets_dir, settings.bucket_rules, _web(settings))
        galleries = with_shipped(settings, own_galleries(settings))
        return cls(settings, ledger, stores, galleries, TASK_NICENESS)

    @classmethod
    def of_command_line(cls, settings: Settings) -> Engine:
        """For one command of one person: a ledger in memory, and this machine's files too."""
        rules = (*_COMMAND_LINE_RULES, *settings.bucket_rules)
        stores = Stores(settings.buckets_dir, rules, _web(settings), files=True)
        # Galleries are read where there are some; a command that only reads makes no file.
        is_kept = "://" in settings.gallery_place or Path(settings.gallery_place).exists()
        own = own_galleries(settings) if is_kept else MemoryGalleries()
        return cls(settings, MemoryLedger(), stores, with_shipped(settings, own))

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Work on tasks inside the block; give back what is unfinished at its end."""
        self.dispatcher.start()
        try:
            yield
        finally:
            self.dispatcher.stop()
            self.executor.close()
            self.annotator.close()
            self.service.close()
            self.ledger.close()
            self.galleries.close()


def _web(settings: Settings) -> WebStore | None:
    if settings.web_fetch == "off":
        return None
    hosts = settings.web_host_list if settings.web_fetch == "listed" else None
    return WebStore(public_only=settings.web_fetch == "public", hosts=hosts)


def gate(settings: Settings) -> Gate:
    """Who may come in. Raises `SettingsError` when the keys of an issuer cannot be used."""
    modes, roster = settings.auth_modes, settings.roster
    principals = roster.asked(bool(modes))
    keys = ApiKeys(settings.api_keys_file) if "api-key" in modes else None
    tokens = None
    if "jwt" in modes:
        web = WebStore(public_only=False, images_only=False)  # the operator's own URLs
        tokens = Tokens(principals, roster.issuers, lambda url: web.get(url, _KEYS_LIMIT))
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

    def __init__(self, settings: Settings) -> None:
        check_listening(settings)
        self._settings = settings
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
        engine = await asyncio.to_thread(Engine.of_server, self._settings)
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(engine.running())
            grpc_port = await stack.enter_async_context(_grpc_door(engine.service, self._gate))
            http_port = await stack.enter_async_context(_rest_door(self._rest(engine)))
            addresses = [
                await stack.enter_async_context(self._front(to_grpc, to_http, port))
                for to_grpc, to_http, port in self._ports(grpc_port, http_port)
            ]
            ready(" ".join(addresses))
            await stop.wait()
            # The doors still answer while running tasks come to rest.
            await asyncio.to_thread(engine.dispatcher.stop)

    def _rest(self, engine: Engine) -> Any:
        buckets = engine.stores if self._settings.bucket_door == "on" else None
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
async def _grpc_door(service: Service, gate: Gate) -> AsyncIterator[int]:
    server = grpc.build(service, gate)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(grace=SHUTDOWN_SECONDS)


class _Uvicorn(uvicorn.Server):
    """Signals are the command's business, not the web server's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _rest_door(application: Any) -> AsyncIterator[int]:
    config = uvicorn.Config(
        application,
        http=Http1,
        h11_max_incomplete_event_size=HEADER_BYTES,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
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
