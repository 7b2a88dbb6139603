"""The one place that wires the parts.

Follow one request from here: `tapetum.server` opens the doors (`tapetum.door`), which hand a
message to the `Service`, which writes an operation and its tasks (`tapetum.tasks.plan`) into the
ledger and wakes the `Dispatcher`, which gives each task to the executor, whose `Annotator`
fetches, decodes and looks at the images and writes the shards through the `Stores`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tapetum.detectors import Detector
from tapetum.detectors.adult import AdultDetector
from tapetum.detectors.captions import CaptionDetector
from tapetum.detectors.classes import ImageClassifier
from tapetum.detectors.colours import ColourDetector
from tapetum.detectors.faces.detector import FaceDetector
from tapetum.detectors.faces.quick_faces import QuickFaceDetector
from tapetum.detectors.glyphs import GlyphDetector
from tapetum.detectors.keypoints import KeypointDetector
from tapetum.detectors.objects import ObjectDetector
from tapetum.detectors.photo_statistics import PhotoStatisticsDetector
from tapetum.detectors.saliency import SaliencyDetector
from tapetum.detectors.text.detector import TextDetector
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
from tapetum.gallery import Galleries
from tapetum.gallery.backends import places
from tapetum.gallery.backends.joined import JoinedGalleries
from tapetum.gallery.backends.memory import MemoryGalleries
from tapetum.gallery.matching.local_features import LocalFeatures
from tapetum.gallery.shipped import glyphs, landmarks
from tapetum.gallery.shipped.brands import Brands
from tapetum.identity.quotas import Quotas
from tapetum.layout.languages import Languages
from tapetum.ledger import Ledger
from tapetum.ledger.memory import MemoryLedger
from tapetum.ledger.sql import SqlLedger
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.operations.dispatch import Dispatcher
from tapetum.operations.service import Service
from tapetum.pipeline.annotator import Annotator
from tapetum.recognisers import Recogniser
from tapetum.recognisers.landmarks import LandmarkRecogniser
from tapetum.recognisers.logos import LogoRecogniser
from tapetum.recognisers.page_layout import PageLayoutRecogniser
from tapetum.recognisers.references import embedding_model
from tapetum.recognisers.web import WebMatcher
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


def detectors(sessions: Sessions) -> list[Detector[Any]]:
    """One detector per kind of signal."""
    return [
        AdultDetector(sessions),
        CaptionDetector(sessions),
        ColourDetector(),
        FaceDetector(sessions),
        QuickFaceDetector(sessions),
        ImageClassifier(sessions),
        KeypointDetector(sessions),
        ObjectDetector(sessions),
        SaliencyDetector(),
        PhotoStatisticsDetector(),
        GlyphDetector(),
        TextDetector(sessions),
    ]


def recognisers(
    sessions: Sessions,
    galleries: Galleries,
    brands: Brands | None = None,
    marks: Sequence[tuple[str, LocalFeatures]] = (),
) -> list[Recogniser[Any]]:
    """One recogniser per kind of signal that is made of others or looked up in galleries;
    ``brands`` and ``marks``, names and symbols, are logos besides those."""
    return [
        PageLayoutRecogniser(),
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
    if settings.shipped:
        return Brands.packaged(), glyphs.load()
    return Brands([]), []


def with_shipped(settings: Settings, own: Galleries) -> Galleries:
    """``own`` galleries beside those that ship, unless the settings switch these off."""
    return JoinedGalleries(own, [landmarks.load()] if settings.shipped else [])


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
            settings.projects.asked(bool(settings.auth_modes)),
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
