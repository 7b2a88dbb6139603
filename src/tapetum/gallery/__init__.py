"""Galleries: reference images of what has been seen before, and finding them again.

A *gallery* holds *entries* (a landmark, a logo, an image of the web), an entry holds *reference
images*. Of a reference image only numbers are kept: an embedding, a PDQ hash, local features, and
how the embedding compares with a background of unrelated pictures. Pixels are not kept.

How a feature uses it. Matching is the work of a *recogniser* (`tapetum.recognisers.Recogniser`): it
is given `Galleries` when it is made, names the signals it builds on in ``needs``, and turns a
picture and those signals into a signal of its own (`WebMatches`); the feature turns that into the
message and knows nothing of galleries. A recogniser goes through the galleries a project sees::

    for gallery in galleries.visible(context.project, Kind.LANDMARK):
        embedding = unit(signals.of(Embedding).vector)
        for near in galleries.nearest(gallery, embedding, 12):
            blobs = galleries.local_features(gallery, [near.reference])
            ...  # verify; then
            entry = galleries.entry(gallery, near.entry)

`Galleries` is one small interface; `tapetum.gallery.backends.sqlite`, `.postgresql`, `.lance`,
`.memory` (also what ships, read-only) and `.joined` implement it, `.places` opens one by its URL.
It is called from several threads at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tapetum.signals.embedding import EmbeddingModel
from tapetum.signals.web import Mention

#: Bytes of a PDQ hash.
PDQ_BYTES = 32
#: Keys of a web gallery's entries that are no images but give words an id: what follows is the
#: word, case-folded; the entry's ``name`` and ``mid`` are what an answer says of it.
ENTITY_PREFIX = "entity:"
#: Mentions of one entry that are read: the first by URL.
MOST_MENTIONS = 100
#: The project whose galleries every project sees.
EVERYONE = ""


class Kind(StrEnum):
    """What a gallery is for: the feature that answers from it."""

    LOGO = "logo"
    LANDMARK = "landmark"
    WEB = "web"


@dataclass(frozen=True, slots=True)
class Gallery:
    """A gallery by name. ``project`` owns it and is the only one that sees it, except `EVERYONE`.

    Two galleries of one project never share a name, whatever their kinds.
    """

    name: str
    kind: Kind
    project: str = EVERYONE


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that can be recognised.

    ``key`` is unique in its gallery: the name of the folder or the row, for a web image its URL;
    at most 2000 bytes of UTF-8, as a mention's ``page_url``, and no text holds a NUL.
    ``name`` is what the answer says. ``mid`` is an id of a knowledge graph (a Wikidata id will
    do), empty when none is known, never invented. ``lat`` and ``lng``: degrees, WGS 84, both or
    neither. ``url``, ``licence`` and ``credit`` say where its pictures come from. ``aliases`` are
    other names. ``mentions`` are only a web entry's.
    """

    key: str
    name: str = ""
    mid: str = ""
    lat: float | None = None
    lng: float | None = None
    url: str = ""
    licence: str = ""
    credit: str = ""
    aliases: tuple[str, ...] = ()
    mentions: tuple[Mention, ...] = ()


