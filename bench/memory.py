"""Whether memory grows with the number of images, or of pages: of a command and its children,
together."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from pathlib import Path

from bench import machine, pages
from bench.rows import Row
from tapetum.results.asking import NUMBERS

MEBIBYTE = 2**20

#: Pages of the PDFs that are read, which takes a hundred times as long.
_READ = 40, 200
#: Images that are looked at with all features.
_OF_ALL = 24

#: Seconds between two looks at the memory.
_LOOK_SECONDS = 0.05


def measure(files: Sequence[Path], small: int, large: int) -> list[Row]:
    """Peak memory of ``tapetum annotate`` over ``large`` images beside ``small`` images."""
    few, many = (peak(islice(cycle(files), count)) for count in (small, large))
    every = ",".join(NUMBERS)
    kept, given_back = (
        peak(islice(cycle(files), _OF_ALL), every, "--workers", "2", "--arena", arena)
        for arena in ("on", "off")
    )
    return [
        Row("memory: growth", many / few - 1, "", at_most=0.10,
            note=f"peak of {large:,} images beside {small:,}, LABEL_DETECTION"),
        Row(f"memory: peak, {small:,} images", few / MEBIBYTE, "MiB"),
        Row(f"memory: peak, {large:,} images", many / MEBIBYTE, "MiB"),
        Row("memory: all features, 2 workers", kept / MEBIBYTE, "MiB", note=f"{_OF_ALL} images"),
        Row("memory: the same, arena = off", given_back / MEBIBYTE, "MiB"),
    ]  # fmt: skip


def measure_pages(photo: Path, small: int, large: int) -> list[Row]:
    """Peak memory of ``tapetum annotate`` over a PDF of ``large`` pages."""
    few, many = (_peak_of_pages(photo, count, "IMAGE_PROPERTIES") for count in (small, large))
    read = [_peak_of_pages(photo, count, "TEXT_DETECTION") for count in _READ]
    return [
        Row(f"memory: PDF of {large:,} pages", many / MEBIBYTE, "MiB", at_most=600,
            note=f"IMAGE_PROPERTIES, which has no model; {small:,} pages: "
            f"{few / MEBIBYTE:.0f} MiB"),
        Row("memory: growth with pages that are read", read[1] / read[0] - 1, "", at_most=0.10,
            note=f"TEXT_DETECTION, a PDF of {_READ[1]} pages beside {_READ[0]}; "
            f"{read[1] / MEBIBYTE:.0f} MiB"),
    ]  # fmt: skip


def _peak_of_pages(photo: Path, count: int, feature: str) -> float:
    with tempfile.TemporaryDirectory(prefix="tapetum-bench-") as folder:
        document = Path(folder) / "pages.pdf"
        document.write_bytes(pages.pdf_of(photo, count))
        return _peak(folder, [os.fspath(document), "--features", feature], count)


def peak(files: Iterable[Path], feature: str = "LABEL_DETECTION", *flags: str) -> float:
    """Bytes of memory that ``tapetum annotate`` and its children had at most over ``files``."""
    names = [str(file) for file in files]
    with tempfile.TemporaryDirectory(prefix="tapetum-bench-") as folder:
        manifest = Path(folder) / "manifest.txt"
        manifest.write_text("\n".join(names), encoding="utf-8")
        what = ["--features", feature, *flags, "--manifest", os.fspath(manifest)]
        return _peak(folder, what, len(names))


def _peak(folder: str, what: Sequence[str], count: int) -> float:
    """Looks often, and so does not see what comes and goes in between."""
    command = [sys.executable, "-m", "tapetum", "annotate", *what]
    command += ["--output", f"{folder}/out", "--data-dir", folder]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as ran:
        most = 0
        while ran.poll() is None:
            most = max(most, machine.memory_of(ran.pid))
            time.sleep(_LOOK_SECONDS)
        said = ran.stderr.read() if ran.stderr else ""
    if ran.returncode != 0 or f"{count} images, 0 with errors" not in said:
        raise SystemExit(f"tapetum annotate failed, or left something out:\n{said}")
    return most
