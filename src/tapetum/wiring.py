"""What a worker is made of: detectors, recognisers, features, galleries, and the annotator over
them. `tapetum.engine` wires the server, which needs none of these."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

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
from tapetum.layout.languages import Languages
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.pipeline.annotator import Annotator
from tapetum.recognisers import Recogniser
from tapetum.recognisers.landmarks import LandmarkRecogniser
from tapetum.recognisers.logos import LogoRecogniser
from tapetum.recognisers.page_layout import PageLayoutRecogniser
from tapetum.recognisers.references import embedding_model
from tapetum.recognisers.web import WebMatcher
from tapetum.settings import Settings
from tapetum.stores.wiring import stores_of


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


class Workshop:
    """What the workers of one machine share (networks, galleries that ship), and the annotator that
    each makes of it (`tapetum.executors.nursery.Workshop`).

    ``local_files``: this machine's files can be read and written too, as the command line does.
    ``preload``: networks are loaded now, so that workers inherit them, where that is safe: another
    runtime than ONNX Runtime on the processor has threads, which do not outlive a fork.
    """

    def __init__(
        self, settings: Settings, *, local_files: bool = False, preload: bool = False
    ) -> None:
        cv2.setNumThreads(1)  # the workers already fill the cores
        self._settings = settings
        self._local_files = local_files
        self.sessions = Sessions(
            Manifest.packaged(), precision=settings.precision, workers=settings.worker_count
        )
        self._detectors = detectors(self.sessions)
        self._features = features()
        self._logos = _logos(settings)
        self._shipped = [landmarks.load()] if settings.shipped == "on" else []
        if preload and settings.precision == "full":
            self.sessions.preload()

    def annotator(self) -> Annotator:
        """A new one, with stores and galleries of its own. Raises `GalleryError`."""
        settings = self._settings
        own = _galleries_to_read(settings) if self._local_files else own_galleries(settings)
        galleries = JoinedGalleries(own, self._shipped)
        return Annotator(
            stores_of(settings, local_files=self._local_files),
            self._detectors,
            self._features,
            recognisers(self.sessions, galleries, *self._logos),
            settings.projects.asked(bool(settings.auth_modes)),
        )


def _galleries_to_read(settings: Settings) -> Galleries:
    """The user's own, where there are some: a command that only reads makes no file."""
    is_kept = "://" in settings.gallery_place or Path(settings.gallery_place).exists()
    return own_galleries(settings) if is_kept else MemoryGalleries()


def workshop(settings: Settings, local_files: bool) -> Workshop:
    """What a nursery prepares."""
    return Workshop(settings, local_files=local_files, preload=True)