@dataclass(frozen=True, slots=True)
class Calibration:
    """How similar unrelated pictures are to a reference image: cosines with the background's.

    ``highest`` is their maximum: a similarity up to it says nothing. 0 when there is none.
    """

    mean: float = 0.0
    deviation: float = 0.0
    highest: float = 0.0

    def score(self, similarity: float) -> float:
        """0 at or below ``highest``, 1 for the same picture, linear between."""
        if similarity <= self.highest:
            return 0.0
        return min(1.0, (similarity - self.highest) / max(1e-6, 1.0 - self.highest))


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What is kept of one reference image.

    ``digest``: SHA-256 of the image file, hex; an entry holds each digest once. ``source``: the
    file's name or URL, for people. ``width``, ``height``: of the upright image, pixels.
    ``embedding``: ``float16[n]`` as `unit` makes it, all zero for a picture with nothing in it.
    ``pdq``: 32 bytes, ``pdq_quality`` 0..100 (below 50 the hash says nothing). ``features``: local
    features, bytes that only the extractor that made them reads; may be empty. ``model``: the
    name of the `tapetum.signals.embedding.EmbeddingModel` that made the embedding.
    """

    digest: str
    source: str
    width: int
    height: int
    embedding: NDArray[np.float16]
    pdq: bytes
    pdq_quality: int
    features: bytes = b""
    calibration: Calibration = field(default=Calibration())
    model: str = ""


@dataclass(frozen=True, slots=True)
class Near:
    """A reference image whose embedding is close: ``similarity`` is the cosine, -1..1.

    ``reference`` is the reference image's number in the gallery, ``entry`` its entry's key.
    """

    reference: int
    entry: str
    similarity: float
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class Copy:
    """A reference image whose PDQ hash is close: ``distance`` 0..256 differing bits, to hash
    number ``turn`` of those asked with (`tapetum.gallery.matching.pdq.TURNS` names them)."""

    reference: int
    entry: str
    distance: int
    turn: int


@dataclass(frozen=True, slots=True)
class Size:
    """What a gallery holds."""

    entries: int
    references: int


class Galleries(Protocol):
    """Where galleries are kept. What ``put`` and ``remove`` have returned from survives the end
    of the process, however it ends (except in the memory implementation).

    Every vector is kept with the name of the model that made it and the number of its dimensions;
    the galleries are opened for one model, and never compare vectors of others.

    Every method that is given a gallery raises `tapetum.errors.GalleryNotFound` when there is no
    such gallery.
    """

    @property
    def model(self) -> EmbeddingModel:
        """What makes the embeddings that are compared."""
        ...

    def create(self, gallery: Gallery) -> None:
        """Raises `tapetum.errors.GalleryExists` when the project has one of that name, and
        `tapetum.errors.InvalidGallery` when the name will not do."""
        ...

    def drop(self, gallery: Gallery) -> None:
        """Remove a gallery and everything in it."""
        ...

    def find(self, project: str, name: str) -> Gallery:
        """The gallery of that name, the project's own before everyone's."""
        ...

    def visible(self, project: str | None = None, kind: Kind | None = None) -> list[Gallery]:
        """Everyone's galleries and those of ``project`` (``None``: of all), by project and name."""
        ...

    def put(self, gallery: Gallery, entries: Sequence[tuple[Entry, Sequence[Reference]]]) -> int:
        """Add entries and reference images, all or none; the number of new reference images.

        An entry whose key is there already takes the new data where it is not empty, and adds its
        mentions. A reference whose digest the entry holds already, by the same model, is left
        alone. So putting the same again changes nothing. Raises `tapetum.errors.InvalidGallery`
        for an embedding that has not the dimensions of ``model`` but says that it is by it, and
        where the place cannot keep one of so many.
        """
        ...

    def remove(self, gallery: Gallery, key: str) -> int:
        """Remove an entry; how many reference images it had. Raises
        `tapetum.errors.EntryNotFound`."""
        ...

    def size(self, gallery: Gallery) -> Size: ...

    def entry(self, gallery: Gallery, key: str) -> Entry:
        """An entry and its mentions, at most `MOST_MENTIONS`. Raises
        `tapetum.errors.EntryNotFound`."""
        ...

    def entries(self, gallery: Gallery, after: str = "", limit: int = 1000) -> list[Entry]:
        """Entries whose keys come after ``after``, by key, without their mentions."""
        ...

    def references(self, gallery: Gallery, key: str) -> list[tuple[int, Reference]]:
        """The reference images of an entry and their numbers, oldest first."""
        ...

    def known(self, gallery: Gallery, digests: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Which of ``digests`` the gallery holds, looked at with the weights in use, and under
        which entries."""
        ...

    def pages(self, gallery: Gallery, limit: int) -> list[Mention]:
        """At most ``limit`` mentions, spread over the gallery."""
        ...

    def local_features(self, gallery: Gallery, references: Collection[int]) -> dict[int, bytes]:
        """The local features of reference images by number; without those that have none."""
        ...

    def nearest(self, gallery: Gallery, embedding: NDArray[np.float16], limit: int) -> list[Near]:
        """The reference images with the most similar embeddings, best first; ``embedding`` is as
        `unit` makes it, and similarities are exact.

        Images that another model looked at are not compared: they wait to be added again. Raises
        `tapetum.errors.InvalidGallery` for a gallery that has none but those, and for an
        ``embedding`` that has not the dimensions of ``model``."""
        ...

    def copies(
        self, gallery: Gallery, hashes: NDArray[np.uint8], distance: int, limit: int = 100
    ) -> list[Copy]:
        """Reference images whose hash (of quality 50 or more) differs from one of ``hashes``,
        ``uint8[n, 32]``, in at most ``distance`` bits; nearest first, each once."""
        ...

    def tend(self, gallery: Gallery) -> None:
        """Bring what only makes searching faster up to date, such as an index on disk."""
        ...

    def damage(self) -> list[str]:
        """What is wrong with the place itself, as sentences."""
        ...

    def close(self) -> None: ...


def unit(embedding: NDArray[np.float32]) -> NDArray[np.float16]:
    """Signed square root, then length 1: how galleries compare pooled features.

    The square root keeps a few strong channels from deciding alone (as RootSIFT does). A vector
    without length stays zero and is similar to nothing.
    """
    rooted = np.sign(embedding) * np.sqrt(np.abs(embedding, dtype=np.float32))
    length = float(np.linalg.norm(rooted))
    if not np.isfinite(length) or length == 0:
        return np.zeros(embedding.shape, dtype=np.float16)
    return np.asarray(rooted / length, dtype=np.float16)
