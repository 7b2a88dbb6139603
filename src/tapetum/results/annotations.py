"""What can be said of a picture, as plain frozen dataclasses.

Boxes are ``(x0, y0, x1, y1)`` in whole pixels of the full-size upright picture, corners are four
points ``(x, y)`` of it: top left, top right, bottom right, bottom left as the thing itself stands.
Scores and confidences are 0..1. ``mid`` is an id of the Knowledge Graph, empty where none is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

Box: TypeAlias = tuple[int, int, int, int]
Point: TypeAlias = tuple[int, int]
Corners: TypeAlias = tuple[Point, ...]


class Likelihood(IntEnum):
    """How likely something is, in Google's words and numbers: they can be compared."""

    UNKNOWN = 0
    VERY_UNLIKELY = 1
    UNLIKELY = 2
    POSSIBLE = 3
    LIKELY = 4
    VERY_LIKELY = 5


@dataclass(frozen=True, slots=True)
class Label:
    """A word for what the picture shows."""

    description: str
    score: float
    mid: str = ""


@dataclass(frozen=True, slots=True)
class DetectedObject:
    """A thing, and where it is."""

    name: str
    score: float
    box: Box
    mid: str = ""


@dataclass(frozen=True, slots=True)
class Landmark:
    """A place that the picture shows. ``locations``: (latitude, longitude) in degrees. ``box`` is
    ``None`` where it is not known which part of the picture shows it."""

    name: str
    score: float
    box: Box | None
    locations: tuple[tuple[float, float], ...] = ()
    mid: str = ""


@dataclass(frozen=True, slots=True)
class Logo:
    """A brand whose logo the picture shows. ``box`` is ``None`` where it is not known which part
    of the picture shows it."""

    name: str
    score: float
    box: Box | None
    mid: str = ""


@dataclass(frozen=True, slots=True)
class Face:
    """A face.

    ``box``: the head; ``skin_box``: the skin of the face alone. ``landmarks``: name → (x, y, z) in
    pixels, as ``left_eye`` or ``nose_tip``, left and right as the viewer sees them; z is 0 at the
    left eye and smaller nearer. ``roll``, ``pan``, ``tilt``: degrees; positive is clockwise, to the
    right of the picture, up.
    """

    box: Box
    skin_box: Box
    confidence: float
    landmark_confidence: float
    roll: float
    pan: float
    tilt: float
    joy: Likelihood
    sorrow: Likelihood
    anger: Likelihood
    surprise: Likelihood
    under_exposed: Likelihood
    blurred: Likelihood
    headwear: Likelihood
    landmarks: Mapping[str, tuple[float, float, float]] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Word:
    """A word. ``confidence`` is ``None`` unless DOCUMENT_TEXT_DETECTION was asked for. ``end`` is
    what follows it in the text: a space, a line break, ``-`` and a line break, or nothing."""

    text: str
    corners: Corners
    confidence: float | None
    end: str = ""

    @property
    def box(self) -> Box:
        """The smallest box around it."""
        return box_around(self.corners)


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Words that belong together, in reading order."""

    words: tuple[Word, ...]
    corners: Corners
    confidence: float | None

    @property
    def text(self) -> str:
        """Its words with what is between them."""
        return "".join(word.text + word.end for word in self.words)

    @property
    def box(self) -> Box:
        """The smallest box around it."""
        return box_around(self.corners)


@dataclass(frozen=True, slots=True)
class Block:
    """Paragraphs that belong together, in reading order. ``kind``: ``text`` or ``table``.
    ``languages``: BCP-47 codes, the most spoken first."""

    paragraphs: tuple[Paragraph, ...]
    corners: Corners
    confidence: float | None
    kind: str = "text"
    languages: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Its words with what is between them."""
        return "".join(paragraph.text for paragraph in self.paragraphs)

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of its paragraphs."""
        return tuple(word for paragraph in self.paragraphs for word in paragraph.words)

    @property
    def box(self) -> Box:
        """The smallest box around it."""
        return box_around(self.corners)


@dataclass(frozen=True, slots=True)
class SafeSearch:
    """How likely the picture is not for everybody."""

    adult: Likelihood
    spoof: Likelihood
    medical: Likelihood
    violence: Likelihood
    racy: Likelihood


@dataclass(frozen=True, slots=True)
class Color:
    """A dominant colour. ``rgb``: 0..255 each; ``fraction``: the share of the pixels that have it,
    0..1; ``score``: how much it stands out, 0..1."""

    rgb: tuple[int, int, int]
    score: float
    fraction: float


@dataclass(frozen=True, slots=True)
class CropHint:
    """Where to cut the picture. ``importance``: the share of what matters that is kept, 0..1."""

    box: Box
    confidence: float
    importance: float


@dataclass(frozen=True, slots=True)
class WebEntity:
    """What pages say that show the picture. ``score`` has no upper bound."""

    description: str
    score: float
    id: str = ""


@dataclass(frozen=True, slots=True)
class WebPage:
    """A page that shows the picture, or a part of it. ``title`` is plain text, not HTML."""

    url: str
    title: str
    full_matches: tuple[str, ...] = ()
    partial_matches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Web:
    """Where the picture, parts of it and pictures like it are shown. Matches are URLs of images."""

    entities: tuple[WebEntity, ...] = ()
    full_matches: tuple[str, ...] = ()
    partial_matches: tuple[str, ...] = ()
    similar: tuple[str, ...] = ()
    pages: tuple[WebPage, ...] = ()
    best_guesses: tuple[str, ...] = ()


def box_around(corners: Corners) -> Box:
    """The smallest box around points, at least one."""
    across, down = zip(*corners, strict=True)
    return min(across), min(down), max(across), max(down)
