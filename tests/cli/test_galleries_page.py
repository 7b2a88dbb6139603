"""docs/galleries.md takes a reader from a folder of photographs to recognised landmarks."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tapetum.cli import ExitCode

PAGE = (Path(__file__).parents[2] / "docs" / "galleries.md").read_text()
SECTION = PAGE.partition("## From twenty photographs to a match\n")[2].partition("\n## ")[0]


def view(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """What another step aside would show: a part of ``image``, turned and larger or smaller."""
    wide, high = image.size
    x, y = (int(length * random.uniform(0, 0.2)) for length in (wide, high))
    part = image.rotate(random.uniform(-5, 5), Image.Resampling.BICUBIC)
    part = part.crop((x, y, x + wide * 4 // 5, y + high * 4 // 5))
    side = int(random.uniform(400, 600))
    return part.resize((side, side * part.height // part.width))


@pytest.fixture
def reader(tmp_path: Path, photos: Path) -> Path:
    """A folder with what the page says is in it: ``sights`` and ``visit.jpg``."""
    random = np.random.default_rng(5)
    for name, photo in (("Old Mill", "colosseum"), ("Town Hall", "summer-festival")):
        (tmp_path / "sights" / name).mkdir(parents=True)
        with Image.open(photos / f"{photo}.jpg") as image:
            image.load()
        for number in range(1, 11):
            view(image, random).save(tmp_path / "sights" / name / f"{number}.jpg")
    view(image, random).save(tmp_path / "visit.jpg")
    return tmp_path


def test_the_page_takes_a_reader_to_recognised_landmarks(run, reader):
    blocks = re.findall(r"```(console|csv)\n(.*?)```", SECTION, re.DOTALL)
    assert [kind for kind, _ in blocks] == ["console"] * 3 + ["csv", "console"]
    for kind, block in blocks:
        if kind == "csv":
            (reader / "sights.csv").write_text(block)
            continue
        for part in block.removeprefix("$ ").split("\n$ "):
            command, _, said = part.partition("\n")
            program, *arguments = shlex.split(command)
            assert program == "tapetum"
            ran = run(*arguments)
            assert ran.code == ExitCode.OK, ran.err
            assert said in ran.out
    with Image.open("matched.png") as drawn:
        assert drawn.width > 700  # beside the reference image
    [answer] = json.loads(Path("answers/output-1-to-1.json").read_text())["responses"]
    assert [found["description"] for found in answer["landmarkAnnotations"]] == ["Town Hall"]
    assert "lat: 51.2001" in run("gallery", "show", "sights", "Old Mill").out
