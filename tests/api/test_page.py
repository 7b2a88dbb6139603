"""docs/python.md and the example program run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import tapetum
from tapetum.results.result import Result

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

SAID = [
    r"photos/cat.jpg \[.*'Cat'.*\] \nphotos/page.png \[.*'Document'.*\] Chapter Ⅲ\n",
    r"astronaut.jpg .*\ncat.jpg Cat\n",
    r"0 Animal\n1 5 Error opening file: photos/dgo.jpg.\n2 3 Bad image data.\n",
    r"There is no feature 'LABELS'; did you mean LABEL_DETECTION\?\n",
    r"(a smile at \(\d+, \d+, \d+, \d+\)\n)+",
    r"<Result 'photos/cat.jpg': .*'Cat'.*>\n<Result 'photos/dog.jpg': .*'Dog'.*>\n",
]


@pytest.mark.parametrize(("example", "said"), [*zip(EXAMPLES, SAID, strict=True)])
def test_every_example_runs(example, said, photos, tmp_path):
    (tmp_path / "photos").symlink_to(photos)
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        capture_output=True, text=True, timeout=600, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.match(said, ran.stdout, re.DOTALL if "astronaut" in said else 0), ran.stdout


def test_the_example_of_the_readme_runs():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```python\n(import tapetum\n.*?)```", readme, re.DOTALL)
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        capture_output=True, text=True, timeout=600, check=False, cwd=ROOT,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.match(SAID[0].replace("photos/", "examples/photos/"), ran.stdout), ran.stdout


def test_the_page_names_all_there_is():
    quoted = set(re.findall(r"`(\w+)(?:\(\))?`", PAGE))
    assert quoted >= set(tapetum.__all__)
    public = {name for name in Result.__dataclass_fields__ if not name.startswith("_")}
    assert quoted >= public | {"words", "to_dict", "draw"}


def test_the_example_program_runs(tmp_path):
    ran = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "python_api.py"), str(tmp_path)],
        capture_output=True, text=True, timeout=900, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.search(r"cat.jpg +Animal, Cat, .* 0 faces  ''", ran.stdout)
    assert re.search(r"mariachi.jpg .* 7 faces", ran.stdout)
    assert re.search(r"frame 0 \w+ 0\.\d\d", ran.stdout)
    drawings = sorted(path.name for path in tmp_path.iterdir())
    assert drawings == sorted(f"{p.stem}.png" for p in (ROOT / "examples" / "photos").iterdir())
    with (
        Image.open(tmp_path / "cat.png") as drawing,
        Image.open(ROOT / "examples" / "photos" / "cat.jpg") as photo,
    ):
        assert drawing.size == photo.size
