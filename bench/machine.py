"""What it ran on, and who else was running."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

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
    """What a stretch of time cost: wall seconds, CPU seconds of this process and its children, and
    the cores that everybody else kept busy meanwhile (0 where the system does not say)."""

    wall: float = 0.0
    cpu: float = 0.0
    cores_of_others: float = 0.0


@contextmanager
def timed() -> Iterator[Stretch]:
    """Measure the block."""
    stretch = Stretch()
    wall, cpu, busy = time.perf_counter(), cpu_seconds_of(os.getpid()), _busy_seconds()
    yield stretch
    stretch.wall = time.perf_counter() - wall
    stretch.cpu = cpu_seconds_of(os.getpid()) - cpu
    if busy:
        others = _busy_seconds() - busy - stretch.cpu
        stretch.cores_of_others = max(0.0, others / stretch.wall)


def cpu_seconds_of(pid: int) -> float:
    """CPU seconds that process ``pid`` has used and all that it began."""
    seconds = 0.0
    for process in _family(pid):
        with suppress(psutil.NoSuchProcess):
            seconds += sum(process.cpu_times()[:4])  # its own, and of children that have ended
    return seconds


def memory_of(pid: int) -> int:
    """Bytes of memory of process ``pid`` and all that it began. What several of them share counts
    once (Linux; elsewhere what is shared is left out)."""
    total = 0
    for process in _family(pid):
        with suppress(psutil.NoSuchProcess):
            try:
                memory = process.memory_full_info()
            except psutil.AccessDenied:  # what holds keys shows only its size, to all but root
                total += process.memory_info().rss
            else:
                total += getattr(memory, "pss", memory.uss)
    return total


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _busy_seconds() -> float:
    """CPU seconds used by everybody on this machine, stolen ones included."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    numbers = [int(text) for text in stat.read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _idle, _wait, irq, softirq, steal = numbers[:8]
    return (user + nice + system + irq + softirq + steal) / _TICK
