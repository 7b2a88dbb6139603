from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from tapetum.errors import ModelError, SettingsError
from tapetum.models import session as session_module
from tapetum.models.manifest import Manifest
from tapetum.models.session import Session, Sessions
from tapetum.settings import PROVIDERS

NAME = "efficientnet-lite2"


@pytest.fixture(scope="module")
def sessions() -> Sessions:
    return Sessions(Manifest.packaged())


@pytest.fixture(scope="module")
def session(sessions: Sessions) -> Session:
    return sessions.load(NAME)


def pixels(seed: int, count: int = 1) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    return generator.standard_normal((count, 3, 260, 260), dtype=np.float32)


def test_inputs_and_outputs_are_those_of_the_file(session: Session) -> None:
    assert session.inputs == ("input",)
    assert session.outputs == ("logits", "embedding")
    logits, embedding = session.run(pixels(0, count=2))
    assert (logits.shape, embedding.shape) == ((2, 1000), (2, 1280))
    assert (logits.dtype, embedding.dtype) == (np.float32, np.float32)


def test_a_picture_answers_the_same_alone_and_in_a_batch(session: Session) -> None:
    batch = pixels(0, count=2)
    together = session.run(batch)
    alone = session.run(batch[1:])
    for both, one in zip(together, alone, strict=True):
        np.testing.assert_allclose(both[1:], one, atol=1e-4)


def test_runs_are_deterministic(session: Session) -> None:
    for first, second in zip(session.run(pixels(1)), session.run(pixels(1)), strict=True):
        np.testing.assert_array_equal(first, second)


def test_every_network_of_the_manifest_loads(sessions: Sessions) -> None:
    for weight in (row for row in Manifest.packaged() if row.file.endswith(".onnx")):
        loaded = sessions.load(weight.name)
        assert loaded.inputs
        assert loaded.outputs


def test_a_session_is_shared(sessions: Sessions, session: Session) -> None:
    assert sessions.load(NAME) is session


def test_threads_that_load_at_once_get_one_session() -> None:
    sessions = Sessions(Manifest.packaged())
    start = threading.Barrier(2)

    def load() -> Session:
        start.wait()
        return sessions.load(NAME)

    with ThreadPoolExecutor(2) as pool:
        first, second = (pool.submit(load) for _ in range(2))
    assert first.result() is second.result()


def test_threads_get_their_own_answers(session: Session) -> None:
    inputs = [pixels(seed) for seed in (2, 3)]
    expected = [session.run(each) for each in inputs]
    start = threading.Barrier(2)

    def run(each: NDArray[np.float32]) -> list[list[NDArray[np.float32]]]:
        start.wait()
        return [session.run(each) for _ in range(4)]

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(run, inputs))
    for answers, right in zip(found, expected, strict=True):
        for answer in answers:
            for output, right_output in zip(answer, right, strict=True):
                np.testing.assert_array_equal(output, right_output)


def test_runs_are_counted() -> None:
    sessions = Sessions(Manifest.packaged())
    assert sessions.runs() == {}
    session = sessions.load(NAME)
    assert sessions.runs() == {NAME: 0}
    for _ in range(2):
        session.run(pixels(0))
    assert sessions.runs() == {NAME: 2}


def test_a_wrong_name_is_a_model_error(sessions: Sessions) -> None:
    with pytest.raises(ModelError, match="'no-such'"):
        sessions.load("no-such")


def test_a_file_that_is_not_the_manifests_is_not_loaded() -> None:
    wrong = dataclasses.replace(Manifest.packaged()[NAME], sha256="0" * 64)
    sessions = Sessions(Manifest({NAME: wrong}))
    with pytest.raises(ModelError, match=NAME):
        sessions.load(NAME)
    assert sessions.runs() == {}


def test_a_wrong_number_of_inputs_is_refused(session: Session) -> None:
    with pytest.raises(ValueError, match="argument"):
        session.run(pixels(0), pixels(0))


def test_networks_run_where_the_setting_says(sessions: Sessions) -> None:
    available = onnxruntime.get_available_providers()
    assert Sessions(Manifest.packaged(), ["cpu"]).load(NAME).outputs == ("logits", "embedding")
    if "CUDAExecutionProvider" not in available:
        with pytest.raises(SettingsError, match=r"has no 'cuda'; it has .*cpu"):
            Sessions(Manifest.packaged(), ["cuda", "cpu"])
    with pytest.raises(SettingsError, match="has no 'abacus'"):
        Sessions(Manifest.packaged(), ["abacus"])


def test_every_provider_of_the_settings_has_its_name_in_onnx_runtime() -> None:
    assert set(session_module._PROVIDERS) == set(PROVIDERS)
    assert set(session_module._PROVIDERS.values()) <= set(onnxruntime.get_all_providers())


def test_a_provider_that_does_not_start_is_an_error_and_not_the_processor(monkeypatch) -> None:
    # Installed, says ONNX Runtime, and then goes on without it: as where a library is missing.
    claimed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: claimed)
    sessions = Sessions(Manifest.packaged(), ["cuda", "cpu"])
    with (
        warnings.catch_warnings(action="ignore"),
        pytest.raises(SettingsError, match=r"^CUDA\w+ is installed but did not start"),
    ):
        sessions.load(NAME)


def test_without_an_arena_the_answers_are_the_same(session: Session) -> None:
    plain = Sessions(Manifest.packaged(), arena=False).load(NAME)
    for output, other in zip(session.run(pixels(4)), plain.run(pixels(4)), strict=True):
        np.testing.assert_array_equal(output, other)


PROGRAM = """
import os, sys
from tapetum.models.manifest import Manifest
from tapetum.models.session import Sessions
Sessions(Manifest.packaged()).load("efficientnet-lite2")
print(os.environ["ORT_DISABLE_TELEMETRY"])
"""


def test_onnx_runtime_reports_to_nobody(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if "TELEMETRY" not in name}
    environ |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / ".cache")}
    command = [sys.executable, "-c", PROGRAM]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "1"
    assert list(tmp_path.rglob("*")) == []  # where it keeps what it is about to report
