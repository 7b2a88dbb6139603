"""Web matches: images of the web that a picture is a copy of, shares a part with, or is like."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mention:
    """A page that shows an image. ``language`` is BCP-47; any text may be empty.

    Text is plain, not HTML: whoever prints it escapes it.
    """

    page_url: str
    title: str = ""
    alt: str = ""
    caption: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class WebImage:
    """An image of the web and pages that show it. ``similarity``: -1..1, 1 for a copy by its hash.
    ``inliers``: keypoints in agreement, 0 where geometry was not asked."""

    url: str
    similarity: float
    inliers: int
    mentions: tuple[Mention, ...]


@dataclass(frozen=True, slots=True)
class WebEntity:
    """A phrase, as most pages write it, and how much it says: unbounded, 0 for nothing.

    ``language``: BCP-47, of the pages that have it, if they say. ``mid``: an id, if there is a
    table that gives one.
    """

    description: str
    score: float
    language: str = ""
    mid: str = ""


@dataclass(frozen=True, slots=True)
class WebMatches:
    """``full``: copies of the picture, at whatever size; ``partial``: images that share a part
    with it, mirrored and turned copies among them; ``similar``: images that only look alike. Best
    first; no image is in two of them. ``entities``: what the pages that show them speak of, by
    falling score."""

    full: tuple[WebImage, ...] = ()
    partial: tuple[WebImage, ...] = ()
    similar: tuple[WebImage, ...] = ()
    entities: tuple[WebEntity, ...] = ()
