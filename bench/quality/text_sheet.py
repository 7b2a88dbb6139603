"""Pages of text with what was read, for the page a person looks at: blocks numbered in reading
order, a line around every word, and the text beside the picture."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.quality.text import annotated
from PIL import Image, ImageDraw, ImageFont, ImageOps

from tapetum.pipeline.annotator import Annotator

#: Longest side of a picture on the page, pixels.
SIDE = 900
#: One picture of each of these languages, and of each of these kinds.
LANGUAGES = ("ko", "fa", "ru", "el", "bn", "ja", "zh-Hant", "vi")
KINDS = ("document", "receipt", "scene")
_BLOCK, _WORD = "#c00", "#06c"
STYLE = """
.text { display: flex; gap: 16px; margin: 16px 0; align-items: flex-start }
.text img { width: 600px } .text pre { white-space: pre-wrap; margin: 0; flex: 1 }
"""


def pages_of(folder: Path) -> list[Path]:
    """Two-column pages first, then one page of each language and kind."""
    truths: list[dict[str, Any]] = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    chosen = [t["file"] for t in truths if t["category"] == "document" and t["synthetic"]]
    for key, values in (("lang", LANGUAGES), ("category", KINDS)):
        for value in values:
            fitting = [t for t in truths if t[key] == value and t["file"] not in chosen]
            chosen += [max(fitting, key=lambda t: len(t["text"]))["file"]] if fitting else []
    return [folder / file for file in chosen]


def figures(annotator: Annotator, pages: Sequence[Path]) -> Iterator[str]:
    """One HTML fragment per page."""
    for path in pages:
        content = path.read_bytes()
        yield _figure(path.name, content, annotated(annotator, content))


def _figure(name: str, content: bytes, response: Any) -> str:
    with Image.open(io.BytesIO(content)) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    scale = min(1.0, SIDE / max(picture.size))
    picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(20)
    number = 0
    for page in response.full_text_annotation.pages:
        for block in page.blocks:
            number += 1
            for paragraph in block.paragraphs:
                for word in paragraph.words:
                    _outline(pen, word.bounding_box, scale, _WORD, 1)
            first = _outline(pen, block.bounding_box, scale, _BLOCK, 2)
            pen.text((first[0] + 2, first[1] - 2), str(number), fill=_BLOCK, font=font)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    data = base64.b64encode(file.getvalue()).decode()
    languages = ", ".join(
        f"{language.language_code} {language.confidence:.2f}"
        for page in response.full_text_annotation.pages
        for language in page.property.detected_languages
    )
    return (
        f'<h3>{html.escape(name)} <small>{html.escape(languages)}</small></h3><div class="text">'
        f'<img src="data:image/jpeg;base64,{data}" alt="">'
        f'<pre dir="auto">{html.escape(response.full_text_annotation.text)}</pre></div>'
    )


def _outline(
    pen: ImageDraw.ImageDraw, poly: Any, scale: float, colour: str, width: int
) -> tuple[float, float]:
    corners = [(vertex.x * scale, vertex.y * scale) for vertex in poly.vertices]
    pen.line([*corners, corners[0]], fill=colour, width=width)
    return corners[0]
