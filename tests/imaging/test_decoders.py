"""Children that decode: locked in, one owner's, replaced when they die."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

from tapetum.errors import BadImage, ImageFailed
from tapetum.imaging import child as module
from tapetum.imaging.child import MOST_CRASHES, MOST_KILLS
from tapetum.imaging.decoders import MOST_IDLE, Decoders
from tapetum.imaging.decoding import decode

sys.path.insert(0, str(Path(__file__).parents[1]))
from endless_jpeg import endless_jpeg

#: Runs in a child process of its own: locked in, it tries each way out and says which are open.
ESCAPES = """
import os, resource, signal, socket, sys, threading
from tapetum.imaging import jail
parent = os.getppid()
held = jail.enter()
ways = {
    "read a file": lambda: open("/etc/passwd"),
    "list a folder": lambda: os.listdir("/"),
    "write a file": lambda: open("/tmp/escaped", "w"),
    "open a socket": lambda: socket.socket(),
    "make a pair of sockets": lambda: socket.socketpair(),
    "fork": lambda: os.fork(),
    "run a program": lambda: os.execv("/bin/true", ["true"]),
    "signal its parent": lambda: os.kill(parent, 0),
    "change its parent's limits": lambda: resource.prlimit(parent, resource.RLIMIT_CPU, (1, 1)),
    "raise its own limits": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)),
    "take all memory": lambda: bytearray(8 * 2**30),
    "look into its parent": lambda: os.pidfd_open(parent),
}
for name, way in ways.items():
    try:
        way()
    except (OSError, MemoryError, ValueError):
        continue
    print(name, flush=True)
