"""Text: error rates by kind of picture and by script, with and without hints, and turned copies.

The set is a folder with ``truth.json`` and ``images/``. What is measured is the answer of the
whole program to TEXT_DETECTION: order, lines and spaces as a client gets them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from bench.quality.text_score import RIGHT_TO_LEFT, Piece, Point, Score, score, total
from PIL import Image, ImageOps

from tapetum.pipeline.annotator import Annotator
from tapetum.settings import Settings
from tapetum.vision import messages
from tapetum.wiring import annotator_of

#: Degrees clockwise.
TURNS = (90, 180, 270)
SKEWS = (-10, 15)
#: Points of error rate that a turned copy may be worse than its upright page.
MOST_WORSE = 1.0
#: By ``DetectedBreak.BreakType``: none, space, wide space, wrapped line, hyphen, line end.
BREAK_TEXT, SURE_SPACE = ("", " ", " ", "\n", "-\n", "\n"), 2

Truth = dict[str, Any]
_Group = Callable[[Truth], bool]


def _is_real(kind: str) -> _Group:
    return lambda truth: truth["category"] == kind and not truth["synthetic"]


def _in_script(*scripts: str) -> _Group:
    return lambda truth: truth["script"] in scripts


#: Name, which pages, error rate without hints and with hints at most (percent).
GROUPS: tuple[tuple[str, _Group, float | None, float | None], ...] = (
    ("documents, real", _is_real("document"), 2.0, None),
    ("receipts", _is_real("receipt"), 3.0, None),
    ("scenes", _is_real("scene"), 15.0, None),
    ("handwriting", _is_real("handwriting"), None, None),
    ("Latin", _in_script("Latin"), None, None),
    ("Japanese and Chinese", _in_script("Japanese", "Han"), 1.0, None),
    ("Korean", lambda truth: truth["lang"] == "ko", 3.0, None),
    ("Cyrillic", _in_script("Cyrillic"), None, None),
    ("Greek", _in_script("Greek"), None, None),
    ("Arabic", _in_script("Arabic"), None, None),
    ("Bengali", _in_script("Bengali"), None, None),
    ("all", lambda _: True, 4.0, 2.5),
)
F1_TARGET = 93.0  # percent, all pages, with hints


def measure(folder: Path, turned: bool = True) -> list[dict[str, Any]]:
    """The rows of the quality table: ``metric``, ``value`` (percent), ``target``, ``met``,
    ``note``. Without ``turned`` no turned copies are read: they take most of the time."""
    truths: list[Truth] = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    with annotator_of(Settings()) as annotator:
        plain = {truth["file"]: _read(annotator, folder, truth) for truth in truths}
        hinted = {truth["file"]: _read(annotator, folder, truth, _hints(truth)) for truth in truths}
        rows = list(_rows(truths, plain, hinted))
        if turned:
            for angle in (*TURNS, *SKEWS):
                copies = {t["file"]: _read(annotator, folder, t, angle=angle) for t in truths}
                rows.append(_turned_row(angle, truths, plain, copies))
    return rows


def _rows(
    truths: list[Truth], plain: Mapping[str, Score], hinted: Mapping[str, Score]
) -> Iterator[dict[str, Any]]:
    for name, belongs, most, most_hinted in GROUPS:
        files = [truth["file"] for truth in truths if belongs(truth)]
        for way, scores, target in (("", plain, most), (", hinted", hinted, most_hinted)):
            one = total(scores[file] for file in files)
            value = one.error_rate
            yield {
                "metric": f"error rate, {name}{way}",
                "value": value,
                "target": "" if target is None else f"≤ {target} %",
                "met": None if target is None else value <= target,
                "note": f"{len(files)} pictures, {one.characters} characters, "
                f"{100 * one.extra / max(1, one.characters):.1f} % more where the truth has none, "
                f"word F1 {one.f1:.1f}",
            }
    every = total(hinted.values())
    yield {
        "metric": "word F1, all, hinted",
        "value": every.f1,
        "target": f"≥ {F1_TARGET} %",
        "met": every.f1 >= F1_TARGET,
        "note": f"{every.words} words; without hints {total(plain.values()).f1:.1f}",
    }


def _turned_row(
    angle: int, truths: list[Truth], upright: Mapping[str, Score], copies: Mapping[str, Score]
) -> dict[str, Any]:
    worse = {
        file: copies[file].error_rate - upright[file].error_rate
        for file in (truth["file"] for truth in truths)
    }
    fallen = sorted((file for file in worse if worse[file] > MOST_WORSE), key=worse.__getitem__)
    names = ", ".join(f"{Path(file).stem} +{worse[file]:.1f}" for file in reversed(fallen))
    return {
        "metric": f"copies turned by {angle}°, pages more than {MOST_WORSE:.0f} point worse",
        "value": len(fallen),
        "target": "≤ 0" if angle in TURNS else "",
        "met": not fallen if angle in TURNS else None,
        "note": f"all: {total(copies.values()).error_rate:.2f} %, upright "
        f"{total(upright.values()).error_rate:.2f} %; {names or 'none'}",
    }


def _hints(truth: Truth) -> tuple[str, ...]:
    return () if truth["lang"] == "mul" else (truth["lang"],)


def _read(
    annotator: Annotator, folder: Path, truth: Truth, hints: tuple[str, ...] = (), angle: int = 0
) -> Score:
    """The score of one page, read as it is or as a copy turned by ``angle`` degrees clockwise."""
    content = (folder / truth["file"]).read_bytes()
    back = np.eye(2, 3)
    if angle:
        content, back = turned(content, angle)
    return score(truth, pieces(annotated(annotator, content, hints), back, truth["script"]))


def annotated(annotator: Annotator, content: bytes, hints: tuple[str, ...] = ()) -> Any:
    """The program's answer to TEXT_DETECTION for one image file."""
    asked = messages.BatchAnnotateImagesRequest()
    item = asked.requests.add()
    item.image.content = content
    item.features.add(type_=messages.Feature.TEXT_DETECTION)
    item.image_context.language_hints.extend(hints)
    answer = annotator.annotate(asked.SerializeToString())
    return messages.BatchAnnotateImagesResponse.FromString(answer).responses[0]


