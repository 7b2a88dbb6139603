"""`Result`: everything that is said of one picture."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tapetum.errors import NotAnnotated
from tapetum.results import reading
from tapetum.results.annotations import (
    Block,
    Color,
    CropHint,
    DetectedObject,
    Face,
    Label,
    Landmark,
    Logo,
    SafeSearch,
    Web,
    Word,
)

if TYPE_CHECKING:
    from PIL.Image import Image

    from tapetum.results.reopening import Reopening

#: Characters of a text, and labels or names, that `Result.__repr__` shows.
_SHOWN_TEXT, _SHOWN_NAMES = 40, 3


@dataclass(frozen=True, repr=False)
class Result:
    """What is said of one picture. What was not asked for, or is not there, is empty.

    ``index``: its place among what was given, from 0. ``uri``: the path or URI that was given,
    ``None`` for bytes, PIL images and arrays. ``size``: width and height of the upright picture in
    pixels, ``None`` when it could not be decoded. ``error``: what went wrong, with ``code`` and
    ``message``; the rest may still be there where only one feature failed. It holds no picture, and
    can be pickled.
    """

    index: int
    uri: str | None
    size: tuple[int, int] | None
    error: NotAnnotated | None = field(compare=False)
    labels: tuple[Label, ...]
    text: str
    blocks: tuple[Block, ...]
    languages: tuple[str, ...]
    faces: tuple[Face, ...]
    objects: tuple[DetectedObject, ...]
    landmarks: tuple[Landmark, ...]
    logos: tuple[Logo, ...]
    web: Web
    safe_search: SafeSearch | None
    colors: tuple[Color, ...]
    crop_hints: tuple[CropHint, ...]
    _answer: bytes
    _reopening: Reopening = field(compare=False)

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of its text, in reading order."""
        return tuple(word for block in self.blocks for word in block.words)

    def to_dict(self) -> dict[str, Any]:
        """It as Google's JSON: what ``responses[]`` holds in a file of ``tapetum annotate``."""
        from tapetum.vision import messages  # noqa: PLC0415 (Google's package is slow to import)

        response = messages.AnnotateImageResponse.FromString(self._answer)
        tree: dict[str, Any] = json.loads(messages.to_json(response))
        return tree

    def draw(self, image: object = None) -> Image:
        """The picture with what was found on it, upright, as a new PIL image.

        The picture is read again from its path or URI. One that had none, or is elsewhere by now,
        is given as ``image``: in any way that ``annotate`` takes it. Raises `ValueError` when there
        is no picture to draw on, `tapetum.errors.ImageError` when it cannot be read.
        """
        from tapetum.results.drawing import drawn  # noqa: PLC0415 (Pillow is slow to import)

        if image is None and self.uri is None:
            raise ValueError("This picture had no path: give it again, as draw(image).")
        picture = self._reopening.picture(self.uri if image is None else image)
        return drawn(self, picture)

    def __repr__(self) -> str:
        name = repr(self.uri) if self.uri is not None else f"picture {self.index}"
        parts = [*self._parts()]
        return f"<Result {name}: {', '.join(parts) if parts else 'nothing found'}>"

    def _parts(self) -> list[str]:
        parts = []
        if self.error is not None:
            parts.append(f"error {self.error.code} {_short(self.error.message)}")
        parts += [f"{_short(label.description)} {label.score:.2f}" for label in self.labels][
            :_SHOWN_NAMES
        ]
        if self.text:
            parts.append(f"text {_short(self.text)}")
        for kind in ("faces", "objects", "landmarks", "logos", "colors", "crop_hints"):
            count = len(getattr(self, kind))
            if count:
                parts.append(f"{count} {kind if count > 1 else kind.removesuffix('s')}")
        return parts


def result_of(
    response: Any,
    index: int,
    uri: str | None,
    size: tuple[int, int] | None,
    reopening: Reopening,
) -> Result:
    """The result that ``response``, an ``AnnotateImageResponse``, is."""
    status = response.error
    return Result(
        index=index,
        uri=uri,
        size=size,
        error=NotAnnotated(status.message, status.code) if response.HasField("error") else None,
        labels=reading.labels(response),
        text=response.full_text_annotation.text,
        blocks=reading.blocks(response),
        languages=reading.languages(response),
        faces=reading.faces(response),
        objects=reading.objects(response, size or (1, 1)),
        landmarks=reading.landmarks(response),
        logos=reading.logos(response),
        web=reading.web(response),
        safe_search=reading.safe_search(response),
        colors=reading.colors(response),
        crop_hints=reading.crop_hints(response),
        _answer=response.SerializeToString(),
        _reopening=reopening,
    )


def _short(text: str) -> str:
    """The beginning of ``text``, quoted: it is a stranger's, and may be anything."""
    return repr(text if len(text) <= _SHOWN_TEXT else f"{text[:_SHOWN_TEXT]}…")
