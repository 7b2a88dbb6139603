"""Whether memory grows with the number of images, or of pages."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from pathlib import Path

from bench import pages
from bench.rows import Row

MEBIBYTE = 2**20

#: Pages of the PDFs that are read, which takes a hundred times as long.
_READ = 40, 200

# A child begins with the peak of the process that started it, so a small one has to: run the
# command given, then print its exit code and its peak.
_STARTER = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def measure(files: Sequence[Path], small: int, large: int) -> list[Row]:
    """Peak memory of ``tapetum annotate`` over ``large`` images beside ``small`` images."""
    few, many = (peak(islice(cycle(files), count)) for count in (small, large))
    return [
        Row("memory: growth", many / few - 1, "", at_most=0.10,
            note=f"peak of {large:,} images beside {small:,}, LABEL_DETECTION"),
        Row(f"memory: peak, {small:,} images", few / MEBIBYTE, "MiB"),
        Row(f"memory: peak, {large:,} images", many / MEBIBYTE, "MiB"),
    ]  # fmt: skip


def measure_pages(photo: Path, small: int, large: int) -> list[Row]:
    """Peak memory of ``tapetum annotate`` and its renderers over a PDF of ``large`` pages."""
    few, many = (_peak_of_pages(photo, count, "IMAGE_PROPERTIES") for count in (small, large))
    read = [_peak_of_pages(photo, count, "TEXT_DETECTION") for count in _READ]
    return [
        Row(f"memory: PDF of {large:,} pages", many / MEBIBYTE, "MiB", at_most=600,
            note=f"with renderers, IMAGE_PROPERTIES, which has no model; {small:,} pages: "
            f"{few / MEBIBYTE:.0f} MiB"),
        Row("memory: growth with pages that are read", read[1] / read[0] - 1, "", at_most=0.10,
            note=f"TEXT_DETECTION, a PDF of {_READ[1]} pages beside {_READ[0]}; "
            f"{read[1] / MEBIBYTE:.0f} MiB"),
    ]  # fmt: skip


def _peak_of_pages(photo: Path, count: int, feature: str) -> float:
    """Bytes of resident memory of the process and its children, at most at one time."""
    with tempfile.TemporaryDirectory(prefix="tapetum-bench-") as folder:
        document = Path(folder) / "pages.pdf"
        document.write_bytes(pages.pdf_of(photo, count))
        command = [sys.executable, "-m", "tapetum", "annotate", os.fspath(document)]
        command += ["--features", feature, "--output", f"{folder}/out"]
        with subprocess.Popen(
            [*command, "--data-dir", folder], stderr=subprocess.PIPE, text=True
        ) as ran:
            peak = 0
            while ran.poll() is None:
                peak = max(peak, _resident(ran.pid))
                time.sleep(0.02)
            if ran.returncode != 0 or ran.stderr is None:
                raise SystemExit("tapetum annotate failed")
            if f"{count} images, 0 with errors" not in ran.stderr.read():
                raise SystemExit("tapetum annotate left pages out")
    return peak


def _resident(root: int) -> int:
    """Bytes of resident memory of the process ``root`` and of its renderers (Linux)."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            # A child that has not begun its own program yet still shows its parent's memory.
            renders = (
                parent == root and b"tapetum.imaging.renderer" in (folder / "cmdline").read_bytes()
            )
            if renders or int(folder.name) == root:
                total += int((folder / "statm").read_text().split()[1]) * mmap.PAGESIZE
        except OSError:  # it ended meanwhile
            continue
    return total


def peak(files: Iterable[Path], feature: str = "LABEL_DETECTION", *flags: str) -> float:
    """Bytes of resident memory that ``tapetum annotate`` had at most over ``files``."""
    with tempfile.TemporaryDirectory(prefix="tapetum-bench-") as folder:
        manifest = Path(folder) / "manifest.txt"
        manifest.write_text("\n".join(map(str, files)), encoding="utf-8")
        command = [sys.executable, "-m", "tapetum", "annotate", "--features", feature, *flags]
        command += ["--manifest", os.fspath(manifest), "--output", f"{folder}/out"]
        ran = subprocess.run(
            [sys.executable, "-c", _STARTER, *command, "--data-dir", folder],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    code, most = map(int, ran.stdout.split())
    if code != 0:
        raise SystemExit(f"tapetum annotate failed:\n{ran.stderr}")
    return most * (1 if sys.platform == "darwin" else 1024)
