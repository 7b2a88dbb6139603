"""A door for Python says what every other door says."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import tapetum


@pytest.fixture(scope="module")
def as_command(photos, tmp_path_factory):
    """What `tapetum annotate` writes of each example photograph, by its path."""
    folder = tmp_path_factory.mktemp("command")
    subprocess.run(
        [
            *(sys.executable, "-m", "tapetum", "annotate", str(photos)),
            *("--features", ",".join(tapetum.FEATURES), "--output", str(folder / "results")),
            *("--data-dir", str(folder / "data")),
        ],
        check=True,
        capture_output=True,
        timeout=1200,
    )
    answers = [
        answer
        for file in (folder / "results").iterdir()
        for answer in json.loads(file.read_text())["responses"]
    ]
    return {answer["context"]["uri"]: answer for answer in answers}


@pytest.mark.slow
def test_each_photograph_with_all_features(photos, as_command):
    paths = sorted(photos.iterdir())
    results = list(tapetum.annotate(paths, tapetum.FEATURES))
    assert [result.uri for result in results] == [str(path) for path in paths]
    assert {result.uri: result.to_dict() for result in results} == as_command
