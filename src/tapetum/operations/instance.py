"""Whether a server is the only one over its data folder.

Several may share a folder. One that begins alone knows that every lease it finds is a dead
server's, and need not wait for them to run out.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

#: The file, in the data folder, that every server keeps a lock on while it runs.
LOCK_FILE = "instance.lock"


class Instance:
    """A shared lock on ``folder``. ``is_alone``: nobody else had one when this was made.

    The kernel lets go of the lock when the process ends, however it ends.
    """

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.is_alone = True
        except BlockingIOError:
            self.is_alone = False

    def share(self) -> None:
        """Others may begin from now on: what was a dead server's has been taken back."""
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def close(self) -> None:
        """Let go of the lock."""
        os.close(self._file)
