"""What a worker is made of: detectors, recognisers, features, galleries, and the annotator over
them. `tapetum.engine` wires the server, which needs none of these."""

from __future__ import annotations

import atexit
import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from tapetum.detectors import Detector, Embedder, by_signal
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
from tapetum.gallery.backends.late import LateGalleries
from tapetum.gallery.backends.memory import MemoryGalleries
from tapetum.gallery.shipped import glyphs, landmarks
from tapetum.gallery.shipped.brands import Brands
from tapetum.imaging.decoders import Decoders, shared
from tapetum.layout.languages import Languages
from tapetum.models import packs
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.pipeline.annotator import Annotator
from tapetum.recognisers import Recogniser, in_order, needed
from tapetum.recognisers.landmarks import LandmarkRecogniser
from tapetum.recognisers.logos import LogoRecogniser
from tapetum.recognisers.page_layout import PageLayoutRecogniser
from tapetum.recognisers.web import WebMatcher
from tapetum.settings import Settings
from tapetum.signals.embedding import Embedding, EmbeddingModel
from tapetum.signals.keypoints import Keypoints, LocalFeatures
from tapetum.stores.wiring import stores_of

log = logging.getLogger(__name__)


def sessions_of(settings: Settings) -> Sessions:
    """Where networks run, and how precisely. Raises `SettingsError` for what is not installed."""
    return Sessions(
        Manifest.packaged(),
        providers=settings.provider_list,
        precision=settings.precision,
        workers=settings.worker_count,
        arena=settings.arena,
    )


def detectors(makers: Sequence[Any]) -> list[Detector[Any]]:
    """Those of the ``makers`` of packs that look at pixels alone."""
    return [maker for maker in makers if not hasattr(maker, "needs")]


