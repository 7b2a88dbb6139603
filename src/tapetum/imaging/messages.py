"""What is said between a decoder and whoever uses it: small JSON messages, files beside them.

Neither side believes the other: a message is bounded, numbers are checked, nothing is unpickled.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import socket
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Largest message, in bytes.
MESSAGE_BYTES = 4096
#: What keeps pixels as they were handed over: nobody writes, cuts or stretches them any more.
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Silent(Exception):
    """The other side is gone, has run out of time, or says what makes no sense."""


def send(line: socket.socket, message: dict[str, Any], file: int | None = None) -> None:
    """Say ``message`` and hand ``file`` over. Raises `Silent`."""
    try:
        socket.send_fds(line, [json.dumps(message).encode()], [] if file is None else [file])
    except OSError as error:
        raise Silent from error


def receive(line: socket.socket) -> tuple[dict[str, Any], int | None]:
    """The next message and the file that came with it, the receiver's to close. Raises `Silent`,
    also when the line's time-out has passed."""
    try:
        content, files, _, _ = socket.recv_fds(line, MESSAGE_BYTES, 1)
    except OSError as error:
        raise Silent from error
    file = files[0] if files else None
    try:
        message = json.loads(content)
    except (ValueError, RecursionError):
        message = None
    if isinstance(message, dict):
        return message, file
    if file is not None:
        os.close(file)
    raise Silent


def written(content: bytes | memoryview) -> int:
    """A file in memory that holds ``content``; the caller's to close."""
    file = os.memfd_create("tapetum", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    rest = memoryview(content).cast("B")
    while rest:
        rest = rest[os.write(file, rest) :]
    return file


def sealed(content: memoryview) -> int:
    """As `written`, and for ever as it is."""
    file = written(content)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
    return file


def opened(file: int, size: int) -> NDArray[np.uint8]:
    """The ``size`` bytes of a sealed file, as they lie in memory: ``uint8``, read-only.

    Raises `Silent` when the file is not sealed or not that large: it could be cut while it is read,
    which ends the reader.
    """
    try:
        seals = fcntl.fcntl(file, fcntl.F_GET_SEALS)
        if seals & _SEALS != _SEALS or os.fstat(file).st_size != size:
            raise Silent
        return np.frombuffer(mmap.mmap(file, size, prot=mmap.PROT_READ), np.uint8)
    except (OSError, ValueError) as error:
        raise Silent from error