thread = threading.Thread(target=print, args=("threads run",))
thread.start()
thread.join()
print("layers:", " ".join(sorted(name for name in held if not held[name])))
"""


@pytest.fixture
def photo(photos: Path) -> bytes:
    return (photos / "cat.jpg").read_bytes()


def test_a_child_cannot_get_out():
    ran = subprocess.run(
        [sys.executable, "-c", ESCAPES], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[0] == "threads run"
    assert not Path("/tmp/escaped").exists()


def test_the_layers_are_told(decoders: Decoders):
    assert decoders.layers()["no new privileges"]


def test_no_decoder_is_loaded_where_they_are_used(photos: Path):
    program = (
        "import sys; from tapetum.imaging.decoders import Decoders; d = Decoders();"
        "print(d.decode(open(sys.argv[1], 'rb').read(), lambda w, h: 64).pixels.shape);"
        "d.close();"
        "print([m for m in ('PIL', 'cv2', 'pypdfium2', 'resvg_py') if m in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(photos / "cat.jpg")],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert ran.stdout.splitlines()[1] == "[]"


def test_two_owners_never_share_a_child(decoders: Decoders, photo: bytes):
    seen: dict[str, set[int]] = {"a": set(), "b": set()}
    for owner in "abbaab":
        child = decoders._taken(owner)
        child.decode(photo, lambda *_: 64)
        seen[owner].add(child.pid)
        decoders._given_back(child, keep=True)
    assert len(seen["a"]) == len(seen["b"]) == 1
    assert not seen["a"] & seen["b"]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_kills_at_random_change_nothing_and_blame_nobody(photo: bytes, number: int):
    expected = decode(photo, lambda *_: 640).pixels
    choice, sent, over, pictures = random.Random(5), 0, threading.Event(), 0
    with closing(Decoders()) as made:
        made.start()

        def kill() -> None:
            nonlocal sent
            of_picture: Counter[int] = Counter()
            while not over.wait(choice.uniform(0.0, 0.1)):
                for pid in children_of(made):
                    of_picture[pictures] += 1
                    if of_picture[pictures] < MOST_KILLS:  # who is killed for ever is blamed
                        with suppress(ProcessLookupError):
                            os.kill(pid, number)
                            sent += 1

        thread = threading.Thread(target=kill)
        thread.start()
        try:
            while pictures < 60 or sent < 20:
                assert np.array_equal(made.decode(photo, lambda *_: 640).pixels, expected)
                pictures += 1
        finally:
            over.set()
            thread.join()


def test_a_zygote_that_is_killed_is_replaced(photo: bytes):
    with closing(Decoders()) as made:
        made.decode(photo, lambda *_: 64)
        assert made._zygote is not None
        assert made._zygote.process is not None
        made._zygote.process.kill()
        made._zygote.process.wait()
        assert made.decode(photo, lambda *_: 64, owner="other").width == 1024


def test_a_zygote_that_does_not_answer_is_replaced(photo: bytes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "BIRTH_SECONDS", 3)  # enough for the next zygote
    with closing(Decoders()) as made:
        made.decode(photo, lambda *_: 64)
        assert made._zygote is not None
        assert made._zygote.process is not None
        stuck = made._zygote.process
        stuck.send_signal(signal.SIGSTOP)
        assert made.decode(photo, lambda *_: 64, owner="other").width == 1024
        assert stuck.wait(timeout=60) == -signal.SIGKILL


def test_a_crash_that_somebody_sends_is_none(decoders: Decoders, photo: bytes):
    decoders.decode(photo, lambda *_: 64, owner="unmoved")
    [child] = [child for child in decoders._idle.children if child.owner == "unmoved"]
    for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL):
        os.kill(child.pid, number)
    decoders.decode(photo, lambda *_: 64, owner="unmoved")
    assert child in decoders._idle.children


def test_a_picture_that_goes_on_crashing_its_child_is_blamed(decoders: Decoders, photo: bytes):
    crashes = []

    def crash(width: int, height: int) -> int:
        child = max(children_of(decoders), default=0)
        crashes.append(child)
        os.kill(child, signal.SIGSYS)  # as the kernel does for a call that the jail forbids
        return 64

    with pytest.raises(ImageFailed, match="stopped the process that decoded it"):
        decoders.decode(photo, crash, owner="crashing")
    assert len(crashes) == MOST_CRASHES
    assert decoders.decode(photo, lambda *_: 64, owner="crashing").height == 768


def children_of(decoders: Decoders) -> list[int]:
    assert decoders._zygote is not None
    assert decoders._zygote.process is not None
    path = Path(
        f"/proc/{decoders._zygote.process.pid}/task/{decoders._zygote.process.pid}/children"
    )
    return [int(pid) for pid in path.read_text().split()]


def test_a_picture_without_end_is_an_error(decoders: Decoders, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "PICTURE_SECONDS", 1)
    with pytest.raises(BadImage, match="takes too long"):
        decoders.decode(endless_jpeg(100_000), lambda *_: 640)


def test_nothing_is_left_behind(photo: bytes):
    def opened() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = opened()
    with closing(Decoders()) as made:
        for number in range(60):
            made.decode(photo, lambda *_: 64, owner=str(number % 20))
        family = children_of(made)
        assert len(family) <= MOST_IDLE + 1
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family))
    assert opened() <= before


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.01)


@pytest.mark.parametrize("shares", [True, False])
def test_a_fork_goes_on_with_children_of_its_own(shares: bool):
    """As workers do: they are forked from a process that has the zygote already."""
    program = (
        "import os, sys\n"
        "from tapetum.imaging.decoders import Decoders\n"
        "content = open(sys.argv[1], 'rb').read()\n"
        f"decoders = Decoders(shares_with_forks={shares})\n"
        "decoders.decode(content, lambda *_: 64)\n"
        "pid = os.fork()\n"
        "for _ in range(3):\n"
        "    decoders.decode(content, lambda *_: 64)\n"
        "if not pid:\n"
        "    os._exit(0)\n"
        "assert os.waitpid(pid, 0)[1] == 0\n"
        "decoders.close()\n"
    )
    path = Path(__file__).parents[2] / "examples" / "photos" / "cat.jpg"
    subprocess.run([sys.executable, "-c", program, str(path)], timeout=120, check=True)


def test_a_fork_that_lives_on_keeps_no_zygote_of_its_parent(photo: bytes):
    with closing(Decoders()) as made:
        made.decode(photo, lambda *_: 64)
        zygote = made._zygote
        pid = os.fork()
        if not pid:
            time.sleep(60)
            os._exit(0)
        try:
            made.close()
            assert zygote is not None
            assert zygote.process is not None
            assert zygote.process.poll() == 0
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
