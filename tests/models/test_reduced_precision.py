"""``precision = reduced``: the marked networks in bfloat16, the others untouched."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tapetum.detectors.text.detector import TextDetector
from tapetum.errors import SettingsError
from tapetum.imaging.picture import Picture
from tapetum.models.manifest import Manifest
from tapetum.models.openvino import has_bfloat16
from tapetum.models.session import Sessions

needs_bfloat16 = pytest.mark.skipif(
    not has_bfloat16(), reason="this processor has no bfloat16 instructions"
)
RECOGNISER = "ppocr-v6-recogniser"


@pytest.fixture(scope="module")
def full() -> Sessions:
    return Sessions(Manifest.packaged())


@pytest.fixture(scope="module")
def reduced() -> Sessions:
    return Sessions(Manifest.packaged(), precision="reduced", workers=2)


def drawn(text: str) -> Picture:
    image = Image.new("RGB", (900, 120), "white")
    font = ImageFont.load_default(size=36)
    ImageDraw.Draw(image).text((30, 30), text, font=font, fill="black")
    return Picture(np.asarray(image), image.width, image.height)


def test_text_is_read_alike(full: Sessions, reduced: Sessions) -> None:
    picture = drawn("Received with thanks: 2 x 14.50")
    (one,), (other,) = (TextDetector(each).detect([picture]) for each in (full, reduced))

    assert [line.text for line in one.lines] == ["Received with thanks: 2 x 14.50"]
    assert [line.text for line in other.lines] == [line.text for line in one.lines]
    assert np.allclose(other.lines[0].quad, one.lines[0].quad, atol=2)


@needs_bfloat16
def test_marked_networks_are_rounded(full: Sessions, reduced: Sessions) -> None:
    line = np.random.default_rng(3).uniform(-1, 1, (1, 3, 48, 320)).astype(np.float32)
    one, other = full.load(RECOGNISER), reduced.load(RECOGNISER)
    (exact,), (rounded,) = one.run(line), other.run(line)

    assert (other.inputs, other.outputs) == (one.inputs, one.outputs)
    assert other.metadata["character"] == one.metadata["character"]
    assert rounded.dtype == exact.dtype
    assert rounded.shape == exact.shape
    assert 0 < np.abs(rounded - exact).max() < 0.2


def test_other_networks_stay_as_they_are(full: Sessions, reduced: Sessions) -> None:
    name = "centerface"
    assert not Manifest.packaged()[name].reducible
    pixels = np.random.default_rng(4).uniform(0, 255, (1, 3, 64, 96)).astype(np.float32)

    outputs = zip(full.load(name).run(pixels), reduced.load(name).run(pixels), strict=True)
    for exact, found in outputs:
        np.testing.assert_array_equal(exact, found)


def test_runs_side_by_side_do_not_mix(reduced: Sessions) -> None:
    session = reduced.load(RECOGNISER)
    lines = [
        np.random.default_rng(seed).uniform(-1, 1, (1, 3, 48, 160)).astype(np.float32)
        for seed in range(4)
    ]
    expected = [session.run(line)[0] for line in lines]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda line: session.run(line)[0], lines * 3))

    for answer, right in zip(found, expected * 3, strict=True):
        np.testing.assert_array_equal(answer, right)


def test_nothing_is_reported_to_anyone(tmp_path: Path) -> None:
    """OpenVINO counts its starts in the home folder and sends the count over the network."""
    code = (
        "import sys, tapetum.models.openvino as ours; ours.has_bfloat16();"
        "print([name for name in sys.modules if name.startswith('openvino_telemetry.')])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert ran.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tapetum.models.openvino")
    monkeypatch.setitem(sys.modules, "openvino", None)

    with pytest.raises(SettingsError, match=r"tapetum\[openvino\]"):
        Sessions(Manifest.packaged(), precision="reduced")
    Sessions(Manifest.packaged())


def test_a_processor_that_cannot_runs_in_full(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, full: Sessions
) -> None:
    monkeypatch.setattr("tapetum.models.openvino.has_bfloat16", lambda: False)
    with caplog.at_level(logging.WARNING):
        sessions = Sessions(Manifest.packaged(), precision="reduced")
    assert "bfloat16" in caplog.text

    line = np.zeros((1, 3, 48, 96), dtype=np.float32)
    exact, found = (each.load(RECOGNISER).run(line)[0] for each in (full, sessions))
    np.testing.assert_array_equal(exact, found)
