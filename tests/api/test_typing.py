"""Who checks types strictly sees types."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

import tapetum
from tapetum import Likelihood, Result, annotate
from tapetum.results.annotations import Face


def pictures() -> Iterator[str | bytes]:
    yield "a.jpg"
    yield b""


for result in tapetum.annotate(["a.jpg", Path("b.jpg")], ["LABEL_DETECTION"], workers=2):
    reveal_type(result)
    reveal_type(result.error)
    reveal_type(result.labels)
    reveal_type(result.faces[0].joy)
    reveal_type(result.words[0].box)
    reveal_type(result.to_dict())
    reveal_type(result.draw())
    smiles: list[Face] = [face for face in result.faces if face.joy >= Likelihood.LIKELY]

annotate("a.jpg", "LABEL_DETECTION")
annotate(b"", 4, language_hints="en", crop_aspect_ratios=1.5, settings={"workers": 1})
annotate(pictures(), tapetum.FEATURES, settings=Path("settings.toml"))
annotate([np.zeros((2, 2, 3), np.uint8)], ["LABEL_DETECTION"])
annotate(Image.new("RGB", (2, 2)), ("LABEL_DETECTION",))
with tapetum.Annotator(workers=1) as annotator:
    reveal_type(annotator)
    results: list[Result] = list(annotator.annotate(["a.jpg", b""], "CROP_HINTS"))
reveal_type(tapetum.__version__)
try:
    pass
except tapetum.TapetumError as error:
    reveal_type(error.message)

annotate(3, "LABEL_DETECTION")
annotate("a.jpg", 1.5)
annotate("a.jpg", "CROP_HINTS", max_result=3)
result.text = ""
tapetum.anotate
"""

REVEALED = [
    "tapetum.results.result.Result",
    "tapetum.errors.NotAnnotated | None",
    "tuple[tapetum.results.annotations.Label, ...]",
    "tapetum.results.annotations.Likelihood",
    "tuple[int, int, int, int]",
    "dict[str, Any]",
    "PIL.Image.Image",
    "tapetum.api.Annotator",
    "str",
    "str",
]
WRONG = ["arg-type", "arg-type", "call-arg", "misc", "attr-defined"]


@pytest.mark.slow
def test_mypy_strict(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    source = Path(__file__).parents[2] / "src"
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--config-file=",
         f"--cache-dir={tmp_path / 'cache'}", str(path)],
        capture_output=True, text=True, timeout=900, check=False, cwd=tmp_path,
        env={"MYPYPATH": str(source), "PATH": ""},
    )  # fmt: skip
    said = [line for line in ran.stdout.splitlines() if line.startswith("program.py")]
    revealed = re.findall(r'Revealed type is "(.*?)"', "\n".join(said))
    revealed = [name.replace("builtins.", "") for name in revealed]
    assert revealed == REVEALED, ran.stdout + ran.stderr
    errors = re.findall(r": error: .*\[(.+)\]", "\n".join(said))
    assert errors == WRONG, ran.stdout
