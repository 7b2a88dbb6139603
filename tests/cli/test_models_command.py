"""``tapetum models``."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys

from tapetum.cli import ExitCode
from tapetum.models.manifest import Manifest


def test_every_row_is_listed_whole_when_not_on_a_terminal(run):
    ran = run("models")
    assert ran.code == ExitCode.OK
    rows = list(Manifest.packaged())
    assert rows
    for weight in rows:
        [line] = [line for line in ran.out.splitlines() if line.startswith(f"│ {weight.name} ")]
        for text in (weight.purpose, weight.file, weight.upstream, weight.licence, weight.sha256):
            assert text in line
        assert re.search(r"ok, \d+\.\d MB", line)


def test_weights_that_are_not_the_manifests_fail(run, monkeypatch):
    first, *others = Manifest.packaged()
    wrong = dataclasses.replace(first, sha256="0" * 64)
    missing = dataclasses.replace(others[0], file="no-such.onnx")
    manifest = Manifest({weight.name: weight for weight in (wrong, missing, *others[1:])})
    monkeypatch.setattr(Manifest, "packaged", lambda: manifest)
    ran = run("models")
    assert ran.code == ExitCode.FAILED
    states = {weight.name: "wrong" if weight in (wrong, missing) else "ok," for weight in manifest}
    for name, state in states.items():
        [line] = [line for line in ran.out.splitlines() if line.startswith(f"│ {name} ")]
        assert state in line
    assert f"sha256 {first.sha256}, expected {'0' * 64}" in ran.out
    assert f"The weights {missing.name} (no-such.onnx" in ran.out
    assert "Traceback" not in ran.out + ran.err


def test_a_reader_that_stops_early_sees_no_traceback():
    with subprocess.Popen(
        [sys.executable, "-m", "tapetum", "models"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == ExitCode.FAILED