def turned(content: bytes, angle: int) -> tuple[bytes, np.ndarray[Any, np.dtype[np.float64]]]:
    """A PNG of the picture turned clockwise, nothing cut off, and the ``2×3`` way back to the
    coordinates of the upright one. Quarter turns move pixels, other angles resample over the
    colour of the picture's border."""
    with Image.open(io.BytesIO(content)) as opened:
        pixels = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    rows, columns = pixels.shape[:2]
    if angle % 90 == 0:
        copy = np.ascontiguousarray(np.rot90(pixels, -angle // 90))
        high, wide = copy.shape[:2]
    else:
        reach = abs(np.cos(np.radians(angle))), abs(np.sin(np.radians(angle)))
        wide = int(np.ceil(columns * reach[0] + rows * reach[1]))
        high = int(np.ceil(columns * reach[1] + rows * reach[0]))
    way = cv2.getRotationMatrix2D((columns / 2, rows / 2), -angle, 1.0)
    way[:, 2] += (wide / 2 - columns / 2, high / 2 - rows / 2)
    if angle % 90:
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        colour = [int(value) for value in np.median(border, axis=0)]
        copy = cv2.warpAffine(pixels, way, (wide, high), flags=cv2.INTER_CUBIC, borderValue=colour)
    file = io.BytesIO()
    Image.fromarray(copy).save(file, "PNG")
    return file.getvalue(), cv2.invertAffineTransform(way)


def pieces(response: Any, back: np.ndarray[Any, np.dtype[np.float64]], script: str) -> list[Piece]:
    """The lines of ``full_text_annotation`` in the order it gives them, in pieces where there is a
    wide gap: a character's place is found by counting."""
    found: list[Piece] = []
    for page in response.full_text_annotation.pages:
        for block in page.blocks:
            for paragraph in block.paragraphs:
                line: list[Any] = []
                text = ""
                for word in paragraph.words:
                    line.append(word)
                    text += "".join(symbol.text for symbol in word.symbols)
                    kind = word.symbols[-1].property.detected_break.type_
                    ending = BREAK_TEXT[kind]
                    if "\n" not in ending and kind != SURE_SPACE:
                        text += ending
                        continue
                    found.append(
                        Piece(text + ending.removesuffix("\n"), _around(line, back, script))
                    )
                    line, text = [], ""
                if line:
                    found.append(Piece(text, _around(line, back, script)))
    return found


def _around(
    words: list[Any], back: np.ndarray[Any, np.dtype[np.float64]], script: str
) -> tuple[Point, Point, Point, Point]:
    first, last = words[0].bounding_box.vertices, words[-1].bounding_box.vertices
    if script in RIGHT_TO_LEFT:
        first, last = last, first
    corners = np.array([[v.x, v.y, 1] for v in (first[0], last[1], last[2], first[3])])
    one, two, three, four = ((float(x), float(y)) for x, y in corners @ back.T)
    return one, two, three, four
