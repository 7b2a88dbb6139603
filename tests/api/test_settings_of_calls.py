"""Settings of a call in Python: files, mappings, the environment, galleries and buckets."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

import tapetum
from tapetum.cli import main
from tapetum.settings import Settings, resolve


@pytest.fixture
def quiet_log():
    """Commands set up the log; afterwards it is as it was."""
    log = logging.getLogger("tapetum")
    before = log.handlers, log.level, log.propagate
    yield
    log.handlers, log.level, log.propagate = before


def test_galleries_of_ones_own(photos, quiet_log):
    folder = Path("sights") / "The old rocket"
    folder.mkdir(parents=True)
    (folder / "rocket.jpg").write_bytes((photos / "rocket.jpg").read_bytes())
    assert main(["gallery", "create", "sights", "--kind", "landmark", "--data-dir", "kept"]) == 0
    assert main(["gallery", "add", "sights", "sights", "--data-dir", "kept"]) == 0
    asked = (photos / "rocket.jpg", "LANDMARK_DETECTION")
    [result] = tapetum.annotate(*asked, settings={"data_dir": "kept"})
    assert [landmark.name for landmark in result.landmarks] == ["The old rocket"]
    [result] = tapetum.annotate(*asked)
    assert result.landmarks == ()


@pytest.mark.parametrize("kind", ["file", "mapping", "settings", "environment"])
def test_ways_to_give_settings(made, monkeypatch, kind):
    """Also those of a server that asks who calls: whoever runs a program is asked nothing."""
    bucket = Path("elsewhere")
    bucket.mkdir()
    (bucket / "red.png").write_bytes(made.png(made.array(200)))
    table = {"auth": "api-key", "buckets": {"gs://photos": str(bucket.resolve())}}
    file = Path("settings.toml")
    file.write_text(f'auth = "api-key"\n[buckets]\n"gs://photos" = "{bucket.resolve()}"\n')
    settings = {
        "file": file,
        "mapping": table,
        "settings": resolve({}, {}, file),
        "environment": None,
    }[kind]
    if kind == "environment":
        monkeypatch.setenv("TAPETUM_SETTINGS", str(file))
    [result] = tapetum.annotate("gs://photos/red.png", "IMAGE_PROPERTIES", settings=settings)
    assert made.red_of(result) == 200
    assert result.draw().size == (32, 32)


@pytest.mark.parametrize(
    ("options", "threads"),
    [
        ({"workers": 3, "settings": Settings(workers=1)}, 3),
        ({"settings": {"workers": 2}}, 2),
    ],
)
def test_as_many_workers_as_are_asked_for(made, options, threads):
    others = set(threading.enumerate())
    with tapetum.Annotator(**options) as annotator:
        pictures = (made.array(red) for red in range(20))
        assert len(list(annotator.annotate(pictures, "IMAGE_PROPERTIES"))) == 20
        names = [thread.name for thread in set(threading.enumerate()) - others]
    assert len([name for name in names if name.startswith("tapetum")]) == threads
