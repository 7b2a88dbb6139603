"""API keys: made once, shown once, kept as hashes.

A key is ``tapetum_ID_SECRET``. Its secret has 256 bits from the system's random numbers, so a
plain SHA-256 of it cannot be turned round, and a slow password hash would add nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from tapetum.errors import SettingsError, Unauthenticated
from tapetum.identity.secret_files import PRIVATE, replace

log = logging.getLogger(__name__)

_KEY = re.compile(r"tapetum_(?P<id>[0-9a-f]{8})_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is kept of a key. ``sha256`` is the hash of its whole text; ``created`` is ISO 8601."""

    id: str
    principal: str
    sha256: str
    created: str


class ApiKeys:
    """The keys in the file ``path``. A change to the file counts from the next call on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, ...] | None = None
        self._records: dict[str, KeyRecord] = {}

    def principal_of(self, key: str) -> str:
        """The name of the principal who holds ``key``, else `Unauthenticated`."""
        matched = _KEY.fullmatch(key)
        record = self._fresh().get(matched["id"]) if matched else None
        if record is None or not hmac.compare_digest(_hash(key), record.sha256):
            raise Unauthenticated(
                "API key not valid. Please pass a valid API key.", "API_KEY_INVALID"
            )
        return record.principal

    def all(self) -> list[KeyRecord]:
        """The keys there are. `SettingsError` when the file is none of ours."""
        return list(_read(self._path).values())

    def make(self, principal: str) -> tuple[str, KeyRecord]:
        """A new key of ``principal``: its text, which is kept nowhere, and its record."""
        records = _read(self._path)
        identity = secrets.token_hex(4)
        key = f"tapetum_{identity}_{secrets.token_urlsafe(32)}"
        created = datetime.now(UTC).isoformat(timespec="seconds")
        record = KeyRecord(identity, principal, _hash(key), created)
        _write(self._path, {**records, identity: record})
        return key, record

    def revoke(self, identity: str) -> KeyRecord:
        """Forget the key ``identity``; it is refused from now on."""
        records = _read(self._path)
        gone = records.pop(identity, None)
        if gone is None:
            raise SettingsError(f"{self._path} has no key {identity!r}; `tapetum keys list`.")
        _write(self._path, records)
        return gone

    def _fresh(self) -> dict[str, KeyRecord]:
        """The records as the file has them now; none at all while it cannot be read."""
        try:
            status = self._path.stat()
            stamp: tuple[int, ...] = (status.st_ino, status.st_size, status.st_mtime_ns)
        except OSError:
            stamp = ()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._records = _read(self._path)
            except SettingsError as error:
                self._records = {}
                log.error("no API key is accepted: %s", error)  # noqa: TRY400
        return self._records


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _read(path: Path) -> dict[str, KeyRecord]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["keys"]
        return {row["id"]: KeyRecord(**row) for row in rows}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise SettingsError(f"The file of API keys {path} cannot be read: {error}.") from error


def _write(path: Path, records: dict[str, KeyRecord]) -> None:
    """Replace the file; nobody but its owner reads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"keys": [asdict(record) for record in records.values()]}, indent=1)
    replace(path, f"{text}\n".encode(), PRIVATE)
