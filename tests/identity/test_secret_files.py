"""Files that hold secrets."""

from __future__ import annotations

import os
import stat

import pytest

from tapetum.identity.secret_files import PRIVATE, PUBLIC, create, replace


@pytest.fixture(autouse=True)
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_a_private_file_is_for_its_owner_alone(tmp_path):
    create(tmp_path / "key", b"secret", PRIVATE)
    create(tmp_path / "certificate", b"public", PUBLIC)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"key": 0o600, "certificate": 0o644}


def test_a_file_that_is_there_is_not_written_over(tmp_path):
    create(tmp_path / "key", b"secret", PRIVATE)
    with pytest.raises(FileExistsError):
        create(tmp_path / "key", b"other", PRIVATE)
    assert (tmp_path / "key").read_bytes() == b"secret"


def test_a_replaced_file_is_as_private_as_asked_whatever_was_there(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(b"for everyone")
    replace(path, b"secret", PRIVATE)
    assert path.read_bytes() == b"secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_replaced_leaves_nothing_beside_it(tmp_path):
    (tmp_path / "key").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace(tmp_path / "key", b"secret", PRIVATE)
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
