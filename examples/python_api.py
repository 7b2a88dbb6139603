"""What a notebook does with pictures: a table of what is on them, and drawings of what was found.

``python examples/python_api.py`` looks at the example photographs and puts the drawings into the
folder that it is told, or none.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import tapetum

PHOTOS = Path(__file__).parent / "photos"
FEATURES = ["LABEL_DETECTION", "OBJECT_LOCALIZATION", "FACE_DETECTION", "TEXT_DETECTION"]


def table(annotator: tapetum.Annotator, folder: Path | None) -> None:
    """One line for each photograph; a drawing of each in ``folder``."""
    paths = sorted(path for path in PHOTOS.iterdir() if path.suffix in (".jpg", ".png"))
    for path, result in zip(paths, annotator.annotate(paths, FEATURES), strict=True):
        if result.error:
            print(f"{path.name:24} {result.error}")
            continue
        labels = ", ".join(label.description for label in result.labels[:3])
        first_line = result.text.partition("\n")[0]
        print(f"{path.name:24} {labels or '-':40} {len(result.faces)} faces  {first_line!r}")
        if folder is not None:
            result.draw().save(folder / f"{path.stem}.png")


def frames(annotator: tapetum.Annotator) -> None:
    """Arrays that are made as they are asked for: a photograph that grows darker."""
    with Image.open(PHOTOS / "cat.jpg") as image:
        bright = np.asarray(image.convert("RGB").resize((480, 320)))
    darker = (bright // step for step in (1, 2, 4, 16))
    for result in annotator.annotate(darker, ["LABEL_DETECTION"], max_results=1):
        print(f"frame {result.index}", *(f"{x.description} {x.score:.2f}" for x in result.labels))


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tapetum.Annotator() as annotator:
        table(annotator, folder)
        frames(annotator)


if __name__ == "__main__":
    main()
