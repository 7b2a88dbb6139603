"""Photographs to measure with, made from those in ``examples/photos``."""

from __future__ import annotations

import random
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps

SIZE = (1632, 1224)  # 2.0 megapixels
QUALITY = 88
_PHOTOS = Path(__file__).parent.parent / "examples" / "photos"


def make(folder: Path, count: int) -> list[Path]:
    """``count`` different two-megapixel JPEGs in ``folder``; the same ones every time."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = []
    for path in sorted(_PHOTOS.glob("*.jpg")):
        with Image.open(path) as image:
            sources.append(image.convert("RGB"))
    made = []
    for number in range(count):
        path = folder / f"{number:05d}.jpg"
        _variant(sources[number % len(sources)], random.Random(number)).save(path, quality=QUALITY)
        made.append(path)
    return made


def _variant(source: Image.Image, chance: random.Random) -> Image.Image:
    """A crop of 60 to 100 % of each side, perhaps mirrored, a little lighter or darker."""
    width, height = (round(side * chance.uniform(0.6, 1.0)) for side in source.size)
    left, top = chance.randint(0, source.width - width), chance.randint(0, source.height - height)
    image = ImageOps.fit(
        source.crop((left, top, left + width, top + height)), SIZE, Image.Resampling.BICUBIC
    )
    if chance.random() < 0.5:
        image = ImageOps.mirror(image)
    return ImageEnhance.Brightness(image).enhance(chance.uniform(0.8, 1.2))
