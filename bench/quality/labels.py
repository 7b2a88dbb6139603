"""Labels: what is said of pages, screens, noise and blanks, and what real photographs keep.

The photographs are ImageNet pictures that the classifier was almost surely trained on: their
figures compare variants and show what the gate costs, and are no accuracy.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tapetum.detectors.classes import ImageClasses
from tapetum.detectors.vocabulary import Vocabulary
from tapetum.features import Ask
from tapetum.features.label import LabelDetection
from tapetum.imaging.decoding import decode
from tapetum.imaging.picture import Picture
from tapetum.models import packs
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
from tapetum.recognisers import signals_of
from tapetum.signals import Signals
from tapetum.signals.labels import Labels
from tapetum.vision import messages

OUT_OF_DOMAIN_TARGET = 0.05

#: True of any page or screen.
OF_PAGES = frozenset({"Text", "Font", "Document"})

#: True of the photographs of signs and streets in the set, as looked at.
OF_SCENES = OF_PAGES | {"Traffic sign", "Person", "Human face"}

Pixels = NDArray[np.uint8]


class Labeller:
    """Pictures → label words, as in the server."""

    def __init__(self) -> None:
        sessions = Sessions(Manifest.packaged())
        self._feature = LabelDetection()
        kinds = (ImageClasses, *LabelDetection.needs)
        self._makers = [packs.maker_of(kind, sessions) for kind in kinds]
        self.vocabulary: Vocabulary = packs.maker_of(Labels, sessions).vocabulary

    def signals(self, picture: Picture) -> Signals:
        return signals_of(picture, self._makers)

    def words(self, picture: Picture, signals: Signals) -> list[str]:
        response = messages.AnnotateImageResponse()
        ask = Ask(10, picture.width, picture.height, None)
        self._feature.describe(ask, signals, response)
        return [label.description for label in response.label_annotations]


def measure(data: Path) -> list[dict[str, Any]]:
    """Rows of ``metric``, ``value``, ``target`` (text), ``met`` (none without a target), ``note``.

    ``data``: the folder with ``labels/images`` (``WNID_name.JPEG``) and ``ocr`` (``truth.json``
    and ``images``).
    """
    labeller = Labeller()
    return [
        *_out_of_domain("text images", _pages(data / "ocr"), labeller),
        *_out_of_domain(
            "made-up pictures",
            ((n, Picture(p, *p.shape[1::-1]), OF_PAGES) for n, p in made_up()),
            labeller,
        ),
        *_photographs(data / "labels" / "images", labeller),
    ]


def _out_of_domain(
    what: str, pictures: Iterable[tuple[str, Picture, frozenset[str]]], labeller: Labeller
) -> Iterator[dict[str, Any]]:
    wrong, named, count = [], 0, 0
    for name, picture, true in pictures:
        count += 1
        words = labeller.words(picture, labeller.signals(picture))
        named += "Text" in words
        if false := [word for word in words if word not in true]:
            wrong.append(f"{name}: {', '.join(false)}")
    share = len(wrong) / count
    yield {
        "metric": f"share of {what} with a wrong label",
        "value": share,
        "target": f"≤ {OUT_OF_DOMAIN_TARGET:.2f}",
        "met": share <= OUT_OF_DOMAIN_TARGET,
        "note": f"{len(wrong)} of {count}; {named} are called Text. " + "; ".join(wrong),
    }


def _pages(folder: Path) -> Iterator[tuple[str, Picture, frozenset[str]]]:
    for row in json.loads((folder / "truth.json").read_text(encoding="utf-8")):
        path = folder / row["file"]
        yield path.name, opened(path), OF_SCENES if row["category"] == "scene" else OF_PAGES


def _photographs(folder: Path, labeller: Labeller) -> Iterator[dict[str, Any]]:
    table = files("tapetum.detectors").joinpath("tables/imagenet1k.json")
    wnids = [leaf["wnid"] for leaf in json.loads(table.read_text(encoding="utf-8"))["leaves"]]
    classes = {word.description: word.classes for word in labeller.vocabulary.words}
    kept, ungated, first, silent, lost = 0, 0, 0, 0, []
    paths = sorted(folder.iterdir())
    for path in paths:
        true = wnids.index(path.name.partition("_")[0])
        picture = opened(path)
        signals = labeller.signals(picture)
        words = labeller.words(picture, signals)
        logits = signals.of(ImageClasses).logits
        first += int(logits.argmax()) == true
        ungated += any(
            true in classes[label.word.description] for label in signals.of(Labels).likely(0.5)
        )
        is_kept = any(true in classes.get(word, ()) for word in words)
        kept += is_kept
        silent += not words
        if not is_kept:
            lost.append(f"{path.stem} ({', '.join(words) or 'none'})")
    rows = {
        "photographs that keep their class or a word above it": (
            kept / len(paths),
            f"{ungated / len(paths):.3f} without gates and chains. Lost: {'; '.join(lost)}",
        ),
        "photographs without any label": (silent / len(paths), ""),
        "top-1 of the classifier": (first / len(paths), "most likely training pictures"),
    }
    for metric, (value, note) in rows.items():
        yield {"metric": metric, "value": value, "target": "", "met": None, "note": note}


def opened(path: Path) -> Picture:
    """The picture as the server decodes it, as large as any detector of labels wants it."""
    return decode(path.read_bytes(), lambda width, height: min(1024, max(width, height)))


def made_up() -> Iterator[tuple[str, Pixels]]:
    """Blanks, ramps, noise, stripes and drawn screens, by name."""
    generator = np.random.default_rng(0)
    for level in ((255, 255, 255), (0, 0, 0), (128, 128, 128), (40, 70, 200), (224, 172, 140)):
        yield f"blank {level}", np.full((480, 640, 3), level, dtype=np.uint8)
    y, x = np.mgrid[:480, :640]
    for name, ramp in (
        ("across", x / 640),
        ("down", y / 480),
        ("ring", np.hypot(x - 320, y - 240) / 400),
    ):
        yield f"ramp {name}", np.repeat((ramp * 255)[..., np.newaxis], 3, axis=2).astype(np.uint8)
    for grain in (1, 2, 4, 8, 16, 32, 64):
        rows, columns = -(-480 // grain), -(-640 // grain)
        spots = generator.integers(0, 256, (rows, columns, 3), dtype=np.uint8)
        yield f"noise {grain}", spots.repeat(grain, axis=0).repeat(grain, axis=1)[:480, :640]
    for width in (4, 16, 60):
        stripes = np.repeat(((x // width % 2) * 255)[..., np.newaxis], 3, axis=2)
        yield f"stripes {width}", stripes.astype(np.uint8)
    for ground, ink, bar in (("white", "black", "#3367d6"), ("#1e1e1e", "#dddddd", "#264f78")):
        for name, draw in (
            ("editor", _editor),
            ("dialog", _dialog),
            ("chart", _chart),
            ("slide", _slide),
        ):
            screen = Image.new("RGB", (1280, 800), ground)
            draw(ImageDraw.Draw(screen), ink, bar)
            yield f"{name} on {ground}", np.asarray(screen)


def _editor(draw: ImageDraw.ImageDraw, ink: str, bar: str) -> None:
    draw.rectangle((0, 0, 1280, 48), fill=bar)
    draw.text((20, 12), "File  Edit  View  Window  Help", font=_font(20), fill="white")
    for row in range(20):
        text = f"{row:3d}  def measure_{row}(value, cuts): return value * {row}"
        draw.text((290, 80 + row * 34), text, font=_font(18), fill=ink)


def _dialog(draw: ImageDraw.ImageDraw, ink: str, bar: str) -> None:
    draw.rectangle((400, 250, 880, 520), fill="#cccccc", outline=ink)
    draw.text((450, 300), "Are you sure?", font=_font(32), fill="black")
    for x, text in ((480, "Yes"), (680, "No")):
        draw.rectangle((x, 430, x + 120, 480), fill=bar)
        draw.text((x + 35, 440), text, font=_font(24), fill="white")


def _chart(draw: ImageDraw.ImageDraw, ink: str, bar: str) -> None:
    for place, high in enumerate((200, 340, 90, 510, 430, 280, 600, 150)):
        draw.rectangle((150 + place * 120, 700 - high, 230 + place * 120, 700), fill=bar)
    draw.line((120, 60, 120, 700, 1200, 700), fill=ink, width=3)
    draw.text((500, 20), "Sales by month", font=_font(30), fill=ink)


def _slide(draw: ImageDraw.ImageDraw, ink: str, bar: str) -> None:
    draw.text((80, 60), "Results of the year", font=_font(64), fill=ink)
    for row, text in enumerate(("Growth in every region", "Two new offices", "Lower costs")):
        draw.ellipse((80, 235 + row * 110, 100, 255 + row * 110), fill=bar)
        draw.text((120, 220 + row * 110), text, font=_font(44), fill=ink)


def _font(size: int) -> Any:
    return ImageFont.load_default(size=size)
