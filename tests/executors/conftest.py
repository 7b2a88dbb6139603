"""Executors over the toy workshop, and what to give them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tapetum.executors.nursery import Config
from tapetum.executors.process import ProcessExecutor

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for worker_toys

MakeExecutor = Callable[..., ProcessExecutor]


@pytest.fixture(autouse=True)
def toys_in_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A nursery finds `worker_toys`."""
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    monkeypatch.setenv("PYTHONPATH", path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path


@pytest.fixture
def make_executor(folder: Path) -> Iterator[MakeExecutor]:
    """Process executors over the toy workshop, which end with the test."""
    made: list[ProcessExecutor] = []

    def make(
        workers: int = 2, image_seconds: float = 60.0, image_memory: int = 0
    ) -> ProcessExecutor:
        config = Config("worker_toys:ToyWorkshop", (folder,), image_memory, log_level="error")
        made.append(ProcessExecutor(config, workers, image_seconds))
        return made[-1]

    yield make
    for executor in made:
        executor.abandon()
        executor.close()
