"""A picture with what was found on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tapetum.results.annotations import Box, Corners

if TYPE_CHECKING:
    from tapetum.results.result import Result

_Color = tuple[int, int, int]

#: One colour for each kind of thing, told apart by those who see red and green alike too.
WORD, OBJECT, FACE = (0, 114, 178), (230, 159, 0), (204, 121, 167)
LANDMARK, LOGO, CROP = (0, 158, 115), (213, 94, 0), (240, 228, 66)
#: Longest side of a picture, in pixels, for each pixel of a line's width.
_SIDE_PER_WIDTH = 500
#: Height of letters, in widths of a line, and at least that in pixels.
_LETTER_WIDTHS, _SMALLEST_LETTER = 6, 12


def drawn(result: Result, pixels: NDArray[np.uint8]) -> Image.Image:
    """A copy of the upright picture ``pixels`` with boxes around words, objects, faces, landmarks,
    logos and crops, and points where faces have eyes, noses and mouths."""
    image = Image.fromarray(np.array(pixels))
    pen = _Pen(image)
    for word in result.words:
        pen.outline(word.corners, WORD)
    for hint in result.crop_hints:
        pen.box(hint.box, CROP, "")
    for thing in result.objects:
        pen.box(thing.box, OBJECT, f"{thing.name} {thing.score:.2f}")
    for kind, color in ((result.landmarks, LANDMARK), (result.logos, LOGO)):
        for place in kind:
            if place.box is not None:
                pen.box(place.box, color, f"{place.name} {place.score:.2f}")
    for face in result.faces:
        pen.box(face.box, FACE, "")
        for x, y, _ in face.landmarks.values():
            pen.point(x, y, FACE)
    return image


class _Pen:
    """Draws lines that can be seen on a picture of any size."""

    def __init__(self, image: Image.Image) -> None:
        self._draw = ImageDraw.Draw(image)
        self._width = max(2, round(max(image.size) / _SIDE_PER_WIDTH))
        self._font = ImageFont.load_default(max(_SMALLEST_LETTER, _LETTER_WIDTHS * self._width))

    def outline(self, corners: Corners, color: _Color) -> None:
        self._draw.line([*corners, corners[0]], color, self._width)

    def box(self, box: Box, color: _Color, name: str) -> None:
        """``name`` stands inside the box, at its top left."""
        self._draw.rectangle(box, outline=color, width=self._width)
        if name:
            at = (box[0] + self._width, box[1] + self._width)
            self._draw.rectangle(self._draw.textbbox(at, name, self._font), fill=color)
            self._draw.text(at, name, (0, 0, 0), self._font)

    def point(self, x: float, y: float, color: _Color) -> None:
        half = self._width
        self._draw.ellipse((x - half, y - half, x + half, y + half), fill=color)
