"""What it ran on, and who else was running."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def description() -> str:
    """Cores, processor, system and Python, in one line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return f"{cores()} cores, {model}, {platform.system()}, Python {platform.python_version()}"


@dataclass(slots=True)
class Stretch:
    """What a stretch of time cost: wall seconds, this process's CPU seconds, and the cores that
    everybody else kept busy meanwhile (0 where the system does not say)."""

    wall: float = 0.0
    cpu: float = 0.0
    cores_of_others: float = 0.0


@contextmanager
def timed() -> Iterator[Stretch]:
    """Measure the block."""
    stretch = Stretch()
    wall, cpu, busy = time.perf_counter(), time.process_time(), _busy_seconds()
    yield stretch
    stretch.wall = time.perf_counter() - wall
    stretch.cpu = time.process_time() - cpu
    if busy:
        others = _busy_seconds() - busy - stretch.cpu
        stretch.cores_of_others = max(0.0, others / stretch.wall)


def cpu_seconds_of(pid: int) -> float:
    """CPU seconds that process ``pid`` has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _busy_seconds() -> float:
    """CPU seconds used by everybody on this machine, stolen ones included."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    numbers = [int(text) for text in stat.read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _idle, _wait, irq, softirq, steal = numbers[:8]
    return (user + nice + system + irq + softirq + steal) / _TICK
