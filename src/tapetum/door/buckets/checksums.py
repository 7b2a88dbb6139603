"""The two checksums that Cloud Storage's clients compare."""

from __future__ import annotations

import base64
import hashlib
from typing import BinaryIO

import google_crc32c

_PIECE = 1024 * 1024


class Checksums:
    """CRC32C and MD5 of bytes as they come, each in base64."""

    def __init__(self) -> None:
        self._crc32c = google_crc32c.Checksum()
        self._md5 = hashlib.md5(usedforsecurity=False)

    @classmethod
    def of(cls, file: BinaryIO) -> Checksums:
        """Of a whole file."""
        sums = cls()
        file.seek(0)
        while piece := file.read(_PIECE):
            sums.update(piece)
        return sums

    def update(self, piece: bytes) -> None:
        """Go on with ``piece``."""
        self._crc32c.update(piece)
        self._md5.update(piece)

    @property
    def crc32c(self) -> str:
        """Big-endian, as Cloud Storage writes it."""
        return base64.b64encode(self._crc32c.digest()).decode()

    @property
    def md5(self) -> str:
        """Of all so far."""
        return base64.b64encode(self._md5.digest()).decode()
