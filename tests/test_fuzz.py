"""`make fuzz` in small: that it runs, and finds nothing in its first draws."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_first_draws():
    ran = subprocess.run(
        [
            sys.executable, "-m", "fuzz", "--requests", "300", "--described", "0", "--images", "24",
            "--files", "8", "--minutes", "3",
        ],
        cwd=Path(__file__).parent.parent,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "requests 300," in ran.stdout
    assert "images 24," in ran.stdout
    assert "files 8," in ran.stdout
