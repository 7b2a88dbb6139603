"""What the tests of the commands share."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tapetum.cli import main

LABELS = ("--features", "LABEL_DETECTION")


@dataclass(frozen=True)
class Ran:
    """What one command said."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In an empty folder, with no settings from the environment; logging as it was afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for name in [name for name in os.environ if name.startswith("TAPETUM_")]:
        monkeypatch.delenv(name)
    log = logging.getLogger("tapetum")
    before = log.handlers, log.level, log.propagate
    yield
    log.handlers, log.level, log.propagate = before


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs a command in this process, argparse's way out included."""

    def run(*arguments: object) -> Ran:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def run_process() -> Callable[..., Ran]:
    """Runs a command as a process of its own."""

    def run(*arguments: object, stdin: bytes | None = None) -> Ran:
        command = [sys.executable, "-m", "tapetum", *map(str, arguments)]
        ran = subprocess.run(command, capture_output=True, input=stdin, timeout=60, check=False)
        return Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode())

    return run


@pytest.fixture
def put(photos: Path) -> Callable[..., Path]:
    """Copies an example photograph to a path, folders made as needed."""

    def put(path: Path | str, photo: str = "cat.jpg") -> Path:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photos / photo, path)
        return path

    return put


def names(folder: Path | str) -> list[str]:
    """The result files of ``folder`` in order of their images."""
    paths = list(Path(folder).iterdir())
    return [p.name for p in sorted(paths, key=lambda p: int(p.stem.split("-")[1]))]


def responses(folder: Path | str) -> list[dict[str, Any]]:
    """Every response in ``folder`` in order of the images."""
    files = [Path(folder) / name for name in names(folder)]
    return [one for file in files for one in json.loads(file.read_text())["responses"]]


def uris(folder: Path | str) -> list[str]:
    """The images the results in ``folder`` are about."""
    return [response["context"]["uri"] for response in responses(folder)]


@pytest.fixture
def results() -> Any:
    """`names`, `responses` and `uris` of a folder of results."""
    return sys.modules[__name__]
