"""Whether memory grows with the number of images."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from bench.rows import Row

MEBIBYTE = 2**20

# A child begins with the peak of the process that started it, so a small one has to: run the
# command given, then print its exit code and its peak.
_STARTER = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def measure(files: Sequence[Path], small: int, large: int) -> list[Row]:
    """Peak memory of ``tapetum annotate`` over ``large`` images beside ``small`` images."""
    few, many = (_peak(files, count) for count in (small, large))
    return [
        Row("memory: growth", many / few - 1, "", at_most=0.10,
            note=f"peak of {large:,} images beside {small:,}, LABEL_DETECTION"),
        Row(f"memory: peak, {small:,} images", few / MEBIBYTE, "MiB"),
        Row(f"memory: peak, {large:,} images", many / MEBIBYTE, "MiB"),
    ]  # fmt: skip


def _peak(files: Sequence[Path], count: int) -> float:
    """Bytes of resident memory the process had at most."""
    with tempfile.TemporaryDirectory(prefix="tapetum-bench-") as folder:
        manifest = Path(folder) / "manifest.txt"
        manifest.write_text("\n".join(map(str, islice(cycle(files), count))), encoding="utf-8")
        command = [sys.executable, "-m", "tapetum", "annotate", "--features", "LABEL_DETECTION"]
        command += ["--manifest", os.fspath(manifest), "--output", f"{folder}/out"]
        ran = subprocess.run(
            [sys.executable, "-c", _STARTER, *command, "--data-dir", folder],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    code, peak = map(int, ran.stdout.split())
    if code != 0:
        raise SystemExit(f"tapetum annotate failed:\n{ran.stderr}")
    return peak * (1 if sys.platform == "darwin" else 1024)
