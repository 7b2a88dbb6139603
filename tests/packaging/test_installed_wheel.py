"""The wheel in an empty environment, far from any checkout: what a user has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PHOTOS = ("cat.jpg", "page.png")
FEATURES = "LABEL_DETECTION,TEXT_DETECTION,FACE_DETECTION"

Run = Callable[..., str]


def ran(command: list[str | Path], folder: Path) -> str:
    """What the command printed. It sees no variable that leads to the checkout."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "TAPETUM_", "VIRTUAL_ENV"))
    }
    done = subprocess.run(
        command,
        check=False,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of an environment with the locked requirements and the wheel, nothing else."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=True)
    binaries = folder / "bin"
    install: list[str | Path] = [binaries / "python", "-m", "pip", "install", "--quiet"]
    lock = CHECKOUT / "requirements.lock"
    ran([*install, "--require-hashes", "--requirement", lock], folder)
    ran([*install, "--no-deps", "--no-index", wheel], folder)
    return binaries


def test_what_is_installed_fits_together(installed: Path, tmp_path: Path) -> None:
    assert "No broken requirements" in ran([installed / "python", "-m", "pip", "check"], tmp_path)


def test_it_is_the_wheel_that_is_imported(installed: Path, wheel: Path, tmp_path: Path) -> None:
    code = "import tapetum; print(tapetum.__file__, tapetum.__version__)"
    path, version = ran([installed / "python", "-c", code], tmp_path).split()
    assert Path(path).is_relative_to(installed.parent)
    assert version == wheel.name.split("-")[1]
    assert ran([installed / "tapetum", "--version"], tmp_path) == f"tapetum {version}\n"


def test_every_weight_is_there_and_whole(installed: Path, tmp_path: Path) -> None:
    assert "efficientnet-lite2" in ran([installed / "tapetum", "models"], tmp_path)


def test_it_says_of_photographs_what_the_checkout_says(installed: Path, tmp_path: Path) -> None:
    for name in PHOTOS:
        shutil.copy(CHECKOUT / "examples" / "photos" / name, tmp_path)
    command = ["annotate", *PHOTOS, "--features", FEATURES, "--output"]
    ran([installed / "tapetum", *command, "wheel/"], tmp_path)
    ran([sys.executable, "-m", "tapetum", *command, "checkout/"], tmp_path)
    written = {path.name: path.read_bytes() for path in (tmp_path / "wheel").iterdir()}
    assert written == {path.name: path.read_bytes() for path in (tmp_path / "checkout").iterdir()}
    (shard,) = written.values()
    cat, page = json.loads(shard)["responses"]
    assert "labelAnnotations" in cat
    assert "textAnnotations" in page
