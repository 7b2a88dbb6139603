"""Where galleries are kept, by URL, and what that takes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tapetum.errors import SettingsError
from tapetum.gallery.backends.places import opened
from tapetum.gallery.backends.sqlite import SqliteGalleries
from tapetum.signals.embedding import EmbeddingModel

MODEL = EmbeddingModel("m" * 64, 1280)


def test_a_path_is_a_sqlite_file(tmp_path):
    galleries = opened(str(tmp_path / "g.sqlite"), {}, MODEL)
    assert isinstance(galleries, SqliteGalleries)
    galleries.close()


@pytest.mark.parametrize("place", ["mysql://e.org/g", "http://e.org/g", "memory://"])
def test_another_kind_of_place(place):
    with pytest.raises(SettingsError, match="URL of postgresql, file, s3, gs, az, not"):
        opened(place, {}, MODEL)


@pytest.mark.parametrize(
    ("place", "package", "extra"),
    [
        ("postgresql://e.org/g", "psycopg", "postgresql"),
        ("s3://bucket/g", "lancedb", "lancedb"),
        ("file:///srv/g", "pyarrow", "lancedb"),
    ],
)
def test_a_package_that_is_not_installed(place, package, extra):
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from tapetum.errors import SettingsError\n"
        "from tapetum.gallery.backends.places import opened\n"
        "from tapetum.signals.embedding import EmbeddingModel\n"
        f"try: opened({place!r}, {{}}, EmbeddingModel('m', 8))\n"
        "except SettingsError as error: print(error)"
    )
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "need a package that is not installed" in ran.stdout, ran.stderr
    assert f"pip install 'tapetum[{extra}]'" in ran.stdout


def test_who_does_not_use_them_does_not_load_them():
    program = "import sys, tapetum.wiring; print(sorted({'lancedb', 'psycopg'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ran.stdout.strip() == b"[]"