def recognisers(
    makers: Sequence[Any],
    galleries: Galleries,
    brands: Brands | None = None,
    marks: Sequence[tuple[str, LocalFeatures]] = (),
) -> list[Recogniser[Any]]:
    """One recogniser per kind of signal that is made of others or looked up in galleries: those of
    the ``makers`` of packs that need other signals, and what no network makes. ``brands`` and
    ``marks``, names and symbols, are logos besides those of galleries."""
    made: dict[type, Any] = by_signal(makers)
    return [
        *(maker for maker in makers if hasattr(maker, "needs")),
        PageLayoutRecogniser(),
        LandmarkRecogniser(galleries),
        LogoRecogniser(galleries, brands or Brands([]), marks),
        WebMatcher(galleries, made[Embedding], made[Keypoints]),
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


def check(settings: Settings) -> None:
    """What can be known of ``settings`` without networks and galleries: raises `SettingsError` for
    packs, providers and places of galleries that there are not."""
    packs.chosen(sessions_of(settings).manifest.packs, settings.pack)
    places.opener(settings.gallery_place, settings.gallery_options)


def own_galleries(settings: Settings) -> Galleries:
    """The galleries in their store, by default the data folder, which is made if need be."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"The data folder cannot be made: {error}.") from error
    model = embedding_model(settings)
    return places.opened(settings.gallery_place, settings.gallery_options, model)


def embedding_model(settings: Settings) -> EmbeddingModel:
    """What makes the embeddings that galleries compare, by the packs that ``settings`` choose."""
    manifest = Manifest.packaged()
    row = packs.chosen(manifest.packs, settings.pack)[Embedding.__name__]
    return packs.embedding_model(row, manifest)


def gallery_makers(settings: Settings) -> tuple[Embedder, Detector[Keypoints]]:
    """What looks at the pictures of galleries."""
    sessions = sessions_of(settings)
    embedder: Embedder = packs.maker_of(Embedding, sessions, settings.pack)
    keypoints: Detector[Keypoints] = packs.maker_of(Keypoints, sessions, settings.pack)
    return embedder, keypoints


def _logos(settings: Settings) -> tuple[Brands, list[tuple[str, LocalFeatures]]]:
    """The names and symbols that ship, none where the settings switch them off."""
    if settings.shipped:
        return Brands.packaged(), glyphs.load()
    return Brands([]), []


def with_shipped(settings: Settings, own: Galleries) -> Galleries:
    """``own`` galleries beside those that ship, unless the settings switch these off."""
    return JoinedGalleries(own, _shipped(settings))


def _shipped(settings: Settings) -> list[Galleries]:
    """The galleries that ship, none where the settings switch them off, and none that another model
    looked at than the one in use."""
    if not settings.shipped:
        return []
    if embedding_model(settings) != landmarks.MODEL:
        log.warning("The landmarks that ship were looked at by another pack and are left out.")
        return []
    return [landmarks.load()]


class Workshop:
    """What the workers of one machine share (networks, galleries that ship), and the annotator that
    each makes of it (`tapetum.executors.nursery.Workshop`).

    ``local_files``: this machine's files can be read and written too, as the command line does.
    ``preload``: the networks that these feature types need are loaded now, so that workers inherit
    them, where that is safe: another runtime than ONNX Runtime on the processor has threads or a
    device, which do not outlive a fork. ``decoders``: without them, those of the process.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        local_files: bool = False,
        preload: Collection[int] = (),
        decoders: Decoders | None = None,
    ) -> None:
        self.decoders = decoders if decoders is not None else shared()
        if preload:
            self.decoders.start()
        self._settings = settings
        self._local_files = local_files
        self.sessions = sessions_of(settings)
        self._makers = packs.makers(self.sessions, settings.pack)
        self._features = features()
        self._logos = _logos(settings)
        self._shipped = _shipped(settings)
        if preload and settings.precision == "full" and settings.provider_list == ("cpu",):
            self.sessions.preload(self._weights_of(preload))

    def _weights_of(self, types: Collection[int]) -> list[str]:
        """What the features of ``types`` are made with."""
        model = embedding_model(self._settings)
        makers = by_signal(in_order(recognisers(self._makers, MemoryGalleries(model))))
        asked = {need for of in self._features if of.type in types for need in of.needs}
        signals = {signal.__name__ for signal in needed(asked, makers)}
        rows = packs.chosen(self.sessions.manifest.packs, self._settings.pack)
        weights = (name for signal in rows if signal in signals for name in rows[signal].weights)
        return list(dict.fromkeys(weights))

    def galleries(self, *, patient: bool = False) -> Galleries:
        """Those that the settings name, opened anew, and those that ship. Raises `GalleryError`
        unless they are ``patient``: then what cannot be opened is tried again at each use."""
        read = _galleries_to_read if self._local_files else own_galleries
        open_own = partial(read, self._settings)
        own = LateGalleries(open_own, embedding_model(self._settings)) if patient else open_own()
        return JoinedGalleries(own, self._shipped)

    def annotator(self, galleries: Galleries | None = None, *, patient: bool = False) -> Annotator:
        """A new one, with stores of its own, and `galleries` too if there are none given. Raises
        `GalleryError`."""
        settings = self._settings
        galleries = galleries if galleries is not None else self.galleries(patient=patient)
        return Annotator(
            stores_of(settings, local_files=self._local_files),
            detectors(self._makers),
            self._features,
            recognisers(self._makers, galleries, *self._logos),
            settings.projects.asked(bool(settings.auth_modes)),
            decoders=self.decoders,
        )


def _galleries_to_read(settings: Settings) -> Galleries:
    """The user's own, where there are some: a command that only reads makes no file."""
    is_kept = "://" in settings.gallery_place or Path(settings.gallery_place).exists()
    return own_galleries(settings) if is_kept else MemoryGalleries(embedding_model(settings))


def workshop(settings: Settings, local_files: bool, types: Collection[int] = ()) -> Workshop:
    """What a nursery prepares, ready for the feature ``types``, for all if none are named."""
    cv2.setNumThreads(1)  # the workers already fill the cores
    types = types or [feature.type for feature in features()]
    decoders = Decoders(shares_with_forks=True)
    atexit.register(decoders.close)
    made = Workshop(settings, local_files=local_files, preload=types, decoders=decoders)
    if not local_files:
        _say_what_is_lacking(made.decoders)
    return made


def _say_what_is_lacking(decoders: Decoders) -> None:
    lacking = [name for name, is_held in decoders.layers().items() if not is_held]
    if lacking:
        log.warning("decoders are not locked in with all there is: no %s", ", ".join(lacking))


@contextmanager
def annotator_of(settings: Settings) -> Iterator[Annotator]:
    """An annotator inside somebody else's program, who may use all that this machine may. It is let
    go of at the end, with its children, and changes nothing of the process that it is in.

    Raises `SettingsError` and `GalleryError`.
    """
    with ExitStack() as stack:
        decoders = Decoders()
        stack.callback(decoders.close)
        workshop = Workshop(replace(settings, auth="none"), local_files=True, decoders=decoders)
        galleries = workshop.galleries()
        stack.callback(galleries.close)
        annotator = workshop.annotator(galleries)
        stack.callback(annotator.close)
        yield annotator
