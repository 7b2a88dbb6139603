"""One HTML page of pictures with what was found drawn in, so that a person can look."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.quality import text_sheet
from PIL import Image, ImageDraw, ImageOps

from tapetum.pipeline.annotator import Annotator
from tapetum.settings import Settings
from tapetum.vision import messages
from tapetum.wiring import annotator_of

#: Longest side of a picture on the page, pixels.
SIDE = 480
#: Pictures of each development set.
OF_EACH = 12
FEATURES = ("FACE_DETECTION", "LABEL_DETECTION", "SAFE_SEARCH_DETECTION", "CROP_HINTS")
FEATURES += ("OBJECT_LOCALIZATION",)
_STYLE = """
body { font: 14px sans-serif; background: #fff; color: #111; margin: 16px }
figure { display: inline-block; vertical-align: top; width: 480px; margin: 8px }
img { max-width: 100% } figcaption { overflow-wrap: anywhere }
.face { color: #c00 } .object { color: #06c } .crop { color: #080 }
"""
_STYLE += text_sheet.STYLE


def pictures_of(data: Path) -> list[Path]:
    """The first pictures of each development set of photographs, by name."""
    chosen: list[Path] = []
    for name in ("objects", "faces", "emotion", "labels", "landmarks/queries"):
        files = sorted(path for path in (data / name).rglob("*.*") if _is_picture(path))
        chosen += files[:: max(1, len(files) // OF_EACH)][:OF_EACH]
    return chosen


def write(page: Path, pictures: Sequence[Path], texts: Sequence[Path]) -> None:
    """Annotate ``pictures`` and the pages of ``texts`` and write ``page``, which holds everything
    it shows."""
    with annotator_of(Settings()) as annotator:
        figures = [_figure(path, answer) for path, answer in _answers(annotator, pictures)]
        figures += ["<h2>Text</h2>", *text_sheet.figures(annotator, texts)]
    head = f"<!doctype html><meta charset=utf-8><title>Contact sheet</title><style>{_STYLE}</style>"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(f"{head}<h1>Contact sheet</h1>{''.join(figures)}\n", encoding="utf-8")


def _answers(annotator: Annotator, pictures: Iterable[Path]) -> Iterable[tuple[Path, Any]]:
    for path in pictures:
        asked = messages.BatchAnnotateImagesRequest()
        item = asked.requests.add()
        item.image.content = path.read_bytes()
        for name in FEATURES:
            item.features.add(type_=messages.Feature.Type.Value(name))
        answer = annotator.annotate(asked.SerializeToString())
        yield path, messages.BatchAnnotateImagesResponse.FromString(answer).responses[0]


def _figure(path: Path, found: Any) -> str:
    with Image.open(path) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    width, height = picture.size
    picture.thumbnail((SIDE, SIDE))
    scale = picture.width / width
    pen = ImageDraw.Draw(picture)
    for hint in found.crop_hints_annotation.crop_hints:
        _outline(pen, [(v.x, v.y) for v in hint.bounding_poly.vertices], scale, "#080")
    for one in found.localized_object_annotations:
        corners = [(v.x * width, v.y * height) for v in one.bounding_poly.normalized_vertices]
        _outline(pen, corners, scale, "#06c")
        pen.text((corners[0][0] * scale + 3, corners[0][1] * scale + 2), one.name, fill="#06c")
    for face in found.face_annotations:
        _outline(pen, [(v.x, v.y) for v in face.fd_bounding_poly.vertices], scale, "#c00")
        for landmark in face.landmarks:
            x, y = landmark.position.x * scale, landmark.position.y * scale
            pen.ellipse((x - 1, y - 1, x + 1, y + 1), fill="#fc0")
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<figure><img src="data:image/jpeg;base64,{data}" alt=""><figcaption>'
        f"<b>{html.escape(path.name)}</b><br>{_caption(found)}</figcaption></figure>"
    )


def _outline(
    pen: ImageDraw.ImageDraw, corners: Sequence[tuple[float, float]], scale: float, colour: str
) -> None:
    scaled = [(x * scale, y * scale) for x, y in corners]
    pen.line([*scaled, scaled[0]], fill=colour, width=2)


def _caption(found: Any) -> str:
    labels = ", ".join(f"{one.description} {one.score:.2f}" for one in found.label_annotations)
    things = ", ".join(f"{one.name} {one.score:.2f}" for one in found.localized_object_annotations)
    search = found.safe_search_annotation
    fields = ("adult", "spoof", "medical", "violence", "racy")
    likely = ", ".join(f"{name} {getattr(search, name)}" for name in fields)
    faces = "; ".join(
        f"{face.detection_confidence:.2f} roll {face.roll_angle:.0f} pan {face.pan_angle:.0f} "
        f"tilt {face.tilt_angle:.0f} joy {face.joy_likelihood} sorrow {face.sorrow_likelihood} "
        f"anger {face.anger_likelihood} surprise {face.surprise_likelihood} "
        f"dark {face.under_exposed_likelihood} blurred {face.blurred_likelihood} "
        f"headwear {face.headwear_likelihood}"
        for face in found.face_annotations
    )
    return (
        f"{html.escape(labels) or '-'}<br><span class=object>{html.escape(things) or '-'}</span>"
        f"<br><span class=face>{html.escape(faces) or '-'}</span><br>{likely}"
    )


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")
