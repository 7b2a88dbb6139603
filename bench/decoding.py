"""What it costs that pictures are decoded in a child: the same picture there and here, in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from bench.rows import Row
from tapetum.imaging.child import MaxSideFor
from tapetum.imaging.decoders import Decoders
from tapetum.imaging.decoding import decode


def measure(files: Sequence[Path], rounds: int) -> list[Row]:
    """Photographs of two megapixels, wanted whole and wanted small, ``rounds`` times each."""
    contents = [file.read_bytes() for file in files] * rounds
    with closing(Decoders()) as decoders:
        return [
            _row("whole", contents, decoders, lambda *_: 10_000),
            _row("for a network of 640 pixels", contents, decoders, lambda *_: 640),
        ]


def _row(what: str, contents: Sequence[bytes], decoders: Decoders, side: MaxSideFor) -> Row:
    here, costs = [], []
    for content in contents:
        here.append(_seconds(decode, content, side))
        costs.append(_seconds(decoders.decode, content, side) - here[-1])
    return Row(
        f"decoding in a child: cost, {what}", statistics.median(costs) * 1000, "ms", at_most=3,
        note=f"median of pairs; {statistics.median(here) * 1000:.1f} ms here",
    )  # fmt: skip


def _seconds(
    decode: Callable[[bytes, MaxSideFor], object], content: bytes, side: MaxSideFor
) -> float:
    began = time.perf_counter()
    decode(content, side)
    return time.perf_counter() - began
