"""What the pure rooms load. Measured in a process of its own: this one has loaded everything."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

RUNTIMES = ("cv2", "PIL", "onnxruntime", "openvino", "tesserocr", "obstore", "httpx", "pypdfium2")
PROGRAM = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def loaded(module: str) -> set[str]:
    """The top-level packages that are there once ``module`` was imported."""
    command = [sys.executable, "-c", PROGRAM, module]
    ran = subprocess.run(command, capture_output=True, check=True, timeout=120)
    return set(json.loads(ran.stdout))


@pytest.mark.parametrize(
    "module",
    [
        "tapetum.vision.validation",
        "tapetum.signals.context",
        "tapetum.signals.page_layout",
        "tapetum.layout.page",
        "tapetum.layout.language_shares",
        "tapetum.tasks.plan",
    ],
)
def test_pure_rooms_load_no_runtime(module):
    packages = loaded(module)
    assert "tapetum" in packages
    assert packages.isdisjoint(RUNTIMES)


@pytest.mark.parametrize("module", ["tapetum.vision.limits", "tapetum.vision.formats"])
def test_limits_load_nothing_of_google(module):
    assert loaded(module).isdisjoint({*RUNTIMES, "google", "grpc", "numpy"})
