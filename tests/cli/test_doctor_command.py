"""``tapetum doctor``."""

from __future__ import annotations

import dataclasses
import os

import pytest

from tapetum.cli import ExitCode
from tapetum.imaging.decoders import Decoders
from tapetum.models.manifest import Manifest


def test_a_whole_installation_is_well_and_nothing_is_made(run, tmp_path):
    ran = run("doctor", "--data-dir", "data")
    assert ran.code == ExitCode.OK
    lines = ran.out.splitlines()
    assert not [line for line in lines if line.startswith("wrong")]
    for part in (
        "Tapetum", "weights:", "networks run on cpu", "packs: embedded", "the data folder data",
        "seccomp",
    ):  # fmt: skip
        assert [line for line in lines if part in line], part
    assert not (tmp_path / "data").exists()


def test_layers_that_the_kernel_has_not_are_named_and_no_fault(run, monkeypatch):
    monkeypatch.setattr(Decoders, "layers", lambda _: {"seccomp": False, "Landlock": True})
    ran = run("doctor")
    assert ran.code == ExitCode.OK
    assert "lacking  decoders are locked in: seccomp: not on this kernel" in ran.out
    assert "ok       decoders are locked in: Landlock" in ran.out


def test_wrong_weights_are_named(run, monkeypatch):
    first, *others = Manifest.packaged()
    wrong = dataclasses.replace(first, sha256="0" * 64)
    manifest = Manifest({weight.name: weight for weight in (wrong, *others)})
    monkeypatch.setattr(Manifest, "packaged", lambda: manifest)
    ran = run("doctor")
    assert ran.code == ExitCode.FAILED
    assert f"wrong    weights: The weights {first.name}" in ran.out


def test_a_provider_that_is_not_installed_is_named(run):
    ran = run("doctor", "--providers", "coreml")
    assert ran.code == ExitCode.FAILED
    assert "wrong    networks run on coreml: " in ran.out


def test_a_pack_that_is_not_there_is_named(run):
    ran = run("doctor", "--pack", "strong")
    assert ran.code == ExitCode.FAILED
    assert "wrong    packs: strong: No pack is named 'strong'" in ran.out


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_data_folder_that_cannot_be_written_is_named(run, tmp_path):
    tmp_path.chmod(0o500)
    ran = run("doctor", "--data-dir", "data")
    assert ran.code == ExitCode.FAILED
    assert "wrong    the data folder data: nothing can be written to" in ran.out
