"""A nursery as its server sees it: begun, asked, heard, ended."""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any

from tapetum.executors import faults
from tapetum.executors.nursery import MESSAGE_BYTES, Config

#: Seconds that a nursery has to load everything: on a very busy machine.
START_SECONDS = 300.0
#: Seconds that it has to end once nobody asks it any more.
END_SECONDS = 10.0


class NurseryProcess:
    """A process of `tapetum.executors.nursery`, ready.

    Raises what keeps it from working (`SettingsError`, `ModelError`, `GalleryError`), and `OSError`
    or `RuntimeError` where this process has no room for another.
    """

    def __init__(self, config: Config) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._process = _started(theirs)
        except BaseException:
            self._channel.close()
            raise
        try:
            self._begin(config)
        except BaseException:
            self._process.kill()
            self._process.wait()
            self._channel.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """As `subprocess.Popen.returncode`."""
        return self._process.returncode

    def fork(self, number: int, line: socket.socket, *, patient: bool) -> None:
        """Ask for worker ``number``, which is to talk on ``line`` and, if it is ``patient``, begins
        without what is elsewhere. Raises `OSError` when the nursery is gone or does not listen."""
        order = json.dumps({"fork": number, "patient": patient}).encode()
        socket.send_fds(self._channel, [order], [line.fileno()], socket.MSG_DONTWAIT)

    def kill(self, pid: int) -> None:
        """Have it kill its child ``pid``; one that is gone has no children any more. Never waits:
        whoever wants it asks again."""
        with suppress(OSError):
            self._channel.send(json.dumps({"kill": pid}).encode(), socket.MSG_DONTWAIT)

    def messages(self) -> Iterator[dict[str, Any]]:
        """What it says, until it has ended."""
        while True:
            try:
                message = self._channel.recv(MESSAGE_BYTES)
            except OSError:
                message = b""
            if not message:
                break
            yield json.loads(message)
        self._process.wait()
        self._channel.close()

    def stop(self) -> None:
        """Tell it to end, and its children."""
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """`stop` it, and see to it that it does."""
        self.stop()
        try:
            self._process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill_itself()
            self._process.wait()

    def kill_itself(self) -> None:
        """SIGKILL; its children die with it."""
        self._process.kill()

    def _begin(self, config: Config) -> None:
        configuration, errors = self._process.stdin, self._process.stderr
        if configuration is None or errors is None:
            raise AssertionError
        threading.Thread(target=_forward, args=(errors,), daemon=True).start()
        with suppress(BrokenPipeError), configuration:
            pickle.dump(config, configuration)
        self._channel.settimeout(START_SECONDS)
        try:
            answer = json.loads(self._channel.recv(MESSAGE_BYTES) or b"{}")
        except (TimeoutError, ConnectionError):
            answer = {}
        if "ready" not in answer:
            raise faults.from_json(answer or {"error": "it ended while it began"})
        self._channel.settimeout(None)


def _started(channel: socket.socket) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 (nothing in it is from outside)
        [sys.executable, "-m", "tapetum.executors.nursery", str(channel.fileno())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=[channel.fileno()],
        # Nothing is imported from the folder that somebody happens to work in.
        env=os.environ | {"PYTHONSAFEPATH": "1"},
        process_group=0,  # Ctrl-C is for the server, which ends its children itself
    )


def _forward(errors: IO[bytes]) -> None:
    """What workers log goes where this process logs, and above a bar if one is drawn there."""
    with errors:
        for line in errors:
            with suppress(ValueError, OSError):  # nobody reads standard error any more
                sys.stderr.write(line.decode(errors="backslashreplace"))
                sys.stderr.flush()
