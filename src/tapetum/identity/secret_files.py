"""Files that hold secrets, and those that go with them: private from their first byte on."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

#: Modes of files for their owner only, and for everyone to read.
PRIVATE, PUBLIC = 0o600, 0o644


def create(path: Path, content: bytes, mode: int) -> None:
    """A new file. Raises `FileExistsError` where there is one, and `OSError`."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def replace(path: Path, content: bytes, mode: int) -> None:
    """Write the file whole, in the place of what was there. Raises `OSError`."""
    staged = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        create(staged, content, mode)
        staged.replace(path)
    except OSError:
        staged.unlink(missing_ok=True)
        raise
